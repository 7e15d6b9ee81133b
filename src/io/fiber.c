/* io/fiber.c: fibers on ucontext, one mmap stack each.
 *
 * A fiber is resumed only from the loop's own stack (by a deferred call), never from another fiber, so
 * there are exactly two stacks in a switch. Under AddressSanitizer both are announced to it. */
#include "io/fiber.h"

#include "base/alloc.h"
#include "base/log.h"
#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#endif

#if defined(UNDER_ASAN)
#include <dlfcn.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define FIBER_STACK_BYTES ((size_t)4 << 20) /* red zones make frames several times larger */
#else
#define FIBER_STACK_BYTES ((size_t)1 << 20)
#endif

struct fiber {
    struct loop *loop;
    void (*fn)(void *arg);
    void *arg;
    ucontext_t context;
    ucontext_t loop_context;
    char *stack; /* the guard page is its first page */
    size_t stack_bytes;
    unsigned shield_depth;
    bool is_waiting;
    bool is_scheduled; /* a resume is deferred */
    bool is_woken;     /* a wake came while it was not waiting */
    bool is_cancelled;
    bool has_returned;
    const void *loop_stack; /* for AddressSanitizer */
    size_t loop_stack_bytes;
    void *loop_fake_stack;
    void *fake_stack;
};

/* The one that has the thread. A loop belongs to one thread. */
static _Thread_local struct fiber *current;

/* AddressSanitizer's own swapcontext unpoisons whole stacks and prints a warning; with the annotations below
 * it is not needed, so the C library's is called. */
static void swap(ucontext_t *from, const ucontext_t *to)
{
#if defined(UNDER_ASAN)
    static int (*real_swapcontext)(ucontext_t * from, const ucontext_t *to);

    if (real_swapcontext == NULL) {
        void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

        if (libc != NULL)
            *(void **)&real_swapcontext = dlsym(libc, "swapcontext");
        if (real_swapcontext == NULL)
            real_swapcontext = swapcontext;
    }
    real_swapcontext(from, to);
#else
    swapcontext(from, to);
#endif
}

static void switch_to_fiber(struct fiber *fiber)
{
#if defined(UNDER_ASAN)
    __sanitizer_start_switch_fiber(&fiber->loop_fake_stack, fiber->stack, fiber->stack_bytes);
#endif
    current = fiber;
    swap(&fiber->loop_context, &fiber->context);
    current = NULL;
#if defined(UNDER_ASAN)
    __sanitizer_finish_switch_fiber(fiber->loop_fake_stack, NULL, NULL);
#endif
}

static void switch_to_loop(struct fiber *fiber)
{
#if defined(UNDER_ASAN)
    __sanitizer_start_switch_fiber(fiber->has_returned ? NULL : &fiber->fake_stack, fiber->loop_stack,
                                   fiber->loop_stack_bytes);
#endif
    swap(&fiber->context, &fiber->loop_context);
#if defined(UNDER_ASAN)
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &fiber->loop_stack, &fiber->loop_stack_bytes);
#endif
}

static void fiber_main(unsigned high, unsigned low)
{
    struct fiber *fiber = (struct fiber *)(((uintptr_t)high << 32) | (uintptr_t)low); // NOLINT

#if defined(UNDER_ASAN)
    __sanitizer_finish_switch_fiber(NULL, &fiber->loop_stack, &fiber->loop_stack_bytes);
#endif
    fiber->fn(fiber->arg);
    fiber->has_returned = true;
    switch_to_loop(fiber);
    abort();
}

static void fiber_destroy(struct fiber *fiber)
{
#if defined(UNDER_ASAN)
    /* The red zones of its last frames would be held against the next mapping at this place. */
    __asan_unpoison_memory_region(fiber->stack, fiber->stack_bytes);
#endif
    munmap(fiber->stack, fiber->stack_bytes);
    free(fiber);
}

static void resume(void *data)
{
    struct fiber *fiber = data;

    fiber->is_scheduled = false;
    fiber->is_waiting = false;
    switch_to_fiber(fiber);
    if (fiber->has_returned)
        fiber_destroy(fiber);
}

static void schedule(struct fiber *fiber)
{
    if (fiber->is_scheduled)
        return;
    fiber->is_scheduled = true;
    loop_defer(fiber->loop, resume, fiber);
}

