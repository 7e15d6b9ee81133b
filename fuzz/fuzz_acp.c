/* fuzz/fuzz_acp.c: whatever an ACP agent sends: updates, permission and file requests. Terminals, which would run commands,
 * are refused here. The worktree is an empty folder, read-only for the session. */
#include "agent/acp_client.h"
#include "agent/acp_updates.h"
#include "base/buf.h"
#include "io/jsonrpc.h"
#include "io/loop.h"
#include "sandbox/policy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_send(void *send_data, const char *bytes, size_t n)
{
    if (n == 0 || bytes[n - 1] != '\n' || memchr(bytes, '\n', n - 1) != NULL)
        abort();
    *(size_t *)send_data += n;
}

static bool decide(void *data, const struct acp_permission *permission, const char **reason)
{
    (void)data;
    *reason = permission->kind;
    return permission->is_inside;
}

static void emit(void *data, json_t *event)
{
    (void)data;
    if (json_string_value(json_object_get(event, "type")) == NULL)
        abort();
    json_decref(event);
}

static unsigned next_item(void *data)
{
    return ++*(unsigned *)data;
}

static void on_delta(void *data, const char *text, size_t n)
{
    (void)data;
    if (n > 0 && text == NULL)
        abort();
}

static void on_progress(void *data)
{
    (void)data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct loop *loop = loop_create();
    struct sandbox_policy policy;
    size_t sent = 0;
    unsigned items = 0;
    struct acp_client_options options = {.loop = loop, .policy = &policy, .decide = decide, .emit = emit,
                                         .next_item = next_item, .on_delta = on_delta, .on_progress = on_progress,
                                         .data = &items};
    struct jsonrpc_options rpc_options = {.send = on_send, .send_data = &sent, .max_message_bytes = 65536};
    struct acp_client *client;
    struct jsonrpc *rpc;

    sandbox_policy_init(&policy, SANDBOX_READ_ONLY, "/proc/self/fdinfo");
    client = acp_client_create(&options, NULL);
    if (client == NULL)
        abort();
    acp_client_set_session(client, "s");
    acp_client_serve(client, &rpc_options);
    rpc = jsonrpc_create(loop, &rpc_options);
    acp_updates_begin(acp_client_updates(client));
    (void)jsonrpc_feed(rpc, (const char *)data, size, NULL);
    acp_updates_end(acp_client_updates(client));
    (void)acp_updates_usage(acp_client_updates(client));
    jsonrpc_destroy(rpc);
    acp_client_destroy(client);
    sandbox_policy_finish(&policy);
    loop_destroy(loop);
    return 0;
}
