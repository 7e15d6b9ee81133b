/* agent/acp_updates.c: see acp_updates.h. */
#include "agent/acp_updates.h"

#include "agent/bounded_json.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT_BYTES   ((size_t)1 << 20) /* of one message; more is dropped */
#define MAX_OPEN_CALLS   256
#define MAX_OUTPUT_BYTES ((size_t)65536) /* of one tool call */

enum text_kind { TEXT_NONE, TEXT_MESSAGE, TEXT_THOUGHT };

struct open_call {
    char *id; /* theirs */
    unsigned item;
    char *title;
    char *kind;
    json_t *changes;
    struct buf output;
    json_int_t exit_code; /* -1: not said */
};

struct acp_updates {
    struct acp_updates_options options;
    enum text_kind text_kind;
    struct buf text;
    char *message_id;
    char *last_message;
    struct vec calls; /* of struct open_call * */
    unsigned plan_item;
    json_t *plan; /* NULL: none in this turn */
    struct usage reported, sizes, prompt;
    bool has_reported, has_prompt;
    json_int_t last_size;
    double cost_usd;    /* of the session, as last reported */
    double cost_before; /* when the turn began */
};

struct acp_updates *acp_updates_create(const struct acp_updates_options *options)
{
    struct acp_updates *u = xcalloc(1, sizeof *u);

    u->options = *options;
    u->last_message = xstrdup("");
    return u;
}

static void call_free(struct open_call *call)
{
    free(call->id);
    free(call->title);
    free(call->kind);
    json_decref(call->changes);
    buf_free(&call->output);
    free(call);
}

void acp_updates_destroy(struct acp_updates *u)
{
    if (u == NULL)
        return;
    for (size_t i = 0; i < u->calls.len; i++)
        call_free(u->calls.items[i]);
    vec_finish(&u->calls);
    buf_free(&u->text);
    json_decref(u->plan);
    free(u->message_id);
    free(u->last_message);
    free(u);
}

static void emit(struct acp_updates *u, const char *type, unsigned number, json_t *item)
{
    char *id = xasprintf("item_%u", number);

    json_object_set_new(item, "id", json_string(id));
    free(id);
    u->options.emit(u->options.data, json_pack("{s:s, s:o}", "type", type, "item", item));
}

static json_t *text_of(const char *text)
{
    return bounded_text(text, strlen(text));
}

/* --- Text -------------------------------------------------------------------------------------------------------- */

static void flush_text(struct acp_updates *u)
{
    enum text_kind kind = u->text_kind;

    u->text_kind = TEXT_NONE;
    if (u->text.len > 0 && kind != TEXT_NONE) {
        if (kind == TEXT_MESSAGE) {
            free(u->last_message);
            u->last_message = xstrdup(u->text.data);
        }
        emit(u, "item.completed", u->options.next_item(u->options.data),
             json_pack("{s:s, s:o}", "type", kind == TEXT_MESSAGE ? "agent_message" : "reasoning", "text",
                       bounded_text(u->text.data, u->text.len)));
    }
    buf_clear(&u->text);
}

static void take_chunk(struct acp_updates *u, const json_t *update, enum text_kind kind)
{
    const json_t *content = json_object_get(update, "content");
    const char *id = json_get_string(update, "messageId", NULL);
    const char *text = json_get_string(content, "text", "");
    size_t n = strlen(text);

    if (u->text_kind != kind || (id != NULL && u->message_id != NULL && strcmp(id, u->message_id) != 0))
        flush_text(u);
    u->text_kind = kind;
    if (id != NULL) {
        free(u->message_id);
        u->message_id = xstrndup(id, 200);
    }
    if (n > MAX_TEXT_BYTES - u->text.len)
        n = MAX_TEXT_BYTES - u->text.len;
    buf_append(&u->text, text, n);
    if (kind == TEXT_MESSAGE && u->options.on_delta != NULL && n > 0)
        u->options.on_delta(u->options.data, text, n);
}

