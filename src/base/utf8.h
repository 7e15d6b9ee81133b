/* base/utf8.h: UTF-8 as outside input: check, repair, cut. */
#ifndef CADRE_BASE_UTF8_H
#define CADRE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* Length in bytes of the valid sequence at P (N bytes available), 0 if invalid or cut; *CODEPOINT may be
 * NULL. Surrogates and overlong forms are invalid (RFC 3629). */
size_t utf8_decode(const char *p, size_t n, uint32_t *codepoint);

/* Appends the encoding of CODEPOINT (U+FFFD if it is none). */
void utf8_encode(struct buf *b, uint32_t codepoint);

bool utf8_is_valid(const char *p, size_t n);

/* Appends the bytes with every invalid one replaced by U+FFFD; NUL bytes too. */
void utf8_append_repaired(struct buf *b, const char *p, size_t n);

/* The largest length <= WANTED that does not cut a sequence. */
size_t utf8_floor(const char *p, size_t n, size_t wanted);

/* Appends with control characters and escape sequences made visible, so that output of a command or a
 * model cannot drive the terminal. Newlines and tabs stay when KEEP_LINES. */
void utf8_append_printable(struct buf *b, const char *p, size_t n, bool keep_lines);

#endif
