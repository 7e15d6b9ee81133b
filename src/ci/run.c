/* ci/run.c: runs the jobs of a plan: a fiber a job, each waits for what it needs and then for a free core.
 *
 *     waiting for needs -> (if false, needs failed) skipped
 *                       -> waiting for a slot -> copy of the tree -> steps -> result
 */
#include "ci/ci.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "base/random.h"
#include "ci/cache.h"
#include "ci/job_history.h"
#include "ci/job_inputs.h"
#include "ci/job_runner.h"
#include "ci/run_internal.h"
#include "ci/template.h"
#include "ci/tree_copy.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/process.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_PARALLEL 64

static struct ci_job_result *result_create(struct node *node, const char *id, const char *name)
{
    struct ci_job_result *result = xcalloc(1, sizeof *result);

    result->id = xstrdup(id);
    result->name = xstrdup(name);
    result->key = xstrdup(node->job->pub.key);
    vec_push(&node->results, result);
    return result;
}

static void finish_skipped(struct node *node, const char *reason, enum ci_state state)
{
    struct ci_job_result *result = result_create(node, node->job->pub.id, node->job->pub.name);
    const struct ci_run_options *o = node->run->options;

    result->state = state;
    result->reason = xstrdup(reason);
    for (size_t i = 0; i < node->job->pub.step_count; i++)
        result->steps_skipped += node->job->pub.steps[i].kind != CI_STEP_UNWANTED;
    if (o->on_job_finished != NULL)
        o->on_job_finished(o->data, result);
}

const char *node_conclusion(const struct node *node)
{
    bool passed = false, skipped = false, cancelled = false;

    for (size_t i = 0; i < node->results.len; i++) {
        const struct ci_job_result *r = node->results.items[i];
        if ((r->state == CI_FAILED && !r->allowed_to_fail) || r->state == CI_ENVIRONMENT)
            return "failure";
        passed = passed || r->state == CI_PASSED || r->state == CI_FAILED;
        cancelled = cancelled || r->state == CI_CANCELLED;
        skipped = skipped || r->state == CI_SKIPPED;
    }
    return cancelled ? "cancelled" : passed ? "success" : skipped ? "skipped" : "skipped";
}

static bool job_allows_failure(const struct plan_job *job, json_t *contexts)
{
    struct scope_state state = {0};
    struct expr_scope scope = scope_make(contexts, &state);
    struct error err = {0};
    char *text;
    bool allowed;

    if (job->workflow->is_literal || job->job->continue_on_error == NULL)
        return job->job->allow_failure;
    text = template_expand_text(job->job->continue_on_error, &scope, &err);
    allowed = text != NULL && strcmp(text, "true") == 0;
    free(text);
    return allowed;
}

static int run_one(struct node *node, json_t *leg, json_t *needs, size_t index, size_t total, struct error *err)
{
    const struct plan_job *job = node->job;
    bool is_dynamic = job->pub.is_dynamic;
    json_t *inputs = job_called_inputs(node->run, job);
    json_t *contexts = plan_job_contexts(node->run->plan, job->workflow, job->job->key, leg, needs, inputs);
    json_t *strategy = json_object_get(contexts, "strategy");
    char *id = is_dynamic ? plan_job_id(job->workflow, job->job, leg, job->call != NULL ? job->call->prefix : NULL) : xstrdup(job->pub.id);
    char *name = is_dynamic ? plan_job_name(job->workflow, job->job, leg, contexts) : xstrdup(job->pub.name);
    struct ci_job_result *result = result_create(node, id, name);

    free(id);
    free(name);
    json_decref(inputs);
    if (node->strategy != NULL) {
        json_object_set_new(strategy, "fail-fast", json_boolean(node->strategy->fail_fast));
        json_object_set_new(strategy, "max-parallel",
                            json_integer((json_int_t)(node->strategy->max_parallel > 0 ? node->strategy->max_parallel : total)));
    }
    json_object_set_new(strategy, "job-index", json_integer((json_int_t)index));
    json_object_set_new(strategy, "job-total", json_integer((json_int_t)total));
    result->allowed_to_fail = job_allows_failure(job, contexts);
    return leg_run(node, result, contexts, err);
}

