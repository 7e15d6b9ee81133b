/* agent/runner_acp.c: carries a thread by any agent that speaks ACP v1 on its standard input and output.
 *
 *   start -> initialize -> (authenticate) -> session/new -> (set mode, model) -> READY
 *   READY -> session/prompt -> updates and requests (agent/acp_client.h) -> its result -> READY
 *   a turn that is stopped: session/cancel, a moment for the result, then the program is killed
 *
 * One process for the life of the thread. */
#include "agent/carrier.h"

#include "agent/acp_client.h"
#include "agent/acp_mcp.h"
#include "agent/acp_messages.h"
#include "agent/acp_updates.h"
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

#define HANDSHAKE_TIMEOUT_MS 120000 /* of each request before the first prompt: some load a runtime first */
#define CANCEL_GRACE_MS      3000
#define MAX_MESSAGE_BYTES    ((size_t)16 << 20)
#define MAX_TURN_BYTES       ((size_t)512 << 20) /* that it sends in a turn */
#define MAX_ANSWER_BYTES     ((size_t)64 << 20)  /* that we answer in a turn: nobody may read it */
#define MAX_STDERR_BYTES     ((size_t)8192)

struct acp {
    struct carried_thread *thread;
    struct acp_client *client;
    struct jsonrpc *rpc;
    struct process *process;
    bool has_ended;
    struct error why_ended;
    struct buf last_stderr;
    size_t received, answered; /* in this turn */
    char *session;
    json_t *servers; /* MCP servers that the agent can use */
    bool is_ready;
    /* The request that a fiber waits for. */
    struct jsonrpc_request *request;
    bool has_answer;
    json_t *result;
    json_t *rpc_error;
    struct error request_err;
    struct timer *grace; /* of a cancelled turn */
};

static const char *name_of(const struct acp *a)
{
    return carried_options(a->thread)->runner->argv.items[0];
}

/* --- The process ------------------------------------------------------------------------------------------------------ */

/* Ends the turn, and what it still sends is not read. */
static void give_up(struct acp *a, struct error *err)
{
    error_wrap(err, "%s", name_of(a));
    if (!a->has_ended) {
        a->has_ended = true;
        a->why_ended = *err;
        process_kill(a->process, 0);
    }
    carried_stop(a->thread, err);
}

static void send_to_agent(void *send_data, const char *bytes, size_t n)
{
    struct acp *a = send_data;

    a->answered += n;
    if (a->process != NULL && !a->has_ended && a->answered <= MAX_ANSWER_BYTES)
        process_write(a->process, bytes, n);
}

static void on_output(void *data, int fd, const char *bytes, size_t n)
{
    struct acp *a = data;
    struct error err = {0};

    if (fd == 2) {
        buf_append(&a->last_stderr, bytes, n);
        if (a->last_stderr.len > MAX_STDERR_BYTES)
            buf_consume(&a->last_stderr, a->last_stderr.len - MAX_STDERR_BYTES);
        return;
    }
    if (a->has_ended)
        return;
    a->received += n;
    if (a->received > MAX_TURN_BYTES || a->answered > MAX_ANSWER_BYTES)
        error_set(&err, ERROR_LIMIT, "it sent more than a turn may hold");
    if (error_is_set(&err) || jsonrpc_feed(a->rpc, bytes, n, &err) < 0)
        give_up(a, &err);
}

static const char *last_line(struct buf *text)
{
    char *all = str_trim(text->data == NULL ? (char[]){""} : text->data);
    char *line = strrchr(all, '\n');

    return line == NULL ? all : line + 1;
}