struct fiber *fiber_start(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct fiber *fiber = xcalloc(1, sizeof(*fiber));
    size_t guard_bytes = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t self = (uintptr_t)fiber;

    fiber->loop = loop;
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->stack_bytes = FIBER_STACK_BYTES;
    fiber->stack = mmap(NULL, fiber->stack_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (fiber->stack == MAP_FAILED || mprotect(fiber->stack, guard_bytes, PROT_NONE) < 0) {
        log_error("no memory for a fiber's stack: %s", strerror(errno));
        abort();
    }
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack + guard_bytes;
    fiber->context.uc_stack.ss_size = fiber->stack_bytes - guard_bytes;
    fiber->context.uc_link = NULL;
    /* makecontext passes ints only. */
    makecontext(&fiber->context, (void (*)(void))(void *)fiber_main, 2, (unsigned)(self >> 32),
                (unsigned)(self & 0xffffffffU));
    schedule(fiber);
    return fiber;
}

struct fiber *fiber_current(void)
{
    return current;
}

struct loop *fiber_loop(const struct fiber *fiber)
{
    return fiber->loop;
}

static bool reports_cancel(const struct fiber *fiber)
{
    return fiber->is_cancelled && fiber->shield_depth == 0;
}

int fiber_wait(struct error *err)
{
    struct fiber *fiber = current;

    assert(fiber != NULL);
    if (reports_cancel(fiber))
        return error_set(err, ERROR_CANCELLED, "cancelled");
    if (!fiber->is_woken) {
        fiber->is_waiting = true;
        switch_to_loop(fiber);
        if (reports_cancel(fiber))
            return error_set(err, ERROR_CANCELLED, "cancelled");
    }
    fiber->is_woken = false;
    return 0;
}

void fiber_wake(struct fiber *fiber)
{
    if (fiber->is_waiting)
        schedule(fiber);
    else
        fiber->is_woken = true;
}

void fiber_cancel(struct fiber *fiber)
{
    fiber->is_cancelled = true;
    if (fiber->is_waiting && fiber->shield_depth == 0)
        schedule(fiber);
}

bool fiber_is_cancelled(const struct fiber *fiber)
{
    return fiber->is_cancelled;
}

void fiber_shield(bool on)
{
    assert(current != NULL);
    if (on) {
        current->shield_depth++;
    } else {
        assert(current->shield_depth > 0);
        current->shield_depth--;
    }
}

bool fiber_is_shielded(void)
{
    return current != NULL && current->shield_depth > 0;
}

struct sleeper {
    struct fiber *fiber;
    bool is_over;
};

static void on_slept(void *data)
{
    struct sleeper *sleeper = data;

    sleeper->is_over = true;
    fiber_wake(sleeper->fiber);
}

int fiber_sleep(uint64_t delay_ms, struct error *err)
{
    struct sleeper sleeper = {.fiber = current};
    struct timer *timer = timer_start(current->loop, delay_ms, on_slept, &sleeper);

    while (!sleeper.is_over) {
        if (fiber_wait(err) < 0) {
            if (!sleeper.is_over)
                timer_cancel(timer);
            return -1;
        }
    }
    return 0;
}

void fiber_group_add(struct fiber_group *group)
{
    group->pending++;
}

void fiber_group_done(struct fiber_group *group)
{
    assert(group->pending > 0);
    if (--group->pending == 0 && group->waiter != NULL)
        fiber_wake(group->waiter);
}

int fiber_group_wait(struct fiber_group *group, struct error *err)
{
    int rc = 0;

    assert(current != NULL && group->waiter == NULL);
    group->waiter = current;
    while (rc == 0 && group->pending > 0)
        rc = fiber_wait(err);
    group->waiter = NULL;
    return rc;
}

struct outer {
    void (*fn)(void *arg);
    void *arg;
    bool is_done;
};

static void run_outer(void *arg)
{
    struct outer *outer = arg;

    outer->fn(outer->arg);
    outer->is_done = true;
}

void fiber_run_to_end(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct outer outer = {.fn = fn, .arg = arg};

    assert(current == NULL);
    fiber_start(loop, run_outer, &outer);
    while (!outer.is_done) {
        if (!loop_run_once(loop, true) && !outer.is_done) {
            log_error("a fiber waits for something that can never come");
            abort();
        }
    }
}
