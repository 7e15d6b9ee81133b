/* config/agents_md.h: AGENTS.md files joined into one text within the budget of project_doc_max_bytes. */
#ifndef CADRE_CONFIG_AGENTS_MD_H
#define CADRE_CONFIG_AGENTS_MD_H

#include "base/str.h"

struct buf;
struct config;

/* Appends the global file ($CODEX_HOME/AGENTS.override.md, else AGENTS.md), then one of each folder from the
 * project's root down to the working directory: AGENTS.override.md, else AGENTS.md, else the first of
 * project_doc_fallback_filenames. Each is headed by its path. SOURCES (may be NULL) gets their paths. */
void agents_md_load(const struct config *c, struct buf *out, struct str_list *sources);

/* The same for a task in ROOT (a worktree): the global file into GLOBAL; ROOT's, and those of every folder above the
 * given paths (relative to ROOT, globs cut at their first special character), into PROJECT, which may be the same
 * buffer. The folders nearest to the root come first. */
void agents_md_load_for_paths(const struct config *c, const char *root, const struct str_list *paths,
                              struct buf *global, struct buf *project, struct str_list *sources);

#endif
