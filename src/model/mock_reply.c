/* model/mock_reply.c: writes scripted replies in the three wire forms. Ids depend only on the request, so a
 * repeated run gets the same ones. */
#include "model/mock_reply.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define DELTA_BYTES 48

/* One event under construction. */
struct writer {
    struct mock_stream *stream;
    const struct mock_request *request;
    struct json_writer json;
    uint64_t id;      /* of this answer */
    int64_t sequence; /* Responses: sequence_number */
    int64_t index;    /* output or content index */
};

static void end_event(struct mock_stream *stream)
{
    if (stream->count == stream->cap) {
        stream->cap = stream->cap > 0 ? stream->cap * 2 : 32;
        stream->ends = xrealloc(stream->ends, stream->cap * sizeof *stream->ends);
    }
    stream->ends[stream->count++] = stream->bytes.len;
}

/* Starts the JSON object of an event; TYPE NULL: an event without name and type (Chat). */
static struct json_writer *begin(struct writer *w, const char *type)
{
    if (type != NULL)
        buf_printf(&w->stream->bytes, "event: %s\n", type);
    buf_puts(&w->stream->bytes, "data: ");
    w->json = (struct json_writer){.out = &w->stream->bytes};
    jw_object_begin(&w->json);
    if (type != NULL)
        jw_pair_string(&w->json, "type", type);
    if (w->request->wire == WIRE_RESPONSES)
        jw_pair_int(&w->json, "sequence_number", w->sequence++);
    return &w->json;
}

static void end(struct writer *w)
{
    jw_object_end(&w->json);
    buf_puts(&w->stream->bytes, "\n\n");
    end_event(w->stream);
}

/* Calls PUT for pieces of TEXT that cut no character. */
static void each_piece(struct writer *w, const char *text,
                       void (*put)(struct writer *w, const char *piece, size_t n))
{
    size_t left = strlen(text);

    while (left > 0) {
        size_t n = left <= DELTA_BYTES ? left : utf8_floor(text, left, DELTA_BYTES);

        if (n == 0)
            n = left; /* not UTF-8 */
        put(w, text, n);
        text += n;
        left -= n;
    }
}

static char *make_id(const struct writer *w, const char *prefix)
{
    return xasprintf("%s_%016llx%lld", prefix, (unsigned long long)w->id, (long long)w->index);
}

static void pair_id(struct writer *w, const char *key, const char *prefix)
{
    char *id = make_id(w, prefix);

    jw_pair_string(&w->json, key, id);
    free(id);
}

/* Does the request offer NAME as a free-form tool? */
static bool is_custom_tool(const struct mock_request *request, const char *name)
{
    const json_t *tool;
    size_t i;

    json_array_foreach(request->tools, i, tool)
    {
        if (strcmp(json_get_string(tool, "type", ""), "custom") == 0 &&
            strcmp(json_get_string(tool, "name", ""), name) == 0)
            return true;
    }
    return false;
}

/* The call's arguments as JSON text: free-form input becomes {"input": ...}. */
static char *call_arguments(const struct mock_call *call, const struct mock_request *request)
{
    struct buf out = BUF_INIT;
    char *filled;

    if (call->arguments != NULL)
        return mock_fill_template(call->arguments, request, true);
    filled = mock_fill_template(call->input, request, false);
    buf_puts(&out, "{\"input\":");
    json_append_string(&out, filled);
    buf_putc(&out, '}');
    free(filled);
    return buf_take(&out);
}

/* Counts when the script names none: a quarter of the bytes. */
static struct usage reply_usage(const struct mock_reply *reply, const struct mock_request *request)
{
    struct usage usage = reply->usage;
    size_t bytes = 0;

    if (reply->has_usage)
        return usage;
    bytes += reply->message != NULL ? strlen(reply->message) : 0;
    bytes += reply->reasoning != NULL ? strlen(reply->reasoning) : 0;
    for (size_t i = 0; i < reply->call_count; i++)
        bytes +=
            strlen(reply->calls[i].arguments != NULL ? reply->calls[i].arguments : reply->calls[i].input);
    usage.input_tokens = (int64_t)(request->body_bytes / 4 + 1);
    usage.cached_input_tokens = request->turn > 0 ? usage.input_tokens * 3 / 4 : 0;
    usage.output_tokens = (int64_t)(bytes / 4 + 1);
    usage.reasoning_output_tokens = reply->reasoning != NULL ? (int64_t)(strlen(reply->reasoning) / 4) : 0;
    return usage;
}

/* --- Responses ---------------------------------------------------------------------------------------- */

