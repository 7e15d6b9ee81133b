/* ci/ci.h: the CI mirror's front door: plan what the project's CI would do, and do it here.
 *
 *     ci_plan_create()  reads the definition (explicit commands, else .github/workflows, else
 *                       .gitlab-ci.yml, else what the build files suggest) into jobs and steps, each
 *                       runnable or skipped with its reason
 *     ci_run()          runs the jobs in the order of their needs, in parallel within the cores
 *
 * The definition may come from another tree than the one under test, so that who changes the code cannot
 * change what judges it. Nothing that was skipped is ever reported as passed, and a run in which nothing
 * ran is not green. */
#ifndef CADRE_CI_CI_H
#define CADRE_CI_CI_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct action_setting;
struct buf;
struct loop;
struct ci_plan;

/* ------------------------------------------------------------------------------------------- the plan */

struct ci_options {
    const char *definition_dir;       /* tree that the definition is read from */
    const struct str_list *commands;  /* explicit shell commands (cadre.toml [ci] commands); NULL or empty */
    const char *workflow;             /* only this workflow: file name, with or without suffix, or its name */
    const struct str_list *workflows; /* only these, named the same way; NULL or empty: all */
    const char *job;                  /* only this job (and what it needs): job key, id or name */
    const char *event;                /* "push" (NULL), "pull_request", ... */
    const char *branch;               /* branch that is pushed, or the head of the pull request */
    const char *base_branch;          /* branch that a pull request aims at; NULL: the default branch */
    const char *tag;                  /* a push of a tag instead of a branch */
    const struct str_list *changed_paths; /* for path filters; NULL: unknown, every path filter holds */
    const struct action_setting *actions; /* the user's own mappings (cadre.toml [ci.actions]); first in line */
    size_t action_count;
    const char *container_engine; /* "none" (NULL is that too), "auto", or the program */
    const struct str_list *secrets;   /* "NAME=value"; all other secrets are empty */
    const struct str_list *vars;      /* "NAME=value": the `vars` context */
    const struct str_list *inputs;    /* "name=value" for workflow_dispatch */
    const char *event_json;           /* the event's payload (github.event); NULL: made up from the above */
    const char *repository;           /* "owner/name"; NULL: "local/" + folder name */
    const char *sha;                  /* commit under test; NULL: zeros */
    const char *actor;                /* github.actor; NULL: "cadre" */
    const char *cache_dir; /* where workflows are kept as they were read, for the next time; NULL: nowhere */
    bool include_unmatched; /* list workflows whose `on` does not match too, as skipped jobs */
};

enum ci_source { CI_SOURCE_NONE, CI_SOURCE_COMMANDS, CI_SOURCE_GITHUB, CI_SOURCE_GITLAB, CI_SOURCE_DETECTED };

enum ci_step_kind {
    CI_STEP_RUN,       /* a command of the workflow */
    CI_STEP_SATISFIED, /* an action for which this machine has an equivalent (checkout, setup, cache ...) */
    CI_STEP_SKIPPED,   /* no equivalent here; `reason` says why */
    CI_STEP_UNWANTED,  /* its `if` is false for this job and event: the real CI does not run it either */
};

struct ci_plan_step {
    const char *name;    /* as a person reads it */
    const char *command; /* the script, before expressions are filled in; NULL when nothing is run */
    const char *uses;    /* the action, or NULL */
    const char *reason;  /* why it is skipped, or what satisfies it; NULL for plain commands */
    const char *condition; /* its `if`, or NULL */
    enum ci_step_kind kind;
    bool is_dependency; /* installs what later steps need: may want the network, worth caching */
    bool needs_network; /* for another reason: it calls curl, git clone, docker pull ... */
    int line;           /* in the definition's file, 0 if none */
};

