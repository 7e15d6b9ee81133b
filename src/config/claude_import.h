/* config/claude_import.h: agent files in Claude's form (.claude/agents/NAME.md) as role files. */
#ifndef CADRE_CONFIG_CLAUDE_IMPORT_H
#define CADRE_CONFIG_CLAUDE_IMPORT_H

#include "base/error.h"

struct buf;

/* Turns TEXT (front matter with name, description, tools, model; then the instructions) into a role file,
 * appended to OUT; *NAME gets the role's name (caller frees). A role without a tool that writes or runs is
 * read-only. The model is not taken over, since its names mean nothing to another provider: a comment keeps
 * it. FILE names the input in errors. */
int claude_import_role(const char *text, const char *file, struct buf *out, char **name, struct error *err);

#endif
