/* ci/job_runner.h: one job (or one leg of its matrix) from its first step to its result. */
#ifndef CADRE_CI_JOB_RUNNER_H
#define CADRE_CI_JOB_RUNNER_H

#include "base/buf.h"
#include "ci/plan_internal.h"

/* Containers of one job (container.h). */
struct containers {
    const char *engine;
    char *network;  /* NULL: none was made */
    char *job;      /* name of the container that the steps run in; NULL: they run on this machine */
    char *path;     /* PATH in it */
    struct str_list names; /* all containers */
};

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
    struct vec cache_saves;   /* struct cache_save *, owned: due when the job has passed */
    struct str_list uploaded; /* folders of the artifacts that this job made */
    struct containers containers;
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

/* For what is done in place of actions (action_steps.h): */

/* Runs a command as the step: log, counts and failure are the job's. 1 passed, 0 failed, -1 with ERR: stop. */
struct step_command;
int job_runner_command(struct job_runner *runner, const struct workflow_step *step, const char *name,
                       struct step_command *command, struct error *err);
void job_runner_log(struct job_runner *runner, const char *text, size_t n);
void job_runner_fail(struct job_runner *runner, const char *step_name, const char *text);
void job_runner_blame_environment(struct job_runner *runner, const char *reason);
bool job_runner_forgives(struct job_runner *runner, const struct workflow_step *step); /* continue-on-error */
void job_runner_inputs(json_t *env, const json_t *with); /* INPUT_NAME for each input */

#endif
