/* agent/thread_history.h: a thread's conversation in its rollout, as it was sent, so that it can go on later.
 *
 * The rollout's other lines are for people: outputs are shortened there. The lines of type `conversation` hold what is
 * new in the conversation since the one before, in the wire form of the provider, or after a compaction all of it. */
#ifndef CADRE_AGENT_THREAD_HISTORY_H
#define CADRE_AGENT_THREAD_HISTORY_H

#include "base/error.h"

#include <stddef.h>

struct conversation;
struct rollout;

/* Adds what CONVERSATION holds beyond its first WRITTEN bytes (0: all of it, what stood before is void) and flushes.
 * Returns what to give as WRITTEN next time. */
size_t thread_history_write(struct rollout *rollout, const struct conversation *conversation, size_t written);

/* What the rollout PATH holds. NULL with ERR set when that is nothing; the caller destroys it. */
struct conversation *thread_history_read(const char *path, struct error *err);

#endif
