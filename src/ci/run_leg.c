/* ci/run_leg.c: one job, or one leg of its matrix: from the cache, or its steps in a copy of the tree, as often as the
 * definition says; then what it gives to others. */
#include "ci/run_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "base/random.h"
#include "ci/cache.h"
#include "ci/job_history.h"
#include "ci/job_inputs.h"
#include "ci/job_runner.h"
#include "ci/tree_copy.h"
#include "io/process.h"

#include <stdlib.h>
#include <string.h>

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

const char *node_why_cancelled(const struct node *node, const struct error *err)
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

int leg_run(struct node *node, struct ci_job_result *result, json_t *contexts, struct error *err)
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
    if (gate_take_slot(node, err) < 0) {
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
    gate_give_slot(run);
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
            result->reason = xstrdup(node_why_cancelled(node, err));
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
