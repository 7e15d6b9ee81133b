/* io/jsonrpc.h: JSON-RPC 2.0 over any byte stream, one object a line: both sides may call.
 *
 * The owner brings the bytes: it feeds what it receives and sends what it is given (io/jsonrpc_process.h and
 * io/jsonrpc_stream.h do that for a child's stdio and for descriptors). Messages are bounded, batches are
 * refused (neither MCP nor ACP uses them), answers to unknown ids are ignored. */
#ifndef CADRE_IO_JSONRPC_H
#define CADRE_IO_JSONRPC_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jsonrpc;
struct jsonrpc_request; /* one of ours, waiting for its answer */
struct jsonrpc_call;    /* one of theirs, waiting for ours */
struct loop;

enum {
    JSONRPC_PARSE_ERROR = -32700,
    JSONRPC_INVALID_REQUEST = -32600,
    JSONRPC_METHOD_NOT_FOUND = -32601,
    JSONRPC_INVALID_PARAMS = -32602,
    JSONRPC_INTERNAL_ERROR = -32603,
};

struct jsonrpc_options {
    /* Sends N bytes: whole lines. */
    void (*send)(void *send_data, const char *bytes, size_t n);
    void *send_data;
    /* A request of the other side: answer it now or later by jsonrpc_reply() or jsonrpc_reply_error().
     * METHOD and PARAMS (NULL when absent) live until it returns. NULL: every method is refused. */
    void (*on_call)(void *data, struct jsonrpc_call *call, const char *method, const json_t *params);
    void (*on_notification)(void *data, const char *method, const json_t *params);
    void *data;
    size_t max_message_bytes; /* 0: 64 MiB */
    /* So many bytes since the last answer to a request of ours are a flood: jsonrpc_feed() fails. 0: no bound. */
    size_t max_unanswered_bytes;
    bool is_silent; /* lines that are no messages are skipped without an answer (MCP on stdio) */
};

struct jsonrpc *jsonrpc_create(struct loop *loop, const struct jsonrpc_options *options);

/* Forgets all: pending requests get no callback (but jsonrpc_fetch() fails), handles of requests and calls are
 * gone. May be called within any of its callbacks. */
void jsonrpc_destroy(struct jsonrpc *rpc);

/* Received bytes. A line that is no JSON-RPC message is answered as the specification says and skipped;
 * -1 only when a message is too large, or too much came without an answer. */
int jsonrpc_feed(struct jsonrpc *rpc, const char *bytes, size_t n, struct error *err);

/* The stream has ended: every pending request fails with a copy of WHY. Later requests fail at once (in
 * the next round of the loop). */
void jsonrpc_end(struct jsonrpc *rpc, const struct error *why);

/* Sends a request. PARAMS is JSON text (an object or an array) or NULL. ON_RESULT gets RESULT, or ERR (then
 * RPC_ERROR is the other side's error object if it sent one); it is not called after
 * jsonrpc_request_cancel(). TIMEOUT_MS 0: none. The request is freed when ON_RESULT returns. */
struct jsonrpc_request *jsonrpc_request(struct jsonrpc *rpc, const char *method, const char *params,
                                        uint64_t timeout_ms,
                                        void (*on_result)(void *data, const json_t *result,
                                                          const json_t *rpc_error, const struct error *err),
                                        void *data);
int64_t jsonrpc_request_id(const struct jsonrpc_request *request);

/* Waits no more. The protocol's own way to tell the other side is the caller's. NULL is fine. */
void jsonrpc_request_cancel(struct jsonrpc_request *request);

/* The same for a fiber. *RESULT is the caller's to json_decref(). */
int jsonrpc_fetch(struct jsonrpc *rpc, const char *method, const char *params, uint64_t timeout_ms,
                  json_t **result, struct error *err);

void jsonrpc_notify(struct jsonrpc *rpc, const char *method, const char *params);

/* Ends CALL. RESULT is JSON text. */
void jsonrpc_reply(struct jsonrpc_call *call, const char *result);
void jsonrpc_reply_error(struct jsonrpc_call *call, int code, const char *message);

/* The other side's id, as it sent it (a number or a string). */
const json_t *jsonrpc_call_id(const struct jsonrpc_call *call);
struct jsonrpc *jsonrpc_call_rpc(const struct jsonrpc_call *call);
/* A slot for the one who answers later. */
void jsonrpc_call_set_data(struct jsonrpc_call *call, void *data);
void *jsonrpc_call_data(const struct jsonrpc_call *call);
/* The open call of that id (a protocol's cancel notification names it), or NULL. */
struct jsonrpc_call *jsonrpc_find_call(struct jsonrpc *rpc, const json_t *id);

#endif
