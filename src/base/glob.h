/* base/glob.h: path patterns as in .gitignore and plan.md: `*` and `?` stay within one part, `**` spans
 * parts, `[a-z]` and `[!a]` are classes, `\` quotes. */
#ifndef CADRE_BASE_GLOB_H
#define CADRE_BASE_GLOB_H

#include <stdbool.h>

/* Does PATTERN match the whole of PATH? "a/" + "**" matches everything below a, "**" + "/b" matches b at any depth. */
bool glob_match(const char *pattern, const char *path);

/* Has PATTERN any special character? */
bool glob_is_pattern(const char *pattern);

/* Can some path match both patterns? Errs towards true (used to keep write sets apart). */
bool glob_may_overlap(const char *a, const char *b);

#endif
