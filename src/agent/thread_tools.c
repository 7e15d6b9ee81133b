/* agent/thread_tools.c: the tool calls of an answer: which may run side by side, what their results become, when the model repeats
 * itself. */
#include "agent/thread_internal.h"

#include "agent/thread_events.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tool/registry.h"

#include <stdlib.h>
#include <string.h>

#define MAX_REPEATED_STEPS 4 /* the same calls with the same results so often in a row end the turn */

static void pending_free(struct pending_call *p)
{
    tool_call_cancel(p->running);
    free(p->call_id);
    free(p->name);
    free(p->arguments);
    free(p->item_id);
    free(p->image_mime);
    free(p->image_base64);
    buf_free(&p->output);
    free(p);
}

void thread_drop_pending(struct thread *t)
{
    for (size_t i = 0; i < t->pending.len; i++)
        pending_free(t->pending.items[i]);
    vec_finish(&t->pending);
    t->next_serial = 0;
}

static void finish_step(struct thread *t);

static void record_submission(struct thread *t, const struct pending_call *p)
{
    json_decref(t->submission);
    free(t->submission_tool);
    t->submission = json_parse(p->arguments, strlen(p->arguments), "submission", NULL);
    t->submission_tool = xstrdup(p->name);
}

static void on_tool_done(void *data, const struct tool_result *result)
{
    struct pending_call *p = data;
    struct thread *t = p->thread;

    p->running = NULL;
    p->is_done = true;
    p->is_error = result->is_error;
    buf_append(&p->output, result->output, result->output_len);
    p->image_mime = xstrdup(result->image_mime);
    p->image_base64 = xstrdup(result->image_base64);
    thread_enter(t);
    if (result->is_submission && !result->is_error)
        record_submission(t, p);
    if (t->state == THREAD_TOOLS) {
        thread_emit(t, event_tool_completed(p->item_id, t->id, p->name, p->arguments, result));
        if (!t->is_dead)
            thread_start_tools(t);
    }
    thread_leave(t);
}

static void start_one(struct thread *t, struct pending_call *p)
{
    struct tool_call_context ctx = {
        .loop = t->options.loop,
        .thread_id = t->id,
        .role = t->role,
        .task = t->task,
        .cwd = t->cwd,
        .policy = t->options.policy,
        .env = t->options.env,
        .session = t->session,
        .desk = t->options.desk,
        .agents = t->options.agents,
    };

    p->item_id = thread_next_item_id(t);
    thread_emit(t, event_tool_started(p->item_id, t->id, p->name, p->arguments));
    if (t->is_dead)
        return;
    p->running = tool_call_start(t->options.tools, &ctx, p->name, p->arguments, p->custom, on_tool_done, p);
}

/* Starts what may run now: calls that may run beside others at once, the rest one after another in the order of
 * the answer. Ends the step when all are done. */
void thread_start_tools(struct thread *t)
{
    bool all_done = true;

    t->state = THREAD_TOOLS;
    for (size_t i = 0; i < t->pending.len && !t->is_dead; i++) {
        struct pending_call *p = t->pending.items[i];

        if (p->is_done)
            continue;
        all_done = false;
        if (p->running != NULL || p->item_id != NULL) {
            if (!tool_set_is_parallel_safe(t->options.tools, p->name))
                break;
            continue;
        }
        if (!tool_set_is_parallel_safe(t->options.tools, p->name)) {
            bool earlier_done = true;

            for (size_t k = 0; k < i; k++)
                earlier_done = earlier_done && ((struct pending_call *)t->pending.items[k])->is_done;
            if (earlier_done)
                start_one(t, p);
            break;
        }
        start_one(t, p);
    }
    if (all_done && !t->is_dead)
        finish_step(t);
}

/* Did the model repeat itself? The hash covers the calls and their results. */
static bool is_stuck(struct thread *t)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < t->pending.len; i++) {
        const struct pending_call *p = t->pending.items[i];

        if (tool_set_waits(t->options.tools, p->name))
            return false; /* waiting for others again and again is no loop */

        hash = hash * 31 + str_hash(p->name, strlen(p->name));
        hash = hash * 31 + str_hash(p->arguments, strlen(p->arguments));
        hash = hash * 31 + tool_output_fingerprint(buf_cstr(&p->output), p->output.len);
    }
    t->repeated_steps = hash == t->last_step_hash ? t->repeated_steps + 1 : 0;
    t->last_step_hash = hash;
    return t->repeated_steps + 1 >= MAX_REPEATED_STEPS;
}

/* A result is bounded by its tool already; a small window needs less. */
static void fit_result(const struct thread *t, struct buf *output)
{
    size_t max = context_result_limit(t->context);

    if (output->len <= max)
        return;
    buf_truncate(output, utf8_floor(output->data, output->len, max));
    buf_puts(output, "\n[the rest is left out: the model's context window is small]");
}

static void finish_step(struct thread *t)
{
    struct error err = {0};
    bool stuck = is_stuck(t);

    for (size_t i = 0; i < t->pending.len; i++) {
        struct pending_call *p = t->pending.items[i];
        struct buf shown = BUF_INIT;

        fit_result(t, &p->output);
        tool_append_for_model(&shown, t->options.tools, p->name, buf_cstr(&p->output), p->output.len);
        conversation_add_tool_result(t->conversation, p->call_id, buf_cstr(&shown), p->custom, p->is_error);
        buf_free(&shown);
        context_note_step(t->context, p->name, p->arguments, buf_cstr(&p->output), p->is_error);
    }
    for (size_t i = 0; i < t->pending.len; i++) {
        struct pending_call *p = t->pending.items[i];

        if (p->image_base64 != NULL)
            conversation_add_image(t->conversation, "The image that was asked for:", p->image_mime,
                                   p->image_base64);
    }
    thread_drop_pending(t);
    if (t->submission != NULL) {
        thread_end_turn(t, NULL);
    } else if (stuck) {
        error_set(&err, ERROR_LIMIT, "the same step was repeated %d times with the same result",
                  MAX_REPEATED_STEPS);
        thread_end_turn(t, &err);
    } else {
        thread_ask(t);
    }
}

/* A conversation with an unanswered tool call is refused by every API: the next turn could not be asked. */
void thread_answer_open_calls(struct thread *t)
{
    for (size_t i = 0; i < t->pending.len; i++) {
        struct pending_call *p = t->pending.items[i];

        fit_result(t, &p->output);
        conversation_add_tool_result(t->conversation, p->call_id,
                                     p->is_done ? buf_cstr(&p->output) : "aborted: the turn was interrupted", p->custom,
                                     p->is_error || !p->is_done);
    }
}
