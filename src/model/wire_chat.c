/* model/wire_chat.c: Chat Completions (POST /chat/completions), as OpenAI, local servers (Ollama, LM Studio,
 * llama.cpp, vLLM) and many others speak it.
 *
 * Servers differ in where they put reasoning; it is sent back under the name it came by, and only together
 * with tool calls: that is where the APIs that want it demand it, and elsewhere some refuse it. */
#include "model/wire.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 256

static void write_message(struct buf *out, enum message_role role, const char *text)
{
    /* A system message that is not the first is refused by many chat templates: it goes in as the user's. */
    buf_printf(out, "{\"role\":\"%s\",\"content\":", role == MESSAGE_ASSISTANT ? "assistant" : "user");
    json_append_string(out, text != NULL ? text : "");
    buf_putc(out, '}');
}

static void write_image(struct buf *out, const char *text, const char *mime, const char *base64)
{
    buf_puts(out, "{\"role\":\"user\",\"content\":[");
    if (text != NULL && *text != '\0') {
        buf_puts(out, "{\"type\":\"text\",\"text\":");
        json_append_string(out, text);
        buf_puts(out, "},");
    }
    buf_puts(out, "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:");
    json_append_escaped(out, mime, strlen(mime));
    buf_puts(out, ";base64,");
    json_append_escaped(out, base64, strlen(base64));
    buf_puts(out, "\"}}]}");
}

static void write_tool_result(struct buf *out, const char *call_id, const char *output, bool custom,
                              bool is_error)
{
    (void)custom;
    (void)is_error;
    buf_puts(out, "{\"role\":\"tool\",\"tool_call_id\":");
    json_append_string(out, call_id);
    buf_puts(out, ",\"content\":");
    json_append_string(out, output);
    buf_putc(out, '}');
}

static void write_function(struct json_writer *w, const char *space, const struct tool_schema *tool)
{
    static const char no_parameters[] = "{\"type\":\"object\",\"properties\":{}}";
    static const char free_form[] = "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
                                    "\"required\":[\"input\"],\"additionalProperties\":false}";
    const char *parameters = tool->kind == TOOL_SCHEMA_CUSTOM ? free_form
                             : tool->parameters != NULL       ? tool->parameters
                                                              : no_parameters;
    char *name = space != NULL ? xasprintf("%s__%s", space, tool->name) : xstrdup(tool->name);

    jw_object_begin(w);
    jw_pair_string(w, "type", "function");
    jw_key(w, "function");
    jw_object_begin(w);
    jw_pair_string(w, "name", name);
    jw_pair_string(w, "description", tool->description != NULL ? tool->description : "");
    jw_key(w, "parameters");
    jw_raw(w, parameters, strlen(parameters));
    jw_object_end(w);
    jw_object_end(w);
    free(name);
}

static void write_tools(struct buf *out, const struct tool_schema *tools, size_t count)
{
    struct json_writer w = {.out = out};

    jw_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        if (tools[i].kind != TOOL_SCHEMA_NAMESPACE) {
            write_function(&w, NULL, &tools[i]);
            continue;
        }
        for (size_t j = 0; j < tools[i].tool_count; j++)
            write_function(&w, tools[i].name, &tools[i].tools[j]);
    }
    jw_array_end(&w);
}

/* OpenAI's reasoning models renamed the key; local servers know the old name. */
static const char *max_tokens_key(const char *model)
{
    bool is_new = strncmp(model, "gpt-5", 5) == 0 || strncmp(model, "gpt-6", 5) == 0 ||
                  (model[0] == 'o' && model[1] >= '1' && model[1] <= '9');

    return is_new ? "max_completion_tokens" : "max_tokens";
}

