/* io/loop.h: the one event loop of the process: timers, deferred calls, descriptors, signals.
 *
 * Everything asynchronous hangs on a `struct loop`. Callbacks run on the loop's thread, never from within
 * the call that registered them. Destroying or cancelling a handle guarantees that its callback does not
 * run any more. Built on libuv; no other header shows that. */
#ifndef CADRE_IO_LOOP_H
#define CADRE_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct timer;
struct watch;
struct signal_watch;

/* Also ignores SIGPIPE (children get it back) and raises the soft limit of open descriptors. */
struct loop *loop_create(void);
void loop_destroy(struct loop *loop); /* every handle must be gone; NULL is fine */

/* Runs until loop_stop() or until nothing is left that could call back. Not reentrant. */
void loop_run(struct loop *loop);

/* Handles at most one round of events, waiting for it when BLOCK. False when nothing is left to wait for. */
bool loop_run_once(struct loop *loop, bool block);
void loop_stop(struct loop *loop);

/* Calls CB(DATA) in the next round. */
void loop_defer(struct loop *loop, void (*cb)(void *data), void *data);

/* One shot after DELAY_MS. The handle is freed by timer_cancel() or right after CB ran (then it must not be
 * used any more: set your pointer to NULL in CB). timer_cancel(NULL) is fine. */
struct timer *timer_start(struct loop *loop, uint64_t delay_ms, void (*cb)(void *data), void *data);
void timer_cancel(struct timer *timer);

/* Calls CB while FD is readable and/or writable (level-triggered). The descriptor stays the caller's. */
enum watch_events { WATCH_READ = 1, WATCH_WRITE = 2, WATCH_HANGUP = 4 };
struct watch *watch_start(struct loop *loop, int fd, int events, void (*cb)(void *data, int events),
                          void *data);
void watch_change(struct watch *watch, int events);
void watch_stop(struct watch *watch); /* frees; before the descriptor is closed */

/* Calls CB for each delivery of SIGNUM. Does not keep the loop alive. */
struct signal_watch *signal_watch_start(struct loop *loop, int signum, void (*cb)(void *data, int signum),
                                        void *data);
void signal_watch_stop(struct signal_watch *watch);

#endif
