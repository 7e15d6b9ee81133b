/* tests/unit/mcp/http.c: streamable HTTP against a server that streams, ends sessions, breaks off and lies. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "config/mcp_config.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "mcp/mcp_client.h"
#include "mcp/mcp_pool.h"

#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct http_client *http;
static struct http_server *web;
static struct mcp_pool *pool;
static struct mcp_config config;
static struct buf seen; /* a line a request */
static bool is_stateless;

static void reply(struct http_exchange *x, unsigned status, const char *text)
{
    http_exchange_reply(x, status, "application/json", text, strlen(text));
}

static void stream(struct http_exchange *x, const char *text, bool is_cut)
{
    http_exchange_begin(x, 200, "text/event-stream");
    http_exchange_write(x, text, strlen(text));
    if (is_cut)
        http_exchange_abort(x);
    else
        http_exchange_end(x);
}

static void call_tool(struct http_exchange *x, const char *name, long long id)
{
    char *text;

    if (strcmp(name, "stream") == 0)
        text = xasprintf(
            ": hello\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"s1\",\"method\":\"elicitation/create\"}\n\n"
            "data: garbage\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"content\":[]}}\n\n"
            "data: "
            "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"content\":[{\"type\":\"text\",\"text\":"
            "\"streamed\"}]}}\n\n",
            id + 1000, id);
    else if (strcmp(name, "resumed") == 0 || strcmp(name, "cut") == 0)
        text = xasprintf("id: e%lld\nretry: 20\ndata: \n\n", id);
    else if (strcmp(name, "endless") == 0)
        text = xasprintf("data: {}\n\n");
    else if (strcmp(name, "gone") == 0)
        text = xasprintf("{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32001,\"message\":\"no such session\"}}");
    else
        text = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"content\":[{\"type\":\"text\","
                         "\"text\":\"plain\"}]}}",
                         id);
    if (text[0] == '{')
        reply(x, strcmp(name, "gone") == 0 ? 404 : 200, text);
    else
        stream(x, text, strcmp(name, "cut") == 0);
    free(text);
}

static void answer(struct http_exchange *x, const json_t *message)
{
    const char *method = json_get_string(message, "method", "");
    long long id = (long long)json_get_int(message, "id", 0);
    const json_t *params = json_object_get(message, "params");
    const char *tools =
        is_stateless ? "{\"name\":\"plain\",\"inputSchema\":{\"properties\":{\"region\":{\"type\":\"string\","
                       "\"x-mcp-header\":\"Region\"}}}}"
                     : "{\"name\":\"plain\"}";
    char *text = NULL;

    if (id == 0) {
        http_exchange_reply(x, 202, NULL, "", 0);
        return;
    }
    if (strcmp(method, "tools/call") == 0) {
        call_tool(x, json_get_string(params, "name", ""), id);
        return;
    }
    if (strcmp(method, "initialize") == 0) {
        http_exchange_add_header(x, "Mcp-Session-Id", "session-7");
        text = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"protocolVersion\":\"2025-06-18\","
                         "\"capabilities\":{\"tools\":{}}}}",
                         id);
    } else if (strcmp(method, "server/discover") == 0 && is_stateless) {
        text = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"supportedVersions\":[\"2026-07-28\"]"
                         ",\"capabilities\":{\"tools\":{}}}}",
                         id);
    } else if (strcmp(method, "tools/list") == 0) {
        text = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"tools\":[%s]}}", id, tools);
    }
    reply(x, text != NULL ? 200 : 400, text != NULL ? text : "<html>what?</html>");
    free(text);
}

static const char *header(struct http_exchange *x, const char *name)
{
    const char *value = http_exchange_header(x, name);

    return value != NULL ? value : "-";
}

static void on_request(void *data, struct http_exchange *x)
{
    size_t n;
    const char *body = http_exchange_body(x, &n);
    json_t *message = json_parse(body, n, "body", NULL);

    (void)data;
    buf_printf(&seen, "%s %s version=%s session=%s method=%s name=%s param=%s last=%s key=%s\n",
               http_exchange_method(x), json_get_string(message, "method", "(none)"),
               header(x, "MCP-Protocol-Version"), header(x, "Mcp-Session-Id"), header(x, "Mcp-Method"),
               header(x, "Mcp-Name"), header(x, "Mcp-Param-Region"), header(x, "Last-Event-ID"),
               header(x, "Authorization"));
    if (strcmp(http_exchange_method(x), "GET") == 0 && http_exchange_header(x, "Last-Event-ID") != NULL) {
        char *text = xasprintf("data: "
                               "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"content\":[{\"type\":\"text\","
                               "\"text\":\"resumed\"}]}}\n\n",
                               http_exchange_header(x, "Last-Event-ID") + 1);

        stream(x, text, false);
        free(text);
    } else if (message == NULL) {
        reply(x, 405, "");
    } else {
        answer(x, message);
    }
    json_decref(message);
}

