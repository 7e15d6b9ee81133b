/* config/run_settings.h: what a run needs from cadre.toml and [agents], as plain numbers and strings. */
#ifndef CADRE_CONFIG_RUN_SETTINGS_H
#define CADRE_CONFIG_RUN_SETTINGS_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct config;

enum merge_strategy { MERGE_STRATEGY_FF, MERGE_STRATEGY_MERGE, MERGE_STRATEGY_SQUASH };

struct agent_settings {
    int max_threads;                 /* threads at once, without the root */
    int max_depth;                   /* the root is 0 */
    int64_t job_max_runtime_seconds; /* 0: no limit */
    bool is_enabled;
    bool sends_interrupt_message;
    char *default_model; /* NULL: the parent's */
    char *default_reasoning_effort;
};

/* A built-in check that the repository allows, with its reason: [[gates.allow]]. */
struct gate_allowance {
    char *check;
    char *reason;
    struct str_list paths; /* globs; empty: everywhere */
};

/* [ci.actions."owner/name"]: what stands for an action on this machine. One of the four is set. */
struct action_setting {
    char *action;
    char *run;       /* shell command */
    char *uses;      /* another action */
    char *satisfied; /* why nothing has to be done */
    char *skip;      /* why it is skipped */
};

struct run_settings {
    struct agent_settings agents;

    int batch_size; /* tasks a batch */
    int max_batches;
    int max_attempts;   /* of a task */
    int max_diff_lines; /* of a task; over it the diff is messy */
    int max_task_files;
    int max_review_rounds;
    int max_plan_attempts;
    int64_t max_minutes; /* 0: no limit, as for the next three */
    int64_t max_tokens;
    int64_t max_cost_microusd;
    int64_t max_requests;
    int64_t task_minutes; /* wall clock of one attempt; 0: no limit */
    int max_turn_steps;   /* model requests of a turn */
    bool has_explore;
    bool has_tuning;

    bool gate_review, gate_security, gate_qa;
    struct gate_allowance *allowances;
    size_t allowance_count;

    struct str_list ci_commands;  /* explicit; empty: workflows, else detection */
    struct str_list ci_workflows; /* file names or paths; empty: all that match */
    struct action_setting *ci_actions;
    size_t ci_action_count;
    struct str_list ci_secrets; /* "NAME=variable of the environment to read" */
    struct str_list ci_vars;    /* "NAME=value" */
    char *ci_container_engine;
    char *ci_event;
    int64_t ci_timeout_seconds; /* of a job without its own */
    int ci_retries;             /* re-runs to tell flaky from broken */
    bool ci_network;
    int ci_jobs; /* at once; 0: the number of processors */

    enum merge_strategy merge_strategy;
    char *merge_target;           /* NULL: the branch that is checked out */
    struct str_list shared_files; /* globs of files that every task may add to */

    char *setup_command; /* in a fresh worktree; NULL for none */
    int64_t setup_timeout_seconds;
    int port_base, port_step; /* worktree N gets port_base + N * port_step */

    char *hook_after_worktree, *hook_before_task, *hook_after_task, *hook_before_merge, *hook_after_run;
    int64_t hook_timeout_seconds;

    bool remote_enabled; /* push and open a pull request */
    int remote_max_rounds;
    char *remote_tool; /* "auto", "gh" or "glab" */
    char *remote_name; /* of the git remote */
    int remote_poll_seconds;
    int64_t remote_timeout_minutes;
};

/* Fills S; the strings are copies. */
void run_settings_init(struct run_settings *s, const struct config *c);
void run_settings_finish(struct run_settings *s);

#endif
