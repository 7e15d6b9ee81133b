/* io/http_client.c: HTTP requests by libcurl's multi_socket interface on the loop.
 *
 * libcurl must not be called from within its own callbacks. So while it acts (`in_action`), requests that
 * are started or cancelled are only marked, and settled right after (settle()), where finished transfers are
 * collected too. */
#include "io/http_client.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/late_library.h"
#include "io/loop.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_CONNECT_TIMEOUT_MS 10000
#define DEFAULT_BODY_BYTES         ((size_t)256 << 20)
#define SMALL_BODY_BYTES           ((curl_off_t)64 << 10)
#define HEADER_MAX_BYTES           ((size_t)1 << 20)
#define CONNECTIONS_KEPT           1024L

/* libcurl is loaded with the first request (io/late_library.h); each entry has the type that curl.h declares. */
#define CURL_FUNCTIONS(X)                                                                                    \
    X(easy_cleanup)                                                                                          \
    X(easy_getinfo)                                                                                          \
    X(easy_init)                                                                                             \
    X(easy_setopt)                                                                                           \
    X(easy_strerror)                                                                                         \
    X(free)                                                                                                  \
    X(global_init)                                                                                           \
    X(multi_add_handle)                                                                                      \
    X(multi_assign)                                                                                          \
    X(multi_cleanup)                                                                                         \
    X(multi_info_read)                                                                                       \
    X(multi_init)                                                                                            \
    X(multi_remove_handle)                                                                                   \
    X(multi_setopt)                                                                                          \
    X(multi_socket_action)                                                                                   \
    X(slist_append)                                                                                          \
    X(slist_free_all)                                                                                        \
    X(url)                                                                                                   \
    X(url_cleanup)                                                                                           \
    X(url_get)                                                                                               \
    X(url_set)
#define CURL_POINTER(name) __typeof__(curl_##name) *name;
#define CURL_NAME(name)    "curl_" #name,
static struct {
    CURL_FUNCTIONS(CURL_POINTER)
} curl;
static const char *const curl_names[] = {CURL_FUNCTIONS(CURL_NAME)};
static struct late_library library = {.file = "libcurl.so.4",
                                      .package = "libcurl4",
                                      .purpose = "a request by HTTP",
                                      .names = curl_names,
                                      .count = sizeof(curl_names) / sizeof(curl_names[0]),
                                      .table = &curl};

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct timer *timer;
    struct vec requests;
    bool in_action;
    bool needs_settling; /* something was marked while in_action */
};

struct http_socket {
    struct http_client *client;
    struct watch *watch;
    int fd;
};

struct http_request {
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    char *shown_url; /* for messages: without user, password and query, where keys may stand */
    struct http_piece *pieces;
    size_t piece_count;
    size_t piece_index; /* what is sent next */
    size_t piece_offset;
    struct buf answer_headers; /* "Name: value" NUL-separated */
    int status;
    size_t body_bytes;
    size_t max_body_bytes;
    uint64_t idle_timeout_ms;
    int64_t last_byte_ms;
    struct timer *idle_timer;
    bool is_added;
    bool is_cancelled;
    bool is_done;
    bool has_headers;
    bool done_on_destroy;
    struct error refusal; /* why a callback of ours stopped the transfer */
    char curl_text[CURL_ERROR_SIZE];
    void (*on_headers)(void *data, int status);
    void (*on_body)(void *data, const char *bytes, size_t n);
    void (*on_done)(void *data, const struct error *err);
    void *data;
};

static void settle(struct http_client *client);

/* --- libcurl's sockets and timer on the loop --- */

static void act(struct http_client *client, curl_socket_t fd, int events)
{
    int running;

    client->in_action = true;
    curl.multi_socket_action(client->multi, fd, events, &running);
    client->in_action = false;
    settle(client);
}

