/* At most max_threads are open; the rest wait in order; cancelling a waiter loses nothing. */
#include "test.h"

#include "agent/slots.h"
#include "io/fiber.h"
#include "io/loop.h"

#include <string.h>

struct world {
    struct loop *loop;
    struct slots *slots;
    struct fiber_group group;
    char order[16];
    int open;
    int most;
};

struct worker {
    struct world *world;
    struct fiber *fiber;
    char name;
    bool cancelled;
};

static void work(void *arg)
{
    struct worker *w = arg;
    struct world *world = w->world;

    if (slots_acquire(world->slots, NULL) < 0) {
        w->cancelled = true;
    } else {
        world->order[strlen(world->order)] = w->name;
        world->open++;
        if (world->open > world->most)
            world->most = world->open;
        (void)fiber_sleep(2, NULL);
        world->open--;
        slots_release(world->slots);
    }
    fiber_group_done(&world->group);
}

static void run_all(void *arg)
{
    struct worker *workers = arg;
    struct world *world = workers[0].world;

    for (size_t i = 0; i < 6; i++) {
        fiber_group_add(&world->group);
        workers[i].fiber = fiber_start(world->loop, work, &workers[i]);
    }
    (void)fiber_sleep(1, NULL);
    fiber_cancel(workers[3].fiber);
    (void)fiber_group_wait(&world->group, NULL);
}

static void waiting_is_first_come_first_served(void **state)
{
    struct world world = {.loop = loop_create(), .slots = slots_create(2)};
    struct worker workers[6];

    (void)state;
    for (size_t i = 0; i < 6; i++)
        workers[i] = (struct worker){.world = &world, .name = (char)('a' + (int)i)};
    fiber_run_to_end(world.loop, run_all, workers);
    assert_string_equal(world.order, "abcef");
    assert_int_equal(world.most, 2);
    assert_true(workers[3].cancelled);
    assert_int_equal(slots_in_use(world.slots), 0);
    slots_destroy(world.slots);
    loop_destroy(world.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(waiting_is_first_come_first_served)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
