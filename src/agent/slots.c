/* agent/slots.c: see slots.h. */
#include "agent/slots.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "io/fiber.h"

#include <assert.h>
#include <stdlib.h>

struct slots {
    int limit;
    int in_use;
    struct vec waiting; /* of struct waiter *, oldest first */
};

struct waiter { /* on the waiting fiber's stack */
    struct fiber *fiber;
    bool granted;
};

struct slots *slots_create(int max_threads)
{
    struct slots *slots = xcalloc(1, sizeof *slots);

    slots->limit = max_threads < 1 ? 1 : max_threads;
    return slots;
}

void slots_destroy(struct slots *slots)
{
    if (slots == NULL)
        return;
    assert(slots->waiting.len == 0);
    vec_finish(&slots->waiting);
    free(slots);
}

bool slots_is_full(const struct slots *slots)
{
    return slots->in_use >= slots->limit || slots->waiting.len > 0;
}

int slots_in_use(const struct slots *slots)
{
    return slots->in_use;
}

int slots_limit(const struct slots *slots)
{
    return slots->limit;
}

static void grant(struct slots *slots)
{
    while (slots->waiting.len > 0 && slots->in_use < slots->limit) {
        struct waiter *first = vec_remove(&slots->waiting, 0);

        slots->in_use++;
        first->granted = true;
        fiber_wake(first->fiber);
    }
}

void slots_set_limit(struct slots *slots, int max_threads)
{
    slots->limit = max_threads < 1 ? 1 : max_threads;
    grant(slots);
}

int slots_acquire(struct slots *slots, struct error *err)
{
    struct waiter self = {.fiber = fiber_current()};

    if (!slots_is_full(slots)) {
        slots->in_use++;
        return 0;
    }
    vec_push(&slots->waiting, &self);
    while (!self.granted) {
        if (fiber_wait(err) < 0) {
            if (self.granted)
                slots_release(slots);
            else
                (void)vec_remove_item(&slots->waiting, &self);
            return -1;
        }
    }
    return 0;
}

void slots_release(struct slots *slots)
{
    assert(slots->in_use > 0);
    slots->in_use--;
    grant(slots);
}
