/* model/wire_responses.c: the Responses API (POST /responses, server-sent events).
 *
 * Items of the model are kept as the API gave them (ids, phases, encrypted reasoning), with one exception:
 * reasoning without encrypted content is sent back without its id, because with store: false the service
 * does not know that id. */
#include "model/wire.h"

#include "base/alloc.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static const char *role_name(enum message_role role)
{
    switch (role) {
    case MESSAGE_DEVELOPER:
        return "developer";
    case MESSAGE_ASSISTANT:
        return "assistant";
    case MESSAGE_USER:
        break;
    }
    return "user";
}

static void write_message(struct buf *out, enum message_role role, const char *text)
{
    buf_printf(out, "{\"type\":\"message\",\"role\":\"%s\",\"content\":[{\"type\":\"%s\",\"text\":",
               role_name(role), role == MESSAGE_ASSISTANT ? "output_text" : "input_text");
    json_append_string(out, text != NULL ? text : "");
    buf_puts(out, "}]}");
}

static void write_image(struct buf *out, const char *text, const char *mime, const char *base64)
{
    buf_puts(out, "{\"type\":\"message\",\"role\":\"user\",\"content\":[");
    if (text != NULL && *text != '\0') {
        buf_puts(out, "{\"type\":\"input_text\",\"text\":");
        json_append_string(out, text);
        buf_puts(out, "},");
    }
    buf_puts(out, "{\"type\":\"input_image\",\"image_url\":\"data:");
    json_append_escaped(out, mime, strlen(mime));
    buf_puts(out, ";base64,");
    json_append_escaped(out, base64, strlen(base64));
    buf_puts(out, "\"}]}");
}

static void write_tool_result(struct buf *out, const char *call_id, const char *output, bool custom,
                              bool is_error)
{
    (void)is_error; /* the API has no such mark: the output says it */
    buf_printf(out,
               "{\"type\":\"%s\",\"call_id\":", custom ? "custom_tool_call_output" : "function_call_output");
    json_append_string(out, call_id);
    buf_puts(out, ",\"output\":");
    json_append_string(out, output);
    buf_putc(out, '}');
}

static void write_tool(struct json_writer *w, const struct tool_schema *tool)
{
    static const char no_parameters[] =
        "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}";
    const char *parameters = tool->parameters != NULL ? tool->parameters : no_parameters;

    jw_object_begin(w);
    switch (tool->kind) {
    case TOOL_SCHEMA_FUNCTION:
        jw_pair_string(w, "type", "function");
        jw_pair_string(w, "name", tool->name);
        jw_pair_string(w, "description", tool->description);
        jw_pair_bool(w, "strict", false);
        jw_key(w, "parameters");
        jw_raw(w, parameters, strlen(parameters));
        break;
    case TOOL_SCHEMA_CUSTOM:
        jw_pair_string(w, "type", "custom");
        jw_pair_string(w, "name", tool->name);
        jw_pair_string(w, "description", tool->description);
        if (tool->grammar != NULL) {
            jw_key(w, "format");
            jw_object_begin(w);
            jw_pair_string(w, "type", "grammar");
            jw_pair_string(w, "syntax", tool->grammar_syntax != NULL ? tool->grammar_syntax : "lark");
            jw_pair_string(w, "definition", tool->grammar);
            jw_object_end(w);
        }
        break;
    case TOOL_SCHEMA_NAMESPACE:
        jw_pair_string(w, "type", "namespace");
        jw_pair_string(w, "name", tool->name);
        jw_pair_string(w, "description", tool->description);
        jw_key(w, "tools");
        jw_array_begin(w);
        for (size_t i = 0; i < tool->tool_count; i++)
            write_tool(w, &tool->tools[i]);
        jw_array_end(w);
        break;
    }
    jw_object_end(w);
}

static void write_tools(struct buf *out, const struct tool_schema *tools, size_t count)
{
    struct json_writer w = {.out = out};

    jw_array_begin(&w);
    for (size_t i = 0; i < count; i++)
        write_tool(&w, &tools[i]);
    jw_array_end(&w);
}

/* Models before the reasoning ones refuse to be asked for encrypted reasoning. */
static bool may_reason(const char *model)
{
    return strncmp(model, "gpt-4", 5) != 0 && strncmp(model, "gpt-3", 5) != 0;
}

