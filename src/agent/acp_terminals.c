/* agent/acp_terminals.c: see acp_terminals.h. */
#include "agent/acp_terminals.h"

#include "agent/acp_messages.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/jsonrpc.h"
#include "io/process.h"
#include "sandbox/exec_helper.h"
#include "sandbox/policy.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TERMINALS    16
#define MAX_WAITERS      16
#define MAX_OUTPUT_BYTES ((size_t)1 << 20)
#define MAX_WORDS        1000
#define MAX_VARIABLES    256

struct terminal {
    char *id;
    struct process *process;
    struct buf output;
    size_t limit;
    bool is_truncated;
    bool has_ended;
    struct process_exit exit;
    struct vec waiters; /* of struct jsonrpc_call * */
};

struct acp_terminals {
    struct loop *loop;
    const struct sandbox_policy *policy;
    const char *const *env;
    struct vec terminals; /* of struct terminal * */
    unsigned next_id;
};

struct acp_terminals *acp_terminals_create(struct loop *loop, const struct sandbox_policy *policy,
                                           const char *const *env)
{
    struct acp_terminals *all = xcalloc(1, sizeof *all);

    all->loop = loop;
    all->policy = policy;
    all->env = env;
    return all;
}

static void terminal_free(struct terminal *t)
{
    process_destroy(t->process);
    buf_free(&t->output);
    vec_finish(&t->waiters);
    free(t->id);
    free(t);
}

void acp_terminals_destroy(struct acp_terminals *all)
{
    if (all == NULL)
        return;
    for (size_t i = 0; i < all->terminals.len; i++)
        terminal_free(all->terminals.items[i]);
    vec_finish(&all->terminals);
    free(all);
}

static void reply(struct jsonrpc_call *call, char *result)
{
    jsonrpc_reply(call, result);
    free(result);
}

/* --- The command --------------------------------------------------------------------------------------------------- */

static void on_output(void *data, int fd, const char *bytes, size_t n)
{
    struct terminal *t = data;
    size_t over;

    (void)fd;
    buf_append(&t->output, bytes, n);
    if (t->output.len <= t->limit)
        return;
    over = t->output.len - t->limit;
    while (over < t->output.len && (t->output.data[over] & 0xc0) == 0x80)
        over++; /* a whole character is dropped */
    buf_consume(&t->output, over);
    t->is_truncated = true;
}

static void on_exit_of_command(void *data, const struct process_exit *exit)
{
    struct terminal *t = data;

    t->exit = *exit;
    t->has_ended = true;
    while (t->waiters.len > 0) {
        struct jsonrpc_call *call = t->waiters.items[0];

        (void)vec_remove_item(&t->waiters, call);
        reply(call, acp_terminal_exit_result(exit->exit_code, exit->signal));
    }
}

/* The program with its arguments; without arguments the command is for a shell, as agents expect. */
static bool build_argv(const json_t *params, struct str_list *argv)
{
    const json_t *args = json_object_get(params, "args");
    const char *command = json_get_string(params, "command", NULL);
    size_t i;
    json_t *arg;

    if (str_is_empty(command) || json_array_size(args) > MAX_WORDS)
        return false;
    if (json_array_size(args) == 0) {
        str_list_add(argv, "/bin/bash");
        str_list_add(argv, "-c");
    }
    str_list_add(argv, command);
    json_array_foreach (args, i, arg) {
        if (!json_is_string(arg))
            return false;
        str_list_add(argv, json_string_value(arg));
    }
    return true;
}

static bool build_env(const struct acp_terminals *all, const json_t *params, struct str_list *env)
{
    const json_t *variables = json_object_get(params, "env");
    size_t i;
    json_t *variable;

    for (size_t k = 0; all->env != NULL && all->env[k] != NULL; k++)
        str_list_add(env, all->env[k]);
    if (json_array_size(variables) > MAX_VARIABLES)
        return false;
    json_array_foreach (variables, i, variable) {
        const char *name = json_get_string(variable, "name", "");
        const char *value = json_get_string(variable, "value", NULL);
        size_t n = strlen(name);

        if (n == 0 || strchr(name, '=') != NULL || value == NULL)
            return false;
        for (size_t k = 0; k < env->len; k++) {
            if (strncmp(env->items[k], name, n) == 0 && env->items[k][n] == '=') {
                str_list_remove(env, k);
                break;
            }
        }
        str_list_take(env, xasprintf("%s=%s", name, value));
    }
    return true;
}