static void on_exit_of_agent(void *data, const struct process_exit *exit)
{
    struct acp *a = data;
    const char *text = last_line(&a->last_stderr);
    /* Before there is a session: its configuration or its installation, not the task. */
    enum error_code code = a->session == NULL ? ERROR_CONFIG : ERROR_IO;

    if (!a->has_ended) {
        a->has_ended = true;
        if (exit->exit_code == 127)
            error_set(&a->why_ended, ERROR_NOT_FOUND, "%s: command not found", name_of(a));
        else if (exit->exit_code == SANDBOX_EXIT_CODE && a->session == NULL)
            error_set(&a->why_ended, ERROR_SANDBOX, "%s", text);
        else if (exit->signal != 0)
            error_set(&a->why_ended, ERROR_IO, "%s was killed by signal %d", name_of(a), exit->signal);
        else
            error_set(&a->why_ended, code, "%s ended with exit code %d: %s", name_of(a), exit->exit_code, text);
    }
    jsonrpc_end(a->rpc, &a->why_ended);
    carried_stop(a->thread, &a->why_ended);
}

/* --- Our requests -------------------------------------------------------------------------------------------------------- */

static void on_result(void *data, const json_t *result, const json_t *rpc_error, const struct error *err)
{
    struct acp *a = data;

    a->request = NULL;
    a->has_answer = true;
    a->result = json_incref((json_t *)result);
    a->rpc_error = json_incref((json_t *)rpc_error);
    if (err != NULL)
        a->request_err = *err;
    carried_progress(a->thread);
    carried_wake(a->thread);
}

static void forget_answer(struct acp *a)
{
    jsonrpc_request_cancel(a->request);
    a->request = NULL;
    json_decref(a->result);
    json_decref(a->rpc_error);
    a->result = NULL;
    a->rpc_error = NULL;
    a->has_answer = false;
    error_clear(&a->request_err);
}

/* What many agents say only in the `data` of an error. */
static void add_details(struct error *err, const json_t *data)
{
    const char *text = json_is_string(data) ? json_string_value(data)
                                            : json_get_string(data, "message", json_get_string(data, "details", NULL));

    if (text != NULL)
        error_hint(err, "%.500s", text);
}

/* Sends METHOD and waits. PARAMS is taken. 0 with a->result set; -1 with ERR, and a->rpc_error when the agent said no. */
static int ask(struct acp *a, const char *method, char *params, uint64_t timeout_ms, struct error *err)
{
    int rc = 0;

    forget_answer(a);
    a->request = jsonrpc_request(a->rpc, method, params, timeout_ms, on_result, a);
    free(params);
    while (rc == 0 && !a->has_answer)
        rc = carried_wait(a->thread, err);
    if (rc == 0 && error_is_set(&a->request_err)) {
        *err = a->has_ended ? a->why_ended : a->request_err;
        if (!a->has_ended)
            add_details(err, json_object_get(a->rpc_error, "data"));
        rc = -1;
    }
    return rc;
}

/* --- The handshake ----------------------------------------------------------------------------------------------------- */

static bool decide(void *data, const struct acp_permission *p, const char **reason)
{
    static const char *const harmless[] = {"read", "search", "think"};
    struct acp *a = data;
    const struct sandbox_policy *policy = carried_options(a->thread)->policy;
    bool changes = strcmp(p->kind, "edit") == 0 || strcmp(p->kind, "delete") == 0 || strcmp(p->kind, "move") == 0;

    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        if (strcmp(harmless[i], p->kind) == 0) {
            *reason = "it changes nothing";
            return true;
        }
    }
    if (changes && policy->mode == SANDBOX_READ_ONLY)
        *reason = "this role can write nothing";
    else if (changes && p->has_paths && !p->is_inside)
        *reason = "it leads outside of the worktree";
    else if (changes)
        *reason = "it stays in the worktree";
    else if (strcmp(p->kind, "execute") == 0 && carried_box(a->thread)->kind != RUNNER_BOX_OWN)
        *reason = "the box holds it";
    else
        *reason = "no rule of the role allows it";
    return (changes && policy->mode != SANDBOX_READ_ONLY && (!p->has_paths || p->is_inside)) ||
           (strcmp(p->kind, "execute") == 0 && carried_box(a->thread)->kind != RUNNER_BOX_OWN);
}

