/* model/wire_messages.c: Anthropic's Messages API (POST /messages).
 *
 * Thinking blocks go back with their signature, redacted ones and those of the service's own tools as they
 * came. Two cache marks: behind the system prompt (which covers the tools before it) and behind the newest
 * block, so that each turn reads the cache of the one before. */
#include "model/wire.h"

#include "base/alloc.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX_TOKENS 32000
#define BLOCKS_MAX         4096

static void write_message(struct buf *out, enum message_role role, const char *text)
{
    (void)role; /* the conversation opens the message; the API has no developer role */
    buf_puts(out, "{\"type\":\"text\",\"text\":");
    json_append_string(out, text != NULL && *text != '\0' ? text : "(empty)"); /* the API refuses "" */
    buf_putc(out, '}');
}

static void write_image(struct buf *out, const char *text, const char *mime, const char *base64)
{
    if (text != NULL && *text != '\0') {
        write_message(out, MESSAGE_USER, text);
        buf_putc(out, ',');
    }
    buf_puts(out, "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":");
    json_append_string(out, mime);
    buf_puts(out, ",\"data\":");
    json_append_string(out, base64);
    buf_puts(out, "}}");
}

static void write_tool_result(struct buf *out, const char *call_id, const char *output, bool custom,
                              bool is_error)
{
    (void)custom;
    buf_puts(out, "{\"type\":\"tool_result\",\"tool_use_id\":");
    json_append_string(out, call_id);
    buf_puts(out, ",\"content\":");
    json_append_string(out, output);
    buf_puts(out, is_error ? ",\"is_error\":true}" : "}");
}

static void write_tool(struct json_writer *w, const char *space, const struct tool_schema *tool)
{
    static const char no_parameters[] = "{\"type\":\"object\",\"properties\":{}}";
    static const char free_form[] =
        "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}";
    const char *parameters = tool->kind == TOOL_SCHEMA_CUSTOM ? free_form
                             : tool->parameters != NULL       ? tool->parameters
                                                              : no_parameters;
    char *name = space != NULL ? xasprintf("%s__%s", space, tool->name) : xstrdup(tool->name);

    jw_object_begin(w);
    jw_pair_string(w, "name", name);
    jw_pair_string(w, "description", tool->description != NULL ? tool->description : "");
    jw_key(w, "input_schema");
    jw_raw(w, parameters, strlen(parameters));
    jw_object_end(w);
    free(name);
}

static void write_tools(struct buf *out, const struct tool_schema *tools, size_t count)
{
    struct json_writer w = {.out = out};

    jw_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        if (tools[i].kind != TOOL_SCHEMA_NAMESPACE) {
            write_tool(&w, NULL, &tools[i]);
            continue;
        }
        for (size_t j = 0; j < tools[i].tool_count; j++)
            write_tool(&w, tools[i].name, &tools[i].tools[j]);
    }
    jw_array_end(&w);
}

/* The version in "claude-opus-4-6-20260205" (406) or "claude-3-5-haiku" (305); 0 for other models. */
static int claude_version(const char *model)
{
    const char *p = strstr(model, "claude-");
    int major = 0, minor = 0;

    if (p == NULL)
        return 0;
    p += 7;
    while (*p != '\0' && (*p < '0' || *p > '9'))
        p++;
    while (*p >= '0' && *p <= '9' && major < 100)
        major = major * 10 + (*p++ - '0');
    /* A minor version has one or two digits; eight are a date. */
    if ((*p == '-' || *p == '.') && p[1] >= '0' && p[1] <= '9') {
        size_t digits = strspn(p + 1, "0123456789");

        if (digits <= 2)
            minor = atoi(p + 1);
    }
    return major * 100 + minor;
}

static int64_t default_max_tokens(const char *model)
{
    int version = claude_version(model);

    if (version > 0 && version < 305)
        return 4096;
    if (version >= 305 && version < 307)
        return 8192;
    return DEFAULT_MAX_TOKENS;
}

static int64_t thinking_budget(const char *effort, int64_t max_tokens)
{
    int64_t budget = strcmp(effort, "minimal") == 0  ? 1024
                     : strcmp(effort, "low") == 0    ? 2048
                     : strcmp(effort, "medium") == 0 ? 8192
                     : strcmp(effort, "high") == 0   ? 16384
                                                     : 24576;

    return budget < max_tokens ? budget : max_tokens / 2;
}

