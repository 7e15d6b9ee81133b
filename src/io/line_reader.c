/* io/line_reader.c: lines out of a byte stream. */
#include "io/line_reader.h"

#include <string.h>

#define DEFAULT_LINE_BYTES ((size_t)64 << 20)

void line_reader_init(struct line_reader *r, size_t max_line_bytes,
                      bool (*on_line)(void *user, const char *line, size_t n), void *user)
{
    memset(r, 0, sizeof(*r));
    r->max_line_bytes = max_line_bytes ? max_line_bytes : DEFAULT_LINE_BYTES;
    r->on_line = on_line;
    r->user = user;
}

void line_reader_finish(struct line_reader *r)
{
    buf_free(&r->line);
}

/* Delivers what `line` holds. It is moved out first: on_line may free the reader. */
static bool deliver(struct line_reader *r)
{
    struct buf line = r->line;
    bool goes_on;

    r->line = (struct buf)BUF_INIT;
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        buf_truncate(&line, line.len - 1);
    goes_on = r->on_line(r->user, buf_cstr(&line), line.len);
    if (goes_on && r->line.data == NULL) {
        buf_clear(&line);
        r->line = line; /* its memory serves the next one */
    } else {
        buf_free(&line);
    }
    return goes_on;
}

int line_reader_feed(struct line_reader *r, const char *bytes, size_t n, struct error *err)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t len = end ? (size_t)(end - bytes) : n;

        if (r->line.len + len > r->max_line_bytes)
            return error_set(err, ERROR_LIMIT, "a line exceeds %zu bytes", r->max_line_bytes);
        buf_append(&r->line, bytes, len);
        if (end == NULL)
            return 0;
        if (!deliver(r))
            return error_set(err, ERROR_CANCELLED, "stopped");
        bytes += len + 1;
        n -= len + 1;
    }
    return 0;
}

int line_reader_end(struct line_reader *r, struct error *err)
{
    if (r->line.len == 0)
        return 0;
    return deliver(r) ? 0 : error_set(err, ERROR_CANCELLED, "stopped");
}
