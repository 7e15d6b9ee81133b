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

static int slot_take(struct node *node, struct error *err)
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

static void slot_give(struct run *run)
{
    run->free_slots++;
    slot_offer(run);
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

static char *file_name_of(const char *id)
{
    char *name = xstrdup(id);
    char *result;

    for (char *p = name; *p != '\0'; p++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p) == NULL)
            *p = '-';
    }
    result = xasprintf("%.80s-%08x", name, (unsigned)(str_hash(id, strlen(id)) & 0xffffffffu));
    free(name);
    return result;
}

static char *scratch_name(const char *jobs, const char *name)
{
    char id[9];

    random_id(id, 8);
    return xasprintf("%s/%s-%s", jobs, name, id);
}

static void take_outputs(struct node *node, const json_t *outputs)
{
    const char *key;
    json_t *value;

    if (!json_is_object(outputs))
        return;
    if (node->outputs == NULL)
        node->outputs = json_object();
    json_object_foreach((json_t *)(uintptr_t)outputs, key, value) {
        if (!json_is_string(value) || *json_string_value(value) != '\0' || json_object_get(node->outputs, key) == NULL)
            json_object_set(node->outputs, key, value);
    }
}

/* Copies FROM to TO without the shell's help. */
static int copy_folder(struct run *run, const char *from, const char *to, struct error *err)
{
    const char *argv[] = {"cp", "-a", "--reflink=auto", "-T", "--", from, to, NULL};
    struct process_run_options options = {.argv = argv, .merge_stderr = true, .timeout_ms = 600000};
    struct process_result result = {0};
    int rc = process_run(run->options->loop, &options, &result, err);

    if (rc == 0 && result.exit.exit_code != 0)
        rc = error_set(err, ERROR_IO, "%.300s", buf_cstr(&result.out));
    process_result_finish(&result);
    return rc;
}

/* The artifacts of a job whose result is kept are kept beside it: jobs that come later may need them. */
static int keep_artifacts(struct run *run, const char *key, const struct str_list *folders, struct error *err)
{
    char *kept = xasprintf("%s/results/%s.artifacts", run->options->cache_dir, key);
    int rc = folders->len > 0 ? file_make_directories(kept, 0700, err) : 0;

    for (size_t i = 0; rc == 0 && i < folders->len; i++) {
        const char *relative = folders->items[i] + strlen(run->artifact_dir) + 1;
        char *to = path_join(kept, relative), *parent = path_dirname(to);
        if (file_remove_tree(to, err) == 0 && file_make_directories(parent, 0700, err) == 0)
            rc = copy_folder(run, folders->items[i], to, err);
        else
            rc = -1;
        free(parent);
        free(to);
    }
    free(kept);
    if (rc < 0 && err->code != ERROR_CANCELLED)
        error_clear(err); /* the result is not kept, that is all */
    return rc;
}

static int bring_artifacts(struct run *run, const char *key, struct ci_job_result *result, struct error *err)
{
    char *kept = xasprintf("%s/results/%s.artifacts", run->options->cache_dir, key);
    int rc = 0;

    if (file_is_directory(kept))
        rc = copy_folder(run, kept, run->artifact_dir, err);
    if (rc < 0) {
        result->from_cache = false;
        error_clear(err);
    }
    free(kept);
    return rc;
}

static const char *why_cancelled(const struct node *node, const struct error *err)
{
    return node->strategy != NULL && node->strategy->has_failed && !node->run->result->was_stopped
               ? "another leg of the matrix failed (fail-fast)"
               : err->text;
}

/* Was it a failure after which the definition has the job run again (GitLab's `retry`)? */
static bool is_retried(const struct workflow_job *job, const struct ci_job_result *result)
{
    bool counts = job->retry_exit_codes == NULL;

    for (const int *code = job->retry_exit_codes; code != NULL && *code != 0; code++)
        counts = counts || *code == result->exit_code;
    return result->state == CI_FAILED && counts;
}

/* Takes back what a failed run left in RESULT. */
static void forget_failure(struct ci_job_result *result)
{
    FREE_NULL(result->reason);
    FREE_NULL(result->failing_step);
    FREE_NULL(result->command);
    FREE_NULL(result->excerpt);
    str_list_finish(&result->failing_tests);
    str_list_finish(&result->skipped_steps);
    result->exit_code = 0;
    result->fingerprint = 0;
    result->allowed_to_fail = false;
    result->steps_run = result->steps_satisfied = result->steps_skipped = 0;
}

