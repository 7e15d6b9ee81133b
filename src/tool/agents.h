/* tool/agents.h: the tools by which a model spawns, asks, awaits and closes other agents, in both of Codex's forms.
 *
 * This side checks arguments and writes schemas; what the calls do is behind a function table that agent/ hands in
 * (layers look down only). Every refusal is an answer for the model, never an error of the program. docs/agents.md
 * describes the tools for people. */
#ifndef CADRE_TOOL_AGENTS_H
#define CADRE_TOOL_AGENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct tool_call;
struct tool_set;

enum agent_verb {
    AGENT_VERB_SPAWN,
    AGENT_VERB_SEND,      /* a message: starts a turn when STARTS_TURN */
    AGENT_VERB_WAIT,
    AGENT_VERB_CLOSE,
    AGENT_VERB_RESUME,
    AGENT_VERB_INTERRUPT,
    AGENT_VERB_LIST,
    AGENT_VERB_MERGE,     /* a child's worktree into the caller's working directory */
    AGENT_VERB_JOB,       /* an agent for each row of a CSV file */
    AGENT_VERB_REPORT,    /* a row's result, from its agent */
};

enum agent_form { AGENT_FORM_NONE, AGENT_FORM_V1, AGENT_FORM_V2 };

#define AGENT_REPORT_TOOL "report_agent_job_result"

struct agent_job_request { /* of AGENT_VERB_JOB and AGENT_VERB_REPORT */
    const char *csv_path; /* NULL when a job is resumed */
    const char *id_column;
    const char *output_csv_path;
    const char *resume_job_id; /* of a report: the job that it names, or NULL */
    const json_t *output_schema; /* one that json_schema_check_form() took, or NULL */
    int64_t max_concurrency;     /* 0: not said */
    int64_t max_runtime_seconds; /* 0: not said */
    const char *item_id;
    const json_t *result;
    bool stops;
};

struct agent_request { /* checked; borrowed for the time of start() */
    enum agent_verb verb;
    enum agent_form form;
    const char *target;    /* an agent's id, path or name; NULL where the verb has none */
    const json_t *targets; /* array of strings, or NULL */
    const char *message;   /* "" when there is none */
    const char *role;      /* NULL: by the message */
    const char *model;     /* NULL: by role, settings and parent */
    const char *effort;
    const char *task_name; /* V2: the last part of the path */
    bool wants_fork;       /* the child starts from its parent's items */
    bool is_fork_explicit; /* the model said whether it does */
    bool interrupts;       /* stop the turn that runs */
    bool starts_turn;
    int64_t timeout_ms;    /* -1: not said */
    const json_t *args;    /* all of them */
    const struct agent_job_request *job; /* or NULL; its instruction is MESSAGE */
};

struct agent_host {
    /* Answers CALL with agent_call_answer() or agent_call_refuse(), now or later. */
    void (*start)(void *data, const struct agent_request *request, struct tool_call *call);
    /* CALL ends without an answer: it must not be touched any more. */
    void (*cancel)(void *data, struct tool_call *call);
    void *data;
};

/* ANSWER (taken) is for the model. EVENT (taken, may be NULL) is for the collab_tool_call item: an object with
 * `receiver_thread_ids` and `agents_states`. */
void agent_call_answer(struct tool_call *call, json_t *answer, json_t *event);
void agent_call_refuse(struct tool_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A row's result was taken: the work of its agent is over. */
void agent_call_accept_report(struct tool_call *call);
/* For the tools: gives REQUEST to the host of CALL's thread. */
void agent_call_hand_over(struct tool_call *call, const struct agent_request *request);

/* Adds the tools of FORM to SET. ROLES describes the choices of agent_type. Without MAY_SPAWN (the deepest agents) they
 * are understood but not offered, so that a call is answered with the reason. WITH_MERGE: some role has a worktree of
 * its own. */
void tool_set_add_agents(struct tool_set *set, enum agent_form form, const char *roles, bool may_spawn, bool with_merge);

/* tool/agent_jobs.c: spawn_agents_on_csv (part of the above), and report_agent_job_result for a row's agent, with the
 * schema text of its result (NULL: any object). */
void tool_set_add_jobs(struct tool_set *set, bool may_spawn);
void tool_set_add_report(struct tool_set *set, const char *result_schema);
bool agent_tool_is_job(const char *name);

/* "wait" for wait_agent, and so on, as codex exec --json names them; NULL when NAME is no agent tool. */
const char *agent_tool_event_name(const char *name);

#endif
