/* mcp/mcp_stdio.c: a server that is a child process: one JSON object a line on its standard input and output.
 *
 * It leads a process group of its own and dies with us (io/process.h). It gets a plain environment (no keys of ours),
 * what `env` sets, and the variables that `env_vars` names. What it writes on standard output that is no message is
 * skipped without an answer; a line or an unanswered stream that is too long ends it. */
#include "mcp/mcp_transport.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "config/mcp_config.h"
#include "io/jsonrpc.h"
#include "io/jsonrpc_process.h"
#include "io/loop.h"
#include "io/process.h"
#include "mcp/mcp_message.h"

#include <stdlib.h>
#include <string.h>

#define MAX_UNANSWERED_BYTES ((size_t)32 << 20)
#define MAX_SERVER_CALLS     1000 /* that it makes between two of its answers */

struct mcp_stdio {
    struct mcp_transport base;
    struct mcp_transport_events events;
    struct loop *loop;
    struct jsonrpc_process *process;
    unsigned server_calls;
    struct timer *kill_later;
};

struct stdio_exchange {
    struct mcp_exchange base;
    struct jsonrpc_request *request;
    void (*on_result)(void *data, const json_t *result, const json_t *rpc_error, const struct error *err);
    void *data;
};

static struct jsonrpc *rpc_of(struct mcp_stdio *t)
{
    return jsonrpc_process_rpc(t->process);
}

static void on_result(void *data, const json_t *result, const json_t *rpc_error, const struct error *err)
{
    struct stdio_exchange *x = data;
    struct stdio_exchange done = *x;

    ((struct mcp_stdio *)x->base.transport)->server_calls = 0;
    free(x);
    done.on_result(done.data, result, rpc_error, err);
}

static struct mcp_exchange *stdio_request(struct mcp_transport *transport, const struct mcp_request *request)
{
    struct stdio_exchange *x = xcalloc(1, sizeof *x);

    x->base.transport = transport;
    x->on_result = request->on_result;
    x->data = request->data;
    x->request = jsonrpc_request(rpc_of((struct mcp_stdio *)transport), request->method, request->params, 0,
                                 on_result, x);
    return &x->base;
}

static void stdio_cancel(struct mcp_exchange *exchange)
{
    struct stdio_exchange *x = (struct stdio_exchange *)exchange;
    char *params = xasprintf("{\"requestId\":%lld}", (long long)jsonrpc_request_id(x->request));

    jsonrpc_request_cancel(x->request);
    jsonrpc_notify(rpc_of((struct mcp_stdio *)exchange->transport), "notifications/cancelled", params);
    free(params);
    free(x);
}

static void stdio_notify(struct mcp_transport *t, const char *method)
{
    jsonrpc_notify(rpc_of((struct mcp_stdio *)t), method, NULL);
}

static void stdio_set_version(struct mcp_transport *t, const char *version, bool is_stateless,
                              bool wants_stream)
{
    (void)t;
    (void)version;
    (void)is_stateless;
    (void)wants_stream;
}

static void stdio_shut(struct mcp_transport *t)
{
    process_close_stdin(jsonrpc_process_process(((struct mcp_stdio *)t)->process));
}

static void stdio_destroy(struct mcp_transport *transport)
{
    struct mcp_stdio *t = (struct mcp_stdio *)transport;

    timer_cancel(t->kill_later);
    jsonrpc_process_destroy(t->process);
    free(t);
}

/* --- What the server sends --- */

static void kill_it(void *data)
{
    struct mcp_stdio *t = data;

    t->kill_later = NULL;
    process_kill(jsonrpc_process_process(t->process), 0);
}

static void on_call(void *data, struct jsonrpc_call *call, const char *method, const json_t *params)
{
    struct mcp_stdio *t = data;
    struct buf text = BUF_INIT;
    json_t *result;

    (void)params;
    if (++t->server_calls > MAX_SERVER_CALLS) { /* it may not read our answers: they would pile up */
        if (t->kill_later == NULL)
            t->kill_later = timer_start(t->loop, 0, kill_it, t);
        return;
    }
    result = t->events.answer(t->events.data, method);
    if (result == NULL) {
        jsonrpc_reply_error(call, JSONRPC_METHOD_NOT_FOUND, "cadre does not offer this");
        return;
    }
    json_append_value(&text, result);
    jsonrpc_reply(call, buf_cstr(&text));
    buf_free(&text);
    json_decref(result);
}

