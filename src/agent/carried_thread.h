/* agent/carried_thread.h: a thread whose turns another program makes: the counterpart of agent/thread.h for runners.
 *
 * It has the same events, rollout, budget, deadlines and way to end the work as a native thread. The program gets the role's
 * instructions and context with the first prompt; it runs in a box (agent/program_box.h) and ends with a last message in
 * the form of the submit tool that its role owes (agent/final_answer.h): asked once more when it does not, and then a
 * failed turn. What it did is for git to tell. */
#ifndef CADRE_AGENT_CARRIED_THREAD_H
#define CADRE_AGENT_CARRIED_THREAD_H

#include "base/error.h"
#include "base/str.h"
#include "config/runner_config.h"
#include "model/usage.h"
#include "sandbox/policy.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct agent_answer;
struct approval_desk;
struct budget;
struct carried_thread;
struct loop;
struct price_table;
struct rollout;

struct carried_options {
    struct loop *loop;
    const struct runner_config *runner; /* copied from; borrowed for the thread's life */
    const char *id, *role, *task;       /* task may be NULL; copied, as those up to output_schema */
    int attempt;
    const char *model;                   /* what the program is told to use, or NULL: its own */
    const char *price_model;             /* by which its tokens are priced, or NULL */
    const char *reasoning_effort;        /* or NULL */
    const char *instructions;            /* of the role, or NULL */
    const char *owes;                    /* "submit_result", "submit_review", or NULL */
    const char *output_schema;           /* JSON schema text, or NULL */
    const struct approval_desk *desk; /* where a person can be asked, or NULL; borrowed */
    json_t *mcp_servers;                 /* ACP: for session/new; taken; or NULL */
    const struct sandbox_policy *policy; /* of the role's commands; its cwd is the worktree. Borrowed */
    const char *const *command_env;      /* of commands that we run for it; borrowed */
    const struct str_list *extra_env;    /* "K=V" of the task, or NULL; copied */
    const char *dir;                     /* of the program's private folder, made at the first turn */
    struct budget *budget;               /* or NULL */
    const struct price_table *prices;    /* or NULL */
    uint64_t turn_timeout_ms;            /* 0: none */
    struct rollout *rollout;             /* taken; or NULL */
    bool watch_deltas;
    bool can_nest;                     /* sandbox_can_nest() */
    char *(*make_context)(void *data); /* what stands before the first prompt; caller frees; may give NULL */
    bool (*is_paused)(void *data);     /* a turn begins when it is not; or NULL */
    void (*on_event)(void *data, const json_t *event);
    void (*on_text_delta)(void *data, const char *text, size_t n);
    void *data;
};

struct carried_thread *carried_thread_create(const struct carried_options *options);
void carried_thread_destroy(struct carried_thread *thread); /* stops the program; NULL is fine */

/* One turn, as agent_session_ask(). Waits. */
int carried_thread_ask(struct carried_thread *thread, const char *text, struct agent_answer *answer,
                       struct error *err);

bool carried_thread_is_busy(const struct carried_thread *thread);
const char *carried_thread_id(const struct carried_thread *thread);

#endif
