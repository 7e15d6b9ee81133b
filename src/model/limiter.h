/* model/limiter.h: how fast a provider may be asked: one limiter a provider, for all threads of the process.
 *
 * Two bounds are learnt, because services limit in two ways:
 *
 *   window  requests in flight. Doubles each round trip until the first congestion, then grows by one a round
 *           trip; halves on 429, 503, 529 and "overloaded" (once for all requests that were under way).
 *   rate    requests a second; unknown (no bound) until the first 429. Then it is what the service was seen
 *           to let through; it grows while requests wait for it, the faster the longer it went well, and steps back at
 *           the next 429.
 *
 * Retry-After and exhausted rate-limit headers stop all requests until the time they name; without a name the
 * pause is drawn with full jitter. Waiting requests go by priority, then round robin between threads. */
#ifndef CADRE_MODEL_LIMITER_H
#define CADRE_MODEL_LIMITER_H

#include "base/error.h"
#include "model/client.h"

#include <stdbool.h>
#include <stdint.h>

struct limiter;
struct limiter_slot;
struct loop;

struct limiter *limiter_create(struct loop *loop, const char *name);
void limiter_destroy(struct limiter *limiter); /* every slot must be gone; saves; NULL is fine */

/* Starts from what an earlier process learnt (within a day) and saves there. PATH is a JSON file shared by
 * all providers; that it is missing or unreadable is no error. */
void limiter_persist(struct limiter *limiter, const char *path);

/* While held no waiting request is admitted; those under way go on. */
void limiter_hold(struct limiter *limiter, bool is_held);

/* Queues a request of THREAD_ID (NULL: its own thread). CB is called from the loop when it may be sent. */
struct limiter_slot *limiter_acquire(struct limiter *limiter, enum call_priority priority,
                                     const char *thread_id, void (*cb)(void *data), void *data);
/* The service accepted the request (status 2xx): it counts for the measured rate. */
void limiter_note_accepted(struct limiter_slot *slot);
/* Reads the rate-limit headers of both vendors from an answer. */
void limiter_note_headers(struct limiter *limiter, const char *(*get)(const void *data, const char *name),
                          const void *data);

enum limiter_outcome {
    LIMITER_DONE,      /* it went well, or failed for a reason of its own */
    LIMITER_RATE,      /* 429 */
    LIMITER_OVERLOADED /* 503, 529, "overloaded" */
};
/* Gives the slot back (or leaves the queue) and frees it. RETRY_AFTER_MS: what was asked for, -1: nothing.
 * NULL is fine. */
void limiter_release(struct limiter_slot *slot, enum limiter_outcome outcome, int64_t retry_after_ms);

/* How it stands. */
struct limiter_state {
    const char *name; /* of the provider */
    unsigned window;
    unsigned in_flight;
    unsigned waiting;
    double requests_per_second; /* 0: no bound known */
    int64_t paused_ms;          /* still to wait; 0: not paused */
    int64_t congestions;        /* seen so far */
};
struct limiter_state limiter_state(const struct limiter *limiter);
/* Called at each step back and at each rise of the window by half; for the event limiter.changed. */
void limiter_on_change(struct limiter *limiter,
                       void (*cb)(void *data, const struct limiter_state *state, const char *reason),
                       void *data);

/* Threads that this provider can keep busy, by Little's law; 0: it never said that it had enough. */
unsigned limiter_propose_max_threads(const struct limiter *limiter);

#endif