static void on_socket_ready(void *data, int events)
{
    struct http_socket *socket = data;
    int action = 0;

    if (events & WATCH_READ)
        action |= CURL_CSELECT_IN;
    if (events & WATCH_WRITE)
        action |= CURL_CSELECT_OUT;
    if (events & WATCH_HANGUP)
        action |= CURL_CSELECT_ERR;
    act(socket->client, socket->fd, action);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_data)
{
    struct http_client *client = user;
    struct http_socket *socket = socket_data;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        /* libcurl closes the descriptor next; its number may be used again at once. */
        if (socket != NULL) {
            watch_stop(socket->watch);
            free(socket);
            curl.multi_assign(client->multi, fd, NULL);
        }
        return 0;
    }
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= WATCH_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= WATCH_WRITE;
    if (socket == NULL) {
        socket = xcalloc(1, sizeof(*socket));
        socket->client = client;
        socket->fd = fd;
        socket->watch = watch_start(client->loop, fd, events, on_socket_ready, socket);
        curl.multi_assign(client->multi, fd, socket);
    } else {
        watch_change(socket->watch, events);
    }
    return 0;
}

static void on_timer(void *data)
{
    struct http_client *client = data;

    client->timer = NULL;
    act(client, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct http_client *client = user;

    (void)multi;
    timer_cancel(client->timer);
    client->timer = timeout_ms < 0 ? NULL : timer_start(client->loop, (uint64_t)timeout_ms, on_timer, client);
    return 0;
}

/* --- One request: what libcurl asks of it --- */

static size_t give_body(char *to, size_t size, size_t count, void *user)
{
    struct http_request *request = user;
    size_t room = size * count;
    size_t given = 0;

    while (given < room && request->piece_index < request->piece_count) {
        const struct http_piece *piece = &request->pieces[request->piece_index];
        size_t n = piece->len - request->piece_offset;

        if (n > room - given)
            n = room - given;
        if (n > 0)
            memcpy(to + given, piece->data + request->piece_offset, n);
        given += n;
        request->piece_offset += n;
        if (request->piece_offset == piece->len) {
            request->piece_index++;
            request->piece_offset = 0;
        }
    }
    request->last_byte_ms = clock_monotonic_ms();
    return given;
}

/* libcurl sends the body again when a kept connection turns out to be dead. */
static int seek_body(void *user, curl_off_t offset, int origin)
{
    struct http_request *request = user;
    size_t left = (size_t)offset;

    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_CANTSEEK;
    request->piece_index = 0;
    request->piece_offset = 0;
    while (request->piece_index < request->piece_count && left >= request->pieces[request->piece_index].len)
        left -= request->pieces[request->piece_index++].len;
    request->piece_offset = left;
    return CURL_SEEKFUNC_OK;
}

static size_t take_header(char *line, size_t size, size_t count, void *user)
{
    struct http_request *request = user;
    size_t n = size * count;
    size_t len = n;
    long status = 0;

    request->last_byte_ms = clock_monotonic_ms();
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    if (request->is_cancelled)
        return 0;
    if (request->has_headers)
        return n; /* trailers */
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        buf_clear(&request->answer_headers); /* those before were of an interim answer */
        return n;
    }
    if (len > 0) {
        if (request->answer_headers.len + len > HEADER_MAX_BYTES) {
            error_set(&request->refusal, ERROR_LIMIT, "the answer's headers exceed %zu bytes",
                      HEADER_MAX_BYTES);
            return 0;
        }
        buf_append(&request->answer_headers, line, len);
        buf_putc(&request->answer_headers, '\0');
        return n;
    }
    curl.easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return n;
    request->status = (int)status;
    request->has_headers = true;
    if (request->on_headers != NULL)
        request->on_headers(request->data, request->status);
    return request->is_cancelled ? 0 : n;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *user)
{
    struct http_request *request = user;
    size_t n = size * count;

    if (request->is_cancelled)
        return 0;
    request->last_byte_ms = clock_monotonic_ms();
    request->body_bytes += n;
    if (request->body_bytes > request->max_body_bytes) {
        error_set(&request->refusal, ERROR_LIMIT, "the answer exceeds %zu bytes", request->max_body_bytes);
        return 0;
    }
    if (request->on_body != NULL)
        request->on_body(request->data, bytes, n);
    return request->is_cancelled ? 0 : n;
}

