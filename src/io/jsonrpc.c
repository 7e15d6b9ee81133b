/* io/jsonrpc.c: JSON-RPC 2.0, both sides, over lines that the owner carries.
 *
 * Owns the requests that wait for an answer and the calls that wait for ours. A callback may destroy the
 * jsonrpc: `depth` counts the callbacks under way, and the memory is freed when the last has returned. */
#include "io/jsonrpc.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/fiber.h"
#include "io/line_reader.h"
#include "io/loop.h"

#include <stdlib.h>
#include <string.h>

struct jsonrpc {
    struct loop *loop;
    struct jsonrpc_options options;
    struct line_reader reader;
    struct vec requests;
    struct vec calls;
    int64_t last_id;
    size_t unanswered_bytes;
    bool is_ended;
    struct error why; /* of the end */
    unsigned depth;
    bool is_destroyed;
};

struct jsonrpc_request {
    struct jsonrpc *rpc;
    int64_t id;
    char *method;
    struct timer *timer;
    uint64_t timeout_ms;
    void (*on_result)(void *data, const json_t *result, const json_t *rpc_error, const struct error *err);
    void *data;
};

struct jsonrpc_call {
    struct jsonrpc *rpc;
    json_t *id;
    void *data;
};

/* --- Callbacks --- */

static void free_rpc(struct jsonrpc *rpc)
{
    vec_finish(&rpc->requests);
    vec_finish(&rpc->calls);
    free(rpc);
}

static void enter(struct jsonrpc *rpc)
{
    rpc->depth++;
}

/* False when it was destroyed meanwhile: then RPC must not be used any more. */
static bool leave(struct jsonrpc *rpc)
{
    bool lives = !rpc->is_destroyed;

    if (--rpc->depth == 0 && !lives)
        free_rpc(rpc);
    return lives;
}

/* --- Sending --- */

static void send_line(struct jsonrpc *rpc, struct buf *line)
{
    buf_putc(line, '\n');
    if (!rpc->is_ended)
        rpc->options.send(rpc->options.send_data, line->data, line->len);
    buf_free(line);
}

static void begin_message(struct json_writer *w)
{
    jw_object_begin(w);
    jw_pair_string(w, "jsonrpc", "2.0");
}

static void end_message(struct jsonrpc *rpc, struct json_writer *w)
{
    jw_object_end(w);
    send_line(rpc, w->out);
}

static void put_raw(struct json_writer *w, const char *key, const char *text)
{
    if (text == NULL)
        return;
    jw_key(w, key);
    jw_raw(w, text, strlen(text));
}

static void send_error(struct jsonrpc *rpc, const json_t *id, int code, const char *message)
{
    struct buf line = BUF_INIT;
    struct json_writer w = {.out = &line};

    begin_message(&w);
    jw_key(&w, "id");
    if (id != NULL)
        jw_value(&w, id);
    else
        jw_null(&w);
    jw_key(&w, "error");
    jw_object_begin(&w);
    jw_pair_int(&w, "code", code);
    jw_pair_string(&w, "message", message);
    jw_object_end(&w);
    end_message(rpc, &w);
}

void jsonrpc_notify(struct jsonrpc *rpc, const char *method, const char *params)
{
    struct buf line = BUF_INIT;
    struct json_writer w = {.out = &line};

    begin_message(&w);
    jw_pair_string(&w, "method", method);
    put_raw(&w, "params", params);
    end_message(rpc, &w);
}

/* --- Our requests --- */

static void free_request(struct jsonrpc_request *request)
{
    timer_cancel(request->timer);
    vec_remove_item(&request->rpc->requests, request);
    free(request->method);
    free(request);
}

/* Takes the request out, tells its owner, and frees it. False when the jsonrpc was destroyed. */
static bool finish_request(struct jsonrpc_request *request, const json_t *result, const json_t *rpc_error,
                           const struct error *err)
{
    struct jsonrpc *rpc = request->rpc;
    struct jsonrpc_request done = *request;

    request->method = NULL;
    free_request(request);
    enter(rpc);
    done.on_result(done.data, result, rpc_error, err);
    free(done.method);
    return leave(rpc);
}

