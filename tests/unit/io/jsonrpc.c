/* tests/unit/io/jsonrpc.c: both sides of JSON-RPC, over a socket pair and over a child's stdio. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "io/fiber.h"
#include "io/jsonrpc.h"
#include "io/jsonrpc_process.h"
#include "io/jsonrpc_stream.h"
#include "io/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;

struct side {
    struct jsonrpc *rpc;
    struct buf sent;
    struct buf log;
    struct jsonrpc_call *held;
    bool destroys_in_callback;
};

static void keep(void *send_data, const char *bytes, size_t n)
{
    buf_append(&((struct side *)send_data)->sent, bytes, n);
}

static void on_call(void *data, struct jsonrpc_call *call, const char *method, const json_t *params)
{
    struct side *side = data;

    if (side->destroys_in_callback) {
        jsonrpc_destroy(side->rpc);
        side->rpc = NULL;
    } else if (str_eq(method, "hold")) {
        side->held = call;
    } else if (str_eq(method, "add")) {
        struct buf out = BUF_INIT;

        buf_printf(&out, "{\"sum\":%lld}",
                   (long long)(json_get_int(params, "a", 0) + json_get_int(params, "b", 0)));
        jsonrpc_reply(call, buf_cstr(&out));
        buf_free(&out);
    } else {
        jsonrpc_reply_error(call, JSONRPC_METHOD_NOT_FOUND, "Method not found");
    }
}

static void on_notification(void *data, const char *method, const json_t *params)
{
    struct side *side = data;

    buf_printf(&side->log, "%s(%zu) ", method, json_object_size(params));
}

static struct jsonrpc_options options_of(struct side *side)
{
    return (struct jsonrpc_options){.send = keep,
                                    .send_data = side,
                                    .on_call = on_call,
                                    .on_notification = on_notification,
                                    .data = side,
                                    .max_message_bytes = 10000};
}

static void open_side(struct side *side)
{
    const struct jsonrpc_options options = options_of(side);

    *side = (struct side){0};
    side->rpc = jsonrpc_create(loop, &options);
}

static void close_side(struct side *side)
{
    jsonrpc_destroy(side->rpc);
    buf_free(&side->sent);
    buf_free(&side->log);
}

static void feed(struct side *side, const char *text)
{
    assert_int_equal(jsonrpc_feed(side->rpc, text, strlen(text), NULL), 0);
}

static void expect_sent(struct side *side, const char *expected)
{
    assert_string_equal(buf_cstr(&side->sent), expected);
    buf_clear(&side->sent);
}

static void jsonrpc_answers_calls(void **state)
{
    struct side side;

    (void)state;
    open_side(&side);
    feed(&side, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"add\",\"para");
    feed(&side, "ms\":{\"a\":1,\"b\":2}}\n");
    expect_sent(&side, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{\"sum\":3}}\n");
    feed(&side, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"no\"}\r\n");
    expect_sent(
        &side,
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}\n");
    feed(&side, "{\"method\":\"note\",\"params\":{\"k\":1}}\n\n{\"method\":\"bare\"}\n");
    assert_string_equal(buf_cstr(&side.log), "note(1) bare(0) ");
    expect_sent(&side, "");
    close_side(&side);
}

static void jsonrpc_refuses_what_is_no_message(void **state)
{
    struct side side;
    struct error err = {0};
    char *long_line;

    (void)state;
    open_side(&side);
    feed(&side, "{nonsense\n");
    assert_true(
        str_starts_with(buf_cstr(&side.sent), "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700"));
    buf_clear(&side.sent);
    feed(&side, "[{\"method\":\"a\"}]\n");
    assert_non_null(strstr(buf_cstr(&side.sent), "-32600"));
    buf_clear(&side.sent);
    feed(&side, "{\"id\":{},\"method\":\"add\"}\n");
    assert_non_null(strstr(buf_cstr(&side.sent), "-32600"));
    buf_clear(&side.sent);
    feed(&side, "{\"id\":1,\"method\":\"add\",\"params\":7}\n");
    assert_non_null(strstr(buf_cstr(&side.sent), "-32600"));
    buf_clear(&side.sent);
    feed(&side, "{\"id\":99,\"result\":1}\n"); /* nobody asked */
    expect_sent(&side, "");

    long_line = xmalloc(20000);
    memset(long_line, ' ', 20000);
    assert_int_equal(jsonrpc_feed(side.rpc, long_line, 20000, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    free(long_line);
    close_side(&side);
}

static void jsonrpc_answers_later_and_finds_open_calls(void **state)
{
    struct side side;
    json_t *id = json_integer(7);

    (void)state;
    open_side(&side);
    feed(&side, "{\"id\":7,\"method\":\"hold\"}\n");
    assert_ptr_equal(jsonrpc_find_call(side.rpc, id), side.held);
    assert_true(json_equal(jsonrpc_call_id(side.held), id));
    jsonrpc_reply(side.held, "[1]");
    expect_sent(&side, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":[1]}\n");
    assert_null(jsonrpc_find_call(side.rpc, id));
    feed(&side, "{\"id\":8,\"method\":\"hold\"}\n"); /* left open: freed with the rpc */
    json_decref(id);
    close_side(&side);
}

struct answer {
    struct side *side;
    char *text;
    struct error err;
    int calls;
    int64_t code;
    bool destroys;
};

static void on_result(void *data, const json_t *result, const json_t *rpc_error, const struct error *err)
{
    struct answer *answer = data;

    answer->calls++;
    if (err != NULL)
        answer->err = *err;
    else
        answer->text = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
    answer->code = json_get_int(rpc_error, "code", 0);
    if (answer->destroys) {
        jsonrpc_destroy(answer->side->rpc);
        answer->side->rpc = NULL;
    }
}

static void jsonrpc_matches_answers_to_requests(void **state)
{
    struct answer one = {0};
    struct answer two = {0};
    struct answer three = {0};
    struct side side;
    struct jsonrpc_request *cancelled;

    (void)state;
    open_side(&side);
    jsonrpc_request(side.rpc, "first", "{\"p\":1}", 0, on_result, &one);
    jsonrpc_request(side.rpc, "second", NULL, 0, on_result, &two);
    cancelled = jsonrpc_request(side.rpc, "third", NULL, 0, on_result, &three);
    assert_int_equal(jsonrpc_request_id(cancelled), 3);
    expect_sent(&side, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"first\",\"params\":{\"p\":1}}\n"
                       "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"second\"}\n"
                       "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"third\"}\n");
    jsonrpc_request_cancel(cancelled);
    feed(&side, "{\"id\":3,\"result\":0}\n{\"id\":2,\"error\":{\"code\":-5,\"message\":\"no\"}}\n"
                "{\"id\":1,\"result\":{\"r\":1}}\n{\"id\":1,\"result\":2}\n");
    assert_string_equal(one.text, "{\"r\":1}");
    assert_int_equal(one.calls, 1);
    assert_string_equal(two.err.text, "second: no (code -5)");
    assert_int_equal(two.code, -5);
    assert_int_equal(three.calls, 0);
    free(one.text);
    close_side(&side);
}

static void jsonrpc_times_out_and_fails_at_the_end(void **state)
{
    struct answer late = {0};
    struct answer cut = {0};
    struct answer after = {0};
    struct side side;
    struct error why = {0};

    (void)state;
    open_side(&side);
    jsonrpc_request(side.rpc, "slow", NULL, 5, on_result, &late);
    loop_run(loop);
    assert_int_equal(late.err.code, ERROR_TIMEOUT);
    assert_string_equal(late.err.text, "slow: no answer within 5 ms");

    jsonrpc_request(side.rpc, "cut", NULL, 0, on_result, &cut);
    jsonrpc_end(side.rpc, &why);
    assert_string_equal(cut.err.text, "cut: the other side has closed the connection");
    jsonrpc_request(side.rpc, "after", NULL, 0, on_result, &after);
    assert_int_equal(after.calls, 0);
    loop_run(loop);
    assert_int_equal(after.calls, 1);
    close_side(&side);
}

static void jsonrpc_may_be_destroyed_in_its_callbacks(void **state)
{
    struct side side;
    struct answer answer = {.side = &side, .destroys = true};
    struct answer other = {0};

    (void)state;
    open_side(&side);
    jsonrpc_request(side.rpc, "a", NULL, 1000, on_result, &answer);
    jsonrpc_request(side.rpc, "b", NULL, 1000, on_result, &other);
    feed(&side, "{\"id\":1,\"result\":1}\n{\"id\":2,\"result\":1}\n");
    assert_int_equal(answer.calls, 1);
    assert_int_equal(other.calls, 0);
    free(answer.text);
    close_side(&side);

    open_side(&side);
    side.destroys_in_callback = true;
    feed(&side, "{\"id\":1,\"method\":\"x\"}\n{\"id\":2,\"method\":\"x\"}\n");
    expect_sent(&side, "");
    close_side(&side);
}

struct pair {
    struct jsonrpc_stream *a;
    struct jsonrpc_stream *b;
    bool is_closed;
    struct error why;
};

static void on_closed(void *data, const struct error *why)
{
    struct pair *pair = data;

    pair->is_closed = true;
    pair->why = *why;
}

static void talks_over_a_socket(void *arg)
{
    struct side side = {0};
    const struct jsonrpc_options options = options_of(&side);
    struct pair pair = {0};
    struct error err = {0};
    json_t *result;
    int fds[2];

    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pair.a = jsonrpc_stream_create(loop, fds[0], fds[0], &options, on_closed, &pair);
    pair.b = jsonrpc_stream_create(loop, fds[1], fds[1], &options, NULL, NULL);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(
            jsonrpc_fetch(jsonrpc_stream_rpc(pair.a), "add", "{\"a\":20,\"b\":3}", 0, &result, &err), 0);
        assert_int_equal(json_get_int(result, "sum", 0), 23);
        json_decref(result);
    }
    assert_int_equal(jsonrpc_fetch(jsonrpc_stream_rpc(pair.b), "nothing", NULL, 0, &result, &err), -1);
    assert_string_equal(err.text, "nothing: Method not found (code -32601)");
    assert_null(result);
    jsonrpc_notify(jsonrpc_stream_rpc(pair.b), "bye", "{}");
    jsonrpc_stream_destroy(pair.b);
    close(fds[1]);
    while (!pair.is_closed)
        assert_int_equal(fiber_sleep(1, NULL), 0);
    assert_int_equal(pair.why.code, ERROR_NONE);
    assert_string_equal(buf_cstr(&side.log), "bye(0) ");
    jsonrpc_stream_destroy(pair.a);
    close(fds[0]);
    buf_free(&side.log);
}

