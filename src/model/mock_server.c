/* model/mock_server.c: answers requests from the script, with its faults and limits. One `struct reply_way`
 * for each request that is answered over time. */
#include "model/mock_server.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "model/mock_reply.h"
#include "model/mock_script.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_MAX 600

struct mock_server {
    struct loop *loop;
    struct http_server *http;
    struct mock_script *script;
    char *log_path;
    bool logs_bodies;
    char *base_url;
    double tokens; /* of the rate limit's bucket */
    int64_t refilled_us;
    int64_t answered[STATUS_MAX];
    int64_t total;
    int64_t divergences;
    int64_t finals;         /* answers without a call that were given whole */
    struct map ended_us;    /* thread -> of int64_t: when its last answer was given whole */
    struct reply_way *held; /* those that wait for `finals`, by `next` */
};

/* An answer under way: waits, then writes the stream, all at once or in drops. */
struct reply_way {
    struct mock_server *server;
    struct http_exchange *exchange;
    struct mock_stream stream;
    struct timer *timer;
    size_t limit; /* bytes to send */
    size_t sent;
    bool cuts;  /* ends by an abort */
    bool hangs; /* ends not at all */
    bool dribbles;
    bool is_final; /* holds no call */
    int64_t after_finals;
    int64_t delay_ms;
    char *thread;
    struct reply_way *next; /* while held */
};

/* The thread that asks, as the programs at hand name it; "" where they do not. */
static const char *thread_of(const struct http_exchange *exchange)
{
    static const char *const names[] = {"thread-id", "x-claude-code-session-id", "session-id"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = http_exchange_header(exchange, names[i]);

        if (value != NULL)
            return value;
    }
    return "";
}

static void log_request(struct mock_server *server, const struct http_exchange *exchange,
                        const struct mock_request *request, int status, const char *note)
{
    struct buf line = BUF_INIT;
    struct json_writer w = {.out = &line};
    struct error err = {0};

    server->total++;
    if (status > 0 && status < STATUS_MAX)
        server->answered[status]++;
    if (server->log_path == NULL)
        return;
    jw_object_begin(&w);
    jw_pair_int(&w, "ts_ms", clock_wall_ms());
    if (request != NULL) {
        const char *thread = thread_of(exchange);
        const int64_t *ended_us = map_get(&server->ended_us, thread);

        jw_pair_string(&w, "thread", thread);
        jw_pair_int(&w, "arrived_us", request->arrived_us);
        if (ended_us != NULL)
            jw_pair_int(&w, "gap_us", request->arrived_us - *ended_us);
    }
    jw_pair_string(&w, "path", http_exchange_path(exchange));
    if (request != NULL) {
        jw_pair_string(&w, "role", request->role);
        jw_pair_string(&w, "task", request->task);
        jw_pair_int(&w, "attempt", request->attempt);
        jw_pair_int(&w, "turn", request->turn);
        jw_pair_string(&w, "model", request->model);
        jw_pair_int(&w, "bytes", (int64_t)request->body_bytes);
    }
    jw_pair_int(&w, "status", status);
    if (note != NULL)
        jw_pair_string(&w, "note", note);
    if (server->logs_bodies && request != NULL && request->body != NULL) {
        jw_key(&w, "body");
        jw_value(&w, request->body);
    }
    jw_object_end(&w);
    buf_putc(&line, '\n');
    if (file_append(server->log_path, line.data, line.len, 0600, &err) < 0)
        log_warning("%s", err.text);
    buf_free(&line);
}

static void reply_error(struct http_exchange *exchange, unsigned status, const char *type,
                        const char *message)
{
    struct buf body = BUF_INIT;
    struct json_writer w = {.out = &body};

    jw_object_begin(&w);
    jw_pair_string(&w, "type", "error");
    jw_key(&w, "error");
    jw_object_begin(&w);
    jw_pair_string(&w, "type", type);
    jw_pair_string(&w, "code", type);
    jw_pair_string(&w, "message", message);
    jw_object_end(&w);
    jw_object_end(&w);
    http_exchange_reply(exchange, status, "application/json", body.data, body.len);
    buf_free(&body);
}

/* --- An answer over time ------------------------------------------------------------------------------ */

static void on_closed(void *data)
{
    struct reply_way *way = data;

    for (struct reply_way **at = &way->server->held; *at != NULL; at = &(*at)->next) {
        if (*at == way) {
            *at = way->next;
            break;
        }
    }
    timer_cancel(way->timer);
    mock_stream_finish(&way->stream);
    free(way->thread);
    free(way);
}

