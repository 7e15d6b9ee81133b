/* io/http_server.c: libmicrohttpd with its epoll descriptor in the loop.
 *
 *     request:  READING --complete--> HANDLED (on_request)
 *     answer:   WAITING --reply/begin--> QUEUED --end--> sent, or --abort--> cut
 *
 * While it waits for its answer or for more of a streamed one, a connection is suspended; libmicrohttpd runs
 * again (deferred, never from within a caller) when that changes. A suspended connection is not watched, so
 * that a peer's leaving shows with the next write. */
#include "io/http_server.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/vec.h"
#include "io/late_library.h"
#include "io/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_BODY_BYTES ((size_t)64 << 20)
#define STREAM_BLOCK_BYTES ((size_t)32 * 1024)
#define CONNECTION_LIMIT   4096U

/* libmicrohttpd is loaded with the first server (io/late_library.h); each entry has the type that microhttpd.h declares. */
#define MHD_FUNCTIONS(X)                                                                                     \
    X(add_response_header)                                                                                   \
    X(create_response_from_buffer)                                                                           \
    X(create_response_from_callback)                                                                         \
    X(destroy_response)                                                                                      \
    X(get_daemon_info)                                                                                       \
    X(get_timeout)                                                                                           \
    X(lookup_connection_value)                                                                               \
    X(queue_response)                                                                                        \
    X(resume_connection)                                                                                     \
    X(run)                                                                                                   \
    X(start_daemon)                                                                                          \
    X(stop_daemon)                                                                                           \
    X(suspend_connection)
#define MHD_POINTER(name) __typeof__(MHD_##name) *name;
#define MHD_NAME(name)    "MHD_" #name,
static struct {
    MHD_FUNCTIONS(MHD_POINTER)
} mhd;
static const char *const mhd_names[] = {MHD_FUNCTIONS(MHD_NAME)};
static struct late_library library = {.file = "libmicrohttpd.so.12",
                                      .package = "libmicrohttpd12",
                                      .purpose = "a server of HTTP",
                                      .names = mhd_names,
                                      .count = sizeof(mhd_names) / sizeof(mhd_names[0]),
                                      .table = &mhd};

struct http_server {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    struct watch *watch;
    struct timer *timer;
    struct vec exchanges;
    uint16_t port;
    size_t max_body_bytes;
    bool is_closing;
    void (*on_request)(void *data, struct http_exchange *exchange);
    void *data;
};

enum answer_state {
    ANSWER_WAITING,
    ANSWER_GIVEN,  /* begun or whole; libmicrohttpd has not asked for it yet */
    ANSWER_QUEUED, /* libmicrohttpd has it */
};

struct http_exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    char *method;
    char *path;
    struct buf body;
    bool is_too_large;
    bool is_complete; /* the request; on_request was called */
    enum answer_state state;
    bool is_suspended;
    bool is_streamed;
    bool is_ended;
    bool is_aborted;
    bool is_released; /* on_closed was called: nobody holds it any more */
    unsigned status;
    struct MHD_Response *whole; /* a whole answer, until it is queued */
    struct vec headers;         /* pairs of owned strings: name, value */
    struct buf stream;          /* written, not taken yet */
    void (*on_closed)(void *data);
    void *closed_data;
};

/* --- Running libmicrohttpd --- */

static void arm_timer(struct http_server *server);

static void run_now(struct http_server *server)
{
    mhd.run(server->daemon);
    arm_timer(server);
}

static void on_ready(void *data, int events)
{
    (void)events;
    run_now(data);
}

static void on_timer(void *data)
{
    struct http_server *server = data;

    server->timer = NULL;
    run_now(server);
}

static void arm_timer(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG delay_ms;

    timer_cancel(server->timer);
    server->timer = NULL;
    if (mhd.get_timeout(server->daemon, &delay_ms) == MHD_YES)
        server->timer = timer_start(server->loop, delay_ms, on_timer, server);
}

/* A zero timer serves as a deferred call that can be cancelled. */
static void run_soon(struct http_server *server)
{
    if (server->is_closing)
        return;
    timer_cancel(server->timer);
    server->timer = timer_start(server->loop, 0, on_timer, server);
}

static void wake(struct http_exchange *exchange)
{
    if (!exchange->is_suspended)
        return;
    exchange->is_suspended = false;
    mhd.resume_connection(exchange->connection);
    run_soon(exchange->server);
}

/* --- Life of an exchange --- */

