/* ci/blame.c: delta debugging over the changes of a batch, breadth first, a round at a time.
 *
 * Work items are pairs (suspects, context): suspects together with the context fail, the context alone
 * passes. Each round halves every item that has more than one suspect:
 *     one half fails with the context    go on with it
 *     both fail                          independent culprits: go on with both
 *     none fails                         they break together: each half with the other as context
 * An item with one suspect is done. Then the rest is tested; if it still fails, it is the next item. */
#include "ci/blame.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

struct item {
    uint64_t suspects;
    uint64_t context;
};

struct known {
    uint64_t set;
    enum blame_outcome outcome;
};

struct search {
    const struct blame_options *options;
    struct blame_result *result;
    struct known *known;
    size_t known_len, known_cap;
    struct item *items;
    size_t item_len, item_cap;
};

static unsigned count_bits(uint64_t set)
{
    return (unsigned)__builtin_popcountll(set);
}

/* The earlier half of the changes in SET. */
static uint64_t earlier_half(uint64_t set)
{
    unsigned wanted = count_bits(set) / 2;
    uint64_t half = 0;

    for (unsigned i = 0; i < 64 && wanted > 0; i++) {
        if (set >> i & 1) {
            half |= UINT64_C(1) << i;
            wanted--;
        }
    }
    return half;
}

static const struct known *known_find(const struct search *s, uint64_t set)
{
    for (size_t i = 0; i < s->known_len; i++) {
        if (s->known[i].set == set)
            return &s->known[i];
    }
    return NULL;
}

static void known_add(struct search *s, uint64_t set, enum blame_outcome outcome)
{
    if (known_find(s, set) != NULL)
        return;
    if (s->known_len == s->known_cap) {
        s->known_cap = s->known_cap > 0 ? s->known_cap * 2 : 32;
        s->known = xrealloc(s->known, s->known_cap * sizeof *s->known);
    }
    s->known[s->known_len++] = (struct known){set, outcome};
}

static void item_add(struct search *s, uint64_t suspects, uint64_t context)
{
    if (s->item_len == s->item_cap) {
        s->item_cap = s->item_cap > 0 ? s->item_cap * 2 : 16;
        s->items = xrealloc(s->items, s->item_cap * sizeof *s->items);
    }
    s->items[s->item_len++] = (struct item){suspects, context};
}

/* Asks the oracle for those of the N sets that are not known yet; one round when there are any. */
static int ask(struct search *s, const uint64_t *sets, size_t n, struct error *err)
{
    uint64_t *wanted = xcalloc(n > 0 ? n : 1, sizeof *wanted);
    enum blame_outcome *outcomes = xcalloc(n > 0 ? n : 1, sizeof *outcomes);
    size_t wanted_len = 0;
    int rc = 0;

    for (size_t i = 0; i < n; i++) {
        bool is_repeated = known_find(s, sets[i]) != NULL;
        for (size_t k = 0; k < wanted_len; k++)
            is_repeated = is_repeated || wanted[k] == sets[i];
        if (!is_repeated)
            wanted[wanted_len++] = sets[i];
    }
    if (wanted_len > 0) {
        s->result->rounds++;
        s->result->tests += (unsigned)wanted_len;
        rc = s->options->test(s->options->data, wanted, wanted_len, outcomes, err);
        for (size_t i = 0; rc == 0 && i < wanted_len; i++)
            known_add(s, wanted[i], outcomes[i]);
    }
    free(wanted);
    free(outcomes);
    return rc;
}

static bool fails(const struct search *s, uint64_t set)
{
    const struct known *k = known_find(s, set);

    return k != NULL && k->outcome == BLAME_FAIL;
}

/* Halves every item once: one round. */
static int narrow(struct search *s, struct error *err)
{
    size_t n = s->item_len;
    struct item *old = s->items;
    uint64_t *sets = xcalloc(n * 2, sizeof *sets);
    size_t set_len = 0;
    int rc;

    for (size_t i = 0; i < n; i++) {
        uint64_t first = earlier_half(old[i].suspects);
        if (count_bits(old[i].suspects) < 2)
            continue;
        sets[set_len++] = first | old[i].context;
        sets[set_len++] = (old[i].suspects & ~first) | old[i].context;
    }
    rc = ask(s, sets, set_len, err);
    free(sets);
    if (rc < 0)
        return -1;

    s->items = NULL;
    s->item_len = s->item_cap = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t suspects = old[i].suspects, context = old[i].context;
        uint64_t first = earlier_half(suspects), second = suspects & ~first;
        bool first_fails, second_fails;

        if (count_bits(suspects) < 2) {
            item_add(s, suspects, context);
            continue;
        }
        first_fails = fails(s, first | context);
        second_fails = fails(s, second | context);
        if (first_fails)
            item_add(s, first, context);
        if (second_fails)
            item_add(s, second, context);
        if (!first_fails && !second_fails) {
            item_add(s, first, context | second);
            item_add(s, second, context | first);
        }
    }
    free(old);
    return 0;
}

static bool is_narrow(const struct search *s)
{
    for (size_t i = 0; i < s->item_len; i++) {
        if (count_bits(s->items[i].suspects) > 1)
            return false;
    }
    return true;
}

static uint64_t suspects_of(const struct search *s)
{
    uint64_t all = 0;

    for (size_t i = 0; i < s->item_len; i++)
        all |= s->items[i].suspects;
    return all;
}

int blame_find(const struct blame_options *options, struct blame_result *result, struct error *err)
{
    struct search s = {.options = options, .result = result};
    unsigned max_rounds = options->max_rounds > 0 ? options->max_rounds : 64;
    uint64_t all, rest;
    int rc = -1;

    memset(result, 0, sizeof *result);
    if (options->count == 0 || options->count > BLAME_MAX_CHANGES || options->test == NULL)
        return error_set(err, ERROR_LIMIT, "blame: %zu changes; 1 to %d can be told apart", options->count,
                         BLAME_MAX_CHANGES);
    all = options->count == 64 ? UINT64_MAX : (UINT64_C(1) << options->count) - 1;
    known_add(&s, 0, BLAME_PASS);
    known_add(&s, all, BLAME_FAIL);

    rest = all;
    while (rest != 0) {
        item_add(&s, rest, 0);
        while (!is_narrow(&s)) {
            if (result->rounds >= max_rounds) {
                result->culprits |= suspects_of(&s);
                rc = 0;
                goto out;
            }
            if (narrow(&s, err) < 0) {
                result->culprits |= suspects_of(&s);
                goto out;
            }
        }
        result->culprits |= suspects_of(&s);
        s.item_len = 0;

        rest = all & ~result->culprits;
        if (result->rounds >= max_rounds && known_find(&s, rest) == NULL) {
            rc = 0;
            goto out;
        }
        if (ask(&s, &rest, 1, err) < 0)
            goto out;
        if (!fails(&s, rest)) {
            const struct known *k = known_find(&s, rest);
            result->verified = k != NULL && k->outcome == BLAME_PASS;
            rc = 0;
            goto out;
        }
    }
    result->verified = true;
    rc = 0;
out:
    free(s.items);
    free(s.known);
    return rc;
}
