/* agent/agent_tree.c: see agent_tree.h. Nodes, their lives and their mail; what models ask of them is in agent_calls.c. */
#include "agent/agent_tree_internal.h"

#include "agent/role_match.h"
#include "agent/slots.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "config/config.h"
#include "config/role.h"
#include "git/git.h"
#include "io/fiber.h"
#include "store/rollout.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- Nodes ------------------------------------------------------------------------------------------------------ */

static void mail_free(struct agent_mail *mail)
{
    free(mail->text);
    free(mail);
}

struct agent_node *agent_node_create(struct agent_tree *tree, struct agent_node *parent, const char *id, const char *name,
                                     const char *role)
{
    struct agent_node *node = xcalloc(1, sizeof *node);

    node->tree = tree;
    node->parent = parent;
    node->id = xstrdup(id);
    node->name = xstrdup(name);
    node->path = parent == NULL ? xstrdup("/root") : xasprintf("%s/%s", parent->path, name);
    node->nickname = xstrdup(name);
    node->role = xstrdup(role);
    node->result = xstrdup("");
    node->last_task = xstrdup("");
    node->depth = parent == NULL ? 0 : parent->depth + 1;
    node->host = (struct agent_host){agent_call_start, agent_call_cancel, node};
    if (parent != NULL)
        vec_push(&parent->children, node);
    vec_push(&tree->nodes, node);
    return node;
}

static void node_free(struct agent_node *node)
{
    for (size_t i = 0; i < node->mail.len; i++)
        mail_free(node->mail.items[i]);
    vec_finish(&node->mail);
    vec_finish(&node->children);
    vec_finish(&node->ops);
    str_list_finish(&node->inbox);
    conversation_destroy(node->history);
    agent_work_destroy(node->work);
    free(node->id);
    free(node->name);
    free(node->path);
    free(node->nickname);
    free(node->role);
    free(node->model);
    free(node->effort);
    free(node->result);
    free(node->last_task);
    free(node->cwd);
    free(node);
}

bool agent_node_is_final(const struct agent_node *node)
{
    return node->fiber == NULL && node->status >= AGENT_COMPLETED;
}

bool agent_node_is_below(const struct agent_node *node, const struct agent_node *above)
{
    for (const struct agent_node *n = node->parent; n != NULL; n = n->parent)
        if (n == above)
            return true;
    return false;
}

static bool has_live_children(const struct agent_node *node)
{
    for (size_t i = 0; i < node->children.len; i++)
        if (!agent_node_is_final(node->children.items[i]))
            return true;
    return false;
}

const char *agent_status_name(enum agent_status status)
{
    static const char *const names[] = {[AGENT_QUEUED] = "pending_init",     [AGENT_RUNNING] = "running",
                                        [AGENT_COMPLETED] = "completed",     [AGENT_ERRORED] = "errored",
                                        [AGENT_INTERRUPTED] = "interrupted", [AGENT_SHUTDOWN] = "shutdown"};

    return names[status];
}

json_t *agent_status_json(const struct agent_node *node)
{
    if (node == NULL)
        return json_string("not_found");
    if (node->status == AGENT_COMPLETED || node->status == AGENT_ERRORED)
        return json_pack("{s:s}", agent_status_name(node->status), node->result);
    return json_string(agent_status_name(node->status));
}

json_t *agent_event_json(struct agent_node *const *nodes, size_t n)
{
    json_t *ids = json_array();
    json_t *states = json_object();

    for (size_t i = 0; i < n; i++) {
        const struct agent_node *node = nodes[i];

        if (node == NULL)
            continue;
        json_array_append_new(ids, json_string(node->id));
        json_object_set_new(states, node->id,
                            json_pack("{s:s, s:o}", "status", agent_status_name(node->status), "message",
                                      node->result[0] == '\0' ? json_null() : json_string(node->result)));
    }
    return json_pack("{s:o, s:o}", "receiver_thread_ids", ids, "agents_states", states);
}

/* --- Changes ---------------------------------------------------------------------------------------------------- */

int agent_tree_wait_change(struct agent_tree *tree, struct error *err)
{
    struct fiber *self = fiber_current();
    int rc;

    vec_push(&tree->waiters, self);
    rc = fiber_wait(err);
    (void)vec_remove_item(&tree->waiters, self);
    return rc;
}

