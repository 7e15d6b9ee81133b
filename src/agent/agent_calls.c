/* agent/agent_calls.c: what models ask of the agent tree, by the tools of tool/agents.h. What is done at once is answered
 * at once; what waits is an op with a fiber of its own. */
#include "agent/agent_tree_internal.h"

#include "agent/slots.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/random.h"
#include "agent/role_match.h"
#include "config/config.h"
#include "config/role.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "model/conversation.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_WAIT_MS 3600000
#define FORK_NOTE                                                                                                        \
    "You are an agent that was spawned here. What stands above is your parent's conversation, as background only; the "  \
    "next message is your task."

/* --- Ops -------------------------------------------------------------------------------------------------------- */

void agent_op_free(struct agent_op *op)
{
    vec_finish(&op->targets);
    str_list_finish(&op->names);
    json_decref(op->args);
    free(op);
}

static void op_main(void *arg)
{
    struct agent_op *op = arg;
    struct agent_tree *tree = op->node->tree;

    op->run(op);
    (void)vec_remove_item(&op->node->ops, op);
    agent_op_free(op);
    agent_tree_changed(tree);
}

struct agent_op *agent_op_start(struct agent_node *node, struct tool_call *call, void (*run)(struct agent_op *op))
{
    struct agent_op *op = xcalloc(1, sizeof *op);

    op->node = node;
    op->call = call;
    op->run = run;
    vec_push(&node->ops, op);
    op->fiber = fiber_start(office_options_of(node->tree->office)->loop, op_main, op);
    return op;
}

void agent_call_cancel(void *data, struct tool_call *call)
{
    struct agent_node *node = data;

    for (size_t i = 0; i < node->ops.len; i++) {
        struct agent_op *op = node->ops.items[i];

        if (op->call != call)
            continue;
        op->call = NULL;
        if (op->is_cancellable)
            fiber_cancel(op->fiber);
    }
}

void agent_wait_begin(struct agent_node *node)
{
    if (node->waits++ == 0 && node->holds_slot) {
        node->holds_slot = false;
        node->gave_slot = true;
        slots_release(office_slots(node->tree->office));
    }
}

int agent_wait_end(struct agent_node *node, struct error *err)
{
    struct slots *slots = office_slots(node->tree->office);

    if (--node->waits > 0 || !node->gave_slot)
        return 0;
    node->gave_slot = false;
    if (!node->is_in_turn)
        return 0;
    if (slots_acquire(slots, err) < 0)
        return -1;
    if (node->is_in_turn)
        node->holds_slot = true;
    else
        slots_release(slots);
    return 0;
}

/* --- Whom a model means ------------------------------------------------------------------------------------------ */

static struct agent_node *find_node(const struct agent_node *caller, const char *name)
{
    const struct vec *nodes = &caller->tree->nodes;
    char *below = xasprintf("%s/%s", caller->path, name);
    struct agent_node *found = NULL;

    for (size_t i = nodes->len; i-- > 0 && found == NULL;) { /* the newest of a name that was used again */
        struct agent_node *node = nodes->items[i];

        if (node->job == NULL && (strcmp(node->id, name) == 0 || strcmp(node->path, name) == 0 ||
                                  strcmp(node->path, below) == 0 || strcmp(node->nickname, name) == 0))
            found = node;
    }
    free(below);
    return found;
}

static struct agent_node *need_node(struct agent_node *caller, const char *name, struct tool_call *call)
{
    struct agent_node *node = find_node(caller, name);

    if (node == NULL)
        agent_call_refuse(call, "there is no agent \"%.200s\"", name);
    return node;
}

/* An agent that CALLER spawned, or one below that. */
static struct agent_node *need_descendant(struct agent_node *caller, const char *name, struct tool_call *call)
{
    struct agent_node *node = need_node(caller, name, call);

    if (node != NULL && !agent_node_is_below(node, caller)) {
        agent_call_refuse(call, "%s is none of the agents that you have spawned", node->path);
        return NULL;
    }
    return node;
}

/* --- spawn_agent ------------------------------------------------------------------------------------------------- */

static bool may_spawn(const struct agent_node *node, struct tool_call *call)
{
    const struct agent_tree *tree = node->tree;

    if (tree->form == AGENT_FORM_NONE)
        agent_call_refuse(call, "agents are switched off (agents.enabled)");
    else if (node->is_closing || tree->is_closing)
        agent_call_refuse(call, "this agent is being closed");
    else if (node->depth + 1 > tree->settings.agents.max_depth)
        agent_call_refuse(call, "agent depth limit reached: this agent is at depth %d and agents.max_depth is %d; do the work "
                                "yourself",
                          node->depth, tree->settings.agents.max_depth);
    else if (tree->max_agents > 0 && tree->spawned >= tree->max_agents)
        agent_call_refuse(call, "%lld agents were spawned in this session, as many as limits.max_agents allows; use those that "
                                "exist (send them input) or do the work yourself",
                          (long long)tree->spawned);
    else
        return true;
    return false;
}

