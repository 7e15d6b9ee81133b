/* tests/unit/io/fiber.c: waits, wakes, cancelling, shields and groups. */
#include "test.h"

#include "io/fiber.h"
#include "io/loop.h"

#include <string.h>

struct scene {
    struct loop *loop;
    struct fiber *fiber;
    struct fiber_group group;
    int steps;
    int rc;
    struct error err;
};

static void in_loop(void (*fn)(void *arg))
{
    struct scene scene = {.loop = loop_create()};

    fiber_run_to_end(scene.loop, fn, &scene);
    loop_destroy(scene.loop);
}

static void remembers_wake(void *arg)
{
    struct scene *s = arg;
    struct error err;

    assert_ptr_equal(fiber_loop(fiber_current()), s->loop);
    fiber_wake(fiber_current());
    fiber_wake(fiber_current());
    assert_int_equal(fiber_wait(&err), 0);
    /* Only one is remembered; this must be a real sleep. */
    assert_int_equal(fiber_sleep(1, &err), 0);
}

static void fiber_remembers_one_wake_before_the_wait(void **state)
{
    (void)state;
    in_loop(remembers_wake);
    assert_null(fiber_current());
}

static void waits_for_ever(void *arg)
{
    struct scene *s = arg;

    s->rc = fiber_wait(&s->err);
    s->steps++;
    /* Cancelled once is cancelled for ever. */
    assert_int_equal(fiber_sleep(1000000, NULL), -1);
    s->steps++;
    fiber_shield(true);
    assert_true(fiber_is_shielded());
    assert_int_equal(fiber_sleep(1, NULL), 0);
    s->steps++;
    fiber_shield(false);
    assert_int_equal(fiber_wait(NULL), -1);
    s->steps++;
    fiber_group_done(&s->group);
}

static void cancels(void *arg)
{
    struct scene *s = arg;

    fiber_group_add(&s->group);
    s->fiber = fiber_start(s->loop, waits_for_ever, s);
    assert_int_equal(fiber_sleep(1, NULL), 0);
    assert_int_equal(s->steps, 0);
    fiber_cancel(s->fiber);
    assert_true(fiber_is_cancelled(s->fiber));
    assert_int_equal(fiber_group_wait(&s->group, NULL), 0);
    assert_int_equal(s->steps, 4);
    assert_int_equal(s->rc, -1);
    assert_int_equal(s->err.code, ERROR_CANCELLED);
}

static void fiber_cancel_ends_waits_but_not_shielded_ones(void **state)
{
    (void)state;
    in_loop(cancels);
}

static void counts(void *arg)
{
    struct scene *s = arg;
    volatile char frame[8192];

    memset((char *)(uintptr_t)frame, 1, sizeof(frame));
    assert_int_equal(fiber_sleep((uint64_t)(s->steps % 3), NULL), 0);
    s->steps += frame[17];
    fiber_group_done(&s->group);
}

static void starts_many(void *arg)
{
    struct scene *s = arg;

    for (int i = 0; i < 300; i++) {
        fiber_group_add(&s->group);
        fiber_start(s->loop, counts, s);
    }
    assert_int_equal(fiber_group_wait(&s->group, NULL), 0);
    assert_int_equal(s->steps, 300);
    assert_int_equal(fiber_group_wait(&s->group, NULL), 0); /* empty: at once */
}

static void fiber_group_waits_for_all(void **state)
{
    (void)state;
    in_loop(starts_many);
}

static int recurse(int depth)
{
    volatile char frame[512];

    frame[0] = (char)depth;
    return depth == 0 ? 0 : recurse(depth - 1) + 1 + frame[0] - (char)depth;
}

static void uses_much_stack(void *arg)
{
    (void)arg;
    assert_int_equal(recurse(1000), 1000);
}

static void fiber_has_half_a_megabyte_of_stack(void **state)
{
    (void)state;
    in_loop(uses_much_stack);
}

static void cancelled_before_it_ran(void *arg)
{
    struct scene *s = arg;

    fiber_group_add(&s->group);
    s->fiber = fiber_start(s->loop, waits_for_ever, s);
    fiber_cancel(s->fiber);
    assert_int_equal(fiber_group_wait(&s->group, NULL), 0);
    assert_int_equal(s->rc, -1);
}

static void fiber_cancelled_before_its_start_still_runs_its_clean_up(void **state)
{
    (void)state;
    in_loop(cancelled_before_it_ran);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fiber_remembers_one_wake_before_the_wait),
        cmocka_unit_test(fiber_cancel_ends_waits_but_not_shielded_ones),
        cmocka_unit_test(fiber_group_waits_for_all),
        cmocka_unit_test(fiber_has_half_a_megabyte_of_stack),
        cmocka_unit_test(fiber_cancelled_before_its_start_still_runs_its_clean_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