void agent_tree_changed(struct agent_tree *tree)
{
    for (size_t i = 0; i < tree->waiters.len; i++)
        fiber_wake(tree->waiters.items[i]);
    if (tree->options.on_change != NULL)
        tree->options.on_change(tree->options.data);
}

void agent_record(struct agent_tree *tree, const char *type, json_t *payload)
{
    struct buf b = BUF_INIT;
    struct error err = {0};

    if (tree->record != NULL) {
        json_append_value(&b, payload);
        rollout_add(tree->record, type, b.data, b.len);
        if (rollout_flush(tree->record, &err) < 0)
            log_warning("the session's record: %s", err.text);
    }
    buf_free(&b);
    json_decref(payload);
}

void agent_node_set_status(struct agent_node *node, enum agent_status status, const char *text)
{
    bool is_news = status != node->status;

    node->status = status;
    if (text != NULL) {
        free(node->result);
        node->result = xstrdup(text);
    }
    if (is_news && node->parent != NULL && status >= AGENT_COMPLETED)
        agent_record(node->tree, "agent.status", json_pack("{s:s, s:s, s:s}", "id", node->id, "status",
                                                           agent_status_name(status), "message", node->result));
    agent_tree_changed(node->tree);
}

/* --- Mail ------------------------------------------------------------------------------------------------------- */

void agent_mail_add(struct agent_node *to, struct agent_node *from, const char *text, bool is_result)
{
    struct agent_mail *mail = xcalloc(1, sizeof *mail);

    mail->from = from;
    mail->text = xstrdup(text);
    mail->is_result = is_result;
    vec_push(&to->mail, mail);
    agent_tree_changed(to->tree);
}

void agent_mail_drop_results(struct agent_node *to, const struct agent_node *from)
{
    for (size_t i = to->mail.len; i-- > 0;) {
        const struct agent_mail *mail = to->mail.items[i];

        if (mail->from == from && mail->is_result)
            mail_free(vec_remove(&to->mail, i));
    }
}

static void take_mail(struct agent_node *node, struct str_list *messages)
{
    for (size_t i = 0; i < node->mail.len; i++) {
        str_list_add(messages, ((struct agent_mail *)node->mail.items[i])->text);
        mail_free(node->mail.items[i]);
    }
    vec_finish(&node->mail);
}

static void collect_mail(void *data, struct str_list *messages)
{
    take_mail(data, messages);
}

static bool has_result_mail(const struct agent_node *node)
{
    for (size_t i = 0; i < node->mail.len; i++)
        if (((const struct agent_mail *)node->mail.items[i])->is_result)
            return true;
    return false;
}

/* As Codex tells a parent of a child's end. */
static void tell_parent(struct agent_node *node)
{
    struct agent_tree *tree = node->tree;
    json_t *changes = agent_work_json(node);
    json_t *said = json_pack("{s:s, s:s, s:s, s:o}", tree->form == AGENT_FORM_V2 ? "agent_path" : "agent_id",
                             tree->form == AGENT_FORM_V2 ? node->path : node->id, "nickname", node->nickname,
                             "agent_type", node->role, "status", agent_status_json(node));
    struct buf b = BUF_INIT;

    if (changes != NULL)
        json_object_set_new(said, "changes", changes);
    buf_puts(&b, "<subagent_notification>\n");
    json_append_value(&b, said);
    buf_puts(&b, "\n</subagent_notification>");
    agent_mail_add(node->parent, node, b.data, true);
    json_decref(said);
    buf_free(&b);
}

/* --- A life ------------------------------------------------------------------------------------------------------ */

static int open_session(struct agent_node *node, struct error *err)
{
    struct agent_tree *tree = node->tree;
    struct agent_node *parent = node->parent;
    struct agent_tools tools = {
        .host = &node->host,
        .form = tree->form,
        .role_choices = tree->choices,
        .may_spawn = node->depth < tree->settings.agents.max_depth,
        .with_merge = tree->with_merge,
    };
    struct agent_spec spec = {
        .role = node->role,
        .attempt = 1,
        .thread_id = node->id,
        .holds_no_slot = true,
        .model = node->model,
        .reasoning_effort = node->effort,
        .default_model = tree->settings.agents.default_model,
        .default_reasoning_effort = tree->settings.agents.default_reasoning_effort,
        .tools = &tools,
        .collect_input = collect_mail,
        .input_data = node,
    };
    char *cwd = NULL;

    if (parent->session == NULL)
        return error_set(err, ERROR_CANCELLED, "its parent was closed");
    spec.parent_policy = agent_session_policy(parent->session);
    if (spec.default_model == NULL)
        spec.default_model = agent_session_model(parent->session);
    if (node->needs_history && (node->history = agent_record_history(node, err)) == NULL)
        return -1;
    node->needs_history = false;
    spec.history = node->history;
    if (agent_work_begin(node, &cwd, err) < 0)
        return -1;
    free(node->cwd);
    node->cwd = xstrdup(cwd);
    spec.cwd = cwd;
    spec.has_project_docs = node->work == NULL;
    node->session = agent_session_open(tree->office, &spec, err);
    if (node->session != NULL) {
        conversation_destroy(node->history);
        node->history = NULL;
    }
    free(cwd);
    return node->session == NULL ? -1 : 0;
}

