/* model/client.c: the way of one request through its attempts.
 *
 *   start -> QUEUED -> TOKEN -> SENDING -> (answer complete) CLOSING -> done
 *              ^                   |
 *              +------ PAUSED -----+  (a failure that may be retried)
 *
 * QUEUED is the provider's limiter: a slot is held from there to the end of the attempt. Each attempt also
 * holds a reservation of its worst case in the budget, which is settled when it ends.
 *
 * CLOSING gives the server a moment to end the body after the last event, so that the connection can be used
 * again; a server that keeps the socket open loses it instead. Callbacks may cancel the call: while one runs
 * (callback_depth), cancelling only marks it and the memory goes when the stack is unwound. */
#include "model/client.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "io/http_client.h"
#include "io/loop.h"
#include "model/budget.h"
#include "model/cassette.h"
#include "model/limiter.h"
#include "model/price.h"
#include "model/provider.h"
#include "model/retry.h"
#include "model/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_BODY_MAX_BYTES  65536
#define CLOSING_MS            50
#define BUDGET_POLL_MS        100
#define DEFAULT_OUTPUT_TOKENS 32000
/* Fewer are not worth a request. */
#define MIN_OUTPUT_TOKENS    2048
#define BACKOFF_BASE_MS      200
#define BACKOFF_CAP_MS       20000
#define CONGESTION_SPREAD_MS 20
/* A rate limit is back-pressure, not a defect: it may be met more often than other failures. */
#define CONGESTION_RETRY_FACTOR 4

struct model_call {
    struct loop *loop;
    struct http_client *http;
    struct provider *provider;
    struct conversation *conversation;
    const struct wire_ops *wire;
    struct arena memory;
    struct model_call_options options; /* strings in `memory` */
    struct model_call_events events;
    void *data;

    struct buf head, tail; /* of the request body */
    size_t trim_bytes;
    struct timer *timer;
    struct limiter_slot *slot;
    struct budget_reservation reservation;
    struct model_price price;
    bool has_price;
    int64_t asked_output_tokens, wanted_output_tokens; /* by the caller; at most */
    struct error refusal;                              /* of the budget */
    struct usage attempt_usage;                        /* of the attempt under way, for the budget */
    struct provider_wait *wait;
    char *token;
    struct http_request *request;
    struct wire_reader *reader;
    struct buf error_body; /* an answer that is no stream of events */
    int status;
    bool is_stream;
    bool has_body;
    int64_t asked_delay_ms; /* by the answer's headers; -1: none */

    unsigned request_failures, stream_failures, congestion_failures, attempts;
    bool token_was_renewed;
    struct usage usage;
    int callback_depth;
    bool is_cancelled;
    bool is_unlocked; /* the conversation is the caller's again */
    bool is_ended;
};

static void begin_attempt(void *data);

/* Books what the attempt really used. A cancelled or cut one is booked as far as it is known. */
static void settle(struct model_call *call)
{
    struct usage *usage = &call->attempt_usage;

    if (call->has_price)
        usage->cost_microusd = price_cost_microusd(&call->price, usage);
    usage_add(&call->usage, usage);
    if (call->reservation.budget != NULL)
        budget_settle(&call->reservation, usage);
    *usage = (struct usage){0};
}

static void free_call(struct model_call *call)
{
    timer_cancel(call->timer);
    provider_wait_cancel(call->wait);
    if (call->request != NULL)
        http_request_cancel(call->request);
    limiter_release(call->slot, LIMITER_DONE, -1);
    settle(call);
    wire_reader_destroy(call->reader);
    buf_free(&call->head);
    buf_free(&call->tail);
    buf_free(&call->error_body);
    free(call->token);
    arena_finish(&call->memory);
    free(call);
}

static void enter(struct model_call *call)
{
    call->callback_depth++;
}

/* True when the call is gone. */
static bool leave(struct model_call *call)
{
    if (--call->callback_depth > 0 || !call->is_cancelled)
        return false;
    free_call(call);
    return true;
}

void model_call_cancel(struct model_call *call)
{
    if (call == NULL || call->is_cancelled || call->is_ended)
        return;
    call->is_cancelled = true;
    if (!call->is_unlocked)
        conversation_unlock(call->conversation);
    if (call->callback_depth == 0)
        free_call(call);
}

