/* ci/job_needs.c: what a job sees of the jobs that it needs: results and outputs, also through called workflows. */
#include "ci/run_internal.h"

#include "base/alloc.h"
#include "ci/template.h"

#include <stdlib.h>
#include <string.h>

/* What a job (with all its legs) or a call came to. */
struct outcome {
    const char *conclusion;
    json_t *outputs; /* owned */
};

static void merge(struct outcome *to, const char *conclusion, const json_t *outputs)
{
    const char *key;
    json_t *value;

    if (strcmp(conclusion, "failure") == 0 || strcmp(to->conclusion, "skipped") == 0 ||
        (strcmp(conclusion, "cancelled") == 0 && strcmp(to->conclusion, "failure") != 0))
        to->conclusion = conclusion;
    json_object_foreach((json_t *)(uintptr_t)outputs, key, value) {
        if (!json_is_string(value) || *json_string_value(value) != '\0' || json_object_get(to->outputs, key) == NULL)
            json_object_set(to->outputs, key, value);
    }
}

static struct outcome outcome_of(struct run *run, const struct workflow *root, const struct workflow *workflow,
                                 const char *prefix, const struct workflow_job *job, int depth);

/* The outputs that CALLED declares, from those of its jobs, which stand below PREFIX. */
static void merge_call(struct run *run, const struct workflow *root, const struct workflow *called, const char *prefix,
                       int depth, struct outcome *out)
{
    const struct yaml_node *declared = yaml_get(yaml_get(called->on, "workflow_call"), "outputs");
    json_t *contexts = json_object(), *jobs = json_object(), *outputs = json_object();
    struct scope_state state = {0};
    struct expr_scope scope = scope_make(contexts, &state);
    struct outcome all = {.conclusion = "skipped", .outputs = json_object()};

    for (size_t i = 0; i < called->jobs.len; i++) {
        const struct workflow_job *job = called->jobs.items[i];
        struct outcome one = outcome_of(run, root, called, prefix, job, depth + 1);
        json_t *entry = json_object();
        merge(&all, one.conclusion, NULL);
        json_object_set_new(entry, "result", json_string(one.conclusion));
        json_object_set_new(entry, "outputs", one.outputs);
        json_object_set_new(jobs, job->key, entry);
    }
    json_object_set_new(contexts, "jobs", jobs);
    for (size_t i = 0; declared != NULL && i + 1 < declared->len; i += 2) {
        struct error ignored = {0};
        json_t *value = template_expand_node(yaml_get(declared->items[i + 1], "value"), &scope, called->file, &ignored);
        if (value != NULL)
            json_object_set_new(outputs, declared->items[i]->text, value);
    }
    merge(out, all.conclusion, outputs);
    json_decref(all.outputs);
    json_decref(outputs);
    json_decref(contexts);
}

/* PREFIX ("caller/" or "") stands in front of the key of JOB, which is of WORKFLOW. */
static struct outcome outcome_of(struct run *run, const struct workflow *root, const struct workflow *workflow,
                                 const char *prefix, const struct workflow_job *job, int depth)
{
    struct outcome out = {.conclusion = "skipped", .outputs = json_object()};
    char *full = xasprintf("%s%s", prefix, job->key);
    size_t n = strlen(full);
    struct str_list calls = {0};
    struct error ignored = {0};

    (void)workflow;
    for (size_t i = 0; i < run->node_count; i++) {
        const struct node *node = run->nodes[i];
        const char *key = node->job->pub.key;
        if (node->job->root != root || strncmp(key, full, n) != 0 ||
            (key[n] != '\0' && (job->uses == NULL || node->job->call == NULL || (key[n] != '/' && key[n] != ' '))))
            continue;
        if (key[n] == '\0') {
            merge(&out, node_conclusion(node), node->outputs);
        } else { /* "caller/" or "caller (leg)/" */
            char *call = xstrndup(key, n + strcspn(key + n, "/") + 1);
            if (!str_list_has(&calls, call))
                str_list_add(&calls, call);
            free(call);
        }
    }
    for (size_t i = 0; i < calls.len && depth <= PLAN_MAX_CALL_DEPTH; i++) {
        struct workflow *called = plan_called_workflow(run->plan, job->uses, &ignored);
        if (called != NULL)
            merge_call(run, root, called, calls.items[i], depth, &out);
    }
    str_list_finish(&calls);
    free(full);
    return out;
}

