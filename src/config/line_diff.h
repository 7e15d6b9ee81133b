/* config/line_diff.h: two texts as a unified diff, for people (what `cadre init` would change). */
#ifndef CADRE_CONFIG_LINE_DIFF_H
#define CADRE_CONFIG_LINE_DIFF_H

struct buf;

/* Appends the hunks with two lines of context. Texts over 3,000 lines are only said to differ. */
void line_diff_append(struct buf *out, const char *before_name, const char *before, const char *after_name,
                      const char *after);

#endif