/* The folder that the steps find: a copy of the tree, where one of them would check it out. */
static int make_tree(struct node *node, struct job_runner *runner, struct error *err)
{
    static const char text[] = "== no step checks the tree out: the folder is empty, as on GitHub\n";

    if (node->run->options->in_place)
        return 0;
    if (!node->job->starts_empty || node->job->pub.is_dynamic)
        return tree_source_copy(node->run->source, runner->tree_dir, err);
    job_runner_log(runner, text, sizeof text - 1);
    return file_make_directories(runner->tree_dir, 0700, err);
}

/* Runs the steps, each time in a fresh copy of the tree, as often as the definition says. */
static int run_steps(struct node *node, struct job_runner *runner, const char *scratch, struct error *err)
{
    const struct ci_run_options *o = node->run->options;
    const struct workflow_job *job = node->job->job;
    bool was_allowed = runner->result->allowed_to_fail;

    for (int again = job->retries;; again--) {
        json_t *contexts = again > 0 ? json_deep_copy(runner->contexts) : NULL;
        struct job_runner next = {.plan = runner->plan, .job = runner->job, .options = o, .tree_dir = runner->tree_dir,
                                  .scratch_dir = runner->scratch_dir, .artifact_dir = runner->artifact_dir, .contexts = contexts,
                                  .result = runner->result, .annotations = runner->annotations};
        struct error ignored = {0};

        if (file_make_directories(scratch, 0700, err) < 0 ||
            make_tree(node, runner, err) < 0 || job_runner_run(runner, err) < 0) {
            json_decref(contexts);
            return -1;
        }
        if (again == 0 || !is_retried(job, runner->result)) {
            json_decref(contexts);
            break;
        }
        runner->result->runs = runner->result->failures = (unsigned)(job->retries - again + 1);
        job_runner_log(runner, "== run again\n", 13);
        job_runner_finish(runner);
        *runner = next;
        forget_failure(runner->result);
        runner->result->allowed_to_fail = was_allowed;
        (void)file_remove_tree(scratch, &ignored);
    }
    if (runner->result->failures > 0) {
        runner->result->runs++;
        runner->result->failures += runner->result->state != CI_PASSED;
        if (runner->result->state == CI_PASSED) {
            runner->result->fault = CI_FAULT_FLAKY;
            runner->result->reason = xasprintf("flaky: %u of %u runs failed", runner->result->failures, runner->result->runs);
        } else {
            runner->result->fault = CI_FAULT_BROKEN;
        }
    }
    return 0;
}

/* Runs one leg in its own copy of the tree. CONTEXTS is taken. */
static int run_leg(struct node *node, struct ci_job_result *result, json_t *contexts, struct error *err)
{
    struct run *run = node->run;
    const struct ci_run_options *o = run->options;
    char *name = file_name_of(result->id), *jobs = path_join(o->log_dir, "jobs");
    char *scratch = scratch_name(jobs, name); /* of its own: two trees may be tested at the same time */
    char *tree = o->in_place ? path_normalize(o->work_dir) : path_join(scratch, "tree");
    char *log_name = xasprintf("%s.log", name), *key = NULL;
    struct job_runner runner = {.plan = run->plan, .job = node->job, .options = o, .tree_dir = tree,
                                .scratch_dir = scratch, .artifact_dir = run->artifact_dir, .contexts = contexts,
                                .result = result, .annotations = &run->result->annotations};
    json_t *cached = NULL;
    int64_t start;
    int rc = -1;

    if (run->inputs != NULL && !node->job->job->saves_artifacts) {
        char *inputs_id = job_inputs_id(run->inputs, run->plan, node->job);
        struct cache_ground ground = {.inputs_id = inputs_id, .tools_id = run->tools_id, .conditions = o->conditions, .env = o->env};
        key = cache_key(run->plan, node->job, contexts, &ground);
        free(inputs_id);
        if (cache_load(o->cache_dir, key, result, &cached) &&
            bring_artifacts(run, key, result, err) == 0) {
            take_outputs(node, cached);
            json_decref(cached);
            rc = 0;
            goto out;
        }
    }
    if (gate_enter(node, contexts, err) < 0)
        goto out;
    if (slot_take(node, err) < 0) {
        gate_leave(node, result);
        goto out;
    }
    start = clock_monotonic_ms();
    if (o->on_job_started != NULL)
        o->on_job_started(o->data, result->id, result->name);
    result->log_file = path_join(o->log_dir, log_name);
    if (file_write(result->log_file, "", 0, 0644, err) == 0)
        rc = run_steps(node, &runner, scratch, err);
    result->duration_ms = clock_monotonic_ms() - start;
    slot_give(run);
    gate_leave(node, result);
    if (rc == 0) {
        history_note(run->history, result);
        take_outputs(node, runner.outputs);
        if (key != NULL && result->state == CI_PASSED && result->fault == CI_FAULT_NONE && keep_artifacts(run, key, &runner.uploaded, err) == 0) {
            cache_store(o->cache_dir, key, result, runner.outputs);
            run->has_stored = true;
        }
    }
    if (!o->keep_scratch) {
        struct error ignored = {0};
        (void)file_remove_tree(scratch, &ignored);
    }
out:
    if (rc < 0) {
        result->state = err->code == ERROR_CANCELLED ? CI_CANCELLED : CI_ENVIRONMENT;
        if (result->reason == NULL)
            result->reason = xstrdup(why_cancelled(node, err));
    }
    if ((rc == 0 || !run->result->was_stopped) && o->on_job_finished != NULL)
        o->on_job_finished(o->data, result);
    job_runner_finish(&runner);
    free(name);
    free(jobs);
    free(scratch);
    free(tree);
    free(log_name);
    free(key);
    return rc;
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
    return run_leg(node, result, contexts, err);
}

