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
#include "agent/rpc_program.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "io/jsonrpc.h"

#include <stdlib.h>
#include <string.h>

#define HANDSHAKE_TIMEOUT_MS 120000 /* of each request before the first prompt: some load a runtime first */
#define CANCEL_GRACE_MS      3000

struct acp {
    struct carried_thread *thread;
    struct acp_client *client;
    struct rpc_program *program;
    char *session;
    json_t *servers; /* MCP servers that the agent can use */
};

static const char *name_of(const struct acp *a)
{
    return carried_options(a->thread)->runner->argv.items[0];
}

/* --- The handshake ----------------------------------------------------------------------------------------------------- */

static bool decide(void *data, const struct acp_permission *p, const char **reason)
{
    static const char *const harmless[] = {"read", "search", "think"};
    struct acp *a = data;
    const struct sandbox_policy *policy = carried_options(a->thread)->policy;
    bool changes =
        strcmp(p->kind, "edit") == 0 || strcmp(p->kind, "delete") == 0 || strcmp(p->kind, "move") == 0;

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
        .desk = o->desk,
        .thread = o->id,
        .role = o->role,
        .task = o->task,
        .data = a,
    };
    struct jsonrpc_options serve = {0};

    a->client = acp_client_create(&client_options, err);
    if (a->client == NULL)
        return -1;
    acp_client_serve(a->client, &serve);
    a->program = rpc_program_start(a->thread, &o->runner->argv, &serve, err);
    return a->program == NULL ? -1 : 0;
}

/* The way to authenticate: the configured one, else the first that needs no terminal of its own. */
static const char *auth_method(const struct acp *a, const json_t *methods)
{
    const char *wanted = carried_options(a->thread)->runner->auth_method;
    size_t i;
    json_t *method;

    if (wanted != NULL)
        return wanted;
    json_array_foreach (methods, i, method)
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

    if (id != NULL && rpc_program_ask(a->program, "authenticate", acp_authenticate_params(id),
                                      HANDSHAKE_TIMEOUT_MS, err) == 0)
        return 0;
    if (id != NULL && rpc_program_refusal(a->program) == NULL)
        return -1; /* it ended, or the turn was stopped */
    json_array_foreach (methods, i, method)
        if (i < 10)
            buf_printf(&offered, "%s%.60s", i == 0 ? "" : ", ", json_get_string(method, "id", "?"));
    rc = error_set(err, ERROR_AUTH, "%s cannot authenticate%s%s%s", name_of(a), id == NULL ? "" : " by ",
                   id == NULL ? "" : id, rpc_program_refusal(a->program) == NULL ? "" : ": it says no");
    error_hint(err,
               "sign in with the program itself and link its file by [runner.%s] home_files, or name its key "
               "in env_vars "
               "and set auth_method (it offers: %s)",
               carried_options(a->thread)->runner->name, buf_cstr(&offered));
    buf_free(&offered);
    return rc;
}

static int new_session(struct acp *a, const json_t *methods, struct error *err)
{
    const struct carried_options *o = carried_options(a->thread);
    int rc = rpc_program_ask(a->program, "session/new", acp_new_session_params(o->policy->cwd, a->servers),
                             HANDSHAKE_TIMEOUT_MS, err);

    if (rc < 0 && rpc_program_refusal(a->program) != NULL &&
        json_get_int(rpc_program_refusal(a->program), "code", 0) == ACP_AUTH_REQUIRED) {
        if (authenticate(a, methods, err) < 0)
            return -1;
        rc = rpc_program_ask(a->program, "session/new", acp_new_session_params(o->policy->cwd, a->servers),
                             HANDSHAKE_TIMEOUT_MS, err);
    }
    if (rc < 0) {
        if (rpc_program_refusal(a->program) != NULL)
            err->code = json_get_int(rpc_program_refusal(a->program), "code", 0) == ACP_AUTH_REQUIRED
                            ? ERROR_AUTH
                            : ERROR_CONFIG;
        return -1;
    }
    if (json_get_string(rpc_program_result(a->program), "sessionId", NULL) == NULL)
        return error_set(err, ERROR_IO, "%s: session/new gives no sessionId", name_of(a));
    a->session = xstrdup(json_get_string(rpc_program_result(a->program), "sessionId", ""));
    acp_client_set_session(a->client, a->session);
    return 0;
}

