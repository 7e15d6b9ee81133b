/* The stream readers on recorded streams ($CADRE_TESTDATA/sse) in every cut, and on their own cases. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "model/wire.h"

#include <stdlib.h>
#include <string.h>

struct recording {
    char *name;
    const struct wire_ops *ops;
    struct buf bytes; /* as server-sent events */
    bool is_spliced;
};

static struct recording *recordings;
static size_t recording_count;

static void add_recording(const char *folder, const char *file, const char *path)
{
    struct buf text = BUF_INIT;
    struct str_list lines = {0};
    struct recording *r;

    assert_int_equal(file_read(path, &text, 1 << 24, NULL), 0);
    recordings = xrealloc(recordings, (recording_count + 1) * sizeof *recordings);
    r = &recordings[recording_count++];
    *r = (struct recording){.bytes = BUF_INIT};
    r->name = xstrdup(file);
    r->ops = str_ends_with(folder, "_chat")        ? &wire_chat
             : str_ends_with(folder, "_responses") ? &wire_responses
                                                   : &wire_messages;
    r->is_spliced = strstr(file, "spliced") != NULL;
    str_split(&lines, buf_cstr(&text), '\n');
    for (size_t i = 0; i < lines.len; i++)
        if (*lines.items[i] != '\0')
            buf_printf(&r->bytes, "data: %s\n\n", lines.items[i]);
    str_list_finish(&lines);
    buf_free(&text);
}

static int load_recordings(void **state)
{
    const char *root = getenv("CADRE_TESTDATA");
    struct str_list folders = {0};
    char *sse = xasprintf("%s/sse", root != NULL ? root : "../shared/testdata");

    (void)state;
    if (file_is_directory(sse))
        assert_int_equal(file_list_directory(sse, &folders, NULL), 0);
    for (size_t i = 0; i < folders.len; i++) {
        char *folder = xasprintf("%s/%s", sse, folders.items[i]);
        struct str_list files = {0};

        if (file_is_directory(folder))
            assert_int_equal(file_list_directory(folder, &files, NULL), 0);
        for (size_t j = 0; j < files.len; j++) {
            char *path = xasprintf("%s/%s", folder, files.items[j]);

            add_recording(folders.items[i], files.items[j], path);
            free(path);
        }
        str_list_finish(&files);
        free(folder);
    }
    str_list_finish(&folders);
    free(sse);
    return 0;
}

static int free_recordings(void **state)
{
    (void)state;
    for (size_t i = 0; i < recording_count; i++) {
        free(recordings[i].name);
        buf_free(&recordings[i].bytes);
    }
    free(recordings);
    return 0;
}

static void print_item(struct buf *out, const struct wire_item *item)
{
    buf_printf(out, "%d|%s|%s|%s|%s|%d\n", item->kind, item->text != NULL ? item->text : "-",
               item->call_id != NULL ? item->call_id : "-", item->name != NULL ? item->name : "-",
               item->arguments != NULL ? item->arguments : "-", item->custom);
}

struct deltas {
    struct buf text;
};

static void on_delta(void *data, const char *text, size_t n)
{
    buf_append(&((struct deltas *)data)->text, text, n);
}

/* Reads BYTES in steps of STEP, answer after answer, and appends what came to OUT. Returns the last answer's
 * failure; *ANSWERS counts complete ones. */
static enum failure_kind read_all(const struct wire_ops *ops, const char *bytes, size_t n, size_t step,
                                  struct buf *out, int *answers)
{
    enum failure_kind kind = FAILURE_NONE;
    size_t at = 0;

