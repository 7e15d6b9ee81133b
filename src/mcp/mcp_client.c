/* mcp/mcp_client.c: a server's life and the calls that wait for it; see mcp_client.h. */
#include "mcp/mcp_client_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "config/mcp_config.h"
#include "io/fiber.h"
#include "io/loop.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROUNDS         8     /* requests for input within one call */
#define STABLE_MS          60000 /* ready for so long: earlier failures are forgotten */
#define MAX_BACKOFF_MS     60000
#define START_BACKOFF_MS   30000 /* after a start that failed: each thread would wait for it again */
#define RELIST_DELAY_MS    200
#define MAX_PROGRESS_BYTES 200

struct mcp_call {
    struct mcp_client *client;
    char *method;
    json_t *params;
    char *name;
    struct str_list headers;
    struct mcp_exchange *exchange;
    struct timer *timer;
    struct timer *fail_timer;
    struct error failure;
    uint64_t timeout_ms;
    int64_t token; /* of progress; -1: none */
    char *progress;
    unsigned rounds;
    bool is_handshake;
    /* Either of them. */
    void (*on_done)(void *data, const json_t *result, const struct error *err);
    void (*on_fetched)(void *data, const json_t *result, const json_t *rpc_error, const struct error *err);
    void *data;
};

static void start_connecting(struct mcp_client *c);

/* --- Calls --- */

static void call_free(struct mcp_call *call)
{
    (void)vec_remove_item(&call->client->calls, call);
    timer_cancel(call->timer);
    timer_cancel(call->fail_timer);
    free(call->method);
    json_decref(call->params);
    free(call->name);
    free(call->progress);
    str_list_finish(&call->headers);
    free(call);
}

static void finish_call(struct mcp_call *call, const json_t *result, const json_t *rpc_error,
                        const struct error *err)
{
    struct mcp_call done = *call;
    struct error named = {0};

    if (err != NULL) {
        named = *err;
        if (!call->is_handshake)
            error_wrap(&named, "MCP server %s", call->client->options.config->id);
    }
    call_free(call);
    if (done.on_fetched != NULL)
        done.on_fetched(done.data, result, rpc_error, err != NULL ? &named : NULL);
    else
        done.on_done(done.data, result, err != NULL ? &named : NULL);
}

static void on_fail_timer(void *data)
{
    struct mcp_call *call = data;
    struct error err = call->failure;

    call->fail_timer = NULL;
    finish_call(call, NULL, NULL, &err);
}

static void fail_later(struct mcp_call *call, const struct error *err)
{
    if (call->fail_timer != NULL)
        return;
    call->failure = *err;
    call->fail_timer = timer_start(call->client->options.loop, 0, on_fail_timer, call);
}

static void on_timeout(void *data)
{
    struct mcp_call *call = data;
    struct error err = {0};

    call->timer = NULL;
    error_set(&err, ERROR_TIMEOUT, "%s: no answer within %.1f s%s%s", call->method,
              (double)call->timeout_ms / 1000.0, call->progress != NULL ? "; it last said: " : "",
              call->progress != NULL ? call->progress : "");
    mcp_exchange_cancel(call->exchange);
    call->exchange = NULL;
    finish_call(call, NULL, NULL, &err);
}

static void send_call(struct mcp_call *call);

/* The stateless revision asks for input by an interim result. False when the call is over. */
static bool take_round(struct mcp_call *call, const json_t *result)
{
    const json_t *state = json_object_get(result, "requestState");
    json_t *answers =
        mcp_policy_answers(json_object_get(result, "inputRequests"), call->client->options.roots);
    struct error err = {0};

    if (answers == NULL || ++call->rounds > MAX_ROUNDS) {
        error_set(&err, ERROR_DENIED, "%s: it asks for %s", call->method,
                  answers == NULL ? "input that cadre does not offer" : "input again and again");
        json_decref(answers);
        finish_call(call, NULL, NULL, &err);
        return false;
    }
    if (call->params == NULL)
        call->params = json_object();
    json_object_set_new(call->params, "inputResponses", answers);
    if (state != NULL)
        json_object_set_new(call->params, "requestState", json_deep_copy(state));
    else
        json_object_del(call->params, "requestState");
    send_call(call);
    return true;
}

static void on_result(void *data, const json_t *result, const json_t *rpc_error, const struct error *err)
{
    struct mcp_call *call = data;

    call->exchange = NULL;
    if (err == NULL && strcmp(json_get_string(result, "resultType", "complete"), "input_required") == 0) {
        (void)take_round(call, result);
        return;
    }
    finish_call(call, result, rpc_error, err);
}

