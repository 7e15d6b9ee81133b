/* io/fiber.h: a flow of steps that waits for events without blocking the loop and reads top to bottom.
 *
 * A fiber is a function with its own small stack (mmap, lazily committed, guard page). It runs on the loop's
 * thread; it gives up the thread only in fiber_wait(), fiber_sleep() and functions documented to wait.
 * So there are no data races between fibers, only changes across waits. Multi-step flows (a task's way from
 * worktree to merge, a CI job's steps, a series of git commands) are fibers; things that there are thousands
 * of (threads' turn loops) are plain state machines with callbacks.
 *
 * Cancelling: fiber_cancel() makes the current and every later wait of that fiber return -1 with
 * ERROR_CANCELLED; the fiber runs its clean-up and returns. Nothing is unwound behind its back. */
#ifndef CADRE_IO_FIBER_H
#define CADRE_IO_FIBER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct fiber;
struct loop;

/* Starts FN(ARG) in the next round of LOOP. The fiber frees itself when FN returns. */
struct fiber *fiber_start(struct loop *loop, void (*fn)(void *arg), void *arg);

/* The running fiber, NULL on the loop's own stack. */
struct fiber *fiber_current(void);
struct loop *fiber_loop(const struct fiber *fiber);

/* Suspends the current fiber until fiber_wake(). Returns 0, or -1 (ERROR_CANCELLED) at once and for ever
 * once cancelled. A wake that came before the wait makes it return at once (one is remembered). */
int fiber_wait(struct error *err);
void fiber_wake(struct fiber *fiber);
int fiber_sleep(uint64_t delay_ms, struct error *err);

void fiber_cancel(struct fiber *fiber);
bool fiber_is_cancelled(const struct fiber *fiber);

/* While shielded, waits of the current fiber do not report cancellation (for clean-up that itself waits).
 * Nests. */
void fiber_shield(bool on);
bool fiber_is_shielded(void);

/* Waits for a number of fibers: add before starting each, done at its end, wait in one fiber.
 * Zeroed memory is an empty group. */
struct fiber_group {
    unsigned pending;
    struct fiber *waiter;
};
void fiber_group_add(struct fiber_group *group);
void fiber_group_done(struct fiber_group *group);
int fiber_group_wait(struct fiber_group *group, struct error *err);

/* Runs FN(ARG) as a fiber on LOOP and the loop until it has returned (for main and tests). */
void fiber_run_to_end(struct loop *loop, void (*fn)(void *arg), void *arg);

#endif