static int set_up(void **state)
{
    struct http_server_options options = {.on_request = on_request};
    struct error err = {0};

    (void)state;
    loop = loop_create();
    http = http_client_create(loop);
    web = http_server_create(loop, &options, &err);
    pool = mcp_pool_create(loop, http, 0);
    setenv("TEST_TOKEN", "token-of-the-test", 1);
    config = (struct mcp_config){.id = xstrdup("web"),
                                 .url = xasprintf("http://127.0.0.1:%u/mcp", (unsigned)http_server_port(web)),
                                 .bearer_token_env_var = xstrdup("TEST_TOKEN"),
                                 .startup_timeout_ms = 5000};
    return web == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    mcp_pool_destroy(pool);
    http_server_destroy(web);
    http_client_destroy(http);
    loop_destroy(loop);
    mcp_config_finish(&config);
    buf_free(&seen);
    is_stateless = false;
    return 0;
}

static void on_done(void *data, const json_t *result, const struct error *err)
{
    struct buf *out = data;
    bool is_error;

    if (err == NULL)
        mcp_render_call(out, result, NULL, &is_error);
    else
        buf_printf(out, "failed: %s", err->text);
    buf_putc(out, '.');
}

static void check_call(struct mcp_lease *lease, const char *tool, const char *expected)
{
    json_t *params = json_pack("{s:s, s:{s:s}}", "name", tool, "arguments", "region", "north");
    const struct mcp_tool_list *tools = mcp_client_tools(mcp_lease_client(lease));
    struct str_list headers = {0};
    struct buf out = BUF_INIT;
    struct mcp_call_options options = {.method = "tools/call",
                                       .params = params,
                                       .name = tool,
                                       .headers = &headers,
                                       .timeout_ms = 5000,
                                       .on_done = on_done,
                                       .data = &out};

    if (tools->len > 0)
        mcp_tool_headers(&tools->items[0], json_object_get(params, "arguments"), &headers);
    mcp_client_call(mcp_lease_client(lease), &options);
    while (out.len == 0)
        loop_run_once(loop, true);
    if (strstr(out.data, expected) == NULL)
        fail_msg("%s: got \"%s\", expected \"%s\"", tool, out.data, expected);
    buf_free(&out);
    str_list_finish(&headers);
    json_decref(params);
}

static struct timer *tick;

static void on_tick(void *data)
{
    (void)data;
    tick = NULL;
}

static void check_seen(const char *text)
{
    /* What nobody waits for may still be under way. */
    for (int i = 0; i < 500 && strstr(buf_cstr(&seen), text) == NULL; i++) {
        tick = timer_start(loop, 10, on_tick, NULL);
        loop_run_once(loop, true);
        timer_cancel(tick);
    }
    if (strstr(buf_cstr(&seen), text) == NULL)
        fail_msg("not seen: %s\nin:\n%s", text, buf_cstr(&seen));
}

static struct mcp_lease *ready(void)
{
    struct error err = {0};
    struct mcp_lease *lease = mcp_pool_acquire(pool, &config, NULL, &err);

    if (mcp_client_connect(mcp_lease_client(lease), &err) < 0)
        fail_msg("%s", err.text);
    return lease;
}

static void stateless_requests_say_all_in_headers(void **state)
{
    struct mcp_lease *lease;

    (void)state;
    is_stateless = true;
    lease = ready();
    check_call(lease, "plain", "plain.");
    check_seen("POST server/discover version=2026-07-28 session=- method=server/discover");
    check_seen("POST tools/call version=2026-07-28 session=- method=tools/call name=plain param=north last=- "
               "key=Bearer token-of-the-test");
    assert_null(strstr(buf_cstr(&seen), "initialize"));
    check_call(lease, "cut", "failed: MCP server web: "); /* a broken stream loses the request there */
    assert_null(strstr(buf_cstr(&seen), "GET "));
    mcp_lease_release(lease);
}

static void a_session_is_kept_and_streams_are_resumed(void **state)
{
    struct mcp_lease *lease = ready();

    (void)state;
    check_seen("POST initialize version=- session=- method=- ");
    check_seen("POST notifications/initialized version=2025-06-18 session=session-7");
    check_call(lease, "plain", "plain.");
    check_seen("POST tools/call version=2025-06-18 session=session-7 method=- name=- param=- ");
    check_call(lease, "stream", "streamed.");
    check_seen("POST (none) version=2025-06-18 session=session-7"); /* the answer to its question */
    check_call(lease, "resumed", "resumed.");
    check_call(lease, "cut", "resumed.");
    check_seen("GET (none) version=2025-06-18 session=session-7 method=- name=- param=- last=e");
    check_call(lease, "endless", "the stream ended before the answer");
    mcp_lease_release(lease);
}

static void an_ended_session_is_begun_anew(void **state)
{
    struct mcp_lease *lease = ready();

    (void)state;
    check_call(lease, "gone", "no such session");
    buf_clear(&seen);
    while (mcp_client_is_connected(mcp_lease_client(lease)))
        loop_run_once(loop, true);
    check_call(lease, "plain", "plain.");
    check_seen("POST initialize");
    mcp_lease_release(lease);
}

static void what_is_missing_is_said(void **state)
{
    struct error err = {0};
    struct mcp_lease *lease;

    (void)state;
    unsetenv("TEST_TOKEN");
    lease = mcp_pool_acquire(pool, &config, NULL, &err);
    assert_int_equal(mcp_client_connect(mcp_lease_client(lease), &err), -1);
    assert_non_null(strstr(err.text, "TEST_TOKEN (bearer_token_env_var) is not set"));
    mcp_lease_release(lease);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stateless_requests_say_all_in_headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_session_is_kept_and_streams_are_resumed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_ended_session_is_begun_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_missing_is_said, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
