/* team/run_internal.h: the state of a run, shared by the files that carry its phases (run*.c, planning.c,
 * dispatch.c, integrate.c, gate.c, finish.c). Not for other folders. */
#ifndef CADRE_TEAM_RUN_INTERNAL_H
#define CADRE_TEAM_RUN_INTERNAL_H

#include "agent/runner.h"
#include "base/json.h"
#include "base/map.h"
#include "base/vec.h"
#include "ci/ci.h"
#include "config/run_settings.h"
#include "git/git.h"
#include "team/plan.h"
#include "team/run.h"
#include "team/task.h"

struct buf;
struct fiber;
struct journal;
struct run_control;
struct budget;
struct cassette_recorder;
struct mock_server;

enum run_phase {
    PHASE_EXPLORING,
    PHASE_PLANNING,
    PHASE_WORKING,
    PHASE_TESTING,
    PHASE_RELEASING,
    PHASE_MERGING,
    PHASE_DONE,
};

/* What one CI job came to on one tree; kept in the journal by tree and job. */
struct job_result {
    char *name;
    char *state; /* enum ci_job_state's name */
    int step;    /* index of the failing step, or -1 */
    struct str_list failed_tests;
    char *excerpt;
    char *reason;
    char *command; /* of a CI job that passed: what it does when that is one command and nothing else, or NULL */
};

struct ci_summary {
    struct job_result *jobs;
    size_t count;
    bool green;     /* every job passed that this machine could judge at the base or can now, and at least one did */
    bool ran_any;
    char *tree;
};

struct run {
    struct run_options options;
    struct run_settings settings; /* with the command line's limits applied */
    struct loop *loop;
    struct git_repo *repo;
    struct journal *journal;
    int64_t created_ms;  /* of a run that is resumed */
    json_t *limits;      /* those that the command line gave, then or now; they outlive a stop */
    bool was_completed;  /* so says the journal of a run that is resumed */
    struct office *office;
    struct budget *budget;
    struct cassette_recorder *recorder; /* --record */
    struct mock_server *replay;         /* --replay */
    char *label;           /* the run that commits name: a replay's are those of the recorded run */
    char *id;
    char *dir;             /* "<state>/runs/<id>" */
    char *goal;
    char *base;            /* commit the run started from */
    char *target;          /* the user's branch, to be merged back into; NULL: detached */
    char *branch;          /* "cadre/<id>" */
    char *verified;        /* V: last commit that CI and the gates let pass (at first the base) */
    char *integration_dir; /* worktree that shows V, and plan.md */
    char *plan_path;
    char *exploration;     /* what the explorer found */
    struct run_control *control;
    struct fiber *fiber;   /* that carries the run */
    const char *ending;    /* how it ended, for the hook after_run: "completed", "failed", "interrupted" */
    int drifts;            /* attempts that left their files, so far */
    int messes;            /* attempts with too large a diff */
    char *plan_seen;       /* plan.md as it was last taken up */
    char *plan_written;    /* and as the engine last left it */
    char *plan_refused;    /* a bad edit that was told already */
    bool is_paused;
    bool is_integrating;   /* the merge queue has the committed tasks */
    enum run_phase phase;
    int batch;             /* number of the current batch */
    int amendments;        /* how often the orchestrator was asked for more tasks */
    int qa_attempts;
    struct usage spent;    /* before a resume, from the journal */
    struct vec tasks;      /* of struct task *, in plan order */
    struct plan *plan;
    struct ci_summary base_ci;     /* CI of the base commit */
    struct ci_summary verified_ci; /* CI of V */
    bool has_base_ci;
    bool has_verified_ci;
    unsigned ci_checks;    /* how many were started: each has its own folder of logs */
    unsigned ci_at_once;   /* checks that share the cores at the moment; 0 counts as 1 */
    int64_t started_ms;    /* monotonic */
    char *pull_request;    /* its address, or NULL */
    int remote_rounds;     /* times that a red remote CI went back into the loop */
    char *notes_path;
    bool merged;
};

/* --- run_state.c: to and from the journal, events ------------------------------------------------ */

/* Adds type-independent fields, journals it (unless it is an item), hands it to the listener; takes EVENT. */
void run_emit(struct run *run, json_t *event);