static void create(struct acp_terminals *all, struct jsonrpc_call *call, const json_t *params)
{
    const char *wanted = json_get_string(params, "cwd", NULL);
    char *cwd = wanted == NULL ? xstrdup(all->policy->cwd) : path_normalize(wanted);
    json_int_t limit = json_get_int(params, "outputByteLimit", (json_int_t)MAX_OUTPUT_BYTES);
    struct str_list argv = {0};
    struct str_list wrapped = {0};
    struct str_list env = {0};
    struct terminal *t = NULL;
    struct error err = {0};
    struct process_options options = {
        .cwd = cwd, .merge_stderr = true, .on_output = on_output, .on_exit = on_exit_of_command};

    if (all->terminals.len >= MAX_TERMINALS) {
        error_set(&err, ERROR_LIMIT, "%d terminals are open already: release one first", MAX_TERMINALS);
        goto out;
    }
    if (!build_argv(params, &argv) || !build_env(all, params, &env)) {
        error_set(&err, ERROR_PARSE, "a command with its arguments and variables is expected");
        goto out;
    }
    if (!path_is_below(cwd, all->policy->cwd)) {
        error_set(&err, ERROR_SANDBOX, "cwd is outside of the session's working directory");
        goto out;
    }
    if (sandbox_wrap(all->policy, (const char *const *)argv.items, &wrapped, &err) < 0)
        goto out;
    t = xcalloc(1, sizeof *t);
    t->id = xasprintf("term_%u", ++all->next_id);
    t->limit = limit < 0 || (size_t)limit > MAX_OUTPUT_BYTES ? MAX_OUTPUT_BYTES : (size_t)limit;
    options.argv = (const char *const *)wrapped.items;
    options.env = (const char *const *)env.items;
    options.data = t;
    t->process = process_start(all->loop, &options, &err);
    if (t->process == NULL) {
        terminal_free(t);
        t = NULL;
    } else {
        vec_push(&all->terminals, t);
    }
out:
    if (t != NULL)
        reply(call, acp_terminal_created_result(t->id));
    else
        jsonrpc_reply_error(call, JSONRPC_INVALID_PARAMS, err.text);
    str_list_finish(&argv);
    str_list_finish(&wrapped);
    str_list_finish(&env);
    free(cwd);
}

/* --- The calls --------------------------------------------------------------------------------------------------------- */

static void output(struct terminal *t, struct jsonrpc_call *call)
{
    reply(call, acp_terminal_output_result(buf_cstr(&t->output), t->output.len, t->is_truncated, t->has_ended,
                                           t->exit.exit_code, t->exit.signal));
}

static void wait_for_exit(struct terminal *t, struct jsonrpc_call *call)
{
    if (t->has_ended)
        reply(call, acp_terminal_exit_result(t->exit.exit_code, t->exit.signal));
    else if (t->waiters.len >= MAX_WAITERS)
        jsonrpc_reply_error(call, JSONRPC_INVALID_PARAMS, "too many calls wait for this terminal");
    else
        vec_push(&t->waiters, call);
}

static void release(struct acp_terminals *all, struct terminal *t)
{
    while (t->waiters.len > 0) {
        struct jsonrpc_call *call = t->waiters.items[0];

        (void)vec_remove_item(&t->waiters, call);
        jsonrpc_reply_error(call, JSONRPC_INVALID_PARAMS, "the terminal was released");
    }
    (void)vec_remove_item(&all->terminals, t);
    terminal_free(t);
}

bool acp_terminals_call(struct acp_terminals *all, struct jsonrpc_call *call, const char *method,
                        const json_t *params)
{
    static const char *const methods[] = {"terminal/output", "terminal/wait_for_exit", "terminal/kill",
                                          "terminal/release"};
    const char *id = json_get_string(params, "terminalId", "");
    struct terminal *t = NULL;
    size_t which = 0;

    if (strcmp(method, "terminal/create") == 0) {
        create(all, call, params);
        return true;
    }
    while (which < 4 && strcmp(methods[which], method) != 0)
        which++;
    if (which == 4)
        return false;
    for (size_t i = 0; i < all->terminals.len && t == NULL; i++)
        if (strcmp(((struct terminal *)all->terminals.items[i])->id, id) == 0)
            t = all->terminals.items[i];
    if (t == NULL) {
        jsonrpc_reply_error(call, JSONRPC_INVALID_PARAMS, "there is no such terminal");
        return true;
    }
    if (which == 0) {
        output(t, call);
    } else if (which == 1) {
        wait_for_exit(t, call);
    } else if (which == 2) {
        if (!t->has_ended)
            process_kill(t->process, 1000);
        jsonrpc_reply(call, "{}");
    } else {
        release(all, t);
        jsonrpc_reply(call, "{}");
    }
    return true;
}
