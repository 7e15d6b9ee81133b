/* team/control.c: see control.h. */
#include "team/control.h"

#include "agent/inbox.h"
#include "agent/runner.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "base/vec.h"
#include "io/fiber.h"
#include "io/jsonrpc.h"
#include "io/jsonrpc_stream.h"
#include "io/loop.h"
#include "io/unix_socket.h"
#include "store/journal.h"
#include "store/run_dir.h"
#include "team/run_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ORDER_MAX_BYTES   ((size_t)1 << 20)
#define MAX_CONNECTIONS   32
#define UNREAD_MAX_BYTES  ((size_t)16 << 20) /* events wait no longer for one who does not read */
#define ORDER_KIND        "order"

struct connection {
    struct run_control *control;
    int fd;
    struct jsonrpc_stream *stream;
    struct timer *later;
    bool is_attached;
};

struct run_control {
    struct run *run;
    struct unix_listener *listener;
    struct vec connections; /* of struct connection * */
};

char *run_control_path(const char *id)
{
    char *dir = run_dir_path(id);
    char *path = path_join(dir, "control.sock");

    free(dir);
    return path;
}

/* --- Orders ------------------------------------------------------------------------------------------------ */

static struct task *named_task(struct run *run, const json_t *params, struct error *err)
{
    const char *id = json_get_string(params, "task", "");
    struct task *task = run_find_task(run, id);
    struct buf known = BUF_INIT;

    if (task != NULL)
        return task;
    for (size_t i = 0; i < run->tasks.len; i++)
        buf_printf(&known, "%s%s", i > 0 ? ", " : "", ((struct task *)run->tasks.items[i])->id);
    error_set(err, ERROR_NOT_FOUND, "the run has no task '%s'; it has %s", id,
              known.len > 0 ? buf_cstr(&known) : "none yet");
    buf_free(&known);
    return NULL;
}

static int order_retry(struct run *run, const json_t *params, struct error *err)
{
    struct task *task = named_task(run, params, err);

    if (task == NULL)
        return -1;
    if (task->state != TASK_BLOCKED && task->state != TASK_DROPPED)
        return error_set(err, ERROR_USAGE, "task %s is %s: only a blocked or dropped task can be tried again", task->id,
                         task_state_name(task->state));
    task->state = TASK_READY;
    task->attempt = 0;
    task->gate_rounds = 0;
    task->same_failures = 0;
    if (run_save_task(run, task, err) < 0)
        return -1;
    run_emit(run, json_pack("{s:s, s:s, s:s}", "type", "task.retried", "task", task->id, "by", "person"));
    run_log_line(run, "%s may be tried again, by a person", task->id);
    return 0;
}

static int order_drop(struct run *run, const json_t *params, struct error *err)
{
    struct task *task = named_task(run, params, err);

    if (task == NULL)
        return -1;
    if (task->state == TASK_MERGED)
        return error_set(err, ERROR_USAGE, "task %s is merged already", task->id);
    if (task->state == TASK_DROPPED || task->is_given_up)
        return 0;
    if (task->state == TASK_COMMITTED && run->is_integrating)
        return error_set(err, ERROR_USAGE, "task %s is in the merge queue; try again when its batch is done", task->id);
    if (task->worker != NULL) {
        task->is_given_up = true;
        fiber_cancel(task->worker);
    } else {
        task->state = TASK_DROPPED;
    }
    free(task->outcome);
    task->outcome = xstrdup("dropped by a person");
    if (run_save_task(run, task, err) < 0)
        return -1;
    run_emit(run, json_pack("{s:s, s:s, s:s}", "type", "task.dropped", "task", task->id, "by", "person"));
    run_log_line(run, "%s dropped by a person", task->id);
    return 0;
}

static int order_pause(struct run *run, bool paused)
{
    if (run->is_paused == paused)
        return 0;
    run->is_paused = paused;
    office_pause(run->office, paused);
    run_emit(run, json_pack("{s:s}", "type", paused ? "run.paused" : "run.continued"));
    if (!paused && run->fiber != NULL)
        fiber_wake(run->fiber);
    return 0;
}

