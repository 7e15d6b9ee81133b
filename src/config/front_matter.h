/* config/front_matter.h: the head of a Markdown file between two lines of "---", as far as SKILL.md and agent
 * files need it: top-level `key: text` lines. */
#ifndef CADRE_CONFIG_FRONT_MATTER_H
#define CADRE_CONFIG_FRONT_MATTER_H

#include <stddef.h>

/* Finds the head in NUL-terminated TEXT: [*START, *END). Returns the offset of the body, 0 without a head. */
size_t front_matter_find(const char *text, size_t *start, size_t *end);

/* The text of a top-level `KEY:` line without its quotes; indented lines after it (also of `>` and `|`) are
 * joined by spaces. NULL when missing; the caller frees it. */
char *front_matter_scalar(const char *text, size_t start, size_t end, const char *key);

#endif
