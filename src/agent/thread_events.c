/* agent/thread_events.c: see thread_events.h. */
#include "agent/thread_events.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/utf8.h"
#include "model/usage.h"
#include "tool/agents.h"
#include "tool/registry.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EVENT_OUTPUT_BYTES 16384

/* A string value from text that may be no UTF-8; cut in the middle when long, and not within a secret. */
static json_t *text_value(const char *text, size_t n)
{
    struct buf b = BUF_INIT;
    char *clean = n > MAX_EVENT_OUTPUT_BYTES ? redact_text(text, n, REDACT_ALL, &n) : NULL;
    json_t *value;

    if (clean != NULL)
        text = clean;

    if (n > MAX_EVENT_OUTPUT_BYTES) {
        utf8_append_repaired(&b, text, utf8_floor(text, n, MAX_EVENT_OUTPUT_BYTES / 2));
        buf_puts(&b, "\n[...]\n");
        utf8_append_repaired(&b, text + n - MAX_EVENT_OUTPUT_BYTES / 2, MAX_EVENT_OUTPUT_BYTES / 2);
    } else {
        utf8_append_repaired(&b, text, n);
    }
    value = json_stringn(buf_cstr(&b), b.len);
    buf_free(&b);
    free(clean);
    return value;
}

static json_t *item_event(const char *type, json_t *item)
{
    return json_pack("{s:s, s:o}", "type", type, "item", item);
}

json_t *event_text_item(const char *id, const char *type, const char *text)
{
    return item_event("item.completed", json_pack("{s:s, s:s, s:o}", "id", id, "type", type, "text",
                                                  text_value(text, strlen(text))));
}

json_t *event_turn_completed(const struct usage *u)
{
    return json_pack("{s:s, s:{s:I, s:I, s:I, s:I, s:I}}", "type", "turn.completed", "usage", "input_tokens",
                     (json_int_t)u->input_tokens, "cached_input_tokens", (json_int_t)u->cached_input_tokens,
                     "cache_write_input_tokens", (json_int_t)u->cache_write_input_tokens, "output_tokens",
                     (json_int_t)u->output_tokens, "reasoning_output_tokens",
                     (json_int_t)u->reasoning_output_tokens);
}

/* A command in one line for people: the tool's own words where it has them. */
static json_t *command_of(const char *tool, const char *arguments)
{
    json_t *args = json_parse(arguments, strlen(arguments), "arguments", NULL);
    const char *cmd = json_get_string(args, "cmd", NULL);
    json_t *value;
    struct buf b = BUF_INIT;

    if (cmd != NULL) {
        value = text_value(cmd, strlen(cmd));
    } else if (json_is_array(json_object_get(args, "command"))) {
        for (size_t i = 0; i < json_array_size(json_object_get(args, "command")); i++) {
            const char *word = json_string_value(json_array_get(json_object_get(args, "command"), i));

            buf_printf(&b, "%s%s", i > 0 ? " " : "", word == NULL ? "?" : word);
        }
        value = text_value(buf_cstr(&b), b.len);
    } else {
        buf_printf(&b, "%s %s", tool, arguments);
        value = text_value(b.data, b.len);
    }
    buf_free(&b);
    json_decref(args);
    return value;
}

static bool is_command(const char *tool)
{
    return strcmp(tool, "exec_command") == 0 || strcmp(tool, "shell") == 0 || strcmp(tool, "write_stdin") == 0;
}

static json_t *todo_item(const char *id, const char *arguments)
{
    json_t *args = json_parse(arguments, strlen(arguments), "arguments", NULL);
    json_t *items = json_array();
    size_t i;
    json_t *step;

    json_array_foreach(json_object_get(args, "plan"), i, step) {
        const char *text = json_get_string(step, "step", "");

        json_array_append_new(items, json_pack("{s:o, s:b}", "text", text_value(text, strlen(text)), "completed",
                                               strcmp(json_get_string(step, "status", ""), "completed") == 0));
    }
    json_decref(args);
    return json_pack("{s:s, s:s, s:o}", "id", id, "type", "todo_list", "items", items);
}

#define MCP_PREFIX "mcp__"

/* A call to a tool of an MCP server, "mcp__SERVER__TOOL", as codex exec --json shows it. RESULT is NULL at its start. */
static json_t *mcp_item(const char *id, const char *tool, const char *arguments, const struct tool_result *result)
{
    const char *server = tool + strlen(MCP_PREFIX);
    const char *end = strstr(server, "__");
    const char *name = end != NULL ? end + 2 : "";
    size_t server_length = end != NULL ? (size_t)(end - server) : strlen(server);
    json_t *args = arguments[0] == '\0' ? json_object() : json_parse(arguments, strlen(arguments), "arguments", NULL);
    json_t *text = result == NULL ? NULL : text_value(result->output, result->output_len);
    bool failed = result != NULL && result->is_error;
    json_t *item;

    item = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "id", id, "type", "mcp_tool_call", "server",
                     text_value(server, server_length), "tool", text_value(name, strlen(name)), "arguments",
                     args == NULL ? json_null() : args, "result",
                     result != NULL && !failed ? json_pack("{s:[{s:s, s:O}]}", "content", "type", "text", "text", text)
                                               : json_null(),
                     "error", failed ? json_pack("{s:O}", "message", text) : json_null(), "status",
                     result == NULL ? "in_progress" : failed ? "failed" : "completed");
    json_decref(text);
    return item;
}