/* Keeps the exchange in the provider's cassette. The conversation is still as it was sent. */
static void record(struct model_call *call, const struct error *err)
{
    struct cassette_recorder *recorder = provider_recorder(call->provider);
    struct cassette_exchange exchange = {
        .wire = call->wire->api,
        .role = call->options.role,
        .task = call->options.task,
        .attempt = call->options.attempt,
        .answer = err == NULL ? &call->reader->answer : NULL,
        .error = err,
    };
    struct buf body = BUF_INIT;
    const char *bytes;
    size_t n;

    if (recorder == NULL || call->attempts == 0)
        return; /* not asked for, or nothing was sent */
    bytes = conversation_bytes(call->conversation, &n);
    buf_append(&body, call->head.data, call->head.len);
    buf_append(&body, bytes, n - call->trim_bytes);
    buf_append(&body, call->tail.data, call->tail.len);
    exchange.body = body.data;
    exchange.body_len = body.len;
    cassette_record(recorder, &exchange);
    buf_free(&body);
}

static void finish(struct model_call *call, const struct error *err)
{
    struct wire_answer *answer = call->reader != NULL ? &call->reader->answer : NULL;
    const char *reason = answer != NULL ? answer->incomplete_reason : NULL;

    limiter_release(call->slot, LIMITER_DONE, -1);
    call->slot = NULL;
    settle(call);
    record(call, err);
    enter(call);
    conversation_unlock(call->conversation);
    call->is_unlocked = true;
    if (err == NULL) {
        if (answer->usage.input_tokens > 0)
            conversation_note_usage(call->conversation, answer->usage.input_tokens);
        conversation_add_answer(call->conversation, buf_cstr(&answer->history), answer->history.len);
        for (size_t i = 0; i < answer->items.len && !call->is_cancelled; i++) {
            const struct wire_item *from = answer->items.items[i];
            struct model_item item = {
                .kind = from->kind,
                .text = from->text,
                .call_id = from->call_id,
                .name = from->name,
                .arguments = from->arguments,
                .custom = from->custom,
                .is_final_answer = from->is_final_answer,
            };

            if (call->events.on_item != NULL)
                call->events.on_item(call->data, &item);
        }
    }
    if (!call->is_cancelled) {
        call->is_ended = true;
        call->events.on_done(call->data, &call->usage, reason, err);
    }
    free_call(call);
}

static void drop_attempt(struct model_call *call)
{
    if (call->request != NULL)
        http_request_cancel(call->request);
    call->request = NULL;
    wire_reader_destroy(call->reader);
    call->reader = NULL;
    buf_clear(&call->error_body);
    timer_cancel(call->timer);
    call->timer = NULL;
}

/* How often a failure of this kind may still be followed by another attempt. */
static bool may_retry(struct model_call *call, enum failure_kind kind)
{
    unsigned request_max = (unsigned)provider_request_max_retries(call->provider);
    unsigned stream_max = (unsigned)provider_stream_max_retries(call->provider);

    if (!failure_is_retryable(kind))
        return false;
    if (failure_is_congestion(kind))
        return call->congestion_failures++ < request_max * CONGESTION_RETRY_FACTOR;
    if (kind == FAILURE_STREAM)
        return call->stream_failures++ < stream_max;
    return call->request_failures++ < request_max;
}

/* The wait of this call. On congestion the limiter holds all of them back, this one too. */
static uint64_t retry_delay(const struct model_call *call, const struct failure *failure)
{
    if (failure_is_congestion(failure->kind))
        return retry_backoff_ms(0, CONGESTION_SPREAD_MS, CONGESTION_SPREAD_MS);
    if (failure->retry_after_ms >= 0)
        return (uint64_t)failure->retry_after_ms +
               retry_backoff_ms(0, (uint64_t)failure->retry_after_ms / 4 + 50, BACKOFF_CAP_MS);
    return retry_backoff_ms(call->stream_failures + call->request_failures, BACKOFF_BASE_MS / 2,
                            BACKOFF_CAP_MS);
}

static void release_slot(struct model_call *call, const struct failure *failure)
{
    enum limiter_outcome outcome = LIMITER_DONE;

    if (failure != NULL && failure->kind == FAILURE_RATE_LIMIT)
        outcome = LIMITER_RATE;
    else if (failure != NULL && failure->kind == FAILURE_OVERLOADED)
        outcome = LIMITER_OVERLOADED;
    limiter_release(call->slot, outcome, failure != NULL ? failure->retry_after_ms : -1);
    call->slot = NULL;
}