static void emit_event(void *data, json_t *event)
{
    carried_emit(((struct acp *)data)->thread, event);
}

static unsigned next_item(void *data)
{
    return carried_next_item(((struct acp *)data)->thread);
}

static void on_delta(void *data, const char *text, size_t n)
{
    carried_text_delta(((struct acp *)data)->thread, text, n);
}

static void on_progress(void *data)
{
    carried_progress(((struct acp *)data)->thread);
}

static int start(struct acp *a, struct error *err)
{
    const struct carried_options *o = carried_options(a->thread);
    struct program_box *box = carried_box(a->thread);
    struct acp_client_options client_options = {
        .loop = o->loop,
        .policy = o->policy,
        .command_env = o->command_env,
        .has_terminals = true,
        .decide = decide,
        .emit = emit_event,
        .next_item = next_item,
        .on_delta = on_delta,
        .on_progress = on_progress,
        .data = a,
    };
    struct jsonrpc_options rpc_options = {.send = send_to_agent, .send_data = a, .max_message_bytes = MAX_MESSAGE_BYTES};
    struct process_options options = {
        .env = (const char *const *)box->env.items,
        .cwd = o->policy->cwd,
        .want_stdin = true,
        .on_output = on_output,
        .on_exit = on_exit_of_agent,
        .data = a,
    };
    struct str_list boxed = {0};
    int rc = -1;

    a->client = acp_client_create(&client_options, err);
    if (a->client == NULL)
        return -1;
    acp_client_serve(a->client, &rpc_options);
    a->rpc = jsonrpc_create(o->loop, &rpc_options);
    if (program_box_wrap(box, &o->runner->argv, &boxed, err) == 0) {
        options.argv = (const char *const *)boxed.items;
        a->process = process_start(o->loop, &options, err);
        rc = a->process == NULL ? -1 : 0;
    }
    str_list_finish(&boxed);
    return rc;
}

/* The way to authenticate: the configured one, else the first that needs no terminal of its own. */
static const char *auth_method(const struct acp *a, const json_t *methods)
{
    const char *wanted = carried_options(a->thread)->runner->auth_method;
    size_t i;
    json_t *method;

    if (wanted != NULL)
        return wanted;
    json_array_foreach(methods, i, method)
        if (strcmp(json_get_string(method, "type", "agent"), "terminal") != 0)
            return json_get_string(method, "id", NULL);
    return NULL;
}

static int authenticate(struct acp *a, const json_t *methods, struct error *err)
{
    const char *id = auth_method(a, methods);
    struct buf offered = BUF_INIT;
    size_t i;
    json_t *method;
    int rc;

    if (id != NULL && ask(a, "authenticate", acp_authenticate_params(id), HANDSHAKE_TIMEOUT_MS, err) == 0)
        return 0;
    if (id != NULL && a->rpc_error == NULL)
        return -1; /* it ended, or the turn was stopped */
    json_array_foreach(methods, i, method)
        if (i < 10)
            buf_printf(&offered, "%s%.60s", i == 0 ? "" : ", ", json_get_string(method, "id", "?"));
    rc = error_set(err, ERROR_AUTH, "%s cannot authenticate%s%s%s", name_of(a), id == NULL ? "" : " by ",
                   id == NULL ? "" : id, a->rpc_error == NULL ? "" : ": it says no");
    error_hint(err, "sign in with the program itself and link its file by [runner.%s] home_files, or name its key in env_vars "
                    "and set auth_method (it offers: %s)",
               carried_options(a->thread)->runner->name, buf_cstr(&offered));
    buf_free(&offered);
    return rc;
}

