/* ci/blame.h: which of the merged changes broke the checks.
 *
 * N changes in merge order; all together they fail, none of them passes. The caller's oracle tests sub-sets
 * (each merged in the true order, only the failing jobs, results cached by tree and job). Several sub-sets
 * are asked for at once: one call of the oracle is one round.
 *
 * Delta debugging with both halves tested in every round: for a single culprit ceil(log2 n) rounds find it
 * and one more confirms that the rest passes. Independent culprits are followed side by side in the same
 * rounds; changes that only break together are found as a set. */
#ifndef CADRE_CI_BLAME_H
#define CADRE_CI_BLAME_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLAME_MAX_CHANGES 64

enum blame_outcome {
    BLAME_PASS,
    BLAME_FAIL,       /* the failure in question */
    BLAME_UNRESOLVED, /* the sub-set does not merge, or could not be tested */
};

struct blame_options {
    size_t count; /* number of changes, 1..BLAME_MAX_CHANGES; bit i of a set is change i */

    /* Tests N sub-sets (at the same time if it can) and fills OUTCOMES. May wait (called from a fiber).
     * Returns 0, or -1 with ERR to give up. */
    int (*test)(void *data, const uint64_t *sets, size_t n, enum blame_outcome *outcomes, struct error *err);
    void *data;
    unsigned max_rounds; /* 0: 64 */
};

struct blame_result {
    uint64_t culprits; /* the least set found; without it the rest passes when `verified` */
    unsigned rounds;   /* calls of the oracle */
    unsigned tests;    /* sub-sets tested */
    bool verified;     /* the rest was tested and passes (or is empty) */
};

/* Finds the culprits. Returns 0, or -1 when the oracle gives up or the arguments are wrong. When the rounds
 * are used up the result holds what is still suspected and `verified` is false. */
int blame_find(const struct blame_options *options, struct blame_result *result, struct error *err);

#endif