/* As codex exec --json shows a call to another agent. RESULT is NULL at its start. */
static json_t *collab_item(const char *id, const char *thread_id, const char *tool, const char *arguments,
                           const struct tool_result *result)
{
    json_t *args = json_parse(arguments, strlen(arguments), "arguments", NULL);
    const json_t *said = result == NULL ? NULL : result->agents;
    const char *message = json_get_string(args, "message", NULL);
    const char *target = json_get_string(args, "target", NULL);
    json_t *receivers = json_copy(json_object_get(said, "receiver_thread_ids"));
    json_t *states = json_copy(json_object_get(said, "agents_states"));
    json_t *prompt = message == NULL ? json_null() : text_value(message, strlen(message));

    if (receivers == NULL && json_is_array(json_object_get(args, "targets")))
        receivers = json_copy(json_object_get(args, "targets"));
    if (receivers == NULL)
        receivers = target == NULL ? json_array() : json_pack("[o]", text_value(target, strlen(target)));
    json_decref(args);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s}", "id", id, "type", "collab_tool_call", "tool",
                     agent_tool_event_name(tool), "sender_thread_id", thread_id, "receiver_thread_ids", receivers,
                     "prompt", prompt, "agents_states", states == NULL ? json_object() : states, "status",
                     result == NULL     ? "in_progress"
                     : result->is_error ? "failed"
                                        : "completed");
}

json_t *event_tool_started(const char *id, const char *thread_id, const char *tool, const char *arguments)
{
    tool = tool_plain_name(tool);
    if (agent_tool_event_name(tool) != NULL)
        return item_event("item.started", collab_item(id, thread_id, tool, arguments, NULL));
    if (strcmp(tool, "update_plan") == 0)
        return item_event("item.started", todo_item(id, arguments));
    if (str_starts_with(tool, MCP_PREFIX))
        return item_event("item.started", mcp_item(id, tool, arguments, NULL));
    if (is_command(tool))
        return item_event("item.started",
                          json_pack("{s:s, s:s, s:o, s:s, s:n, s:s}", "id", id, "type", "command_execution", "command",
                                    command_of(tool, arguments), "aggregated_output", "", "exit_code", "status",
                                    "in_progress"));
    if (strcmp(tool, "apply_patch") == 0)
        return item_event("item.started", json_pack("{s:s, s:s, s:[], s:s}", "id", id, "type", "file_change", "changes",
                                                    "status", "in_progress"));
    return item_event("item.started", json_pack("{s:s, s:s, s:o, s:s}", "id", id, "type", "tool_call", "tool",
                                                text_value(tool, strlen(tool)), "status", "in_progress"));
}

static json_t *change_item(const char *id, const struct tool_result *result)
{
    json_t *changes = json_array();

    for (size_t i = 0; i < result->change_count; i++)
        json_array_append_new(changes, json_pack("{s:o, s:s}", "path",
                                                 text_value(result->changes[i].path, strlen(result->changes[i].path)),
                                                 "kind", result->changes[i].kind));
    return json_pack("{s:s, s:s, s:o, s:s}", "id", id, "type", "file_change", "changes", changes, "status",
                     result->is_error ? "failed" : "completed");
}

json_t *event_tool_completed(const char *id, const char *thread_id, const char *tool, const char *arguments,
                             const struct tool_result *result)
{
    tool = tool_plain_name(tool);
    if (agent_tool_event_name(tool) != NULL)
        return item_event("item.completed", collab_item(id, thread_id, tool, arguments, result));
    if (strcmp(tool, "update_plan") == 0)
        return item_event("item.completed", todo_item(id, arguments));
    if (str_starts_with(tool, MCP_PREFIX))
        return item_event("item.completed", mcp_item(id, tool, arguments, result));
    if (result->change_count > 0 || strcmp(tool, "apply_patch") == 0)
        return item_event("item.completed", change_item(id, result));
    if (is_command(tool))
        return item_event(
            "item.completed",
            json_pack("{s:s, s:s, s:o, s:o, s:o, s:s}", "id", id, "type", "command_execution", "command",
                      command_of(tool, arguments), "aggregated_output", text_value(result->output, result->output_len),
                      "exit_code", result->exit_code < 0 ? json_null() : json_integer(result->exit_code), "status",
                      result->exit_code == 0 ? "completed" : "failed"));
    return item_event("item.completed",
                      json_pack("{s:s, s:s, s:o, s:s, s:o}", "id", id, "type", "tool_call", "tool",
                                text_value(tool, strlen(tool)), "status", result->is_error ? "failed" : "completed",
                                "output", text_value(result->output, result->output_len)));
}