/* Writes phase, V, batch and so on; -1 with ERR when the journal cannot be written (full disk). */
int run_save(struct run *run, struct error *err);
int run_save_task(struct run *run, const struct task *task, struct error *err);
/* Both in one transaction, for steps that change several. */
int run_save_all(struct run *run, struct error *err);
int run_load(struct run *run, struct error *err);
/* JSON values in the journal. The getter returns a new reference, NULL when there is none. */
int run_put_json(struct run *run, const char *kind, const char *key, const json_t *value, struct error *err);
json_t *run_get_json(struct run *run, const char *kind, const char *key);
const char *run_phase_name(enum run_phase phase);
struct task *run_find_task(const struct run *run, const char *id);

/* Is the run over its limits (wall clock, budget)? -1 with ERROR_LIMIT then. */
int run_check_limits(struct run *run, struct error *err);

/* Appends a line to the plan's Log and writes plan.md. */
void run_log_line(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- run_open.c ---------------------------------------------------------------------------------- */

/* The command line's limits over those of the settings. */
void run_apply_limits(struct run *run);
/* Are the built-in checks that cadre.toml allows known? */
int run_check_allowances(const struct run *run, struct error *err);
/* A new run, up to its integration worktree; the one that options.run_id names, or the last one, with what it left set right. */
int run_begin(struct run *run, struct error *err);
int run_resume(struct run *run, struct error *err);

/* --- batch.c ------------------------------------------------------------------------------------- */

/* Tasks that are neither merged nor dropped nor blocked. */
size_t batch_open_tasks(const struct run *run);
/* The tasks that can go now, without two that may write the same files. */
void batch_choose(struct run *run, struct vec *batch);
/* Dispatches, integrates and tells what came of it. */
int batch_run(struct run *run, struct vec *batch, struct error *err);

/* --- run_cassette.c ------------------------------------------------------------------------------ */

/* Opens what --record and --replay name, sets the label and, for both, the time that commits carry. */
int run_open_cassette(struct run *run, struct error *err);
/* The same for a run that is resumed; with --record the file goes on. */
int run_reopen_cassette(struct run *run, struct error *err);
/* -1 with ERR when some traffic could not be written. */
int run_close_cassette(struct run *run, struct error *err);

/* Waits while a person has paused the run. */
int run_wait_while_paused(struct run *run, struct error *err);

/* --- hooks.c ------------------------------------------------------------------------------------- */

/* Runs a command of [hooks] (NULL or "": nothing) in CWD, outside of the sandbox: it is the user's own. TASK may be
 * NULL. -1 when it fails or takes too long. */
int run_hook(struct run *run, const char *name, const char *command, const char *cwd, const struct task *task,
             struct error *err);
/* The user's command COMMAND with the variables of [shell_environment_policy] and EXTRA. */
int run_user_command(struct run *run, const char *what, const char *command, const char *cwd,
                     const struct str_list *extra, int64_t timeout_seconds, struct error *err);

/* --- planning.c ---------------------------------------------------------------------------------- */

int run_explore(struct run *run, struct error *err);
int run_make_plan(struct run *run, struct error *err);
/* Takes up what a person or the orchestrator changed in plan.md. */
int run_read_plan(struct run *run, struct error *err);
/* Asks the orchestrator to amend the plan because of WHY. */
int run_amend_plan(struct run *run, const char *why, struct error *err);

/* --- dispatch.c ---------------------------------------------------------------------------------- */

/* Works on TASKS (of struct task *) in parallel; each is COMMITTED, READY again or BLOCKED afterwards. */
int run_dispatch(struct run *run, const struct vec *tasks, struct error *err);

/* Sends TASK back: evidence kept, attempts counted; BLOCKED when they are used up. */
int run_return_task(struct run *run, struct task *task, enum return_reason reason, const char *evidence,
                    struct error *err);

/* --- integrate.c --------------------------------------------------------------------------------- */

/* Carries the committed TASKS through merge queue, CI and gates; moves V. */
int run_integrate(struct run *run, const struct vec *tasks, struct error *err);

/* --- ci_check.c ---------------------------------------------------------------------------------- */

/* Runs the CI mirror on COMMIT (cached by tree), then the acceptance commands of merged tasks and of TASKS, those that
 * COMMIT adds (NULL: none). JOBS limits it to some jobs, or NULL: then jobs that are worse than on V are run again, up to
 * [ci] retries times, and one that passes then is flaky and counts as passed. Several may run at the same time, each in
 * its own fiber and on its own commit. */
int run_ci(struct run *run, const char *commit, const struct vec *tasks, const struct str_list *jobs,
           struct ci_summary *out, struct error *err);
void ci_summary_finish(struct ci_summary *summary);
void ci_summary_copy(struct ci_summary *to, const struct ci_summary *from);
/* Is NOW worse than BEFORE in some job? Then the job's name, else NULL. */
const char *ci_summary_worse_job(const struct ci_summary *before, const struct ci_summary *now);
/* The names of all such jobs, appended. */
void ci_summary_worse_jobs(const struct ci_summary *before, const struct ci_summary *now, struct str_list *names);
/* A job in which some tests were mended and others fail that did not before: each task is then looked at alone. */
const char *ci_summary_unclear_job(const struct ci_summary *before, const struct ci_summary *now);
/* "JOB: why" of those that this machine cannot judge, appended. */
void ci_summary_unjudged(const struct ci_summary *summary, struct str_list *lines);
const struct job_result *ci_summary_find(const struct ci_summary *summary, const char *job);

/* --- acceptance.c -------------------------------------------------------------------------------- */

/* The command that `accept` is, or NULL when it is words. Caller frees. */
char *acceptance_command(const char *accept);
/* "accept T1": results of acceptance commands stand beside those of CI jobs. Caller frees. */
char *acceptance_job_name(const char *task_id);
bool acceptance_is_job(const char *job);
/* Runs COMMAND in DIR as CI steps run; EXCERPT gets what an author needs when it fails. */
int acceptance_run(struct run *run, const char *dir, const char *command, bool *passed, struct buf *excerpt,
                   struct error *err);
/* What acceptance_run_all looks at. */
struct acceptance_check {
    const char *dir;                 /* the merged tree */
    const struct vec *tasks;         /* those of merged tasks and of these; may be NULL */
    const struct str_list *jobs;     /* limits them, or NULL */
    const struct ci_summary *ci;     /* of the same tree: a command that was a job's only one and passed is not run again */
    void (*on_result)(void *data, const char *job, bool passed, bool is_known, const char *excerpt);
    void *data;
};
/* In plan order. */
int acceptance_run_all(struct run *run, const struct acceptance_check *check, struct error *err);

/* --- tuning.c ------------------------------------------------------------------------------------ */

void tuning_note_return(struct run *run, enum return_reason reason);
void tuning_note_window(struct run *run, unsigned window);
/* At the end of a run: the max_threads that the provider's answers speak for, when it is fewer than configured. */
void tuning_propose(struct run *run);
int tuning_strictness(const struct run *run); /* 0 to 3 */
int tuning_batch_size(const struct run *run);
int tuning_max_task_files(const struct run *run);

/* --- gate.c -------------------------------------------------------------------------------------- */

/* Built-in checks, reviewer and security auditor on COMMIT against V. Findings that block are added to the
 * tasks' entries in RETURNED (task id -> struct buf * of evidence); REASONS holds the reason by task id. */
struct gate_verdict {
    bool passed;
    struct map evidence; /* task id -> char *, owned */
    struct map reasons;  /* task id -> enum return_reason as pointer */
};
void gate_verdict_finish(struct gate_verdict *verdict);
int run_gates(struct run *run, const char *commit, const struct vec *tasks, int round,
              struct gate_verdict *verdict, struct error *err);

/* --- finish.c ------------------------------------------------------------------------------------ */

int run_quality_assurance(struct run *run, struct error *err);
int run_release_notes(struct run *run, struct error *err);
int run_merge_back(struct run *run, struct error *err);

/* --- remote.c ------------------------------------------------------------------------------------ */

/* Pushes V, opens the pull request and waits for its checks. 0 with WHY empty: nothing is red; 0 with WHY: what is. */
int run_remote(struct run *run, struct buf *why, struct error *err);

#endif
