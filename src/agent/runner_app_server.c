/* agent/runner_app_server.c: carries a thread by `codex app-server`: JSON-RPC on stdio, one process for the thread.
 *
 *   start -> initialize -> initialized -> thread/start -> READY
 *   READY -> turn/start -> item/..., thread/tokenUsage/updated -> turn/completed -> READY
 *   a turn that is stopped: turn/interrupt, a moment for turn/completed, then the program is killed
 *
 * What `codex exec` says at the end of a turn is said here while it runs: so the budget holds within a turn. */
#include "agent/carrier.h"

#include "agent/app_server_items.h"
#include "agent/bounded_json.h"
#include "agent/codex_events.h"
#include "agent/codex_home.h"
#include "agent/rpc_program.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "io/jsonrpc.h"
#include "tool/submission.h"

#include <stdlib.h>
#include <string.h>

#define HANDSHAKE_TIMEOUT_MS 60000
#define CANCEL_GRACE_MS      3000
#define MAX_NOTICES          200 /* of a turn */
#define MAX_OPEN_ITEMS       64

struct app_server {
    struct carried_thread *thread;
    struct rpc_program *program;
    char *codex_thread; /* its id of the thread */
    char *turn;         /* its id of the running turn, or NULL */
    bool is_over;       /* turn/completed came */
    char *status;       /* of it: "completed", "failed", "interrupted" */
    char *failure;
    char *last_message;
    struct usage before, total; /* of the thread: when the turn began, and now */
    int64_t requests;           /* of the turn */
    unsigned notices;
    unsigned plan_item;
    json_t *plan; /* of the turn, or NULL */
    struct {
        char *theirs;
        unsigned ours;
    } open[MAX_OPEN_ITEMS];
    unsigned open_next;
};

static const char *name_of(const struct app_server *a)
{
    return carried_options(a->thread)->runner->argv.items[0];
}

static void replace(char **slot, const char *value)
{
    free(*slot);
    *slot = xstrdup(value);
}

/* --- What it says ---------------------------------------------------------------------------------------------------- */

static void emit_item(struct app_server *a, const char *type, unsigned number, json_t *item)
{
    char *id = xasprintf("item_%u", number);

    json_object_set_new(item, "id", json_string(id));
    free(id);
    carried_emit(a->thread, json_pack("{s:s, s:o}", "type", type, "item", item));
}

/* Our number of their item: the same from its start to its end. */
static unsigned number_of(struct app_server *a, const char *theirs)
{
    for (size_t i = 0; i < MAX_OPEN_ITEMS; i++)
        if (a->open[i].theirs != NULL && strcmp(a->open[i].theirs, theirs) == 0)
            return a->open[i].ours;
    a->open_next = (a->open_next + 1) % MAX_OPEN_ITEMS;
    free(a->open[a->open_next].theirs);
    a->open[a->open_next].theirs = xstrndup(theirs, 200);
    a->open[a->open_next].ours = carried_next_item(a->thread);
    return a->open[a->open_next].ours;
}

static void take_item(struct app_server *a, const json_t *params, bool is_completed)
{
    const json_t *item = json_object_get(params, "item");
    const char *type = json_get_string(item, "type", "");
    bool has_text = strcmp(type, "agentMessage") == 0 || strcmp(type, "reasoning") == 0;
    json_t *ours;

    if (has_text && !is_completed)
        return; /* said when it is whole */
    ours = app_server_item(item);
    if (ours == NULL)
        return;
    if (strcmp(type, "agentMessage") == 0)
        replace(&a->last_message, json_get_string(item, "text", ""));
    emit_item(a, is_completed ? "item.completed" : "item.started",
              number_of(a, json_get_string(item, "id", "")), ours);
}

static void take_plan(struct app_server *a, const json_t *params)
{
    bool is_first = a->plan == NULL;

    json_decref(a->plan);
    a->plan = app_server_todo_list(json_object_get(params, "plan"));
    if (is_first)
        a->plan_item = carried_next_item(a->thread);
    emit_item(a, is_first ? "item.started" : "item.updated", a->plan_item, json_copy(a->plan));
}

static struct usage turn_usage(const struct app_server *a)
{
    struct usage u = a->total;

    u.input_tokens -= a->before.input_tokens;
    u.cached_input_tokens -= a->before.cached_input_tokens;
    u.cache_write_input_tokens -= a->before.cache_write_input_tokens;
    u.output_tokens -= a->before.output_tokens;
    u.reasoning_output_tokens -= a->before.reasoning_output_tokens;
    u.requests = a->requests;
    return u;
}

static void take_usage(struct app_server *a, const json_t *params)
{
    const json_t *total = json_object_get(json_object_get(params, "tokenUsage"), "total");
    struct usage now = app_server_usage(total);
    struct usage spent;

    if (!json_is_object(total) || now.input_tokens < a->before.input_tokens ||
        now.output_tokens < a->before.output_tokens)
        return;
    a->total = now;
    a->requests++;
    spent = turn_usage(a);
    carried_spent(a->thread, &spent);
}