static void on_timeout(void *data)
{
    struct jsonrpc_request *request = data;
    struct error err = {0};

    request->timer = NULL;
    error_set(&err, ERROR_TIMEOUT, "%s: no answer within %llu ms", request->method,
              (unsigned long long)request->timeout_ms);
    finish_request(request, NULL, NULL, &err);
}

static void on_ended_already(void *data)
{
    struct jsonrpc_request *request = data;
    struct error err = request->rpc->why;

    request->timer = NULL;
    error_wrap(&err, "%s", request->method);
    finish_request(request, NULL, NULL, &err);
}

struct jsonrpc_request *jsonrpc_request(struct jsonrpc *rpc, const char *method, const char *params,
                                        uint64_t timeout_ms,
                                        void (*on_result)(void *data, const json_t *result,
                                                          const json_t *rpc_error, const struct error *err),
                                        void *data)
{
    struct jsonrpc_request *request = xcalloc(1, sizeof(*request));
    struct buf line = BUF_INIT;
    struct json_writer w = {.out = &line};

    request->rpc = rpc;
    request->id = ++rpc->last_id;
    request->method = xstrdup(method);
    request->timeout_ms = timeout_ms;
    request->on_result = on_result;
    request->data = data;
    vec_push(&rpc->requests, request);
    if (rpc->is_ended) {
        request->timer = timer_start(rpc->loop, 0, on_ended_already, request);
        return request;
    }
    if (timeout_ms > 0)
        request->timer = timer_start(rpc->loop, timeout_ms, on_timeout, request);

    begin_message(&w);
    jw_pair_int(&w, "id", request->id);
    jw_pair_string(&w, "method", method);
    put_raw(&w, "params", params);
    end_message(rpc, &w);
    return request;
}

int64_t jsonrpc_request_id(const struct jsonrpc_request *request)
{
    return request->id;
}

void jsonrpc_request_cancel(struct jsonrpc_request *request)
{
    if (request != NULL)
        free_request(request);
}

struct fetch {
    json_t *result;
    struct error err;
    bool is_over;
    struct fiber *fiber;
};

static void on_fetched(void *data, const json_t *result, const json_t *rpc_error, const struct error *err)
{
    struct fetch *fetch = data;

    (void)rpc_error;
    if (err != NULL)
        fetch->err = *err;
    else
        fetch->result = json_incref((json_t *)(uintptr_t)result);
    fetch->is_over = true;
    if (fetch->fiber != NULL)
        fiber_wake(fetch->fiber);
}

int jsonrpc_fetch(struct jsonrpc *rpc, const char *method, const char *params, uint64_t timeout_ms,
                  json_t **result, struct error *err)
{
    struct fetch fetch = {.fiber = fiber_current()};
    struct loop *loop = rpc->loop;
    struct jsonrpc_request *request = jsonrpc_request(rpc, method, params, timeout_ms, on_fetched, &fetch);

    *result = NULL;
    while (!fetch.is_over) {
        if (fetch.fiber == NULL) {
            loop_run_once(loop, true);
        } else if (fiber_wait(err) < 0) {
            if (fetch.is_over)
                json_decref(fetch.result);
            else
                jsonrpc_request_cancel(request);
            return -1;
        }
    }
    if (error_is_set(&fetch.err)) {
        if (err != NULL)
            *err = fetch.err;
        return -1;
    }
    *result = fetch.result;
    return 0;
}

/* --- Their calls --- */

static void free_call(struct jsonrpc_call *call)
{
    vec_remove_item(&call->rpc->calls, call);
    json_decref(call->id);
    free(call);
}

