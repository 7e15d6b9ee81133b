/* Finding the changes that broke the checks, against simulated oracles. */
#include "test.h"

#include "ci/blame.h"

#include <stdlib.h>
#include <string.h>

/* Fails when the set holds all changes of any of the given groups. */
struct oracle {
    uint64_t groups[8];
    size_t group_count;
    uint64_t does_not_merge; /* sets with any of these but not `needs` are unresolved */
    uint64_t needs;
    bool gives_up;
};

static int oracle_test(void *data, const uint64_t *sets, size_t n, enum blame_outcome *outcomes,
                       struct error *err)
{
    const struct oracle *o = data;

    if (o->gives_up)
        return error_set(err, ERROR_CANCELLED, "stopped");
    for (size_t i = 0; i < n; i++) {
        outcomes[i] = BLAME_PASS;
        for (size_t g = 0; g < o->group_count; g++) {
            if ((sets[i] & o->groups[g]) == o->groups[g])
                outcomes[i] = BLAME_FAIL;
        }
        if ((sets[i] & o->does_not_merge) != 0 && (sets[i] & o->needs) != o->needs)
            outcomes[i] = BLAME_UNRESOLVED;
    }
    return 0;
}

static struct blame_result find(struct oracle *o, size_t count)
{
    struct blame_options options = {.count = count, .test = oracle_test, .data = o};
    struct blame_result result;
    struct error err = {0};

    assert_int_equal(blame_find(&options, &result, &err), 0);
    return result;
}

static unsigned ceil_log2(size_t n)
{
    unsigned bits = 0;

    while ((UINT64_C(1) << bits) < n)
        bits++;
    return bits;
}

static void one_culprit_is_found_within_the_bound_for_every_size(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 64; n++) {
        for (size_t culprit = 0; culprit < n; culprit++) {
            struct oracle o = {.groups = {UINT64_C(1) << culprit}, .group_count = 1};
            struct blame_result r = find(&o, n);
            assert_true(r.culprits == UINT64_C(1) << culprit);
            assert_true(r.verified);
            assert_true(r.rounds <= ceil_log2(n) + 1);
        }
    }
}

static void pairs_that_only_break_together_are_found(void **state)
{
    (void)state;
    for (size_t a = 0; a < 9; a++) {
        for (size_t b = a + 1; b < 9; b++) {
            uint64_t pair = UINT64_C(1) << a | UINT64_C(1) << b;
            struct oracle o = {.groups = {pair}, .group_count = 1};
            struct blame_result r = find(&o, 9);
            assert_true(r.culprits == pair);
            assert_true(r.verified);
            assert_true(r.rounds <= 2 * (ceil_log2(9) + 1));
        }
    }
}

static void independent_culprits_are_followed_side_by_side(void **state)
{
    struct oracle o = {.groups = {UINT64_C(1) << 1, UINT64_C(1) << 14}, .group_count = 2};
    struct blame_result r;

    (void)state;
    r = find(&o, 16);
    assert_true(r.culprits == (UINT64_C(1) << 1 | UINT64_C(1) << 14));
    assert_true(r.verified);
    assert_true(r.rounds <= ceil_log2(16) + 1);
}

static void a_culprit_hidden_by_a_pair_is_found_too(void **state)
{
    struct oracle o = {.groups = {0x81, 0x08}, .group_count = 2};
    struct blame_result r;

    (void)state;
    r = find(&o, 8);
    assert_true((r.culprits & 0x08) != 0);
    assert_true((r.culprits & 0x81) != 0);
    assert_true(r.verified);
}

static void a_subset_that_does_not_merge_is_not_taken_for_a_failure(void **state)
{
    /* Change 2 needs change 0; change 2 is at fault. */
    struct oracle o = {.groups = {0x4}, .group_count = 1, .does_not_merge = 0x4, .needs = 0x1};
    struct blame_result r;

    (void)state;
    r = find(&o, 4);
    assert_true((r.culprits & 0x4) != 0);
    assert_true(r.verified);
}

static void rounds_are_bounded_and_the_suspects_kept(void **state)
{
    struct oracle o = {.groups = {0x20}, .group_count = 1};
    struct blame_options options = {.count = 8, .test = oracle_test, .data = &o, .max_rounds = 1};
    struct blame_result r;
    struct error err = {0};

    (void)state;
    assert_int_equal(blame_find(&options, &r, &err), 0);
    assert_false(r.verified);
    assert_true((r.culprits & 0x20) != 0);
    assert_int_equal(r.rounds, 1);
}

static void an_oracle_that_gives_up_ends_the_search(void **state)
{
    struct oracle o = {.gives_up = true};
    struct blame_options options = {.count = 4, .test = oracle_test, .data = &o};
    struct blame_result r;
    struct error err = {0};

    (void)state;
    assert_int_equal(blame_find(&options, &r, &err), -1);
    assert_int_equal(err.code, ERROR_CANCELLED);
    options.count = 65;
    assert_int_equal(blame_find(&options, &r, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_culprit_is_found_within_the_bound_for_every_size),
        cmocka_unit_test(pairs_that_only_break_together_are_found),
        cmocka_unit_test(independent_culprits_are_followed_side_by_side),
        cmocka_unit_test(a_culprit_hidden_by_a_pair_is_found_too),
        cmocka_unit_test(a_subset_that_does_not_merge_is_not_taken_for_a_failure),
        cmocka_unit_test(rounds_are_bounded_and_the_suspects_kept),
        cmocka_unit_test(an_oracle_that_gives_up_ends_the_search),
    };

    return cmocka_run_group_tests_name("ci/blame", tests, NULL, NULL);
}