/* --- Tool calls ---------------------------------------------------------------------------------------------------- */

static bool is_kind(const struct open_call *call, const char *kind)
{
    return strcmp(call->kind, kind) == 0;
}

static bool changes_files(const struct open_call *call)
{
    return is_kind(call, "edit") || is_kind(call, "delete") || is_kind(call, "move");
}

static json_t *item_of(const struct open_call *call, const char *status)
{
    bool has_ended = strcmp(status, "in_progress") != 0;

    if (is_kind(call, "execute"))
        return json_pack("{s:s, s:o, s:o, s:o, s:s}", "type", "command_execution", "command",
                         text_of(call->title), "aggregated_output",
                         bounded_text(buf_cstr(&call->output), call->output.len), "exit_code",
                         has_ended && call->exit_code >= 0 ? json_integer(call->exit_code) : json_null(),
                         "status", status);
    if (changes_files(call))
        return json_pack("{s:s, s:O, s:s}", "type", "file_change", "changes", call->changes, "status",
                         status);
    if (!has_ended)
        return json_pack("{s:s, s:o, s:s}", "type", "tool_call", "tool", text_of(call->title), "status",
                         status);
    return json_pack("{s:s, s:o, s:s, s:o}", "type", "tool_call", "tool", text_of(call->title), "status",
                     status, "output", bounded_text(buf_cstr(&call->output), call->output.len));
}

static void complete(struct acp_updates *u, struct open_call *call, const char *status)
{
    emit(u, "item.completed", call->item, item_of(call, status));
    (void)vec_remove_item(&u->calls, call);
    call_free(call);
}

static void add_change(struct open_call *call, const char *path)
{
    const char *kind = is_kind(call, "delete") ? "delete" : "update";
    size_t i;
    json_t *change;

    if (str_is_empty(path) || json_array_size(call->changes) >= 256)
        return;
    json_array_foreach (call->changes, i, change)
        if (strcmp(json_get_string(change, "path", ""), path) == 0)
            return;
    json_array_append_new(call->changes, json_pack("{s:o, s:s}", "path", text_of(path), "kind", kind));
}

static void add_output(struct open_call *call, const char *text)
{
    size_t n = strlen(text);

    if (n > MAX_OUTPUT_BYTES - call->output.len)
        n = MAX_OUTPUT_BYTES - call->output.len;
    buf_append(&call->output, text, n);
}

static void take_details(struct open_call *call, const json_t *update)
{
    const json_t *content = json_object_get(update, "content");
    const json_t *input = json_object_get(update, "rawInput");
    const json_t *output = json_object_get(update, "rawOutput");
    /* Where agents put it that send no content. */
    static const char *const outputs[] = {"aggregated_output", "output", "stdout"};
    const char *title = json_get_string(update, "title", NULL);
    const char *kind = json_get_string(update, "kind", NULL);
    size_t i;
    json_t *each;

    if (kind != NULL) {
        free(call->kind);
        call->kind = xstrndup(kind, 40);
    }
    if (is_kind(call, "execute") && json_get_string(input, "command", NULL) != NULL)
        title = json_get_string(input, "command", NULL);
    if (title != NULL) {
        free(call->title);
        call->title = xstrndup(title, 16384);
    }
    if (json_is_array(content))
        buf_clear(&call->output); /* each update replaces the collection */
    json_array_foreach (content, i, each) {
        const char *type = json_get_string(each, "type", "");

        if (strcmp(type, "content") == 0)
            add_output(call, json_get_string(json_object_get(each, "content"), "text", ""));
        else if (strcmp(type, "diff") == 0)
            add_change(call, json_get_string(each, "path", NULL));
    }
    for (size_t k = 0; k < sizeof outputs / sizeof outputs[0] && call->output.len == 0; k++)
        add_output(call, json_get_string(output, outputs[k], ""));
    json_array_foreach (json_object_get(update, "locations"), i, each)
        if (changes_files(call))
            add_change(call, json_get_string(each, "path", NULL));
    call->exit_code = json_get_int(output, "exit_code", json_get_int(output, "exitCode", call->exit_code));
    call->exit_code = json_get_int(json_object_get(output, "metadata"), "exit", call->exit_code);
}

