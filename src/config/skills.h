/* config/skills.h: SKILL.md files: names and descriptions for the context, bodies on use. */
#ifndef CADRE_CONFIG_SKILLS_H
#define CADRE_CONFIG_SKILLS_H

#include "base/error.h"

#include <stddef.h>

struct buf;
struct str_list;
struct config;
struct role;

struct skill {
    char *name;
    char *description;
    char *file; /* absolute path of its SKILL.md */
};

struct skill_list {
    struct skill *items;
    size_t len;
};

/* Finds skills in .agents/skills from the project's root down to the working directory (only when trusted),
 * ~/.agents/skills and $CODEX_HOME/skills; the first of a name wins; [[skills.config]] entries with
 * enabled = false (of the configuration or of ROLE, which may be NULL) take a skill out. Reads the front
 * matter only. Bad files are skipped and named in WARNINGS (may be NULL). */
void skills_find(struct skill_list *out, const struct config *c, const struct role *role,
                 struct str_list *warnings);
void skill_list_finish(struct skill_list *list);

/* Appends the lines that go into the context: names, descriptions and paths. Nothing when there is none. */
void skills_append_context(struct buf *out, const struct skill_list *list);

/* Appends the body, without the front matter. */
int skill_read_body(const struct skill *skill, struct buf *out, struct error *err);

#endif
