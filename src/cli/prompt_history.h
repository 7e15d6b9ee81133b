/* cli/prompt_history.h: what a person typed goes into $CODEX_HOME/history.jsonl, as [history] says. */
#ifndef CADRE_CLI_PROMPT_HISTORY_H
#define CADRE_CLI_PROMPT_HISTORY_H

struct config;

/* Adds TEXT under SESSION_ID (a thread's or a run's id). That it cannot be written is a warning, never more. */
void prompt_history_add(const struct config *config, const char *session_id, const char *text);

#endif
