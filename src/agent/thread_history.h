/* agent/thread_history.h: a thread's conversation in its rollout, as it was sent, so that it can go on later.
 *
 * The rollout's other lines are for people: outputs are shortened there. The lines of type `conversation` hold what is
 * new in the conversation since the one before, in the wire form of the provider, or after a compaction all of it; and
 * what has to outlive the next compaction (agent/context.h). */
#ifndef CADRE_AGENT_THREAD_HISTORY_H
#define CADRE_AGENT_THREAD_HISTORY_H

#include "base/error.h"

#include <stddef.h>

struct context;
struct conversation;
struct rollout;

/* What another thread, or this one in a later process, goes on with. */
struct thread_history {
    struct conversation *items;
    struct context *context; /* what of the items a compaction has to keep */
};

void thread_history_destroy(struct thread_history *history); /* NULL is fine */

/* Adds what CONVERSATION holds beyond its first WRITTEN bytes, and CONTEXT beyond what was written of it (0: all of both,
 * what stood before is void), and flushes. Returns what to give as WRITTEN next time. */
size_t thread_history_write(struct rollout *rollout, const struct conversation *conversation, struct context *context,
                            size_t written);

/* What the rollout PATH holds. NULL with ERR set when that is nothing; the caller destroys it. */
struct thread_history *thread_history_read(const char *path, struct error *err);

#endif