static void begin_way(void *data);

static void start_way(struct reply_way *way)
{
    if (way->delay_ms > 0)
        way->timer = timer_start(way->server->loop, (uint64_t)way->delay_ms, begin_way, way);
    else
        begin_way(way);
}

/* Starts the answers that waited for as many final ones as there are now. */
static void start_held(struct mock_server *server)
{
    for (struct reply_way **at = &server->held; *at != NULL;) {
        struct reply_way *way = *at;

        if (way->after_finals > server->finals) {
            at = &way->next;
            continue;
        }
        *at = way->next;
        way->timer = timer_start(server->loop, (uint64_t)way->delay_ms, begin_way, way);
    }
}

/* An answer was given whole: when, for the gap to the thread's next request, and is it a final one. */
static void note_end(struct reply_way *way)
{
    struct mock_server *server = way->server;
    int64_t *ended_us = map_get(&server->ended_us, way->thread);

    if (ended_us == NULL) {
        ended_us = xmalloc(sizeof *ended_us);
        map_set(&server->ended_us, way->thread, ended_us);
    }
    *ended_us = clock_monotonic_us();
    if (way->is_final) {
        server->finals++;
        start_held(server);
    }
}

static void finish_way(struct reply_way *way)
{
    if (way->hangs)
        return; /* until the peer gives up */
    if (way->cuts) {
        http_exchange_abort(way->exchange);
    } else {
        note_end(way);
        http_exchange_end(way->exchange);
    }
}

static void send_some(void *data)
{
    struct reply_way *way = data;

    way->timer = NULL;
    if (!way->dribbles) {
        http_exchange_write(way->exchange, way->stream.bytes.data, way->limit);
        finish_way(way);
        return;
    }
    if (way->sent == way->limit) {
        finish_way(way);
        return;
    }
    way->timer = timer_start(way->server->loop, 0, send_some, way);
    http_exchange_write(way->exchange, way->stream.bytes.data + way->sent++, 1);
}

static void begin_way(void *data)
{
    struct reply_way *way = data;

    way->timer = NULL;
    http_exchange_begin(way->exchange, 200, "text/event-stream");
    send_some(way);
}

static size_t events_end(const struct mock_stream *stream, int64_t events)
{
    if (events <= 0)
        return 0;
    return (size_t)events > stream->count ? stream->bytes.len : stream->ends[events - 1];
}

static void answer_with_stream(struct mock_server *server, struct http_exchange *exchange,
                               const struct mock_rule *rule, const struct mock_fault *fault,
                               const struct mock_request *request)
{
    struct reply_way *way = xcalloc(1, sizeof *way);

    way->delay_ms = server->script->latency_ms;
    way->thread = xstrdup(thread_of(exchange));
    way->after_finals = rule->reply.after_finals;
    way->is_final = rule->reply.call_count == 0;

    way->server = server;
    way->exchange = exchange;
    if (fault != NULL && fault->overloaded)
        mock_reply_write_overloaded(&way->stream, request);
    else
        mock_reply_write(&way->stream, &rule->reply, request);
    if (fault != NULL && fault->malformed_event)
        mock_stream_spoil(&way->stream);
    way->limit = way->stream.bytes.len;
    if (fault != NULL) {
        way->delay_ms += fault->delay_ms;
        way->dribbles = fault->dribble;
        way->hangs = fault->hang_after_events >= 0;
        way->cuts = fault->cut_after_bytes >= 0 || fault->cut_after_events >= 0;
        if (fault->hang_after_events >= 0)
            way->limit = events_end(&way->stream, fault->hang_after_events);
        if (fault->cut_after_events >= 0)
            way->limit = events_end(&way->stream, fault->cut_after_events);
        if (fault->cut_after_bytes >= 0 && (size_t)fault->cut_after_bytes < way->limit)
            way->limit = (size_t)fault->cut_after_bytes;
    }
    http_exchange_on_closed(exchange, on_closed, way);
    if (way->after_finals > server->finals) {
        way->next = server->held;
        server->held = way;
    } else {
        start_way(way);
    }
}