/* --- Life of a request --- */

static void free_request(struct http_request *request)
{
    vec_remove_item(&request->client->requests, request);
    timer_cancel(request->idle_timer);
    if (request->is_added)
        curl.multi_remove_handle(request->client->multi, request->easy);
    curl.easy_cleanup(request->easy);
    curl.slist_free_all(request->headers);
    buf_free(&request->answer_headers);
    free(request->pieces);
    free(request->shown_url);
    free(request);
}

static void end_request(struct http_request *request, const struct error *err)
{
    request->is_done = true;
    timer_cancel(request->idle_timer);
    request->idle_timer = NULL;
    /* Its connection is free for the next request, which on_done may start. */
    if (request->is_added) {
        request->is_added = false;
        curl.multi_remove_handle(request->client->multi, request->easy);
    }
    if (request->on_done != NULL)
        request->on_done(request->data, err);
    free_request(request);
}

static void describe_failure(struct http_request *request, CURLcode code, struct error *err)
{
    const char *detail = request->curl_text[0] ? request->curl_text : curl.easy_strerror(code);
    const char *url = request->shown_url;
    long os_errno = 0;

    curl.easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (error_is_set(&request->refusal)) {
        *err = request->refusal;
        error_wrap(err, "%s", url);
    } else if (code == CURLE_COULDNT_CONNECT) {
        error_set(err, ERROR_IO, "connecting to %s: %s", url, os_errno ? strerror((int)os_errno) : detail);
        err->os_errno = (int)os_errno;
    } else if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY) {
        error_set(err, ERROR_IO, "connecting to %s: %s", url, detail);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        error_set(err, ERROR_TIMEOUT, "%s%s: %s", request->has_headers ? "" : "connecting to ", url, detail);
    } else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
        error_set(err, ERROR_CONFIG, "%s: is not an http or https URL: %s", url, detail);
    } else if (code == CURLE_PARTIAL_FILE || code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR) {
        error_set(err, ERROR_IO, "%s: the connection was closed %s (%s)", url,
                  request->has_headers ? "before the answer was complete" : "without an answer", detail);
    } else {
        error_set(err, ERROR_IO, "%s: %s", url, detail);
    }
}

static void collect(struct http_client *client)
{
    CURLMsg *message;
    int left;

    while ((message = curl.multi_info_read(client->multi, &left)) != NULL) {
        struct http_request *request = NULL;
        struct error err = {0};
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        if (code != CURLE_OK)
            describe_failure(request, code, &err);
        end_request(request, code == CURLE_OK ? NULL : &err);
    }
}

static void settle(struct http_client *client)
{
    while (client->needs_settling) {
        client->needs_settling = false;
        for (size_t i = client->requests.len; i > 0; i--) {
            struct http_request *request = client->requests.items[i - 1];

            if (request->is_cancelled) {
                free_request(request);
            } else if (!request->is_added && !request->is_done) {
                request->is_added = true;
                curl.multi_add_handle(client->multi, request->easy);
            }
        }
    }
    collect(client);
}

static void on_idle_timer(void *data)
{
    struct http_request *request = data;
    int64_t silent_ms = clock_monotonic_ms() - request->last_byte_ms;
    struct error err = {0};

    request->idle_timer = NULL;
    if (silent_ms < (int64_t)request->idle_timeout_ms) {
        request->idle_timer = timer_start(
            request->client->loop, request->idle_timeout_ms - (uint64_t)silent_ms, on_idle_timer, request);
        return;
    }
    error_set(&err, ERROR_TIMEOUT, "%s: nothing received for %llu ms", request->shown_url,
              (unsigned long long)request->idle_timeout_ms);
    end_request(request, &err);
}

/* --- Set-up --- */

