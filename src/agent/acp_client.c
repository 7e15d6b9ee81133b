/* agent/acp_client.c: see acp_client.h. */
#include "agent/acp_client.h"

#include "agent/acp_messages.h"
#include "agent/acp_terminals.h"
#include "agent/acp_updates.h"
#include "agent/bounded_json.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/jsonrpc.h"
#include "sandbox/approval.h"
#include "sandbox/policy.h"
#include "sandbox/safe_path.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)8 << 20)

#define MAX_ASKED 16

/* A permission that a person is asked for. */
struct asked {
    struct acp_client *client;
    struct jsonrpc_call *call;
    struct approval_wait *wait;
    json_t *options;
};

struct acp_client {
    struct acp_client_options options;
    struct acp_updates *updates;
    struct acp_terminals *terminals;
    struct safe_root *root;
    char *cwd;
    char *real_cwd; /* without links */
    char *session;
    unsigned approvals;
    struct vec asked; /* of struct asked * */
};

struct acp_client *acp_client_create(const struct acp_client_options *options, struct error *err)
{
    struct acp_updates_options update_options = {.emit = options->emit,
                                                 .next_item = options->next_item,
                                                 .on_delta = options->on_delta,
                                                 .data = options->data};
    struct safe_root *root = safe_root_open(options->policy->cwd, err);
    struct acp_client *c;

    if (root == NULL)
        return NULL;
    c = xcalloc(1, sizeof *c);
    c->options = *options;
    c->root = root;
    c->cwd = path_normalize(options->policy->cwd);
    c->real_cwd = realpath(c->cwd, NULL);
    c->updates = acp_updates_create(&update_options);
    if (options->has_terminals)
        c->terminals = acp_terminals_create(options->loop, options->policy, options->command_env);
    return c;
}

/* Nobody is asked any more. */
static void forget(struct asked *asked)
{
    const struct approval_desk *desk = asked->client->options.desk;

    if (asked->wait != NULL)
        desk->cancel(desk->data, asked->wait);
    (void)vec_remove_item(&asked->client->asked, asked);
    json_decref(asked->options);
    free(asked);
}

void acp_client_destroy(struct acp_client *c)
{
    if (c == NULL)
        return;
    while (c->asked.len > 0)
        forget(c->asked.items[0]);
    vec_finish(&c->asked);
    acp_terminals_destroy(c->terminals);
    acp_updates_destroy(c->updates);
    safe_root_close(c->root);
    free(c->session);
    free(c->cwd);
    free(c->real_cwd);
    free(c);
}

void acp_client_set_session(struct acp_client *c, const char *session)
{
    free(c->session);
    c->session = xstrdup(session);
}

struct acp_updates *acp_client_updates(struct acp_client *c)
{
    return c->updates;
}

/* PATH as a path below the worktree, or NULL; caller frees. */
static char *relative_path(const struct acp_client *c, const char *path)
{
    const char *const roots[] = {c->cwd, c->real_cwd};
    char *plain;
    char *relative = NULL;

    if (path[0] != '/' || strlen(path) > 4096)
        return NULL;
    plain = path_normalize(path);
    for (size_t i = 0; i < 2 && relative == NULL; i++)
        if (roots[i] != NULL && path_is_below(plain, roots[i]) && strlen(plain) > strlen(roots[i]))
            relative = xstrdup(plain + strlen(roots[i]) + (strcmp(roots[i], "/") == 0 ? 0 : 1));
    free(plain);
    return relative;
}

/* --- Files ----------------------------------------------------------------------------------------------------------- */

/* Lines FIRST (from 1) to FIRST + COUNT - 1 of TEXT. */
static void cut_lines(struct buf *text, json_int_t first, json_int_t count)
{
    const char *p = buf_cstr(text);
    const char *end = p + text->len;
    const char *start;

    for (; first > 1 && p < end; first--) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));

        p = line_end == NULL ? end : line_end + 1;
    }
    start = p;
    for (; count > 0 && p < end; count--) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));

        p = line_end == NULL ? end : line_end + 1;
    }
    buf_truncate(text, (size_t)(p - buf_cstr(text)));
    buf_consume(text, (size_t)(start - buf_cstr(text)));
}

