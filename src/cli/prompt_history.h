/* cli/prompt_history.h: what a person typed goes into $CODEX_HOME/history.jsonl, as [history] says. */
#ifndef CADRE_CLI_PROMPT_HISTORY_H
#define CADRE_CLI_PROMPT_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

struct config;

/* Adds TEXT under SESSION_ID (a thread's or a run's id). That it cannot be written is a warning, never more. */
void prompt_history_add(const struct config *config, const char *session_id, const char *text);
/* The newest entries, oldest first; CB returns false to stop. */
void prompt_history_each(const struct config *config,
                         bool (*cb)(void *data, const char *session_id, int64_t ts_s, const char *text), void *data);

#endif
