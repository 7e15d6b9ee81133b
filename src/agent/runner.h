/* agent/runner.h: an agent as the team sees it: opened for a piece of work, asked, closed.
 *
 * A session holds one slot of max_threads from open to close. What carries it is a runner: `native` (our own
 * turn loop), later other programs. All functions that say so wait in the current fiber. */
#ifndef CADRE_AGENT_RUNNER_H
#define CADRE_AGENT_RUNNER_H

#include "base/error.h"
#include "base/str.h"
#include "model/client.h"
#include "model/usage.h"
#include "tool/agents.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct config;
struct role_registry;
struct http_client;
struct budget;
struct cassette_recorder;
struct thread_history;
struct slots;
struct sandbox_policy;
struct inbox;
struct office;
struct agent_session;

/* Appends what no agent and no CI step may see of the run's folder STATE_DIR: the journal and the rollouts. */
void agent_hidden_paths(const char *state_dir, struct str_list *paths);

/* What all agents of a process share. */
struct office_options {
    struct loop *loop;
    struct config *config;        /* borrowed */
    struct role_registry *roles;  /* borrowed */
    struct budget *budget;        /* borrowed, may be NULL */
    struct cassette_recorder *recorder; /* keeps all model traffic; borrowed, may be NULL */
    const char *replay_url;       /* every provider is asked here instead, without a key; NULL: as configured */
    const char *rollout_dir;      /* "<run>/rollouts"; NULL: no rollouts */
    bool keeps_history;           /* threads can be resumed from their rollouts */
    const char *state_dir;        /* hidden from every agent: the run's folder */
    /* Every event of every thread with thread, role, task and attempt added. */
    void (*on_event)(void *data, json_t *event);
    /* A provider's limiter stepped back or recovered. May be NULL. */
    void (*on_limiter)(void *data, const char *provider, unsigned window, const char *reason);
    /* A session has to wait for a slot. */
    void (*on_queued)(void *data, const char *role, const char *task);
    bool is_attended; /* a person at this terminal can answer approvals */
    /* An approval that is asked for or answered; RECORD is to be kept under ID. May be NULL. */
    void (*on_approval)(void *data, const char *id, const json_t *record);
    void *data;
};

struct office *office_create(const struct office_options *options, struct error *err);
void office_destroy(struct office *office); /* every session is closed before */
struct slots *office_slots(struct office *office);
/* Where approvals of all its threads wait. */
struct inbox *office_inbox(struct office *office);
const struct office_options *office_options_of(const struct office *office);
/* Waits for a slot, and says so through on_queued. -1 when the fiber is cancelled. */
int office_acquire_slot(struct office *office, const char *role, const char *task, struct error *err);

/* The tools by which a thread works with other agents; see tool/agents.h. */
struct agent_tools {
    const struct agent_host *host; /* borrowed for the session's life */
    enum agent_form form;
    const char *role_choices;
    bool may_spawn;
    bool with_merge;
    bool reports;              /* a row's agent: owes report_agent_job_result */
    const char *report_schema; /* JSON schema text of the result, or NULL; borrowed for the call */
};

/* The threads that the provider which said "enough" first can keep busy; 0: none said so. */
unsigned office_propose_max_threads(const struct office *office);

/* While paused no thread asks its model again; commands that run go on. */
void office_pause(struct office *office, bool is_paused);
/* The open sessions, as an array of {thread, role, task, attempt, busy}; the caller's. */
json_t *office_threads(const struct office *office);
/* TEXT as a message to the session that NAME means: the start of its thread's id, its task or its role. It goes with
 * the next request of the turn. ERROR_NOT_FOUND (the open ones are named), ERROR_USAGE when several match or it is not
 * at work. */
int office_say(struct office *office, const char *name, const char *text, struct error *err);

struct agent_spec {
    const char *role;
    const char *task;  /* id, or NULL */
    int attempt;
    const char *cwd;   /* absolute */
    bool read_only;    /* tightens whatever the role says */
    const char *owes;  /* submit tool that ends its work ("submit_result", "submit_review"), or NULL */
    const struct str_list *docs_for; /* paths whose AGENTS.md files are to be shown, or NULL */
    const struct str_list *extra_env; /* "K=V" */
    uint64_t timeout_ms; /* of each turn; 0: none */
    struct budget *budget; /* below the office's; NULL: that */
    const char *output_schema; /* JSON schema of the answer, or NULL */
    void (*on_text_delta)(void *data, const char *text, size_t n); /* NULL: deltas are not parsed */
    void *delta_data;
    /* Threads that models spawn, and the main threads above them. All may be left out. */
    const char *thread_id;    /* NULL: a new one */
    bool is_main;             /* a person's own thread: agents.job_max_runtime_seconds does not end its turns */
    bool holds_no_slot;       /* the caller acquires and releases slots */
    bool has_project_docs;    /* AGENTS.md from the project's root down to the working directory */
    const struct sandbox_policy *parent_policy; /* the tightest of it and the role holds */
    const char *model;                    /* asked for; else the role's, else the default, else the configuration's */
    const char *reasoning_effort;
    const char *default_model;
    const char *default_reasoning_effort;
    const struct agent_tools *tools;      /* borrowed for the call; NULL: it works alone */
    const struct thread_history *history; /* it starts from this; NULL: from its context */
    /* What has arrived for the thread; asked before each request and at the end of a turn. */
    void (*collect_input)(void *data, struct str_list *messages);
    void *input_data;
};

struct agent_answer {
    char *message;        /* last assistant message */
    json_t *submission;   /* arguments of the submit call, or NULL */
    char *submission_tool;
    struct usage usage;   /* of the session so far */
};
void agent_answer_finish(struct agent_answer *answer);

/* Waits for a slot. NULL with ERR set: unknown role, bad role file, no key, cancelled. */
struct agent_session *agent_session_open(struct office *office, const struct agent_spec *spec,
                                         struct error *err);

/* One turn: TEXT in, ANSWER out. Waits. Cancelling the fiber interrupts the turn. */
int agent_session_ask(struct agent_session *session, const char *text, struct agent_answer *answer,
                      struct error *err);
/* TEXT goes with the next request of the turn that runs. False when none runs, or a program carries the thread: ask. */
bool agent_session_add(struct agent_session *session, const char *text);
/* The conversation becomes shorter: the model writes a summary of it. Waits. */
int agent_session_compact(struct agent_session *session, struct error *err);
/* From the next request on. */
int agent_session_set_model(struct agent_session *session, const char *model, struct error *err);
const char *agent_session_model(const struct agent_session *session); /* NULL: a program knows */
const struct usage *agent_session_usage(const struct agent_session *session);
/* What a fork starts from, with NOTE as the answer to open tool calls; NULL when a program has it. The caller destroys
 * it (agent/thread_history.h). */
struct thread_history *agent_session_fork(const struct agent_session *session, const char *note);
const struct sandbox_policy *agent_session_policy(const struct agent_session *session);
const char *agent_session_thread_id(const struct agent_session *session);
void agent_session_close(struct agent_session *session); /* NULL is fine */

#endif