/* Thinking and structured output. From 4.6 on the model decides how much it thinks, by an effort. */
static void write_thinking_and_format(struct json_writer *w, const struct model_call_options *options,
                                      int64_t max_tokens)
{
    const char *effort = options->reasoning_effort;
    int version = claude_version(options->model);
    bool can_think = version == 0 || version >= 307;
    bool thinks = effort != NULL && strcmp(effort, "none") != 0 && can_think;
    bool is_adaptive = version >= 406;

    if (thinks) {
        jw_key(w, "thinking");
        jw_object_begin(w);
        jw_pair_string(w, "type", is_adaptive ? "adaptive" : "enabled");
        if (!is_adaptive)
            jw_pair_int(w, "budget_tokens", thinking_budget(effort, max_tokens));
        jw_object_end(w);
    }
    if (options->output_schema == NULL && !(thinks && is_adaptive))
        return;
    jw_key(w, "output_config");
    jw_object_begin(w);
    if (thinks && is_adaptive)
        jw_pair_string(w, "effort",
                       strcmp(effort, "minimal") == 0                                 ? "low"
                       : strcmp(effort, "xhigh") == 0 || strcmp(effort, "ultra") == 0 ? "max"
                                                                                      : effort);
    if (options->output_schema != NULL) {
        jw_key(w, "format");
        jw_object_begin(w);
        jw_pair_string(w, "type", "json_schema");
        jw_key(w, "schema");
        jw_raw(w, options->output_schema, strlen(options->output_schema));
        jw_object_end(w);
    }
    jw_object_end(w);
}

static size_t write_request(struct buf *head, struct buf *tail, const struct conversation *conversation,
                            const struct model_call_options *options)
{
    struct json_writer w = {.out = head};
    const char *tools = conversation_tools(conversation);
    const char *instructions = conversation_instructions(conversation);
    const char *open_role = conversation_open_role(conversation);
    bool marks_last = strcmp(open_role, "user") == 0;
    int64_t max_tokens =
        options->max_output_tokens > 0 ? options->max_output_tokens : default_max_tokens(options->model);

    jw_object_begin(&w);
    jw_pair_string(&w, "model", options->model);
    jw_pair_int(&w, "max_tokens", max_tokens);
    if (instructions != NULL && *instructions != '\0') {
        jw_key(&w, "system");
        buf_puts(head, "[{\"type\":\"text\",\"text\":");
        json_append_string(head, instructions);
        buf_puts(head, ",\"cache_control\":{\"type\":\"ephemeral\"}}]");
        w.after_key = false;
        w.has_item |= UINT64_C(1) << w.depth;
    }
    buf_puts(head, ",\"messages\":[");

    if (marks_last)
        buf_puts(tail, ",\"cache_control\":{\"type\":\"ephemeral\"}}");
    buf_puts(tail, *open_role != '\0' ? "]}]" : "]");
    w.out = tail;
    if (tools != NULL) {
        jw_key(&w, "tools");
        jw_raw(&w, tools, strlen(tools));
        jw_key(&w, "tool_choice");
        jw_object_begin(&w);
        jw_pair_string(&w, "type", "auto");
        jw_object_end(&w);
    }
    write_thinking_and_format(&w, options, max_tokens);
    jw_pair_bool(&w, "stream", true);
    jw_object_end(&w);
    return marks_last ? 1 : 0;
}

/* --- Reading ------------------------------------------------------------------------------------------ */

struct block {
    int64_t index;
    json_t *start;    /* content_block as it began */
    struct buf text;  /* text, thinking, or partial JSON of the input */
    struct buf other; /* signature, or content that comes in deltas */
};

struct messages_state {
    struct vec blocks; /* struct block *, those still open */
    char *stop_reason;
};

static void free_block(struct block *block)
{
    json_decref(block->start);
    buf_free(&block->text);
    buf_free(&block->other);
    free(block);
}

static void drop_blocks(struct messages_state *s)
{
    for (size_t i = 0; i < s->blocks.len; i++)
        free_block(s->blocks.items[i]);
    s->blocks.len = 0;
}

static struct block *find_block(struct messages_state *s, int64_t index)
{
    for (size_t i = 0; i < s->blocks.len; i++)
        if (((struct block *)s->blocks.items[i])->index == index)
            return s->blocks.items[i];
    return NULL;
}

static void append_history(struct wire_answer *answer, const json_t *block)
{
    if (answer->history.len > 0)
        buf_putc(&answer->history, ',');
    json_append_value(&answer->history, block);
}

