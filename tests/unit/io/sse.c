/* tests/unit/io/sse.c: every cut of a stream gives the same events. */
#include "test.h"

#include "base/str.h"
#include "io/line_reader.h"
#include "io/sse.h"

#include <string.h>

struct events {
    struct buf text; /* "[name|data]" each */
    unsigned count;
    unsigned stop_at;
};

static bool on_event(void *user, const char *event, const char *data, size_t data_len)
{
    struct events *e = user;

    buf_printf(&e->text, "[%s|", event);
    buf_append(&e->text, data, data_len);
    buf_putc(&e->text, ']');
    return ++e->count != e->stop_at;
}

static void expect_at_every_cut(const char *stream, size_t n, const char *expected)
{
    for (size_t cut = 0; cut <= n; cut++) {
        struct events e = {0};
        struct sse_parser p;

        sse_parser_init(&p, 0, on_event, &e);
        assert_int_equal(sse_parser_feed(&p, stream, cut, NULL), 0);
        assert_int_equal(sse_parser_feed(&p, stream + cut, n - cut, NULL), 0);
        assert_string_equal(buf_cstr(&e.text), expected);
        sse_parser_finish(&p);
        buf_free(&e.text);
    }
    struct events e = {0};
    struct sse_parser p;

    sse_parser_init(&p, 0, on_event, &e);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sse_parser_feed(&p, stream + i, 1, NULL), 0);
    assert_string_equal(buf_cstr(&e.text), expected);
    sse_parser_finish(&p);
    buf_free(&e.text);
}

static void expect(const char *stream, const char *expected)
{
    expect_at_every_cut(stream, strlen(stream), expected);
}

static void sse_reads_fields(void **state)
{
    (void)state;
    expect("event: a\ndata: 1\n\n", "[a|1]");
    expect("data:1\n\ndata:  two \n\n", "[|1][| two ]");
    expect("data: a\ndata\ndata: b\n\n", "[|a\n\nb]");
    expect(": comment\nid: 7\nretry: 10\nunknown: x\ndata: y\n\n", "[|y]");
    expect("data: {\"a\": \"b:c\"}\n\n", "[|{\"a\": \"b:c\"}]");
    expect("data:\n\n", "[|]");
}

static void sse_drops_what_is_no_event(void **state)
{
    (void)state;
    expect("event: a\n\ndata: b\n\n", "[|b]"); /* a name without data is forgotten */
    expect("\n\n\n", "");
    expect("data: cut off", "");
    expect("data: cut off\n", "");
}

static void sse_takes_all_line_ends(void **state)
{
    (void)state;
    expect("data: 1\r\n\r\ndata: 2\r\n\r\n", "[|1][|2]");
    expect("data: 1\r\rdata: 2\r\r", "[|1][|2]");
    expect("data: 1\r\n\ndata: 2\n\r\n", "[|1][|2]");
    expect("event: x\rdata: 1\ndata: 2\r\n\r", "[x|1\n2]");
}

static void sse_skips_a_byte_order_mark_once(void **state)
{
    (void)state;
    expect("\xEF\xBB\xBF"
           "data: 1\n\n",
           "[|1]");
    expect("\xEF\xBB"
           "data: 1\n\ndata: 2\n\n",
           "[|2]");
    expect("data: \xEF\xBB\xBF\n\n\xEF\xBB\xBF"
           "data: 2\n\n",
           "[|\xEF\xBB\xBF]");
}

static void sse_bounds_an_event(void **state)
{
    struct events e = {0};
    struct sse_parser p;
    struct error err = {0};
    char line[64];
    int rc = 0;

    (void)state;
    memset(line, 'x', sizeof(line));
    sse_parser_init(&p, 1000, on_event, &e);
    assert_int_equal(sse_parser_feed(&p, "data: ", 6, NULL), 0);
    for (int i = 0; i < 20 && rc == 0; i++)
        rc = sse_parser_feed(&p, line, sizeof(line), &err);
    assert_int_equal(rc, -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    sse_parser_finish(&p);

    /* Many short lines of one event count together. */
    sse_parser_init(&p, 1000, on_event, &e);
    rc = 0;
    for (int i = 0; i < 1000 && rc == 0; i++)
        rc = sse_parser_feed(&p, "data: 12345\n", 12, &err);
    assert_int_equal(rc, -1);
    sse_parser_finish(&p);
    assert_int_equal(e.count, 0);
}

static void sse_stops_when_told(void **state)
{
    struct events e = {.stop_at = 1};
    struct sse_parser p;
    struct error err = {0};

    (void)state;
    sse_parser_init(&p, 0, on_event, &e);
    assert_int_equal(sse_parser_feed(&p, "data: 1\n\ndata: 2\n\n", 18, &err), -1);
    assert_int_equal(err.code, ERROR_CANCELLED);
    assert_string_equal(buf_cstr(&e.text), "[|1]");
    sse_parser_finish(&p);
    buf_free(&e.text);
}

static bool on_line(void *user, const char *line, size_t n)
{
    struct buf *text = user;

    buf_printf(text, "<%.*s>", (int)n, line);
    return !str_eq(line, "stop");
}

static void line_reader_cuts_lines_at_every_cut(void **state)
{
    const char *text = "one\r\n\ntwo\nthree";
    size_t n = strlen(text);

    (void)state;
    for (size_t cut = 0; cut <= n; cut++) {
        struct buf got = BUF_INIT;
        struct line_reader r;

        line_reader_init(&r, 0, on_line, &got);
        assert_int_equal(line_reader_feed(&r, text, cut, NULL), 0);
        assert_int_equal(line_reader_feed(&r, text + cut, n - cut, NULL), 0);
        assert_string_equal(buf_cstr(&got), "<one><><two>");
        assert_int_equal(line_reader_end(&r, NULL), 0);
        assert_string_equal(buf_cstr(&got), "<one><><two><three>");
        line_reader_finish(&r);
        buf_free(&got);
    }
}

static void line_reader_bounds_and_stops(void **state)
{
    struct buf got = BUF_INIT;
    struct line_reader r;
    struct error err = {0};

    (void)state;
    line_reader_init(&r, 10, on_line, &got);
    assert_int_equal(line_reader_feed(&r, "12345", 5, &err), 0);
    assert_int_equal(line_reader_feed(&r, "678901", 6, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    line_reader_finish(&r);

    line_reader_init(&r, 10, on_line, &got);
    assert_int_equal(line_reader_feed(&r, "a\nstop\nb\n", 9, &err), -1);
    assert_int_equal(err.code, ERROR_CANCELLED);
    assert_string_equal(buf_cstr(&got), "<a><stop>");
    line_reader_finish(&r);
    buf_free(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sse_reads_fields),
        cmocka_unit_test(sse_drops_what_is_no_event),
        cmocka_unit_test(sse_takes_all_line_ends),
        cmocka_unit_test(sse_skips_a_byte_order_mark_once),
        cmocka_unit_test(sse_bounds_an_event),
        cmocka_unit_test(sse_stops_when_told),
        cmocka_unit_test(line_reader_cuts_lines_at_every_cut),
        cmocka_unit_test(line_reader_bounds_and_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
