/* io/jsonrpc_stream.h: JSON-RPC over two descriptors: our own stdio as a server, or a socket. */
#ifndef CADRE_IO_JSONRPC_STREAM_H
#define CADRE_IO_JSONRPC_STREAM_H

#include "base/error.h"

#include <stddef.h>

struct jsonrpc;
struct jsonrpc_options;
struct jsonrpc_stream;
struct loop;

/* IN and OUT stay the caller's and may be the same. `send` of OPTIONS is set for you. ON_CLOSED (once): the
 * other side has ended its stream (WHY->code ERROR_NONE) or it broke. */
struct jsonrpc_stream *jsonrpc_stream_create(struct loop *loop, int in, int out,
                                             const struct jsonrpc_options *options,
                                             void (*on_closed)(void *data, const struct error *why),
                                             void *data);
struct jsonrpc *jsonrpc_stream_rpc(struct jsonrpc_stream *stream);

/* Bytes that the other side has not read yet. */
size_t jsonrpc_stream_queued_bytes(const struct jsonrpc_stream *stream);

/* Writes out what is still queued (blocking, at most a second), then frees. NULL is fine. */
void jsonrpc_stream_destroy(struct jsonrpc_stream *stream);

#endif
