/* Calls against the mock server: the whole way of a request, with every fault. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/random.h"
#include "base/str.h"
#include "io/http_client.h"
#include "io/loop.h"
#include "model/client.h"
#include "model/mock_script.h"
#include "model/mock_server.h"
#include "model/provider.h"
#include "model/tool_schema.h"

#include <stdlib.h>
#include <string.h>

struct scene {
    struct loop *loop;
    struct http_client *http;
    struct mock_server *server;
    struct provider *provider;
    struct conversation *conversation;
    struct model_call *call;
    enum wire_api wire;
    struct buf items, deltas;
    int retries, done;
    uint64_t last_delay_ms;
    struct usage usage;
    struct error err;
    char *reason;
    bool cancel_in_item, cancel_in_delta;
};

static void on_delta(void *data, const char *text, size_t n)
{
    struct scene *s = data;

    buf_append(&s->deltas, text, n);
    if (s->cancel_in_delta)
        model_call_cancel(s->call);
}

static void on_item(void *data, const struct model_item *item)
{
    struct scene *s = data;
    static const char *const kinds[] = {"message", "reasoning", "call", "other"};

    buf_printf(&s->items, "%s", kinds[item->kind]);
    if (item->name != NULL)
        buf_printf(&s->items, " %s%s %s", item->name, item->custom ? "*" : "", item->arguments);
    else
        buf_printf(&s->items, " %s", item->text != NULL ? item->text : "");
    buf_putc(&s->items, '\n');
    if (item->kind == ITEM_TOOL_CALL)
        conversation_add_tool_result(s->conversation, item->call_id, "ok", item->custom, false);
    if (s->cancel_in_item)
        model_call_cancel(s->call);
}

static void on_retry(void *data, int attempt, uint64_t delay_ms, const struct error *reason)
{
    struct scene *s = data;

    (void)attempt;
    assert_true(error_is_set(reason));
    s->retries++;
    s->last_delay_ms = delay_ms;
}

static void on_done(void *data, const struct usage *usage, const char *reason, const struct error *err)
{
    struct scene *s = data;

    s->done++;
    s->usage = *usage;
    s->reason = xstrdup(reason);
    if (err != NULL)
        s->err = *err;
    s->call = NULL;
}

static const char tools_patch[] = "a patch";

static void open_scene(struct scene *s, enum wire_api wire, const char *script)
{
    const struct tool_schema tools[] = {
        {.kind = TOOL_SCHEMA_FUNCTION,
         .name = "exec_command",
         .description = "runs",
         .parameters = "{\"type\":\"object\",\"properties\":{\"cmd\":{\"type\":\"string\"}}}"},
        {.kind = TOOL_SCHEMA_CUSTOM,
         .name = "apply_patch",
         .description = tools_patch,
         .grammar_syntax = "lark",
         .grammar = "start: /.*/"},
    };
    struct error err = {0};
    struct mock_script *parsed = mock_script_parse(script, strlen(script), "script", &err);
    char *tools_json = tool_schema_write(wire, tools, 2);

    if (parsed == NULL)
        fail_msg("%s", err.text);
    memset(s, 0, sizeof *s);
    random_seed(1);
    s->wire = wire;
    s->loop = loop_create();
    s->http = http_client_create(s->loop);
    s->server = mock_server_start(s->loop, parsed, 0, &err);
    assert_non_null(s->server);
    s->provider = provider_create_simple(s->loop, "mock", mock_server_base_url(s->server), wire, NULL);
    s->conversation = conversation_create(wire, "Be brief.", tools_json, "thread-1");
    conversation_add_message(s->conversation, MESSAGE_USER, "hello \"there\"");
    free(tools_json);
}