static void jsonrpc_stream_talks_over_a_socket(void **state)
{
    (void)state;
    fiber_run_to_end(loop, talks_over_a_socket, NULL);
}

static void on_ended(void *data, const struct error *why)
{
    struct pair *pair = data;

    pair->is_closed = true;
    pair->why = *why;
}

static struct jsonrpc_process *start_child(const char *script, struct side *side, struct pair *pair)
{
    const struct jsonrpc_options options = options_of(side);
    const struct jsonrpc_process_options process_options = {
        .argv = (const char *const[]){"sh", "-c", script, NULL},
        .rpc = &options,
        .on_ended = on_ended,
        .data = pair,
    };
    struct error err = {0};
    struct jsonrpc_process *p = jsonrpc_process_start(loop, &process_options, &err);

    if (p == NULL)
        fail_msg("%s", err.text);
    return p;
}

static void talks_to_a_child(void *arg)
{
    struct side side = {0};
    struct pair pair = {0};
    struct error err = {0};
    json_t *result;
    struct jsonrpc_process *p;

    (void)arg;
    /* Answers one request, then ends by itself with a complaint. */
    p = start_child(
        "read line; echo '{\"method\":\"hello\"}'; echo '{\"id\":1,\"result\":\"ok\"}'; read line; "
        "echo one >&2; echo oh no >&2; exit 3",
        &side, &pair);
    assert_int_equal(jsonrpc_fetch(jsonrpc_process_rpc(p), "go", NULL, 5000, &result, &err), 0);
    assert_string_equal(json_string_value(result), "ok");
    assert_string_equal(buf_cstr(&side.log), "hello(0) ");
    json_decref(result);
    assert_int_equal(jsonrpc_fetch(jsonrpc_process_rpc(p), "more", NULL, 5000, &result, &err), -1);
    assert_string_equal(err.text, "more: sh: exited with code 3\n  it wrote: oh no");
    assert_true(pair.is_closed);
    jsonrpc_process_destroy(p);

    /* One that does not end when its input does is killed. */
    pair = (struct pair){0};
    p = start_child("while true; do sleep 1000; done", &side, &pair);
    jsonrpc_process_stop(p, 20);
    assert_false(pair.is_closed); /* it did not end by itself */
    jsonrpc_process_destroy(p);

    p = start_child("cat > /dev/null", &side, &pair);
    jsonrpc_process_stop(p, 10000);
    jsonrpc_process_destroy(p);

    /* One that floods us with a line without end is killed. */
    p = start_child("head -c 100000 /dev/zero; sleep 1000", &side, &pair);
    while (!pair.is_closed)
        assert_int_equal(fiber_sleep(1, NULL), 0);
    assert_string_equal(pair.why.text, "sh: a line exceeds 10000 bytes");
    jsonrpc_process_destroy(p);
    buf_free(&side.log);
}