/* The leg's number among those of its job, and how many there are. */
static void place_in_matrix(const struct node *node, size_t *index, size_t *total)
{
    *index = *total = 0;
    for (size_t i = 0; i < node->run->node_count; i++) {
        const struct node *other = node->run->nodes[i];
        if (other->job->root != node->job->root || strcmp(other->job->pub.key, node->job->pub.key) != 0)
            continue;
        if (other == node)
            *index = *total;
        ++*total;
    }
}

/* A leg of a matrix that was not known before. */
struct leg {
    struct node *node;
    json_t *values, *needs;
    size_t index, total;
    struct fiber_group *group;
    struct error err;
    int rc;
};

static void leg_fiber(void *arg)
{
    struct leg *leg = arg;
    struct fiber *me = fiber_current();

    leg->rc = run_one(leg->node, leg->values, leg->needs, leg->index, leg->total, &leg->err);
    vec_remove_item(&leg->node->legs, me);
    fiber_group_done(leg->group);
}

static int run_legs(struct node *node, json_t *legs, json_t *needs, struct error *err)
{
    size_t n = json_array_size(legs);
    struct leg *all = xcalloc(n + 1, sizeof *all);
    struct fiber_group group = {0};
    int rc = 0;

    for (size_t i = 0; i < n; i++) {
        all[i] = (struct leg){.node = node, .values = json_array_get(legs, i), .needs = needs, .index = i, .total = n, .group = &group};
        fiber_group_add(&group);
        vec_push(&node->legs, fiber_start(node->run->options->loop, leg_fiber, &all[i]));
    }
    if (fiber_group_wait(&group, err) < 0) {
        rc = -1;
        for (size_t i = 0; i < node->legs.len; i++)
            fiber_cancel(node->legs.items[i]);
        fiber_shield(true);
        (void)fiber_group_wait(&group, NULL);
        fiber_shield(false);
    }
    vec_finish(&node->legs);
    free(all);
    return rc;
}

static void node_fiber(void *arg);

static struct node *add_node(struct run *run, const struct plan_job *job)
{
    struct node *node = xcalloc(1, sizeof *node);

    node->run = run;
    node->job = job;
    run->nodes = xrealloc(run->nodes, (run->node_count + 1) * sizeof(struct node *));
    run->nodes[run->node_count++] = node;
    return node;
}

static void start_node(struct node *node)
{
    if (!node->is_wanted) {
        node->is_done = true;
    } else if (node->job->pub.reason != NULL) {
        finish_skipped(node, node->job->pub.reason, CI_SKIPPED);
        node->is_done = true;
    } else {
        fiber_group_add(&node->run->group);
        node->fiber = fiber_start(node->run->options->loop, node_fiber, node);
    }
}

/* The jobs of a called workflow, for each leg of the call, join the run in the place of NODE. */
static int start_called(struct node *node, json_t *legs, json_t *contexts, struct error *err)
{
    struct run *run = node->run;
    struct vec jobs = {0};
    size_t first = run->node_count;
    json_t *inputs = job_called_inputs(run, node->job);
    int rc = run->result->was_stopped ? error_set(err, ERROR_CANCELLED, "stopped")
                                      : plan_expand_call(run->plan, node->job, legs, contexts, inputs, &jobs, err);

    for (size_t i = 0; i < jobs.len; i++) {
        struct node *called = add_node(run, jobs.items[i]);
        called->is_wanted = true;
        called->priority = node->priority;
        gate_prepare(called);
    }
    for (size_t i = first; i < run->node_count; i++)
        start_node(run->nodes[i]);
    vec_finish(&jobs);
    json_decref(inputs);
    return rc;
}