static void run_call(struct scene *s)
{
    const struct model_call_options options = {.model = "m",
                                               .reasoning_effort = "low",
                                               .thread_id = "thread-1",
                                               .role = "implementer",
                                               .task = "T1",
                                               .attempt = 1,
                                               .watch_deltas = true};
    const struct model_call_events events = {on_delta, on_item, on_retry, on_done};

    s->done = 0;
    s->retries = 0;
    buf_clear(&s->items);
    buf_clear(&s->deltas);
    FREE_NULL(s->reason);
    error_clear(&s->err);
    s->call = model_call_start(s->loop, s->http, s->provider, s->conversation, &options, &events, s);
    while (s->done == 0)
        if (!loop_run_once(s->loop, true) ||
            ((s->cancel_in_delta || s->cancel_in_item) && s->items.len + s->deltas.len > 0))
            break;
}

static void close_scene(struct scene *s)
{
    buf_free(&s->items);
    buf_free(&s->deltas);
    free(s->reason);
    provider_destroy(s->provider);
    conversation_destroy(s->conversation);
    http_client_destroy(s->http);
    mock_server_destroy(s->server);
    loop_destroy(s->loop);
}

static const char two_turns[] =
    "{\"rules\":[{\"match\":{\"role\":\"implementer\",\"task\":\"T1\",\"attempt\":1,\"turn\":0},"
    "\"reply\":{\"reasoning\":\"thinking\",\"message\":\"I look.\",\"tool_calls\":["
    "{\"name\":\"exec_command\",\"arguments\":{\"cmd\":\"ls {{task}}\"}},"
    "{\"name\":\"apply_patch\",\"input\":\"*** Begin Patch\\n*** End Patch\"}]}},"
    "{\"match\":{\"turn\":1},\"reply\":{\"message\":\"All done, here is a longer text that takes more than "
    "one piece.\","
    "\"usage\":{\"input_tokens\":100,\"cached_input_tokens\":60,\"output_tokens\":20,"
    "\"reasoning_output_tokens\":5}}}]}";

static void a_call_carries_items_back_and_forth(enum wire_api wire, const char *patch_line)
{
    struct scene s;

    open_scene(&s, wire, two_turns);
    run_call(&s);
    assert_string_equal(s.err.text, "");
    assert_non_null(strstr(s.items.data, "reasoning thinking\n"));
    assert_non_null(strstr(s.items.data, "message I look.\n"));
    assert_non_null(strstr(s.items.data, "call exec_command {\"cmd\":\"ls T1\"}\n"));
    assert_non_null(strstr(s.items.data, patch_line));
    assert_string_equal(s.deltas.data, "I look.");
    run_call(&s);
    assert_string_equal(s.err.text, "");
    assert_string_equal(s.items.data,
                        "message All done, here is a longer text that takes more than one piece.\n");
    assert_int_equal(s.usage.input_tokens, 100);
    assert_int_equal(s.usage.cached_input_tokens, 60);
    assert_int_equal(s.usage.output_tokens, 20);
    assert_int_equal(s.usage.requests, 1);
    close_scene(&s);
}

static void responses_carries_items_back_and_forth(void **state)
{
    (void)state;
    a_call_carries_items_back_and_forth(WIRE_RESPONSES, "call apply_patch* *** Begin Patch\n*** End Patch\n");
}

static void chat_carries_items_back_and_forth(void **state)
{
    (void)state;
    a_call_carries_items_back_and_forth(WIRE_CHAT,
                                        "call apply_patch {\"input\":\"*** Begin Patch\\n*** End Patch\"}\n");
}

static void messages_carries_items_back_and_forth(void **state)
{
    (void)state;
    a_call_carries_items_back_and_forth(WIRE_MESSAGES,
                                        "call apply_patch {\"input\":\"*** Begin Patch\\n*** End Patch\"}\n");
}

/* One fault, then the reply: the call ends well after RETRIES retries and holds one answer only. */
static void survives_on(enum wire_api wire, const char *fault, int retries)
{
    struct scene s;
    char *script = xasprintf("{\"rules\":[{\"fault\":%s,\"reply\":{\"message\":\"Grüße\"}}]}", fault);
    size_t before;

    open_scene(&s, wire, script);
    before = conversation_item_count(s.conversation);
    run_call(&s);
    assert_string_equal(s.err.text, "");
    assert_string_equal(s.items.data, "message Grüße\n");
    assert_int_equal(s.retries, retries);
    assert_int_equal(conversation_item_count(s.conversation), before + 1);
    close_scene(&s);
    free(script);
}

