/* agent/rpc_program.c: see rpc_program.h. */
#include "agent/rpc_program.h"

#include "agent/carrier.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "io/fiber.h"
#include "io/jsonrpc.h"
#include "io/loop.h"
#include "io/process.h"
#include "sandbox/exec_helper.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE_BYTES ((size_t)16 << 20)
#define MAX_TURN_BYTES    ((size_t)512 << 20) /* that it sends in a turn */
#define MAX_ANSWER_BYTES  ((size_t)64 << 20)  /* that we send in a turn: nobody may read it */
#define MAX_STDERR_BYTES  ((size_t)8192)

struct rpc_program {
    struct carried_thread *thread;
    struct jsonrpc *rpc;
    struct process *process;
    bool is_ready;
    bool has_ended;
    struct error why_ended;
    struct buf last_stderr;
    size_t received, answered; /* in this turn */
    /* The request that a fiber waits for. */
    struct jsonrpc_request *request;
    bool has_answer;
    json_t *result;
    json_t *refusal;
    struct error request_err;
    struct timer *grace; /* of a stopped turn */
};

static const char *name_of(const struct rpc_program *p)
{
    return carried_options(p->thread)->runner->argv.items[0];
}

/* --- The process ------------------------------------------------------------------------------------------------------ */

/* Ends the turn, and what it still sends is not read. */
static void give_up(struct rpc_program *p, struct error *err)
{
    error_wrap(err, "%s", name_of(p));
    if (!p->has_ended) {
        p->has_ended = true;
        p->why_ended = *err;
        process_kill(p->process, 0);
    }
    carried_stop(p->thread, err);
}

static void send_to_program(void *send_data, const char *bytes, size_t n)
{
    struct rpc_program *p = send_data;

    p->answered += n;
    if (p->process != NULL && !p->has_ended && p->answered <= MAX_ANSWER_BYTES)
        process_write(p->process, bytes, n);
}

static void on_output(void *data, int fd, const char *bytes, size_t n)
{
    struct rpc_program *p = data;
    struct error err = {0};

    if (fd == 2) {
        buf_append(&p->last_stderr, bytes, n);
        if (p->last_stderr.len > MAX_STDERR_BYTES)
            buf_consume(&p->last_stderr, p->last_stderr.len - MAX_STDERR_BYTES);
        return;
    }
    if (p->has_ended)
        return;
    p->received += n;
    if (p->received > MAX_TURN_BYTES || p->answered > MAX_ANSWER_BYTES)
        error_set(&err, ERROR_LIMIT, "it sent more than a turn may hold");
    if (error_is_set(&err) || jsonrpc_feed(p->rpc, bytes, n, &err) < 0)
        give_up(p, &err);
}

static const char *last_line(struct buf *text)
{
    char *all;
    char *line;

    if (text->data == NULL)
        return "";
    all = str_trim(text->data);
    line = strrchr(all, '\n');
    return line == NULL ? all : line + 1;
}

static void on_exit_of_program(void *data, const struct process_exit *exit)
{
    struct rpc_program *p = data;
    const char *text = last_line(&p->last_stderr);
    /* Before there is a session: its configuration or its installation, not the task. */
    enum error_code code = !p->is_ready ? ERROR_CONFIG : ERROR_IO;

    if (!p->has_ended) {
        p->has_ended = true;
        if (exit->exit_code == 127)
            error_set(&p->why_ended, ERROR_NOT_FOUND, "%s: command not found", name_of(p));
        else if (exit->exit_code == SANDBOX_EXIT_CODE && !p->is_ready)
            error_set(&p->why_ended, ERROR_SANDBOX, "%s", text);
        else if (exit->signal != 0)
            error_set(&p->why_ended, ERROR_IO, "%s was killed by signal %d", name_of(p), exit->signal);
        else
            error_set(&p->why_ended, code, "%s ended with exit code %d: %s", name_of(p), exit->exit_code,
                      text);
    }
    jsonrpc_end(p->rpc, &p->why_ended);
    carried_stop(p->thread, &p->why_ended);
}

/* --- Our requests -------------------------------------------------------------------------------------------------------- */

static void on_result(void *data, const json_t *result, const json_t *refusal, const struct error *err)
{
    struct rpc_program *p = data;

    p->request = NULL;
    p->has_answer = true;
    p->result = json_incref((json_t *)result);
    p->refusal = json_incref((json_t *)refusal);
    if (err != NULL)
        p->request_err = *err;
    carried_progress(p->thread);
    carried_wake(p->thread);
}

