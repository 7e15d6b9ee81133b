/* io/sse.h: server-sent events, fed in any cuts (WHATWG HTML, "Server-sent events", parsing). */
#ifndef CADRE_IO_SSE_H
#define CADRE_IO_SSE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sse_parser {
    struct buf line;
    struct buf event;
    struct buf data;
    struct buf last_id;
    bool has_data;
    bool skip_lf;
    bool started; /* the byte order mark has been looked for */
    int64_t retry_ms; /* the last "retry" field: how long to wait before a reconnection; -1: none came */
    size_t max_event_bytes;
    /* One event; EVENT is "" when not named. The pointers live until it returns. Return false to stop. */
    bool (*on_event)(void *user, const char *event, const char *data, size_t data_len);
    void *user;
};

/* MAX_EVENT_BYTES bounds one event (0: 16 MiB). */
void sse_parser_init(struct sse_parser *p, size_t max_event_bytes,
                     bool (*on_event)(void *user, const char *event, const char *data, size_t data_len),
                     void *user);
/* 0, or -1: an event is too large (ERROR_LIMIT), or on_event stopped it (ERROR_CANCELLED). */
int sse_parser_feed(struct sse_parser *p, const char *bytes, size_t n, struct error *err);
void sse_parser_finish(struct sse_parser *p);

#endif