    *answers = 0;
    while (at < n) {
        struct deltas deltas = {BUF_INIT};
        struct wire_reader *reader = wire_reader_create(ops, "p", on_delta, &deltas);
        size_t begin = at;

        while (at < n && !reader->ended) {
            size_t take = n - at < step ? n - at : step;
            const char *end;

            /* One event at a time at most, so that what follows an answer's end is not lost. */
            end = memmem(bytes + at, take, "\n\n", 2);
            if (end != NULL)
                take = (size_t)(end + 2 - bytes) - at;
            wire_reader_feed(reader, bytes + at, take);
            at += take;
        }
        if (at == n && !reader->ended && begin > 0 && reader->answer.items.len == 0 && at - begin < 4) {
            wire_reader_destroy(reader); /* only the line ends behind the last event were left */
            buf_free(&deltas.text);
            break;
        }
        wire_reader_end(reader);
        kind = reader->answer.failure.kind;
        *answers += reader->answer.is_complete;
        for (size_t i = 0; i < reader->answer.items.len; i++)
            print_item(out, reader->answer.items.items[i]);
        if (reader->answer.is_complete) {
            buf_printf(out, "usage %lld %lld %s\n", (long long)reader->answer.usage.input_tokens,
                       (long long)reader->answer.usage.output_tokens, buf_cstr(&deltas.text));
            if (reader->answer.history.len > 0) {
                /* What goes back is JSON. */
                char *array = xasprintf("[%s]", reader->answer.history.data);
                json_t *parsed = json_parse(array, strlen(array), "history", NULL);

                assert_true(json_is_array(parsed));
                json_decref(parsed);
                free(array);
            }
        }
        wire_reader_destroy(reader);
        buf_free(&deltas.text);
    }
    return kind;
}

static void need_recordings(void)
{
    if (recording_count == 0) {
        print_message("no recorded streams in $CADRE_TESTDATA/sse\n");
        skip();
    }
}

static void every_recorded_stream_is_read_to_its_end(void **state)
{
    (void)state;
    need_recordings();
    for (size_t i = 0; i < recording_count; i++) {
        const struct recording *r = &recordings[i];
        struct buf out = BUF_INIT;
        int answers;
        enum failure_kind kind = read_all(r->ops, r->bytes.data, r->bytes.len, 1 << 20, &out, &answers);

        if (strstr(r->name, "openai-error") != NULL) {
            assert_int_equal(kind, FAILURE_QUOTA);
        } else if (kind != FAILURE_NONE || answers == 0 || out.len == 0) {
            fail_msg("%s: %s, %d answers: %s", r->name, failure_kind_name(kind), answers, buf_cstr(&out));
        }
        if (strstr(r->name, "openai-shell-tool") != NULL)
            assert_int_equal(answers, 2);
        if (strstr(r->name, "tool-search-deferred") != NULL)
            assert_int_equal(answers, 3);
        buf_free(&out);
    }
    print_message("%zu recorded streams\n", recording_count);
}

static void dribbled_and_odd_cuts_give_the_same(void **state)
{
    (void)state;
    need_recordings();
    for (size_t i = 0; i < recording_count; i++) {
        const struct recording *r = &recordings[i];
        static const size_t steps[] = {1, 7, 1000};
        struct buf whole = BUF_INIT;
        int answers;

        read_all(r->ops, r->bytes.data, r->bytes.len, 1 << 20, &whole, &answers);
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
            struct buf cut = BUF_INIT;
            int cut_answers;

            read_all(r->ops, r->bytes.data, r->bytes.len, steps[s], &cut, &cut_answers);
            assert_string_equal(buf_cstr(&cut), buf_cstr(&whole));
            assert_int_equal(cut_answers, answers);
            buf_free(&cut);
        }
        buf_free(&whole);
    }
}

/* The items of a cut stream are the first ones of the whole. */
static void check_cut(const struct recording *r, size_t cut, const struct buf *whole)
{
    struct wire_reader *reader = wire_reader_create(r->ops, "p", NULL, NULL);
    struct buf out = BUF_INIT;

    wire_reader_feed(reader, r->bytes.data, cut);
    wire_reader_end(reader);
    assert_true(reader->answer.is_complete || reader->answer.failure.kind != FAILURE_NONE);
    for (size_t i = 0; i < reader->answer.items.len; i++)
        print_item(&out, reader->answer.items.items[i]);
    if (!r->is_spliced && strncmp(buf_cstr(whole), buf_cstr(&out), out.len) != 0)
        fail_msg("%s cut at %zu: %s", r->name, cut, buf_cstr(&out));
    buf_free(&out);
    wire_reader_destroy(reader);
}