static size_t write_request(struct buf *head, struct buf *tail, const struct conversation *conversation,
                            const struct model_call_options *options)
{
    struct json_writer w = {.out = head};
    const char *tools = conversation_tools(conversation);

    jw_object_begin(&w);
    jw_pair_string(&w, "model", options->model);
    if (conversation_instructions(conversation) != NULL)
        jw_pair_string(&w, "instructions", conversation_instructions(conversation));
    buf_puts(head, ",\"input\":[");

    /* The tail goes on inside the same object, after a member. */
    buf_puts(tail, "]");
    w.out = tail;
    if (tools != NULL) {
        jw_key(&w, "tools");
        jw_raw(&w, tools, strlen(tools));
        jw_pair_string(&w, "tool_choice", "auto");
        jw_pair_bool(&w, "parallel_tool_calls", true);
    }
    if (options->reasoning_effort != NULL) {
        jw_key(&w, "reasoning");
        jw_object_begin(&w);
        jw_pair_string(&w, "effort", options->reasoning_effort);
        jw_pair_string(&w, "summary", "auto");
        jw_object_end(&w);
    }
    jw_pair_bool(&w, "store", false);
    jw_pair_bool(&w, "stream", true);
    jw_key(&w, "include");
    jw_array_begin(&w);
    if (may_reason(options->model))
        jw_string(&w, "reasoning.encrypted_content");
    jw_array_end(&w);
    if (conversation_cache_key(conversation) != NULL)
        jw_pair_string(&w, "prompt_cache_key", conversation_cache_key(conversation));
    if (options->max_output_tokens > 0)
        jw_pair_int(&w, "max_output_tokens", options->max_output_tokens);
    if (options->output_schema != NULL) {
        jw_key(&w, "text");
        jw_object_begin(&w);
        jw_key(&w, "format");
        jw_object_begin(&w);
        jw_pair_string(&w, "type", "json_schema");
        jw_pair_string(&w, "name", "answer");
        jw_pair_bool(&w, "strict", true);
        jw_key(&w, "schema");
        jw_raw(&w, options->output_schema, strlen(options->output_schema));
        jw_object_end(&w);
        jw_object_end(&w);
    }
    jw_object_end(&w);
    return 0;
}

/* --- Reading ------------------------------------------------------------------------------------------ */

struct responses_state {
    struct failure error; /* an "error" event: final unless response.failed says it better */
};

/* The texts of an array of {"type": ..., KEY: "..."} parts, joined; NULL when there are none. */
static char *join_parts(const json_t *parts, const char *key, const char *between)
{
    struct buf text = BUF_INIT;
    const json_t *part;
    size_t i;

    json_array_foreach(parts, i, part)
    {
        const char *s = json_string_value(json_object_get(part, key));

        if (s == NULL)
            s = json_string_value(json_object_get(part, "refusal"));
        if (s == NULL)
            continue;
        if (text.len > 0)
            buf_puts(&text, between);
        buf_puts(&text, s);
    }
    return text.len > 0 ? buf_take(&text) : (buf_free(&text), NULL);
}

static void add_call(struct wire_answer *answer, const json_t *item, const char *arguments_key, bool custom)
{
    struct wire_item *call = wire_answer_add(answer, ITEM_TOOL_CALL);
    const char *name = json_get_string(item, "name", "");
    const char *namespace_name = json_string_value(json_object_get(item, "namespace"));

    call->custom = custom;
    call->call_id = xstrdup(json_get_string(item, "call_id", json_get_string(item, "id", "")));
    call->name = namespace_name != NULL && strcmp(namespace_name, name) != 0
                     ? xasprintf("%s.%s", namespace_name, name)
                     : xstrdup(name);
    call->arguments = xstrdup(json_get_string(item, arguments_key, ""));
}

static void add_item(struct wire_answer *answer, json_t *item)
{
    const char *type = json_get_string(item, "type", "");
    struct wire_item *made;

    if (strcmp(type, "message") == 0) {
        made = wire_answer_add(answer, ITEM_MESSAGE);
        made->text = join_parts(json_object_get(item, "content"), "text", "");
        made->is_final_answer = strcmp(json_get_string(item, "phase", ""), "final_answer") == 0;
    } else if (strcmp(type, "reasoning") == 0) {
        made = wire_answer_add(answer, ITEM_REASONING);
        made->text = join_parts(json_object_get(item, "summary"), "text", "\n\n");
        if (made->text == NULL)
            made->text = join_parts(json_object_get(item, "content"), "text", "\n\n");
        if (!json_is_string(json_object_get(item, "encrypted_content"))) {
            json_object_del(item, "encrypted_content");
            json_object_del(item, "id");
        }
    } else if (strcmp(type, "function_call") == 0) {
        add_call(answer, item, "arguments", false);
    } else if (strcmp(type, "custom_tool_call") == 0) {
        add_call(answer, item, "input", true);
    } else {
        made = wire_answer_add(answer, ITEM_OTHER);
        made->name = xstrdup(type);
    }
    if (answer->history.len > 0)
        buf_putc(&answer->history, ',');
    json_append_value(&answer->history, item);
}

static void take_usage(struct usage *usage, const json_t *response)
{
    const json_t *u = json_object_get(response, "usage");

    if (!json_is_object(u))
        return;
    usage->input_tokens = json_get_int(u, "input_tokens", 0);
    usage->cached_input_tokens = json_get_int(json_object_get(u, "input_tokens_details"), "cached_tokens", 0);
    usage->cache_write_input_tokens =
        json_get_int(json_object_get(u, "input_tokens_details"), "cache_write_tokens", 0);
    usage->output_tokens = json_get_int(u, "output_tokens", 0);
    usage->reasoning_output_tokens =
        json_get_int(json_object_get(u, "output_tokens_details"), "reasoning_tokens", 0);
}