static void send_call(struct mcp_call *call)
{
    struct mcp_client *c = call->client;
    char *params = mcp_params(call->params, c->is_stateless, c->options.config->command != NULL, call->token);
    const struct mcp_request request = {
        .method = call->method,
        .params = params,
        .name = call->name,
        .headers = &call->headers,
        .on_result = on_result,
        .data = call,
    };

    call->exchange = mcp_transport_request(c->transport, &request);
    free(params);
}

static struct mcp_call *call_create(struct mcp_client *c, const char *method, const json_t *params,
                                    uint64_t timeout_ms)
{
    struct mcp_call *call = xcalloc(1, sizeof *call);

    call->client = c;
    call->method = xstrdup(method);
    call->params = json_copy((json_t *)(uintptr_t)params);
    call->timeout_ms = timeout_ms;
    call->token = -1;
    vec_push(&c->calls, call);
    if (timeout_ms > 0)
        call->timer = timer_start(c->options.loop, timeout_ms, on_timeout, call);
    return call;
}

static int check_backoff(const struct mcp_client *c, struct error *err)
{
    int64_t left = c->next_try_ms - clock_monotonic_ms();

    if (left <= 0)
        return 0;
    *err = c->failure;
    return error_hint(err, "it is started again in %lld s at the earliest", (long long)(left + 999) / 1000);
}

struct mcp_call *mcp_client_call(struct mcp_client *c, const struct mcp_call_options *options)
{
    struct mcp_call *call = call_create(c, options->method, options->params, options->timeout_ms);
    struct error err = {0};

    call->name = xstrdup(options->name);
    if (options->headers != NULL)
        str_list_copy(&call->headers, options->headers);
    call->on_done = options->on_done;
    call->data = options->data;
    call->token = ++c->last_token;
    if (c->state == MCP_READY)
        send_call(call);
    else if (c->state == MCP_OFF && check_backoff(c, &err) < 0)
        fail_later(call, &err);
    else
        start_connecting(c);
    return call;
}

void mcp_call_cancel(struct mcp_call *call)
{
    if (call == NULL)
        return;
    mcp_exchange_cancel(call->exchange);
    call_free(call);
}

struct fetch {
    struct fiber *fiber;
    json_t *result;
    json_t *rpc_error;
    struct error err;
    bool is_over;
};

static void on_fetched(void *data, const json_t *result, const json_t *rpc_error, const struct error *err)
{
    struct fetch *fetch = data;

    fetch->result = json_incref((json_t *)(uintptr_t)result);
    fetch->rpc_error = json_incref((json_t *)(uintptr_t)rpc_error);
    if (err != NULL)
        fetch->err = *err;
    fetch->is_over = true;
    fiber_wake(fetch->fiber);
}

int mcp_client_fetch(struct mcp_client *c, const char *method, const json_t *params, uint64_t timeout_ms,
                     json_t **result, json_t **rpc_error, struct error *err)
{
    struct fetch fetch = {.fiber = fiber_current()};
    struct mcp_call *call;

    *result = NULL;
    *rpc_error = NULL;
    if (c->transport == NULL) {
        if (err != NULL)
            *err = c->ended;
        return -1;
    }
    call = call_create(c, method, params, timeout_ms);
    call->is_handshake = true;
    call->on_fetched = on_fetched;
    call->data = &fetch;
    send_call(call);
    while (!fetch.is_over) {
        if (fiber_wait(err) < 0) {
            if (fetch.is_over) {
                json_decref(fetch.result);
                json_decref(fetch.rpc_error);
            } else {
                mcp_call_cancel(call);
            }
            return -1;
        }
    }
    *result = fetch.result;
    *rpc_error = fetch.rpc_error;
    if (!error_is_set(&fetch.err))
        return 0;
    if (err != NULL)
        *err = fetch.err;
    return -1;
}

/* --- The transport --- */

static json_t *on_server_request(void *data, const char *method)
{
    struct mcp_client *c = data;

    return mcp_policy_answer(method, c->options.roots);
}

static void note_progress(struct mcp_client *c, const json_t *params)
{
    int64_t token = json_get_int(params, "progressToken", -1);

    for (size_t i = 0; i < c->calls.len && token >= 0; i++) {
        struct mcp_call *call = c->calls.items[i];

        if (call->token != token)
            continue;
        free(call->progress);
        call->progress = xasprintf("%g of %g %.*s", json_get_number(params, "progress", 0),
                                   json_get_number(params, "total", 0), MAX_PROGRESS_BYTES,
                                   json_get_string(params, "message", ""));
    }
}