struct waiting {
    struct side side;
    struct fiber_group group;
    int rc;
    struct error err;
};

static void waits_for_an_answer(void *arg)
{
    struct waiting *w = arg;
    json_t *result;

    w->rc = jsonrpc_fetch(w->side.rpc, "never", NULL, 0, &result, &w->err);
    fiber_group_done(&w->group);
}

static void gives_up_under_a_fiber(void *arg)
{
    struct waiting *w = arg;

    open_side(&w->side);
    fiber_group_add(&w->group);
    fiber_start(loop, waits_for_an_answer, w);
    assert_int_equal(fiber_sleep(2, NULL), 0);
    close_side(&w->side);
    assert_int_equal(fiber_group_wait(&w->group, NULL), 0);
    assert_int_equal(w->rc, -1);
    assert_int_equal(w->err.code, ERROR_CANCELLED);
}

static void jsonrpc_fetch_fails_when_its_connection_is_given_up(void **state)
{
    struct waiting w = {0};

    (void)state;
    fiber_run_to_end(loop, gives_up_under_a_fiber, &w);
}

static void jsonrpc_process_talks_to_a_child(void **state)
{
    (void)state;
    fiber_run_to_end(loop, talks_to_a_child, NULL);
}

static int make_loop(void **state)
{
    (void)state;
    loop = loop_create();
    return 0;
}

static int drop_loop(void **state)
{
    (void)state;
    loop_destroy(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jsonrpc_answers_calls),
        cmocka_unit_test(jsonrpc_refuses_what_is_no_message),
        cmocka_unit_test(jsonrpc_answers_later_and_finds_open_calls),
        cmocka_unit_test(jsonrpc_matches_answers_to_requests),
        cmocka_unit_test(jsonrpc_times_out_and_fails_at_the_end),
        cmocka_unit_test(jsonrpc_may_be_destroyed_in_its_callbacks),
        cmocka_unit_test(jsonrpc_stream_talks_over_a_socket),
        cmocka_unit_test(jsonrpc_fetch_fails_when_its_connection_is_given_up),
        cmocka_unit_test(jsonrpc_process_talks_to_a_child),
    };

    return cmocka_run_group_tests(tests, make_loop, drop_loop);
}
