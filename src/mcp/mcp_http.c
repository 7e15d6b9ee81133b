/* mcp/mcp_http.c: a server behind streamable HTTP: every message is a POST; the answer is one JSON object or a stream of
 * events.
 *
 *            POST                stream ends without the answer
 *   SENDING ------> ANSWERING ------------------------------------> WAITING (as long as `retry` says)
 *      |                |    <------------------------------------     |
 *      v                v         GET with Last-Event-ID               v
 *   finished        finished                                    finished (too often)
 *
 * Resuming is of the revisions with sessions only; a stateless server's broken stream loses the request. When the
 * server tells of changes, one more GET stream is kept open for these. */
#include "mcp/mcp_transport.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/vec.h"
#include "config/mcp_config.h"
#include "io/http_client.h"
#include "io/jsonrpc.h"
#include "io/loop.h"
#include "io/sse.h"
#include "mcp/mcp_message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_ANSWER_BYTES     ((size_t)64 << 20)
#define DEFAULT_RETRY_MS     1000
#define MAX_RETRY_MS         60000
#define MAX_RESUMES          20
#define MAX_LISTEN_FAILURES  5
#define MAX_REQUESTS_A_REPLY 1000 /* of the server, within one stream */

enum exchange_kind { KIND_REQUEST, KIND_MESSAGE, KIND_LISTEN, KIND_DELETE };

struct mcp_http {
    struct mcp_transport base;
    struct mcp_transport_events events;
    struct http_client *http;
    struct loop *loop;
    char *url;
    struct str_list headers; /* of the definition */
    char *version;
    char *session;
    bool is_stateless;
    int64_t last_id;
    struct vec exchanges;
    struct timer *ended_later;
};

struct http_call {
    struct mcp_exchange base;
    enum exchange_kind kind;
    int64_t id;
    char *body; /* what is posted */
    struct http_piece piece;
    struct str_list headers;
    struct http_request *request;
    struct timer *timer;
    struct sse_parser sse;
    struct buf text;
    bool is_stream;
    bool is_initialize;
    int status;
    unsigned resumes;
    unsigned server_requests;
    json_t *message;      /* the answer */
    struct error failure; /* of a callback that could not say so */
    void (*on_result)(void *data, const json_t *result, const json_t *rpc_error, const struct error *err);
    void *data;
};

static void start(struct http_call *x, const char *method);

static struct mcp_http *transport_of(const struct http_call *x)
{
    return (struct mcp_http *)x->base.transport;
}

static void exchange_free(struct http_call *x)
{
    (void)vec_remove_item(&transport_of(x)->exchanges, x);
    timer_cancel(x->timer);
    if (x->request != NULL)
        http_request_cancel(x->request);
    sse_parser_finish(&x->sse);
    buf_free(&x->text);
    str_list_finish(&x->headers);
    json_decref(x->message);
    free(x->body);
    free(x);
}

static struct http_call *exchange_create(struct mcp_http *t, enum exchange_kind kind)
{
    struct http_call *x = xcalloc(1, sizeof *x);

    x->base.transport = &t->base;
    x->kind = kind;
    vec_push(&t->exchanges, x);
    return x;
}

static void tell_of_end(void *data)
{
    struct mcp_http *t = data;
    struct error why = {0};

    t->ended_later = NULL;
    error_set(&why, ERROR_IO, "the session has ended");
    t->events.on_ended(t->events.data, &why);
}

/* Takes the exchange out and tells its owner. */
static void finish(struct http_call *x, const struct error *err)
{
    struct http_call done = *x;
    json_t *message = json_incref(x->message);
    const json_t *rpc_error = json_object_get(message, "error");
    const json_t *result = json_object_get(message, "result");
    struct error own = {0};

    exchange_free(x);
    if (done.on_result != NULL) {
        if (err == NULL && json_is_object(rpc_error))
            error_set(&own, ERROR_IO, "%s (code %lld)",
                      json_get_string(rpc_error, "message", "error without a message"),
                      (long long)json_get_int(rpc_error, "code", 0));
        else if (err == NULL && result == NULL)
            error_set(&own, ERROR_PARSE, "the answer has neither result nor error");
        if (err == NULL && error_is_set(&own))
            err = &own;
        done.on_result(done.data, err == NULL ? result : NULL, json_is_object(rpc_error) ? rpc_error : NULL,
                       err);
    }
    json_decref(message);
}

/* --- Messages of the server --- */