static void forget_answer(struct rpc_program *p)
{
    jsonrpc_request_cancel(p->request);
    p->request = NULL;
    json_decref(p->result);
    json_decref(p->refusal);
    p->result = NULL;
    p->refusal = NULL;
    p->has_answer = false;
    error_clear(&p->request_err);
}

/* What many agents say only in the `data` of an error. */
static void add_details(struct error *err, const json_t *data)
{
    const char *text = json_is_string(data)
                           ? json_string_value(data)
                           : json_get_string(data, "message", json_get_string(data, "details", NULL));

    if (text != NULL)
        error_hint(err, "%.500s", text);
}

int rpc_program_ask(struct rpc_program *p, const char *method, char *params, uint64_t timeout_ms,
                    struct error *err)
{
    int rc = 0;

    forget_answer(p);
    p->request = jsonrpc_request(p->rpc, method, params, timeout_ms, on_result, p);
    free(params);
    while (rc == 0 && !p->has_answer)
        rc = carried_wait(p->thread, err);
    if (rc == 0 && error_is_set(&p->request_err)) {
        *err = p->has_ended ? p->why_ended : p->request_err;
        if (!p->has_ended)
            add_details(err, json_object_get(p->refusal, "data"));
        rc = -1;
    }
    return rc;
}

/* --- Stopping -------------------------------------------------------------------------------------------------------- */

void rpc_program_kill(struct rpc_program *p)
{
    if (!process_is_running(p->process))
        return;
    if (!p->has_ended)
        error_set(&p->why_ended, ERROR_IO, "%s was stopped", name_of(p));
    p->has_ended = true;
    process_kill(p->process, 0);
}

static void on_grace_over(void *data)
{
    struct rpc_program *p = data;

    p->grace = NULL;
    rpc_program_kill(p);
    carried_wake(p->thread);
}

void rpc_program_wait_over(struct rpc_program *p, uint64_t grace_ms, bool (*is_over)(void *data), void *data)
{
    fiber_shield(true);
    p->grace = timer_start(carried_options(p->thread)->loop, grace_ms, on_grace_over, p);
    while (!is_over(data) && !p->has_ended) {
        struct error ignored = {0};

        (void)carried_wait(p->thread, &ignored);
    }
    timer_cancel(p->grace);
    p->grace = NULL;
    fiber_shield(false);
}

/* --- Life -------------------------------------------------------------------------------------------------------------- */

struct rpc_program *rpc_program_start(struct carried_thread *thread, const struct str_list *argv,
                                      const struct jsonrpc_options *serve, struct error *err)
{
    const struct carried_options *o = carried_options(thread);
    struct program_box *box = carried_box(thread);
    struct rpc_program *p = xcalloc(1, sizeof *p);
    struct jsonrpc_options rpc_options = *serve;
    struct process_options options = {
        .env = (const char *const *)box->env.items,
        .cwd = o->policy->cwd,
        .want_stdin = true,
        .on_output = on_output,
        .on_exit = on_exit_of_program,
        .data = p,
    };
    struct str_list boxed = {0};

    p->thread = thread;
    rpc_options.send = send_to_program;
    rpc_options.send_data = p;
    rpc_options.max_message_bytes = MAX_MESSAGE_BYTES;
    p->rpc = jsonrpc_create(o->loop, &rpc_options);
    if (program_box_wrap(box, argv, &boxed, err) == 0) {
        options.argv = (const char *const *)boxed.items;
        p->process = process_start(o->loop, &options, err);
    }
    str_list_finish(&boxed);
    if (p->process != NULL)
        return p;
    rpc_program_destroy(p);
    return NULL;
}

void rpc_program_destroy(struct rpc_program *p)
{
    if (p == NULL)
        return;
    forget_answer(p);
    process_destroy(p->process);
    jsonrpc_destroy(p->rpc);
    buf_free(&p->last_stderr);
    free(p);
}

struct jsonrpc *rpc_program_rpc(struct rpc_program *p)
{
    return p->rpc;
}

int rpc_program_begin_turn(struct rpc_program *p, struct error *err)
{
    p->received = 0;
    p->answered = 0;
    if (!p->has_ended)
        return 0;
    *err = p->why_ended;
    return -1;
}

void rpc_program_set_ready(struct rpc_program *p)
{
    p->is_ready = true;
}

bool rpc_program_is_ready(const struct rpc_program *p)
{
    return p->is_ready;
}

const json_t *rpc_program_result(const struct rpc_program *p)
{
    return p->result;
}

const json_t *rpc_program_refusal(const struct rpc_program *p)
{
    return p->refusal;
}

bool rpc_program_has_answer(const struct rpc_program *p)
{
    return p->has_answer;
}

bool rpc_program_has_ended(const struct rpc_program *p)
{
    return p->has_ended;
}
