/* ci/run_internal.h: a run from inside, for run.c (the way of a job), run_leg.c (one leg of it), job_needs.c (what a job sees of those it needs)
 * and job_gate.c (when it may start). Not for other modules. */
#ifndef CADRE_CI_RUN_INTERNAL_H
#define CADRE_CI_RUN_INTERNAL_H

#include "ci/plan_internal.h"
#include "io/fiber.h"

/* The legs of one job: max-parallel and fail-fast hold for them together. */
struct strategy {
    const struct workflow *root;
    const char *key;
    unsigned max_parallel; /* 0: no limit */
    unsigned running;
    bool fail_fast;
    bool has_failed;
};

/* A concurrency group: one owner at a time, a job or a whole workflow. */
struct concurrency {
    char *name;
    const void *owner; /* NULL: free */
};

struct run {
    struct ci_plan *plan;
    const struct ci_run_options *options;
    struct ci_result *result;
    struct node **nodes;  /* owned; more come while it runs: the jobs of calls that are only known then */
    size_t node_count;
    unsigned free_slots;
    struct vec slot_waiters; /* struct slot_waiter * */
    struct vec gate_waiters; /* struct fiber *: for a strategy or a concurrency group */
    struct vec strategies;   /* struct strategy *, owned */
    struct vec groups;       /* struct concurrency *, owned */
    struct fiber_group group;
    struct job_history *history;
    size_t first_pending; /* jobs that failed the last time and are not done: all others wait */
    char *artifact_dir;
    struct job_inputs *inputs; /* NULL: results are not cached */
    char *tools_id;
    struct tree_source *source; /* what jobs get a copy of */
    bool has_stored; /* a result in the cache */
};

/* A job of the plan on its way; one with a dynamic matrix has several results. */
struct node {
    struct run *run;
    const struct plan_job *job;
    struct strategy *strategy; /* NULL without a matrix */
    struct vec results;        /* struct ci_job_result *, owned until handed over */
    json_t *outputs;
    struct fiber *fiber; /* while it runs */
    struct vec legs;     /* struct fiber *: those of a dynamic matrix while they run */
    double priority;     /* likeliness to fail: higher goes first */
    bool goes_first;     /* failed the last time */
    bool waits_for_needs;
    bool is_wanted;
    bool is_done;
};

/* "success", "failure", "skipped" or "cancelled", over all legs. */
const char *node_conclusion(const struct node *node);

/* Why a job of this node did not end by itself. */
const char *node_why_cancelled(const struct node *node, const struct error *err);

/* --- run_leg.c --- */

/* Runs the node's job, or a leg of its matrix, in its own copy of the tree. CONTEXTS is taken. */
int leg_run(struct node *node, struct ci_job_result *result, json_t *contexts, struct error *err);

/* --- job_needs.c --- */

/* The `needs` context of JOB, and what status functions see. New reference. */
json_t *job_needs_context(struct run *run, const struct plan_job *job, struct scope_state *state);

/* The inputs of a called job, with what the caller's `with` takes from the jobs that it needs. New reference or NULL. */
json_t *job_called_inputs(struct run *run, const struct plan_job *job);

/* Is the `if` of the job that calls this one (or of one further out) false? */
bool job_caller_is_unwanted(struct run *run, const struct plan_job *job);

/* --- job_gate.c --- */

/* Sorts a node of the run into its strategy. */
void gate_prepare(struct node *node);
void gate_finish(struct run *run);

/* Waits until the job may start: max-parallel, and the concurrency groups of workflow and job. CONTEXTS are the job's.
 * 0, or -1 when the fiber was cancelled. */
int gate_enter(struct node *node, json_t *contexts, struct error *err);
/* Gives back what gate_enter took; a failed leg of a fail-fast matrix cancels its siblings. */
void gate_leave(struct node *node, const struct ci_job_result *result);
/* Waits for a free core: of the jobs that wait, the one that is likeliest to fail gets it. 0, or -1 when cancelled. */
int gate_take_slot(struct node *node, struct error *err);
void gate_give_slot(struct run *run);
/* To be called when a node is done: its workflow's group may be free now. */
void gate_node_done(struct node *node);

#endif
