/* team/task.h: a task while a run works on it: the plan's task and what the engine knows of it.
 *
 *   READY --dispatch--> WORKING --commit--> COMMITTED --merge, CI, gates--> MERGED
 *     ^                    |                    |
 *     +----- returned (evidence kept) ---------+        attempts used up: BLOCKED
 *
 * The state is written to the journal before it has an effect. WORKING is never written: a run that is
 * resumed finds such a task READY with the attempt it had. */
#ifndef CADRE_TEAM_TASK_H
#define CADRE_TEAM_TASK_H

#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct fiber;

enum task_state { TASK_READY, TASK_WORKING, TASK_COMMITTED, TASK_MERGED, TASK_BLOCKED, TASK_DROPPED };

/* Why an attempt came back; the names are those of `task.returned` events. */
enum return_reason {
    RETURN_CI,
    RETURN_REVIEW,
    RETURN_SECURITY,
    RETURN_CONFLICT,
    RETURN_DRIFT,
    RETURN_MESSY,
    RETURN_EMPTY,
    RETURN_BLOCKED,
    RETURN_ACCEPTANCE,
    RETURN_BUDGET,
    RETURN_ERROR,
};

struct task {
    char *id;
    char *title;
    char *accept;
    char *role;
    struct str_list files;
    struct str_list needs;
    struct str_list allow; /* ids of built-in checks that the plan allows for this task */
    int priority;          /* higher goes first */
    int64_t budget_tokens; /* for all attempts; 0: none of its own */
    bool is_planned;       /* plan.md has it */
    bool is_engines;       /* made by the engine (QA), in no plan */
    enum task_state state;
    int attempt;           /* of the attempt that runs or ran last; 0 before the first */
    int gate_rounds;       /* times a gate sent it back */
    int same_failures;     /* times in a row with the same fingerprint */
    uint64_t last_failure;
    char *commit;          /* of the last committed attempt, or NULL */
    char *base;            /* the integration commit that COMMIT stands on */
    char *evidence;        /* what the next attempt is told, or NULL */
    char *outcome;         /* last reason in words, or NULL */
    struct str_list returns; /* why attempts came back, oldest first, without repeats */
    int64_t tokens;
    int64_t duration_ms;
    struct fiber *worker;  /* that works on an attempt just now, or NULL */
    bool is_given_up;      /* dropped by a person while it was worked on */
    struct str_list changed; /* paths that COMMIT changes */
};

struct task *task_create(const char *id);
void task_destroy(struct task *task);

const char *task_state_name(enum task_state state);
bool task_state_from_name(const char *name, enum task_state *out);
const char *return_reason_name(enum return_reason reason);

/* To and from the journal's record (WORKING is written as READY). NULL with a bad record. */
json_t *task_to_json(const struct task *task);
struct task *task_from_json(const char *id, const json_t *record);

/* May the task write PATH? Its files are paths, folders or globs. */
bool task_owns_path(const struct task *task, const char *path);

#endif