void jsonrpc_reply(struct jsonrpc_call *call, const char *result)
{
    struct buf line = BUF_INIT;
    struct json_writer w = {.out = &line};

    begin_message(&w);
    jw_key(&w, "id");
    jw_value(&w, call->id);
    put_raw(&w, "result", result ? result : "null");
    end_message(call->rpc, &w);
    free_call(call);
}

void jsonrpc_reply_error(struct jsonrpc_call *call, int code, const char *message)
{
    send_error(call->rpc, call->id, code, message);
    free_call(call);
}

const json_t *jsonrpc_call_id(const struct jsonrpc_call *call)
{
    return call->id;
}

struct jsonrpc *jsonrpc_call_rpc(const struct jsonrpc_call *call)
{
    return call->rpc;
}

void jsonrpc_call_set_data(struct jsonrpc_call *call, void *data)
{
    call->data = data;
}

void *jsonrpc_call_data(const struct jsonrpc_call *call)
{
    return call->data;
}

struct jsonrpc_call *jsonrpc_find_call(struct jsonrpc *rpc, const json_t *id)
{
    for (size_t i = 0; i < rpc->calls.len; i++) {
        struct jsonrpc_call *call = rpc->calls.items[i];

        if (json_equal(call->id, id))
            return call;
    }
    return NULL;
}

/* --- Receiving --- */

static bool take_answer(struct jsonrpc *rpc, const json_t *message, const json_t *id)
{
    const json_t *rpc_error = json_object_get(message, "error");
    const json_t *result = json_object_get(message, "result");
    struct jsonrpc_request *request = NULL;
    struct error err = {0};

    for (size_t i = 0; i < rpc->requests.len && json_is_integer(id); i++) {
        struct jsonrpc_request *each = rpc->requests.items[i];

        if (each->id == json_integer_value(id))
            request = each;
    }
    if (request == NULL)
        return true; /* cancelled or timed out meanwhile */
    rpc->unanswered_bytes = 0;
    if (json_is_object(rpc_error)) {
        const char *text = json_get_string(rpc_error, "message", "error without a message");

        error_set(&err, ERROR_IO, "%s: %s (code %lld)", request->method, text,
                  (long long)json_get_int(rpc_error, "code", 0));
        return finish_request(request, NULL, rpc_error, &err);
    }
    if (result == NULL) {
        error_set(&err, ERROR_PARSE, "%s: the answer has neither result nor error", request->method);
        return finish_request(request, NULL, NULL, &err);
    }
    return finish_request(request, result, NULL, NULL);
}

static bool take_call(struct jsonrpc *rpc, const json_t *id, const char *method, const json_t *params)
{
    struct jsonrpc_call *call;

    if (rpc->options.on_call == NULL) {
        send_error(rpc, id, JSONRPC_METHOD_NOT_FOUND, "Method not found");
        return true;
    }
    call = xcalloc(1, sizeof(*call));
    call->rpc = rpc;
    call->id = json_deep_copy(id);
    vec_push(&rpc->calls, call);
    enter(rpc);
    rpc->options.on_call(rpc->options.data, call, method, params);
    return leave(rpc);
}

static bool take_notification(struct jsonrpc *rpc, const char *method, const json_t *params)
{
    if (rpc->options.on_notification == NULL)
        return true;
    enter(rpc);
    rpc->options.on_notification(rpc->options.data, method, params);
    return leave(rpc);
}

/* What is said to a line that is no message. */
static void complain(struct jsonrpc *rpc, const json_t *id, int code, const char *message)
{
    if (!rpc->options.is_silent)
        send_error(rpc, id, code, message);
}

