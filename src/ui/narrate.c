/* ui/narrate.c: see narrate.h. */
#include "ui/narrate.h"

#include "agent/agent_tree.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define PROMPT_SHOWN_BYTES 120

void narrate_text(FILE *stream, const char *prefix, const char *text)
{
    struct buf b = BUF_INIT;

    utf8_append_printable(&b, text, strlen(text), true);
    fprintf(stream, "%s%s\n", prefix, buf_cstr(&b));
    buf_free(&b);
}

/* "spawn_agent explorer 1: find the callers" */
static char *describe_collab(const struct agent_tree *tree, const json_t *item, bool is_done)
{
    const json_t *receivers = json_object_get(item, "receiver_thread_ids");
    const json_t *states = json_object_get(item, "agents_states");
    const char *prompt = json_get_string(item, "prompt", NULL);
    struct buf b = BUF_INIT;
    size_t i;
    json_t *id;

    buf_puts(&b, json_get_string(item, "tool", ""));
    json_array_foreach(receivers, i, id) {
        const char *name = tree == NULL ? NULL : agent_tree_nickname(tree, json_string_value(id));
        const char *status = json_get_string(json_object_get(states, json_string_value(id)), "status", NULL);

        buf_printf(&b, "%s %s", i > 0 ? "," : "", name != NULL ? name : json_string_value(id));
        if (is_done && status != NULL)
            buf_printf(&b, " (%s)", status);
    }
    if (prompt != NULL)
        buf_printf(&b, ": %.*s", (int)utf8_floor(prompt, strlen(prompt), strlen(prompt) < PROMPT_SHOWN_BYTES
                                                                             ? strlen(prompt)
                                                                             : PROMPT_SHOWN_BYTES),
                   prompt);
    b.data[strcspn(b.data, "\r\n")] = '\0';
    return buf_take(&b);
}

static void narrate_item(FILE *stream, const char *who, const struct agent_tree *tree, const json_t *item, bool is_done)
{
    const char *kind = json_get_string(item, "type", "");
    char *prefix = NULL;
    char *text = NULL;

    if (strcmp(kind, "command_execution") == 0 && !is_done) {
        prefix = xasprintf("%s$ ", who);
        text = xstrdup(json_get_string(item, "command", ""));
    } else if (strcmp(kind, "reasoning") == 0 && is_done) {
        prefix = xasprintf("%s· ", who);
        text = xstrdup(json_get_string(item, "text", ""));
    } else if (strcmp(kind, "file_change") == 0 && is_done) {
        const json_t *changes = json_object_get(item, "changes");
        size_t i;
        json_t *change;

        json_array_foreach(changes, i, change)
            fprintf(stream, "%s%s %s\n", who, json_get_string(change, "kind", ""), json_get_string(change, "path", ""));
    } else if (strcmp(kind, "collab_tool_call") == 0 &&
               is_done == (strcmp(json_get_string(item, "tool", ""), "spawn_agent") == 0)) {
        prefix = xasprintf("%s> ", who);
        text = describe_collab(tree, item, is_done);
    }
    if (text != NULL)
        narrate_text(stream, prefix, text);
    free(prefix);
    free(text);
}

void narrate_event(FILE *stream, const struct agent_tree *tree, const json_t *event)
{
    const char *type = json_get_string(event, "type", "");
    const char *id = json_get_string(event, "thread", NULL);
    const char *name = tree == NULL || id == NULL || strcmp(agent_tree_at(tree, 0).id, id) == 0
                           ? NULL
                           : agent_tree_nickname(tree, id);
    char *who = name == NULL ? xstrdup("") : xasprintf("[%s] ", name);

    if (strcmp(type, "item.started") == 0 || strcmp(type, "item.completed") == 0) {
        narrate_item(stream, who, tree, json_object_get(event, "item"), strcmp(type, "item.completed") == 0);
    } else if (strcmp(type, "error") == 0) {
        char *prefix = xasprintf("cadre: %s", who);

        narrate_text(stream, prefix, json_get_string(event, "message", ""));
        free(prefix);
    } else if (strcmp(type, "turn.failed") == 0 && name != NULL) {
        narrate_text(stream, who, json_get_string(json_object_get(event, "error"), "message", "failed"));
    }
    free(who);
}
