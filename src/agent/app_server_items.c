/* agent/app_server_items.c: see app_server_items.h. */
#include "agent/app_server_items.h"

#include "agent/bounded_json.h"
#include "base/buf.h"
#include "base/json.h"

#include <string.h>

#define MAX_ENTRIES 256

static json_t *text_of(const json_t *item, const char *key)
{
    const char *text = json_get_string(item, key, "");

    return bounded_text(text, strlen(text));
}

static const char *status_of(const json_t *item)
{
    const char *status = json_get_string(item, "status", "");

    if (strcmp(status, "completed") == 0)
        return "completed";
    return strcmp(status, "inProgress") == 0 ? "in_progress" : "failed";
}

static json_t *reasoning(const json_t *item)
{
    struct buf b = BUF_INIT;
    size_t i;
    json_t *part;
    json_t *made = NULL;

    json_array_foreach (json_object_get(item, "summary"), i, part)
        if (json_is_string(part) && i < MAX_ENTRIES)
            buf_printf(&b, "%s%s", b.len > 0 ? "\n\n" : "", json_string_value(part));
    if (b.len > 0)
        made = json_pack("{s:s, s:o}", "type", "reasoning", "text", bounded_text(b.data, b.len));
    buf_free(&b);
    return made;
}

static json_t *command(const json_t *item)
{
    const json_t *code = json_object_get(item, "exitCode");

    return json_pack("{s:s, s:o, s:o, s:o, s:s}", "type", "command_execution", "command",
                     text_of(item, "command"), "aggregated_output", text_of(item, "aggregatedOutput"),
                     "exit_code",
                     json_is_integer(code) ? json_integer(json_integer_value(code)) : json_null(), "status",
                     status_of(item));
}

static json_t *file_change(const json_t *item)
{
    json_t *changes = json_array();
    size_t i;
    json_t *change;

    json_array_foreach (json_object_get(item, "changes"), i, change) {
        const char *kind = json_get_string(json_object_get(change, "kind"), "type", "update");

        if (i >= MAX_ENTRIES)
            break;
        json_array_append_new(changes, json_pack("{s:o, s:o}", "path", text_of(change, "path"), "kind",
                                                 bounded_text(kind, strlen(kind))));
    }
    return json_pack("{s:s, s:o, s:s}", "type", "file_change", "changes", changes, "status", status_of(item));
}

static json_t *tool_call(const json_t *item, const char *type)
{
    json_t *made =
        json_pack("{s:s, s:o, s:s}", "type", type, "tool", text_of(item, "tool"), "status", status_of(item));

    if (json_get_string(item, "server", NULL) != NULL)
        json_object_set_new(made, "server", text_of(item, "server"));
    return made;
}

json_t *app_server_item(const json_t *item)
{
    const char *type = json_get_string(item, "type", "");

    if (strcmp(type, "agentMessage") == 0)
        return json_pack("{s:s, s:o}", "type", "agent_message", "text", text_of(item, "text"));
    if (strcmp(type, "reasoning") == 0)
        return reasoning(item);
    if (strcmp(type, "commandExecution") == 0)
        return command(item);
    if (strcmp(type, "fileChange") == 0)
        return file_change(item);
    if (strcmp(type, "mcpToolCall") == 0)
        return tool_call(item, "mcp_tool_call");
    if (strcmp(type, "collabAgentToolCall") == 0)
        return tool_call(item, "collab_tool_call");
    if (strcmp(type, "dynamicToolCall") == 0)
        return tool_call(item, "tool_call");
    if (strcmp(type, "webSearch") == 0)
        return json_pack("{s:s, s:o}", "type", "web_search", "query", text_of(item, "query"));
    return NULL;
}

json_t *app_server_todo_list(const json_t *plan)
{
    json_t *items = json_array();
    size_t i;
    json_t *step;

    json_array_foreach (plan, i, step) {
        if (i >= MAX_ENTRIES)
            break;
        json_array_append_new(items,
                              json_pack("{s:o, s:b}", "text", text_of(step, "step"), "completed",
                                        strcmp(json_get_string(step, "status", ""), "completed") == 0));
    }
    return json_pack("{s:s, s:o}", "type", "todo_list", "items", items);
}

static int64_t count_of(const json_t *total, const char *key)
{
    int64_t n = json_get_int(total, key, 0);

    return n < 0 ? 0 : n;
}

struct usage app_server_usage(const json_t *total)
{
    return (struct usage){
        .input_tokens = count_of(total, "inputTokens"),
        .cached_input_tokens = count_of(total, "cachedInputTokens"),
        .cache_write_input_tokens = count_of(total, "cacheWriteInputTokens"),
        .output_tokens = count_of(total, "outputTokens"),
        .reasoning_output_tokens = count_of(total, "reasoningOutputTokens"),
    };
}