static void note_state(struct scope_state *state, const char *conclusion)
{
    state->is_failed = state->is_failed || strcmp(conclusion, "failure") == 0;
    state->is_skipped = state->is_skipped || strcmp(conclusion, "skipped") == 0;
    state->is_cancelled = state->is_cancelled || strcmp(conclusion, "cancelled") == 0;
}

/* The `needs` context for a job of WORKFLOW that stands below PREFIX. */
static json_t *needs_of(struct run *run, const struct workflow *root, const struct workflow *workflow, const char *prefix,
                        const struct workflow_job *job, struct scope_state *state)
{
    json_t *needs = json_object();

    for (size_t i = 0; i < job->needs.len; i++) {
        const struct workflow_job *needed = workflow_job(workflow, job->needs.items[i]);
        struct outcome one;
        json_t *entry;

        if (needed == NULL)
            continue;
        one = outcome_of(run, root, workflow, prefix, needed, 0);
        note_state(state, one.conclusion);
        entry = json_object();
        json_object_set_new(entry, "result", json_string(one.conclusion));
        json_object_set_new(entry, "outputs", one.outputs);
        json_object_set_new(needs, job->needs.items[i], entry);
    }
    return needs;
}

static const char *prefix_of(const struct plan_job *job)
{
    return job->call != NULL ? job->call->prefix : "";
}

json_t *job_needs_context(struct run *run, const struct plan_job *job, struct scope_state *state)
{
    json_t *needs = needs_of(run, job->root, job->workflow, prefix_of(job), job->job, state);

    /* What the callers need counts as well. */
    for (const struct plan_call *call = job->call; call != NULL; call = call->outer) {
        json_t *outer = needs_of(run, job->root, call->workflow, call->outer != NULL ? call->outer->prefix : "", call->job, state);
        json_decref(outer);
    }
    return needs;
}

static bool takes_from_needs(const struct plan_call *call)
{
    for (; call != NULL; call = call->outer) {
        if (call->job->with != NULL && template_uses_context(call->job->with, "needs"))
            return true;
    }
    return false;
}

static json_t *inputs_of_call(struct run *run, const struct plan_job *job, const struct plan_call *call,
                              const struct workflow *called);

/* The contexts of the job that calls. */
static json_t *caller_contexts(struct run *run, const struct plan_job *job, const struct plan_call *call,
                               struct scope_state *state)
{
    const char *prefix = call->outer != NULL ? call->outer->prefix : "";
    json_t *needs = needs_of(run, job->root, call->workflow, prefix, call->job, state);
    json_t *inputs = takes_from_needs(call->outer) ? inputs_of_call(run, job, call->outer, call->workflow)
                                                   : json_incref(call->inputs);
    json_t *contexts = plan_job_contexts(run->plan, call->workflow, call->job->key, call->leg, needs, inputs);

    json_decref(inputs);
    json_decref(needs);
    return contexts;
}

/* What CALL gives to CALLED, with what is known by now. */
static json_t *inputs_of_call(struct run *run, const struct plan_job *job, const struct plan_call *call,
                              const struct workflow *called)
{
    struct scope_state state = {0};
    struct error ignored = {0};
    json_t *contexts = caller_contexts(run, job, call, &state);
    json_t *inputs = plan_called_inputs(called, call->workflow, call->job, contexts, &ignored);

    json_decref(contexts);
    return inputs;
}

json_t *job_called_inputs(struct run *run, const struct plan_job *job)
{
    json_t *inputs = takes_from_needs(job->call) ? inputs_of_call(run, job, job->call, job->workflow) : NULL;

    return inputs != NULL ? inputs : json_incref(job->inputs);
}

bool job_caller_is_unwanted(struct run *run, const struct plan_job *job)
{
    bool unwanted = false;

    for (const struct plan_call *call = job->call; call != NULL && !unwanted; call = call->outer) {
        struct scope_state state = {0};
        struct error ignored = {0};
        json_t *contexts;
        struct expr_scope scope;
        bool wanted = true;

        if (call->job->condition == NULL)
            continue;
        contexts = caller_contexts(run, job, call, &state);
        scope = scope_make(contexts, &state);
        unwanted = template_condition(call->job->condition, &scope, &wanted, &ignored) == 0 && !wanted;
        json_decref(contexts);
    }
    return unwanted;
}
