/* tests/unit/io/http.c: the client against the server, over real sockets, in one loop. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "io/fiber.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct http_server *server;
static struct http_client *client;
static unsigned requests_seen;
static unsigned closed_seen;

static char *url_of(const char *path)
{
    return xasprintf("http://127.0.0.1:%u%s", (unsigned)http_server_port(server), path);
}

/* --- What the server does, by path --- */

struct ticker {
    struct http_exchange *exchange;
    struct timer *timer;
    int left;
    bool cuts;
};

static void on_ticker_closed(void *data)
{
    struct ticker *ticker = data;

    timer_cancel(ticker->timer);
    free(ticker);
    closed_seen++;
}

static void on_tick(void *data)
{
    struct ticker *ticker = data;
    char text[32];

    ticker->timer = NULL;
    if (ticker->left-- == 0) {
        if (ticker->cuts)
            http_exchange_abort(ticker->exchange);
        else
            http_exchange_end(ticker->exchange);
        return;
    }
    snprintf(text, sizeof(text), "data: %d\n\n", ticker->left);
    http_exchange_write(ticker->exchange, text, strlen(text));
    ticker->timer = timer_start(loop, 2, on_tick, ticker);
}

static void start_ticker(struct http_exchange *exchange, int count, bool cuts)
{
    struct ticker *ticker = xcalloc(1, sizeof(*ticker));

    ticker->exchange = exchange;
    ticker->left = count;
    ticker->cuts = cuts;
    http_exchange_on_closed(exchange, on_ticker_closed, ticker);
    http_exchange_begin(exchange, 200, "text/event-stream");
    ticker->timer = timer_start(loop, 2, on_tick, ticker);
}

static void on_silent_closed(void *data)
{
    (void)data;
    closed_seen++;
}

static void on_late(void *data)
{
    http_exchange_reply(data, 202, NULL, NULL, 0);
}

static void on_request(void *data, struct http_exchange *x)
{
    const char *path = http_exchange_path(x);
    const char *body;
    size_t n;

    (void)data;
    requests_seen++;
    if (str_eq(path, "/echo")) {
        body = http_exchange_body(x, &n);
        http_exchange_add_header(x, "X-Method", http_exchange_method(x));
        http_exchange_add_header(x, "X-Word", http_exchange_header(x, "X-Word"));
        http_exchange_add_header(x, "X-Query", http_exchange_query(x, "q"));
        http_exchange_reply(x, 200, "text/plain", body, n);
    } else if (str_eq(path, "/expect")) {
        const char *expect = http_exchange_header(x, "Expect");

        http_exchange_reply(x, 200, NULL, expect ? "yes" : "no", expect ? 3 : 2);
    } else if (str_eq(path, "/stream")) {
        start_ticker(x, 5, false);
    } else if (str_eq(path, "/cut")) {
        start_ticker(x, 3, true);
    } else if (str_eq(path, "/cut-at-once")) {
        http_exchange_abort(x);
    } else if (str_eq(path, "/late")) {
        timer_start(loop, 5, on_late, x);
    } else if (str_eq(path, "/silent")) {
        http_exchange_on_closed(x, on_silent_closed, NULL);
        http_exchange_begin(x, 200, "text/plain");
        http_exchange_write(x, "first", 5);
    } else if (str_eq(path, "/large")) {
        char *zeros = xcalloc(1, 3000000);

        http_exchange_reply(x, 200, NULL, zeros, 3000000);
        free(zeros);
    } else {
        http_exchange_reply(x, 404, "text/plain", "no such page", 12);
    }
}

