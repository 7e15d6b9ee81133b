/* agent/thread.c: see thread.h. The turn loop; its tool calls are in thread_tools.c, what events look like in thread_events.c. */
#include "agent/thread_internal.h"

#include "agent/thread_events.h"
#include "agent/thread_history.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "io/loop.h"
#include "model/provider.h"
#include "store/rollout.h"
#include "tool/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX_STEPS 200
#define MAX_REMINDERS     2  /* a role that owes a submit call is reminded so often */

static void record(struct thread *t, const json_t *event)
{
    struct buf b = BUF_INIT;

    if (t->options.rollout == NULL)
        return;
    json_append_value(&b, event);
    rollout_add(t->options.rollout, json_get_string(event, "type", ""), b.data, b.len);
    buf_free(&b);
}

void thread_emit(struct thread *t, json_t *event)
{
    redact_json(event);
    record(t, event);
    if (t->options.on_event != NULL)
        t->options.on_event(t->options.data, t, event);
    json_decref(event);
}

/* Only where the conversation could be sent as it is: no tool call without its answer. */
static void keep_history(struct thread *t)
{
    if (t->options.keeps_history && t->options.rollout != NULL)
        t->kept_bytes = thread_history_write(t->options.rollout, t->conversation, t->context, t->kept_bytes);
}

static void queue_message(struct thread *t, const char *text, enum kept_kind kind, bool is_kept)
{
    struct queued_message *message = xcalloc(1, sizeof *message);

    message->text = xstrdup(text);
    message->kind = kind;
    message->is_kept = is_kept;
    vec_push(&t->queued, message);
}

static void drop_queued(struct thread *t)
{
    for (size_t i = 0; i < t->queued.len; i++) {
        struct queued_message *message = t->queued.items[i];

        free(message->text);
        free(message);
    }
    vec_finish(&t->queued);
}

static void collect_input(struct thread *t)
{
    struct str_list messages = {0};

    if (t->options.collect_input != NULL)
        t->options.collect_input(t->options.data, t, &messages);
    for (size_t i = 0; i < messages.len; i++)
        queue_message(t, messages.items[i], KEPT_WORD, true);
    str_list_finish(&messages);
}

char *thread_next_item_id(struct thread *t)
{
    return xasprintf("item_%u", t->next_item++);
}

struct thread *thread_create(const struct thread_options *options)
{
    struct thread *t = xcalloc(1, sizeof *t);
    char *tools_json = NULL;
    char uuid[RANDOM_UUID_BYTES];

    t->options = *options;
    if (options->id == NULL)
        random_uuid(uuid);
    t->id = xstrdup(options->id == NULL ? uuid : options->id);
    t->role = xstrdup(options->role == NULL ? "" : options->role);
    t->task = xstrdup(options->task);
    t->model = xstrdup(options->model);
    t->effort = xstrdup(options->reasoning_effort);
    t->output_schema = xstrdup(options->output_schema);
    t->cwd = xstrdup(options->cwd);
    t->owes = xstrdup(options->owes);
    t->last_message = xstrdup("");
    redact_stream_init(&t->deltas, REDACT_ALL);
    if (t->options.max_steps <= 0)
        t->options.max_steps = DEFAULT_MAX_STEPS;
    tools_json = tool_set_wire_json(options->tools, provider_wire(options->provider));
    t->conversation =
        conversation_create(provider_wire(options->provider), options->instructions, tools_json, t->id);
    free(tools_json);
    t->context = context_create(options->context_window, options->compact_limit);
    t->compact_prompt = xstrdup(options->compact_prompt);
    t->session = tool_session_create(options->loop);
    thread_emit(t, json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "thread.started", "thread_id", t->id, "role", t->role,
                      "model", t->model == NULL ? "" : t->model, "runner", "native"));
    return t;
}

