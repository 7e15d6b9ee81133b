/* io/loop.c: the event loop on libuv.
 *
 * Owns the uv_loop_t and the queue of deferred calls. Every handle is allocated together with its libuv
 * handle and freed in libuv's close callback, which runs after the last possible use of it. */
#include "io/loop.h"
#include "io/loop_internal.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#define DESCRIPTORS_WANTED 16384

struct deferred {
    void (*cb)(void *data);
    void *data;
};

struct deferred_list {
    struct deferred *items;
    size_t len;
    size_t cap;
};

struct loop {
    uv_loop_t uv;
    uv_idle_t idle; /* active while something is deferred, so that the loop does not block */
    struct deferred_list queue;
    struct deferred_list spare; /* memory of the list that ran last */
    bool is_running;
    void *slots[LOOP_SLOT_COUNT];
    void (*slot_destroy[LOOP_SLOT_COUNT])(void *value);
};

struct timer {
    uv_timer_t uv;
    void (*cb)(void *data); /* NULL once fired or cancelled */
    void *data;
};

struct watch {
    union {
        uv_handle_t handle;
        uv_poll_t poll;
        uv_idle_t idle; /* regular files, which epoll refuses, are always ready */
    } uv;
    bool is_always_ready;
    int events;
    void (*cb)(void *data, int events); /* NULL once stopped */
    void *data;
};

struct signal_watch {
    uv_signal_t uv;
    void (*cb)(void *data, int signum); /* NULL once stopped */
    void *data;
};

static void check_uv(int rc, const char *what)
{
    if (rc < 0) {
        log_error("event loop: %s: %s", what, uv_strerror(rc));
        abort();
    }
}

static void free_handle(uv_handle_t *handle)
{
    free(handle->data);
}

/* --- Deferred calls --- */

static void on_idle(uv_idle_t *idle)
{
    struct loop *loop = idle->data;
    struct deferred_list round = loop->queue;

    loop->queue = loop->spare;
    loop->queue.len = 0;
    loop->spare = (struct deferred_list){0};

    for (size_t i = 0; i < round.len; i++)
        round.items[i].cb(round.items[i].data);

    if (loop->spare.items == NULL)
        loop->spare = round;
    else
        free(round.items);
    if (loop->queue.len == 0)
        uv_idle_stop(idle);
}

void loop_defer(struct loop *loop, void (*cb)(void *data), void *data)
{
    struct deferred_list *q = &loop->queue;

    if (q->len == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 16;
        q->items = xrealloc(q->items, q->cap * sizeof(*q->items));
    }
    q->items[q->len++] = (struct deferred){cb, data};
    if (!uv_is_active((uv_handle_t *)&loop->idle))
        uv_idle_start(&loop->idle, on_idle);
}

/* --- The loop --- */

/* A thousand agents have more connections and pipes than the usual soft limit of 1024. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS_WANTED)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

struct loop *loop_create(void)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));

    /* A closed pipe or socket shall be an error of write(), not the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    check_uv(uv_loop_init(&loop->uv), "creating it");
    check_uv(uv_idle_init(&loop->uv, &loop->idle), "creating it");
    loop->idle.data = loop;
    return loop;
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL)
        return;
    assert(!loop->is_running);
    for (int i = 0; i < LOOP_SLOT_COUNT; i++) {
        if (loop->slots[i] != NULL)
            loop->slot_destroy[i](loop->slots[i]);
    }
    uv_close((uv_handle_t *)&loop->idle, NULL);
    for (int round = 0; round < 4 && uv_run(&loop->uv, UV_RUN_NOWAIT) != 0; round++)
        ;
    if (uv_loop_close(&loop->uv) == UV_EBUSY) {
        log_error("event loop: destroyed while timers, watches or processes are still in use");
        abort();
    }
    free(loop->queue.items);
    free(loop->spare.items);
    free(loop);
}

static int run(struct loop *loop, uv_run_mode mode)
{
    int rc;

    if (loop->is_running) {
        log_error("event loop: run from within one of its callbacks");
        abort();
    }
    loop->is_running = true;
    rc = uv_run(&loop->uv, mode);
    loop->is_running = false;
    return rc;
}

void loop_run(struct loop *loop)
{
    run(loop, UV_RUN_DEFAULT);
}

bool loop_run_once(struct loop *loop, bool block)
{
    return run(loop, block ? UV_RUN_ONCE : UV_RUN_NOWAIT) != 0;
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void *loop_slot_get(const struct loop *loop, enum loop_slot slot)
{
    return loop->slots[slot];
}

void loop_slot_set(struct loop *loop, enum loop_slot slot, void *value, void (*destroy)(void *value))
{
    loop->slots[slot] = value;
    loop->slot_destroy[slot] = destroy;
}

/* --- Timers --- */