/* An attempt failed: again, or the end. FAILURE may lie in the reader; it is copied first. */
static void fail(struct model_call *call, const struct failure *from)
{
    struct failure failure = *from;
    uint64_t delay_ms;

    drop_attempt(call);
    provider_scrub(call->provider, call->token, &failure.err);
    if (failure.retry_after_ms < 0)
        failure.retry_after_ms = call->asked_delay_ms;
    release_slot(call, &failure);
    settle(call);
    if (failure.kind == FAILURE_AUTH && !call->token_was_renewed && provider_token_expire(call->provider)) {
        call->token_was_renewed = true;
        call->timer = timer_start(call->loop, 0, begin_attempt, call);
        return;
    }
    if (!may_retry(call, failure.kind)) {
        if (call->attempts > 1)
            error_wrap(&failure.err, "after %u attempts", call->attempts);
        finish(call, &failure.err);
        return;
    }
    delay_ms = retry_delay(call, &failure);
    log_debug("provider %s: %s; attempt %u in %lu ms", provider_id(call->provider),
              failure_kind_name(failure.kind), call->attempts + 1, (unsigned long)delay_ms);
    call->timer = timer_start(call->loop, delay_ms, begin_attempt, call);
    if (call->events.on_retry != NULL) {
        int64_t paused_ms = limiter_state(provider_limiter(call->provider)).paused_ms;

        if (failure_is_congestion(failure.kind) && (uint64_t)paused_ms > delay_ms)
            delay_ms = (uint64_t)paused_ms;
        enter(call);
        call->events.on_retry(call->data, (int)call->attempts, delay_ms, &failure.err);
        leave(call);
    }
}

/* The reader says that the answer is over, or the connection ended. */
static void conclude(struct model_call *call)
{
    struct wire_answer *answer = &call->reader->answer;

    usage_add(&call->attempt_usage, &answer->usage);
    if (answer->failure.kind != FAILURE_NONE) {
        fail(call, &answer->failure);
        return;
    }
    if (call->request != NULL)
        http_request_cancel(call->request);
    call->request = NULL;
    release_slot(call, NULL); /* before the callbacks: they may start the next request */
    finish(call, NULL);
}

static void on_closing_over(void *data)
{
    struct model_call *call = data;

    call->timer = NULL;
    conclude(call);
}

static const char *get_header(const void *data, const char *name)
{
    return http_request_header(data, name);
}

static void on_headers(void *data, int status)
{
    struct model_call *call = data;
    const char *type = http_request_header(call->request, "content-type");

    call->status = status;
    call->attempt_usage.requests++;
    call->asked_delay_ms = retry_delay_from_headers(get_header, call->request, clock_wall_ms());
    limiter_note_headers(provider_limiter(call->provider), get_header, call->request);
    if (status >= 200 && status < 300)
        limiter_note_accepted(call->slot);
    call->is_stream = status >= 200 && status < 300 &&
                      (type == NULL || strstr(type, "json") == NULL || strstr(type, "ndjson") != NULL) &&
                      (type == NULL || strstr(type, "html") == NULL);
}

static void on_body(void *data, const char *bytes, size_t n)
{
    struct model_call *call = data;
    bool was_ended;

    call->has_body = true;
    if (!call->is_stream) {
        if (call->error_body.len < ERROR_BODY_MAX_BYTES)
            buf_append(&call->error_body, bytes,
                       n < ERROR_BODY_MAX_BYTES - call->error_body.len
                           ? n
                           : ERROR_BODY_MAX_BYTES - call->error_body.len);
        return;
    }
    was_ended = call->reader->ended;
    enter(call);
    wire_reader_feed(call->reader, bytes, n);
    if (leave(call) || was_ended || !call->reader->ended)
        return;
    call->timer = timer_start(call->loop, CLOSING_MS, on_closing_over, call);
}

/* What an answer that is no stream says: an error with a status, or one dressed as success. */
static void fail_by_status(struct model_call *call)
{
    struct failure failure = {.retry_after_ms = -1};
    const struct buf *body = &call->error_body;

    if (call->status < 200 || call->status >= 300) {
        failure_from_status(&failure, call->status, buf_cstr(body), body->len, provider_id(call->provider),
                            provider_auth_hint(call->provider));
    } else {
        failure.kind = FAILURE_REQUEST;
        error_set(&failure.err, ERROR_MODEL,
                  "provider %s answered with something else than a stream of events",
                  provider_id(call->provider));
        error_hint(&failure.err, "check base_url (%s) and wire_api (%s)", provider_shown_url(call->provider),
                   call->wire->name);
    }
    fail(call, &failure);
}