static void free_thread(struct thread *t)
{
    thread_drop_pending(t);
    model_call_cancel(t->call);
    timer_cancel(t->deadline);
    timer_cancel(t->later);
    tool_session_destroy(t->session);
    conversation_destroy(t->conversation);
    context_destroy(t->context);
    free(t->compact_prompt);
    free(t->summary);
    rollout_close(t->options.rollout);
    drop_queued(t);
    json_decref(t->submission);
    free(t->submission_tool);
    buf_free(&t->deltas.held);
    free(t->last_message);
    free(t->id);
    free(t->role);
    free(t->task);
    free(t->model);
    free(t->effort);
    free(t->output_schema);
    free(t->cwd);
    free(t->owes);
    free(t);
}

void thread_destroy(struct thread *t)
{
    if (t == NULL || t->is_dead)
        return;
    if (t->conversation != NULL)
        thread_emit(t, json_pack("{s:s, s:s, s:I}", "type", "thread.closed", "thread_id", t->id, "tokens",
                          (json_int_t)(t->usage.input_tokens + t->usage.output_tokens)));
    t->options.on_event = NULL;
    t->options.on_turn_end = NULL;
    t->options.on_text_delta = NULL;
    if (t->in_callback)
        t->is_dead = true;
    else
        free_thread(t);
}

/* Callbacks into the owner may destroy the thread: thread_leave() then frees it. */
void thread_enter(struct thread *t)
{
    assert(!t->in_callback);
    t->in_callback = true;
}

void thread_leave(struct thread *t)
{
    t->in_callback = false;
    if (t->is_dead)
        free_thread(t);
}

/* --- Asking the model --------------------------------------------------------------------------- */

static void on_text_delta(void *data, const char *text, size_t n)
{
    struct thread *t = data;
    struct buf out = BUF_INIT;

    if (t->options.on_text_delta == NULL)
        return;
    redact_stream_feed(&t->deltas, text, n, &out);
    if (out.len > 0)
        t->options.on_text_delta(t->options.data, t, out.data, out.len);
    buf_free(&out);
}

/* What a stream of deltas held back comes before the whole message. */
static void end_deltas(struct thread *t)
{
    struct buf out = BUF_INIT;

    redact_stream_end(&t->deltas, &out);
    if (out.len > 0 && t->options.on_text_delta != NULL)
        t->options.on_text_delta(t->options.data, t, out.data, out.len);
    buf_free(&out);
}

static void on_item(void *data, const struct model_item *item)
{
    struct thread *t = data;
    struct pending_call *p;
    char *id;

    switch (item->kind) {
    case ITEM_MESSAGE:
        end_deltas(t);
        free(t->last_message);
        t->last_message = xstrdup(item->text == NULL ? "" : item->text);
        id = thread_next_item_id(t);
        thread_emit(t, event_text_item(id, "agent_message", t->last_message));
        free(id);
        break;
    case ITEM_REASONING:
        if (str_is_empty(item->text))
            break;
        id = thread_next_item_id(t);
        thread_emit(t, event_text_item(id, "reasoning", item->text));
        free(id);
        break;
    case ITEM_TOOL_CALL:
        p = xcalloc(1, sizeof *p);
        p->thread = t;
        p->call_id = xstrdup(item->call_id == NULL ? "" : item->call_id);
        p->name = xstrdup(item->name == NULL ? "" : item->name);
        p->arguments = xstrdup(item->arguments == NULL ? "" : item->arguments);
        p->custom = item->custom;
        vec_push(&t->pending, p);
        break;
    case ITEM_OTHER:
        break;
    }
}

static void on_retry(void *data, int attempt, uint64_t delay_ms, const struct error *reason)
{
    struct thread *t = data;
    char *text;

    thread_drop_pending(t); /* what a cut answer brought comes again */
    buf_free(&t->deltas.held);
    t->deltas.sent = 0;
    text = xasprintf("retry %d in %.1f s: %s", attempt, (double)delay_ms / 1000.0, reason->text);

    thread_emit(t, json_pack("{s:s, s:s}", "type", "error", "message", text));
    free(text);
}

