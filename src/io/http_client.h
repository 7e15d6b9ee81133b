/* io/http_client.h: HTTP(S) requests with streamed answers on the loop (libcurl multi interface).
 *
 * Connections are kept alive and shared by all requests of one client. HTTP/1.1 by default; HTTP/2 where a
 * provider asks for it. A request body is a list of borrowed pieces that must stay as they are until the
 * request ends, so that a conversation's serialised history is sent without a copy. */
#ifndef CADRE_IO_HTTP_CLIENT_H
#define CADRE_IO_HTTP_CLIENT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct http_client;
struct http_request;

struct http_piece {
    const char *data;
    size_t len;
};

struct http_request_options {
    const char *method; /* "GET", "POST", "DELETE" */
    const char *url;
    const char *const *headers;    /* NULL-terminated "Name: value"; copied */
    const struct http_piece *body; /* borrowed until the end; the array itself is copied */
    size_t body_count;
    uint64_t connect_timeout_ms; /* 0: 10 s */
    uint64_t idle_timeout_ms;    /* no byte for so long: ERROR_TIMEOUT; 0: none */
    uint64_t total_timeout_ms;   /* 0: none */
    bool http2;
    size_t max_body_bytes; /* answer larger than this: ERROR_LIMIT; 0: 256 MiB */

    /* Status and headers are complete (once, before any body). */
    void (*on_headers)(void *data, int status);
    /* A piece of the body. */
    void (*on_body)(void *data, const char *bytes, size_t n);
    /* The end: ERR is NULL when the answer is complete (whatever its status). The request is freed after
     * this returns; http_request_cancel() inside it is a no-op. Not called after http_request_cancel(). */
    void (*on_done)(void *data, const struct error *err);
    void *data;
    bool done_on_destroy; /* on_done is told of http_client_destroy(), too (ERROR_CANCELLED) */
};

/* Costs nothing before the first request, which loads libcurl (some 15 ms, once a process). */
struct http_client *http_client_create(struct loop *loop);
/* Cancels what is under way (http_fetch() fails). Not within a callback of a request. NULL is
 * fine. */
void http_client_destroy(struct http_client *client);
struct loop *http_client_loop(const struct http_client *client);

/* NULL with ERR set when it cannot be made: a header with a line break, no libcurl on this machine. */
struct http_request *http_request_start(struct http_client *client,
                                        const struct http_request_options *options, struct error *err);
int http_request_status(const struct http_request *request);
/* Value of an answer's header (last one of that name), or NULL; valid until the request ends. */
const char *http_request_header(const struct http_request *request, const char *name);
/* Stops it at once; no callback any more; frees. Allowed inside on_headers and on_body. */
void http_request_cancel(struct http_request *request);

/* Whole answer for a fiber: the body is appended to BODY (a struct buf *). 0 when an answer came. */
struct buf;
int http_fetch(struct http_client *client, const struct http_request_options *options, int *status,
               struct buf *body, struct error *err);

#endif