static void responses_head(struct writer *w, const char *type, const char *status)
{
    begin(w, type);
    jw_key(&w->json, "response");
    jw_object_begin(&w->json);
    pair_id(w, "id", "resp");
    jw_pair_string(&w->json, "object", "response");
    jw_pair_string(&w->json, "status", status);
    jw_pair_string(&w->json, "model", w->request->model);
}

static void responses_text_delta(struct writer *w, const char *piece, size_t n)
{
    begin(w, "response.output_text.delta");
    pair_id(w, "item_id", "msg");
    jw_pair_int(&w->json, "output_index", w->index);
    jw_pair_int(&w->json, "content_index", 0);
    jw_key(&w->json, "delta");
    jw_string_n(&w->json, piece, n);
    end(w);
}

static void responses_item_begin(struct writer *w, const char *event, const char *type, const char *prefix)
{
    begin(w, event);
    jw_pair_int(&w->json, "output_index", w->index);
    jw_key(&w->json, "item");
    jw_object_begin(&w->json);
    pair_id(w, "id", prefix);
    jw_pair_string(&w->json, "type", type);
}

static void responses_item_end(struct writer *w)
{
    jw_object_end(&w->json);
    end(w);
}

static void responses_reasoning(struct writer *w, const char *text)
{
    responses_item_begin(w, "response.output_item.done", "reasoning", "rs");
    jw_key(&w->json, "summary");
    jw_array_begin(&w->json);
    jw_object_begin(&w->json);
    jw_pair_string(&w->json, "type", "summary_text");
    jw_pair_string(&w->json, "text", text);
    jw_object_end(&w->json);
    jw_array_end(&w->json);
    jw_pair_string(&w->json, "encrypted_content", "bW9jaw==");
    responses_item_end(w);
    w->index++;
}

static void responses_message(struct writer *w, const char *text, bool is_last)
{
    responses_item_begin(w, "response.output_item.added", "message", "msg");
    jw_pair_string(&w->json, "role", "assistant");
    jw_pair_string(&w->json, "status", "in_progress");
    jw_key(&w->json, "content");
    jw_array_begin(&w->json);
    jw_array_end(&w->json);
    responses_item_end(w);
    each_piece(w, text, responses_text_delta);
    responses_item_begin(w, "response.output_item.done", "message", "msg");
    jw_pair_string(&w->json, "role", "assistant");
    jw_pair_string(&w->json, "status", "completed");
    jw_pair_string(&w->json, "phase", is_last ? "final_answer" : "commentary");
    jw_key(&w->json, "content");
    jw_array_begin(&w->json);
    jw_object_begin(&w->json);
    jw_pair_string(&w->json, "type", "output_text");
    jw_key(&w->json, "annotations");
    jw_array_begin(&w->json);
    jw_array_end(&w->json);
    jw_pair_string(&w->json, "text", text);
    jw_object_end(&w->json);
    jw_array_end(&w->json);
    responses_item_end(w);
    w->index++;
}

static void responses_call(struct writer *w, const struct mock_call *call)
{
    bool is_custom = call->input != NULL && is_custom_tool(w->request, call->name);
    char *text =
        is_custom ? mock_fill_template(call->input, w->request, false) : call_arguments(call, w->request);
    const char *dot = strrchr(call->name, '.');

    responses_item_begin(w, "response.output_item.done", is_custom ? "custom_tool_call" : "function_call",
                         is_custom ? "ctc" : "fc");
    jw_pair_string(&w->json, "status", "completed");
    pair_id(w, "call_id", "call");
    if (dot != NULL) {
        char *space = xstrndup(call->name, (size_t)(dot - call->name));

        jw_pair_string(&w->json, "namespace", space);
        free(space);
    }
    jw_pair_string(&w->json, "name", dot != NULL ? dot + 1 : call->name);
    jw_pair_string(&w->json, is_custom ? "input" : "arguments", text);
    responses_item_end(w);
    w->index++;
    free(text);
}

static void responses_usage(struct writer *w, const struct usage *usage)
{
    jw_key(&w->json, "usage");
    jw_object_begin(&w->json);
    jw_pair_int(&w->json, "input_tokens", usage->input_tokens);
    jw_key(&w->json, "input_tokens_details");
    jw_object_begin(&w->json);
    jw_pair_int(&w->json, "cached_tokens", usage->cached_input_tokens);
    jw_object_end(&w->json);
    jw_pair_int(&w->json, "output_tokens", usage->output_tokens);
    jw_key(&w->json, "output_tokens_details");
    jw_object_begin(&w->json);
    jw_pair_int(&w->json, "reasoning_tokens", usage->reasoning_output_tokens);
    jw_object_end(&w->json);
    jw_pair_int(&w->json, "total_tokens", usage->input_tokens + usage->output_tokens);
    jw_object_end(&w->json);
}