static void post_reply(struct mcp_http *t, const json_t *id, json_t *result)
{
    struct http_call *x = exchange_create(t, KIND_MESSAGE);
    json_t *message = json_pack("{s:s, s:O}", "jsonrpc", "2.0", "id", id);
    struct buf body = BUF_INIT;

    if (result != NULL)
        json_object_set(message, "result", result);
    else
        json_object_set_new(message, "error",
                            json_pack("{s:i, s:s}", "code", JSONRPC_METHOD_NOT_FOUND, "message",
                                      "cadre does not offer this"));
    json_append_value(&body, message);
    x->body = buf_take(&body);
    json_decref(message);
    start(x, "POST");
}

/* False: it was the answer that X waits for. */
static bool take_message(struct http_call *x, json_t *message)
{
    struct mcp_http *t = transport_of(x);
    const char *method = json_string_value(json_object_get(message, "method"));
    const json_t *id = json_object_get(message, "id");
    json_t *result;

    if (!json_is_object(message))
        return true;
    if (method != NULL && id == NULL) {
        t->events.on_notification(t->events.data, method, json_object_get(message, "params"));
        return true;
    }
    if (method != NULL) {
        if ((json_is_string(id) || json_is_number(id)) && ++x->server_requests <= MAX_REQUESTS_A_REPLY) {
            result = t->events.answer(t->events.data, method);
            post_reply(t, id, result);
            json_decref(result);
        }
        return true;
    }
    if (x->kind != KIND_REQUEST || !json_is_integer(id) || json_integer_value(id) != x->id)
        return true;
    x->message = json_incref(message);
    return false;
}

static bool on_event(void *user, const char *event, const char *data, size_t n)
{
    struct http_call *x = user;
    json_t *message;
    bool goes_on;

    (void)event;
    if (n == 0)
        return true; /* only an id to resume from */
    message = json_parse(data, n, "event", NULL);
    goes_on = message == NULL || take_message(x, message);
    json_decref(message);
    return goes_on;
}

static void take_body(struct http_call *x)
{
    json_t *message = json_parse(buf_cstr(&x->text), x->text.len, "answer", NULL);

    if (json_is_array(message)) {
        for (size_t i = 0; i < json_array_size(message) && x->message == NULL; i++)
            (void)take_message(x, json_array_get(message, i));
    } else if (json_is_object(message) && json_object_get(message, "method") == NULL &&
               (json_is_object(json_object_get(message, "error")) || x->status < 300)) {
        /* An error may come without the id of the request. */
        if (json_is_object(json_object_get(message, "error")) ||
            json_integer_value(json_object_get(message, "id")) == x->id)
            x->message = json_incref(message);
    }
    json_decref(message);
}

/* --- HTTP --- */

static void on_headers(void *data, int status)
{
    struct http_call *x = data;
    struct mcp_http *t = transport_of(x);
    const char *type = http_request_header(x->request, "Content-Type");
    const char *session = http_request_header(x->request, "Mcp-Session-Id");

    x->status = status;
    x->is_stream = status == 200 && type != NULL && strncasecmp(type, "text/event-stream", 17) == 0;
    if (x->is_initialize && session != NULL && strlen(session) <= 1024) {
        free(t->session);
        t->session = xstrdup(session);
    }
}

static void on_body(void *data, const char *bytes, size_t n)
{
    struct http_call *x = data;
    struct error err = {0};

    if (!x->is_stream) {
        buf_append(&x->text, bytes, n);
        return;
    }
    if (sse_parser_feed(&x->sse, bytes, n, &err) == 0)
        return;
    finish(x, x->message != NULL ? NULL : &err);
}

static void resume(void *data)
{
    struct http_call *x = data;

    x->timer = NULL;
    start(x, "GET");
}

static uint64_t retry_delay(const struct http_call *x)
{
    int64_t ms = x->sse.retry_ms >= 0 ? x->sse.retry_ms : DEFAULT_RETRY_MS;

    return (uint64_t)(ms > MAX_RETRY_MS ? MAX_RETRY_MS : ms);
}

static void listen_again(struct http_call *x)
{
    bool refused = x->status != 0 && x->status != 200;

    if (refused || ++x->resumes > MAX_LISTEN_FAILURES)
        exchange_free(x); /* it offers no such stream, or keeps none */
    else
        x->timer = timer_start(transport_of(x)->loop, retry_delay(x), resume, x);
}

static void describe_status(const struct http_call *x, struct error *err)
{
    error_set(err, x->status == 401 || x->status == 403 ? ERROR_DENIED : ERROR_IO, "HTTP status %d",
              x->status);
    if (x->status == 401 || x->status == 403)
        error_hint(err, "set bearer_token_env_var or http_headers of the server");
}

static bool is_lost_session(const struct http_call *x)
{
    return x->status == 404 && transport_of(x)->session != NULL && !transport_of(x)->is_stateless &&
           !x->is_initialize;
}