static void take_notice(struct app_server *a, const char *message)
{
    if (++a->notices <= MAX_NOTICES)
        carried_emit(a->thread, json_pack("{s:s, s:o}", "type", "error", "message",
                                          bounded_text(message, strlen(message))));
}

static void take_end(struct app_server *a, const json_t *turn)
{
    if (a->turn != NULL && strcmp(json_get_string(turn, "id", ""), a->turn) != 0)
        return;
    a->is_over = true;
    replace(&a->status, json_get_string(turn, "status", ""));
    if (json_get_string(json_object_get(turn, "error"), "message", NULL) != NULL)
        replace(&a->failure, json_get_string(json_object_get(turn, "error"), "message", ""));
    carried_wake(a->thread);
}

static void on_notification(void *data, const char *method, const json_t *params)
{
    struct app_server *a = data;
    const char *thread = json_get_string(params, "threadId", NULL);

    /* Threads that Codex spawns are of its own making; their items are not this thread's. */
    if (a->codex_thread == NULL || thread == NULL || strcmp(thread, a->codex_thread) != 0)
        return;
    if (strcmp(method, "warning") == 0) {
        take_notice(a, json_get_string(params, "message", ""));
        return;
    }
    if (strcmp(method, "error") == 0) { /* a retry, or what turn/completed then says again: no progress */
        take_notice(a, json_get_string(json_object_get(params, "error"), "message", ""));
        return;
    }
    carried_progress(a->thread);
    if (strcmp(method, "item/started") == 0 || strcmp(method, "item/completed") == 0)
        take_item(a, params, strcmp(method, "item/completed") == 0);
    else if (strcmp(method, "item/agentMessage/delta") == 0)
        carried_text_delta(a->thread, json_get_string(params, "delta", ""),
                           strlen(json_get_string(params, "delta", "")));
    else if (strcmp(method, "turn/plan/updated") == 0)
        take_plan(a, params);
    else if (strcmp(method, "thread/tokenUsage/updated") == 0)
        take_usage(a, params);
    else if (strcmp(method, "turn/completed") == 0)
        take_end(a, json_object_get(params, "turn"));
}

/* The approval policy is `never`: what is asked for all the same is declined, and recorded. */
static void on_call(void *data, struct jsonrpc_call *call, const char *method, const json_t *params)
{
    struct app_server *a = data;

    if (strcmp(method, "item/commandExecution/requestApproval") != 0 &&
        strcmp(method, "item/fileChange/requestApproval") != 0) {
        jsonrpc_reply_error(call, JSONRPC_METHOD_NOT_FOUND, "Method not found");
        return;
    }
    carried_emit(a->thread, json_pack("{s:s, s:s, s:o, s:s}", "type", "approval.requested", "approval",
                                      "codex", "command",
                                      bounded_text(json_get_string(params, "command", method),
                                                   strlen(json_get_string(params, "command", method))),
                                      "reason", "asked by Codex"));
    carried_emit(a->thread, json_pack("{s:s, s:s, s:s, s:s}", "type", "approval.resolved", "approval",
                                      "codex", "decision", "deny", "by", "policy"));
    jsonrpc_reply(call, "{\"decision\":\"decline\"}");
}

/* --- What it is told -------------------------------------------------------------------------------------------------- */

static char *dump(json_t *value)
{
    struct buf b = BUF_INIT;

    json_append_value(&b, value);
    json_decref(value);
    return buf_take(&b);
}

static int start(struct app_server *a, struct error *err)
{
    struct jsonrpc_options serve = {.on_call = on_call, .on_notification = on_notification, .data = a};
    struct str_list argv = {0};

    str_list_copy(&argv, &carried_options(a->thread)->runner->argv);
    str_list_add(&argv, "app-server");
    codex_home_add_settings(a->thread, &argv);
    a->program = rpc_program_start(a->thread, &argv, &serve, err);
    str_list_finish(&argv);
    return a->program == NULL ? -1 : 0;
}

static int shake_hands(struct app_server *a, struct error *err)
{
    const struct carried_options *o = carried_options(a->thread);
    json_t *params = json_pack("{s:{s:s, s:s, s:s}}", "clientInfo", "name", "cadre", "title", "cadre",
                               "version", CADRE_VERSION);
    const char *id;

    if (rpc_program_ask(a->program, "initialize", dump(params), HANDSHAKE_TIMEOUT_MS, err) < 0)
        return -1;
    jsonrpc_notify(rpc_program_rpc(a->program), "initialized", NULL);
    params = json_pack("{s:s, s:s, s:s, s:s*}", "cwd", o->policy->cwd, "sandbox",
                       codex_home_sandbox_mode(a->thread), "approvalPolicy", "never", "model", o->model);
    if (rpc_program_ask(a->program, "thread/start", dump(params), HANDSHAKE_TIMEOUT_MS, err) < 0)
        return -1;
    id = json_get_string(json_object_get(rpc_program_result(a->program), "thread"), "id", NULL);
    if (id == NULL)
        return error_set(err, ERROR_IO, "%s: thread/start gives no id", name_of(a));
    a->codex_thread = xstrdup(id);
    return 0;
}

