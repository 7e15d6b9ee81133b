/* store/history.h: what the user typed, over all sessions: $CODEX_HOME/history.jsonl, one object a line:
 * {"session_id":"…","ts":<unix seconds>,"text":"…"} as Codex writes it. */
#ifndef CADRE_STORE_HISTORY_H
#define CADRE_STORE_HISTORY_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum history_persistence {
    HISTORY_SAVE_ALL,
    HISTORY_NONE,
};

struct history_options {
    const char *path;
    enum history_persistence persistence;
    int64_t max_bytes; /* the oldest lines are dropped beyond it; 0: no bound */
};

/* Appends one entry under the file's lock; with HISTORY_NONE it does nothing. */
int history_add(const struct history_options *options, const char *session_id, const char *text,
                struct error *err);

/* The newest LIMIT entries, oldest first. Lines that do not parse are skipped. No file: no entries. */
int history_each(const struct history_options *options, unsigned limit,
                 bool (*cb)(void *data, const char *session_id, int64_t ts_s, const char *text), void *data,
                 struct error *err);

#endif
