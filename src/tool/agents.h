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
};

enum agent_form { AGENT_FORM_NONE, AGENT_FORM_V1, AGENT_FORM_V2 };

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

/* Adds the tools of FORM to SET. ROLES describes the choices of agent_type. Without MAY_SPAWN (the deepest agents) they
 * are understood but not offered, so that a call is answered with the reason. WITH_MERGE: some role has a worktree of
 * its own. */
void tool_set_add_agents(struct tool_set *set, enum agent_form form, const char *roles, bool may_spawn, bool with_merge);

/* "wait" for wait_agent, and so on, as codex exec --json names them; NULL when NAME is no agent tool. */
const char *agent_tool_event_name(const char *name);

#endif