/* What its next turn starts with: its input, or else its mail; the caller frees. */
static char *take_input(struct agent_node *node)
{
    struct str_list parts = {0};
    char *text;

    if (node->was_interrupted && node->tree->settings.agents.sends_interrupt_message)
        str_list_add(&parts, "<turn_aborted>\nThe turn before was interrupted on purpose. What it had started may be half "
                             "done: look before you go on.\n</turn_aborted>");
    node->was_interrupted = false;
    if (node->inbox.len == 0)
        take_mail(node, &parts);
    str_list_copy(&parts, &node->inbox);
    str_list_finish(&node->inbox);
    text = str_list_join(&parts, "\n\n");
    str_list_finish(&parts);
    return text;
}

static void keep_answer(struct agent_node *node, const struct agent_answer *answer)
{
    struct buf b = BUF_INIT;

    if (answer->submission != NULL)
        json_append_value(&b, answer->submission);
    else
        buf_puts(&b, answer->message == NULL ? "" : answer->message);
    free(node->result);
    node->result = buf_take(&b);
}

static void release_slot(struct agent_node *node)
{
    if (node->holds_slot)
        slots_release(office_slots(node->tree->office));
    node->holds_slot = false;
}

static int run_turn(struct agent_node *node, struct error *err)
{
    struct agent_answer answer = {0};
    char *text = NULL;
    int rc = -1;

    agent_node_set_status(node, AGENT_QUEUED, NULL);
    if (office_acquire_slot(node->tree->office, node->role, NULL, err) < 0)
        return -1;
    node->holds_slot = true;
    if (node->session == NULL && open_session(node, err) < 0)
        goto out;
    text = take_input(node);
    node->is_in_turn = true;
    agent_node_set_status(node, AGENT_RUNNING, NULL);
    rc = agent_session_ask(node->session, text, &answer, err);
    node->is_in_turn = false;
    if (rc == 0)
        keep_answer(node, &answer);
out:
    release_slot(node);
    agent_answer_finish(&answer);
    free(text);
    return rc;
}

/* Waits for its children. True when there is something to begin a turn with. */
static bool wants_turn(struct agent_node *node, struct error *err)
{
    for (;;) {
        if (node->inbox.len > 0)
            return true;
        if (!has_live_children(node))
            return has_result_mail(node);
        if (agent_tree_wait_change(node->tree, err) < 0)
            return false;
    }
}

static void live(void *arg)
{
    struct agent_node *node = arg;
    struct agent_tree *tree = node->tree;
    struct error err = {0};
    struct error work_err = {0};
    enum agent_status end = AGENT_COMPLETED;
    int rc;

    do {
        error_clear(&err);
        rc = run_turn(node, &err);
    } while (rc == 0 && wants_turn(node, &err));
    if (error_is_set(&err))
        end = fiber_is_cancelled(node->fiber) ? AGENT_INTERRUPTED : AGENT_ERRORED;
    fiber_shield(true);
    if (!node->is_closing && agent_work_collect(node, &work_err) < 0 && end == AGENT_COMPLETED) {
        end = AGENT_ERRORED;
        err = work_err;
    }
    fiber_shield(false);
    if (end == AGENT_INTERRUPTED)
        node->was_interrupted = true;
    node->fiber = NULL;
    agent_node_set_status(node, end, end == AGENT_ERRORED ? err.text : NULL);
    if (!node->is_closing && end != AGENT_INTERRUPTED)
        tell_parent(node);
    if (node->restarts && !node->is_closing) {
        node->restarts = false;
        node->fiber = fiber_start(office_options_of(tree->office)->loop, live, node);
    }
    agent_tree_changed(tree);
}