static int order_say(struct run *run, const json_t *params, struct error *err)
{
    const char *text = json_get_string(params, "text", "");
    const char *thread = json_get_string(params, "thread", "");

    if (str_is_empty(text))
        return error_set(err, ERROR_USAGE, "there is nothing to say: a text is expected");
    return office_say(run->office, thread, text, err);
}

int run_control_order(struct run *run, const char *method, const json_t *params, struct error *err)
{
    if (strcmp(method, "retry") == 0)
        return order_retry(run, params, err);
    if (strcmp(method, "drop") == 0)
        return order_drop(run, params, err);
    if (strcmp(method, "pause") == 0)
        return order_pause(run, true);
    if (strcmp(method, "continue") == 0)
        return order_pause(run, false);
    if (strcmp(method, "answer") == 0)
        return inbox_answer(office_inbox(run->office), json_get_string(params, "approval", ""),
                            json_get_bool(params, "allow", false), json_get_bool(params, "for_run", false), "terminal",
                            json_get_string(params, "reason", NULL), err);
    if (strcmp(method, "say") == 0)
        return order_say(run, params, err);
    if (strcmp(method, "stop") == 0) {
        if (run->fiber != NULL)
            fiber_cancel(run->fiber);
        return 0;
    }
    return error_set(err, ERROR_NOT_FOUND, "the run knows no order '%s'", method);
}

int control_leave_order(const char *run_id, const char *method, const char *task, struct error *err)
{
    char *path = run_dir_journal(run_id);
    struct journal *journal = journal_open(path, err);
    json_t *order = json_pack("{s:s}", "method", method);
    struct buf text = BUF_INIT;
    int rc = -1;

    if (journal != NULL) {
        json_append_value(&text, order);
        rc = journal_put(journal, ORDER_KIND, task, text.data, err);
    }
    journal_close(journal);
    json_decref(order);
    buf_free(&text);
    free(path);
    return rc;
}

struct left_order {
    char *task;
    char *method;
};

static bool collect_order(void *data, const char *key, const char *text)
{
    struct vec *orders = data;
    json_t *json = json_parse(text, strlen(text), "journal", NULL);
    struct left_order *order = xcalloc(1, sizeof *order);

    order->task = xstrdup(key);
    order->method = xstrdup(json_get_string(json, "method", ""));
    vec_push(orders, order);
    json_decref(json);
    return true;
}

int run_control_take_orders(struct run *run, struct error *err)
{
    struct vec orders = {0};
    int rc = journal_each(run->journal, ORDER_KIND, collect_order, &orders, err);

    for (size_t i = 0; i < orders.len; i++) {
        struct left_order *order = orders.items[i];
        json_t *params = json_pack("{s:s}", "task", order->task);
        struct error refused = {0};

        if (rc == 0 && run_control_order(run, order->method, params, &refused) < 0)
            log_warning("%s %s: %s", order->method, order->task, refused.text);
        if (rc == 0)
            rc = journal_delete(run->journal, ORDER_KIND, order->task, err);
        json_decref(params);
        free(order->task);
        free(order->method);
        free(order);
    }
    vec_finish(&orders);
    return rc;
}

/* --- The socket ---------------------------------------------------------------------------------------------- */

static void append_status(struct buf *out, const struct run *run)
{
    json_t *tasks = json_array();
    json_t *status;

    for (size_t i = 0; i < run->tasks.len; i++) {
        const struct task *task = run->tasks.items[i];

        json_array_append_new(tasks, json_pack("{s:s, s:s, s:i}", "task", task->id, "state",
                                               task_state_name(task->state), "attempt", task->attempt));
    }
    status = json_pack("{s:s, s:s, s:i, s:b, s:o, s:o}", "run", run->id, "phase", run_phase_name(run->phase), "batch",
                       run->batch, "paused", run->is_paused, "threads", office_threads(run->office), "tasks", tasks);
    json_append_value(out, status);
    json_decref(status);
}

