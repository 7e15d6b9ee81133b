/* agent/thread_events.h: the `item.*` and `turn.*` events in the shape of `codex exec --json`. */
#ifndef CADRE_AGENT_THREAD_EVENTS_H
#define CADRE_AGENT_THREAD_EVENTS_H

#include <jansson.h>

struct tool_result;
struct usage;

/* All return a new reference. */
json_t *event_text_item(const char *id, const char *type, const char *text);
json_t *event_tool_started(const char *id, const char *thread_id, const char *tool, const char *arguments);
json_t *event_tool_completed(const char *id, const char *thread_id, const char *tool, const char *arguments,
                             const struct tool_result *result);
json_t *event_turn_completed(const struct usage *usage);

#endif
