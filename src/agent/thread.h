/* agent/thread.h: one agent's conversation and its turn loop.
 *
 *            thread_submit()
 *   IDLE ---------------------> ASKING <-----------------------+
 *    ^                            | answer complete            |
 *    |   no tool call, or        v                             |
 *    +---- submitted, or ----- ANSWERED ---> tool calls ---> TOOLS (results in the order of the calls)
 *    |     limit, or error
 *    +---- thread_interrupt() from any state
 *
 * Before a request that would not leave room in the model's window ASKING begins with a request for a summary, and
 * goes on with the compacted conversation (agent/context.h).
 *
 * A thread is a plain state machine on the loop: there may be a thousand. It owns its conversation, its
 * tool calls and its exec sessions; destroying it cancels and frees all of them. The same step repeated, too
 * many steps, and a deadline end a turn with ERROR_LIMIT or ERROR_TIMEOUT: these stop rules are mechanical. */
#ifndef CADRE_AGENT_THREAD_H
#define CADRE_AGENT_THREAD_H

#include "base/error.h"
#include "base/str.h"
#include "model/client.h"
#include "model/usage.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct http_client;
struct provider;
struct approval_desk;
struct budget;
struct sandbox_policy;
struct tool_set;
struct agent_host;
struct rollout;
struct thread;
struct thread_history;

struct thread_options {
    struct loop *loop;
    struct http_client *http;
    struct provider *provider;
    struct budget *budget;      /* NULL: unbounded */
    const char *id;             /* thread id; NULL makes a new one */
    const char *role;           /* name; "" for a main thread */
    const char *task;           /* NULL when it works on no task */
    int attempt;                /* from 1 */
    const char *model;
    const char *reasoning_effort; /* NULL: the provider's default */
    const char *output_schema;    /* JSON schema text or NULL */
    const char *instructions;   /* the fixed prompt of the role */
    const char *cwd;            /* absolute */
    const struct sandbox_policy *policy; /* borrowed for the thread's life */
    const struct approval_desk *desk; /* borrowed for the thread's life; NULL: commands run in the sandbox unasked */
    const char *const *env;     /* environment of commands, borrowed for the thread's life */
    const struct tool_set *tools;        /* borrowed for the thread's life */
    const char *owes;           /* tool that must end the thread's work ("submit_review"), or NULL */
    enum call_priority priority;
    int max_steps;              /* model requests a turn; 0: 200 */
    uint64_t turn_timeout_ms;   /* 0: none */
    bool watch_deltas;
    int64_t context_window;     /* tokens of the model's window; 0: not known */
    int64_t compact_limit;      /* compact above so many tokens; 0: nine tenths of the window */
    const char *compact_prompt; /* asks for the summary; NULL: the built-in one */
    struct rollout *rollout;    /* taken; NULL: none */
    bool keeps_history;         /* the rollout also gets the conversation as it is sent, to go on with it later */
    const struct agent_host *agents; /* who answers the agent tools; borrowed for the thread's life; NULL: nobody */

    /* Every event of docs/events.md "Threads", without ts, run and ids. Borrowed for the call. */
    void (*on_event)(void *data, struct thread *thread, const json_t *event);
    void (*on_text_delta)(void *data, struct thread *thread, const char *text, size_t n);
    /* Before each request, and before a turn ends: what has arrived for the model meanwhile. May be NULL. */
    void (*collect_input)(void *data, struct thread *thread, struct str_list *messages);
    /* A turn ended. ERR is NULL when the model finished it. The thread may be destroyed in it. */
    void (*on_turn_end)(void *data, struct thread *thread, const struct error *err);
    void *data;
};

struct thread *thread_create(const struct thread_options *options);
void thread_destroy(struct thread *thread); /* NULL is fine */

/* Adds a message without starting a turn (context, results that arrive while idle). */
void thread_add_message(struct thread *thread, enum message_role role, const char *text);

/* The items so far, with NOTE as the answer to every tool call that is still open, and what of them compactions keep:
 * what a fork of this thread starts from. The caller destroys it. */
struct thread_history *thread_fork_history(const struct thread *thread, const char *note);

/* HISTORY takes the place of the items of a thread that has not run yet. -1 with ERR set when it was made for
 * another wire API. */
int thread_take_history(struct thread *thread, const struct thread_history *history, struct error *err);

/* Adds TEXT as the user's message and starts a turn; while a turn runs the message is queued and goes with
 * the next request. The first message of a thread (also of one that goes on from a history) is its task, which
 * compactions keep word for word; where the thread owes a submission, every message that starts a turn is one (the
 * findings on what it made). */
void thread_submit(struct thread *thread, const char *text);

/* A turn that only compacts the conversation. -1 with ERR set when there is nothing to compact, or a turn runs. */
int thread_compact(struct thread *thread, struct error *err);

/* From the next request on; WINDOW_TOKENS as thread_options.context_window. */
void thread_set_model(struct thread *thread, const char *model, int64_t window_tokens);

/* Stops the turn at once (calls cancelled, commands killed); on_turn_end comes with ERROR_CANCELLED. */
void thread_interrupt(struct thread *thread);

const char *thread_id(const struct thread *thread);
const char *thread_role(const struct thread *thread);
const char *thread_model(const struct thread *thread);
bool thread_is_busy(const struct thread *thread);
const struct usage *thread_usage(const struct thread *thread);

/* The last assistant message, or "". */
const char *thread_last_message(const struct thread *thread);

/* Arguments of the submit call that ended the work, NULL until then. Borrowed. */
const json_t *thread_submission(const struct thread *thread);
/* The submit tool's name, or NULL. */
const char *thread_submission_tool(const struct thread *thread);

#endif
