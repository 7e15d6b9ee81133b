/* io/http_server.h: an HTTP/1.1 server on loopback, in the loop (libmicrohttpd): for `cadre mock`, the
 * dashboard, and tests.
 *
 * An exchange is one request and its answer. The handler answers at once or keeps the exchange and answers
 * later. It ends with http_exchange_reply(), _end() or _abort(), or when the peer goes away; then its
 * on_closed is called once and the handle must not be used any more. */
#ifndef CADRE_IO_HTTP_SERVER_H
#define CADRE_IO_HTTP_SERVER_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct http_exchange;
struct http_server;
struct loop;

struct http_server_options {
    uint16_t port;         /* 0: any free one */
    size_t max_body_bytes; /* 0: 64 MiB; more is answered with 413 */
    /* The request is complete. */
    void (*on_request)(void *data, struct http_exchange *exchange);
    void *data;
};

/* Listens on 127.0.0.1. NULL with ERR set ("port 80: Permission denied"). */
struct http_server *http_server_create(struct loop *loop, const struct http_server_options *options,
                                       struct error *err);
uint16_t http_server_port(const struct http_server *server);
/* Cuts what is open (with on_closed) and frees. Not within on_request. NULL is fine. */
void http_server_destroy(struct http_server *server);

/* The request; valid as long as the exchange. */
const char *http_exchange_method(const struct http_exchange *exchange);
const char *http_exchange_path(const struct http_exchange *exchange); /* decoded, without the query */
const char *http_exchange_query(const struct http_exchange *exchange, const char *name);  /* or NULL */
const char *http_exchange_header(const struct http_exchange *exchange, const char *name); /* or NULL */
const char *http_exchange_body(const struct http_exchange *exchange, size_t *n);          /* NUL-terminated */

/* Called once when the exchange is over, whoever ended it. */
void http_exchange_on_closed(struct http_exchange *exchange, void (*on_closed)(void *data), void *data);

/* The answer. Headers first, then a whole body, or begin, any number of writes, and end. */
void http_exchange_add_header(struct http_exchange *exchange, const char *name, const char *value);
void http_exchange_reply(struct http_exchange *exchange, unsigned status, const char *content_type,
                         const void *bytes, size_t n);
void http_exchange_begin(struct http_exchange *exchange, unsigned status, const char *content_type);
void http_exchange_write(struct http_exchange *exchange, const void *bytes, size_t n);
/* Bytes written and not yet taken by the connection: bound your queue by it. */
size_t http_exchange_queued(const struct http_exchange *exchange);
void http_exchange_end(struct http_exchange *exchange);
/* Cuts the connection where it stands: before any answer, or in the midst of a streamed one (what was
 * written is sent first). */
void http_exchange_abort(struct http_exchange *exchange);

#endif