/* The JSON of a tool's input; NULL text: as it began. What does not parse becomes {}. */
static void set_input(json_t *block, const struct buf *text)
{
    json_t *input = text->len > 0 ? json_parse(text->data, text->len, "tool input", NULL)
                                  : json_incref(json_object_get(block, "input"));

    if (!json_is_object(input)) {
        json_decref(input);
        input = json_object();
    }
    json_object_set_new(block, "input", input);
}

static void close_text(struct wire_answer *answer, struct block *block)
{
    const char *initial = json_get_string(block->start, "text", "");
    struct wire_item *item;
    json_t *clean;

    if (block->text.len == 0 && *initial == '\0')
        return; /* the API refuses empty text */
    item = wire_answer_add(answer, ITEM_MESSAGE);
    item->text = xasprintf("%s%s", initial, buf_cstr(&block->text));
    clean = json_pack("{s:s, s:s}", "type", "text", "text", item->text);
    if (clean == NULL)
        clean = json_pack("{s:s, s:s}", "type", "text", "text", "(unreadable)");
    append_history(answer, clean);
    json_decref(clean);
}

static void close_block(struct wire_answer *answer, struct block *block)
{
    const char *type = json_get_string(block->start, "type", "");
    struct wire_item *item;

    if (strcmp(type, "text") == 0) {
        close_text(answer, block);
        return;
    }
    if (strcmp(type, "thinking") == 0) {
        item = wire_answer_add(answer, ITEM_REASONING);
        item->text = block->text.len > 0 ? xstrdup(block->text.data) : NULL;
        if (block->text.len > 0)
            json_object_set_new(block->start, "thinking", json_stringn(block->text.data, block->text.len));
        if (block->other.len > 0 || json_object_get(block->start, "signature") == NULL)
            json_object_set_new(block->start, "signature", json_string(buf_cstr(&block->other)));
    } else if (strcmp(type, "redacted_thinking") == 0) {
        wire_answer_add(answer, ITEM_REASONING);
    } else if (strcmp(type, "tool_use") == 0) {
        item = wire_answer_add(answer, ITEM_TOOL_CALL);
        item->call_id = xstrdup(json_get_string(block->start, "id", ""));
        item->name = xstrdup(json_get_string(block->start, "name", ""));
        set_input(block->start, &block->text);
        if (block->text.len > 0) {
            item->arguments = xstrdup(block->text.data);
        } else {
            struct buf text = BUF_INIT;

            json_append_value(&text, json_object_get(block->start, "input"));
            item->arguments = buf_take(&text);
        }
    } else {
        /* server_tool_use, mcp_tool_use and their results, compaction, ... */
        item = wire_answer_add(answer, ITEM_OTHER);
        item->name = xstrdup(type);
        if (json_object_get(block->start, "input") != NULL)
            set_input(block->start, &block->text);
        if (block->other.len > 0)
            json_object_set_new(block->start, "content", json_stringn(block->other.data, block->other.len));
    }
    append_history(answer, block->start);
}

static void close_index(struct wire_answer *answer, struct messages_state *s, int64_t index)
{
    struct block *block = find_block(s, index);

    if (block == NULL)
        return;
    close_block(answer, block);
    vec_remove_item(&s->blocks, block);
    free_block(block);
}

static void open_block(struct wire_answer *answer, struct messages_state *s, const json_t *root)
{
    json_t *start = json_object_get(root, "content_block");
    int64_t index = json_get_int(root, "index", 0);
    struct block *block;

    if (!json_is_object(start) || s->blocks.len >= BLOCKS_MAX)
        return;
    close_index(answer, s, index); /* its end was lost */
    block = xcalloc(1, sizeof *block);
    block->index = index;
    block->start = json_incref(start);
    vec_push(&s->blocks, block);
}

static void add_delta(struct wire_reader *reader, struct messages_state *s, const json_t *root)
{
    static const struct {
        const char *key;
        bool is_other;
    } parts[] = {{"text", false},
                 {"thinking", false},
                 {"partial_json", false},
                 {"signature", true},
                 {"content", true}};
    const json_t *delta = json_object_get(root, "delta");
    struct block *block = find_block(s, json_get_int(root, "index", 0));

    if (block == NULL)
        return;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const json_t *value = json_object_get(delta, parts[i].key);

        if (!json_is_string(value))
            continue;
        buf_append(parts[i].is_other ? &block->other : &block->text, json_string_value(value),
                   json_string_length(value));
        if (i == 0 && reader->on_text_delta != NULL)
            reader->on_text_delta(reader->data, json_string_value(value), json_string_length(value));
    }
}