static bool name_is_taken(const struct agent_tree *tree, const char *nickname)
{
    for (size_t i = 0; i < tree->nodes.len; i++)
        if (strcmp(((const struct agent_node *)tree->nodes.items[i])->nickname, nickname) == 0)
            return true;
    return false;
}

/* A candidate that nobody has; then "NAME 2" and so on. The caller frees. */
static char *choose_nickname(const struct agent_tree *tree, const struct role *role)
{
    size_t candidates = role->nickname_candidates.len > 0 ? role->nickname_candidates.len : 1, others = 0;

    /* As many as the role has agents are given away: names before that need no look, or a thousand agents take a million. */
    for (size_t i = 0; i < tree->nodes.len; i++)
        others += str_eq(((const struct agent_node *)tree->nodes.items[i])->role, role->name);
    for (unsigned round = (unsigned)(others / candidates) + 1;; round++) {
        for (size_t i = 0; i < role->nickname_candidates.len || i == 0; i++) {
            const char *base = role->nickname_candidates.len > 0 ? role->nickname_candidates.items[i] : role->name;
            char *name = round == 1 && role->nickname_candidates.len > 0 ? xstrdup(base) : xasprintf("%s %u", base, round);

            if (!name_is_taken(tree, name))
                return name;
            free(name);
        }
    }
}

/* A fork sends its parent's items again: another model could not read its reasoning, another provider not its form. */
static bool can_fork(const struct agent_node *node, const struct role *role, const struct agent_request *request)
{
    const struct config *c = office_options_of(node->tree->office)->config;
    const char *parent_model = agent_session_model(node->session);
    const char *fallback = node->tree->settings.agents.default_model;
    const char *model = request->model != NULL ? request->model
                        : role->model != NULL  ? role->model
                        : fallback != NULL     ? fallback
                                               : parent_model;
    const char *provider = role->settings == NULL ? NULL : toml_string(role->settings, "model_provider", NULL);

    return str_eq(model, parent_model) && (provider == NULL || str_eq(provider, config_string(c, "model_provider")));
}

static void spawn(struct agent_node *node, const struct agent_request *request, struct tool_call *call)
{
    struct agent_tree *tree = node->tree;
    struct role_registry *roles = office_options_of(tree->office)->roles;
    const char *role_name = request->role != NULL ? request->role : role_match(roles, request->message);
    char id[RANDOM_UUID_BYTES];
    struct error err = {0};
    const struct role *role;
    struct agent_node *child;
    char *nickname;

    if (!may_spawn(node, call))
        return;
    role = role_registry_get(roles, role_name, &err);
    if (role == NULL) {
        agent_call_refuse(call, "%s", err.text);
        return;
    }
    for (size_t i = 0; request->task_name != NULL && i < node->children.len; i++) {
        const struct agent_node *other = node->children.items[i];

        if (strcmp(other->name, request->task_name) == 0 && other->status != AGENT_SHUTDOWN) {
            agent_call_refuse(call, "there is an agent %s already: use followup_task, or another task_name", other->path);
            return;
        }
    }
    if (request->wants_fork && request->is_fork_explicit && !can_fork(node, role, request)) {
        agent_call_refuse(call, "an agent that starts from this conversation has to use the same model and provider; spawn it "
                                "without the conversation");
        return;
    }
    random_uuid(id);
    nickname = choose_nickname(tree, role);
    child = agent_node_create(tree, node, id, request->task_name != NULL ? request->task_name : id, role_name);
    free(child->nickname);
    child->nickname = nickname;
    child->model = xstrdup(request->model);
    child->effort = xstrdup(request->effort);
    if (request->wants_fork && can_fork(node, role, request))
        child->history = agent_session_fork(node->session, FORK_NOTE);
    tree->spawned++;
    agent_record(tree, "agent.spawned",
                 json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s?}", "id", child->id, "parent", node->id, "name", child->name,
                           "role", child->role, "nickname", child->nickname, "model", child->model, "effort",
                           child->effort));
    agent_node_input(child, request->message);
    agent_call_answer(call,
                      request->form == AGENT_FORM_V2
                          ? json_pack("{s:s, s:s, s:s}", "task_name", child->path, "nickname", child->nickname, "agent_type",
                                      child->role)
                          : json_pack("{s:s, s:s, s:s}", "agent_id", child->id, "nickname", child->nickname, "agent_type",
                                      child->role),
                      agent_event_json(&child, 1));
}