static char *turn_params(const struct app_server *a, const char *prompt)
{
    const struct carried_options *o = carried_options(a->thread);
    const char *schema = o->output_schema != NULL ? o->output_schema : submission_schema(o->owes);
    json_t *params = json_pack("{s:s, s:[{s:s, s:o}]}", "threadId", a->codex_thread, "input", "type", "text",
                               "text", json_stringn_nocheck(prompt, strlen(prompt)));
    json_t *parsed = schema == NULL ? NULL : json_parse(schema, strlen(schema), "schema", NULL);

    if (parsed != NULL)
        json_object_set_new(params, "outputSchema", parsed);
    return dump(params);
}

/* --- Turns -------------------------------------------------------------------------------------------------------------- */

static bool is_over(void *data)
{
    return ((struct app_server *)data)->is_over;
}

/* Its answer is of no interest: the turn's end is waited for. */
static void on_interrupted(void *data, const json_t *result, const json_t *rpc_error, const struct error *err)
{
    (void)data;
    (void)result;
    (void)rpc_error;
    (void)err;
}

static void interrupt(struct app_server *a)
{
    if (a->turn != NULL && !rpc_program_has_ended(a->program)) {
        char *params = dump(json_pack("{s:s, s:s}", "threadId", a->codex_thread, "turnId", a->turn));

        jsonrpc_request(rpc_program_rpc(a->program), "turn/interrupt", params, 0, on_interrupted, a);
        free(params);
    }
    rpc_program_wait_over(a->program, a->turn == NULL ? 1 : CANCEL_GRACE_MS, is_over, a);
}

static void begin(struct app_server *a)
{
    a->is_over = false;
    a->before = a->total;
    a->requests = 0;
    a->notices = 0;
    replace(&a->turn, NULL);
    replace(&a->status, NULL);
    replace(&a->failure, NULL);
    replace(&a->last_message, "");
}

static int run_turn(struct app_server *a, const char *prompt, struct error *err)
{
    int rc = rpc_program_ask(a->program, "turn/start", turn_params(a, prompt), HANDSHAKE_TIMEOUT_MS, err);

    if (rc < 0 && rpc_program_refusal(a->program) != NULL)
        return codex_failure(err, name_of(a),
                             json_get_string(rpc_program_refusal(a->program), "message", err->text));
    if (rc == 0) {
        const char *id = json_get_string(json_object_get(rpc_program_result(a->program), "turn"), "id", NULL);

        if (id != NULL)
            replace(&a->turn, id);
    }
    while (rc == 0 && !a->is_over)
        rc = carried_wait(a->thread, err);
    if (rc < 0) {
        interrupt(a);
        return -1;
    }
    if (strcmp(a->status, "completed") == 0)
        return 0;
    if (a->failure != NULL)
        return codex_failure(err, name_of(a), a->failure);
    return error_set(err, ERROR_IO, "%s ended its turn as \"%.60s\"", name_of(a), a->status);
}

static int app_server_ask(void *state, const char *prompt, struct carrier_turn *turn, struct error *err)
{
    struct app_server *a = state;
    int rc = a->program == NULL ? start(a, err) : rpc_program_begin_turn(a->program, err);

    if (rc == 0 && !rpc_program_is_ready(a->program)) {
        rc = shake_hands(a, err);
        if (rc == 0) {
            rpc_program_set_ready(a->program);
        } else {
            if (rpc_program_refusal(a->program) != NULL)
                err->code = ERROR_CONFIG;
            rpc_program_kill(a->program);
        }
    }
    if (rc < 0)
        return -1;
    begin(a);
    rc = run_turn(a, prompt, err);
    if (a->plan != NULL) {
        emit_item(a, "item.completed", a->plan_item, a->plan);
        a->plan = NULL;
    }
    turn->usage = turn_usage(a);
    if (rc == 0)
        turn->message = xstrdup(a->last_message);
    return rc;
}

/* --- Life ------------------------------------------------------------------------------------------------------------------ */

static void *app_server_open(struct carried_thread *thread, struct error *err)
{
    struct app_server *a;

    if (codex_home_make(thread, err) < 0)
        return NULL;
    a = xcalloc(1, sizeof *a);
    a->thread = thread;
    return a;
}

static void app_server_close(void *state)
{
    struct app_server *a = state;

    rpc_program_destroy(a->program);
    for (size_t i = 0; i < MAX_OPEN_ITEMS; i++)
        free(a->open[i].theirs);
    json_decref(a->plan);
    free(a->codex_thread);
    free(a->turn);
    free(a->status);
    free(a->failure);
    free(a->last_message);
    free(a);
}

const struct carrier carrier_app_server = {
    .name = "codex-app-server",
    .takes_instructions = true,
    .open = app_server_open,
    .ask = app_server_ask,
    .close = app_server_close,
};