static void release(struct http_exchange *exchange)
{
    if (exchange->is_released)
        return;
    exchange->is_released = true;
    if (exchange->on_closed != NULL)
        exchange->on_closed(exchange->closed_data);
}

static void free_exchange(struct http_exchange *exchange)
{
    vec_remove_item(&exchange->server->exchanges, exchange);
    for (size_t i = 0; i < exchange->headers.len; i++)
        free(exchange->headers.items[i]);
    vec_finish(&exchange->headers);
    if (exchange->whole != NULL)
        mhd.destroy_response(exchange->whole);
    buf_free(&exchange->body);
    buf_free(&exchange->stream);
    free(exchange->method);
    free(exchange->path);
    free(exchange);
}

/* libmicrohttpd is done with the request, well or badly: the last use of the exchange. */
static void on_completed(void *user, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode code)
{
    struct http_exchange *exchange = *slot;

    (void)user;
    (void)connection;
    (void)code;
    if (exchange == NULL)
        return;
    *slot = NULL;
    if (exchange->is_complete)
        release(exchange);
    free_exchange(exchange);
}

/* --- Answers --- */

static ssize_t give_stream(void *user, uint64_t position, char *to, size_t room)
{
    struct http_exchange *exchange = user;
    size_t n = exchange->stream.len < room ? exchange->stream.len : room;

    (void)position;
    if (n > 0) {
        memcpy(to, exchange->stream.data, n);
        buf_consume(&exchange->stream, n);
        return (ssize_t)n;
    }
    if (exchange->is_aborted)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (exchange->is_ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    exchange->is_suspended = true;
    mhd.suspend_connection(exchange->connection);
    return 0;
}

static void add_headers(const struct http_exchange *exchange, struct MHD_Response *response)
{
    for (size_t i = 0; i + 1 < exchange->headers.len; i += 2)
        mhd.add_response_header(response, exchange->headers.items[i], exchange->headers.items[i + 1]);
}

static enum MHD_Result queue_answer(struct http_exchange *exchange)
{
    struct MHD_Response *response = exchange->whole;
    enum MHD_Result rc;

    exchange->state = ANSWER_QUEUED;
    if (exchange->is_streamed) {
        response = mhd.create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, give_stream,
                                                     exchange, NULL);
        if (exchange->is_aborted && exchange->stream.len == 0) {
            mhd.destroy_response(response);
            return MHD_NO;
        }
    }
    exchange->whole = NULL;
    if (response == NULL)
        return MHD_NO; /* aborted before any answer: cuts the connection */
    add_headers(exchange, response);
    rc = mhd.queue_response(exchange->connection, exchange->status, response);
    mhd.destroy_response(response);
    return rc;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response =
        mhd.create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result rc = mhd.queue_response(connection, status, response);

    mhd.destroy_response(response);
    return rc;
}

static struct http_exchange *exchange_create(struct http_server *server, struct MHD_Connection *connection,
                                             const char *method, const char *url)
{
    struct http_exchange *exchange = xcalloc(1, sizeof(*exchange));

    exchange->server = server;
    exchange->connection = connection;
    exchange->method = xstrdup(method);
    exchange->path = xstrdup(url);
    vec_push(&server->exchanges, exchange);
    return exchange;
}

/* Called for the head of a request, for each piece of its body, once at its end, and after a resume. */
static enum MHD_Result on_access(void *user, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *bytes, size_t *n,
                                 void **slot)
{
    struct http_server *server = user;
    struct http_exchange *exchange = *slot;

    (void)version;
    if (exchange == NULL) {
        *slot = exchange_create(server, connection, method, url);
        return MHD_YES;
    }
    if (*n > 0) {
        if (exchange->body.len + *n > server->max_body_bytes)
            exchange->is_too_large = true;
        if (!exchange->is_too_large)
            buf_append(&exchange->body, bytes, *n);
        *n = 0;
        return MHD_YES;
    }
    if (exchange->is_too_large)
        return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "the request is too large\n");
    if (!exchange->is_complete) {
        exchange->is_complete = true;
        server->on_request(server->data, exchange);
    }
    if (exchange->state == ANSWER_GIVEN)
        return queue_answer(exchange);
    if (exchange->state == ANSWER_WAITING) {
        exchange->is_suspended = true;
        mhd.suspend_connection(connection);
    }
    return MHD_YES;
}

void http_exchange_add_header(struct http_exchange *exchange, const char *name, const char *value)
{
    vec_push(&exchange->headers, xstrdup(name));
    vec_push(&exchange->headers, xstrdup(value));
}