static void on_notification(void *data, const char *method, const json_t *params)
{
    struct mcp_stdio *t = data;

    t->events.on_notification(t->events.data, method, params);
}

static void on_ended(void *data, const struct error *why)
{
    struct mcp_stdio *t = data;

    t->events.on_ended(t->events.data, why);
}

/* --- Start --- */

static void set_variable(struct str_list *env, const char *name, const char *value)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < env->len; i++)
        if (strncmp(env->items[i], name, n) == 0 && env->items[i][n] == '=') {
            str_list_remove(env, i);
            break;
        }
    str_list_take(env, xasprintf("%s=%s", name, value));
}

/* What any program needs to run, and what the definition gives. */
static void make_environment(const struct mcp_config *config, struct str_list *env)
{
    static const char *const plain[] = {"HOME",  "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH",
                                        "SHELL", "TERM", "TMPDIR", "TZ",       "USER"};

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (getenv(plain[i]) != NULL)
            set_variable(env, plain[i], getenv(plain[i]));
    for (size_t i = 0; i < config->env_vars.len; i++)
        if (getenv(config->env_vars.items[i]) != NULL)
            set_variable(env, config->env_vars.items[i], getenv(config->env_vars.items[i]));
    for (size_t i = 0; i < config->env_count; i++)
        set_variable(env, config->env[i].name, config->env[i].value);
    if (env->len == 0)
        set_variable(env, "PATH", "/usr/local/bin:/usr/bin:/bin");
}

struct mcp_transport *mcp_stdio_open(struct loop *loop, const struct mcp_config *config,
                                     const struct mcp_transport_events *events, struct error *err)
{
    static const struct mcp_transport_ops ops = {stdio_request,     stdio_cancel, stdio_notify,
                                                 stdio_set_version, stdio_shut,   stdio_destroy};
    struct mcp_stdio *t = xcalloc(1, sizeof *t);
    struct str_list argv = {0};
    struct str_list env = {0};
    const struct jsonrpc_options rpc = {
        .on_call = on_call,
        .on_notification = on_notification,
        .data = t,
        .max_message_bytes = MCP_MAX_MESSAGE_BYTES,
        .max_unanswered_bytes = MAX_UNANSWERED_BYTES,
        .is_silent = true,
    };
    struct jsonrpc_process_options options = {
        .rpc = &rpc, .cwd = config->cwd, .on_ended = on_ended, .data = t};

    t->base.ops = &ops;
    t->events = *events;
    t->loop = loop;
    str_list_add(&argv, config->command);
    str_list_copy(&argv, &config->args);
    make_environment(config, &env);
    options.argv = (const char *const *)argv.items;
    options.env = (const char *const *)env.items;
    t->process = jsonrpc_process_start(loop, &options, err);
    str_list_finish(&argv);
    str_list_finish(&env);
    if (t->process == NULL) {
        free(t);
        return NULL;
    }
    return &t->base;
}

/* --- What both transports share --- */

struct mcp_exchange *mcp_transport_request(struct mcp_transport *t, const struct mcp_request *request)
{
    return t->ops->request(t, request);
}

void mcp_exchange_cancel(struct mcp_exchange *x)
{
    if (x != NULL)
        x->transport->ops->cancel(x);
}

void mcp_transport_notify(struct mcp_transport *t, const char *method)
{
    t->ops->notify(t, method);
}

void mcp_transport_set_version(struct mcp_transport *t, const char *version, bool is_stateless,
                               bool wants_stream)
{
    t->ops->set_version(t, version, is_stateless, wants_stream);
}

void mcp_transport_shut(struct mcp_transport *t)
{
    t->ops->shut(t);
}

void mcp_transport_destroy(struct mcp_transport *t)
{
    if (t != NULL)
        t->ops->destroy(t);
}