static int run_node(struct node *node, struct error *err)
{
    const struct plan_job *job = node->job;
    struct scope_state state = {0};
    json_t *needs = job_needs_context(node->run, job, &state), *inputs = job_called_inputs(node->run, job);
    json_t *contexts, *legs = NULL;
    bool wanted = !state.is_failed && !state.is_skipped && !state.is_cancelled;
    int rc = 0;

    contexts = plan_job_contexts(node->run->plan, job->workflow, job->job->key, NULL, needs, inputs);
    json_decref(inputs);
    if (job->workflow->is_literal) {
        wanted = job->job->when == WORKFLOW_ALWAYS ? !state.is_cancelled
                 : job->job->when == WORKFLOW_ON_FAILURE ? state.is_failed && !state.is_cancelled
                                                         : wanted;
    } else {
        struct expr_scope scope = scope_make(contexts, &state);
        if (template_condition(job->job->condition, &scope, &wanted, err) < 0) {
            finish_skipped(node, err->text, CI_ENVIRONMENT);
            error_clear(err);
            goto out;
        }
    }
    if (wanted && job_caller_is_unwanted(node->run, job)) {
        finish_skipped(node, "the `if` of the job that calls it is false", CI_SKIPPED);
    } else if (!wanted) {
        char *reason = state.is_failed || state.is_skipped || state.is_cancelled
                           ? xasprintf("a job that it needs %s", state.is_failed ? "failed" : "was not run")
                       : job->job->when == WORKFLOW_ON_FAILURE
                           ? xstrdup("runs only when an earlier job failed")
                           : xasprintf("its `if` is false: %s", job->job->condition);
        finish_skipped(node, reason, CI_SKIPPED);
        free(reason);
    } else if (!job->pub.is_dynamic) {
        size_t index, total;
        place_in_matrix(node, &index, &total);
        rc = run_one(node, job->leg, needs, index, total, err);
    } else {
        legs = plan_job_legs(job->workflow, job->job, contexts, err);
        if (legs == NULL || json_array_size(legs) == 0) {
            finish_skipped(node, legs == NULL ? err->text : "its matrix is empty", CI_SKIPPED);
            error_clear(err);
        } else if (job->job->uses != NULL) {
            rc = start_called(node, legs, contexts, err);
        } else {
            rc = run_legs(node, legs, needs, err);
        }
    }
out:
    json_decref(needs);
    json_decref(contexts);
    json_decref(legs);
    return rc;
}

static bool needs_are_done(const struct node *node)
{
    for (size_t i = 0; i < node->run->node_count; i++) {
        const struct node *other = node->run->nodes[i];
        if (other != node && !other->is_done && other->is_wanted && plan_job_needs(node->job, other->job))
            return false;
    }
    return true;
}

static void node_fiber(void *arg)
{
    struct node *node = arg;
    struct run *run = node->run;
    struct error err = {0};
    int rc = 0;

    /* Those that failed the last time run alone, before everything. */
    while (rc == 0 && (!needs_are_done(node) || (run->first_pending > 0 && !node->goes_first))) {
        node->waits_for_needs = true;
        rc = fiber_wait(&err);
        node->waits_for_needs = false;
    }
    if (rc == 0)
        rc = run_node(node, &err);
    if (rc < 0 && node->results.len == 0)
        finish_skipped(node, node_why_cancelled(node, &err), err.code == ERROR_CANCELLED ? CI_CANCELLED : CI_ENVIRONMENT);
    node->is_done = true;
    node->fiber = NULL;
    run->first_pending -= node->goes_first;
    gate_node_done(node);
    for (size_t i = 0; i < run->node_count; i++) {
        if (run->nodes[i]->waits_for_needs && run->nodes[i]->fiber != NULL)
            fiber_wake(run->nodes[i]->fiber);
    }
    fiber_group_done(&run->group);
}

/* The jobs that were asked for and what they need. */
static void choose(struct run *run)
{
    const struct str_list *wanted = run->options->jobs;

    for (size_t i = 0; i < run->node_count; i++) {
        const struct ci_plan_job *pub = &run->nodes[i]->job->pub;
        run->nodes[i]->is_wanted = wanted == NULL || wanted->len == 0 || str_list_has(wanted, pub->id) ||
                                  str_list_has(wanted, pub->key);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < run->node_count; i++) {
            for (size_t k = 0; run->nodes[i]->is_wanted && k < run->node_count; k++) {
                if (!run->nodes[k]->is_wanted && plan_job_needs(run->nodes[i]->job, run->nodes[k]->job))
                    run->nodes[k]->is_wanted = changed = true;
            }
        }
    }
}