static void on_timer(uv_timer_t *uv)
{
    struct timer *timer = uv->data;
    void (*cb)(void *data) = timer->cb;

    timer->cb = NULL;
    uv_close((uv_handle_t *)uv, free_handle);
    cb(timer->data);
}

struct timer *timer_start(struct loop *loop, uint64_t delay_ms, void (*cb)(void *data), void *data)
{
    struct timer *timer = xcalloc(1, sizeof(*timer));

    timer->cb = cb;
    timer->data = data;
    timer->uv.data = timer;
    check_uv(uv_timer_init(&loop->uv, &timer->uv), "starting a timer");
    /* libuv counts from the start of the round, which a long callback makes old. */
    uv_update_time(&loop->uv);
    check_uv(uv_timer_start(&timer->uv, on_timer, delay_ms, 0), "starting a timer");
    return timer;
}

void timer_cancel(struct timer *timer)
{
    if (timer == NULL || timer->cb == NULL)
        return;
    timer->cb = NULL;
    uv_close((uv_handle_t *)&timer->uv, free_handle);
}

/* --- Descriptors --- */

static void on_poll(uv_poll_t *uv, int status, int uv_events)
{
    struct watch *watch = uv->data;
    int events = 0;

    if (status < 0) {
        /* The descriptor is in an error state (a pipe whose reader is gone). libuv has stopped the handle;
         * the owner learns the reason by reading or writing. */
        events = watch->events | WATCH_HANGUP;
        watch->cb(watch->data, events);
        if (watch->cb != NULL && !uv_is_active(&watch->uv.handle))
            watch_change(watch, watch->events);
        return;
    }
    if (uv_events & UV_READABLE)
        events |= WATCH_READ;
    if (uv_events & UV_WRITABLE)
        events |= WATCH_WRITE;
    if (uv_events & UV_DISCONNECT)
        events |= WATCH_HANGUP;
    watch->cb(watch->data, events);
}

static void on_always_ready(uv_idle_t *uv)
{
    struct watch *watch = uv->data;

    watch->cb(watch->data, watch->events & (WATCH_READ | WATCH_WRITE));
}

struct watch *watch_start(struct loop *loop, int fd, int events, void (*cb)(void *data, int events),
                          void *data)
{
    struct watch *watch = xcalloc(1, sizeof(*watch));
    int rc;

    watch->cb = cb;
    watch->data = data;
    rc = uv_poll_init(&loop->uv, &watch->uv.poll, fd);
    if (rc == UV_EPERM) {
        watch->is_always_ready = true;
        rc = uv_idle_init(&loop->uv, &watch->uv.idle);
    }
    check_uv(rc, "watching a descriptor");
    watch->uv.handle.data = watch;
    watch_change(watch, events);
    return watch;
}

void watch_change(struct watch *watch, int events)
{
    int uv_events = 0;

    watch->events = events;
    if (watch->is_always_ready) {
        if (events & (WATCH_READ | WATCH_WRITE))
            uv_idle_start(&watch->uv.idle, on_always_ready);
        else
            uv_idle_stop(&watch->uv.idle);
        return;
    }
    if (events & WATCH_READ)
        uv_events |= UV_READABLE;
    if (events & WATCH_WRITE)
        uv_events |= UV_WRITABLE;
    if (events & WATCH_HANGUP)
        uv_events |= UV_DISCONNECT;
    check_uv(uv_events ? uv_poll_start(&watch->uv.poll, uv_events, on_poll) : uv_poll_stop(&watch->uv.poll),
             "watching a descriptor");
}

void watch_stop(struct watch *watch)
{
    if (watch == NULL)
        return;
    assert(watch->cb != NULL);
    watch->cb = NULL;
    uv_close(&watch->uv.handle, free_handle);
}

/* --- Signals --- */

static void on_signal(uv_signal_t *uv, int signum)
{
    struct signal_watch *watch = uv->data;

    if (watch->cb != NULL)
        watch->cb(watch->data, signum);
}

struct signal_watch *signal_watch_start(struct loop *loop, int signum, void (*cb)(void *data, int signum),
                                        void *data)
{
    struct signal_watch *watch = xcalloc(1, sizeof(*watch));

    watch->cb = cb;
    watch->data = data;
    watch->uv.data = watch;
    check_uv(uv_signal_init(&loop->uv, &watch->uv), "watching a signal");
    check_uv(uv_signal_start(&watch->uv, on_signal, signum), "watching a signal");
    uv_unref((uv_handle_t *)&watch->uv);
    return watch;
}

void signal_watch_stop(struct signal_watch *watch)
{
    if (watch == NULL)
        return;
    watch->cb = NULL;
    uv_close((uv_handle_t *)&watch->uv, free_handle);
}