/* The leg's number among those of its job, and how many there are. */
static void place_in_matrix(const struct node *node, size_t *index, size_t *total)
{
    *index = *total = 0;
    for (size_t i = 0; i < node->run->node_count; i++) {
        const struct node *other = &node->run->nodes[i];
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
        }
        rc = run_legs(node, legs, needs, err);
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
        const struct node *other = &node->run->nodes[i];
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
        finish_skipped(node, why_cancelled(node, &err), err.code == ERROR_CANCELLED ? CI_CANCELLED : CI_ENVIRONMENT);
    node->is_done = true;
    node->fiber = NULL;
    run->first_pending -= node->goes_first;
    gate_node_done(node);
    for (size_t i = 0; i < run->node_count; i++) {
        if (run->nodes[i].waits_for_needs && run->nodes[i].fiber != NULL)
            fiber_wake(run->nodes[i].fiber);
    }
    fiber_group_done(&run->group);
}

/* The jobs that were asked for and what they need. */
static void choose(struct run *run)
{
    const struct str_list *wanted = run->options->jobs;

    for (size_t i = 0; i < run->node_count; i++) {
        const struct ci_plan_job *pub = &run->nodes[i].job->pub;
        run->nodes[i].is_wanted = wanted == NULL || wanted->len == 0 || str_list_has(wanted, pub->id) ||
                                  str_list_has(wanted, pub->key);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < run->node_count; i++) {
            for (size_t k = 0; run->nodes[i].is_wanted && k < run->node_count; k++) {
                if (!run->nodes[k].is_wanted && plan_job_needs(run->nodes[i].job, run->nodes[k].job))
                    run->nodes[k].is_wanted = changed = true;
            }
        }
    }
}

static void sum_up(struct run *run)
{
    struct ci_result *result = run->result;

    for (size_t i = 0; i < run->node_count; i++)
        result->job_count += run->nodes[i].results.len;
    result->jobs = xcalloc(result->job_count + 1, sizeof *result->jobs);
    result->job_count = 0;
    for (size_t i = 0; i < run->node_count; i++) {
        struct node *node = &run->nodes[i];
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
        if (run->nodes[i].fiber != NULL)
            fiber_cancel(run->nodes[i].fiber);
    }
}

/* Which jobs are likeliest to fail, and which failed the last time and can start at once. */
static void order(struct run *run)
{
    for (size_t i = 0; i < run->node_count; i++) {
        struct node *node = &run->nodes[i];
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
    gate_prepare(run);
    order(run);
    run->source = tree_source_create(run->options->loop, run->options->work_dir);
    for (size_t i = 0; i < run->node_count; i++) {
        struct node *node = &run->nodes[i];
        if (!node->is_wanted) {
            node->is_done = true;
        } else if (node->job->pub.reason != NULL) {
            finish_skipped(node, node->job->pub.reason, CI_SKIPPED);
            node->is_done = true;
        } else {
            fiber_group_add(&run->group);
            node->fiber = fiber_start(run->options->loop, node_fiber, node);
        }
    }
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
    run.node_count = plan->jobs.len;
    run.nodes = xcalloc(run.node_count + 1, sizeof *run.nodes);
    for (size_t i = 0; i < run.node_count; i++) {
        run.nodes[i].run = &run;
        run.nodes[i].job = plan->jobs.items[i];
    }
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
    free(run.nodes);
    free(run.artifact_dir);
    return rc;
}