static void sum_up(struct run *run)
{
    struct ci_result *result = run->result;

    for (size_t i = 0; i < run->node_count; i++)
        result->job_count += run->nodes[i]->results.len;
    result->jobs = xcalloc(result->job_count + 1, sizeof *result->jobs);
    result->job_count = 0;
    for (size_t i = 0; i < run->node_count; i++) {
        struct node *node = run->nodes[i];
        for (size_t k = 0; k < node->results.len; k++) {
            struct ci_job_result *job = &result->jobs[result->job_count++];
            *job = *(struct ci_job_result *)node->results.items[k];
            free(node->results.items[k]);
            result->share.run += job->steps_run;
            result->share.satisfied += job->steps_satisfied;
            result->share.skipped += job->steps_skipped;
        }
        vec_finish(&node->results);
        json_decref(node->outputs);
    }
    ci_result_count(result);
}

static void cancel_all(struct run *run)
{
    for (size_t i = 0; i < run->node_count; i++) {
        if (run->nodes[i]->fiber != NULL)
            fiber_cancel(run->nodes[i]->fiber);
    }
}

/* Which jobs are likeliest to fail, and which failed the last time and can start at once. */
static void order(struct run *run)
{
    for (size_t i = 0; i < run->node_count; i++) {
        struct node *node = run->nodes[i];
        node->priority = history_priority(run->history, node->job->pub.id, run->options->changed_paths);
        node->goes_first = node->is_wanted && node->job->pub.reason == NULL && !node->job->pub.is_dynamic &&
                           node->job->pub.needs.len == 0 && history_failed_last(run->history, node->job->pub.id);
        run->first_pending += node->goes_first;
    }
}

static void run_fiber(void *arg)
{
    struct run *run = arg;
    struct error err = {0};

    if (run->options->cache_dir != NULL && run->options->tree_id != NULL) {
        run->inputs = job_inputs_read(run->options->loop, run->plan, run->options->work_dir, run->options->tree_id);
        run->tools_id = cache_tools_id();
    }
    choose(run);
    for (size_t i = 0; i < run->node_count; i++)
        gate_prepare(run->nodes[i]);
    order(run);
    run->source = tree_source_create(run->options->loop, run->options->work_dir);
    for (size_t i = 0, n = run->node_count; i < n; i++)
        start_node(run->nodes[i]);
    if (fiber_group_wait(&run->group, &err) < 0) {
        run->result->was_stopped = true;
        cancel_all(run);
        fiber_shield(true);
        (void)fiber_group_wait(&run->group, &err);
        fiber_shield(false);
    }
    sum_up(run);
}

int ci_run(const struct ci_plan *plan, const struct ci_run_options *options, struct ci_result *result,
           struct error *err)
{
    struct run run = {.plan = (struct ci_plan *)(uintptr_t)plan, .options = options, .result = result};
    int64_t start = clock_monotonic_ms();
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int rc = -1;

    memset(result, 0, sizeof *result);
    run.artifact_dir = path_join(options->log_dir, "artifacts");
    if (file_make_directories(run.artifact_dir, 0700, err) < 0) {
        error_wrap(err, "preparing the folder for logs");
        goto out;
    }
    run.free_slots = options->parallel > 0 ? options->parallel : cores > 0 ? (unsigned)cores : 1;
    if (run.free_slots > MAX_PARALLEL)
        run.free_slots = MAX_PARALLEL;
    if (options->in_place)
        run.free_slots = 1;
    for (size_t i = 0; i < plan->jobs.len; i++)
        add_node(&run, plan->jobs.items[i]);
    run.history = history_load(options->cache_dir, ci_plan_repository(plan));
    if (fiber_current() != NULL)
        run_fiber(&run);
    else
        fiber_run_to_end(options->loop, run_fiber, &run);
    result->duration_ms = clock_monotonic_ms() - start;
    if (!options->keep_scratch) {
        struct error ignored = {0};
        (void)file_remove_tree(run.artifact_dir, &ignored);
    }
    history_save(run.history, options->changed_paths);
    if (run.has_stored)
        cache_trim_now_and_then(options->cache_dir);
    rc = 0;
out:
    history_destroy(run.history);
    gate_finish(&run);
    job_inputs_destroy(run.inputs);
    tree_source_destroy(run.source);
    free(run.tools_id);
    vec_finish(&run.slot_waiters);
    for (size_t i = 0; i < run.node_count; i++)
        free(run.nodes[i]);
    free(run.nodes);
    free(run.artifact_dir);
    return rc;
}
