/* agent/agent_tree_internal.h: what the files of the agent tree share; nobody else includes it. */
#ifndef CADRE_AGENT_AGENT_TREE_INTERNAL_H
#define CADRE_AGENT_AGENT_TREE_INTERNAL_H

#include "agent/agent_tree.h"
#include "base/str.h"
#include "base/vec.h"
#include "config/run_settings.h"

struct agent_job;
struct agent_work;
struct git_repo;
struct rollout;

enum agent_status {
    AGENT_QUEUED,
    AGENT_RUNNING,
    AGENT_COMPLETED,
    AGENT_ERRORED,
    AGENT_INTERRUPTED,
    AGENT_SHUTDOWN,
};

struct agent_mail {
    struct agent_node *from;
    char *text;
    bool is_result; /* of its work: an answer to wait_agent takes its place */
};

/* A tool call of a model that is under way in a fiber. */
struct agent_op {
    struct agent_node *node; /* the caller */
    struct tool_call *call;  /* NULL: nobody waits for the answer any more */
    struct fiber *fiber;
    void (*run)(struct agent_op *op);
    bool is_cancellable; /* else it goes on to its end when nobody waits for its answer any more */
    struct agent_node *target;
    struct vec targets; /* of struct agent_node * (NULL: unknown), as asked for */
    struct str_list names;
    enum agent_form form;
    int64_t timeout_ms;
    struct timer *timer;
    bool is_timed_out;
    json_t *args;
    struct agent_job *job; /* taken */
};

struct agent_node {
    struct agent_tree *tree;
    struct agent_node *parent; /* NULL: the main thread */
    struct vec children;       /* of struct agent_node * */
    char *id;
    char *name; /* last part of the path */
    char *path;
    char *nickname;
    char *role;
    char *model; /* as asked for by who spawned it, or NULL */
    char *effort;
    int depth;
    enum agent_status status;
    char *result;    /* last message, or what went wrong */
    char *last_task; /* what it was last asked */
    struct agent_host host;
    struct agent_session *session; /* NULL before its first turn and when closed */
    struct thread_history *history; /* what its session starts from, or NULL */
    struct fiber *fiber;           /* its life, while it is not final */
    struct str_list inbox;         /* starts its next turn */
    struct vec mail;               /* of struct agent_mail * */
    struct vec ops;                /* of struct agent_op * */
    unsigned waits;                /* ops that wait for others */
    bool holds_slot;
    bool is_in_turn;
    bool was_interrupted;
    bool restarts; /* it was given input while its life is being cancelled */
    bool is_closing;
    bool needs_history; /* its conversation stands in its rollout */
    bool gave_slot;     /* while it waits for others */
    char *cwd;               /* of its session; NULL before the first */
    struct agent_work *work; /* its own worktree, or NULL */
    struct agent_job *job;   /* whose row it does, or NULL */
    size_t row;
};

struct agent_tree {
    struct agent_tree_options options;
    struct office *office;
    struct run_settings settings;
    char *session_dir;
    char *cwd;
    char *choices; /* of roles, for spawn_agent */
    enum agent_form form;
    bool with_merge;
    bool is_in_ledger; /* what its worktrees need in the repository */
    int64_t max_agents;
    int64_t spawned;
    struct agent_node *root;
    struct vec nodes; /* all, the main thread first */
    struct vec waiters; /* fibers that wait for a change of status */
    struct rollout *record;
    struct git_repo *repo; /* opened when first needed */
    struct vec jobs;       /* of struct agent_job *: those at work */
    bool is_closing;
};

/* --- agent_node.c --- */

struct agent_node *agent_node_create(struct agent_tree *tree, struct agent_node *parent, const char *id, const char *name,
                                     const char *role);