static void read_file(struct acp_client *c, struct jsonrpc_call *call, const json_t *params)
{
    char *path = relative_path(c, json_get_string(params, "path", ""));
    struct buf text = BUF_INIT;
    struct error err = {0};
    char *result;

    if (path == NULL)
        error_set(&err, ERROR_SANDBOX, "only absolute paths inside of %s can be read", c->cwd);
    else
        (void)safe_root_read_file(c->root, path, &text, MAX_FILE_BYTES, &err);
    if (error_is_set(&err)) {
        jsonrpc_reply_error(call, JSONRPC_INVALID_PARAMS, err.text);
    } else {
        cut_lines(&text, json_get_int(params, "line", 1),
                  json_get_int(params, "limit", (json_int_t)MAX_FILE_BYTES));
        result = acp_read_result(buf_cstr(&text), text.len);
        jsonrpc_reply(call, result);
        free(result);
    }
    buf_free(&text);
    free(path);
}

static void write_file(struct acp_client *c, struct jsonrpc_call *call, const json_t *params)
{
    const json_t *content = json_object_get(params, "content");
    char *path = relative_path(c, json_get_string(params, "path", ""));
    struct error err = {0};

    if (c->options.policy->mode == SANDBOX_READ_ONLY)
        error_set(&err, ERROR_SANDBOX, "this role can write nothing");
    else if (path == NULL)
        error_set(&err, ERROR_SANDBOX, "only absolute paths inside of %s can be written", c->cwd);
    else if (!json_is_string(content) || json_string_length(content) > MAX_FILE_BYTES)
        error_set(&err, ERROR_LIMIT, "`content` is a text of at most %zu bytes", MAX_FILE_BYTES);
    else if (safe_root_make_parents(c->root, path, &err) == 0)
        (void)safe_root_write_file(c->root, path, json_string_value(content), json_string_length(content),
                                   &err);
    if (error_is_set(&err))
        jsonrpc_reply_error(call, JSONRPC_INVALID_PARAMS, err.text);
    else
        jsonrpc_reply(call, "{}");
    free(path);
}

/* --- Permissions ------------------------------------------------------------------------------------------------------ */

static void look_at_path(const struct acp_client *c, const json_t *holder, struct acp_permission *permission)
{
    const char *path = json_get_string(holder, "path", NULL);
    char *relative;

    if (path == NULL)
        return;
    relative = relative_path(c, path);
    permission->has_paths = true;
    permission->is_inside = permission->is_inside && relative != NULL;
    free(relative);
}

static void record_approval(struct acp_client *c, const struct acp_permission *permission, bool allowed,
                            const char *reason)
{
    char *id = xasprintf("acp-%u", ++c->approvals);

    c->options.emit(c->options.data,
                    json_pack("{s:s, s:s, s:o, s:o}", "type", "approval.requested", "approval", id, "command",
                              bounded_text(permission->title, strlen(permission->title)), "reason",
                              bounded_text(permission->kind, strlen(permission->kind))));
    c->options.emit(c->options.data,
                    json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "approval.resolved", "approval", id,
                              "decision", allowed ? "allow" : "deny", "by", "policy", "reason", reason));
    free(id);
}

static void answer_permission(struct jsonrpc_call *call, const json_t *options, bool allowed)
{
    /* Without an option of the right kind the call is taken as cancelled: never as allowed. */
    char *result = acp_permission_result(acp_pick_option(options, allowed));

    jsonrpc_reply(call, result);
    free(result);
}

static void on_answer(void *data, bool is_allowed, const char *why)
{
    struct asked *asked = data;

    (void)why;
    asked->wait = NULL;
    asked->client->options.on_progress(asked->client->options.data);
    answer_permission(asked->call, asked->options, is_allowed);
    forget(asked);
}