static int new_session(struct acp *a, const json_t *methods, struct error *err)
{
    const struct carried_options *o = carried_options(a->thread);
    int rc = ask(a, "session/new", acp_new_session_params(o->policy->cwd, a->servers), HANDSHAKE_TIMEOUT_MS, err);

    if (rc < 0 && a->rpc_error != NULL && json_get_int(a->rpc_error, "code", 0) == ACP_AUTH_REQUIRED) {
        if (authenticate(a, methods, err) < 0)
            return -1;
        rc = ask(a, "session/new", acp_new_session_params(o->policy->cwd, a->servers), HANDSHAKE_TIMEOUT_MS, err);
    }
    if (rc < 0) {
        if (a->rpc_error != NULL)
            err->code = json_get_int(a->rpc_error, "code", 0) == ACP_AUTH_REQUIRED ? ERROR_AUTH : ERROR_CONFIG;
        return -1;
    }
    if (json_get_string(a->result, "sessionId", NULL) == NULL)
        return error_set(err, ERROR_IO, "%s: session/new gives no sessionId", name_of(a));
    a->session = xstrdup(json_get_string(a->result, "sessionId", ""));
    acp_client_set_session(a->client, a->session);
    return 0;
}

/* What a runner asks for and an agent does not offer is said, and no reason to stop. */
static int set_up_session(struct acp *a, struct error *err)
{
    const struct carried_options *o = carried_options(a->thread);
    json_t *session = json_incref(a->result);
    const char *model_option = NULL;
    size_t i;
    json_t *option;
    int rc = 0;

    json_array_foreach(json_object_get(session, "configOptions"), i, option)
        if (strcmp(json_get_string(option, "category", ""), "model") == 0)
            model_option = json_get_string(option, "id", NULL);
    if (o->runner->session_mode != NULL)
        rc = ask(a, "session/set_mode", acp_set_mode_params(a->session, o->runner->session_mode), HANDSHAKE_TIMEOUT_MS, err);
    if (rc == 0 && o->runner->model != NULL && model_option != NULL)
        rc = ask(a, "session/set_config_option", acp_set_option_params(a->session, model_option, o->runner->model),
                 HANDSHAKE_TIMEOUT_MS, err);
    else if (rc == 0 && o->runner->model != NULL)
        carried_emit(a->thread, json_pack("{s:s, s:s}", "type", "error", "message",
                                          "the agent offers no choice of a model: runner.model is not used"));
    json_decref(session);
    if (rc < 0 && a->rpc_error != NULL)
        err->code = ERROR_CONFIG;
    return rc;
}

static int shake_hands(struct acp *a, struct error *err)
{
    const struct carried_options *o = carried_options(a->thread);
    json_t *methods = NULL;
    json_int_t version;
    int rc = -1;

    if (ask(a, "initialize", acp_initialize_params(o->policy->mode != SANDBOX_READ_ONLY), HANDSHAKE_TIMEOUT_MS, err) < 0)
        return -1;
    version = json_get_int(a->result, "protocolVersion", 0);
    if (version != ACP_PROTOCOL_VERSION)
        return error_set(err, ERROR_CONFIG, "%s speaks version %lld of ACP, not %d", name_of(a), (long long)version,
                         ACP_PROTOCOL_VERSION);
    a->servers = acp_mcp_supported(o->mcp_servers, json_object_get(a->result, "agentCapabilities"));
    methods = json_incref(json_object_get(a->result, "authMethods"));
    if (o->runner->auth_method != NULL && authenticate(a, methods, err) < 0)
        goto out;
    rc = new_session(a, methods, err);
    if (rc == 0)
        rc = set_up_session(a, err);
    a->is_ready = rc == 0;
out:
    json_decref(methods);
    return rc;
}

/* --- Turns ----------------------------------------------------------------------------------------------------------------- */