void thread_start_tools(struct thread *t);
static void finish_compaction(struct thread *t);

static void on_answer(void *data, const struct usage *usage, const char *incomplete_reason,
                      const struct error *err)
{
    struct thread *t = data;

    t->call = NULL;
    thread_enter(t);
    if (usage != NULL)
        usage_add(&t->usage, usage);
    if (err == NULL)
        t->compacted_from = 0;
    if (err != NULL && model_error_is_context_length(err) && t->compacted_from == 0) {
        thread_drop_pending(t);
        t->compacted_from = conversation_estimate_tokens(t->conversation);
        finish_compaction(t); /* it does not fit any more: no summary can be had */
    } else if (err != NULL) {
        thread_drop_pending(t);
        thread_end_turn(t, err);
    } else if (t->pending.len > 0) {
        thread_start_tools(t);
    } else if (incomplete_reason != NULL) {
        struct error cut = {0};

        error_set(&cut, ERROR_LIMIT, "the model's answer was cut: %s", incomplete_reason);
        thread_end_turn(t, &cut);
    } else if (collect_input(t), t->queued.len > 0) {
        thread_ask(t);
    } else if (t->owes != NULL && t->submission == NULL && t->reminders < MAX_REMINDERS) {
        char *text = xasprintf("Your work is not finished until you call the tool `%s`. Call it now.", t->owes);

        t->reminders++;
        queue_message(t, text, KEPT_WORD, false);
        free(text);
        thread_ask(t);
    } else {
        thread_end_turn(t, NULL);
    }
    thread_leave(t);
}

static void on_deadline(void *data)
{
    struct thread *t = data;
    struct error err = {0};

    t->deadline = NULL;
    thread_enter(t);
    error_set(&err, ERROR_TIMEOUT, "the turn took longer than %llu s",
              (unsigned long long)(t->options.turn_timeout_ms / 1000));
    thread_end_turn(t, &err);
    thread_leave(t);
}

/* The compacted conversation takes the place of the old one, and the turn goes on. */
static void finish_compaction(struct thread *t)
{
    struct conversation *fresh = context_rebuild(t->context, t->conversation, t->summary);
    json_t *event = json_pack("{s:s, s:I, s:I, s:s*}", "type", "thread.compacted", "tokens_before",
                              (json_int_t)t->compacted_from, "tokens_after",
                              (json_int_t)conversation_estimate_tokens(fresh), "summary", t->summary);

    conversation_destroy(t->conversation);
    t->conversation = fresh;
    t->kept_bytes = 0;
    FREE_NULL(t->summary);
    thread_emit(t, event);
    if (t->is_dead)
        return;
    if (t->compacts_only)
        thread_end_turn(t, NULL);
    else
        thread_ask(t);
}

static void on_summary_item(void *data, const struct model_item *item)
{
    struct thread *t = data;

    if (item->kind == ITEM_MESSAGE && !str_is_empty(item->text)) {
        free(t->summary);
        t->summary = xstrdup(item->text);
    }
}

static void on_summary(void *data, const struct usage *usage, const char *incomplete_reason, const struct error *err)
{
    struct thread *t = data;

    (void)incomplete_reason; /* half a summary is one */
    t->call = NULL;
    thread_enter(t);
    if (usage != NULL)
        usage_add(&t->usage, usage);
    if (err != NULL && !model_error_is_context_length(err))
        thread_end_turn(t, err);
    else
        finish_compaction(t);
    thread_leave(t);
}