static void answer_with_status(struct http_exchange *exchange, const struct mock_fault *fault)
{
    char seconds[32];

    if (fault->retry_after_s >= 0) {
        /* The header knows whole seconds only; the finer one says it exactly. */
        snprintf(seconds, sizeof seconds, "%.0f", ceil(fault->retry_after_s));
        http_exchange_add_header(exchange, "Retry-After", seconds);
        if (ceil(fault->retry_after_s) > fault->retry_after_s) {
            snprintf(seconds, sizeof seconds, "%.0f", fault->retry_after_s * 1000);
            http_exchange_add_header(exchange, "retry-after-ms", seconds);
        }
    }
    if (fault->body != NULL)
        http_exchange_reply(exchange, (unsigned)fault->status, "application/json", fault->body,
                            strlen(fault->body));
    else
        reply_error(exchange, (unsigned)fault->status,
                    fault->status == 429   ? "rate_limit_exceeded"
                    : fault->status == 401 ? "authentication_error"
                    : fault->status >= 500 ? "server_error"
                                           : "invalid_request_error",
                    "scripted fault");
}

/* --- Requests ----------------------------------------------------------------------------------------- */

/* Takes one token of the rate limit; false with the wait when there is none. */
static bool take_token(struct mock_server *server, int64_t *wait_ms)
{
    const struct mock_script *script = server->script;
    int64_t now = clock_monotonic_us();
    double burst = script->burst >= 1 ? script->burst : 1;

    if (script->requests_per_second <= 0)
        return true;
    server->tokens += (double)(now - server->refilled_us) / 1e6 * script->requests_per_second;
    server->refilled_us = now;
    if (server->tokens > burst)
        server->tokens = burst;
    if (server->tokens < 1) {
        *wait_ms = (int64_t)((1 - server->tokens) / script->requests_per_second * 1000) + 1;
        return false;
    }
    server->tokens -= 1;
    return true;
}

static bool refuse_over_limit(struct mock_server *server, struct http_exchange *exchange,
                              const struct mock_request *request)
{
    char text[32];
    int64_t wait_ms = 0;

    if (take_token(server, &wait_ms))
        return false;
    snprintf(text, sizeof text, "%lld", (long long)(wait_ms + 999) / 1000);
    http_exchange_add_header(exchange, "Retry-After", text);
    snprintf(text, sizeof text, "%lld", (long long)wait_ms);
    http_exchange_add_header(exchange, "retry-after-ms", text);
    log_request(server, exchange, request, 429, "over the rate limit");
    reply_error(exchange, 429, "rate_limit_exceeded", "too many requests a second");
    return true;
}

static void refuse_unknown(struct mock_server *server, struct http_exchange *exchange,
                           const struct mock_request *request)
{
    char *text = xasprintf("mock: no rule matches role '%s', task '%s', attempt %lld, turn %lld, model '%s'",
                           request->role, request->task, (long long)request->attempt,
                           (long long)request->turn, request->model);

    log_warning("%s", text);
    log_request(server, exchange, request, 400, "no rule matches");
    reply_error(exchange, 400, "invalid_request_error", text);
    free(text);
}

/* Says where a request leaves its cassette. True when it was refused for that. */
static bool refuse_divergence(struct mock_server *server, struct http_exchange *exchange,
                              const struct mock_rule *rule, const struct mock_request *request)
{
    char *text = server->script->is_cassette ? mock_rule_divergence(rule, request) : NULL;
    bool refuses = text != NULL && server->script->is_strict;

    if (text != NULL) {
        server->divergences++;
        log_warning("cassette: %s", text);
    }
    if (refuses) {
        log_request(server, exchange, request, 400, text);
        reply_error(exchange, 400, "invalid_request_error", text);
    }
    free(text);
    return refuses;
}

static void answer(struct mock_server *server, struct http_exchange *exchange, struct mock_request *request)
{
    struct mock_rule *rule = mock_script_match(server->script, request);
    const struct mock_fault *fault = NULL;
    bool spoils;

    if (refuse_over_limit(server, exchange, request))
        return;
    if (rule != NULL && refuse_divergence(server, exchange, rule, request))
        return;
    if (rule != NULL && rule->has_fault && (rule->fault.times < 0 || rule->fault_used < rule->fault.times)) {
        rule->fault_used++;
        fault = &rule->fault;
    }
    if (rule == NULL || (fault == NULL && !rule->has_reply)) {
        refuse_unknown(server, exchange, request);
        return;
    }
    spoils = fault != NULL &&
             (fault->close || fault->status != 0 || fault->overloaded || fault->cut_after_bytes >= 0 ||
              fault->cut_after_events >= 0 || fault->hang_after_events >= 0);
    if (!spoils || server->script->is_cassette)
        rule->used++;
    if (fault != NULL && fault->close) {
        log_request(server, exchange, request, 0, "fault");
        http_exchange_abort(exchange);
    } else if (fault != NULL && fault->status != 0) {
        log_request(server, exchange, request, fault->status, "fault");
        answer_with_status(exchange, fault);
    } else {
        log_request(server, exchange, request, 200, spoils ? "fault" : NULL);
        answer_with_stream(server, exchange, rule, fault, request);
    }
}

