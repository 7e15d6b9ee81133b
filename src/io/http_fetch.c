/* io/http_fetch.c: a whole answer for a fiber (or, outside of one, for a small tool: then the loop is run). */
#include "base/buf.h"
#include "io/fiber.h"
#include "io/http_client.h"
#include "io/loop.h"

struct fetch {
    struct buf *body;
    int status;
    struct error err;
    bool is_over;
    struct fiber *fiber;
};

static void on_fetch_headers(void *data, int status)
{
    struct fetch *fetch = data;

    fetch->status = status;
}

static void on_fetch_body(void *data, const char *bytes, size_t n)
{
    struct fetch *fetch = data;

    if (fetch->body != NULL)
        buf_append(fetch->body, bytes, n);
}

static void on_fetch_done(void *data, const struct error *err)
{
    struct fetch *fetch = data;

    if (err != NULL)
        fetch->err = *err;
    fetch->is_over = true;
    if (fetch->fiber != NULL)
        fiber_wake(fetch->fiber);
}

int http_fetch(struct http_client *client, const struct http_request_options *options, int *status,
               struct buf *body, struct error *err)
{
    struct fetch fetch = {.body = body, .fiber = fiber_current()};
    struct http_request_options o = *options;
    struct loop *loop = http_client_loop(client);
    struct http_request *request;

    o.on_headers = on_fetch_headers;
    o.on_body = on_fetch_body;
    o.on_done = on_fetch_done;
    o.data = &fetch;
    o.done_on_destroy = true; /* nobody else would wake the fiber */
    request = http_request_start(client, &o, err);
    if (request == NULL)
        return -1;
    while (!fetch.is_over) {
        if (fetch.fiber == NULL) {
            loop_run_once(loop, true);
        } else if (fiber_wait(err) < 0) {
            if (!fetch.is_over)
                http_request_cancel(request);
            return -1;
        }
    }
    if (error_is_set(&fetch.err)) {
        if (err != NULL)
            *err = fetch.err;
        return -1;
    }
    *status = fetch.status;
    return 0;
}