void agent_node_input(struct agent_node *node, const char *text)
{
    free(node->last_task);
    node->last_task = xstrdup(text);
    if (node->is_in_turn && !fiber_is_cancelled(node->fiber) && agent_session_add(node->session, text))
        return;
    str_list_add(&node->inbox, text);
    if (node->fiber == NULL) {
        node->status = AGENT_QUEUED;
        node->fiber = fiber_start(office_options_of(node->tree->office)->loop, live, node);
    } else if (fiber_is_cancelled(node->fiber)) {
        node->restarts = true;
    }
    agent_tree_changed(node->tree);
}

void agent_node_interrupt(struct agent_node *node)
{
    if (node->fiber != NULL)
        fiber_cancel(node->fiber);
}

/* Children may come and go while one of them is being closed. */
static struct agent_node *open_child(const struct agent_node *node)
{
    for (size_t i = 0; i < node->children.len; i++) {
        struct agent_node *child = node->children.items[i];

        if (child->session != NULL || child->fiber != NULL || child->ops.len > 0 || child->is_closing)
            return child;
    }
    return NULL;
}

void agent_node_close(struct agent_node *node)
{
    struct agent_tree *tree = node->tree;
    bool was_final = agent_node_is_final(node);

    fiber_shield(true);
    if (node->is_closing) { /* somebody else does it */
        while (node->is_closing)
            (void)agent_tree_wait_change(tree, NULL);
        fiber_shield(false);
        return;
    }
    node->is_closing = true;
    for (struct agent_node *child; (child = open_child(node)) != NULL;)
        agent_node_close(child);
    if (node->fiber != NULL)
        fiber_cancel(node->fiber);
    while (node->fiber != NULL)
        (void)agent_tree_wait_change(tree, NULL);
    agent_session_close(node->session);
    node->session = NULL;
    while (node->ops.len > 0)
        (void)agent_tree_wait_change(tree, NULL);
    agent_work_end(node);
    node->restarts = false;
    str_list_finish(&node->inbox);
    if (!tree->is_closing || !was_final)
        agent_node_set_status(node, AGENT_SHUTDOWN, NULL);
    node->is_closing = false;
    agent_tree_changed(tree);
    fiber_shield(false);
}

/* --- The tree ---------------------------------------------------------------------------------------------------- */

/* [features] multi_agent_v2 chooses the second form; agents.enabled (or [features] multi_agent) switches both. */
static enum agent_form form_of(const struct config *c, const struct agent_settings *settings)
{
    const struct toml_value *v2 = config_value(c, "features.multi_agent_v2");
    bool is_v2 = v2 != NULL && v2->type == TOML_BOOLEAN ? config_bool(c, "features.multi_agent_v2")
                                                        : config_bool(c, "features.multi_agent_v2.enabled");

    if (!settings->is_enabled)
        return AGENT_FORM_NONE;
    return is_v2 ? AGENT_FORM_V2 : AGENT_FORM_V1;
}

/* Does some role work in a worktree of its own? By what is known without opening a role's file. */
static bool some_role_is_isolated(const struct config *c, const struct role_registry *roles)
{
    for (size_t i = 0; i < role_registry_count(roles); i++) {
        struct role_summary role = role_registry_at(roles, i);
        const struct toml_value *own = toml_get(toml_get(config_table(c, "roles"), role.name), "isolation");
        const struct builtin_role *builtin = builtin_role_find(role.name);
        const char *said = own != NULL && own->type == TOML_STRING ? own->as.string.bytes
                           : builtin != NULL                       ? builtin->isolation
                                                                   : "none";

        if (str_eq(said, "worktree"))
            return true;
    }
    return false;
}

static int open_main(struct agent_tree *tree, struct error *err)
{
    const struct office_options *o = office_options_of(tree->office);
    struct agent_spec spec = tree->options.main;
    struct agent_tools tools = {
        .host = &tree->root->host,
        .form = tree->form,
        .role_choices = tree->choices,
        .may_spawn = tree->settings.agents.max_depth > 0,
        .with_merge = tree->with_merge,
    };

    (void)o;
    spec.is_main = true;
    spec.holds_no_slot = true;
    spec.has_project_docs = true;
    spec.thread_id = tree->root->id;
    spec.tools = &tools;
    spec.history = tree->root->history;
    spec.collect_input = collect_mail;
    spec.input_data = tree->root;
    tree->root->session = agent_session_open(tree->office, &spec, err);
    return tree->root->session == NULL ? -1 : 0;
}