/* --- Messages ---------------------------------------------------------------------------------------------------- */

static void send(struct agent_node *node, const struct agent_request *request, struct tool_call *call)
{
    struct agent_node *target = need_node(node, request->target, call);
    json_t *answer;

    if (target == NULL)
        return;
    if (target == node) {
        agent_call_refuse(call, "that is you");
    } else if (target->status == AGENT_SHUTDOWN || target->is_closing) {
        agent_call_refuse(call, "%s is closed%s", target->path,
                          node->tree->form == AGENT_FORM_V1 ? ": open it with resume_agent first" : "; spawn another");
    } else if (request->starts_turn && target->parent == NULL) {
        agent_call_refuse(call, "the main thread takes no tasks; leave it a message, or end with your result");
    } else if (request->starts_turn && !agent_node_is_below(target, node)) {
        agent_call_refuse(call, "%s is none of the agents that you have spawned", target->path);
    } else {
        if (request->interrupts)
            agent_node_interrupt(target);
        if (request->starts_turn) {
            agent_node_input(target, request->message);
        } else {
            char *text = xasprintf("<agent_message from=\"%s\">\n%s\n</agent_message>", node->path, request->message);

            agent_mail_add(target, node, text, false);
            free(text);
        }
        if (request->form == AGENT_FORM_V1) {
            char id[RANDOM_UUID_BYTES];

            random_uuid(id);
            answer = json_pack("{s:s}", "submission_id", id);
        } else {
            answer = json_pack("{s:s, s:o}", "target", target->path, "status", agent_status_json(target));
        }
        agent_call_answer(call, answer, agent_event_json(&target, 1));
    }
}

/* --- wait_agent -------------------------------------------------------------------------------------------------- */

static bool wait_is_over(const struct agent_op *op)
{
    const struct agent_node *node = op->node;

    if (op->form == AGENT_FORM_V2) {
        if (node->mail.len > 0)
            return true;
        for (size_t i = 0; i < node->tree->nodes.len; i++) {
            const struct agent_node *other = node->tree->nodes.items[i];

            if (agent_node_is_below(other, node) && !agent_node_is_final(other))
                return false;
        }
        return true;
    }
    for (size_t i = 0; i < op->targets.len; i++)
        if (op->targets.items[i] == NULL || agent_node_is_final(op->targets.items[i]))
            return true;
    return false;
}

static void on_timeout(void *data)
{
    struct agent_op *op = data;

    op->is_timed_out = true;
    op->timer = NULL;
    fiber_wake(op->fiber);
}

static json_t *wait_answer_v1(const struct agent_op *op)
{
    json_t *status = json_object();
    json_t *changes = json_object();
    json_t *answer;
    bool is_any = false;

    for (size_t i = 0; i < op->targets.len; i++) {
        const struct agent_node *target = op->targets.items[i];
        json_t *work = NULL;

        if (target != NULL && !agent_node_is_final(target))
            continue;
        is_any = true;
        json_object_set_new(status, op->names.items[i], agent_status_json(target));
        if (target == NULL)
            continue;
        agent_mail_drop_results(op->node, target);
        work = agent_work_json(target);
        if (work != NULL)
            json_object_set_new(changes, op->names.items[i], work);
    }
    answer = json_pack("{s:o, s:b}", "status", status, "timed_out", !is_any);
    if (json_object_size(changes) > 0)
        json_object_set(answer, "changes", changes);
    json_decref(changes);
    return answer;
}

static void run_wait(struct agent_op *op)
{
    struct agent_node *node = op->node;
    struct error err = {0};

    agent_wait_begin(node);
    op->timer = timer_start(office_options_of(node->tree->office)->loop, (uint64_t)op->timeout_ms, on_timeout, op);
    while (!op->is_timed_out && !wait_is_over(op) && agent_tree_wait_change(node->tree, &err) == 0)
        ;
    timer_cancel(op->timer);
    (void)agent_wait_end(node, &err);
    if (op->call == NULL)
        return;
    if (op->form == AGENT_FORM_V2)
        agent_call_answer(op->call,
                          json_pack("{s:s, s:b}", "message",
                                    node->mail.len > 0 ? "Wait completed."
                                    : op->is_timed_out ? "Wait timed out."
                                                       : "No agent is running.",
                                    "timed_out", node->mail.len == 0 && op->is_timed_out),
                          agent_event_json((struct agent_node *const *)node->children.items, node->children.len));
    else
        agent_call_answer(op->call, wait_answer_v1(op),
                          agent_event_json((struct agent_node *const *)op->targets.items, op->targets.len));
}