void http_exchange_reply(struct http_exchange *exchange, unsigned status, const char *content_type,
                         const void *bytes, size_t n)
{
    exchange->status = status;
    if (content_type != NULL)
        http_exchange_add_header(exchange, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    exchange->whole = mhd.create_response_from_buffer(
        n, n ? (void *)(uintptr_t)bytes : (void *)(uintptr_t) "", MHD_RESPMEM_MUST_COPY);
    exchange->state = ANSWER_GIVEN;
    exchange->is_ended = true;
    wake(exchange);
    release(exchange);
}

void http_exchange_begin(struct http_exchange *exchange, unsigned status, const char *content_type)
{
    exchange->status = status;
    if (content_type != NULL)
        http_exchange_add_header(exchange, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    exchange->is_streamed = true;
    exchange->state = ANSWER_GIVEN;
    wake(exchange);
}

void http_exchange_write(struct http_exchange *exchange, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    buf_append(&exchange->stream, bytes, n);
    wake(exchange);
}

size_t http_exchange_queued(const struct http_exchange *exchange)
{
    return exchange->stream.len;
}

void http_exchange_end(struct http_exchange *exchange)
{
    exchange->is_ended = true;
    wake(exchange);
    release(exchange);
}

void http_exchange_abort(struct http_exchange *exchange)
{
    exchange->is_ended = true;
    exchange->is_aborted = true;
    if (exchange->state == ANSWER_WAITING)
        exchange->state = ANSWER_GIVEN;
    wake(exchange);
    release(exchange);
}

/* --- The request --- */

const char *http_exchange_method(const struct http_exchange *exchange)
{
    return exchange->method;
}

const char *http_exchange_path(const struct http_exchange *exchange)
{
    return exchange->path;
}

const char *http_exchange_query(const struct http_exchange *exchange, const char *name)
{
    return mhd.lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_exchange_header(const struct http_exchange *exchange, const char *name)
{
    return mhd.lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

const char *http_exchange_body(const struct http_exchange *exchange, size_t *n)
{
    if (n != NULL)
        *n = exchange->body.len;
    return buf_cstr(&exchange->body);
}

void http_exchange_on_closed(struct http_exchange *exchange, void (*on_closed)(void *data), void *data)
{
    exchange->on_closed = on_closed;
    exchange->closed_data = data;
}

/* --- The server --- */

/* Listens ourselves: libmicrohttpd does not say why it failed. */
static int listen_on_loopback(uint16_t *port, struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t address_len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0)
        return error_set_errno(err, "making a socket");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &address_len) < 0) {
        error_set_errno(err, "port %u", (unsigned)*port);
        close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

struct http_server *http_server_create(struct loop *loop, const struct http_server_options *options,
                                       struct error *err)
{
    struct http_server *server;
    const union MHD_DaemonInfo *info;
    int fd;

    if (late_library_load(&library, err) < 0)
        return NULL;
    server = xcalloc(1, sizeof(*server));
    server->loop = loop;
    server->port = options->port;
    server->max_body_bytes = options->max_body_bytes ? options->max_body_bytes : DEFAULT_BODY_BYTES;
    server->on_request = options->on_request;
    server->data = options->data;
    fd = listen_on_loopback(&server->port, err);
    if (fd < 0) {
        free(server);
        return NULL;
    }
    server->daemon =
        mhd.start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, server,
                         MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                         MHD_OPTION_CONNECTION_LIMIT, CONNECTION_LIMIT, MHD_OPTION_END);
    if (server->daemon == NULL) {
        error_set(err, ERROR_IO, "port %u: the HTTP server does not start", (unsigned)server->port);
        close(fd);
        free(server);
        return NULL;
    }
    info = mhd.get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    server->watch = watch_start(loop, info->epoll_fd, WATCH_READ, on_ready, server);
    return server;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_destroy(struct http_server *server)
{
    if (server == NULL)
        return;
    server->is_closing = true;
    /* A suspended connection may not be there when libmicrohttpd stops. */
    for (size_t i = 0; i < server->exchanges.len; i++) {
        struct http_exchange *exchange = server->exchanges.items[i];

        exchange->is_aborted = true;
        if (exchange->state == ANSWER_WAITING)
            exchange->state = ANSWER_GIVEN;
        wake(exchange);
    }
    timer_cancel(server->timer);
    watch_stop(server->watch);
    mhd.stop_daemon(server->daemon);
    while (server->exchanges.len > 0)
        free_exchange(server->exchanges.items[0]);
    vec_finish(&server->exchanges);
    free(server);
}