struct ci_plan_job {
    const char *id;       /* unique: "ci.yml/build (ubuntu-latest, 12)" */
    const char *name;     /* display name */
    const char *key;      /* key in the file */
    const char *file;     /* relative to the definition's root; NULL for commands */
    const char *reason;   /* why the whole job is skipped, or NULL when it runs */
    const char *note;     /* what a reader should know ("lost a step that later steps need"), or NULL */
    struct str_list needs; /* job keys */
    struct ci_plan_step *steps;
    size_t step_count;
    int line;
    bool is_dynamic; /* its matrix is only known once a needed job has run; expands at run time */
    size_t duplicates; /* matrix legs that differ only by a system this machine cannot be, folded into this */
};

/* NULL with ERR (file:line:column for a definition that does not read) on failure. A tree without any CI is
 * no error: the plan has no jobs and CI_SOURCE_NONE. */
struct ci_plan *ci_plan_create(const struct ci_options *options, struct error *err);
void ci_plan_destroy(struct ci_plan *plan);

enum ci_source ci_plan_source(const struct ci_plan *plan);
const char *ci_source_name(enum ci_source source); /* "commands", "github", "gitlab", "detected", "none" */
int64_t ci_plan_took_us(const struct ci_plan *plan); /* microseconds that ci_plan_create() took */
size_t ci_plan_job_count(const struct ci_plan *plan);
const struct ci_plan_job *ci_plan_job(const struct ci_plan *plan, size_t index);

/* Variables that every command gets, so that time, locale, parallelism and seeds are the same everywhere; what the
 * definition sets itself wins. Ended by a NULL name. */
struct ci_variable {
    const char *name, *value;
};
const struct ci_variable *ci_fixed_environment(void);

/* For people to copy: the job's variables as "export NAME=value" lines, and the step's commands with what is known
 * before the run filled in (nothing for a step that is no command). Expressions over what only the run knows stay.
 * Cheapest when asked job by job. PLAN must outlive it. */
struct ci_commands;
struct ci_commands *ci_commands_create(const struct ci_plan *plan);
void ci_commands_destroy(struct ci_commands *commands);
void ci_commands_exports(struct ci_commands *commands, size_t job, struct buf *out);
void ci_commands_script(struct ci_commands *commands, size_t job, size_t step, struct buf *out);

/* The command of a job that does nothing else after a plain checkout: no condition, environment, matrix, folder or shell of its
 * own. NULL for all other jobs. */
const char *ci_plan_only_command(const struct ci_plan *plan, const char *job_id);

/* Number of steps of all jobs that run, are satisfied and are skipped (steps of skipped jobs are skipped). */
struct ci_share {
    size_t run, satisfied, skipped;
};
struct ci_share ci_plan_share(const struct ci_plan *plan);

/* --------------------------------------------------------------------------------------------- the run */

/* A command about to be started. */
struct ci_command {
    const char *job_id;
    const char *step_name;
    const char *cwd;
    const char *tree_dir;    /* the tree under test (a copy, unless in place): must be writable */
    const char *scratch_dir; /* RUNNER_TEMP and the step's files are below it: must be writable */
    const struct str_list *argv;
    bool is_dependency; /* an install step: wants the network; all others do without unless they need it */
    bool needs_network; /* calls a program that is there to reach others (curl, git clone, docker pull ...) */
    bool needs_privileges; /* calls sudo: cannot run where privileges are given up */
};

enum ci_state {
    CI_PASSED,
    CI_FAILED,
    CI_SKIPPED,     /* not run; `reason` says why. Never counts as passed */
    CI_ENVIRONMENT, /* the machine lacks what the job needs: neither passed nor the code's fault */
    CI_CANCELLED,
};

/* Whose fault a job that is not passed is (classify.h). */
enum ci_fault {
    CI_FAULT_NONE, /* not looked into */
    CI_FAULT_BROKEN,
    CI_FAULT_FLAKY,
    CI_FAULT_ENVIRONMENT,
    CI_FAULT_AT_BASE, /* the same failure is there without the change */
};