static void cut_at_every_byte_keeps_what_was_complete(void **state)
{
    size_t cuts = 0;

    (void)state;
    need_recordings();
    for (size_t i = 0; i < recording_count; i++) {
        const struct recording *r = &recordings[i];
        /* Every byte of the small ones, every event's surroundings would be quadratic in the large ones. */
        size_t step = r->bytes.len <= 4096 ? 1 : r->bytes.len / 97 + 1;
        struct buf whole = BUF_INIT;
        int answers;

        read_all(r->ops, r->bytes.data, r->bytes.len, 1 << 20, &whole, &answers);
        for (size_t cut = 0; cut <= r->bytes.len; cut += step, cuts++)
            check_cut(r, cut, &whole);
        buf_free(&whole);
    }
    print_message("%zu cuts\n", cuts);
}

static void garbage_between_events_is_skipped(void **state)
{
    static const char garbage[] = "data: {\"type\":\"response.output_item.done\",\"item\":\n\ndata: [1,2\n\n"
                                  ": note\n\nrubbish\n\ndata: \xff\xfe\n\ndata: 12\n\ndata: {}\n\n"
                                  "event: ping\ndata: {\"type\":\"ping\"}\n\n";

    (void)state;
    need_recordings();
    for (size_t i = 0; i < recording_count; i++) {
        const struct recording *r = &recordings[i];
        struct buf whole = BUF_INIT, spoiled = BUF_INIT, out = BUF_INIT;
        const char *at = r->bytes.data, *end;
        int answers, spoiled_answers;

        if (r->bytes.len > 120000)
            continue;
        read_all(r->ops, r->bytes.data, r->bytes.len, 1 << 20, &whole, &answers);
        for (int n = 0; (end = strstr(at, "\n\n")) != NULL; at = end + 2, n++) {
            if (n % 3 == 1 && strstr(end + 2, "\n\n") != NULL)
                buf_append(&spoiled, garbage, sizeof garbage - 1);
            buf_append(&spoiled, at, (size_t)(end + 2 - at));
        }
        read_all(r->ops, spoiled.data, spoiled.len, 1 << 20, &out, &spoiled_answers);
        if (strcmp(buf_cstr(&out), buf_cstr(&whole)) != 0)
            fail_msg("%s differs with garbage", r->name);
        buf_free(&whole);
        buf_free(&spoiled);
        buf_free(&out);
    }
}

/* --- Cases of our own --------------------------------------------------------------------------------- */

static struct wire_reader *read_text(const struct wire_ops *ops, const char *text)
{
    struct wire_reader *reader = wire_reader_create(ops, "p", NULL, NULL);

    wire_reader_feed(reader, text, strlen(text));
    wire_reader_end(reader);
    return reader;
}