static void on_call(void *data, struct jsonrpc_call *call, const char *method, const json_t *params)
{
    struct connection *c = data;
    struct run *run = c->control->run;
    struct error err = {0};

    if (strcmp(method, "status") == 0) {
        struct buf status = BUF_INIT;

        append_status(&status, run);
        jsonrpc_reply(call, buf_cstr(&status));
        buf_free(&status);
        return;
    }
    if (strcmp(method, "approvals") == 0) {
        json_t *list = inbox_list(office_inbox(run->office));
        struct buf text = BUF_INIT;

        json_append_value(&text, list);
        jsonrpc_reply(call, buf_cstr(&text));
        json_decref(list);
        buf_free(&text);
        return;
    }
    if (strcmp(method, "attach") == 0) {
        c->is_attached = true;
        jsonrpc_reply(call, "{}");
        return;
    }
    if (run_control_order(run, method, params, &err) < 0)
        jsonrpc_reply_error(call, err.code == ERROR_NOT_FOUND ? JSONRPC_INVALID_PARAMS : JSONRPC_INTERNAL_ERROR,
                            err.text);
    else
        jsonrpc_reply(call, "{}");
}

static void connection_free(struct connection *c)
{
    timer_cancel(c->later);
    jsonrpc_stream_destroy(c->stream);
    close(c->fd);
    free(c);
}

static void drop_connection(void *data)
{
    struct connection *c = data;

    c->later = NULL;
    (void)vec_remove_item(&c->control->connections, c);
    connection_free(c);
}

static void on_closed(void *data, const struct error *why)
{
    struct connection *c = data;

    (void)why;
    c->is_attached = false;
    if (c->later == NULL) /* not within the stream's own callback */
        c->later = timer_start(c->control->run->loop, 0, drop_connection, c);
}

static void on_connection(void *data, int fd)
{
    struct run_control *control = data;
    struct connection *c;
    struct jsonrpc_options options = {.on_call = on_call, .max_message_bytes = ORDER_MAX_BYTES};

    if (control->connections.len >= MAX_CONNECTIONS) {
        close(fd);
        return;
    }
    c = xcalloc(1, sizeof *c);
    c->control = control;
    c->fd = fd;
    options.data = c;
    c->stream = jsonrpc_stream_create(control->run->loop, fd, fd, &options, on_closed, c);
    vec_push(&control->connections, c);
}

struct run_control *run_control_open(struct run *run)
{
    struct run_control *control = xcalloc(1, sizeof *control);
    char *path = run_control_path(run->id);
    struct error err = {0};

    control->run = run;
    control->listener = unix_listener_create(run->loop, path, on_connection, control, &err);
    free(path);
    if (control->listener != NULL)
        return control;
    log_warning("other terminals cannot reach this run: %s", err.text);
    free(control);
    return NULL;
}

void run_control_close(struct run_control *control)
{
    if (control == NULL)
        return;
    unix_listener_destroy(control->listener);
    for (size_t i = 0; i < control->connections.len; i++)
        connection_free(control->connections.items[i]);
    vec_finish(&control->connections);
    free(control);
}

void run_control_event(struct run_control *control, const json_t *event)
{
    struct buf text = BUF_INIT;

    if (control == NULL)
        return;
    for (size_t i = 0; i < control->connections.len; i++) {
        struct connection *c = control->connections.items[i];

        if (!c->is_attached)
            continue;
        if (jsonrpc_stream_queued_bytes(c->stream) > UNREAD_MAX_BYTES) {
            on_closed(c, NULL);
            continue;
        }
        if (text.len == 0)
            json_append_value(&text, event);
        jsonrpc_notify(jsonrpc_stream_rpc(c->stream), "event", text.data);
    }
    buf_free(&text);
}