static void on_done(void *data, const struct error *err)
{
    struct http_call *x = data;
    struct mcp_http *t = transport_of(x);
    struct error own = {0};

    x->request = NULL;
    switch (x->kind) {
    case KIND_MESSAGE:
        exchange_free(x);
        return;
    case KIND_DELETE:
        exchange_free(x);
        if (t->ended_later == NULL)
            t->ended_later = timer_start(t->loop, 0, tell_of_end, t);
        return;
    case KIND_LISTEN:
        listen_again(x);
        return;
    case KIND_REQUEST:
        break;
    }
    /* Its session is over (2025-11-25, "Session Management", 3), whatever the body says. */
    if (is_lost_session(x) && t->ended_later == NULL)
        t->ended_later = timer_start(t->loop, 0, tell_of_end, t);
    if (!x->is_stream && err == NULL)
        take_body(x);
    if (x->message != NULL) {
        finish(x, NULL);
        return;
    }
    if (x->is_stream && !t->is_stateless && x->sse.last_id.len > 0 && x->resumes++ < MAX_RESUMES) {
        x->timer = timer_start(t->loop, retry_delay(x), resume, x);
        return;
    }
    if (err != NULL)
        own = *err;
    else if (is_lost_session(x))
        error_set(&own, ERROR_IO, "the server has ended the session");
    else if (x->status != 200)
        describe_status(x, &own);
    else
        error_set(&own, ERROR_IO,
                  x->is_stream ? "the stream ended before the answer" : "the answer is no JSON-RPC message");
    finish(x, &own);
}

static void fail_later(void *data)
{
    struct http_call *x = data;

    x->timer = NULL;
    on_done(x, &x->failure);
}

static void start(struct http_call *x, const char *method)
{
    struct mcp_http *t = transport_of(x);
    struct str_list headers = {0};
    struct http_request_options options = {
        .method = method,
        .url = t->url,
        .max_body_bytes = MAX_ANSWER_BYTES,
        .on_headers = on_headers,
        .on_body = on_body,
        .on_done = on_done,
        .data = x,
    };
    bool is_get = strcmp(method, "GET") == 0;
    struct buf last_id = BUF_INIT;
    int64_t retry_ms = x->sse.retry_ms;

    str_list_copy(&headers, &t->headers);
    str_list_copy(&headers, &x->headers);
    str_list_add(&headers,
                 is_get ? "Accept: text/event-stream" : "Accept: application/json, text/event-stream");
    if (t->version != NULL)
        str_list_take(&headers, xasprintf("MCP-Protocol-Version: %s", t->version));
    if (t->session != NULL && !t->is_stateless)
        str_list_take(&headers, xasprintf("Mcp-Session-Id: %s", t->session));
    if (x->body != NULL && !is_get) {
        x->piece = (struct http_piece){x->body, strlen(x->body)};
        options.body = &x->piece;
        options.body_count = 1;
        str_list_add(&headers, "Content-Type: application/json");
    }
    if (is_get && x->sse.last_id.len > 0) {
        str_list_take(&headers, xasprintf("Last-Event-ID: %s", buf_cstr(&x->sse.last_id)));
        buf_append(&last_id, x->sse.last_id.data, x->sse.last_id.len);
    }
    if (x->resumes > 0) {
        sse_parser_finish(&x->sse);
    } else {
        retry_ms = -1;
    }
    sse_parser_init(&x->sse, MCP_MAX_MESSAGE_BYTES, on_event, x);
    x->sse.last_id = last_id;
    x->sse.retry_ms = retry_ms;
    x->is_stream = false;
    x->status = 0;
    options.headers = (const char *const *)headers.items;
    error_clear(&x->failure);
    x->request = http_request_start(t->http, &options, &x->failure);
    if (x->request == NULL)
        x->timer = timer_start(t->loop, 0, fail_later, x);
    str_list_finish(&headers);
}

/* --- The transport --- */

static struct mcp_exchange *http_request_send(struct mcp_transport *transport,
                                              const struct mcp_request *request)
{
    struct mcp_http *t = (struct mcp_http *)transport;
    struct http_call *x = exchange_create(t, KIND_REQUEST);

    x->id = ++t->last_id;
    x->on_result = request->on_result;
    x->data = request->data;
    x->is_initialize = strcmp(request->method, "initialize") == 0;
    x->body = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%lld,\"method\":\"%s\"%s%s}", (long long)x->id,
                        request->method, request->params != NULL ? ",\"params\":" : "",
                        request->params != NULL ? request->params : "");
    if (t->is_stateless) {
        struct buf line = BUF_INIT;

        str_list_take(&x->headers, xasprintf("Mcp-Method: %s", request->method));
        if (request->name != NULL) {
            buf_puts(&line, "Mcp-Name: ");
            mcp_header_value(&line, request->name);
            str_list_take(&x->headers, buf_take(&line));
        }
        if (request->headers != NULL)
            str_list_copy(&x->headers, request->headers);
    }
    start(x, "POST");
    return &x->base;
}

