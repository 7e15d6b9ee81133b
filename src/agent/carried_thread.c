/* agent/carried_thread.c: see carried_thread.h and carrier.h. */
#include "agent/carried_thread.h"

#include "agent/bounded_json.h"
#include "agent/carrier.h"
#include "agent/final_answer.h"
#include "agent/runner.h"
#include "agent/thread_events.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/redact.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "model/budget.h"
#include "model/price.h"
#include "store/rollout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TURN_EVENTS 20000
#define POLL_MS         200 /* while paused, or until other requests have been settled */

struct carried_thread {
    struct carried_options options;
    char *id, *role, *task, *model, *effort, *instructions, *owes, *output_schema, *dir, *price_model;
    struct str_list extra_env;
    const struct carrier *carrier;
    void *state; /* the carrier's; NULL before the first turn */
    struct program_box box;
    bool has_box;
    bool has_context;            /* it was sent */
    struct redact_stream deltas; /* of the message that comes in */
    struct usage usage;
    unsigned next_item;
    unsigned turn_events;
    /* The turn that a fiber waits for. */
    struct fiber *waiter;
    bool is_woken;
    bool is_busy;
    struct error stop;
    struct timer *deadline;
    struct timer *idle;
    int64_t last_progress_ms;
};

const struct carried_options *carried_options(const struct carried_thread *t)
{
    return &t->options;
}

struct program_box *carried_box(struct carried_thread *t)
{
    return &t->box;
}

/* --- Events ------------------------------------------------------------------------------------------------------ */

static void record(struct carried_thread *t, const json_t *event)
{
    struct buf b = BUF_INIT;

    if (t->options.rollout == NULL)
        return;
    json_append_value(&b, event);
    rollout_add(t->options.rollout, json_get_string(event, "type", ""), b.data, b.len);
    buf_free(&b);
}

/* What a stream of deltas held back comes before the whole message. */
static void end_deltas(struct carried_thread *t)
{
    struct buf out = BUF_INIT;

    redact_stream_end(&t->deltas, &out);
    if (out.len > 0)
        t->options.on_text_delta(t->options.data, out.data, out.len);
    buf_free(&out);
}

static void report(struct carried_thread *t, json_t *event)
{
    if (t->deltas.held.len > 0)
        end_deltas(t);
    redact_json(event);
    record(t, event);
    if (t->options.on_event != NULL)
        t->options.on_event(t->options.data, event);
    json_decref(event);
}

void carried_emit(struct carried_thread *t, json_t *event)
{
    if (event == NULL)
        return;
    if (++t->turn_events <= MAX_TURN_EVENTS)
        report(t, event);
    else
        json_decref(event);
}

unsigned carried_next_item(struct carried_thread *t)
{
    return t->next_item++;
}