static const char *header_or_empty(struct http_exchange *exchange, const char *name)
{
    const char *value = http_exchange_header(exchange, name);

    return value != NULL ? value : "";
}

static void answer_post(struct mock_server *server, struct http_exchange *exchange, enum wire_api wire)
{
    struct mock_request request = {.attempt = -1};
    struct error err = {0};
    size_t n;
    const char *text = http_exchange_body(exchange, &n);
    json_t *body;

    request.arrived_us = clock_monotonic_us();
    body = json_parse(text, n, "request body", &err);
    request.role = header_or_empty(exchange, "x-cadre-role");
    request.task = header_or_empty(exchange, "x-cadre-task");
    request.model = "";
    request.body_bytes = n;
    request.body = body;
    str_to_int64(header_or_empty(exchange, "x-cadre-attempt"), 0, 1 << 20, &request.attempt);
    if (!json_is_object(body)) {
        log_request(server, exchange, &request, 400, "the body is no JSON object");
        reply_error(exchange, 400, "invalid_request_error", body == NULL ? err.text : "not an object");
    } else if (!json_get_bool(body, "stream", false)) {
        log_request(server, exchange, &request, 400, "stream is not true");
        reply_error(exchange, 400, "invalid_request_error", "the mock only streams: set \"stream\": true");
    } else {
        mock_request_read(&request, wire, body, server->script->needs_text);
        answer(server, exchange, &request);
    }
    mock_request_finish(&request);
    json_decref(body);
}

static void on_request(void *data, struct http_exchange *exchange)
{
    static const char models[] = "{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\","
                                 "\"owned_by\":\"cadre\"}]}";
    struct mock_server *server = data;
    const char *path = http_exchange_path(exchange);
    bool is_post = strcmp(http_exchange_method(exchange), "POST") == 0;

    if (is_post && str_ends_with(path, "/responses")) {
        answer_post(server, exchange, WIRE_RESPONSES);
    } else if (is_post && str_ends_with(path, "/chat/completions")) {
        answer_post(server, exchange, WIRE_CHAT);
    } else if (is_post && str_ends_with(path, "/messages")) {
        answer_post(server, exchange, WIRE_MESSAGES);
    } else if (!is_post && str_ends_with(path, "/models")) {
        log_request(server, exchange, NULL, 200, NULL);
        http_exchange_reply(exchange, 200, "application/json", models, sizeof models - 1);
    } else {
        log_request(server, exchange, NULL, 404, NULL);
        reply_error(
            exchange, 404, "not_found_error",
            "the mock serves POST .../responses, .../chat/completions, .../messages and GET .../models");
    }
}

struct mock_server *mock_server_create(struct loop *loop, const struct mock_server_options *options,
                                       struct error *err)
{
    struct mock_server *server = xcalloc(1, sizeof *server);
    struct http_server_options http = {.port = options->port, .on_request = on_request, .data = server};

    server->loop = loop;
    server->ended_us.free_value = free;
    server->script = options->script;
    server->log_path = xstrdup(options->log_path);
    server->logs_bodies = options->logs_bodies;
    server->tokens = options->script->burst;
    server->refilled_us = clock_monotonic_us();
    server->http = http_server_create(loop, &http, err);
    if (server->http == NULL) {
        mock_server_destroy(server);
        return NULL;
    }
    server->base_url = xasprintf("http://127.0.0.1:%u/v1", http_server_port(server->http));
    return server;
}

struct mock_server *mock_server_start(struct loop *loop, struct mock_script *script, uint16_t port,
                                      struct error *err)
{
    struct mock_server_options options = {.script = script, .port = port};

    return mock_server_create(loop, &options, err);
}

uint16_t mock_server_port(const struct mock_server *server)
{
    return http_server_port(server->http);
}

const char *mock_server_base_url(const struct mock_server *server)
{
    return server->base_url;
}

int64_t mock_server_answered(const struct mock_server *server, int status)
{
    return status == 0 ? server->total : server->answered[status];
}

int64_t mock_server_divergences(const struct mock_server *server)
{
    return server->divergences;
}

void mock_server_destroy(struct mock_server *server)
{
    if (server == NULL)
        return;
    http_server_destroy(server->http);
    mock_script_destroy(server->script);
    map_finish(&server->ended_us);
    free(server->log_path);
    free(server->base_url);
    free(server);
}