void agent_node_free(struct agent_node *node);
/* Frees a child that is final and closed, and that nobody else knows of. */
void agent_node_forget(struct agent_node *node);
/* What its next turn starts with; starts its life when it is final. */
void agent_node_input(struct agent_node *node, const char *text);
void agent_node_interrupt(struct agent_node *node);
/* Closes its children, then itself. Waits, shielded. */
void agent_node_close(struct agent_node *node);
bool agent_node_is_final(const struct agent_node *node);
bool agent_node_has_live_children(const struct agent_node *node);
/* A child's result waits to be told to it. */
bool agent_node_has_result_mail(const struct agent_node *node);
/* What its next turn starts with: its input, or else its mail; the caller frees. */
char *agent_node_take_input(struct agent_node *node);
/* Waits for its children. True when there is something to begin a turn with. */
bool agent_node_wants_turn(struct agent_node *node, struct error *err);
bool agent_node_is_below(const struct agent_node *node, const struct agent_node *above);
void agent_node_set_status(struct agent_node *node, enum agent_status status, const char *text);

void agent_mail_add(struct agent_node *to, struct agent_node *from, const char *text, bool is_result);
/* agent_spec.collect_input of a node. */
void agent_mail_collect(void *data, struct str_list *messages);
/* The answer of a wait has told TO of FROM's end. */
void agent_mail_drop_results(struct agent_node *to, const struct agent_node *from);

/* "running", or {"completed": "..."} as Codex writes it; new reference. */
json_t *agent_status_json(const struct agent_node *node);
const char *agent_status_name(enum agent_status status);
/* For collab_tool_call: {"receiver_thread_ids": [...], "agents_states": {...}} of N nodes (NULL ones are left out). */
json_t *agent_event_json(struct agent_node *const *nodes, size_t n);

/* Suspends the current fiber until some status changes. */
int agent_tree_wait_change(struct agent_tree *tree, struct error *err);
void agent_tree_changed(struct agent_tree *tree);
void agent_record(struct agent_tree *tree, const char *type, json_t *payload); /* taken */

/* --- agent_calls.c --- */

void agent_call_start(void *data, const struct agent_request *request, struct tool_call *call);
void agent_call_cancel(void *data, struct tool_call *call);
struct agent_op *agent_op_start(struct agent_node *node, struct tool_call *call, void (*run)(struct agent_op *op));
void agent_op_free(struct agent_op *op);
/* While an op waits for other agents its caller needs no slot. */
void agent_wait_begin(struct agent_node *node);
int agent_wait_end(struct agent_node *node, struct error *err);

/* --- agent_job.c --- */

/* spawn_agents_on_csv, when NODE may spawn. */
void agent_job_start(struct agent_node *node, const struct agent_request *request, struct tool_call *call);
/* report_agent_job_result */
void agent_job_report(struct agent_node *node, const struct agent_request *request, struct tool_call *call);
void agent_job_fill_spec(const struct agent_node *node, struct agent_spec *spec, struct agent_tools *tools);

/* --- agent_work.c --- */

/* Makes NODE's own worktree when its role asks for one. *CWD is its working directory, the caller frees. */
int agent_work_begin(struct agent_node *node, char **cwd, struct error *err);
/* Keeps what NODE has changed so far as a commit under a ref. */
int agent_work_collect(struct agent_node *node, struct error *err);
/* {"ref":..,"commit":..,"diff":..} for the parent, or NULL when nothing was changed. */
json_t *agent_work_json(const struct agent_node *node);
/* Merges it into INTO's working directory; the answer for the model. NULL with ERR set. */
json_t *agent_work_merge(struct agent_node *node, struct agent_node *into, struct error *err);
/* Takes what the record says of NODE's work in an earlier process. */
void agent_work_restore(struct agent_node *node, const json_t *said);
/* Removes the worktree; what was not merged stays under its ref. */
void agent_work_end(struct agent_node *node);
void agent_work_destroy(struct agent_work *work);

/* --- agent_record.c --- */

int agent_record_open(struct agent_tree *tree, struct error *err);
/* Makes the nodes that an earlier process knew. */
int agent_record_restore(struct agent_tree *tree, struct error *err);
/* The conversation that was kept of NODE. NULL with ERR set when there is none. */
struct thread_history *agent_record_history(const struct agent_node *node, struct error *err);

#endif
