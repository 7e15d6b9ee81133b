/* ui/text.h: text for a terminal: harmless, and as wide as wanted (by grapheme, with utf8proc). */
#ifndef CADRE_UI_TEXT_H
#define CADRE_UI_TEXT_H

#include <stddef.h>

struct buf;

/* Bytes of the grapheme at P (0 at the end), and its columns. */
size_t text_grapheme(const char *p, int *columns);

/* Columns that TEXT takes. */
int text_width(const char *text);

/* Appends TEXT on one line with control characters made visible. */
void text_append_harmless(struct buf *out, const char *text);

/* Appends at most WIDTH columns of TEXT; what is cut ends in "…". */
void text_append_fitted(struct buf *out, const char *text, int width);

/* The same, harmless, filled up to WIDTH columns with blanks, and one blank more. */
void text_append_cell(struct buf *out, const char *text, int width);

#endif