/* Counts come at the start and, cumulative, at the end; a missing one keeps what is known. */
static void take_usage(struct usage *usage, const json_t *u)
{
    int64_t read, written, fresh;

    if (!json_is_object(u))
        return;
    fresh = json_get_int(u, "input_tokens", -1);
    read = json_get_int(u, "cache_read_input_tokens", 0);
    written = json_get_int(u, "cache_creation_input_tokens", 0);
    if (fresh >= 0) {
        usage->input_tokens = fresh + read + written;
        usage->cached_input_tokens = read;
        usage->cache_write_input_tokens = written;
    }
    usage->output_tokens = json_get_int(u, "output_tokens", usage->output_tokens);
    usage->reasoning_output_tokens =
        json_get_int(json_object_get(u, "output_tokens_details"), "thinking_tokens", 0);
}

static void complete(struct wire_reader *reader, struct messages_state *s)
{
    struct wire_answer *answer = &reader->answer;
    const char *reason = s->stop_reason != NULL ? s->stop_reason : "";
    bool has_call = false;

    while (s->blocks.len > 0)
        close_index(answer, s, ((struct block *)s->blocks.items[0])->index);
    for (size_t i = 0; i < answer->items.len; i++)
        has_call = has_call || ((struct wire_item *)answer->items.items[i])->kind == ITEM_TOOL_CALL;
    if (!has_call && answer->items.len > 0) {
        struct wire_item *last = answer->items.items[answer->items.len - 1];

        last->is_final_answer = last->kind == ITEM_MESSAGE;
    }
    if (strcmp(reason, "max_tokens") == 0)
        answer->incomplete_reason = xstrdup("max_output_tokens");
    else if (strcmp(reason, "refusal") == 0)
        answer->incomplete_reason = xstrdup("content_filter");
    else if (strcmp(reason, "model_context_window_exceeded") == 0 || strcmp(reason, "pause_turn") == 0)
        answer->incomplete_reason = xstrdup(reason);
    answer->is_complete = true;
}

/* Events that say nothing to us need no parsing. */
static bool is_noise(const char *event, const char *data, size_t n)
{
    return strcmp(event, "ping") == 0 || (n < 64 && memmem(data, n, "\"type\":\"ping\"", 13) != NULL);
}

static void read_event(struct wire_reader *reader, void *state, const char *event, const char *data, size_t n)
{
    struct messages_state *s = state;
    struct wire_answer *answer = &reader->answer;
    const char *type;
    json_t *root;

    if (is_noise(event, data, n))
        return;
    root = json_parse(data, n, "event", NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return;
    }
    type = json_get_string(root, "type", event);
    if (strcmp(type, "content_block_delta") == 0) {
        add_delta(reader, s, root);
    } else if (strcmp(type, "content_block_start") == 0) {
        open_block(answer, s, root);
    } else if (strcmp(type, "content_block_stop") == 0) {
        close_index(answer, s, json_get_int(root, "index", 0));
    } else if (strcmp(type, "message_start") == 0) {
        /* A second start: a proxy began the answer anew; what came before belongs to no message. */
        drop_blocks(s);
        wire_answer_reset(answer);
        take_usage(&answer->usage, json_object_get(json_object_get(root, "message"), "usage"));
    } else if (strcmp(type, "message_delta") == 0) {
        const char *reason =
            json_string_value(json_object_get(json_object_get(root, "delta"), "stop_reason"));

        take_usage(&answer->usage, json_object_get(root, "usage"));
        if (reason != NULL) {
            free(s->stop_reason);
            s->stop_reason = xstrdup(reason);
        }
    } else if (strcmp(type, "message_stop") == 0) {
        complete(reader, s);
    } else if (strcmp(type, "error") == 0) {
        const json_t *error = json_object_get(root, "error");

        failure_from_object(&answer->failure, json_is_object(error) ? error : root, reader->provider);
    }
    json_decref(root);
}

/* A stop reason without message_stop: some proxies leave it out. */
static void read_end(struct wire_reader *reader, void *state)
{
    struct messages_state *s = state;

    if (s->stop_reason != NULL)
        complete(reader, s);
}

static void state_finish(void *state)
{
    struct messages_state *s = state;

    drop_blocks(s);
    vec_finish(&s->blocks);
    free(s->stop_reason);
}

const struct wire_ops wire_messages = {
    .api = WIRE_MESSAGES,
    .name = "messages",
    .path = "/messages",
    .write_message = write_message,
    .write_image = write_image,
    .write_tool_result = write_tool_result,
    .write_tools = write_tools,
    .write_request = write_request,
    .state_size = sizeof(struct messages_state),
    .read_event = read_event,
    .read_end = read_end,
    .state_finish = state_finish,
};
