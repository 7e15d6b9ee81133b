/* agent/agent_node.c: one agent of a tree (agent_tree.h): its life, its mail, its end. What models ask of it is in
 * agent_calls.c. */
#include "agent/agent_tree_internal.h"

#include "agent/slots.h"
#include "agent/thread_history.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
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

void agent_node_free(struct agent_node *node)
{
    for (size_t i = 0; i < node->mail.len; i++)
        mail_free(node->mail.items[i]);
    vec_finish(&node->mail);
    vec_finish(&node->children);
    vec_finish(&node->ops);
    str_list_finish(&node->inbox);
    thread_history_destroy(node->history);
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

void agent_node_forget(struct agent_node *node)
{
    assert(node->fiber == NULL && node->session == NULL && node->children.len == 0 && node->ops.len == 0);
    (void)vec_remove_item(&node->parent->children, node);
    (void)vec_remove_item(&node->tree->nodes, node);
    agent_node_free(node);
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

bool agent_node_has_live_children(const struct agent_node *node)
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
    if (is_news && node->parent != NULL && node->job == NULL && status >= AGENT_COMPLETED)
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

void agent_mail_collect(void *data, struct str_list *messages)
{
    take_mail(data, messages);
}

bool agent_node_has_result_mail(const struct agent_node *node)
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
        .collect_input = agent_mail_collect,
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
    if (node->job != NULL)
        agent_job_fill_spec(node, &spec, &tools);
    node->session = agent_session_open(tree->office, &spec, err);
    if (node->session != NULL) {
        thread_history_destroy(node->history);
        node->history = NULL;
    }
    free(cwd);
    return node->session == NULL ? -1 : 0;
}

char *agent_node_take_input(struct agent_node *node)
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
    text = agent_node_take_input(node);
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

bool agent_node_wants_turn(struct agent_node *node, struct error *err)
{
    for (;;) {
        if (node->inbox.len > 0)
            return true;
        if (!agent_node_has_live_children(node))
            return agent_node_has_result_mail(node);
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
    } while (rc == 0 && agent_node_wants_turn(node, &err));
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
    if (!node->is_closing && node->job == NULL && end != AGENT_INTERRUPTED)
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