static void wait_for(struct agent_node *node, const struct agent_request *request, struct tool_call *call)
{
    struct agent_op *op;
    size_t i;
    json_t *name;

    json_array_foreach(request->targets, i, name) {
        const struct agent_node *target = find_node(node, json_string_value(name));

        if (target == node || (target != NULL && agent_node_is_below(node, target))) {
            agent_call_refuse(call, "%s is %s: that wait would never end", json_string_value(name),
                              target == node ? "you" : "above you");
            return;
        }
    }
    op = agent_op_start(node, call, run_wait);
    op->is_cancellable = true;
    op->form = request->form;
    op->timeout_ms = request->timeout_ms < 0 ? DEFAULT_WAIT_MS : request->timeout_ms;
    json_array_foreach(request->targets, i, name) {
        if (str_list_has(&op->names, json_string_value(name)))
            continue;
        vec_push(&op->targets, find_node(node, json_string_value(name)));
        str_list_add(&op->names, json_string_value(name));
    }
}

/* --- Ends and beginnings ------------------------------------------------------------------------------------------ */

static void run_close(struct agent_op *op)
{
    json_t *before = agent_status_json(op->target);

    agent_node_close(op->target);
    agent_mail_drop_results(op->node, op->target);
    if (op->call != NULL)
        agent_call_answer(op->call, json_pack("{s:o}", "previous_status", before), agent_event_json(&op->target, 1));
    else
        json_decref(before);
}

static void run_merge(struct agent_op *op)
{
    struct error err = {0};
    json_t *answer = agent_work_merge(op->target, op->node, &err);

    if (op->call == NULL)
        json_decref(answer);
    else if (answer == NULL)
        agent_call_refuse(op->call, "%s", err.text);
    else
        agent_call_answer(op->call, answer, agent_event_json(&op->target, 1));
}

static void on_target(struct agent_node *node, const struct agent_request *request, struct tool_call *call)
{
    struct agent_node *target = need_descendant(node, request->target, call);
    struct agent_op *op;
    json_t *before;

    if (target == NULL)
        return;
    if (request->verb == AGENT_VERB_CLOSE || request->verb == AGENT_VERB_MERGE) {
        op = agent_op_start(node, call, request->verb == AGENT_VERB_CLOSE ? run_close : run_merge);
        op->target = target;
        return;
    }
    before = agent_status_json(target);
    if (request->verb == AGENT_VERB_INTERRUPT) {
        agent_node_interrupt(target);
        agent_call_answer(call, json_pack("{s:o}", "previous_status", before), agent_event_json(&target, 1));
        return;
    }
    json_decref(before);
    if (target->status == AGENT_SHUTDOWN && !target->is_closing) {
        if (target->last_task[0] != '\0' && node->tree->session_dir == NULL) {
            agent_call_refuse(call, "%s is closed, and nothing was kept of it: spawn another", target->path);
            return;
        }
        target->needs_history = true;
        agent_node_set_status(target, AGENT_COMPLETED, NULL);
    }
    agent_call_answer(call, json_pack("{s:o}", "status", agent_status_json(target)), agent_event_json(&target, 1));
}

static void list(const struct agent_node *node, const struct agent_request *request, struct tool_call *call)
{
    json_t *agents = json_array();

    for (size_t i = 0; i < node->tree->nodes.len; i++) {
        const struct agent_node *other = node->tree->nodes.items[i];

        if (other->job != NULL || other->status == AGENT_SHUTDOWN ||
            (request->target != NULL && !str_starts_with(other->path, request->target)))
            continue;
        json_array_append_new(agents, json_pack("{s:s, s:s, s:s, s:o, s:s}", "agent_name", other->path, "nickname",
                                                other->nickname, "agent_type", other->role, "agent_status",
                                                agent_status_json(other), "last_task_message", other->last_task));
    }
    agent_call_answer(call, json_pack("{s:o}", "agents", agents), NULL);
}

void agent_call_start(void *data, const struct agent_request *request, struct tool_call *call)
{
    struct agent_node *node = data;

    switch (request->verb) {
    case AGENT_VERB_SPAWN:
        spawn(node, request, call);
        break;
    case AGENT_VERB_SEND:
        send(node, request, call);
        break;
    case AGENT_VERB_WAIT:
        wait_for(node, request, call);
        break;
    case AGENT_VERB_CLOSE:
    case AGENT_VERB_RESUME:
    case AGENT_VERB_INTERRUPT:
    case AGENT_VERB_MERGE:
        on_target(node, request, call);
        break;
    case AGENT_VERB_LIST:
        list(node, request, call);
        break;
    case AGENT_VERB_JOB:
        if (may_spawn(node, call))
            agent_job_start(node, request, call);
        break;
    case AGENT_VERB_REPORT:
        agent_job_report(node, request, call);
        break;
    }
}