/* A service that sends no output_item.done at all (some compatible ones) still lists the output at the end. */
static void take_output_if_none(struct wire_answer *answer, const json_t *response)
{
    json_t *output = json_object_get(response, "output"), *item;
    size_t i;

    if (answer->items.len > 0)
        return;
    json_array_foreach(output, i, item)
    {
        if (json_is_object(item))
            add_item(answer, item);
    }
}

/* The type of an event without parsing it: its SSE name, or a search that JSON's quoting makes safe (inside
 * a string the quotes would be escaped). Copies at most SIZE - 1 bytes. False when it cannot be told. */
static bool peek_type(const char *event, const char *data, size_t n, char *type, size_t size)
{
    static const char key[] = "\"type\":\"response.";
    const char *at, *end;
    size_t len;

    if (strncmp(event, "response.", 9) == 0) {
        at = event;
        len = strlen(event);
    } else {
        at = memmem(data, n, key, sizeof key - 1);
        if (at == NULL)
            return false;
        at += 8;
        end = memchr(at, '"', n - (size_t)(at - data));
        if (end == NULL)
            return false;
        len = (size_t)(end - at);
    }
    if (len >= size)
        return false;
    memcpy(type, at, len);
    type[len] = '\0';
    return true;
}

static bool ends_with_delta(const char *type)
{
    size_t n = strlen(type);

    return n > 6 && strcmp(type + n - 6, ".delta") == 0;
}

/* Does this type of event carry something that we use? */
static bool is_wanted(const struct wire_reader *reader, const char *type)
{
    if (strcmp(type, "response.output_text.delta") == 0)
        return reader->on_text_delta != NULL;
    if (ends_with_delta(type))
        return false;
    return strcmp(type, "response.output_item.done") == 0 || strcmp(type, "response.completed") == 0 ||
           strcmp(type, "response.done") == 0 || strcmp(type, "response.failed") == 0 ||
           strcmp(type, "response.incomplete") == 0;
}

static void read_event(struct wire_reader *reader, void *state, const char *event, const char *data, size_t n)
{
    struct responses_state *s = state;
    struct wire_answer *answer = &reader->answer;
    char type_text[64];
    const char *type;
    json_t *root, *response;

    if (peek_type(event, data, n, type_text, sizeof type_text) && !is_wanted(reader, type_text))
        return;
    root = json_parse(data, n, "event", NULL);
    if (!json_is_object(root)) {
        json_decref(root); /* not JSON: skipped */
        return;
    }
    type = json_get_string(root, "type", event);
    response = json_object_get(root, "response");
    if (strcmp(type, "response.output_text.delta") == 0) {
        const json_t *delta = json_object_get(root, "delta");

        if (reader->on_text_delta != NULL && json_is_string(delta))
            reader->on_text_delta(reader->data, json_string_value(delta), json_string_length(delta));
    } else if (strcmp(type, "response.output_item.done") == 0) {
        if (json_is_object(json_object_get(root, "item")))
            add_item(answer, json_object_get(root, "item"));
    } else if (strcmp(type, "response.completed") == 0 || strcmp(type, "response.done") == 0) {
        take_usage(&answer->usage, response);
        take_output_if_none(answer, response);
        answer->is_complete = true;
    } else if (strcmp(type, "response.incomplete") == 0) {
        const json_t *details = json_object_get(response, "incomplete_details");

        take_usage(&answer->usage, response);
        take_output_if_none(answer, response);
        answer->incomplete_reason = xstrdup(json_get_string(details, "reason", "unknown"));
        answer->is_complete = true;
    } else if (strcmp(type, "response.failed") == 0) {
        const json_t *object = json_object_get(response, "error");

        take_usage(&answer->usage, response);
        if (!json_is_object(object) && s->error.kind != FAILURE_NONE)
            answer->failure = s->error;
        else
            failure_from_object(&answer->failure, object, reader->provider);
    } else if (strcmp(type, "error") == 0) {
        /* {"type":"error","error":{...}} or the fields directly; response.failed usually follows. */
        const json_t *object = json_object_get(root, "error");

        json_object_del(root, "type");
        failure_from_object(&s->error, json_is_object(object) ? object : root, reader->provider);
    }
    json_decref(root);
}

static void read_end(struct wire_reader *reader, void *state)
{
    struct responses_state *s = state;

    if (s->error.kind != FAILURE_NONE)
        reader->answer.failure = s->error;
}

static void state_finish(void *state)
{
    (void)state;
}

const struct wire_ops wire_responses = {
    .api = WIRE_RESPONSES,
    .name = "responses",
    .path = "/responses",
    .write_message = write_message,
    .write_image = write_image,
    .write_tool_result = write_tool_result,
    .write_tools = write_tools,
    .write_request = write_request,
    .state_size = sizeof(struct responses_state),
    .read_event = read_event,
    .read_end = read_end,
    .state_finish = state_finish,
};
