/* io/sse.c: server-sent events (WHATWG HTML, 9.2.6 "Interpreting an event stream"). */
#include "io/sse.h"

#include <string.h>

#define DEFAULT_EVENT_BYTES ((size_t)16 << 20)
#define RETRY_MAX_DIGITS    9
#define BYTE_ORDER_MARK     "\xEF\xBB\xBF"

void sse_parser_init(struct sse_parser *p, size_t max_event_bytes,
                     bool (*on_event)(void *user, const char *event, const char *data, size_t data_len),
                     void *user)
{
    memset(p, 0, sizeof(*p));
    p->max_event_bytes = max_event_bytes ? max_event_bytes : DEFAULT_EVENT_BYTES;
    p->retry_ms = -1;
    p->on_event = on_event;
    p->user = user;
}

void sse_parser_finish(struct sse_parser *p)
{
    buf_free(&p->line);
    buf_free(&p->event);
    buf_free(&p->data);
    buf_free(&p->last_id);
}

/* An empty line: the event is complete. False when on_event stopped it: then P may be gone. */
static bool dispatch(struct sse_parser *p)
{
    if (!p->has_data) {
        buf_clear(&p->event);
        return true;
    }
    /* Each data line added a line feed; the last one is not part of it. */
    buf_truncate(&p->data, p->data.len - 1);
    if (!p->on_event(p->user, buf_cstr(&p->event), buf_cstr(&p->data), p->data.len))
        return false;
    buf_clear(&p->data);
    buf_clear(&p->event);
    p->has_data = false;
    return true;
}

static bool is_field(const char *line, size_t name_len, const char *name)
{
    return name_len == strlen(name) && memcmp(line, name, name_len) == 0;
}

static bool take_line(struct sse_parser *p, const char *line, size_t n)
{
    const char *colon;
    const char *value;
    size_t name_len;
    size_t value_len;

    if (n == 0)
        return dispatch(p);
    colon = memchr(line, ':', n);
    name_len = colon ? (size_t)(colon - line) : n;
    value = colon ? colon + 1 : line + n;
    value_len = (size_t)(line + n - value);
    if (value_len > 0 && value[0] == ' ') {
        value++;
        value_len--;
    }

    if (is_field(line, name_len, "data")) {
        buf_append(&p->data, value, value_len);
        buf_putc(&p->data, '\n');
        p->has_data = true;
    } else if (is_field(line, name_len, "event")) {
        buf_clear(&p->event);
        buf_append(&p->event, value, value_len);
    } else if (is_field(line, name_len, "id") && memchr(value, '\0', value_len) == NULL) {
        buf_clear(&p->last_id);
        buf_append(&p->last_id, value, value_len);
    } else if (is_field(line, name_len, "retry") && value_len > 0 && value_len <= RETRY_MAX_DIGITS) {
        int64_t ms = 0;

        for (size_t i = 0; i < value_len; i++) {
            if (value[i] < '0' || value[i] > '9')
                return true;
            ms = ms * 10 + (value[i] - '0');
        }
        p->retry_ms = ms;
    }
    return true; /* comments and unknown fields mean nothing to us */
}

/* Skips a byte order mark, which may come in pieces. False while more bytes are needed to tell. */
static bool skip_mark(struct sse_parser *p, const char **bytes, size_t *n)
{
    while (*n > 0 && p->line.len < 3) {
        if (**bytes != BYTE_ORDER_MARK[p->line.len]) {
            p->started = true; /* none: what was held back is the start of a line */
            return true;
        }
        buf_putc(&p->line, **bytes);
        (*bytes)++;
        (*n)--;
    }
    if (p->line.len < 3)
        return false;
    buf_clear(&p->line);
    p->started = true;
    return true;
}

static size_t line_length(const char *bytes, size_t n)
{
    const char *lf = memchr(bytes, '\n', n);
    size_t len = lf ? (size_t)(lf - bytes) : n;
    const char *cr = memchr(bytes, '\r', len);

    return cr ? (size_t)(cr - bytes) : len;
}

int sse_parser_feed(struct sse_parser *p, const char *bytes, size_t n, struct error *err)
{
    if (!p->started && !skip_mark(p, &bytes, &n))
        return 0;
    while (n > 0) {
        size_t len;
        bool goes_on;

        if (p->skip_lf && bytes[0] == '\n') {
            p->skip_lf = false;
            bytes++;
            n--;
            continue;
        }
        p->skip_lf = false;
        len = line_length(bytes, n);
        if (p->line.len + p->data.len + len > p->max_event_bytes)
            return error_set(err, ERROR_LIMIT, "an event of the stream exceeds %zu bytes",
                             p->max_event_bytes);
        if (len == n) {
            buf_append(&p->line, bytes, n);
            return 0;
        }
        p->skip_lf = bytes[len] == '\r';
        if (p->line.len > 0) {
            /* The line came in pieces. */
            buf_append(&p->line, bytes, len);
            goes_on = take_line(p, p->line.data, p->line.len);
            if (goes_on)
                buf_clear(&p->line);
        } else {
            goes_on = take_line(p, bytes, len);
        }
        if (!goes_on)
            return error_set(err, ERROR_CANCELLED, "stopped");
        bytes += len + 1;
        n -= len + 1;
    }
    return 0;
}
