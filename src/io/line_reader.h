/* io/line_reader.h: cuts a byte stream into lines, fed in any pieces. */
#ifndef CADRE_IO_LINE_READER_H
#define CADRE_IO_LINE_READER_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct line_reader {
    struct buf line; /* the start of a line whose end has not come */
    size_t max_line_bytes;
    /* One line without its "\n" or "\r\n", NUL-terminated; lives until it returns. Return false to stop:
     * then the reader is not touched any more, so that its owner may be freed in here. */
    bool (*on_line)(void *user, const char *line, size_t n);
    void *user;
};

/* MAX_LINE_BYTES bounds one line (0: 64 MiB). */
void line_reader_init(struct line_reader *r, size_t max_line_bytes,
                      bool (*on_line)(void *user, const char *line, size_t n), void *user);
/* 0, or -1: a line is too long (ERROR_LIMIT), or on_line stopped it (ERROR_CANCELLED). */
int line_reader_feed(struct line_reader *r, const char *bytes, size_t n, struct error *err);
/* The stream has ended: delivers a last line that has no line end. */
int line_reader_end(struct line_reader *r, struct error *err);
void line_reader_finish(struct line_reader *r);

#endif
