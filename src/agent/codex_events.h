/* agent/codex_events.h: reads what `codex exec --json` prints: 8 events, 9 item types, one JSON object a line.
 *
 * Items and errors are handed on as our events (ids made unique over the turns of a thread, texts bounded); what ends a turn
 * and what it used is kept here. Lines that are no JSON and events that nobody knows are skipped and counted. */
#ifndef CADRE_AGENT_CODEX_EVENTS_H
#define CADRE_AGENT_CODEX_EVENTS_H

#include "base/error.h"
#include "model/usage.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum codex_progress {
    CODEX_SKIPPED,  /* no event */
    CODEX_WAITING,  /* a notice (a retry, waiting for the network): no progress */
    CODEX_PROGRESS, /* work goes on */
};

struct codex_events {
    /* Both live as long as this. EMIT takes the event. */
    void (*emit)(void *data, json_t *event);
    unsigned (*next_item)(void *data);
    void *data;

    char *session;      /* of thread.started, or NULL */
    char *last_message; /* of the last agent_message, or NULL */
    char *failure;      /* of turn.failed, else of the last error, or NULL */
    bool is_completed;  /* turn.completed came */
    bool is_failed;     /* turn.failed came */
    bool has_usage;
    struct usage total; /* of turn.completed: what the session has used so far, over all its turns */
    unsigned skipped_lines;
    unsigned notices;
    struct { /* item ids of the program that are still open, and ours */
        char theirs[64];
        unsigned ours;
    } open[32];
    unsigned open_next;
};

void codex_events_init(struct codex_events *e, void (*emit)(void *data, json_t *event),
                       unsigned (*next_item)(void *data), void *data);
enum codex_progress codex_events_line(struct codex_events *e, const char *line, size_t n);
void codex_events_finish(struct codex_events *e);

/* The kind of a failure by its text: no key, too long for the model, or the model's service. */
int codex_failure(struct error *err, const char *name, const char *text);

#endif
