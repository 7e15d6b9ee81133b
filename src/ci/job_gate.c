/* ci/job_gate.c: when a job may start, beside its needs: max-parallel and fail-fast of its matrix, concurrency
 * groups, and a free core.
 *
 * On GitHub a newer run cancels an older one of its group. Here there is one run: its jobs wait for one another. */
#include "ci/run_internal.h"

#include "base/alloc.h"
#include "ci/template.h"

#include <stdlib.h>
#include <string.h>

/* --- Matrices ----------------------------------------------------------------------------------------- */

static struct strategy *strategy_for(struct run *run, const struct plan_job *job)
{
    struct strategy *s;
    json_t *contexts, *value;
    struct scope_state state = {0};
    struct expr_scope scope;
    struct error ignored = {0};

    for (size_t i = 0; i < run->strategies.len; i++) {
        s = run->strategies.items[i];
        if (s->root == job->root && strcmp(s->key, job->pub.key) == 0)
            return s;
    }
    s = xcalloc(1, sizeof *s);
    s->root = job->root;
    s->key = job->pub.key;
    s->fail_fast = true;
    contexts = plan_job_contexts(run->plan, job->workflow, job->job->key, NULL, NULL, job->inputs);
    scope = scope_make(contexts, &state);
    value = template_expand_node(job->job->strategy, &scope, job->workflow->file, &ignored);
    if (json_object_get(value, "fail-fast") != NULL) {
        struct expr_value v = expr_from_json(json_object_get(value, "fail-fast"));
        s->fail_fast = expr_is_truthy(&v);
        expr_value_finish(&v);
    }
    if (json_is_number(json_object_get(value, "max-parallel")) && json_number_value(json_object_get(value, "max-parallel")) >= 1)
        s->max_parallel = (unsigned)json_number_value(json_object_get(value, "max-parallel"));
    json_decref(value);
    json_decref(contexts);
    vec_push(&run->strategies, s);
    return s;
}

void gate_prepare(struct node *node)
{
    if (node->job->job->strategy != NULL && !node->job->workflow->is_literal)
        node->strategy = strategy_for(node->run, node->job);
}

void gate_finish(struct run *run)
{
    for (size_t i = 0; i < run->strategies.len; i++)
        free(run->strategies.items[i]);
    for (size_t i = 0; i < run->groups.len; i++) {
        struct concurrency *group = run->groups.items[i];
        free(group->name);
        free(group);
    }
    vec_finish(&run->strategies);
    vec_finish(&run->groups);
    vec_finish(&run->gate_waiters);
}

static void wake_all(struct run *run)
{
    for (size_t i = 0; i < run->gate_waiters.len; i++)
        fiber_wake(run->gate_waiters.items[i]);
}

static int wait_here(struct run *run, struct error *err)
{
    struct fiber *me = fiber_current();
    int rc;

    vec_push(&run->gate_waiters, me);
    rc = fiber_wait(err);
    vec_remove_item(&run->gate_waiters, me);
    return rc;
}

/* --- Cores ---------------------------------------------------------------------------------------------- */

struct slot_waiter {
    const struct node *node;
    struct fiber *fiber;
};

/* The waiting job that is likeliest to fail gets the free slot. */
static void slot_offer(struct run *run)
{
    struct slot_waiter *best = NULL;

    for (size_t i = 0; run->free_slots > 0 && i < run->slot_waiters.len; i++) {
        struct slot_waiter *waiter = run->slot_waiters.items[i];
        if (best == NULL || waiter->node->priority > best->node->priority)
            best = waiter;
    }
    if (best != NULL) {
        vec_remove_item(&run->slot_waiters, best);
        fiber_wake(best->fiber);
    }
}

int gate_take_slot(struct node *node, struct error *err)
{
    struct run *run = node->run;
    struct slot_waiter me = {.node = node, .fiber = fiber_current()};

    while (run->free_slots == 0) {
        int rc;

        vec_push(&run->slot_waiters, &me);
        rc = fiber_wait(err);
        vec_remove_item(&run->slot_waiters, &me);
        if (rc < 0) {
            slot_offer(run); /* it may have been woken for a slot */
            return -1;
        }
    }
    run->free_slots--;
    return 0;
}

