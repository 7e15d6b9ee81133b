/* agent/thread_internal.h: a thread from inside, for thread.c (its turns) and thread_tools.c (their tool calls). */
#ifndef CADRE_AGENT_THREAD_INTERNAL_H
#define CADRE_AGENT_THREAD_INTERNAL_H

#include "agent/context.h"
#include "agent/thread.h"
#include "base/buf.h"
#include "base/redact.h"
#include "base/vec.h"
#include "model/client.h"

#include <jansson.h>

enum thread_state { THREAD_IDLE, THREAD_ASKING, THREAD_TOOLS };

/* A message that waits for the next request. */
struct queued_message {
    char *text;
    enum kept_kind kind;
    bool is_kept; /* survives a compaction */
};

/* One tool call of the current answer. */
struct pending_call {
    struct thread *thread;
    char *call_id;
    char *name;
    char *arguments;
    bool custom;
    struct tool_call *running;
    bool is_done;
    bool is_error;
    struct buf output;
    char *item_id;
    char *image_mime; /* a result that carries an image */
    char *image_base64;
};

struct thread {
    struct thread_options options;
    char *id;
    char *role;
    char *task;
    char *model;
    char *effort;
    char *output_schema;
    char *cwd;
    char *owes;
    struct conversation *conversation;
    struct context *context;
    char *compact_prompt;
    char *summary;          /* while compacting: what the model wrote */
    int64_t compacted_from; /* tokens before the compaction that runs or was just made; 0: neither */
    struct tool_session *session;
    enum thread_state state;
    struct model_call *call;
    struct vec pending;     /* of struct pending_call *, in the order of the answer */
    size_t next_serial;     /* the next call that may not run beside others */
    struct vec queued;      /* of struct queued_message *: they go with the next request */
    struct timer *deadline;
    struct timer *later;
    struct usage usage;
    struct redact_stream deltas; /* of the message that comes in */
    char *last_message;
    json_t *submission;
    char *submission_tool;
    int steps;
    int reminders;
    uint64_t last_step_hash;
    int repeated_steps;
    unsigned next_item;
    size_t kept_bytes; /* of the conversation, in the rollout */
    bool has_asked;
    bool has_task; /* the first message has come */
    bool compacts_only; /* the turn is a compaction that was asked for */
    bool in_callback;
    bool is_dead; /* destroyed within a callback: freed when it returns */
};

/* --- thread.c --- */

/* Redacts, records and hands on; takes EVENT. The listener may destroy the thread: look at is_dead after it. */
void thread_emit(struct thread *t, json_t *event);
char *thread_next_item_id(struct thread *t); /* the caller frees */

/* Around every callback: the owner may destroy the thread within it, and thread_leave() frees it then. */
void thread_enter(struct thread *t);
void thread_leave(struct thread *t);

/* Sends the conversation with the messages that wait for it. */
void thread_ask(struct thread *t);
void thread_end_turn(struct thread *t, const struct error *err);

/* --- thread_tools.c --- */

/* Starts what may run now: calls that may run beside others at once, the rest one after another in the order of
 * the answer. Ends the step when all are done. */
void thread_start_tools(struct thread *t);
/* Calls that are not done get an answer in the conversation: every API refuses one without. */
void thread_answer_open_calls(struct thread *t);
/* Forgets the calls; those that run are cancelled. */
void thread_drop_pending(struct thread *t);

#endif
