/* base/buf.h: a growing byte buffer, always followed by a NUL byte, so that `data` is also a C string
 * (an empty buffer that never grew has data == NULL; buf_cstr() gives "" for it). */
#ifndef CADRE_BASE_BUF_H
#define CADRE_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
};

#define BUF_INIT {NULL, 0, 0}

void buf_free(struct buf *b);  /* frees; the buffer can be used again */
void buf_clear(struct buf *b); /* length 0, memory kept */

/* Makes room for EXTRA more bytes (and the NUL). */
void buf_reserve(struct buf *b, size_t extra);

void buf_append(struct buf *b, const void *bytes, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Cuts to LEN bytes (no-op if shorter). */
void buf_truncate(struct buf *b, size_t len);

/* Removes N bytes from the front. */
void buf_consume(struct buf *b, size_t n);

/* Hands out the memory as a string (never NULL; caller frees) and empties the buffer. */
char *buf_take(struct buf *b);

const char *buf_cstr(const struct buf *b);

#endif
