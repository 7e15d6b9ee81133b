/* team/run.h: one goal carried to its end: plan, batches, gates, merge back. See docs/loop.md.
 *
 *   EXPLORING -> PLANNING -> WORKING (batches) -> TESTING (QA) -> RELEASING -> MERGING -> DONE
 *                               ^        |
 *                               +--------+  until every task is final and CI is green
 *
 * The phase and everything decided in it are in the journal before they have an effect, so that run_resume()
 * goes on from where a killed run was. */
#ifndef CADRE_TEAM_RUN_H
#define CADRE_TEAM_RUN_H

#include "base/error.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct inbox;
struct loop;
struct config;
struct role_registry;
struct run;

struct run_options {
    struct loop *loop;
    struct config *config;       /* borrowed */
    struct role_registry *roles; /* borrowed */
    const char *directory;       /* inside the user's repository */
    const char *goal;            /* NULL when resumed */
    const char *run_id;          /* to resume: an id; NULL with goal NULL: the latest of this repository */
    bool dry_run;                /* stop after a valid plan */
    bool no_merge;               /* leave the integration branch */
    const char *record_path;     /* keep all model traffic in this cassette; NULL: no */
    const char *replay_path;     /* a cassette answers in place of every model; NULL: no */
    const json_t *command_line;  /* kept for run_find(), not looked at here; borrowed; NULL: what is kept stays */
    /* Limits from the command line; 0: from the configuration. */
    int max_batches;
    int batch_size;
    int64_t max_tokens;
    double max_cost_usd;
    int max_minutes;
    /* Each event of docs/events.md, complete. Borrowed for the call. */
    void (*on_event)(void *data, const json_t *event);
    /* Approvals can be answered here from now on; NULL: no longer. May be NULL. */
    void (*on_inbox)(void *data, struct inbox *inbox);
    bool is_attended; /* a person at this terminal can answer */
    void *data;
};

struct run_task_row { /* for the table at the end */
    char *id;
    char *role;
    char *title;
    char *outcome;
    int attempts;
    int64_t tokens;
    int64_t duration_ms;
};

struct run_outcome {
    char *run_id;
    char *run_dir;
    char *branch; /* "cadre/<run>" */
    char *commit; /* last verified integration commit, or NULL */
    char *notes_path; /* release notes, or NULL */
    char *pull_request; /* its address where [remote] is enabled, or NULL */
    bool merged;
    struct run_task_row *tasks;
    size_t task_count;
};
void run_outcome_finish(struct run_outcome *outcome);

/* The run that is to go on: NAME (an id or its beginning), or with NULL the latest of the repository at DIRECTORY that is not
 * finished. *ID is the caller's to free; *COMMAND_LINE too (a reference): what was kept of it, NULL: nothing. */
int run_find(struct loop *loop, const char *directory, const char *name, char **id, json_t **command_line, struct error *err);

/* Carries a new run (or, with goal NULL, resumes one) to its end. Waits in the current fiber; cancelling the
 * fiber stops it in a resumable state (ERROR_CANCELLED). 0 when green (and merged unless told otherwise). The
 * code of ERR says why not; OUTCOME is filled in every case. */
int run_execute(const struct run_options *options, struct run_outcome *outcome, struct error *err);

#endif