static int judge(const struct acp *a, struct error *err)
{
    const char *reason = json_get_string(a->result, "stopReason", "");

    if (strcmp(reason, "end_turn") == 0)
        return 0;
    if (strcmp(reason, "max_tokens") == 0 || strcmp(reason, "max_turn_requests") == 0)
        return error_set(err, ERROR_LIMIT, "%s stopped its turn: %s", name_of(a), reason);
    if (strcmp(reason, "refusal") == 0)
        return error_set(err, ERROR_DENIED, "%s refuses the task", name_of(a));
    return error_set(err, ERROR_IO, "%s ended its turn for no reason that ACP knows: \"%.60s\"", name_of(a), reason);
}

static void kill_agent(struct acp *a)
{
    struct error err = {0};

    if (a->process == NULL || !process_is_running(a->process))
        return;
    error_set(&err, ERROR_IO, "%s was stopped", name_of(a));
    if (!a->has_ended)
        a->why_ended = err;
    a->has_ended = true;
    process_kill(a->process, 0);
}

static void on_grace_over(void *data)
{
    struct acp *a = data;

    a->grace = NULL;
    kill_agent(a);
    carried_wake(a->thread);
}

/* The turn was stopped: the agent is told, and killed when it does not end it. */
static void cancel(struct acp *a)
{
    char *params;

    if (a->has_ended || a->request == NULL || a->session == NULL) {
        kill_agent(a);
        return;
    }
    params = acp_cancel_params(a->session);
    jsonrpc_notify(a->rpc, "session/cancel", params);
    free(params);
    fiber_shield(true);
    a->grace = timer_start(carried_options(a->thread)->loop, CANCEL_GRACE_MS, on_grace_over, a);
    while (!a->has_answer && !a->has_ended) {
        struct error ignored = {0};

        (void)carried_wait(a->thread, &ignored);
    }
    timer_cancel(a->grace);
    a->grace = NULL;
    fiber_shield(false);
}

static int acp_ask(void *state, const char *prompt, struct carrier_turn *turn, struct error *err)
{
    struct acp *a = state;
    struct acp_updates *updates;
    int rc = 0;

    a->received = 0;
    a->answered = 0;
    if (a->has_ended) {
        *err = a->why_ended;
        return -1;
    }
    if (a->process == NULL)
        rc = start(a, err);
    if (rc == 0 && !a->is_ready)
        rc = shake_hands(a, err);
    if (rc < 0) {
        kill_agent(a);
        return -1;
    }
    updates = acp_client_updates(a->client);
    acp_updates_begin(updates);
    rc = ask(a, "session/prompt", acp_prompt_params(a->session, prompt), 0, err);
    if (rc < 0 && a->rpc_error == NULL)
        cancel(a);
    else if (rc < 0)
        err->code = json_get_int(a->rpc_error, "code", 0) == ACP_AUTH_REQUIRED ? ERROR_AUTH : ERROR_MODEL;
    if (rc == 0)
        rc = judge(a, err);
    acp_updates_prompt_usage(updates, json_object_get(a->result, "usage"));
    acp_updates_end(updates);
    turn->usage = acp_updates_usage(updates);
    if (rc == 0)
        turn->message = xstrdup(acp_updates_message(updates));
    return rc;
}

/* --- Life --------------------------------------------------------------------------------------------------------------------- */

static void *acp_open(struct carried_thread *thread, struct error *err)
{
    struct acp *a = xcalloc(1, sizeof *a);

    (void)err;
    a->thread = thread;
    return a;
}

static void acp_close(void *state)
{
    struct acp *a = state;

    forget_answer(a);
    process_destroy(a->process); /* with its group; it had its turn to save what it wants */
    jsonrpc_destroy(a->rpc);
    acp_client_destroy(a->client);
    buf_free(&a->last_stderr);
    json_decref(a->servers);
    free(a->session);
    free(a);
}

const struct carrier carrier_acp = {
    .name = "acp",
    .takes_instructions = false,
    .open = acp_open,
    .ask = acp_ask,
    .close = acp_close,
};