/* Asks a person, where one may be asked, for what is no matter of files. The desk records it. */
static bool ask_person(struct acp_client *c, struct jsonrpc_call *call, const json_t *options,
                       const struct acp_permission *permission, const char *reason)
{
    const struct approval_desk *desk = c->options.desk;
    char *command;
    struct approval_request request = {
        .thread = c->options.thread, .role = c->options.role, .task = c->options.task, .cwd = c->cwd, .reason = reason};
    struct asked *asked;

    if (desk == NULL || desk->ask == NULL || desk->policy.kind == APPROVAL_NEVER || permission->has_paths ||
        c->asked.len >= MAX_ASKED)
        return false;
    asked = xcalloc(1, sizeof *asked);
    asked->client = c;
    asked->call = call;
    asked->options = json_incref((json_t *)options);
    vec_push(&c->asked, asked);
    command = xasprintf("%.40s: %.1000s", permission->kind, permission->title);
    request.command = command;
    asked->wait = desk->ask(desk->data, &request, on_answer, asked);
    free(command);
    return true;
}

void acp_client_cancel(struct acp_client *c)
{
    while (c->asked.len > 0) {
        struct asked *asked = c->asked.items[0];
        char *result = acp_permission_result(NULL);

        jsonrpc_reply(asked->call, result);
        free(result);
        forget(asked);
    }
}

static void ask_permission(struct acp_client *c, struct jsonrpc_call *call, const json_t *params)
{
    const json_t *tool = json_object_get(params, "toolCall");
    const json_t *options = json_object_get(params, "options");
    struct acp_permission permission = {
        .title = json_get_string(tool, "title", "(no title)"),
        .kind = json_get_string(tool, "kind", "other"),
        .is_inside = true,
    };
    const char *reason = "";
    bool allowed;
    size_t i;
    json_t *each;

    json_array_foreach (json_object_get(tool, "locations"), i, each)
        look_at_path(c, each, &permission);
    json_array_foreach (json_object_get(tool, "content"), i, each)
        look_at_path(c, each, &permission);
    acp_updates_tool(c->updates, tool);
    allowed = c->options.decide(c->options.data, &permission, &reason);
    if (!allowed && ask_person(c, call, options, &permission, reason))
        return;
    record_approval(c, &permission, allowed, reason);
    answer_permission(call, options, allowed);
}

/* --- What comes in ------------------------------------------------------------------------------------------------------ */

static bool is_ours(const struct acp_client *c, const json_t *params)
{
    return c->session != NULL && strcmp(json_get_string(params, "sessionId", ""), c->session) == 0;
}

static void on_call(void *data, struct jsonrpc_call *call, const char *method, const json_t *params)
{
    struct acp_client *c = data;
    bool is_file = strcmp(method, "fs/read_text_file") == 0 || strcmp(method, "fs/write_text_file") == 0;
    bool is_permission = strcmp(method, "session/request_permission") == 0;
    bool is_terminal = c->terminals != NULL && str_starts_with(method, "terminal/");

    if (!is_file && !is_permission && !is_terminal) {
        jsonrpc_reply_error(call, JSONRPC_METHOD_NOT_FOUND, "Method not found");
        return;
    }
    if (!is_ours(c, params)) {
        jsonrpc_reply_error(call, JSONRPC_INVALID_PARAMS, "there is no such session");
        return;
    }
    c->options.on_progress(c->options.data);
    if (is_permission)
        ask_permission(c, call, params);
    else if (strcmp(method, "fs/read_text_file") == 0)
        read_file(c, call, params);
    else if (is_file)
        write_file(c, call, params);
    else if (!acp_terminals_call(c->terminals, call, method, params))
        jsonrpc_reply_error(call, JSONRPC_METHOD_NOT_FOUND, "Method not found");
}

static void on_notification(void *data, const char *method, const json_t *params)
{
    struct acp_client *c = data;

    if (strcmp(method, "session/update") == 0 && is_ours(c, params) &&
        acp_updates_take(c->updates, json_object_get(params, "update")))
        c->options.on_progress(c->options.data);
}

void acp_client_serve(struct acp_client *c, struct jsonrpc_options *options)
{
    options->on_call = on_call;
    options->on_notification = on_notification;
    options->data = c;
}
