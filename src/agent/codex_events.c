/* agent/codex_events.c: see codex_events.h. */
#include "agent/codex_events.h"

#include "agent/bounded_json.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_NOTICES 200 /* of a turn; more are not reported */

static const char *const item_types[] = {"agent_message", "reasoning",     "command_execution",
                                         "file_change",   "mcp_tool_call", "collab_tool_call",
                                         "web_search",    "todo_list",     "error"};

void codex_events_init(struct codex_events *e, void (*emit)(void *data, json_t *event),
                       unsigned (*next_item)(void *data), void *data)
{
    *e = (struct codex_events){.emit = emit, .next_item = next_item, .data = data};
}

void codex_events_finish(struct codex_events *e)
{
    free(e->session);
    free(e->last_message);
    free(e->failure);
    *e = (struct codex_events){0};
}

static void replace(char **slot, const char *value)
{
    free(*slot);
    *slot = xstrdup(value);
}

/* Our number of their item: the same from item.started to item.completed. */
static unsigned number_of(struct codex_events *e, const char *theirs)
{
    size_t count = sizeof e->open / sizeof e->open[0];

    for (size_t i = 0; i < count; i++)
        if (theirs[0] != '\0' && strncmp(e->open[i].theirs, theirs, sizeof e->open[i].theirs - 1) == 0)
            return e->open[i].ours;
    e->open_next = (unsigned)((e->open_next + 1) % count);
    memset(e->open[e->open_next].theirs, 0, sizeof e->open[e->open_next].theirs);
    memcpy(e->open[e->open_next].theirs, theirs, strnlen(theirs, sizeof e->open[e->open_next].theirs - 1));
    e->open[e->open_next].ours = e->next_item(e->data);
    return e->open[e->open_next].ours;
}

static enum codex_progress take_item(struct codex_events *e, const char *type, const json_t *item)
{
    const char *kind = json_get_string(item, "type", "");
    bool is_known = false;
    json_t *copy;
    char *id;

    for (size_t i = 0; i < sizeof item_types / sizeof item_types[0]; i++)
        is_known = is_known || strcmp(item_types[i], kind) == 0;
    if (!is_known)
        return CODEX_SKIPPED;
    if (strcmp(kind, "agent_message") == 0 && strcmp(type, "item.completed") == 0)
        replace(&e->last_message, json_get_string(item, "text", ""));
    copy = bounded_copy(item);
    id = xasprintf("item_%u", number_of(e, json_get_string(item, "id", "")));
    json_object_set_new(copy, "id", json_string(id));
    free(id);
    e->emit(e->data, json_pack("{s:s, s:o}", "type", type, "item", copy));
    return CODEX_PROGRESS;
}

static void take_usage(struct codex_events *e, const json_t *usage)
{
    struct usage *u = &e->total;

    if (!json_is_object(usage))
        return;
    e->has_usage = true;
    u->input_tokens = json_get_int(usage, "input_tokens", 0);
    u->cached_input_tokens = json_get_int(usage, "cached_input_tokens", 0);
    u->cache_write_input_tokens = json_get_int(usage, "cache_write_input_tokens", 0);
    u->output_tokens = json_get_int(usage, "output_tokens", 0);
    u->reasoning_output_tokens = json_get_int(usage, "reasoning_output_tokens", 0);
}

static enum codex_progress take_notice(struct codex_events *e, const char *message)
{
    if (!e->is_failed)
        replace(&e->failure, message);
    if (++e->notices <= MAX_NOTICES)
        e->emit(e->data,
                json_pack("{s:s, s:o}", "type", "error", "message", bounded_text(message, strlen(message))));
    return CODEX_WAITING;
}

static enum codex_progress take(struct codex_events *e, const json_t *event)
{
    const char *type = json_get_string(event, "type", "");

    if (str_starts_with(type, "item.") &&
        (strcmp(type, "item.started") == 0 || strcmp(type, "item.updated") == 0 ||
         strcmp(type, "item.completed") == 0))
        return take_item(e, type, json_object_get(event, "item"));
    if (strcmp(type, "error") == 0)
        return take_notice(e, json_get_string(event, "message", "(no message)"));
    if (strcmp(type, "thread.started") == 0) {
        if (e->session == NULL && json_get_string(event, "thread_id", NULL) != NULL)
            e->session = xstrdup(json_get_string(event, "thread_id", ""));
        return CODEX_PROGRESS;
    }
    if (strcmp(type, "turn.started") == 0)
        return CODEX_PROGRESS;
    if (strcmp(type, "turn.completed") == 0) {
        e->is_completed = true;
        take_usage(e, json_object_get(event, "usage"));
        return CODEX_PROGRESS;
    }
    if (strcmp(type, "turn.failed") == 0) {
        e->is_failed = true;
        replace(&e->failure, json_get_string(json_object_get(event, "error"), "message", "(no message)"));
        return CODEX_PROGRESS;
    }
    return CODEX_SKIPPED;
}

enum codex_progress codex_events_line(struct codex_events *e, const char *line, size_t n)
{
    enum codex_progress progress = CODEX_SKIPPED;
    json_t *event = n == 0 ? NULL : json_parse(line, n, "codex", NULL);

    if (json_is_object(event))
        progress = take(e, event);
    if (progress == CODEX_SKIPPED && n > 0)
        e->skipped_lines++;
    json_decref(event);
    return progress;
}

int codex_failure(struct error *err, const char *name, const char *text)
{
    static const char *const auth[] = {
        "401",           "403 Forbidden", "Unauthorized", "not logged in", "Missing environment variable",
        "refresh token", "log in again"};
    static const char *const limit[] = {"context window", "context_length", "maximum context"};
    enum error_code code = ERROR_MODEL;

    for (size_t i = 0; i < sizeof limit / sizeof limit[0]; i++)
        if (strcasestr(text, limit[i]) != NULL)
            code = ERROR_LIMIT;
    for (size_t i = 0; i < sizeof auth / sizeof auth[0]; i++)
        if (strcasestr(text, auth[i]) != NULL)
            code = ERROR_AUTH;
    error_set(err, code, "%s: %s", name, text);
    if (code == ERROR_AUTH)
        error_hint(err, "sign in with `%s login`, or name its key in [runner] env_vars of cadre.toml", name);
    return -1;
}
