/* What `codex exec --json` prints, as events of ours. */
#include "test.h"

#include "agent/codex_events.h"
#include "base/buf.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

struct sink {
    json_t *events;
    unsigned items;
};

static void emit(void *data, json_t *event)
{
    json_array_append_new(((struct sink *)data)->events, event);
}

static unsigned next_item(void *data)
{
    return ((struct sink *)data)->items++;
}

static enum codex_progress feed(struct codex_events *e, const char *line)
{
    return codex_events_line(e, line, strlen(line));
}

static const json_t *event_at(const struct sink *sink, size_t index)
{
    return json_array_get(sink->events, index);
}

static const char *item_id(const struct sink *sink, size_t index)
{
    return json_get_string(json_object_get(event_at(sink, index), "item"), "id", "");
}

static void a_turn_is_read(void **state)
{
    struct sink sink = {.events = json_array(), .items = 7};
    struct codex_events e;

    (void)state;
    codex_events_init(&e, emit, next_item, &sink);
    assert_int_equal(feed(&e, "{\"type\":\"thread.started\",\"thread_id\":\"abc\"}"), CODEX_PROGRESS);
    feed(&e, "{\"type\":\"turn.started\"}");
    feed(&e, "{\"type\":\"item.started\",\"item\":{\"id\":\"item_0\",\"type\":\"command_execution\",\"command\":\"ls\"}}");
    feed(&e, "{\"type\":\"item.started\",\"item\":{\"id\":\"item_1\",\"type\":\"todo_list\",\"items\":[]}}");
    feed(&e, "{\"type\":\"item.updated\",\"item\":{\"id\":\"item_1\",\"type\":\"todo_list\",\"items\":[]}}");
    feed(&e, "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":\"command_execution\",\"exit_code\":0}}");
    feed(&e, "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_2\",\"type\":\"agent_message\",\"text\":\"bye\"}}");
    feed(&e, "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":10,\"cached_input_tokens\":4,\"output_tokens\":3,"
             "\"reasoning_output_tokens\":1,\"cache_write_input_tokens\":2}}");
    assert_string_equal(e.session, "abc");
    assert_string_equal(e.last_message, "bye");
    assert_true(e.is_completed);
    assert_int_equal(e.total.input_tokens, 10);
    assert_int_equal(e.total.cached_input_tokens, 4);
    assert_int_equal(e.total.cache_write_input_tokens, 2);
    assert_int_equal(e.total.output_tokens, 3);
    assert_int_equal(e.total.reasoning_output_tokens, 1);
    /* One number an item, from the thread's own counter. */
    assert_int_equal(json_array_size(sink.events), 5);
    assert_string_equal(item_id(&sink, 0), "item_7");
    assert_string_equal(item_id(&sink, 1), "item_8");
    assert_string_equal(item_id(&sink, 2), "item_8");
    assert_string_equal(item_id(&sink, 3), "item_7");
    assert_string_equal(item_id(&sink, 4), "item_9");
    codex_events_finish(&e);
    json_decref(sink.events);
}

static void what_is_no_event_is_skipped(void **state)
{
    static const char *const lines[] = {
        "garbage", "[]", "{}", "null", "{\"type\":7}", "{\"type\":\"item.completed\"}",
        "{\"type\":\"item.completed\",\"item\":[]}", "{\"type\":\"item.completed\",\"item\":{\"type\":\"new_kind\"}}",
        "{\"type\":\"item.exploded\",\"item\":{\"type\":\"agent_message\"}}", "{\"type\":\"thread.started\"",
    };
    struct sink sink = {.events = json_array()};
    struct codex_events e;

    (void)state;
    codex_events_init(&e, emit, next_item, &sink);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(feed(&e, lines[i]), CODEX_SKIPPED);
    assert_int_equal(feed(&e, ""), CODEX_SKIPPED);
    assert_int_equal(e.skipped_lines, 10);
    assert_int_equal(json_array_size(sink.events), 0);
    assert_false(e.is_completed);
    codex_events_finish(&e);
    json_decref(sink.events);
}

static void notices_are_bounded_and_no_progress(void **state)
{
    struct sink sink = {.events = json_array()};
    struct codex_events e;

    (void)state;
    codex_events_init(&e, emit, next_item, &sink);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(feed(&e, "{\"type\":\"error\",\"message\":\"Reconnecting... waiting for network\"}"), CODEX_WAITING);
    assert_int_equal(json_array_size(sink.events), 200);
    feed(&e, "{\"type\":\"turn.failed\",\"error\":{\"message\":\"stream disconnected\"}}");
    feed(&e, "{\"type\":\"error\",\"message\":\"late\"}");
    assert_true(e.is_failed);
    assert_string_equal(e.failure, "stream disconnected");
    codex_events_finish(&e);
    json_decref(sink.events);
}

static void long_texts_are_cut_in_events(void **state)
{
    struct sink sink = {.events = json_array()};
    struct buf line = BUF_INIT;
    struct codex_events e;
    const char *text;

    (void)state;
    codex_events_init(&e, emit, next_item, &sink);
    buf_puts(&line, "{\"type\":\"item.completed\",\"item\":{\"id\":\"a\",\"type\":\"command_execution\",\"aggregated_output\":\"");
    for (int i = 0; i < 100000; i++)
        buf_puts(&line, "\xc3\xa9");
    buf_puts(&line, "\"}}");
    assert_int_equal(feed(&e, line.data), CODEX_PROGRESS);
    text = json_get_string(json_object_get(event_at(&sink, 0), "item"), "aggregated_output", "");
    assert_true(strlen(text) < 17000 && strlen(text) > 16000);
    assert_non_null(strstr(text, "[...]"));
    buf_free(&line);
    codex_events_finish(&e);
    json_decref(sink.events);
}

static void failures_have_a_kind(void **state)
{
    struct error err = {0};

    (void)state;
    codex_failure(&err, "codex", "unexpected status 401 Unauthorized: bad key");
    assert_int_equal(err.code, ERROR_AUTH);
    codex_failure(&err, "codex", "Missing environment variable: `X`.");
    assert_int_equal(err.code, ERROR_AUTH);
    codex_failure(&err, "codex", "Codex ran out of room in the model's context window.");
    assert_int_equal(err.code, ERROR_LIMIT);
    codex_failure(&err, "codex", "stream disconnected before completion");
    assert_int_equal(err.code, ERROR_MODEL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_is_read),
        cmocka_unit_test(what_is_no_event_is_skipped),
        cmocka_unit_test(notices_are_bounded_and_no_progress),
        cmocka_unit_test(long_texts_are_cut_in_events),
        cmocka_unit_test(failures_have_a_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