static void write_responses(struct writer *w, const struct mock_reply *reply, const struct usage *usage,
                            const char *message, const char *reasoning)
{
    bool is_cut = reply->incomplete != NULL;

    responses_head(w, "response.created", "in_progress");
    jw_object_end(&w->json);
    end(w);
    if (reasoning != NULL)
        responses_reasoning(w, reasoning);
    if (message != NULL)
        responses_message(w, message, reply->call_count == 0);
    for (size_t i = 0; i < reply->call_count; i++)
        responses_call(w, &reply->calls[i]);
    responses_head(w, is_cut ? "response.incomplete" : "response.completed",
                   is_cut ? "incomplete" : "completed");
    if (is_cut) {
        jw_key(&w->json, "incomplete_details");
        jw_object_begin(&w->json);
        jw_pair_string(&w->json, "reason", reply->incomplete);
        jw_object_end(&w->json);
    }
    jw_key(&w->json, "output");
    jw_array_begin(&w->json);
    jw_array_end(&w->json);
    responses_usage(w, usage);
    jw_object_end(&w->json);
    end(w);
}

/* --- Chat Completions --------------------------------------------------------------------------------- */

static void chat_begin(struct writer *w)
{
    begin(w, NULL);
    pair_id(w, "id", "chatcmpl");
    jw_pair_string(&w->json, "object", "chat.completion.chunk");
    jw_pair_string(&w->json, "model", w->request->model);
    jw_key(&w->json, "choices");
    jw_array_begin(&w->json);
}

static void chat_delta_begin(struct writer *w)
{
    chat_begin(w);
    jw_object_begin(&w->json);
    jw_pair_int(&w->json, "index", 0);
    jw_key(&w->json, "delta");
    jw_object_begin(&w->json);
}

static void chat_delta_end(struct writer *w, const char *finish_reason)
{
    jw_object_end(&w->json);
    jw_pair_string(&w->json, "finish_reason", finish_reason);
    jw_object_end(&w->json);
    jw_array_end(&w->json);
    end(w);
}

static void chat_text_delta(struct writer *w, const char *piece, size_t n)
{
    chat_delta_begin(w);
    jw_key(&w->json, "content");
    jw_string_n(&w->json, piece, n);
    chat_delta_end(w, NULL);
}

static void chat_call_delta(struct writer *w, const char *name, const char *arguments, size_t n)
{
    chat_delta_begin(w);
    jw_key(&w->json, "tool_calls");
    jw_array_begin(&w->json);
    jw_object_begin(&w->json);
    jw_pair_int(&w->json, "index", w->index);
    if (name != NULL) {
        pair_id(w, "id", "call");
        jw_pair_string(&w->json, "type", "function");
    }
    jw_key(&w->json, "function");
    jw_object_begin(&w->json);
    if (name != NULL)
        jw_pair_string(&w->json, "name", name);
    jw_key(&w->json, "arguments");
    jw_string_n(&w->json, arguments, n);
    jw_object_end(&w->json);
    jw_object_end(&w->json);
    jw_array_end(&w->json);
    chat_delta_end(w, NULL);
}

static void chat_arguments_delta(struct writer *w, const char *piece, size_t n)
{
    chat_call_delta(w, NULL, piece, n);
}