/* Sends the conversation with the messages that wait for it. */
static void call_model(struct thread *t, const struct model_call_events *events)
{
    struct model_call_options options = {
        .model = t->model,
        .reasoning_effort = t->effort,
        .output_schema = t->compacted_from > 0 && events->on_done == on_summary ? NULL : t->output_schema,
        .priority = t->options.priority,
        .budget = t->options.budget,
        .watch_deltas =
            events->on_text_delta != NULL && t->options.watch_deltas && t->options.on_text_delta != NULL,
        .thread_id = t->id,
        .role = t->role,
        .task = t->task,
        .attempt = t->options.attempt,
    };

    t->state = THREAD_ASKING;
    t->call = model_call_start(t->options.loop, t->options.http, t->options.provider, t->conversation, &options,
                               events, t);
}

static size_t queued_bytes(const struct thread *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->queued.len; i++)
        n += strlen(((const struct queued_message *)t->queued.items[i])->text);
    return n;
}

static void start_compaction(struct thread *t)
{
    static const struct model_call_events events = {NULL, on_summary_item, on_retry, on_summary};

    t->compacted_from = conversation_estimate_tokens(t->conversation);
    conversation_add_message(t->conversation, MESSAGE_USER, context_summary_prompt(t->compact_prompt));
    call_model(t, &events);
}

static void add_kept(struct thread *t, enum message_role role, const char *text, enum kept_kind kind)
{
    char *shortened;

    conversation_add_message(t->conversation, role, context_keep(t->context, role, text, kind, &shortened));
    free(shortened);
}

void thread_ask(struct thread *t)
{
    static const struct model_call_events events = {on_text_delta, on_item, on_retry, on_answer};

    if (t->steps >= t->options.max_steps) {
        struct error err = {0};

        error_set(&err, ERROR_LIMIT, "the turn took more than %d model requests (loop.max_turn_steps of cadre.toml)", t->options.max_steps);
        thread_end_turn(t, &err);
        return;
    }
    t->steps++;
    collect_input(t);
    /* Once before a request: what cannot be made smaller goes out as it is. */
    if (t->compacted_from == 0 && conversation_item_count(t->conversation) > 0 &&
        context_is_full(t->context, t->conversation, queued_bytes(t)) && t->has_asked) {
        start_compaction(t);
        return;
    }
    for (size_t i = 0; i < t->queued.len; i++) {
        const struct queued_message *message = t->queued.items[i];

        if (message->is_kept)
            add_kept(t, MESSAGE_USER, message->text, message->kind);
        else
            conversation_add_message(t->conversation, MESSAGE_USER, message->text);
    }
    drop_queued(t);
    t->has_asked = true;
    keep_history(t);
    call_model(t, &events);
}

/* --- Turns -------------------------------------------------------------------------------------- */

void thread_end_turn(struct thread *t, const struct error *err)
{
    struct error copy = {0};

    if (err != NULL)
        copy = *err;
    timer_cancel(t->deadline);
    t->deadline = NULL;
    model_call_cancel(t->call);
    t->call = NULL;
    if (t->state == THREAD_TOOLS)
        thread_answer_open_calls(t);
    thread_drop_pending(t);
    FREE_NULL(t->summary);
    t->compacted_from = 0;
    t->compacts_only = false;
    t->state = THREAD_IDLE;
    if (err == NULL)
        thread_emit(t, event_turn_completed(&t->usage));
    else
        thread_emit(t, json_pack("{s:s, s:{s:s}}", "type", "turn.failed", "error", "message", copy.text));
    keep_history(t);
    if (t->options.rollout != NULL)
        (void)rollout_flush(t->options.rollout, NULL);
    if (t->options.on_turn_end != NULL)
        t->options.on_turn_end(t->options.data, t, err == NULL ? NULL : &copy);
}

static void begin_turn(void *data)
{
    struct thread *t = data;

    t->later = NULL;
    if (t->state != THREAD_IDLE)
        return;
    thread_enter(t);
    thread_emit(t, json_pack("{s:s}", "type", "turn.started"));
    if (!t->is_dead) {
        if (t->options.turn_timeout_ms > 0)
            t->deadline = timer_start(t->options.loop, t->options.turn_timeout_ms, on_deadline, t);
        t->steps = 0;
        t->reminders = 0;
        t->repeated_steps = 0;
        if (t->compacts_only)
            start_compaction(t);
        else
            thread_ask(t);
    }
    thread_leave(t);
}