static void relist(void *arg);

static void start_worker(struct mcp_client *c, void (*fn)(void *arg))
{
    c->worker = fiber_start(c->options.loop, fn, c);
}

static void on_relist_timer(void *data)
{
    struct mcp_client *c = data;

    c->relist_timer = NULL;
    if (c->state == MCP_READY && c->worker == NULL)
        start_worker(c, relist);
}

static void on_notification(void *data, const char *method, const json_t *params)
{
    struct mcp_client *c = data;

    if (strcmp(method, "notifications/progress") == 0)
        note_progress(c, params);
    else if (strcmp(method, "notifications/tools/list_changed") == 0 && c->relist_timer == NULL &&
             !c->is_closing)
        c->relist_timer = timer_start(c->options.loop, RELIST_DELAY_MS, on_relist_timer, c);
    /* Lists of resources and prompts are never kept; log messages are the server's own business. */
}

static void note_failure(struct mcp_client *c, const struct error *why, bool was_ready)
{
    int64_t now = clock_monotonic_ms();
    int64_t delay = START_BACKOFF_MS;

    c->failure = *why;
    if (was_ready) {
        c->failures = now - c->ready_since_ms >= STABLE_MS ? 1 : c->failures + 1;
        delay = c->failures <= 1 ? 0 : c->failures >= 8 ? MAX_BACKOFF_MS : (int64_t)1000 << (c->failures - 2);
    }
    c->next_try_ms = now + (delay > MAX_BACKOFF_MS ? MAX_BACKOFF_MS : delay);
}

static void on_transport_ended(void *data, const struct error *why)
{
    struct mcp_client *c = data;
    struct error copy = *why;

    if (c->state == MCP_READY) {
        c->state = MCP_OFF;
        if (!c->is_closing) {
            note_failure(c, &copy, true);
            log_warning("MCP server %s has ended: %s", c->options.config->id, copy.text);
        }
    }
    mcp_client_drop(c, &copy);
}

int mcp_client_open(struct mcp_client *c, struct error *err)
{
    const struct mcp_transport_events events = {on_server_request, on_notification, on_transport_ended, c};

    if (c->options.config->command != NULL)
        c->transport = mcp_stdio_open(c->options.loop, c->options.config, &events, err);
    else
        c->transport = mcp_http_open(c->options.http, c->options.config, &events, err);
    return c->transport == NULL ? -1 : 0;
}

void mcp_client_drop(struct mcp_client *c, const struct error *why)
{
    struct mcp_transport *transport = c->transport;

    c->ended = *why;
    for (size_t i = 0; i < c->calls.len; i++) {
        struct mcp_call *call = c->calls.items[i];

        if (call->exchange == NULL)
            continue;
        mcp_exchange_cancel(call->exchange);
        call->exchange = NULL;
        fail_later(call, why);
    }
    c->transport = NULL;
    mcp_transport_destroy(transport);
}

/* --- The worker --- */

/* Waiters run, and calls go out or fail. */
static void settle(struct mcp_client *c)
{
    for (size_t i = 0; i < c->calls.len; i++) {
        struct mcp_call *call = c->calls.items[i];

        if (call->exchange != NULL || call->fail_timer != NULL)
            continue;
        if (c->state == MCP_READY)
            send_call(call);
        else
            fail_later(call, &c->failure);
    }
    c->worker = NULL;
    while (c->waiters.len > 0)
        fiber_wake(vec_pop(&c->waiters));
}

static void connect_worker(void *arg)
{
    struct mcp_client *c = arg;
    struct error err = {0};

    FREE_NULL(c->version);
    if (mcp_client_negotiate(c, &err) == 0 && c->transport != NULL && !c->is_closing) {
        c->state = MCP_READY;
        c->ready_since_ms = clock_monotonic_ms();
    } else {
        if (!error_is_set(&err))
            err = c->ended;
        /* That it ended says more than that an answer did not come. */
        if (c->transport == NULL && error_is_set(&c->ended))
            err = c->ended;
        c->state = MCP_OFF;
        mcp_client_drop(c, &err);
        note_failure(c, &err, false);
    }
    settle(c);
}