/* URL without user, password and query; whether it points to this machine, where no proxy helps. */
static char *show_url(const char *url, bool *is_loopback)
{
    CURLU *parts = curl.url();
    char *host = NULL;
    char *shown = NULL;
    char *copy = NULL;

    *is_loopback = false;
    if (curl.url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK) {
        curl.url_set(parts, CURLUPART_USER, NULL, 0);
        curl.url_set(parts, CURLUPART_PASSWORD, NULL, 0);
        curl.url_set(parts, CURLUPART_QUERY, NULL, 0);
        curl.url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
        if (curl.url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK)
            *is_loopback =
                str_starts_with(host, "127.") || strcasecmp(host, "localhost") == 0 || str_eq(host, "[::1]");
        if (curl.url_get(parts, CURLUPART_URL, &shown, 0) == CURLUE_OK)
            copy = xstrdup(shown);
    }
    curl.free(host);
    curl.free(shown);
    curl.url_cleanup(parts);
    return copy ? copy : xstrndup(url, strcspn(url, "?#@"));
}

static int set_headers(struct http_request *request, const char *const *headers, struct error *err)
{
    for (; headers != NULL && *headers != NULL; headers++) {
        if (strpbrk(*headers, "\r\n") != NULL)
            return error_set(err, ERROR_CONFIG, "header \"%.*s\" has a line break in its value",
                             (int)strcspn(*headers, ":"), *headers);
        request->headers = curl.slist_append(request->headers, *headers);
    }
    /* Waiting for "100 Continue" costs a round trip, and a second with servers that do not know it. */
    request->headers = curl.slist_append(request->headers, "Expect:");
    curl.easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
    return 0;
}

static void set_method(struct http_request *request, const struct http_request_options *o)
{
    curl_off_t total = 0;

    for (size_t i = 0; i < o->body_count; i++)
        total += (curl_off_t)o->body[i].len;
    if (o->body_count > 0 || str_eq(o->method, "POST")) {
        curl.easy_setopt(request->easy, CURLOPT_POST, 1L);
        curl.easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE_LARGE, total);
        if (o->body_count == 1 || total == 0)
            curl.easy_setopt(request->easy, CURLOPT_POSTFIELDS, total ? o->body[0].data : "");
    }
    if (!str_eq(o->method, "POST") && !str_eq(o->method, "GET"))
        curl.easy_setopt(request->easy, CURLOPT_CUSTOMREQUEST, o->method);
    request->pieces = xcalloc(o->body_count + 1, sizeof(*request->pieces));
    if (o->body_count > 0)
        memcpy(request->pieces, o->body, o->body_count * sizeof(*request->pieces));
    request->piece_count = o->body_count;
    if (total <= SMALL_BODY_BYTES) /* libcurl's own are 64 and 16 KiB for each request on its way */
        curl.easy_setopt(request->easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    curl.easy_setopt(request->easy, CURLOPT_BUFFERSIZE, 8192L);
    curl.easy_setopt(request->easy, CURLOPT_READFUNCTION, give_body);
    curl.easy_setopt(request->easy, CURLOPT_READDATA, request);
    curl.easy_setopt(request->easy, CURLOPT_SEEKFUNCTION, seek_body);
    curl.easy_setopt(request->easy, CURLOPT_SEEKDATA, request);
}

static void set_transfer(struct http_request *request, const struct http_request_options *o, bool is_loopback)
{
    CURL *easy = request->easy;
    uint64_t connect_ms = o->connect_timeout_ms ? o->connect_timeout_ms : DEFAULT_CONNECT_TIMEOUT_MS;

    curl.easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl.easy_setopt(easy, CURLOPT_URL, o->url);
    curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl.easy_setopt(easy, CURLOPT_USERAGENT, "cadre/" CADRE_VERSION);
    curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl.easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl.easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     o->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl.easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)o->total_timeout_ms);
    curl.easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, request->curl_text);
    curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl.easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl.easy_setopt(easy, CURLOPT_WRITEDATA, request);
    if (is_loopback)
        curl.easy_setopt(easy, CURLOPT_PROXY, "");
}