static struct open_call *find_call(const struct acp_updates *u, const char *id)
{
    for (size_t i = 0; i < u->calls.len; i++)
        if (strcmp(((struct open_call *)u->calls.items[i])->id, id) == 0)
            return u->calls.items[i];
    return NULL;
}

static bool take_call(struct acp_updates *u, const json_t *update)
{
    const char *id = json_get_string(update, "toolCallId", NULL);
    const char *status = json_get_string(update, "status", "");
    struct open_call *call;

    if (id == NULL || strlen(id) > 1000)
        return false;
    flush_text(u);
    call = find_call(u, id);
    if (call == NULL) {
        if (u->calls.len >= MAX_OPEN_CALLS)
            complete(u, u->calls.items[0], "failed");
        call = xcalloc(1, sizeof *call);
        call->id = xstrdup(id);
        call->title = xstrdup("");
        call->kind = xstrdup("other");
        call->changes = json_array();
        call->exit_code = -1;
        call->item = u->options.next_item(u->options.data);
        vec_push(&u->calls, call);
        take_details(call, update);
        emit(u, "item.started", call->item, item_of(call, "in_progress"));
    } else {
        take_details(call, update);
    }
    if (strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0)
        complete(u, call, status);
    return true;
}

/* --- Plan, usage ---------------------------------------------------------------------------------------------------- */

static json_t *plan_item(const struct acp_updates *u)
{
    return json_pack("{s:s, s:O}", "type", "todo_list", "items", u->plan);
}

static void take_plan(struct acp_updates *u, const json_t *update)
{
    bool is_first = u->plan == NULL;
    json_t *items = json_array();
    size_t i;
    json_t *entry;

    json_array_foreach (json_object_get(update, "entries"), i, entry) {
        if (i >= 256)
            break;
        json_array_append_new(
            items, json_pack("{s:o, s:b}", "text", text_of(json_get_string(entry, "content", "")),
                             "completed", strcmp(json_get_string(entry, "status", ""), "completed") == 0));
    }
    json_decref(u->plan);
    u->plan = items;
    if (is_first)
        u->plan_item = u->options.next_item(u->options.data);
    emit(u, is_first ? "item.started" : "item.updated", u->plan_item, plan_item(u));
}

static int64_t count_of(const json_t *usage, const char *key)
{
    int64_t n = json_get_int(usage, key, 0);

    return n < 0 || n > INT64_C(1000000000000) ? 0 : n;
}

/* Some count cached tokens into inputTokens and some do not; the total is the same for all. */
static struct usage usage_of(const json_t *json)
{
    struct usage usage = {
        .input_tokens = count_of(json, "inputTokens"),
        .cached_input_tokens = count_of(json, "cachedReadTokens"),
        .cache_write_input_tokens = count_of(json, "cachedWriteTokens"),
        .output_tokens = count_of(json, "outputTokens"),
        .reasoning_output_tokens = count_of(json, "thoughtTokens"),
        .requests = 1,
    };
    int64_t total = count_of(json, "totalTokens");

    if (total > usage.output_tokens && total - usage.output_tokens > usage.input_tokens)
        usage.input_tokens = total - usage.output_tokens;
    return usage;
}

void acp_updates_add_usage(struct acp_updates *u, const json_t *usage)
{
    struct usage more;

    if (!json_is_object(usage))
        return;
    more = usage_of(usage);
    u->has_reported = true;
    usage_add(&u->reported, &more);
}