static void relist(void *arg)
{
    struct mcp_client *c = arg;
    struct error err = {0};

    if (mcp_client_list_tools(c, clock_monotonic_ms() + c->options.config->startup_timeout_ms, &err) < 0)
        log_warning("MCP server %s: its tools cannot be listed again: %s", c->options.config->id, err.text);
    c->worker = NULL;
    while (c->waiters.len > 0)
        fiber_wake(vec_pop(&c->waiters));
    if (c->state == MCP_OFF && c->calls.len > 0 && !c->is_closing)
        start_connecting(c);
}

static void start_connecting(struct mcp_client *c)
{
    if (c->state != MCP_OFF || c->worker != NULL || c->is_closing)
        return;
    c->state = MCP_CONNECTING;
    error_clear(&c->ended);
    start_worker(c, connect_worker);
}

static int wait_for_worker(struct mcp_client *c, struct error *err)
{
    struct fiber *self = fiber_current();

    while (c->worker != NULL) {
        if (self == NULL) {
            loop_run_once(c->options.loop, true);
            continue;
        }
        if (!vec_has(&c->waiters, self))
            vec_push(&c->waiters, self);
        if (fiber_wait(err) < 0) {
            (void)vec_remove_item(&c->waiters, self);
            return -1;
        }
    }
    return 0;
}

int mcp_client_connect(struct mcp_client *c, struct error *err)
{
    if (wait_for_worker(c, err) < 0)
        return -1;
    if (c->state == MCP_READY && c->list_expires_ms > 0 && clock_monotonic_ms() >= c->list_expires_ms) {
        start_worker(c, relist);
        if (wait_for_worker(c, err) < 0)
            return -1;
    }
    if (c->state == MCP_OFF) {
        if (check_backoff(c, err) < 0)
            return -1;
        start_connecting(c);
        if (wait_for_worker(c, err) < 0)
            return -1;
    }
    if (c->state == MCP_READY)
        return 0;
    *err = c->failure;
    return -1;
}

/* --- Life --- */

struct mcp_client *mcp_client_create(const struct mcp_client_options *options)
{
    struct mcp_client *c = xcalloc(1, sizeof *c);

    c->options = *options;
    return c;
}

/* All calls but those that the worker waits for: it gives these up itself. */
static void cancel_calls(struct mcp_client *c)
{
    for (size_t i = c->calls.len; i-- > 0;)
        if (!((struct mcp_call *)c->calls.items[i])->is_handshake)
            mcp_call_cancel(c->calls.items[i]);
}

void mcp_client_shut(struct mcp_client *c)
{
    c->is_closing = true;
    cancel_calls(c);
    if (c->worker != NULL)
        fiber_cancel(c->worker);
    if (c->transport != NULL)
        mcp_transport_shut(c->transport);
}

bool mcp_client_is_connected(const struct mcp_client *c)
{
    return c->transport != NULL;
}

void mcp_client_destroy(struct mcp_client *c)
{
    struct error why = {0};

    if (c == NULL)
        return;
    c->is_closing = true;
    cancel_calls(c);
    if (c->worker != NULL) {
        fiber_cancel(c->worker);
        if (fiber_current() != NULL)
            fiber_shield(true);
        (void)wait_for_worker(c, NULL);
        if (fiber_current() != NULL)
            fiber_shield(false);
    }
    while (c->calls.len > 0)
        mcp_call_cancel(c->calls.items[c->calls.len - 1]);
    error_set(&why, ERROR_CANCELLED, "given up");
    mcp_client_drop(c, &why);
    vec_finish(&c->calls);
    vec_finish(&c->waiters);
    timer_cancel(c->relist_timer);
    mcp_tool_list_finish(&c->tools);
    str_list_finish(&c->problems);
    json_decref(c->capabilities);
    free(c->version);
    free(c);
}

const struct mcp_tool_list *mcp_client_tools(const struct mcp_client *c)
{
    static const struct mcp_tool_list none = {0};

    return c->state == MCP_READY ? &c->tools : &none;
}

bool mcp_client_offers(const struct mcp_client *c, const char *what)
{
    return c->state == MCP_READY && json_is_object(json_object_get(c->capabilities, what));
}

const char *mcp_client_version(const struct mcp_client *c)
{
    return c->version;
}

const struct str_list *mcp_client_problems(const struct mcp_client *c)
{
    return &c->problems;
}

void mcp_client_roots_changed(struct mcp_client *c)
{
    if (c->state == MCP_READY && !c->is_stateless && c->options.config->command != NULL)
        mcp_transport_notify(c->transport, "notifications/roots/list_changed");
}
