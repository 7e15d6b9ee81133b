/* ci/job_runner.h: one job (or one leg of its matrix) from its first step to its result. */
#ifndef CADRE_CI_JOB_RUNNER_H
#define CADRE_CI_JOB_RUNNER_H

#include "base/buf.h"
#include "ci/plan_internal.h"

struct job_runner {
    struct ci_plan *plan;
    const struct plan_job *job;
    const struct ci_run_options *options;
    const char *tree_dir;     /* where the commands run */
    const char *scratch_dir;  /* of this job */
    const char *artifact_dir; /* shared by the jobs of the run */
    json_t *contexts;         /* of the job; steps, env and job are kept up to date in it */
    struct ci_job_result *result; /* filled: state, failing step, excerpt, counts */
    struct str_list *annotations;
    json_t *outputs; /* set by the run: the job's `outputs`; the caller's to decref */

    /* The runner's own; zeroed by the caller. */
    json_t *env;
    struct str_list path, masks;
    struct vec posts; /* struct script_post *, owned: in the order of their steps */
    struct scope_state state;
    struct buf log;
    unsigned counter;
    bool lost_step;
    char *lost_reason;
    int64_t deadline_ms;
};

/* Runs the steps; waits. -1 only when the fiber was cancelled or the machine fails (no scratch folder). */
int job_runner_run(struct job_runner *runner, struct error *err);
void job_runner_finish(struct job_runner *runner);

#endif