struct agent_tree *agent_tree_open(const struct agent_tree_options *options, struct error *err)
{
    const struct office_options *o = office_options_of(options->office);
    struct agent_tree *tree = xcalloc(1, sizeof *tree);
    char id[RANDOM_UUID_BYTES];

    tree->options = *options;
    tree->office = options->office;
    tree->session_dir = xstrdup(options->session_dir);
    tree->cwd = xstrdup(options->main.cwd);
    run_settings_init(&tree->settings, o->config);
    tree->max_agents = config_int(o->config, "limits.max_agents");
    tree->form = form_of(o->config, &tree->settings.agents);
    tree->with_merge = tree->session_dir != NULL && some_role_is_isolated(o->config, o->roles);
    tree->choices = role_choices(o->roles);
    random_uuid(id);
    tree->root = agent_node_create(tree, NULL, options->main.thread_id != NULL ? options->main.thread_id : id, "root",
                                   options->main.role);
    tree->root->cwd = xstrdup(tree->cwd);
    if ((tree->session_dir != NULL && agent_record_open(tree, err) < 0) ||
        (options->resumes && agent_record_restore(tree, err) < 0) || open_main(tree, err) < 0) {
        agent_tree_close(tree);
        return NULL;
    }
    tree->root->status = AGENT_COMPLETED;
    return tree;
}

void agent_tree_close(struct agent_tree *tree)
{
    if (tree == NULL)
        return;
    tree->is_closing = true;
    if (tree->root->session != NULL)
        agent_node_close(tree->root);
    for (size_t i = 0; i < tree->nodes.len; i++)
        node_free(tree->nodes.items[i]);
    vec_finish(&tree->nodes);
    vec_finish(&tree->waiters);
    git_repo_close(tree->repo);
    rollout_close(tree->record);
    run_settings_finish(&tree->settings);
    free(tree->session_dir);
    free(tree->cwd);
    free(tree->choices);
    free(tree);
}

int agent_tree_ask(struct agent_tree *tree, const char *text, bool waits_for_all, struct agent_answer *answer,
                   struct error *err)
{
    struct agent_node *root = tree->root;
    int rc;

    if (text != NULL)
        str_list_add(&root->inbox, text);
    do {
        char *input = take_input(root);

        agent_answer_finish(answer);
        root->status = AGENT_RUNNING;
        root->is_in_turn = true;
        rc = agent_session_ask(root->session, input, answer, err);
        root->is_in_turn = false;
        root->status = rc == 0 ? AGENT_COMPLETED : AGENT_ERRORED;
        free(input);
    } while (rc == 0 && waits_for_all && wants_turn(root, err));
    return rc == 0 && waits_for_all && error_is_set(err) ? -1 : rc;
}

struct agent_session *agent_tree_main(struct agent_tree *tree)
{
    return tree->root->session;
}

size_t agent_tree_live_count(const struct agent_tree *tree)
{
    size_t n = 0;

    for (size_t i = 1; i < tree->nodes.len; i++)
        n += !agent_node_is_final(tree->nodes.items[i]);
    return n;
}

bool agent_tree_wants_turn(const struct agent_tree *tree)
{
    return !has_live_children(tree->root) && has_result_mail(tree->root);
}

void agent_tree_interrupt_all(struct agent_tree *tree)
{
    for (size_t i = 1; i < tree->nodes.len; i++)
        agent_node_interrupt(tree->nodes.items[i]);
}

size_t agent_tree_count(const struct agent_tree *tree)
{
    return tree->nodes.len;
}

struct agent_view agent_tree_at(const struct agent_tree *tree, size_t index)
{
    const struct agent_node *node = tree->nodes.items[index];

    return (struct agent_view){
        .id = node->id,
        .path = node->path,
        .nickname = node->nickname,
        .role = node->role,
        .status = agent_status_name(node->status),
        .message = node->result,
        .depth = node->depth,
    };
}

const char *agent_tree_nickname(const struct agent_tree *tree, const char *thread_id)
{
    for (size_t i = 0; i < tree->nodes.len; i++) {
        const struct agent_node *node = tree->nodes.items[i];

        if (strcmp(node->id, thread_id) == 0)
            return node->nickname;
    }
    return NULL;
}