void acp_updates_prompt_usage(struct acp_updates *u, const json_t *usage)
{
    if (!json_is_object(usage))
        return;
    u->prompt = usage_of(usage);
    u->has_prompt = true;
}

static void take_usage_update(struct acp_updates *u, const json_t *update)
{
    const json_t *cost = json_object_get(update, "cost");
    json_int_t size = count_of(update, "used");
    double usd = json_get_number(cost, "amount", -1);

    if (size > 0 && size != u->last_size) {
        u->sizes.input_tokens += size;
        u->sizes.requests++;
    }
    u->last_size = size;
    if (usd >= 0 && usd < 1e6 && strcmp(json_get_string(cost, "currency", ""), "USD") == 0)
        u->cost_usd = usd;
}

struct usage acp_updates_usage(const struct acp_updates *u)
{
    struct usage usage = u->has_prompt ? u->prompt : u->has_reported ? u->reported : u->sizes;

    /* The prompt's may be of its last request alone. */
    if (u->has_prompt && u->has_reported && u->reported.input_tokens > usage.input_tokens)
        usage = u->reported;
    if (u->cost_usd > u->cost_before)
        usage.cost_microusd = (int64_t)((u->cost_usd - u->cost_before) * 1e6);
    return usage;
}

/* --- The whole ------------------------------------------------------------------------------------------------------ */

bool acp_updates_take(struct acp_updates *u, const json_t *update)
{
    /* Known, and of no consequence to a run. */
    static const char *const silent[] = {"user_message_chunk",  "available_commands_update",
                                         "current_mode_update", "config_option_update",
                                         "session_info_update", "subagent_update",
                                         "compaction_update",   "compaction_summary_chunk"};
    const char *kind = json_get_string(update, "sessionUpdate", "");

    acp_updates_add_usage(u, json_object_get(json_object_get(update, "_meta"), "usage"));
    if (strcmp(kind, "agent_message_chunk") == 0) {
        take_chunk(u, update, TEXT_MESSAGE);
        return true;
    }
    if (strcmp(kind, "agent_thought_chunk") == 0) {
        take_chunk(u, update, TEXT_THOUGHT);
        return true;
    }
    if (strcmp(kind, "tool_call") == 0 || strcmp(kind, "tool_call_update") == 0)
        return take_call(u, update);
    if (strcmp(kind, "plan") == 0) {
        take_plan(u, update);
        return true;
    }
    if (strcmp(kind, "usage_update") == 0) {
        take_usage_update(u, update);
        return true;
    }
    if (strcmp(kind, "notice") == 0) {
        flush_text(u);
        emit(u, "item.completed", u->options.next_item(u->options.data),
             json_pack("{s:s, s:o}", "type", "error", "message",
                       text_of(json_get_string(update, "title", ""))));
        return true;
    }
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++)
        if (strcmp(silent[i], kind) == 0)
            return true;
    return false;
}

void acp_updates_tool(struct acp_updates *u, const json_t *tool_call)
{
    (void)take_call(u, tool_call);
}

void acp_updates_begin(struct acp_updates *u)
{
    buf_clear(&u->text);
    u->text_kind = TEXT_NONE;
    free(u->last_message);
    u->last_message = xstrdup("");
    u->reported = u->sizes = u->prompt = (struct usage){0};
    u->has_reported = u->has_prompt = false;
    u->cost_before = u->cost_usd;
}

void acp_updates_end(struct acp_updates *u)
{
    flush_text(u);
    while (u->calls.len > 0)
        complete(u, u->calls.items[0], "failed");
    if (u->plan != NULL) {
        emit(u, "item.completed", u->plan_item, plan_item(u));
        json_decref(u->plan);
        u->plan = NULL;
    }
}

const char *acp_updates_message(const struct acp_updates *u)
{
    return u->text_kind == TEXT_MESSAGE && u->text.len > 0 ? u->text.data : u->last_message;
}