static void http_notify_text(struct mcp_http *t, char *body)
{
    struct http_call *x = exchange_create(t, KIND_MESSAGE);

    x->body = body;
    start(x, "POST");
}

static void http_cancel(struct mcp_exchange *exchange)
{
    struct http_call *x = (struct http_call *)exchange;
    struct mcp_http *t = transport_of(x);

    if (!t->is_stateless) /* closing the stream says it there */
        http_notify_text(t,
                         xasprintf("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
                                   "{\"requestId\":%lld}}",
                                   (long long)x->id));
    exchange_free(x);
}

static void http_notify(struct mcp_transport *t, const char *method)
{
    http_notify_text((struct mcp_http *)t, xasprintf("{\"jsonrpc\":\"2.0\",\"method\":\"%s\"}", method));
}

static void http_set_version(struct mcp_transport *transport, const char *version, bool is_stateless,
                             bool wants_stream)
{
    struct mcp_http *t = (struct mcp_http *)transport;

    free(t->version);
    t->version = xstrdup(version);
    t->is_stateless = is_stateless;
    if (wants_stream && !is_stateless)
        start(exchange_create(t, KIND_LISTEN), "GET");
}

static void http_shut(struct mcp_transport *transport)
{
    struct mcp_http *t = (struct mcp_http *)transport;

    if (t->session != NULL && !t->is_stateless)
        start(exchange_create(t, KIND_DELETE), "DELETE");
    else if (t->ended_later == NULL)
        t->ended_later = timer_start(t->loop, 0, tell_of_end, t);
}

static void http_destroy(struct mcp_transport *transport)
{
    struct mcp_http *t = (struct mcp_http *)transport;

    while (t->exchanges.len > 0)
        exchange_free(t->exchanges.items[t->exchanges.len - 1]);
    vec_finish(&t->exchanges);
    timer_cancel(t->ended_later);
    str_list_finish(&t->headers);
    free(t->url);
    free(t->version);
    free(t->session);
    free(t);
}

static int add_header(struct str_list *headers, const char *name, const char *value, struct error *err)
{
    if (strpbrk(name, "\r\n: ") != NULL || strpbrk(value, "\r\n") != NULL)
        return error_set(err, ERROR_CONFIG, "the header \"%.80s\" has a line break, or a name that is none",
                         name);
    str_list_take(headers, xasprintf("%s: %s", name, value));
    return 0;
}

static int make_headers(const struct mcp_config *config, struct str_list *headers, struct error *err)
{
    const char *value;
    int rc = 0;

    for (size_t i = 0; i < config->http_header_count && rc == 0; i++)
        rc = add_header(headers, config->http_headers[i].name, config->http_headers[i].value, err);
    for (size_t i = 0; i < config->env_http_header_count && rc == 0; i++)
        if ((value = getenv(config->env_http_headers[i].value)) != NULL && value[0] != '\0')
            rc = add_header(headers, config->env_http_headers[i].name, value, err);
    if (rc < 0 || config->bearer_token_env_var == NULL)
        return rc;
    value = getenv(config->bearer_token_env_var);
    if (value == NULL || value[0] == '\0')
        return error_set(err, ERROR_CONFIG,
                         "the variable %s (bearer_token_env_var) is not set: export it before cadre starts",
                         config->bearer_token_env_var);
    if (strpbrk(value, "\r\n") != NULL)
        return error_set(err, ERROR_CONFIG, "the variable %s holds a line break",
                         config->bearer_token_env_var);
    str_list_take(headers, xasprintf("Authorization: Bearer %s", value));
    return 0;
}

struct mcp_transport *mcp_http_open(struct http_client *http, const struct mcp_config *config,
                                    const struct mcp_transport_events *events, struct error *err)
{
    static const struct mcp_transport_ops ops = {http_request_send, http_cancel, http_notify,
                                                 http_set_version,  http_shut,   http_destroy};
    struct mcp_http *t;

    if (strncasecmp(config->url, "http://", 7) != 0 && strncasecmp(config->url, "https://", 8) != 0) {
        error_set(err, ERROR_CONFIG, "mcp_servers.%s.url has to begin with http:// or https://", config->id);
        return NULL;
    }
    t = xcalloc(1, sizeof *t);
    t->base.ops = &ops;
    t->events = *events;
    t->http = http;
    t->loop = http_client_loop(http);
    t->url = xstrdup(config->url);
    t->version = xstrdup(MCP_VERSION_STATELESS);
    t->is_stateless = true; /* until it is known better */
    if (make_headers(config, &t->headers, err) < 0) {
        http_destroy(&t->base);
        return NULL;
    }
    return &t->base;
}