static int set_up(void **state)
{
    const struct http_server_options options = {.on_request = on_request, .max_body_bytes = 8 << 20};
    struct error err = {0};

    (void)state;
    requests_seen = closed_seen = 0;
    loop = loop_create();
    server = http_server_create(loop, &options, &err);
    if (server == NULL) {
        print_error("%s\n", err.text);
        return -1;
    }
    client = http_client_create(loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_client_destroy(client);
    http_server_destroy(server);
    loop_destroy(loop);
    return 0;
}

/* --- What a request got --- */

struct got {
    struct http_request *request;
    int status;
    unsigned headers_calls;
    struct buf body;
    char *word;
    bool is_over;
    bool ok;
    struct error err;
    bool cancel_in_body;
};

static void on_headers(void *data, int status)
{
    struct got *got = data;

    got->status = status;
    got->headers_calls++;
    assert_int_equal(got->body.len, 0);
}

static void on_body(void *data, const char *bytes, size_t n)
{
    struct got *got = data;

    buf_append(&got->body, bytes, n);
    if (got->cancel_in_body) {
        http_request_cancel(got->request);
        got->is_over = true;
    }
}

static void on_done(void *data, const struct error *err)
{
    struct got *got = data;

    assert_false(got->is_over);
    got->is_over = true;
    got->ok = err == NULL;
    if (err != NULL)
        got->err = *err;
    got->status = http_request_status(got->request);
    free(got->word);
    got->word = xstrdup(http_request_header(got->request, "x-word"));
    http_request_cancel(got->request); /* a no-op here */
}

static void begin(struct got *got, const char *url, struct http_request_options o)
{
    struct error err = {0};

    o.method = o.method ? o.method : "GET";
    o.url = url;
    o.on_headers = on_headers;
    o.on_body = on_body;
    o.on_done = on_done;
    o.data = got;
    got->request = http_request_start(client, &o, &err);
    if (got->request == NULL)
        fail_msg("%s", err.text);
}

static void await(struct got *got)
{
    while (!got->is_over)
        assert_true(loop_run_once(loop, true));
}

static void drop(struct got *got)
{
    buf_free(&got->body);
    free(got->word);
    *got = (struct got){0};
}

static void fetch(struct got *got, const char *path, struct http_request_options o)
{
    char *url = url_of(path);

    begin(got, url, o);
    free(url);
    await(got);
}

/* --- Tests --- */

static void http_client_sends_pieces_and_headers(void **state)
{
    const struct http_piece pieces[] = {{"one ", 4}, {"", 0}, {"two ", 4}, {"three", 5}};
    const char *const headers[] = {"X-Word: hello", NULL};
    struct got got = {0};

    (void)state;
    for (int round = 0; round < 2; round++) {
        fetch(&got, "/echo?q=a%20b",
              (struct http_request_options){
                  .method = "POST", .headers = headers, .body = pieces, .body_count = 4});
        assert_true(got.ok);
        assert_int_equal(got.status, 200);
        assert_int_equal(got.headers_calls, 1);
        assert_string_equal(buf_cstr(&got.body), "one two three");
        assert_string_equal(got.word, "hello");
        drop(&got);
    }
    fetch(&got, "/nothing", (struct http_request_options){0});
    assert_true(got.ok);
    assert_int_equal(got.status, 404);
    assert_string_equal(buf_cstr(&got.body), "no such page");
    drop(&got);
}

static void http_client_sends_a_large_body_without_expect(void **state)
{
    size_t n = 5000000;
    char *half = xmalloc(n / 2);
    const struct http_piece pieces[] = {{half, n / 2}, {half, n / 2}};
    struct got got = {0};

    (void)state;
    memset(half, 'z', n / 2);
    fetch(&got, "/echo",
          (struct http_request_options){.method = "POST",
                                        .body = pieces,
                                        .body_count = 2,
                                        .headers = (const char *const[]){"X-Word: w", NULL}});
    assert_true(got.ok);
    assert_int_equal(got.body.len, n);
    drop(&got);
    fetch(&got, "/expect", (struct http_request_options){.method = "POST", .body = pieces, .body_count = 1});
    assert_string_equal(buf_cstr(&got.body), "no");
    drop(&got);
    free(half);
}

static void http_server_refuses_a_body_over_its_bound(void **state)
{
    size_t n = 9 << 20;
    char *body = xcalloc(1, n);
    const struct http_piece piece = {body, n};
    struct got got = {0};

    (void)state;
    fetch(&got, "/echo", (struct http_request_options){.method = "POST", .body = &piece, .body_count = 1});
    assert_int_equal(got.status, 413);
    assert_int_equal(requests_seen, 0);
    drop(&got);
    free(body);
}

#define STREAMS 600 /* 1200 descriptors: beyond the usual limit of 1024 */

static void http_client_takes_600_streams_at_once(void **state)
{
    static struct got got[STREAMS];
    char *url = url_of("/stream");

    (void)state;
    for (int i = 0; i < STREAMS; i++)
        begin(&got[i], url, (struct http_request_options){0});
    for (int i = 0; i < STREAMS; i++) {
        await(&got[i]);
        assert_true(got[i].ok);
        assert_string_equal(buf_cstr(&got[i].body),
                            "data: 4\n\ndata: 3\n\ndata: 2\n\ndata: 1\n\ndata: 0\n\n");
        drop(&got[i]);
    }
    assert_int_equal(closed_seen, STREAMS);
    free(url);
}

static void http_client_reports_a_cut_stream(void **state)
{
    struct got got = {0};
    struct got next = {0};

    (void)state;
    fetch(&got, "/cut", (struct http_request_options){0});
    assert_false(got.ok);
    assert_int_equal(got.err.code, ERROR_IO);
    assert_int_equal(got.status, 200);
    assert_string_equal(buf_cstr(&got.body), "data: 2\n\ndata: 1\n\ndata: 0\n\n");
    assert_non_null(strstr(got.err.text, "/cut: the connection was closed before the answer was complete"));
    drop(&got);

    fetch(&next, "/cut-at-once", (struct http_request_options){0});
    assert_false(next.ok);
    assert_non_null(strstr(next.err.text, "without an answer"));
    drop(&next);
    fetch(&next, "/late", (struct http_request_options){0});
    assert_true(next.ok);
    assert_int_equal(next.status, 202);
    drop(&next);
}

static void http_client_says_who_refused(void **state)
{
    struct got got = {0};

    (void)state;
    begin(&got, "http://name:secret@127.0.0.1:9/v1?key=secret", (struct http_request_options){0});
    await(&got);
    assert_false(got.ok);
    assert_string_equal(got.err.text, "connecting to http://127.0.0.1:9/v1: Connection refused");
    drop(&got);

    begin(&got, "file:///etc/passwd", (struct http_request_options){0});
    await(&got);
    assert_int_equal(got.err.code, ERROR_CONFIG);
    assert_int_equal(got.body.len, 0);
    drop(&got);
}

static void http_client_refuses_line_breaks_in_headers(void **state)
{
    const char *const headers[] = {"Authorization: x\r\nHost: evil", NULL};
    const struct http_request_options o = {.method = "GET", .url = "http://127.0.0.1:9/", .headers = headers};
    struct error err = {0};

    (void)state;
    assert_null(http_request_start(client, &o, &err));
    assert_string_equal(err.text, "header \"Authorization\" has a line break in its value");
}

static void http_client_times_out_when_idle(void **state)
{
    struct got got = {0};
    int64_t start_ms = clock_monotonic_ms();

    (void)state;
    fetch(&got, "/silent", (struct http_request_options){.idle_timeout_ms = 60});
    assert_false(got.ok);
    assert_int_equal(got.err.code, ERROR_TIMEOUT);
    assert_string_equal(buf_cstr(&got.body), "first");
    assert_true(clock_monotonic_ms() - start_ms >= 60);
    drop(&got);

    /* A slow stream is not idle. */
    fetch(&got, "/stream", (struct http_request_options){.idle_timeout_ms = 1000});
    assert_true(got.ok);
    drop(&got);

    fetch(&got, "/silent", (struct http_request_options){.total_timeout_ms = 60});
    assert_int_equal(got.err.code, ERROR_TIMEOUT);
    drop(&got);
}

static void http_client_bounds_the_answer(void **state)
{
    struct got got = {0};

    (void)state;
    fetch(&got, "/large", (struct http_request_options){.max_body_bytes = 1000000});
    assert_false(got.ok);
    assert_int_equal(got.err.code, ERROR_LIMIT);
    assert_true(got.body.len <= 1000000);
    drop(&got);
    fetch(&got, "/large", (struct http_request_options){0});
    assert_int_equal(got.body.len, 3000000);
    drop(&got);
}

static void http_request_cancel_is_silent(void **state)
{
    struct got got = {.cancel_in_body = true};
    struct got other = {0};
    char *url = url_of("/silent");

    (void)state;
    begin(&got, url, (struct http_request_options){0});
    begin(&other, url, (struct http_request_options){0});
    await(&got); /* cancelled in its on_body */
    while (other.body.len == 0)
        assert_true(loop_run_once(loop, true));
    http_request_cancel(other.request); /* outside */
    for (int i = 0; i < 10; i++)
        loop_run_once(loop, false);
    assert_false(other.is_over);
    drop(&got);
    drop(&other);
    free(url);
}

static void http_client_destroy_ends_what_is_under_way(void **state)
{
    struct got got[3] = {0};
    char *url = url_of("/silent");

    (void)state;
    for (int i = 0; i < 3; i++)
        begin(&got[i], url, (struct http_request_options){0});
    while (got[2].body.len == 0)
        assert_true(loop_run_once(loop, true));
    /* tear_down destroys the client, then a server with three open exchanges */
    for (int i = 0; i < 3; i++) {
        assert_false(got[i].is_over);
        drop(&got[i]);
    }
    free(url);
}

static void fetches_in_fiber(void *arg)
{
    char *url = url_of("/stream");
    char *silent = url_of("/silent");
    struct buf body = BUF_INIT;
    struct error err = {0};
    int status = 0;

    (void)arg;
    assert_int_equal(
        http_fetch(client, &(struct http_request_options){.method = "GET", .url = url}, &status, &body, &err),
        0);
    assert_int_equal(status, 200);
    assert_int_equal(body.len, 45);
    fiber_cancel(fiber_current());
    assert_int_equal(http_fetch(client, &(struct http_request_options){.method = "GET", .url = silent},
                                &status, &body, &err),
                     -1);
    assert_int_equal(err.code, ERROR_CANCELLED);
    buf_free(&body);
    free(url);
    free(silent);
}

static void http_fetch_waits_in_a_fiber_and_is_cancelled_with_it(void **state)
{
    (void)state;
    fiber_run_to_end(loop, fetches_in_fiber, NULL);
}

struct waiting {
    struct fiber_group group;
    int rc;
    struct error err;
};

static void waits_for_an_answer(void *arg)
{
    struct waiting *w = arg;
    char *url = url_of("/silent");
    int status;

    w->rc = http_fetch(client, &(struct http_request_options){.method = "GET", .url = url}, &status, NULL,
                       &w->err);
    free(url);
    fiber_group_done(&w->group);
}

static void gives_up_under_a_fiber(void *arg)
{
    struct waiting *w = arg;

    fiber_group_add(&w->group);
    fiber_start(loop, waits_for_an_answer, w);
    assert_int_equal(fiber_sleep(10, NULL), 0);
    http_client_destroy(client);
    client = NULL;
    assert_int_equal(fiber_group_wait(&w->group, NULL), 0);
    assert_int_equal(w->rc, -1);
    assert_int_equal(w->err.code, ERROR_CANCELLED);
}

static void http_fetch_fails_when_its_client_is_destroyed(void **state)
{
    struct waiting w = {0};

    (void)state;
    fiber_run_to_end(loop, gives_up_under_a_fiber, &w);
}

static void http_server_says_why_it_cannot_listen(void **state)
{
    const struct http_server_options options = {.port = http_server_port(server), .on_request = on_request};
    char expected[64];
    struct error err = {0};

    (void)state;
    assert_null(http_server_create(loop, &options, &err));
    snprintf(expected, sizeof(expected), "port %u: Address already in use", (unsigned)options.port);
    assert_string_equal(err.text, expected);
}

static void http_client_goes_through_a_proxy_but_not_to_loopback(void **state)
{
    struct got got = {0};
    char *proxy = url_of("");

    (void)state;
    setenv("http_proxy", proxy, 1);
    /* Our server plays the proxy: the name is never looked up. */
    begin(&got, "http://cadre.invalid/page", (struct http_request_options){0});
    await(&got);
    assert_true(got.ok);
    assert_int_equal(got.status, 404);
    drop(&got);

    setenv("http_proxy", "http://127.0.0.1:9", 1);
    fetch(&got, "/late", (struct http_request_options){0});
    assert_int_equal(got.status, 202);
    drop(&got);
    unsetenv("http_proxy");
    free(proxy);
}

static void http_client_sends_again_when_a_kept_connection_is_dead(void **state)
{
    const struct http_piece pieces[] = {{"one ", 4}, {"two", 3}};
    const struct http_request_options o = {.method = "POST",
                                           .body = pieces,
                                           .body_count = 2,
                                           .headers = (const char *const[]){"X-Word: w", NULL}};
    const struct http_server_options options = {.port = http_server_port(server), .on_request = on_request};
    struct got got = {0};

    (void)state;
    fetch(&got, "/echo", o);
    assert_true(got.ok);
    drop(&got);
    http_server_destroy(server);
    server = http_server_create(loop, &options, NULL);
    assert_non_null(server);
    fetch(&got, "/echo", o);
    assert_true(got.ok);
    assert_string_equal(buf_cstr(&got.body), "one two");
    assert_int_equal(requests_seen, 2);
    drop(&got);
}

static struct got *chained;

static void on_done_starts_another(void *data, const struct error *err)
{
    char *url = url_of("/late");

    assert_null(err);
    *(bool *)data = true;
    begin(chained, url, (struct http_request_options){0});
    free(url);
}

static void on_headers_starts_another(void *data, int status)
{
    (void)status;
    on_done_starts_another(data, NULL);
}

static void http_request_may_start_another_in_its_callbacks(void **state)
{
    struct got got[2] = {0};
    struct http_request_options o = {.method = "GET"};
    bool is_done = false;
    bool has_headers = false;
    char *url = url_of("/stream");

    (void)state;
    o.url = url;
    o.data = &is_done;
    o.on_done = on_done_starts_another;
    chained = &got[0];
    http_request_start(client, &o, NULL);
    await(&got[0]);
    assert_true(is_done);
    assert_int_equal(got[0].status, 202);

    /* Here libcurl is in the midst of its work. */
    o.data = &has_headers;
    o.on_done = NULL;
    o.on_headers = on_headers_starts_another;
    chained = &got[1];
    http_request_start(client, &o, NULL);
    await(&got[1]);
    assert_true(has_headers);
    assert_int_equal(got[1].status, 202);
    drop(&got[0]);
    drop(&got[1]);
    free(url);
}

#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(http_client_sends_pieces_and_headers),
        HTTP_TEST(http_client_sends_a_large_body_without_expect),
        HTTP_TEST(http_server_refuses_a_body_over_its_bound),
        HTTP_TEST(http_client_takes_600_streams_at_once),
        HTTP_TEST(http_client_reports_a_cut_stream),
        HTTP_TEST(http_client_says_who_refused),
        HTTP_TEST(http_client_refuses_line_breaks_in_headers),
        HTTP_TEST(http_client_times_out_when_idle),
        HTTP_TEST(http_client_bounds_the_answer),
        HTTP_TEST(http_request_cancel_is_silent),
        HTTP_TEST(http_client_destroy_ends_what_is_under_way),
        HTTP_TEST(http_fetch_waits_in_a_fiber_and_is_cancelled_with_it),
        HTTP_TEST(http_fetch_fails_when_its_client_is_destroyed),
        HTTP_TEST(http_client_goes_through_a_proxy_but_not_to_loopback),
        HTTP_TEST(http_client_sends_again_when_a_kept_connection_is_dead),
        HTTP_TEST(http_request_may_start_another_in_its_callbacks),
        HTTP_TEST(http_server_says_why_it_cannot_listen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