static size_t write_request(struct buf *head, struct buf *tail, const struct conversation *conversation,
                            const struct model_call_options *options)
{
    struct json_writer w = {.out = head};
    const char *tools = conversation_tools(conversation);
    const char *instructions = conversation_instructions(conversation);

    jw_object_begin(&w);
    jw_pair_string(&w, "model", options->model);
    buf_puts(head, ",\"messages\":[");
    if (instructions != NULL) {
        buf_puts(head, "{\"role\":\"system\",\"content\":");
        json_append_string(head, instructions);
        buf_puts(head, conversation_size_bytes(conversation) > 0 ? "}," : "}");
    }
    buf_puts(tail, "]");
    w.out = tail;
    if (tools != NULL) {
        jw_key(&w, "tools");
        jw_raw(&w, tools, strlen(tools));
        jw_pair_string(&w, "tool_choice", "auto");
        jw_pair_bool(&w, "parallel_tool_calls", true);
    }
    if (options->reasoning_effort != NULL)
        jw_pair_string(&w, "reasoning_effort", options->reasoning_effort);
    if (options->max_output_tokens > 0)
        jw_pair_int(&w, max_tokens_key(options->model), options->max_output_tokens);
    if (options->output_schema != NULL) {
        jw_key(&w, "response_format");
        jw_object_begin(&w);
        jw_pair_string(&w, "type", "json_schema");
        jw_key(&w, "json_schema");
        jw_object_begin(&w);
        jw_pair_string(&w, "name", "answer");
        jw_pair_bool(&w, "strict", true);
        jw_key(&w, "schema");
        jw_raw(&w, options->output_schema, strlen(options->output_schema));
        jw_object_end(&w);
        jw_object_end(&w);
    }
    jw_pair_bool(&w, "stream", true);
    jw_key(&w, "stream_options");
    jw_object_begin(&w);
    jw_pair_bool(&w, "include_usage", true);
    jw_object_end(&w);
    jw_object_end(&w);
    return 0;
}

/* --- Reading ------------------------------------------------------------------------------------------ */

struct chat_call {
    int64_t index;
    char *id, *name;
    struct buf arguments;
    json_t *extra; /* what some services want back as it was (thought signatures) */
};

struct chat_state {
    struct buf content;
    struct buf reasoning;
    const char *reasoning_key; /* the name it came by */
    json_t *reasoning_details; /* array of parts that want to be sent back, or NULL */
    struct vec calls;          /* struct chat_call * */
    char *finish_reason;
    bool is_built;
};

static struct chat_call *find_call(struct chat_state *s, const json_t *delta, size_t position)
{
    int64_t index = json_get_int(delta, "index", (int64_t)position);
    const char *id = json_string_value(json_object_get(delta, "id"));
    struct chat_call *call;

    for (size_t i = 0; i < s->calls.len; i++) {
        call = s->calls.items[i];
        /* Some servers number every parallel call 0: a new id is a new call. */
        if (call->index == index &&
            (id == NULL || *id == '\0' || call->id == NULL || strcmp(call->id, id) == 0))
            return call;
    }
    if (s->calls.len >= CALLS_MAX)
        return NULL;
    call = xcalloc(1, sizeof *call);
    call->index = index;
    vec_push(&s->calls, call);
    return call;
}

/* The newest call of an index is the one that goes on. */
static struct chat_call *continue_call(struct chat_state *s, const json_t *delta, size_t position)
{
    int64_t index = json_get_int(delta, "index", (int64_t)position);
    const char *id = json_string_value(json_object_get(delta, "id"));

    if (id == NULL || *id == '\0')
        for (size_t i = s->calls.len; i-- > 0;)
            if (((struct chat_call *)s->calls.items[i])->index == index)
                return s->calls.items[i];
    return find_call(s, delta, position);
}

static void take_calls(struct chat_state *s, const json_t *deltas)
{
    json_t *delta;
    size_t i;

    json_array_foreach(deltas, i, delta)
    {
        struct chat_call *call = continue_call(s, delta, i);
        const json_t *function = json_object_get(delta, "function");
        const char *id = json_string_value(json_object_get(delta, "id"));
        const char *name = json_string_value(json_object_get(function, "name"));
        const json_t *arguments = json_object_get(function, "arguments");

        if (call == NULL)
            continue;
        if (call->id == NULL && id != NULL && *id != '\0')
            call->id = xstrdup(id);
        if (call->name == NULL && name != NULL && *name != '\0')
            call->name = xstrdup(name);
        if (json_is_string(arguments))
            buf_append(&call->arguments, json_string_value(arguments), json_string_length(arguments));
        else if (json_is_object(arguments)) /* some local servers */
            json_append_value(&call->arguments, arguments);
        if (call->extra == NULL && json_is_object(json_object_get(delta, "extra_content")))
            call->extra = json_incref(json_object_get(delta, "extra_content"));
    }
}