static void failed_responses_are_classified(void **state)
{
    static const struct {
        const char *code, *message;
        enum failure_kind kind;
        int64_t delay_ms;
    } cases[] = {
        {"context_length_exceeded", "Your input exceeds the context window", FAILURE_CONTEXT_LENGTH, -1},
        {"insufficient_quota", "m", FAILURE_QUOTA, -1},
        {"invalid_prompt", "m", FAILURE_POLICY, -1},
        {"rate_limit_exceeded", "Rate limit reached. Please try again in 1.5s.", FAILURE_RATE_LIMIT, 1500},
        {"server_is_overloaded", "m", FAILURE_OVERLOADED, -1},
        {"server_error", "m", FAILURE_SERVER, -1},
        {"something_new", "m", FAILURE_SERVER, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text =
            xasprintf("event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":"
                      "{\"code\":\"%s\",\"message\":\"%s\"}}}\n\n",
                      cases[i].code, cases[i].message);
        struct wire_reader *reader = read_text(&wire_responses, text);

        assert_int_equal(reader->answer.failure.kind, cases[i].kind);
        assert_int_equal(reader->answer.failure.retry_after_ms, cases[i].delay_ms);
        wire_reader_destroy(reader);
        free(text);
    }
}

static void incomplete_responses_give_the_reason(void **state)
{
    struct wire_reader *reader = read_text(
        &wire_responses, "data: {\"type\":\"response.incomplete\",\"response\":{\"incomplete_details\":"
                         "{\"reason\":\"content_filter\"},\"usage\":{\"input_tokens\":3}}}\n\n");

    (void)state;
    assert_true(reader->answer.is_complete);
    assert_string_equal(reader->answer.incomplete_reason, "content_filter");
    assert_int_equal(reader->answer.usage.input_tokens, 3);
    wire_reader_destroy(reader);
}

static void reasoning_goes_back_as_the_api_demands(void **state)
{
    struct wire_reader *reader = read_text(
        &wire_responses,
        "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"reasoning\",\"id\":\"rs_1\","
        "\"summary\":[],\"encrypted_content\":\"abc\"}}\n\n"
        "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"reasoning\",\"id\":\"rs_2\","
        "\"summary\":[],\"encrypted_content\":null}}\n\n"
        "data: {\"type\":\"response.completed\",\"response\":{}}\n\n");

    (void)state;
    assert_string_equal(
        reader->answer.history.data,
        "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":\"abc\"},"
        "{\"type\":\"reasoning\",\"summary\":[]}");
    wire_reader_destroy(reader);

    reader = read_text(&wire_messages,
                       "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n"
                       "data: "
                       "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
                       "\"thinking\",\"thinking\":\"\"}}\n\n"
                       "data: "
                       "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\","
                       "\"thinking\":\"why\"}}\n\n"
                       "data: "
                       "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_"
                       "delta\",\"signature\":\"sig\"}}\n\n"
                       "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
                       "data: "
                       "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"redacted_"
                       "thinking\",\"data\":\"xx\"}}\n\n"
                       "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
                       "data: "
                       "{\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_"
                       "use\",\"id\":\"t\",\"name\":\"n\",\"input\":{}}}\n\n"
                       "data: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
                       "data: "
                       "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{"
                       "\"output_tokens\":9}}\n\n"
                       "data: {\"type\":\"message_stop\"}\n\n");
    assert_string_equal(reader->answer.history.data,
                        "{\"type\":\"thinking\",\"thinking\":\"why\",\"signature\":\"sig\"},"
                        "{\"type\":\"redacted_thinking\",\"data\":\"xx\"},"
                        "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"n\",\"input\":{}}");
    wire_reader_destroy(reader);

    reader = read_text(
        &wire_chat, "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
                    "data: "
                    "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{"
                    "\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}},"
                    "{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]}}]}\n\n"
                    "data: "
                    "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}"
                    "\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n"
                    "data: [DONE]\n\n");
    assert_true(reader->answer.is_complete);
    assert_int_equal(reader->answer.items.len, 3);
    assert_string_equal(((struct wire_item *)reader->answer.items.items[1])->arguments, "{\"a\":1}");
    assert_non_null(strstr(reader->answer.history.data, "\"reasoning_content\":\"hm\""));
    assert_non_null(strstr(reader->answer.history.data, "\"arguments\":\"{\\\"a\\\":1}\""));
    wire_reader_destroy(reader);
}

static void spliced_starts_keep_the_second_answer_only(void **state)
{
    (void)state;
    need_recordings();
    for (size_t i = 0; i < recording_count; i++)
        if (recordings[i].is_spliced) {
            struct wire_reader *reader = read_text(&wire_messages, recordings[i].bytes.data);

            assert_int_equal(reader->answer.items.len, 2);
            assert_string_equal(((struct wire_item *)reader->answer.items.items[1])->call_id, "toolu_second");
            assert_string_equal(((struct wire_item *)reader->answer.items.items[1])->arguments,
                                "{\"value\":\"Sparkle Day\"}");
            wire_reader_destroy(reader);
        }
}

/* --- Requests ----------------------------------------------------------------------------------------- */

static json_t *request_body(enum wire_api wire, const struct model_call_options *options)
{
    static const struct tool_schema inner[] = {
        {.kind = TOOL_SCHEMA_FUNCTION, .name = "spawn", .description = "d"}};
    static const struct tool_schema tools[] = {
        {.kind = TOOL_SCHEMA_FUNCTION,
         .name = "exec_command",
         .description = "d",
         .parameters = "{\"type\":\"object\"}"},
        {.kind = TOOL_SCHEMA_CUSTOM, .name = "apply_patch", .description = "d", .grammar = "start: x"},
        {.kind = TOOL_SCHEMA_NAMESPACE,
         .name = "agents",
         .description = "d",
         .tools = inner,
         .tool_count = 1},
    };
    char *tools_json = tool_schema_write(wire, tools, 3);
    struct conversation *c = conversation_create(wire, "Be brief.", tools_json, "key-1");
    struct buf head = BUF_INIT, tail = BUF_INIT;
    const char *call = wire == WIRE_MESSAGES
                           ? "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{}}"
                       : wire == WIRE_CHAT ? "{\"role\":\"assistant\",\"tool_calls\":[]}"
                                           : "{\"type\":\"function_call\",\"call_id\":\"c1\"}";
    struct error err = {0};
    const char *bytes;
    json_t *body;
    size_t n, trim;

    conversation_add_message(c, MESSAGE_DEVELOPER, "rules");
    conversation_add_message(c, MESSAGE_USER, "do \"it\"\n");
    conversation_add_image(c, "look", "image/png", "AAAA");
    conversation_add_answer(c, call, strlen(call));
    conversation_add_tool_result(c, "c1", "out", false, true);
    conversation_add_message(c, MESSAGE_USER, "go on");
    trim = wire_ops_of(wire)->write_request(&head, &tail, c, options);
    bytes = conversation_bytes(c, &n);
    buf_append(&head, bytes, n - trim);
    buf_append(&head, tail.data, tail.len);
    body = json_parse(head.data, head.len, "request", &err);
    if (body == NULL)
        fail_msg("%s in %s", err.text, head.data);
    buf_free(&head);
    buf_free(&tail);
    conversation_destroy(c);
    free(tools_json);
    return body;
}

static const json_t *at(const json_t *value, const char *path)
{
    struct str_list parts = {0};

    str_split(&parts, path, '.');
    for (size_t i = 0; i < parts.len; i++) {
        int64_t index;

        if (str_to_int64(parts.items[i], 0, 1000, &index))
            value = json_array_get(value, (size_t)index);
        else
            value = json_object_get(value, parts.items[i]);
    }
    str_list_finish(&parts);
    return value;
}

static const char *text_at(const json_t *value, const char *path)
{
    const char *text = json_string_value(at(value, path));

    return text != NULL ? text : "(none)";
}

static const struct model_call_options full_options = {.model = "gpt-5",
                                                       .reasoning_effort = "high",
                                                       .output_schema = "{\"type\":\"object\"}",
                                                       .max_output_tokens = 50000};

static void responses_request_is_as_codex_sends_it(void **state)
{
    json_t *body = request_body(WIRE_RESPONSES, &full_options);

    (void)state;
    assert_string_equal(text_at(body, "instructions"), "Be brief.");
    assert_string_equal(text_at(body, "input.0.role"), "developer");
    assert_string_equal(text_at(body, "input.1.content.0.text"), "do \"it\"\n");
    assert_string_equal(text_at(body, "input.2.content.1.image_url"), "data:image/png;base64,AAAA");
    assert_string_equal(text_at(body, "input.4.type"), "function_call_output");
    assert_string_equal(text_at(body, "tools.1.type"), "custom");
    assert_string_equal(text_at(body, "tools.1.format.syntax"), "lark");
    assert_string_equal(text_at(body, "tools.2.tools.0.name"), "spawn");
    assert_string_equal(text_at(body, "reasoning.effort"), "high");
    assert_string_equal(text_at(body, "reasoning.summary"), "auto");
    assert_string_equal(text_at(body, "include.0"), "reasoning.encrypted_content");
    assert_string_equal(text_at(body, "prompt_cache_key"), "key-1");
    assert_string_equal(text_at(body, "text.format.type"), "json_schema");
    assert_true(json_is_true(at(body, "stream")));
    assert_true(json_is_false(at(body, "store")));
    assert_true(json_is_true(at(body, "parallel_tool_calls")));
    json_decref(body);
}

static void chat_request_has_its_form(void **state)
{
    json_t *body = request_body(WIRE_CHAT, &full_options);

    (void)state;
    assert_string_equal(text_at(body, "messages.0.role"), "system");
    assert_string_equal(text_at(body, "messages.3.content.1.image_url.url"), "data:image/png;base64,AAAA");
    assert_string_equal(text_at(body, "messages.5.tool_call_id"), "c1");
    assert_string_equal(text_at(body, "tools.1.function.name"), "apply_patch");
    assert_string_equal(text_at(body, "tools.2.function.name"), "agents__spawn");
    assert_string_equal(text_at(body, "reasoning_effort"), "high");
    assert_int_equal(json_integer_value(at(body, "max_completion_tokens")), 50000);
    assert_true(json_is_true(at(body, "stream_options.include_usage")));
    assert_string_equal(text_at(body, "response_format.type"), "json_schema");
    json_decref(body);
}

static void messages_request_has_its_form(void **state)
{
    struct model_call_options options = full_options;
    json_t *body;

    (void)state;
    options.model = "claude-sonnet-4-5-20250929";
    body = request_body(WIRE_MESSAGES, &options);
    assert_string_equal(text_at(body, "system.0.cache_control.type"), "ephemeral");
    /* Items of one side are one message; the sides take turns. */
    assert_int_equal(json_array_size(at(body, "messages")), 3);
    assert_int_equal(json_array_size(at(body, "messages.0.content")), 4);
    assert_string_equal(text_at(body, "messages.0.content.3.source.media_type"), "image/png");
    assert_string_equal(text_at(body, "messages.1.role"), "assistant");
    assert_string_equal(text_at(body, "messages.2.content.0.type"), "tool_result");
    assert_true(json_is_true(at(body, "messages.2.content.0.is_error")));
    assert_null(at(body, "messages.2.content.0.cache_control"));
    assert_string_equal(text_at(body, "messages.2.content.1.cache_control.type"), "ephemeral");
    assert_string_equal(text_at(body, "tools.1.input_schema.required.0"), "input");
    assert_string_equal(text_at(body, "thinking.type"), "enabled");
    assert_int_equal(json_integer_value(at(body, "thinking.budget_tokens")), 16384);
    json_decref(body);
    options.model = "claude-opus-4-6";
    body = request_body(WIRE_MESSAGES, &options);
    assert_string_equal(text_at(body, "thinking.type"), "adaptive");
    assert_string_equal(text_at(body, "output_config.effort"), "high");
    assert_string_equal(text_at(body, "output_config.format.type"), "json_schema");
    json_decref(body);
}

static void estimate_follows_the_reported_count(void **state)
{
    struct conversation *c = conversation_create(WIRE_RESPONSES, "x", NULL, NULL);
    char text[4001];
    int64_t first;

    (void)state;
    memset(text, 'a', 4000);
    text[4000] = '\0';
    conversation_add_message(c, MESSAGE_USER, text);
    first = conversation_estimate_tokens(c);
    assert_in_range(first, 950, 1100);
    conversation_note_usage(c, 2000);
    assert_int_equal(conversation_estimate_tokens(c), 2000);
    conversation_add_message(c, MESSAGE_USER, text);
    assert_in_range(conversation_estimate_tokens(c), 3900, 4100);
    conversation_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_stream_is_read_to_its_end),
        cmocka_unit_test(dribbled_and_odd_cuts_give_the_same),
        cmocka_unit_test(cut_at_every_byte_keeps_what_was_complete),
        cmocka_unit_test(garbage_between_events_is_skipped),
        cmocka_unit_test(spliced_starts_keep_the_second_answer_only),
        cmocka_unit_test(failed_responses_are_classified),
        cmocka_unit_test(incomplete_responses_give_the_reason),
        cmocka_unit_test(reasoning_goes_back_as_the_api_demands),
        cmocka_unit_test(responses_request_is_as_codex_sends_it),
        cmocka_unit_test(chat_request_has_its_form),
        cmocka_unit_test(messages_request_has_its_form),
        cmocka_unit_test(estimate_follows_the_reported_count),
    };

    return cmocka_run_group_tests(tests, load_recordings, free_recordings);
}