void gate_give_slot(struct run *run)
{
    run->free_slots++;
    slot_offer(run);
}

/* --- Concurrency groups ------------------------------------------------------------------------------- */

/* The group's name: `concurrency: name` or `concurrency: {group: name}`. Caller frees; NULL when there is none. */
static char *group_name(const struct yaml_node *node, json_t *contexts)
{
    struct scope_state state = {0};
    struct expr_scope scope = scope_make(contexts, &state);
    const char *text = yaml_text(node) != NULL ? yaml_text(node) : yaml_get_text(node, "group");
    struct error ignored = {0};
    char *name = text != NULL ? template_expand_text(text, &scope, &ignored) : NULL;

    if (name != NULL && *name == '\0')
        FREE_NULL(name);
    return name;
}

static struct concurrency *group_for(struct run *run, const char *name)
{
    struct concurrency *group;

    for (size_t i = 0; i < run->groups.len; i++) {
        group = run->groups.items[i];
        if (strcmp(group->name, name) == 0)
            return group;
    }
    group = xcalloc(1, sizeof *group);
    group->name = xstrdup(name);
    vec_push(&run->groups, group);
    return group;
}

/* A group that the owner holds already is no hindrance (a job in the group of its own workflow would wait for ever). */
static int take_group(struct node *node, const char *name, const void *owner, struct error *err)
{
    struct concurrency *group = group_for(node->run, name);

    while (group->owner != NULL && group->owner != owner && group->owner != node->job->root) {
        if (wait_here(node->run, err) < 0)
            return -1;
    }
    if (group->owner == NULL)
        group->owner = owner;
    return 0;
}

static void release_groups(struct run *run, const void *owner)
{
    for (size_t i = 0; i < run->groups.len; i++) {
        struct concurrency *group = run->groups.items[i];
        if (group->owner == owner)
            group->owner = NULL;
    }
    wake_all(run);
}

int gate_enter(struct node *node, json_t *contexts, struct error *err)
{
    struct strategy *s = node->strategy;
    const struct yaml_node *workflow_group = node->job->root != NULL ? node->job->root->concurrency : NULL;
    char *outer = workflow_group != NULL ? group_name(workflow_group, contexts) : NULL;
    char *own = node->job->job->concurrency != NULL ? group_name(node->job->job->concurrency, contexts) : NULL;
    int rc = 0;

    if (outer != NULL)
        rc = take_group(node, outer, node->job->root, err);
    while (rc == 0 && s != NULL && s->max_parallel > 0 && s->running >= s->max_parallel)
        rc = wait_here(node->run, err);
    if (rc == 0 && own != NULL)
        rc = take_group(node, own, node, err);
    if (rc == 0 && s != NULL)
        s->running++;
    free(own);
    free(outer);
    return rc;
}

void gate_leave(struct node *node, const struct ci_job_result *result)
{
    struct strategy *s = node->strategy;
    struct run *run = node->run;

    release_groups(run, node);
    if (s == NULL)
        return;
    s->running--;
    if (result->state != CI_FAILED || result->allowed_to_fail || !s->fail_fast || s->has_failed)
        return;
    s->has_failed = true;
    for (size_t i = 0; i < run->node_count; i++) {
        struct node *other = run->nodes[i];
        if (other != node && other->strategy == s && other->fiber != NULL)
            fiber_cancel(other->fiber);
    }
    for (size_t i = 0; i < node->legs.len; i++) {
        if (node->legs.items[i] != fiber_current())
            fiber_cancel(node->legs.items[i]);
    }
}

void gate_node_done(struct node *node)
{
    struct run *run = node->run;

    for (size_t i = 0; i < run->node_count; i++) {
        if (run->nodes[i]->job->root == node->job->root && !run->nodes[i]->is_done)
            return;
    }
    release_groups(run, node->job->root);
}