static void take_reasoning(struct chat_state *s, const json_t *delta)
{
    static const char *const keys[] = {"reasoning_content", "reasoning"};
    json_t *details = json_object_get(delta, "reasoning_details");

    for (size_t i = 0; i < 2; i++) {
        const json_t *value = json_object_get(delta, keys[i]);

        if (json_is_string(value) && json_string_length(value) > 0 &&
            (s->reasoning_key == NULL || strcmp(s->reasoning_key, keys[i]) == 0)) {
            s->reasoning_key = keys[i];
            buf_append(&s->reasoning, json_string_value(value), json_string_length(value));
        }
    }
    if (json_is_array(details)) {
        if (s->reasoning_details == NULL)
            s->reasoning_details = json_array();
        json_array_extend(s->reasoning_details, details);
    }
}

static void take_text(struct wire_reader *reader, struct chat_state *s, const json_t *value)
{
    if (!json_is_string(value) || json_string_length(value) == 0)
        return;
    buf_append(&s->content, json_string_value(value), json_string_length(value));
    if (reader->on_text_delta != NULL)
        reader->on_text_delta(reader->data, json_string_value(value), json_string_length(value));
}

/* Content is a string, or (Mistral) a list of parts of which some are thoughts. */
static void take_content(struct wire_reader *reader, struct chat_state *s, const json_t *content)
{
    const json_t *part, *thought;
    size_t i, j;

    take_text(reader, s, content);
    json_array_foreach(content, i, part)
    {
        take_text(reader, s, json_object_get(part, "text"));
        json_array_foreach(json_object_get(part, "thinking"), j, thought)
        {
            const char *text = json_string_value(json_object_get(thought, "text"));

            if (text != NULL)
                buf_puts(&s->reasoning, text);
        }
    }
}

static void take_usage(struct usage *usage, const json_t *u)
{
    int64_t prompt, completion, reasoning;

    if (!json_is_object(u))
        return;
    prompt = json_get_int(u, "prompt_tokens", 0);
    completion = json_get_int(u, "completion_tokens", 0);
    reasoning = json_get_int(json_object_get(u, "completion_tokens_details"), "reasoning_tokens", 0);
    usage->input_tokens = prompt;
    usage->cached_input_tokens = json_get_int(json_object_get(u, "prompt_tokens_details"), "cached_tokens",
                                              json_get_int(u, "prompt_cache_hit_tokens", 0));
    usage->reasoning_output_tokens = reasoning;
    /* xAI does not count reasoning among the completion's tokens; the total tells. */
    if (reasoning > 0 && json_get_int(u, "total_tokens", 0) == prompt + completion + reasoning)
        completion += reasoning;
    usage->output_tokens = completion;
}

static bool is_json_object(const struct buf *text)
{
    json_t *value = json_parse(buf_cstr(text), text->len, "arguments", NULL);
    bool is_object = json_is_object(value);

    json_decref(value);
    return is_object;
}

/* The answer as it goes back into the conversation. */
static void write_history(struct buf *out, const struct chat_state *s)
{
    struct json_writer w = {.out = out};

    if (s->content.len == 0 && s->calls.len == 0)
        return;
    jw_object_begin(&w);
    jw_pair_string(&w, "role", "assistant");
    jw_key(&w, "content");
    jw_string_n(&w, buf_cstr(&s->content), s->content.len);
    if (s->calls.len > 0) {
        if (s->reasoning.len > 0 && s->reasoning_key != NULL) {
            jw_key(&w, s->reasoning_key);
            jw_string_n(&w, s->reasoning.data, s->reasoning.len);
        }
        if (s->reasoning_details != NULL) {
            jw_key(&w, "reasoning_details");
            jw_value(&w, s->reasoning_details);
        }
        jw_key(&w, "tool_calls");
        jw_array_begin(&w);
        for (size_t i = 0; i < s->calls.len; i++) {
            const struct chat_call *call = s->calls.items[i];

            jw_object_begin(&w);
            jw_pair_string(&w, "id", call->id);
            jw_pair_string(&w, "type", "function");
            jw_key(&w, "function");
            jw_object_begin(&w);
            jw_pair_string(&w, "name", call->name);
            /* Templates of local servers parse the arguments and fail on what is no object. */
            jw_pair_string(&w, "arguments", is_json_object(&call->arguments) ? call->arguments.data : "{}");
            jw_object_end(&w);
            if (call->extra != NULL) {
                jw_key(&w, "extra_content");
                jw_value(&w, call->extra);
            }
            jw_object_end(&w);
        }
        jw_array_end(&w);
    }
    jw_object_end(&w);
}

