/* mcp/mcp_transport.h: how messages reach one server and come back: a child's standard input and output, or streamable
 * HTTP. Requests are asynchronous; a callback never comes from within the call that asked for it.
 *
 * What the server asks of us is answered at once, by `answer`. */
#ifndef CADRE_MCP_MCP_TRANSPORT_H
#define CADRE_MCP_MCP_TRANSPORT_H

#include "base/error.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct http_client;
struct loop;
struct mcp_config;
struct mcp_exchange; /* one request of ours */
struct mcp_transport;

struct mcp_transport_events {
    /* The result for a request of the server; NULL: refused. A new reference. */
    json_t *(*answer)(void *data, const char *method);
    void (*on_notification)(void *data, const char *method, const json_t *params);
    /* It has ended by itself; every exchange has failed before. Destroy it in here or later. */
    void (*on_ended)(void *data, const struct error *why);
    void *data;
};

struct mcp_request {
    const char *method;
    const char *params;             /* JSON text, or NULL */
    const char *name;               /* of the tool, resource or prompt: for a header; or NULL */
    const struct str_list *headers; /* further "Name: value", or NULL */
    /* RESULT, or ERR (then RPC_ERROR is the server's error object if it sent one). Not after mcp_exchange_cancel(). */
    void (*on_result)(void *data, const json_t *result, const json_t *rpc_error, const struct error *err);
    void *data;
};

struct mcp_transport_ops {
    struct mcp_exchange *(*request)(struct mcp_transport *t, const struct mcp_request *request);
    void (*cancel)(struct mcp_exchange *x);
    void (*notify)(struct mcp_transport *t, const char *method);
    void (*set_version)(struct mcp_transport *t, const char *version, bool is_stateless, bool wants_stream);
    void (*shut)(struct mcp_transport *t);
    void (*destroy)(struct mcp_transport *t);
};

struct mcp_transport {
    const struct mcp_transport_ops *ops;
};
struct mcp_exchange {
    struct mcp_transport *transport;
};

/* A child process in a group of its own, with its environment only. EVENTS is copied. */
struct mcp_transport *mcp_stdio_open(struct loop *loop, const struct mcp_config *config,
                                     const struct mcp_transport_events *events, struct error *err);
/* Never NULL but for an address that is no http(s) URL or a token's variable that is not set. */
struct mcp_transport *mcp_http_open(struct http_client *http, const struct mcp_config *config,
                                    const struct mcp_transport_events *events, struct error *err);

struct mcp_exchange *mcp_transport_request(struct mcp_transport *t, const struct mcp_request *request);

/* Gives the request up and tells the server; no callback. NULL is fine. */
void mcp_exchange_cancel(struct mcp_exchange *x);

/* A notification without parameters. */
void mcp_transport_notify(struct mcp_transport *t, const char *method);

/* What was agreed. WANTS_STREAM: the server has said that it tells of changes. */
void mcp_transport_set_version(struct mcp_transport *t, const char *version, bool is_stateless,
                               bool wants_stream);

/* Says good-bye: closes standard input, or ends the session; on_ended comes when that is done, or never. */
void mcp_transport_shut(struct mcp_transport *t);
void mcp_transport_destroy(struct mcp_transport *t); /* no callback any more; kills; NULL is fine */

#endif