/* Before the first request. */
static int open_multi(struct http_client *client, struct error *err)
{
    static bool is_initialised; /* libcurl's own global state, once a process */

    if (client->multi != NULL)
        return 0;
    if (late_library_load(&library, err) < 0)
        return -1;
    if (!is_initialised) {
        curl.global_init(CURL_GLOBAL_DEFAULT);
        is_initialised = true;
    }
    client->multi = curl.multi_init();
    if (client->multi == NULL)
        return error_set(err, ERROR_INTERNAL, "libcurl gives no multi handle");
    curl.multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl.multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl.multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl.multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl.multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
    return 0;
}

struct http_request *http_request_start(struct http_client *client,
                                        const struct http_request_options *options, struct error *err)
{
    struct http_request *request;
    bool is_loopback;

    if (open_multi(client, err) < 0)
        return NULL;
    request = xcalloc(1, sizeof(*request));
    request->client = client;
    request->easy = curl.easy_init();
    if (request->easy == NULL) {
        free(request);
        error_set(err, ERROR_INTERNAL, "libcurl gives no handle");
        return NULL;
    }
    vec_push(&client->requests, request);
    request->on_headers = options->on_headers;
    request->on_body = options->on_body;
    request->on_done = options->on_done;
    request->data = options->data;
    request->done_on_destroy = options->done_on_destroy && options->on_done != NULL;
    request->max_body_bytes = options->max_body_bytes ? options->max_body_bytes : DEFAULT_BODY_BYTES;
    request->shown_url = show_url(options->url, &is_loopback);
    set_transfer(request, options, is_loopback);
    set_method(request, options);
    if (set_headers(request, options->headers, err) < 0) {
        free_request(request);
        return NULL;
    }
    request->last_byte_ms = clock_monotonic_ms();
    request->idle_timeout_ms = options->idle_timeout_ms;
    if (request->idle_timeout_ms > 0)
        request->idle_timer = timer_start(client->loop, request->idle_timeout_ms, on_idle_timer, request);
    if (client->in_action) {
        client->needs_settling = true;
    } else {
        request->is_added = true;
        curl.multi_add_handle(client->multi, request->easy);
    }
    return request;
}

int http_request_status(const struct http_request *request)
{
    return request->status;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    size_t name_len = strlen(name);
    const char *found = NULL;

    for (size_t at = 0; at < request->answer_headers.len;) {
        const char *line = request->answer_headers.data + at;

        if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':')
            found = line + name_len + 1 + strspn(line + name_len + 1, " \t");
        at += strlen(line) + 1;
    }
    return found;
}

void http_request_cancel(struct http_request *request)
{
    if (request == NULL || request->is_done || request->is_cancelled)
        return;
    request->is_cancelled = true;
    if (request->client->in_action)
        request->client->needs_settling = true;
    else
        free_request(request);
}

/* --- The client --- */

struct http_client *http_client_create(struct loop *loop)
{
    struct http_client *client = xcalloc(1, sizeof(*client));

    client->loop = loop;
    return client;
}

struct loop *http_client_loop(const struct http_client *client)
{
    return client->loop;
}

void http_client_destroy(struct http_client *client)
{
    if (client == NULL)
        return;
    assert(!client->in_action);
    while (client->requests.len > 0) {
        struct http_request *request = client->requests.items[client->requests.len - 1];

        if (request->done_on_destroy && !request->is_done && !request->is_cancelled) {
            struct error err = {0};

            error_set(&err, ERROR_CANCELLED, "%s: given up", request->shown_url);
            request->is_done = true;
            request->on_done(request->data, &err);
        }
        free_request(request);
    }
    if (client->multi != NULL)
        curl.multi_cleanup(client->multi);
    timer_cancel(client->timer);
    vec_finish(&client->requests);
    free(client);
}