void thread_add_message(struct thread *t, enum message_role role, const char *text)
{
    if (t->state == THREAD_IDLE)
        add_kept(t, role, text, KEPT_CONTEXT);
    else
        queue_message(t, text, KEPT_WORD, true);
}

struct thread_history *thread_fork_history(const struct thread *t, const char *note)
{
    struct conversation *fork = conversation_copy_items(t->conversation);
    struct thread_history *history = xcalloc(1, sizeof *history);

    for (size_t i = 0; t->state == THREAD_TOOLS && i < t->pending.len; i++) {
        const struct pending_call *p = t->pending.items[i];

        conversation_add_tool_result(fork, p->call_id, note, p->custom, false);
    }
    history->items = fork;
    history->context = context_create(0, 0);
    context_copy(history->context, t->context);
    return history;
}

int thread_take_history(struct thread *t, const struct thread_history *history, struct error *err)
{
    if (conversation_wire(history->items) != conversation_wire(t->conversation))
        return error_set(err, ERROR_CONFIG,
                         "the conversation was kept in the form of another wire API than its provider speaks now; use "
                         "a provider with the same wire_api");
    conversation_take_items(t->conversation, history->items);
    context_copy(t->context, history->context);
    t->has_asked = true;
    return 0;
}

void thread_submit(struct thread *t, const char *text)
{
    bool starts_turn = t->state == THREAD_IDLE && t->later == NULL;

    queue_message(t, text, !t->has_task || (starts_turn && t->owes != NULL) ? KEPT_TASK : KEPT_WORD, true);
    t->has_task = true;
    json_decref(t->submission);
    t->submission = NULL;
    if (t->options.rollout != NULL) {
        json_t *event = json_pack("{s:s, s:s}", "type", "user.message", "text", text);

        record(t, event);
        json_decref(event);
    }
    if (starts_turn)
        t->later = timer_start(t->options.loop, 0, begin_turn, t);
}

int thread_compact(struct thread *t, struct error *err)
{
    if (thread_is_busy(t))
        return error_set(err, ERROR_USAGE, "a turn is running: compact when it is over");
    if (!t->has_asked)
        return error_set(err, ERROR_USAGE, "there is nothing to compact yet");
    t->compacts_only = true;
    t->later = timer_start(t->options.loop, 0, begin_turn, t);
    return 0;
}

void thread_set_model(struct thread *t, const char *model, int64_t window_tokens)
{
    free(t->model);
    t->model = xstrdup(model);
    context_set_window(t->context, window_tokens, t->options.compact_limit);
}

void thread_interrupt(struct thread *t)
{
    struct error err = {0};

    if (t->state == THREAD_IDLE && t->later == NULL)
        return;
    timer_cancel(t->later);
    t->later = NULL;
    error_set(&err, ERROR_CANCELLED, "interrupted");
    if (t->in_callback) {
        thread_end_turn(t, &err);
        return;
    }
    thread_enter(t);
    thread_end_turn(t, &err);
    thread_leave(t);
}

const char *thread_id(const struct thread *t)
{
    return t->id;
}

const char *thread_role(const struct thread *t)
{
    return t->role;
}

const char *thread_model(const struct thread *t)
{
    return t->model;
}

bool thread_is_busy(const struct thread *t)
{
    return t->state != THREAD_IDLE || t->later != NULL;
}

const struct usage *thread_usage(const struct thread *t)
{
    return &t->usage;
}

const char *thread_last_message(const struct thread *t)
{
    return t->last_message;
}

const json_t *thread_submission(const struct thread *t)
{
    return t->submission;
}

const char *thread_submission_tool(const struct thread *t)
{
    return t->submission_tool;
}