static void survives(const char *fault, int retries)
{
    survives_on(WIRE_RESPONSES, fault, retries);
    survives_on(WIRE_CHAT, fault, retries);
    survives_on(WIRE_MESSAGES, fault, retries);
}

static void faults_are_retried(void **state)
{
    (void)state;
    survives("{\"status\":429,\"retry_after\":0.05,\"times\":3}", 3);
    survives("{\"status\":500,\"times\":2}", 2);
    survives("{\"status\":503,\"retry_after\":0}", 1);
    survives("{\"status\":529,\"retry_after\":0}", 1);
    survives("{\"status\":408}", 1);
    survives("{\"cut_after_events\":0}", 1);
    survives("{\"cut_after_events\":2}", 1);
    survives("{\"cut_after_bytes\":200}", 1);
    survives("{\"close\":true}", 1);
    survives("{\"overloaded\":true}", 1);
    survives("{\"malformed_event\":true}", 0);
    survives("{\"dribble\":true}", 0);
    survives("{\"delay_ms\":20}", 0);
}

static void an_idle_stream_times_out_and_is_retried(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, WIRE_RESPONSES,
               "{\"rules\":[{\"fault\":{\"hang_after_events\":1},\"reply\":{\"message\":\"x\"}}]}");
    provider_set_limits(s.provider, 1, 1, 100);
    run_call(&s);
    assert_string_equal(s.err.text, "");
    assert_int_equal(s.retries, 1);
    close_scene(&s);
}

static void a_socket_that_stays_open_does_not_hold_the_answer_back(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, WIRE_RESPONSES,
               "{\"rules\":[{\"fault\":{\"hang_after_events\":99},\"reply\":{\"message\":\"x\"}}]}");
    run_call(&s);
    assert_string_equal(s.err.text, "");
    assert_int_equal(s.retries, 0);
    assert_string_equal(s.items.data, "message x\n");
    close_scene(&s);
}

/* The fault is final: no retry, and the error says this. */
static void ends_with(const char *fault, enum error_code code, const char *words, int retries)
{
    struct scene s;
    char *script = xasprintf("{\"rules\":[{\"fault\":%s,\"reply\":{\"message\":\"x\"}}]}", fault);

    open_scene(&s, WIRE_RESPONSES, script);
    provider_set_limits(s.provider, 2, 2, 5000);
    run_call(&s);
    assert_int_equal(s.err.code, code);
    if (strstr(s.err.text, words) == NULL)
        fail_msg("'%s' not in '%s'", words, s.err.text);
    assert_int_equal(s.retries, retries);
    assert_int_equal(conversation_item_count(s.conversation), 1);
    close_scene(&s);
    free(script);
}

static void final_failures_are_not_retried(void **state)
{
    (void)state;
    ends_with("{\"status\":401,\"times\":-1}", ERROR_AUTH, "refused the key", 0);
    ends_with("{\"status\":400,\"times\":-1,\"body\":{\"error\":{\"message\":\"Unknown parameter\"}}}",
              ERROR_MODEL, "Unknown parameter", 0);
    ends_with("{\"status\":404,\"times\":-1}", ERROR_MODEL, "HTTP 404", 0);
    ends_with("{\"status\":429,\"times\":-1,\"body\":{\"error\":{\"code\":\"insufficient_quota\",\"message\":"
              "\"m\"}}}",
              ERROR_MODEL, "quota", 0);
    ends_with("{\"status\":200,\"body\":{\"hello\":1}}", ERROR_MODEL, "stream of events", 0);
    ends_with("{\"status\":500,\"times\":-1}", ERROR_MODEL, "after 3 attempts", 2);
    ends_with("{\"cut_after_events\":2,\"times\":-1}", ERROR_MODEL, "after 3 attempts", 2);
}

