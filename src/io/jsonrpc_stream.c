/* io/jsonrpc_stream.c: JSON-RPC over descriptors, with a queue for what the other side does not read yet. */
#include "io/jsonrpc_stream.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "io/jsonrpc.h"
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES      ((size_t)64 * 1024)
#define QUEUE_MAX_BYTES ((size_t)256 << 20) /* then the other side counts as dead */
#define LAST_WORDS_MS   1000

struct jsonrpc_stream {
    struct loop *loop;
    struct jsonrpc *rpc;
    int in;
    int out; /* a duplicate: one descriptor has one watch */
    struct watch *in_watch;
    struct watch *out_watch;
    struct buf queue;
    bool is_closed;
    bool *is_gone; /* where a running callback of ours learns that it was destroyed */
    struct timer *close_timer;
    struct error why;
    void (*on_closed)(void *data, const struct error *why);
    void *data;
    char read_buffer[READ_BYTES];
};

static void stop_watch(struct watch **watch)
{
    watch_stop(*watch);
    *watch = NULL;
}

static void close_now(struct jsonrpc_stream *stream)
{
    bool is_gone = false;

    stop_watch(&stream->in_watch);
    stop_watch(&stream->out_watch);
    stream->is_gone = &is_gone;
    jsonrpc_end(stream->rpc, &stream->why);
    if (is_gone)
        return;
    stream->is_gone = NULL;
    if (stream->on_closed != NULL)
        stream->on_closed(stream->data, &stream->why);
}

static void on_close_timer(void *data)
{
    struct jsonrpc_stream *stream = data;

    stream->close_timer = NULL;
    close_now(stream);
}

/* From within send(), whose caller shall not be called back. */
static void close_soon(struct jsonrpc_stream *stream)
{
    if (stream->is_closed)
        return;
    stream->is_closed = true;
    stream->close_timer = timer_start(stream->loop, 0, on_close_timer, stream);
}

static void on_writable(void *data, int events);

static void flush(struct jsonrpc_stream *stream)
{
    while (stream->queue.len > 0 && !stream->is_closed) {
        ssize_t n = write(stream->out, stream->queue.data, stream->queue.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            if (stream->out_watch == NULL)
                stream->out_watch = watch_start(stream->loop, stream->out, WATCH_WRITE, on_writable, stream);
            return;
        }
        if (n < 0) {
            error_set_errno(&stream->why, "writing to the other side");
            close_soon(stream);
            break;
        }
        buf_consume(&stream->queue, (size_t)n);
    }
    if (stream->out_watch != NULL)
        stop_watch(&stream->out_watch);
}

static void on_writable(void *data, int events)
{
    (void)events;
    flush(data);
}

static void send_bytes(void *send_data, const char *bytes, size_t n)
{
    struct jsonrpc_stream *stream = send_data;

    if (stream->is_closed)
        return;
    if (stream->queue.len + n > QUEUE_MAX_BYTES) {
        error_set(&stream->why, ERROR_LIMIT, "the other side does not read");
        close_soon(stream);
        return;
    }
    buf_append(&stream->queue, bytes, n);
    if (stream->out_watch == NULL)
        flush(stream);
}

static void on_readable(void *data, int events)
{
    struct jsonrpc_stream *stream = data;
    ssize_t n = read(stream->in, stream->read_buffer, sizeof(stream->read_buffer));

    (void)events;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0) {
        struct error err = {0};

        if (jsonrpc_feed(stream->rpc, stream->read_buffer, (size_t)n, &err) == 0)
            return; /* and the stream may be gone */
        stream->why = err;
    } else if (n < 0) {
        error_set_errno(&stream->why, "reading from the other side");
    }
    if (stream->is_closed)
        return; /* it is on its way */
    stream->is_closed = true;
    close_now(stream);
}

struct jsonrpc_stream *jsonrpc_stream_create(struct loop *loop, int in, int out,
                                             const struct jsonrpc_options *options,
                                             void (*on_closed)(void *data, const struct error *why),
                                             void *data)
{
    struct jsonrpc_stream *stream = xcalloc(1, sizeof(*stream));
    struct jsonrpc_options rpc_options = *options;

    stream->loop = loop;
    stream->in = in;
    stream->out = fcntl(out, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    stream->on_closed = on_closed;
    stream->data = data;
    rpc_options.send = send_bytes;
    rpc_options.send_data = stream;
    stream->rpc = jsonrpc_create(loop, &rpc_options);
    fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
    fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
    stream->in_watch = watch_start(loop, in, WATCH_READ, on_readable, stream);
    return stream;
}

size_t jsonrpc_stream_queued_bytes(const struct jsonrpc_stream *stream)
{
    return stream->queue.len;
}

struct jsonrpc *jsonrpc_stream_rpc(struct jsonrpc_stream *stream)
{
    return stream->rpc;
}

void jsonrpc_stream_destroy(struct jsonrpc_stream *stream)
{
    int64_t deadline_ms = clock_monotonic_ms() + LAST_WORDS_MS;

    if (stream == NULL)
        return;
    if (stream->is_gone != NULL)
        *stream->is_gone = true;
    while (stream->queue.len > 0 && error_is_set(&stream->why) == false) {
        struct pollfd ready = {.fd = stream->out, .events = POLLOUT};
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        ssize_t n;

        if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) <= 0)
            break;
        n = write(stream->out, stream->queue.data, stream->queue.len);
        if (n <= 0)
            break;
        buf_consume(&stream->queue, (size_t)n);
    }
    timer_cancel(stream->close_timer);
    if (stream->in_watch != NULL)
        stop_watch(&stream->in_watch);
    if (stream->out_watch != NULL)
        stop_watch(&stream->out_watch);
    jsonrpc_destroy(stream->rpc);
    close(stream->out);
    buf_free(&stream->queue);
    free(stream);
}