static void on_http_done(void *data, const struct error *err)
{
    struct model_call *call = data;

    call->request = NULL;
    timer_cancel(call->timer);
    call->timer = NULL;
    if (call->is_stream && err != NULL) {
        /* The answer may be whole although the connection did not end well (no [DONE], no last chunk). */
        enter(call);
        wire_reader_end(call->reader);
        if (leave(call))
            return;
    }
    if (call->is_stream && call->reader->ended &&
        (err == NULL || call->reader->answer.failure.kind != FAILURE_STREAM)) {
        conclude(call);
    } else if (err != NULL) {
        struct failure failure = {
            .kind = call->is_stream ? FAILURE_STREAM : FAILURE_CONNECTION, .retry_after_ms = -1, .err = *err};

        error_wrap(&failure.err, "provider %s", provider_id(call->provider));
        if (failure.err.code == ERROR_IO || failure.err.code == ERROR_NOT_FOUND)
            failure.err.code = ERROR_MODEL; /* its exit code is that of a failing service */
        if (!call->has_body && call->status == 0)
            error_hint(&failure.err, "is %s reachable?", provider_shown_url(call->provider));
        fail(call, &failure);
    } else if (call->is_stream) {
        enter(call);
        wire_reader_end(call->reader);
        if (!leave(call))
            conclude(call);
    } else {
        fail_by_status(call);
    }
}

static void add_header(struct str_list *headers, const char *name, const char *value)
{
    struct buf line = BUF_INIT;

    if (value == NULL || *value == '\0')
        return;
    buf_printf(&line, "%s: ", name);
    for (; *value != '\0'; value++) /* task ids and such are outside input */
        if ((unsigned char)*value >= 0x20 && (unsigned char)*value < 0x7f)
            buf_putc(&line, *value);
    str_list_take(headers, buf_take(&line));
}

static int make_headers(const struct model_call *call, struct str_list *headers, struct error *err)
{
    const struct model_call_options *options = &call->options;

    str_list_add(headers, "Content-Type: application/json");
    str_list_add(headers, "Accept: text/event-stream");
    add_header(headers, "session-id", options->thread_id);
    add_header(headers, "thread-id", options->thread_id);
    if (provider_is_loopback(call->provider)) {
        char attempt[16];

        snprintf(attempt, sizeof attempt, "%d", options->attempt);
        add_header(headers, "x-cadre-role", options->role);
        add_header(headers, "x-cadre-task", options->task);
        add_header(headers, "x-cadre-attempt", attempt);
    }
    return provider_headers(call->provider, call->token, headers, err);
}

static void send_request(struct model_call *call)
{
    struct str_list headers = {0};
    struct error err = {0};
    size_t n;
    const char *bytes = conversation_bytes(call->conversation, &n);
    struct http_piece body[] = {
        {call->head.data, call->head.len},
        {bytes, n - call->trim_bytes},
        {call->tail.data, call->tail.len},
    };
    char *url = provider_url(call->provider, call->wire->path);
    struct http_request_options options = {
        .method = "POST",
        .url = url,
        .body = body,
        .body_count = 3,
        .idle_timeout_ms = provider_stream_idle_timeout_ms(call->provider),
        .on_headers = on_headers,
        .on_body = on_body,
        .on_done = on_http_done,
        .data = call,
    };

    if (make_headers(call, &headers, &err) < 0)
        goto out;
    options.headers = (const char *const *)headers.items;
    call->attempts++;
    call->status = 0;
    call->is_stream = false;
    call->has_body = false;
    call->asked_delay_ms = -1;
    call->reader =
        wire_reader_create(call->wire, provider_id(call->provider),
                           call->options.watch_deltas ? call->events.on_text_delta : NULL, call->data);
    call->request = http_request_start(call->http, &options, &err);
out:
    str_list_finish(&headers);
    free(url);
    if (error_is_set(&err))
        finish(call, &err);
}

static void on_token(void *data, const char *token, const struct error *err)
{
    struct model_call *call = data;

    call->wait = NULL;
    if (err != NULL) {
        finish(call, err);
        return;
    }
    free(call->token);
    call->token = xstrdup(token);
    send_request(call);
}

static void on_refused(void *data)
{
    struct model_call *call = data;

    call->timer = NULL;
    finish(call, &call->refusal);
}

/* A model of this machine costs nothing that anyone is billed for; said once, because a limit on money does not stop it. */
static void warn_of_free_model(const struct model_call *call)
{
    static bool is_said;

    if (!is_said)
        log_warning("model %s is served by this machine and has no price: it counts as $0 and a limit on money does not stop it;\n"
                    "  limit tokens (--max-tokens), or set its prices in cadre.toml under [models.\"%s\"]",
                    call->options.model, call->options.model);
    is_said = true;
}

/* Reserves the worst case: the estimated prompt and the longest answer. A token budget that is nearly used
 * up shortens the answer first. */