struct ci_job_result {
    char *id;
    char *name;
    char *key;
    enum ci_state state;
    char *reason;       /* of skipped, environment, cancelled; NULL otherwise */
    char *failing_step; /* NULL unless failed */
    int exit_code;      /* of the failing step; -1 when killed */
    char *command;      /* how to repeat the failing step by hand, from the tree's root */
    char *log_file;     /* complete output */
    char *excerpt;      /* the failing part with the command to repeat it, at most CI_EXCERPT_MAX bytes */
    struct str_list failing_tests; /* "file:line: name" as far as the output names them */
    uint64_t fingerprint; /* same failure, same number (addresses, times, paths taken out); 0 unless failed */
    int64_t duration_ms;
    size_t steps_run, steps_satisfied, steps_skipped;
    struct str_list skipped_steps; /* "name: reason" */
    bool allowed_to_fail; /* continue-on-error: failed, but does not make the whole red */
    bool from_cache;
    enum ci_fault fault;
    unsigned runs, failures; /* how often it was run to tell, and failed; 0 when it was not */
};

#define CI_EXCERPT_MAX 4096

enum ci_verdict { CI_GREEN, CI_RED, CI_NOTHING_RAN, CI_ENVIRONMENT_ONLY, CI_STOPPED };

struct ci_result { /* zeroed memory is an empty result */
    enum ci_verdict verdict;
    bool was_stopped; /* from outside; jobs that fail-fast or a concurrency group ended are red instead */
    struct ci_job_result *jobs;
    size_t job_count;
    size_t passed, failed, skipped, environment, cancelled;
    struct ci_share share; /* of the steps of the real CI: run, satisfied, skipped */
    int64_t duration_ms;
    struct str_list annotations; /* "error file:line:column: message" from workflow commands */
};

struct ci_run_options {
    struct loop *loop;
    const char *work_dir;         /* tree under test */
    const char *log_dir;          /* made if missing: one log a job, and scratch folders while running */
    const char *cache_dir;        /* results of jobs that passed; NULL: no caching */
    const char *tree_id;          /* git tree id of work_dir, for the key of the result cache; NULL: results not cached */
    const char *conditions;       /* how commands are run (with the network, ...), part of that key; or NULL */
    const struct str_list *jobs;  /* only these ids or keys, and what they need; NULL or empty: all */
    const struct str_list *changed_paths; /* what differs from the base: jobs that failed over these go first; or NULL */
    const struct str_list *env;   /* "KEY=VALUE" on top of everything */
    unsigned parallel;            /* jobs at once; 0: number of cores */
    int64_t timeout_ms;           /* of one job; 0: its timeout-minutes, else 6 h as on GitHub */
    bool in_place;                /* run in work_dir itself, one job after the other, instead of in copies */
    bool keep_scratch;            /* leave the copies */

    void (*on_job_started)(void *data, const char *id, const char *name);
    void (*on_job_finished)(void *data, const struct ci_job_result *job);

    /* Puts the command into a sandbox: fills OUT with the argv to start instead. NULL: started as it is. */
    int (*wrap)(void *data, const struct ci_command *command, struct str_list *out, struct error *err);
    void *data;
};

/* Runs the plan; waits (call it from a fiber, or outside of one for a small tool: then the loop is run).
 * Returns 0 whatever the verdict; -1 with ERR when the run as such was not possible. RESULT is the caller's
 * to finish in both cases. Cancelling the fiber kills the commands; jobs are then CI_CANCELLED. */
int ci_run(const struct ci_plan *plan, const struct ci_run_options *options, struct ci_result *result,
           struct error *err);
void ci_result_finish(struct ci_result *result);

/* Counts the jobs' states again and derives the verdict from them. */
void ci_result_count(struct ci_result *result);

const char *ci_state_name(enum ci_state state);       /* "passed", "failed", ... */
const char *ci_verdict_name(enum ci_verdict verdict); /* "green", "red", "nothing-ran", ... */

/* The job's result by id or key, or NULL. */
const struct ci_job_result *ci_result_job(const struct ci_result *result, const char *id);

#endif