void carried_text_delta(struct carried_thread *t, const char *text, size_t n)
{
    struct buf out = BUF_INIT;

    if (!t->options.watch_deltas || t->options.on_text_delta == NULL)
        return;
    redact_stream_feed(&t->deltas, text, n, &out);
    if (out.len > 0)
        t->options.on_text_delta(t->options.data, out.data, out.len);
    buf_free(&out);
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

void carried_wake(struct carried_thread *t)
{
    t->is_woken = true;
    if (t->waiter != NULL)
        fiber_wake(t->waiter);
}

void carried_stop(struct carried_thread *t, const struct error *err)
{
    if (!error_is_set(&t->stop))
        t->stop = *err;
    carried_wake(t);
}

int carried_wait(struct carried_thread *t, struct error *err)
{
    int rc = 0;

    t->waiter = fiber_current();
    while (rc == 0 && !t->is_woken)
        rc = fiber_wait(err);
    t->waiter = NULL;
    t->is_woken = false;
    if (rc == 0 && error_is_set(&t->stop)) {
        *err = t->stop;
        rc = -1;
    }
    return rc;
}

void carried_progress(struct carried_thread *t)
{
    t->last_progress_ms = clock_monotonic_ms();
}

static void on_deadline(void *data)
{
    struct carried_thread *t = data;
    struct error err = {0};

    t->deadline = NULL;
    error_set(&err, ERROR_TIMEOUT, "the turn took longer than %llu s",
              (unsigned long long)(t->options.turn_timeout_ms / 1000));
    carried_stop(t, &err);
}

static void on_idle(void *data)
{
    struct carried_thread *t = data;
    int64_t limit_ms = t->options.runner->idle_timeout_seconds * 1000;
    int64_t quiet_ms = clock_monotonic_ms() - t->last_progress_ms;
    struct error err = {0};

    t->idle = NULL;
    if (quiet_ms < limit_ms) {
        t->idle = timer_start(t->options.loop, (uint64_t)(limit_ms - quiet_ms), on_idle, t);
        return;
    }
    error_set(&err, ERROR_TIMEOUT, "%s showed no progress for %lld s", t->options.runner->argv.items[0],
              (long long)t->options.runner->idle_timeout_seconds);
    carried_stop(t, &err);
}

static void start_timers(struct carried_thread *t)
{
    carried_progress(t);
    if (t->options.turn_timeout_ms > 0)
        t->deadline = timer_start(t->options.loop, t->options.turn_timeout_ms, on_deadline, t);
    if (t->options.runner->idle_timeout_seconds > 0)
        t->idle = timer_start(t->options.loop, (uint64_t)t->options.runner->idle_timeout_seconds * 1000,
                              on_idle, t);
}

static void stop_timers(struct carried_thread *t)
{
    timer_cancel(t->deadline);
    timer_cancel(t->idle);
    t->deadline = NULL;
    t->idle = NULL;
}

void carried_spent(struct carried_thread *t, const struct usage *usage)
{
    struct error err = {0};

    if (budget_tokens_left(t->options.budget) >= usage->input_tokens + usage->output_tokens)
        return;
    error_set(&err, ERROR_LIMIT, "the run's token budget was used up within a turn of %s",
              t->options.runner->name);
    err.os_errno = EDQUOT; /* model_error_is_budget() */
    carried_stop(t, &err);
}

/* --- Life ---------------------------------------------------------------------------------------------------------- */

static const struct carrier *const carriers[] = {[RUNNER_CODEX] = &carrier_codex,
                                                 [RUNNER_CODEX_APP_SERVER] = &carrier_app_server,
                                                 [RUNNER_ACP] = &carrier_acp};

struct carried_thread *carried_thread_create(const struct carried_options *options)
{
    struct carried_thread *t = xcalloc(1, sizeof *t);

    t->options = *options;
    t->options.id = t->id = xstrdup(options->id);
    t->options.role = t->role = xstrdup(options->role);
    t->options.task = t->task = xstrdup(options->task);
    t->options.model = t->model = xstrdup(options->model);
    t->options.reasoning_effort = t->effort = xstrdup(options->reasoning_effort);
    t->options.instructions = t->instructions = xstrdup(options->instructions);
    redact_stream_init(&t->deltas, REDACT_ALL);
    t->options.owes = t->owes = xstrdup(options->owes);
    t->options.output_schema = t->output_schema = xstrdup(options->output_schema);
    t->options.dir = t->dir = xstrdup(options->dir);
    t->options.price_model = t->price_model = xstrdup(options->price_model);
    if (options->extra_env != NULL)
        str_list_copy(&t->extra_env, options->extra_env);
    t->options.extra_env = &t->extra_env;
    t->carrier = carriers[options->runner->protocol];
    report(t, json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "thread.started", "thread_id", t->id, "role",
                        t->role, "model", t->model == NULL ? "" : t->model, "runner", options->runner->name));
    return t;
}

void carried_thread_destroy(struct carried_thread *t)
{
    if (t == NULL)
        return;
    if (t->state != NULL)
        t->carrier->close(t->state);
    report(t, json_pack("{s:s, s:s, s:I}", "type", "thread.closed", "thread_id", t->id, "tokens",
                        (json_int_t)(t->usage.input_tokens + t->usage.output_tokens)));
    rollout_close(t->options.rollout);
    stop_timers(t);
    if (t->has_box)
        program_box_finish(&t->box);
    else
        (void)file_remove_tree(t->dir, NULL);
    str_list_finish(&t->extra_env);
    free(t->id);
    free(t->role);
    free(t->task);
    free(t->model);
    free(t->effort);
    free(t->instructions);
    buf_free(&t->deltas.held);
    free(t->owes);
    free(t->output_schema);
    free(t->dir);
    free(t->price_model);
    json_decref(t->options.mcp_servers);
    free(t);
}

const char *carried_thread_id(const struct carried_thread *t)
{
    return t->id;
}

bool carried_thread_is_busy(const struct carried_thread *t)
{
    return t->is_busy;
}

static int set_up(struct carried_thread *t, struct error *err)
{
    const char *why;
    enum runner_box kind;

    if (t->state != NULL)
        return 0;
    if (!t->has_box) {
        kind = program_box_choose(t->options.runner, t->options.can_nest, &why);
        if (program_box_init(&t->box, t->options.runner, kind, t->dir, t->options.policy, &t->extra_env,
                             err) < 0)
            return -1;
        t->has_box = true;
    }
    t->state = t->carrier->open(t, err);
    return t->state == NULL ? -1 : 0;
}

/* --- Turns --------------------------------------------------------------------------------------------------------- */