/* What a runner asks for and an agent does not offer is said, and no reason to stop. */
static int set_up_session(struct acp *a, struct error *err)
{
    const struct carried_options *o = carried_options(a->thread);
    json_t *session = json_incref((json_t *)rpc_program_result(a->program));
    const char *model_option = NULL;
    size_t i;
    json_t *option;
    int rc = 0;

    json_array_foreach (json_object_get(session, "configOptions"), i, option)
        if (strcmp(json_get_string(option, "category", ""), "model") == 0)
            model_option = json_get_string(option, "id", NULL);
    if (o->runner->session_mode != NULL)
        rc = rpc_program_ask(a->program, "session/set_mode",
                             acp_set_mode_params(a->session, o->runner->session_mode), HANDSHAKE_TIMEOUT_MS,
                             err);
    if (rc == 0 && o->runner->model != NULL && model_option != NULL)
        rc = rpc_program_ask(a->program, "session/set_config_option",
                             acp_set_option_params(a->session, model_option, o->runner->model),
                             HANDSHAKE_TIMEOUT_MS, err);
    else if (rc == 0 && o->runner->model != NULL)
        carried_emit(a->thread, json_pack("{s:s, s:s}", "type", "error", "message",
                                          "the agent offers no choice of a model: runner.model is not used"));
    json_decref(session);
    if (rc < 0 && rpc_program_refusal(a->program) != NULL)
        err->code = ERROR_CONFIG;
    return rc;
}

static int shake_hands(struct acp *a, struct error *err)
{
    const struct carried_options *o = carried_options(a->thread);
    json_t *methods = NULL;
    json_int_t version;
    int rc = -1;

    if (rpc_program_ask(a->program, "initialize", acp_initialize_params(o->policy->mode != SANDBOX_READ_ONLY),
                        HANDSHAKE_TIMEOUT_MS, err) < 0)
        return -1;
    version = json_get_int(rpc_program_result(a->program), "protocolVersion", 0);
    if (version != ACP_PROTOCOL_VERSION)
        return error_set(err, ERROR_CONFIG, "%s speaks version %lld of ACP, not %d", name_of(a),
                         (long long)version, ACP_PROTOCOL_VERSION);
    a->servers = acp_mcp_supported(o->mcp_servers,
                                   json_object_get(rpc_program_result(a->program), "agentCapabilities"));
    methods = json_incref(json_object_get(rpc_program_result(a->program), "authMethods"));
    if (o->runner->auth_method != NULL && authenticate(a, methods, err) < 0)
        goto out;
    rc = new_session(a, methods, err);
    if (rc == 0)
        rc = set_up_session(a, err);
out:
    json_decref(methods);
    return rc;
}

/* --- Turns ----------------------------------------------------------------------------------------------------------------- */

static int judge(const struct acp *a, struct error *err)
{
    const char *reason = json_get_string(rpc_program_result(a->program), "stopReason", "");

    if (strcmp(reason, "end_turn") == 0)
        return 0;
    if (strcmp(reason, "max_tokens") == 0 || strcmp(reason, "max_turn_requests") == 0)
        return error_set(err, ERROR_LIMIT, "%s stopped its turn: %s", name_of(a), reason);
    if (strcmp(reason, "refusal") == 0)
        return error_set(err, ERROR_DENIED, "%s refuses the task", name_of(a));
    return error_set(err, ERROR_IO, "%s ended its turn for no reason that ACP knows: \"%.60s\"", name_of(a),
                     reason);
}

static bool is_over(void *data)
{
    return rpc_program_has_answer(((struct acp *)data)->program);
}

/* The turn was stopped: the agent is told, and killed when it does not end it. */
static void cancel(struct acp *a)
{
    char *params = acp_cancel_params(a->session);

    if (!rpc_program_has_ended(a->program))
        jsonrpc_notify(rpc_program_rpc(a->program), "session/cancel", params);
    free(params);
    acp_client_cancel(a->client);
    rpc_program_wait_over(a->program, CANCEL_GRACE_MS, is_over, a);
}

static int acp_ask(void *state, const char *prompt, struct carrier_turn *turn, struct error *err)
{
    struct acp *a = state;
    struct acp_updates *updates;
    int rc = 0;

    if (a->program == NULL)
        rc = start(a, err);
    else
        rc = rpc_program_begin_turn(a->program, err);
    if (rc == 0 && !rpc_program_is_ready(a->program)) {
        rc = shake_hands(a, err);
        if (rc < 0)
            rpc_program_kill(a->program);
        else
            rpc_program_set_ready(a->program);
    }
    if (rc < 0)
        return -1;
    updates = acp_client_updates(a->client);
    acp_updates_begin(updates);
    rc = rpc_program_ask(a->program, "session/prompt", acp_prompt_params(a->session, prompt), 0, err);
    if (rc < 0 && rpc_program_refusal(a->program) == NULL)
        cancel(a);
    else if (rc < 0)
        err->code = json_get_int(rpc_program_refusal(a->program), "code", 0) == ACP_AUTH_REQUIRED
                        ? ERROR_AUTH
                        : ERROR_MODEL;
    if (rc == 0)
        rc = judge(a, err);
    acp_updates_prompt_usage(updates, json_object_get(rpc_program_result(a->program), "usage"));
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

    rpc_program_destroy(a->program); /* before the client that answers it */
    acp_client_destroy(a->client);
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
