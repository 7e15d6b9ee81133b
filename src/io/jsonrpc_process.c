/* io/jsonrpc_process.c: a child that speaks JSON-RPC on its standard input and output. */
#include "io/jsonrpc_process.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "io/fiber.h"
#include "io/jsonrpc.h"
#include "io/loop.h"
#include "io/process.h"

#include <stdlib.h>
#include <string.h>

#define STDERR_KEPT_BYTES ((size_t)4096)

struct jsonrpc_process {
    struct loop *loop;
    struct process *process;
    struct jsonrpc *rpc;
    char *name;
    struct buf last_stderr;
    struct error why;
    bool has_ended;
    bool is_stopping;
    struct fiber *stopper;
    struct timer *grace_timer;
    bool *is_gone; /* where a running callback of ours learns that it was destroyed */
    void (*on_stderr)(void *data, const char *bytes, size_t n);
    void (*on_ended)(void *data, const struct error *why);
    void *data;
};

static void send_to_child(void *send_data, const char *bytes, size_t n)
{
    struct jsonrpc_process *p = send_data;

    if (p->process != NULL)
        process_write(p->process, bytes, n);
}

static void keep_stderr(struct jsonrpc_process *p, const char *bytes, size_t n)
{
    buf_append(&p->last_stderr, bytes, n);
    if (p->last_stderr.len > STDERR_KEPT_BYTES)
        buf_consume(&p->last_stderr, p->last_stderr.len - STDERR_KEPT_BYTES);
}

static void on_output(void *data, int fd, const char *bytes, size_t n)
{
    struct jsonrpc_process *p = data;
    struct error err = {0};

    if (fd == 2) {
        keep_stderr(p, bytes, n);
        if (p->on_stderr != NULL)
            p->on_stderr(p->data, bytes, n);
        return;
    }
    if (jsonrpc_feed(p->rpc, bytes, n, &err) < 0) {
        p->why = err;
        error_wrap(&p->why, "%s", p->name);
        process_kill(p->process, 0);
    }
}

/* The last line that it wrote to standard error says more than an exit code. */
static void describe_end(struct jsonrpc_process *p, const struct process_exit *exit)
{
    char *text = str_trim(p->last_stderr.data ? p->last_stderr.data : (char[]){""});
    char *line = strrchr(text, '\n');

    if (exit->signal != 0)
        error_set(&p->why, ERROR_IO, "%s: killed by signal %d", p->name, exit->signal);
    else
        error_set(&p->why, ERROR_IO, "%s: exited with code %d", p->name, exit->exit_code);
    if (text[0] != '\0')
        error_hint(&p->why, "it wrote: %s", line ? line + 1 : text);
}

static void on_exit_of_child(void *data, const struct process_exit *exit)
{
    struct jsonrpc_process *p = data;
    bool is_gone = false;

    if (!error_is_set(&p->why))
        describe_end(p, exit);
    p->has_ended = true;
    p->is_gone = &is_gone;
    jsonrpc_end(p->rpc, &p->why);
    if (is_gone)
        return;
    p->is_gone = NULL;
    if (p->stopper != NULL)
        fiber_wake(p->stopper);
    else if (!p->is_stopping && p->on_ended != NULL)
        p->on_ended(p->data, &p->why);
}

struct jsonrpc_process *
jsonrpc_process_start(struct loop *loop, const struct jsonrpc_process_options *options, struct error *err)
{
    struct jsonrpc_process *p = xcalloc(1, sizeof(*p));
    struct jsonrpc_options rpc_options = *options->rpc;
    const struct process_options process_options = {
        .argv = options->argv,
        .env = options->env,
        .cwd = options->cwd,
        .want_stdin = true,
        .on_output = on_output,
        .on_exit = on_exit_of_child,
        .data = p,
    };

    p->process = process_start(loop, &process_options, err);
    if (p->process == NULL) {
        free(p);
        return NULL;
    }
    p->loop = loop;
    p->name = xstrdup(options->argv[0]);
    p->on_stderr = options->on_stderr;
    p->on_ended = options->on_ended;
    p->data = options->data;
    rpc_options.send = send_to_child;
    rpc_options.send_data = p;
    p->rpc = jsonrpc_create(loop, &rpc_options);
    return p;
}

struct jsonrpc *jsonrpc_process_rpc(struct jsonrpc_process *p)
{
    return p->rpc;
}

struct process *jsonrpc_process_process(struct jsonrpc_process *p)
{
    return p->process;
}

static void on_grace_over(void *data)
{
    struct jsonrpc_process *p = data;

    p->grace_timer = NULL;
    process_kill(p->process, 0);
}

void jsonrpc_process_stop(struct jsonrpc_process *p, uint64_t grace_ms)
{
    p->is_stopping = true;
    if (p->has_ended)
        return;
    process_close_stdin(p->process);
    p->stopper = fiber_current();
    if (grace_ms == 0)
        process_kill(p->process, 0);
    else
        p->grace_timer = timer_start(p->loop, grace_ms, on_grace_over, p);
    if (p->stopper != NULL)
        fiber_shield(true);
    while (!p->has_ended) {
        if (p->stopper != NULL)
            fiber_wait(NULL);
        else
            loop_run_once(p->loop, true);
    }
    if (p->stopper != NULL)
        fiber_shield(false);
    p->stopper = NULL;
    timer_cancel(p->grace_timer);
    p->grace_timer = NULL;
}

void jsonrpc_process_destroy(struct jsonrpc_process *p)
{
    if (p == NULL)
        return;
    if (p->is_gone != NULL)
        *p->is_gone = true;
    process_destroy(p->process);
    p->process = NULL;
    jsonrpc_destroy(p->rpc);
    buf_free(&p->last_stderr);
    free(p->name);
    free(p);
}