/* A program's requests cannot be reserved one by one: each turn needs that something is left. */
static int reserve(struct carried_thread *t, struct budget_reservation *reservation, struct error *err)
{
    enum budget_answer answer;

    while (t->options.is_paused != NULL && t->options.is_paused(t->options.data))
        if (fiber_sleep(POLL_MS, err) < 0)
            return -1;
    while ((answer = budget_reserve(t->options.budget, 1, 0, reservation, err)) == BUDGET_LATER) {
        *reservation = (struct budget_reservation){0};
        if (fiber_sleep(POLL_MS, err) < 0)
            return -1;
    }
    if (answer == BUDGET_REFUSED)
        *reservation = (struct budget_reservation){0};
    return answer == BUDGET_REFUSED ? -1 : 0;
}

static void count(struct carried_thread *t, struct usage *usage)
{
    struct model_price price = {0};

    if (usage->requests == 0 && usage->input_tokens + usage->output_tokens > 0)
        usage->requests = 1;
    if (usage->cost_microusd == 0 && t->price_model != NULL &&
        price_lookup(t->options.prices, t->price_model, &price))
        usage->cost_microusd = price_cost_microusd(&price, usage);
    usage_add(&t->usage, usage);
}

static int one_turn(struct carried_thread *t, const char *prompt, struct carrier_turn *turn,
                    struct error *err)
{
    struct budget_reservation reservation = {0};
    int rc;

    t->turn_events = 0;
    t->is_woken = false;
    error_clear(&t->stop);
    if (set_up(t, err) < 0 || reserve(t, &reservation, err) < 0)
        return -1;
    report(t, json_pack("{s:s}", "type", "turn.started"));
    start_timers(t);
    t->is_busy = true;
    rc = t->carrier->ask(t->state, prompt, turn, err);
    t->is_busy = false;
    stop_timers(t);
    count(t, &turn->usage);
    budget_settle(&reservation, &turn->usage);
    if (t->turn_events > MAX_TURN_EVENTS)
        report(t,
               json_pack("{s:s, s:s}", "type", "error", "message",
                         "the program sent more events than are kept; the rest of the turn's was dropped"));
    report(t, rc == 0 ? event_turn_completed(&t->usage)
                      : json_pack("{s:s, s:{s:s}}", "type", "turn.failed", "error", "message", err->text));
    if (t->options.rollout != NULL)
        (void)rollout_flush(t->options.rollout, NULL);
    return rc;
}

static char *first_prompt(struct carried_thread *t, const char *text)
{
    struct buf b = BUF_INIT;
    char *context;

    if (!t->has_context) {
        context = t->options.make_context == NULL ? NULL : t->options.make_context(t->options.data);
        if (!t->carrier->takes_instructions && !str_is_empty(t->instructions))
            buf_printf(&b, "# Your role: %s\n\n%s\n\n", t->role, t->instructions);
        if (!str_is_empty(context))
            buf_printf(&b, "%s\n\n", context);
        if (t->owes != NULL) {
            buf_puts(&b, "# How you end your work\n\n");
            final_answer_describe(&b, t->owes);
            buf_puts(&b, "\n");
        }
        free(context);
    }
    buf_puts(&b, text);
    return buf_take(&b);
}

static int take_answer(struct carried_thread *t, struct agent_answer *answer, struct error *err)
{
    if (t->owes == NULL)
        return 0;
    answer->submission = final_answer_read(t->owes, answer->message, err);
    if (answer->submission == NULL)
        return -1;
    answer->submission_tool = xstrdup(t->owes);
    return 0;
}

int carried_thread_ask(struct carried_thread *t, const char *text, struct agent_answer *answer,
                       struct error *err)
{
    char *prompt = first_prompt(t, text);
    int rc = -1;

    for (int try = 0; try < 2; try++) {
        struct carrier_turn turn = {0};
        struct error wrong = {0};
        struct buf again = BUF_INIT;
        bool is_taken;

        json_t *said =
            json_pack("{s:s, s:o}", "type", "user.message", "text", bounded_text(prompt, strlen(prompt)));

        record(t, said);
        json_decref(said);
        rc = one_turn(t, prompt, &turn, err);
        t->has_context = t->has_context || rc == 0;
        free(answer->message);
        answer->message = xstrdup(turn.message == NULL ? "" : turn.message);
        answer->usage = t->usage;
        is_taken = rc == 0 && take_answer(t, answer, &wrong) == 0;
        free(turn.message);
        if (rc < 0 || is_taken)
            break;
        rc = -1;
        error_set(err, ERROR_IO, "%s: no usable answer, also when asked again: %s", t->options.runner->name,
                  wrong.text);
        final_answer_ask_again(&again, t->owes, wrong.text);
        free(prompt);
        prompt = buf_take(&again);
    }
    free(prompt);
    return rc;
}