static enum budget_answer reserve(struct model_call *call, struct error *err)
{
    struct budget *budget = call->options.budget;
    int64_t input = conversation_estimate_tokens(call->conversation);
    int64_t output = call->wanted_output_tokens, tokens_left = budget_tokens_left(budget);
    int64_t left = tokens_left - input;
    struct usage worst;

    if (budget_limits_cost(budget) && !call->has_price && !provider_is_loopback(call->provider)) {
        error_set(err, ERROR_CONFIG, "no price is known for model %s, so a limit on money cannot be kept",
                  call->options.model);
        error_hint(err, "set its prices in cadre.toml under [models.\"%s\"], or limit tokens instead",
                   call->options.model);
        return BUDGET_REFUSED;
    }
    if (budget_limits_cost(budget) && !call->has_price)
        warn_of_free_model(call);
    if (left < output && left >= MIN_OUTPUT_TOKENS)
        output = left;
    worst = (struct usage){.input_tokens = input, .output_tokens = output};
    /* Where a limit holds, the answer is bounded by the request itself, so that the worst case is one. */
    call->options.max_output_tokens =
        tokens_left < INT64_MAX || budget_limits_cost(budget) ? output : call->asked_output_tokens;
    return budget_reserve(budget, input + output,
                          call->has_price ? price_cost_microusd(&call->price, &worst) : 0, &call->reservation,
                          err);
}

static void on_admitted(void *data)
{
    struct model_call *call = data;
    struct error err = {0};

    if (call->options.budget != NULL) {
        enum budget_answer answer = reserve(call, &err);

        if (answer != BUDGET_GRANTED)
            call->reservation = (struct budget_reservation){0};
        if (answer == BUDGET_REFUSED) {
            call->refusal = err;
            call->timer = timer_start(call->loop, 0, on_refused, call); /* not within the limiter's round */
            return;
        }
        if (answer == BUDGET_LATER) {
            release_slot(call, NULL);
            call->timer = timer_start(call->loop, BUDGET_POLL_MS, begin_attempt, call);
            return;
        }
    }
    buf_clear(&call->head);
    buf_clear(&call->tail);
    call->trim_bytes =
        call->wire->write_request(&call->head, &call->tail, call->conversation, &call->options);
    call->wait = provider_token_get(call->provider, on_token, call);
}

static void begin_attempt(void *data)
{
    struct model_call *call = data;

    call->timer = NULL;
    call->slot = limiter_acquire(provider_limiter(call->provider), call->options.priority,
                                 call->options.thread_id, on_admitted, call);
}

static void find_price(struct model_call *call)
{
    const struct price_table *table = provider_prices(call->provider);
    int64_t known = 0;

    if (price_lookup(table, call->options.model, &call->price)) {
        known = call->price.max_output_tokens;
        call->has_price =
            !provider_is_loopback(call->provider) || price_is_override(table, call->options.model);
    }
    call->asked_output_tokens = call->options.max_output_tokens;
    call->wanted_output_tokens = call->asked_output_tokens > 0                ? call->asked_output_tokens
                                 : known > 0 && known < DEFAULT_OUTPUT_TOKENS ? known
                                                                              : DEFAULT_OUTPUT_TOKENS;
}

struct model_call *model_call_start(struct loop *loop, struct http_client *http, struct provider *provider,
                                    struct conversation *conversation,
                                    const struct model_call_options *options,
                                    const struct model_call_events *events, void *data)
{
    struct model_call *call = xcalloc(1, sizeof *call);

    call->loop = loop;
    call->http = http;
    call->provider = provider;
    call->conversation = conversation;
    call->wire = wire_ops_of(conversation_wire(conversation));
    call->options = *options;
    call->options.model = arena_strdup(&call->memory, options->model != NULL ? options->model : "");
    call->options.reasoning_effort = arena_strdup(&call->memory, options->reasoning_effort);
    call->options.output_schema = arena_strdup(&call->memory, options->output_schema);
    call->options.thread_id = arena_strdup(&call->memory, options->thread_id);
    call->options.role = arena_strdup(&call->memory, options->role);
    call->options.task = arena_strdup(&call->memory, options->task);
    call->events = *events;
    call->data = data;
    conversation_lock(conversation);
    find_price(call);
    begin_attempt(call);
    return call;
}

bool model_error_is_context_length(const struct error *err)
{
    return err->code == ERROR_LIMIT && err->os_errno == EMSGSIZE;
}

bool model_error_is_budget(const struct error *err)
{
    return err->code == ERROR_LIMIT && err->os_errno == EDQUOT;
}