static void write_chat(struct writer *w, const struct mock_reply *reply, const struct usage *usage,
                       const char *message, const char *reasoning)
{
    const char *finish =
        reply->incomplete != NULL
            ? (strcmp(reply->incomplete, "content_filter") == 0 ? "content_filter" : "length")
        : reply->call_count > 0 ? "tool_calls"
                                : "stop";

    chat_delta_begin(w);
    jw_pair_string(&w->json, "role", "assistant");
    if (reasoning != NULL)
        jw_pair_string(&w->json, "reasoning_content", reasoning);
    chat_delta_end(w, NULL);
    if (message != NULL)
        each_piece(w, message, chat_text_delta);
    for (size_t i = 0; i < reply->call_count; i++, w->index++) {
        char *arguments = call_arguments(&reply->calls[i], w->request);

        chat_call_delta(w, reply->calls[i].name, "", 0);
        each_piece(w, arguments, chat_arguments_delta);
        free(arguments);
    }
    chat_delta_begin(w);
    chat_delta_end(w, finish);
    chat_begin(w);
    jw_array_end(&w->json);
    jw_key(&w->json, "usage");
    jw_object_begin(&w->json);
    jw_pair_int(&w->json, "prompt_tokens", usage->input_tokens);
    jw_pair_int(&w->json, "completion_tokens", usage->output_tokens);
    jw_pair_int(&w->json, "total_tokens", usage->input_tokens + usage->output_tokens);
    jw_key(&w->json, "prompt_tokens_details");
    jw_object_begin(&w->json);
    jw_pair_int(&w->json, "cached_tokens", usage->cached_input_tokens);
    jw_object_end(&w->json);
    jw_key(&w->json, "completion_tokens_details");
    jw_object_begin(&w->json);
    jw_pair_int(&w->json, "reasoning_tokens", usage->reasoning_output_tokens);
    jw_object_end(&w->json);
    jw_object_end(&w->json);
    end(w);
    buf_puts(&w->stream->bytes, "data: [DONE]\n\n");
    end_event(w->stream);
}

/* --- Messages ----------------------------------------------------------------------------------------- */

static void block_begin(struct writer *w, const char *type)
{
    begin(w, "content_block_start");
    jw_pair_int(&w->json, "index", w->index);
    jw_key(&w->json, "content_block");
    jw_object_begin(&w->json);
    jw_pair_string(&w->json, "type", type);
}

static void block_delta(struct writer *w, const char *type, const char *key, const char *piece, size_t n)
{
    begin(w, "content_block_delta");
    jw_pair_int(&w->json, "index", w->index);
    jw_key(&w->json, "delta");
    jw_object_begin(&w->json);
    jw_pair_string(&w->json, "type", type);
    jw_key(&w->json, key);
    jw_string_n(&w->json, piece, n);
    jw_object_end(&w->json);
    end(w);
}

static void block_end(struct writer *w)
{
    begin(w, "content_block_stop");
    jw_pair_int(&w->json, "index", w->index);
    end(w);
    w->index++;
}

static void messages_text_delta(struct writer *w, const char *piece, size_t n)
{
    block_delta(w, "text_delta", "text", piece, n);
}

static void messages_input_delta(struct writer *w, const char *piece, size_t n)
{
    block_delta(w, "input_json_delta", "partial_json", piece, n);
}

static void messages_usage(struct writer *w, const struct usage *usage, int64_t output_tokens)
{
    jw_key(&w->json, "usage");
    jw_object_begin(&w->json);
    jw_pair_int(&w->json, "input_tokens", usage->input_tokens - usage->cached_input_tokens);
    jw_pair_int(&w->json, "cache_read_input_tokens", usage->cached_input_tokens);
    jw_pair_int(&w->json, "cache_creation_input_tokens", 0);
    jw_pair_int(&w->json, "output_tokens", output_tokens);
    jw_object_end(&w->json);
}

static void messages_start(struct writer *w, const struct usage *usage)
{
    begin(w, "message_start");
    jw_key(&w->json, "message");
    jw_object_begin(&w->json);
    pair_id(w, "id", "msg");
    jw_pair_string(&w->json, "type", "message");
    jw_pair_string(&w->json, "role", "assistant");
    jw_pair_string(&w->json, "model", w->request->model);
    jw_key(&w->json, "content");
    jw_array_begin(&w->json);
    jw_array_end(&w->json);
    messages_usage(w, usage, 1);
    jw_object_end(&w->json);
    end(w);
}

static void write_messages(struct writer *w, const struct mock_reply *reply, const struct usage *usage,
                           const char *message, const char *reasoning)
{
    const char *stop = reply->incomplete != NULL
                           ? (strcmp(reply->incomplete, "content_filter") == 0 ? "refusal" : "max_tokens")
                       : reply->call_count > 0 ? "tool_use"
                                               : "end_turn";

    messages_start(w, usage);
    if (reasoning != NULL) {
        block_begin(w, "thinking");
        jw_pair_string(&w->json, "thinking", "");
        jw_object_end(&w->json);
        end(w);
        block_delta(w, "thinking_delta", "thinking", reasoning, strlen(reasoning));
        block_delta(w, "signature_delta", "signature", "bW9jaw==", 8);
        block_end(w);
    }
    if (message != NULL) {
        block_begin(w, "text");
        jw_pair_string(&w->json, "text", "");
        jw_object_end(&w->json);
        end(w);
        each_piece(w, message, messages_text_delta);
        block_end(w);
    }
    for (size_t i = 0; i < reply->call_count; i++) {
        char *arguments = call_arguments(&reply->calls[i], w->request);

        block_begin(w, "tool_use");
        pair_id(w, "id", "toolu");
        jw_pair_string(&w->json, "name", reply->calls[i].name);
        jw_key(&w->json, "input");
        jw_object_begin(&w->json);
        jw_object_end(&w->json);
        jw_object_end(&w->json);
        end(w);
        each_piece(w, arguments, messages_input_delta);
        block_end(w);
        free(arguments);
    }
    begin(w, "message_delta");
    jw_key(&w->json, "delta");
    jw_object_begin(&w->json);
    jw_pair_string(&w->json, "stop_reason", stop);
    jw_object_end(&w->json);
    messages_usage(w, usage, usage->output_tokens);
    end(w);
    begin(w, "message_stop");
    end(w);
}

