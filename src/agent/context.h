/* agent/context.h: what of a thread's conversation must survive when it is compacted, and when that is due.
 *
 * A conversation grows until it nears the model's window. Then the model is asked for a summary and a new conversation
 * begins: the fixed prompt, the context (skills, AGENTS.md, environment), the task with the plan and the open findings
 * word for word, what else was said as far as it fits (the newest first), the model's last plan, and the summary.
 * Without a summary (the request failed, or the conversation no longer fits at all) a list of the last steps takes its
 * place, so that a thread never ends only because it is long. What is kept survives any number of compactions, and goes
 * with the conversation into the rollout and into forks (agent/thread_history.h). */
#ifndef CADRE_AGENT_CONTEXT_H
#define CADRE_AGENT_CONTEXT_H

#include "model/conversation.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct context;
struct json_writer;

enum kept_kind {
    KEPT_CONTEXT, /* stands before the work */
    KEPT_TASK,    /* the task, and what is wrong with what was made of it: always kept */
    KEPT_WORD,    /* what somebody said beside it: the newest, as far as they fit */
};

/* WINDOW_TOKENS: of the model, 0 when not known (then a common size is taken). LIMIT_TOKENS: compact above it, 0 for
 * nine tenths of the window. */
struct context *context_create(int64_t window_tokens, int64_t limit_tokens);
void context_set_window(struct context *context, int64_t window_tokens, int64_t limit_tokens);
void context_destroy(struct context *context); /* NULL is fine */

/* A message as it goes into the conversation: TEXT, or a fresh shortened copy in *SHORTENED when it is larger than half
 * of the window (the caller frees it). Kept word for word. Only where contexts and tasks alone would fill three quarters
 * of what a conversation may hold, the largest tasks lose their middle, and say so. */
const char *context_keep(struct context *context, enum message_role role, const char *text, enum kept_kind kind,
                         char **shortened);

/* What is kept, and the plan, of FROM also in TO, whose limits stay. */
void context_copy(struct context *to, const struct context *from);

/* The same as two members of the JSON object that W writes: all of it, or with ONLY_NEW what came since the last time. */
void context_write(struct context *context, struct json_writer *w, bool only_new);
/* Adds what context_write() wrote. False when it cannot be what was written. */
bool context_read(struct context *context, const json_t *object);

/* A tool result that may go into the conversation, in bytes. */
size_t context_result_limit(const struct context *context);

/* Notes a finished tool call: for the list of steps, and the plan when it was update_plan. */
void context_note_step(struct context *context, const char *name, const char *arguments, const char *output,
                       bool is_error);

/* Is it time to compact, with PENDING_BYTES about to be added? */
bool context_is_full(const struct context *context, const struct conversation *conversation, size_t pending_bytes);

/* The request for a summary. PROMPT replaces the default when not NULL. */
const char *context_summary_prompt(const char *prompt);

/* The conversation that takes OLD's place. SUMMARY NULL: none could be had. The caller destroys both. */
struct conversation *context_rebuild(struct context *context, const struct conversation *old, const char *summary);

#endif
