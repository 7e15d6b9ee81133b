/* fuzz/fuzz_jsonrpc.c: whatever the other side of a JSON-RPC stream sends. */
#include "base/buf.h"
#include "io/jsonrpc.h"
#include "io/loop.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_send(void *send_data, const char *bytes, size_t n)
{
    /* Whole lines only, and nothing else in between. */
    if (n == 0 || bytes[n - 1] != '\n' || memchr(bytes, '\n', n - 1) != NULL)
        abort();
    *(size_t *)send_data += n;
}

static void on_call(void *data, struct jsonrpc_call *call, const char *method, const json_t *params)
{
    (void)data;
    (void)params;
    if (method[0] == 'h')
        return; /* held open until the end */
    if (method[0] == 'e')
        jsonrpc_reply_error(call, JSONRPC_INTERNAL_ERROR, method);
    else
        jsonrpc_reply(call, "{}");
}

static void on_notification(void *data, const char *method, const json_t *params)
{
    (void)method;
    (void)params;
    ++*(size_t *)data;
}

static void on_result(void *data, const json_t *result, const json_t *rpc_error, const struct error *err)
{
    (void)rpc_error;
    if ((result == NULL) == (err == NULL))
        abort();
    ++*(size_t *)data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count = 0;
    size_t sent = 0;
    const struct jsonrpc_options options = {
        .send = on_send,
        .send_data = &sent,
        .on_call = on_call,
        .on_notification = on_notification,
        .data = &count,
        .max_message_bytes = 65536,
    };
    struct loop *loop = loop_create();
    struct jsonrpc *rpc = jsonrpc_create(loop, &options);

    jsonrpc_request(rpc, "one", NULL, 0, on_result, &count);
    jsonrpc_request(rpc, "two", "[1]", 0, on_result, &count);
    (void)jsonrpc_feed(rpc, (const char *)data, size, NULL);
    jsonrpc_destroy(rpc);
    loop_destroy(loop);
    return 0;
}