/* --- The outside -------------------------------------------------------------------------------------- */

static struct writer make_writer(struct mock_stream *stream, const struct mock_request *request)
{
    struct writer w = {.stream = stream, .request = request};
    char *key = xasprintf("%s/%s/%lld/%lld", request->role, request->task, (long long)request->attempt,
                          (long long)request->turn);

    w.id = str_hash(key, strlen(key));
    free(key);
    return w;
}

void mock_reply_write(struct mock_stream *stream, const struct mock_reply *reply,
                      const struct mock_request *request)
{
    struct writer w = make_writer(stream, request);
    struct usage usage = reply_usage(reply, request);
    char *message = reply->message != NULL ? mock_fill_template(reply->message, request, false) : NULL;
    char *reasoning = reply->reasoning != NULL ? mock_fill_template(reply->reasoning, request, false) : NULL;

    switch (request->wire) {
    case WIRE_RESPONSES:
        write_responses(&w, reply, &usage, message, reasoning);
        break;
    case WIRE_CHAT:
        write_chat(&w, reply, &usage, message, reasoning);
        break;
    case WIRE_MESSAGES:
        write_messages(&w, reply, &usage, message, reasoning);
        break;
    }
    free(message);
    free(reasoning);
}

void mock_reply_write_overloaded(struct mock_stream *stream, const struct mock_request *request)
{
    struct writer w = make_writer(stream, request);
    struct usage none = {0};

    switch (request->wire) {
    case WIRE_RESPONSES:
        responses_head(&w, "response.failed", "failed");
        jw_key(&w.json, "error");
        jw_object_begin(&w.json);
        jw_pair_string(&w.json, "code", "server_is_overloaded");
        jw_pair_string(&w.json, "message", "The server is overloaded. Please try again in 50ms.");
        jw_object_end(&w.json);
        jw_object_end(&w.json);
        end(&w);
        break;
    case WIRE_MESSAGES:
        messages_start(&w, &none);
        begin(&w, "error");
        jw_key(&w.json, "error");
        jw_object_begin(&w.json);
        jw_pair_string(&w.json, "type", "overloaded_error");
        jw_pair_string(&w.json, "message", "Overloaded");
        jw_object_end(&w.json);
        end(&w);
        break;
    case WIRE_CHAT:
        begin(&w, NULL);
        jw_key(&w.json, "error");
        jw_object_begin(&w.json);
        jw_pair_string(&w.json, "code", "overloaded");
        jw_pair_string(&w.json, "message", "The server is overloaded. Please try again in 50ms.");
        jw_object_end(&w.json);
        end(&w);
        break;
    }
}

void mock_stream_spoil(struct mock_stream *stream)
{
    static const char garbage[] = "data: {\"type\":\"response.output_text.delta\",\"delta\":\n\n"
                                  ": a comment\n\n"
                                  "no field name at all\n"
                                  "data: \xff\xfe not JSON\n\n"
                                  "event: unheard.of\ndata: {\"type\":\"unheard.of\",\"x\":[1,2]}\n\n";
    struct mock_stream old = *stream;

    *stream = (struct mock_stream){.bytes = BUF_INIT};
    for (size_t i = 0, at = 0; i < old.count; at = old.ends[i++]) {
        buf_append(&stream->bytes, old.bytes.data + at, old.ends[i] - at);
        end_event(stream);
        if (i == 0) {
            buf_append(&stream->bytes, garbage, sizeof garbage - 1);
            end_event(stream);
        }
    }
    mock_stream_finish(&old);
}

void mock_stream_finish(struct mock_stream *stream)
{
    buf_free(&stream->bytes);
    FREE_NULL(stream->ends);
    stream->count = stream->cap = 0;
}
