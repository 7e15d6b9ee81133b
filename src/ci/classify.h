/* ci/classify.h: whose fault a red job is: it is run again, alone, and on the base. */
#ifndef CADRE_CI_CLASSIFY_H
#define CADRE_CI_CLASSIFY_H

#include "ci/ci.h"

struct ci_classify_options {
    const struct ci_run_options *run; /* as the result came about; its callbacks are not called */
    const struct str_list *jobs;      /* only these ids; NULL: every job that failed */
    unsigned retries;                 /* runs again at most, until it passes; 0: none */
    const char *base_dir;             /* the tree that the change started from, or NULL */
    const char *base_tree_id;         /* its git tree id, or NULL: not cached */
    void (*on_rerun)(void *data, const char *id); /* a job is run once more; or NULL */
    void *data;
};

/* Fills `fault`, `runs` and `failures` of the failed jobs of RESULT. A job that passes when it is run again
 * is flaky: its state becomes CI_PASSED and its reason tells the rate. One that fails the same way (same
 * failing tests, or same fingerprint) on the base was broken before. Counts and verdict follow. Waits.
 * -1 with ERR when a run was not possible or the fiber was cancelled. */
int ci_classify(const struct ci_plan *plan, const struct ci_classify_options *options, struct ci_result *result,
                struct error *err);

const char *ci_fault_name(enum ci_fault fault); /* "broken", "flaky", "environment", "base", or "none" */

#endif