static void a_request_no_rule_matches_is_refused_by_name(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, WIRE_RESPONSES,
               "{\"rules\":[{\"match\":{\"role\":\"reviewer\"},\"reply\":{\"message\":\"x\"}}]}");
    run_call(&s);
    assert_int_equal(s.err.code, ERROR_MODEL);
    assert_non_null(strstr(s.err.text, "role 'implementer', task 'T1', attempt 1, turn 0"));
    close_scene(&s);
}

static void an_unreachable_endpoint_is_named(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, WIRE_RESPONSES, "{\"rules\":[]}");
    provider_destroy(s.provider);
    s.provider = provider_create_simple(s.loop, "gone", "http://127.0.0.1:1/v1", WIRE_RESPONSES, NULL);
    provider_set_limits(s.provider, 1, 1, 5000);
    run_call(&s);
    assert_int_equal(s.err.code, ERROR_MODEL);
    assert_int_equal(s.retries, 1);
    assert_non_null(strstr(s.err.text, "http://127.0.0.1:1/v1"));
    close_scene(&s);
}

static void a_missing_key_names_its_variable(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, WIRE_RESPONSES, "{\"rules\":[]}");
    provider_destroy(s.provider);
    unsetenv("CADRE_TEST_NO_KEY");
    s.provider = provider_create_simple(s.loop, "acme", mock_server_base_url(s.server), WIRE_RESPONSES,
                                        "CADRE_TEST_NO_KEY");
    run_call(&s);
    assert_int_equal(s.err.code, ERROR_AUTH);
    assert_non_null(strstr(s.err.text, "CADRE_TEST_NO_KEY"));
    assert_int_equal(mock_server_answered(s.server, 0), 0);
    close_scene(&s);
}

static void cancelling_in_a_callback_is_safe(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, WIRE_RESPONSES, two_turns);
    s.cancel_in_item = true;
    run_call(&s);
    assert_int_equal(s.done, 0);
    s.cancel_in_item = false;
    close_scene(&s);
    open_scene(&s, WIRE_RESPONSES, two_turns);
    s.cancel_in_delta = true;
    run_call(&s);
    assert_int_equal(s.done, 0);
    close_scene(&s);
    open_scene(&s, WIRE_RESPONSES, two_turns);
    {
        const struct model_call_options options = {.model = "m"};
        const struct model_call_events events = {.on_done = on_done};

        model_call_cancel(
            model_call_start(s.loop, s.http, s.provider, s.conversation, &options, &events, &s));
    }
    conversation_add_message(s.conversation, MESSAGE_USER, "free again");
    close_scene(&s);
}

static void an_incomplete_answer_gives_its_reason(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, WIRE_RESPONSES,
               "{\"rules\":[{\"reply\":{\"message\":\"half\",\"incomplete\":\"max_output_tokens\"}}]}");
    run_call(&s);
    assert_string_equal(s.err.text, "");
    assert_string_equal(s.reason, "max_output_tokens");
    close_scene(&s);
}

static void a_bad_script_names_the_place(void **state)
{
    struct error err = {0};
    const char *text = "{\"rules\":[{\"reply\":{}},{\"match\":{\"rol\":\"x\"},\"reply\":{}}]}";

    (void)state;
    assert_null(mock_script_parse(text, strlen(text), "s.json", &err));
    assert_non_null(strstr(err.text, "s.json: rules[1].match: unknown key 'rol'; is 'role' meant?"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_carries_items_back_and_forth),
        cmocka_unit_test(chat_carries_items_back_and_forth),
        cmocka_unit_test(messages_carries_items_back_and_forth),
        cmocka_unit_test(faults_are_retried),
        cmocka_unit_test(an_idle_stream_times_out_and_is_retried),
        cmocka_unit_test(a_socket_that_stays_open_does_not_hold_the_answer_back),
        cmocka_unit_test(final_failures_are_not_retried),
        cmocka_unit_test(a_request_no_rule_matches_is_refused_by_name),
        cmocka_unit_test(an_unreachable_endpoint_is_named),
        cmocka_unit_test(a_missing_key_names_its_variable),
        cmocka_unit_test(cancelling_in_a_callback_is_safe),
        cmocka_unit_test(an_incomplete_answer_gives_its_reason),
        cmocka_unit_test(a_bad_script_names_the_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