static bool take_message(struct jsonrpc *rpc, const json_t *message)
{
    const json_t *id = json_object_get(message, "id");
    const json_t *params = json_object_get(message, "params");
    const char *method = json_string_value(json_object_get(message, "method"));
    bool id_is_valid = json_is_string(id) || json_is_number(id);

    if (!json_is_object(message)) {
        complain(rpc, NULL, JSONRPC_INVALID_REQUEST, "Invalid request: not one object");
        return true;
    }
    if (method == NULL && (json_object_get(message, "result") || json_object_get(message, "error")))
        return take_answer(rpc, message, id);
    if (method == NULL ||
        (params != NULL && !json_is_object(params) && !json_is_array(params) && !json_is_null(params))) {
        complain(rpc, id_is_valid ? id : NULL, JSONRPC_INVALID_REQUEST, "Invalid request");
        return true;
    }
    if (json_is_null(params))
        params = NULL;
    if (id == NULL)
        return take_notification(rpc, method, params);
    if (!id_is_valid) {
        complain(rpc, NULL, JSONRPC_INVALID_REQUEST,
                   "Invalid request: the id is neither string nor number");
        return true;
    }
    return take_call(rpc, id, method, params);
}

static bool on_line(void *user, const char *line, size_t n)
{
    struct jsonrpc *rpc = user;
    struct error err = {0};
    json_t *message;
    bool goes_on;

    if (strspn(line, " \t") == n)
        return true;
    message = json_parse(line, n, "message", &err);
    if (message == NULL) {
        complain(rpc, NULL, JSONRPC_PARSE_ERROR, err.text);
        return true;
    }
    goes_on = take_message(rpc, message);
    json_decref(message);
    return goes_on;
}

int jsonrpc_feed(struct jsonrpc *rpc, const char *bytes, size_t n, struct error *err)
{
    struct error why = {0};

    rpc->unanswered_bytes += n;
    if (rpc->options.max_unanswered_bytes > 0 && rpc->unanswered_bytes > rpc->options.max_unanswered_bytes)
        return error_set(err, ERROR_LIMIT, "it sent more than %zu bytes without an answer",
                         rpc->options.max_unanswered_bytes);
    if (line_reader_feed(&rpc->reader, bytes, n, &why) == 0 || why.code == ERROR_CANCELLED)
        return 0; /* cancelled: destroyed by a callback */
    if (err != NULL)
        *err = why;
    return -1;
}

/* --- Life --- */

struct jsonrpc *jsonrpc_create(struct loop *loop, const struct jsonrpc_options *options)
{
    struct jsonrpc *rpc = xcalloc(1, sizeof(*rpc));

    rpc->loop = loop;
    rpc->options = *options;
    line_reader_init(&rpc->reader, options->max_message_bytes, on_line, rpc);
    return rpc;
}

void jsonrpc_end(struct jsonrpc *rpc, const struct error *why)
{
    int64_t last_id = rpc->last_id; /* one that a callback starts has its turn in the loop */

    if (rpc->is_ended)
        return;
    rpc->is_ended = true;
    rpc->why = *why;
    if (!error_is_set(&rpc->why))
        error_set(&rpc->why, ERROR_IO, "the other side has closed the connection");
    enter(rpc);
    while (!rpc->is_destroyed && rpc->requests.len > 0) {
        struct jsonrpc_request *request = rpc->requests.items[0];

        if (request->id > last_id)
            break;
        timer_cancel(request->timer);
        on_ended_already(request);
    }
    leave(rpc);
}

void jsonrpc_destroy(struct jsonrpc *rpc)
{
    if (rpc == NULL || rpc->is_destroyed)
        return;
    rpc->is_destroyed = true;
    rpc->is_ended = true;
    while (rpc->requests.len > 0) {
        struct jsonrpc_request *request = rpc->requests.items[rpc->requests.len - 1];

        /* Nobody else would wake the fiber that waits for it. */
        if (request->on_result == on_fetched) {
            struct error err = {0};

            error_set(&err, ERROR_CANCELLED, "%s: the connection was given up", request->method);
            on_fetched(request->data, NULL, NULL, &err);
        }
        free_request(request);
    }
    while (rpc->calls.len > 0)
        free_call(rpc->calls.items[rpc->calls.len - 1]);
    line_reader_finish(&rpc->reader);
    if (rpc->depth == 0)
        free_rpc(rpc);
}