/* Makes the items once the answer is whole. */
static void build(struct wire_reader *reader, struct chat_state *s)
{
    struct wire_answer *answer = &reader->answer;
    struct wire_item *item;

    if (s->is_built)
        return;
    s->is_built = true;
    if (s->reasoning.len > 0) {
        item = wire_answer_add(answer, ITEM_REASONING);
        item->text = xstrdup(s->reasoning.data);
    }
    if (s->content.len > 0) {
        item = wire_answer_add(answer, ITEM_MESSAGE);
        item->text = xstrdup(s->content.data);
        item->is_final_answer = s->calls.len == 0;
    }
    for (size_t i = 0; i < s->calls.len; i++) {
        struct chat_call *call = s->calls.items[i];

        if (call->id == NULL) {
            char id[13];

            random_id(id, sizeof id - 1);
            call->id = xasprintf("call_%s", id);
        }
        if (call->name == NULL)
            call->name = xstrdup("");
        item = wire_answer_add(answer, ITEM_TOOL_CALL);
        item->call_id = xstrdup(call->id);
        item->name = xstrdup(call->name);
        item->arguments = xstrdup(call->arguments.len > 0 ? call->arguments.data : "{}");
    }
    write_history(&answer->history, s);
    if (strcmp(s->finish_reason, "length") == 0)
        answer->incomplete_reason = xstrdup("max_output_tokens");
    else if (strcmp(s->finish_reason, "content_filter") == 0)
        answer->incomplete_reason = xstrdup("content_filter");
    answer->is_complete = true;
}

static void read_event(struct wire_reader *reader, void *state, const char *event, const char *data, size_t n)
{
    struct chat_state *s = state;
    json_t *root;
    const json_t *choice, *delta, *error;
    const char *finish;

    (void)event;
    if (n == 6 && memcmp(data, "[DONE]", 6) == 0) {
        if (s->finish_reason != NULL)
            build(reader, s);
        return;
    }
    root = json_parse(data, n, "event", NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return;
    }
    error = json_object_get(root, "error");
    if (json_is_object(error)) {
        failure_from_object(&reader->answer.failure, error, reader->provider);
        json_decref(root);
        return;
    }
    take_usage(&reader->answer.usage, json_object_get(root, "usage"));
    choice = json_array_get(json_object_get(root, "choices"), 0);
    if (json_get_int(choice, "index", 0) == 0) {
        delta = json_object_get(choice, "delta");
        take_reasoning(s, delta);
        take_content(reader, s, json_object_get(delta, "content"));
        take_text(reader, s, json_object_get(delta, "refusal"));
        take_calls(s, json_object_get(delta, "tool_calls"));
        finish = json_string_value(json_object_get(choice, "finish_reason"));
        if (finish != NULL && *finish != '\0') {
            free(s->finish_reason);
            s->finish_reason = xstrdup(finish);
        }
    }
    json_decref(root);
}

/* Not every server sends [DONE]; a finish reason says as well that this was all. */
static void read_end(struct wire_reader *reader, void *state)
{
    struct chat_state *s = state;

    if (s->finish_reason != NULL)
        build(reader, s);
}

static void state_finish(void *state)
{
    struct chat_state *s = state;

    for (size_t i = 0; i < s->calls.len; i++) {
        struct chat_call *call = s->calls.items[i];

        free(call->id);
        free(call->name);
        buf_free(&call->arguments);
        json_decref(call->extra);
        free(call);
    }
    vec_finish(&s->calls);
    buf_free(&s->content);
    buf_free(&s->reasoning);
    json_decref(s->reasoning_details);
    free(s->finish_reason);
}

const struct wire_ops wire_chat = {
    .api = WIRE_CHAT,
    .name = "chat",
    .path = "/chat/completions",
    .write_message = write_message,
    .write_image = write_image,
    .write_tool_result = write_tool_result,
    .write_tools = write_tools,
    .write_request = write_request,
    .state_size = sizeof(struct chat_state),
    .read_event = read_event,
    .read_end = read_end,
    .state_finish = state_finish,
};
