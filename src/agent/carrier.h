/* agent/carrier.h: how a protocol carries a thread of another program (runner_codex.c, runner_acp.c): its function table,
 * and what it is given by carried_thread.c. For those files alone. */
#ifndef CADRE_AGENT_CARRIER_H
#define CADRE_AGENT_CARRIER_H

#include "agent/carried_thread.h"
#include "agent/program_box.h"

struct carrier_turn {
    char *message;      /* the last message, owned by the caller of ask */
    struct usage usage; /* of this turn, as the program reports it; zero where it says nothing */
};

struct carrier {
    const char *name;        /* in events */
    bool takes_instructions; /* by a way of its own; else they stand before the first prompt */
    /* The program itself starts with the first ask: the worktree may not be there before. */
    void *(*open)(struct carried_thread *thread, struct error *err);
    /* One turn; waits by carried_wait() alone, and stops the turn when that says so. TURN is zeroed. */
    int (*ask)(void *state, const char *prompt, struct carrier_turn *turn, struct error *err);
    void (*close)(void *state); /* nothing of the program runs afterwards */
};

extern const struct carrier carrier_codex;
extern const struct carrier carrier_app_server;
extern const struct carrier carrier_acp;

const struct carried_options *carried_options(const struct carried_thread *thread);
struct program_box *carried_box(struct carried_thread *thread);

/* Waits until carried_wake(). -1: the fiber was cancelled, the turn's or the idle time is over, or the budget is used up. */
int carried_wait(struct carried_thread *thread, struct error *err);
void carried_wake(struct carried_thread *thread);
/* A sign of progress: the idle time begins anew. */
void carried_progress(struct carried_thread *thread);
/* Ends the turn from within a callback: carried_wait() gives ERR. */
void carried_stop(struct carried_thread *thread, const struct error *err);

/* What the turn has used so far, where a program says so while it runs: more than the budget holds stops it. */
void carried_spent(struct carried_thread *thread, const struct usage *usage);

/* Records and reports an event; takes it. After many thousands in a turn `item.*` and `error` events are dropped. */
void carried_emit(struct carried_thread *thread, json_t *event);
unsigned carried_next_item(struct carried_thread *thread); /* number of the next item id, "item_N" */
void carried_text_delta(struct carried_thread *thread, const char *text, size_t n);

#endif
