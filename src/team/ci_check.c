/* team/ci_check.c: the CI mirror on one commit, with results kept by tree and job, and the comparison that
 * says whether a commit is worse than another.
 *
 * The definition that judges is the one at the run's base, in a copy that agents cannot write; a task that the
 * plan allows to change CI makes the merged definition count from the next batch on. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/utf8.h"
#include "agent/runner.h"
#include "ci/ci.h"
#include "ci/classify.h"
#include "ci/report_parsers.h"
#include "config/config.h"
#include "git/worktree.h"
#include "io/fiber.h"
#include "sandbox/exec_helper.h"
#include "sandbox/permissions.h"
#include "sandbox/policy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void job_finish(struct job_result *job)
{
    free(job->name);
    free(job->state);
    free(job->excerpt);
    free(job->reason);
    free(job->command);
    str_list_finish(&job->failed_tests);
}

void ci_summary_finish(struct ci_summary *summary)
{
    for (size_t i = 0; i < summary->count; i++)
        job_finish(&summary->jobs[i]);
    free(summary->jobs);
    free(summary->tree);
    *summary = (struct ci_summary){0};
}

static struct job_result *add_job(struct ci_summary *summary)
{
    summary->jobs = xrealloc(summary->jobs, (summary->count + 1) * sizeof *summary->jobs);
    summary->jobs[summary->count] = (struct job_result){.step = -1};
    return &summary->jobs[summary->count++];
}

void ci_summary_copy(struct ci_summary *to, const struct ci_summary *from)
{
    ci_summary_finish(to);
    for (size_t i = 0; i < from->count; i++) {
        const struct job_result *job = &from->jobs[i];
        struct job_result *copy = add_job(to);

        copy->name = xstrdup(job->name);
        copy->state = xstrdup(job->state);
        copy->excerpt = xstrdup(job->excerpt);
        copy->reason = xstrdup(job->reason);
        copy->command = xstrdup(job->command);
        copy->step = job->step;
        str_list_copy(&copy->failed_tests, &job->failed_tests);
    }
    to->green = from->green;
    to->ran_any = from->ran_any;
    to->tree = xstrdup(from->tree);
}

const struct job_result *ci_summary_find(const struct ci_summary *summary, const char *job)
{
    for (size_t i = 0; i < summary->count; i++)
        if (strcmp(summary->jobs[i].name, job) == 0)
            return &summary->jobs[i];
    return NULL;
}

static bool is_failed(const struct job_result *job)
{
    return strcmp(job->state, "failed") == 0;
}

enum comparison { NOT_WORSE, WORSE, UNCLEAR };

/* A red job that was red before is worse when it fails at an earlier step, or when tests fail that did not and none was
 * mended. When some were mended and others fail it is unclear: perhaps the others could not run before (a job that stops
 * at its first failure), perhaps they were broken. */
static enum comparison compare_job(const struct job_result *before, const struct job_result *now)
{
    size_t appeared;
    size_t mended;

    if (!is_failed(now))
        return NOT_WORSE;
    if (before == NULL || !is_failed(before))
        return WORSE;
    if (now->step != before->step)
        return now->step < before->step ? WORSE : NOT_WORSE;
    if (now->failed_tests.len == 0 && before->failed_tests.len > 0)
        return WORSE; /* it no longer gets as far as its tests */
    appeared = report_count_new(&before->failed_tests, &now->failed_tests);
    mended = report_count_new(&now->failed_tests, &before->failed_tests);
    return appeared == 0 ? NOT_WORSE : mended == 0 ? WORSE : UNCLEAR;
}

static const char *find_job(const struct ci_summary *before, const struct ci_summary *now, enum comparison wanted)
{
    for (size_t i = 0; i < now->count; i++)
        if (compare_job(ci_summary_find(before, now->jobs[i].name), &now->jobs[i]) == wanted)
            return now->jobs[i].name;
    return NULL;
}

const char *ci_summary_worse_job(const struct ci_summary *before, const struct ci_summary *now)
{
    return find_job(before, now, WORSE);
}

void ci_summary_worse_jobs(const struct ci_summary *before, const struct ci_summary *now, struct str_list *names)
{
    for (size_t i = 0; i < now->count; i++)
        if (compare_job(ci_summary_find(before, now->jobs[i].name), &now->jobs[i]) == WORSE)
            str_list_add(names, now->jobs[i].name);
}

const char *ci_summary_unclear_job(const struct ci_summary *before, const struct ci_summary *now)
{
    return find_job(before, now, UNCLEAR);
}

static bool is_environment(const struct job_result *job)
{
    return job != NULL && strcmp(job->state, "environment") == 0;
}

/* A job that this machine cannot judge, at BASE no more than now, neither passes nor stands in the way; one that it could
 * judge at the base does. BASE is NULL while the base itself is judged. */
static void judge(struct ci_summary *summary, const struct ci_summary *base)
{
    summary->green = true;
    summary->ran_any = false;
    for (size_t i = 0; i < summary->count; i++) {
        const struct job_result *job = &summary->jobs[i];

        if (strcmp(job->state, "passed") == 0)
            summary->ran_any = true;
        else if (is_environment(job))
            summary->green = summary->green && (base == NULL || is_environment(ci_summary_find(base, job->name)));
        else if (strcmp(job->state, "skipped") != 0)
            summary->green = false;
    }
    summary->green = summary->green && summary->ran_any;
}

static const struct ci_summary *base_of(const struct run *run)
{
    return run->has_base_ci ? &run->base_ci : NULL;
}

void ci_summary_unjudged(const struct ci_summary *summary, struct str_list *lines)
{
    for (size_t i = 0; i < summary->count; i++) {
        const struct job_result *job = &summary->jobs[i];

        if (is_environment(job))
            str_list_take(lines, xasprintf("%s: %s", job->name, job->reason != NULL ? job->reason : "the machine lacks something"));
    }
}

/* --- Results by tree, in the journal ----------------------------------------------------------------- */

static json_t *summary_to_json(const struct ci_summary *summary)
{
    json_t *jobs = json_array();

    for (size_t i = 0; i < summary->count; i++) {
        const struct job_result *job = &summary->jobs[i];
        json_t *tests = json_array();

        for (size_t k = 0; k < job->failed_tests.len; k++)
            json_array_append_new(tests, json_string(job->failed_tests.items[k]));
        json_array_append_new(jobs, json_pack("{s:s, s:s, s:i, s:o, s:s*, s:s*}", "name", job->name, "state",
                                              job->state, "step", job->step, "failed_tests", tests, "excerpt",
                                              job->excerpt, "reason", job->reason));
    }
    return jobs;
}

static void summary_from_json(struct ci_summary *summary, const json_t *jobs)
{
    size_t i;
    json_t *row;

    json_array_foreach(jobs, i, row) {
        struct job_result *job = add_job(summary);
        size_t k;
        json_t *test;

        job->name = xstrdup(json_get_string(row, "name", ""));
        job->state = xstrdup(json_get_string(row, "state", "failed"));
        job->step = (int)json_get_int(row, "step", -1);
        job->excerpt = xstrdup(json_get_string(row, "excerpt", NULL));
        job->reason = xstrdup(json_get_string(row, "reason", NULL));
        json_array_foreach(json_object_get(row, "failed_tests"), k, test)
            str_list_add(&job->failed_tests, json_string_value(test));
    }
}

static bool load_cached(struct run *run, const char *tree, struct ci_summary *out)
{
    json_t *jobs = run_get_json(run, "ci", tree);

    if (jobs == NULL)
        return false;
    summary_from_json(out, jobs);
    out->tree = xstrdup(tree);
    judge(out, base_of(run));
    json_decref(jobs);
    return true;
}

/* --- Running ------------------------------------------------------------------------------------------ */

struct mirror {
    struct run *run;
    struct sandbox_policy policy;
    struct ci_summary *out;
};

static int wrap_command(void *data, const struct ci_command *command, struct str_list *out, struct error *err)
{
    struct mirror *m = data;
    struct sandbox_policy policy;
    int rc;

    sandbox_policy_copy(&policy, &m->policy);
    policy.network_access = m->run->settings.ci_network || command->is_dependency || command->needs_network;
    str_list_add(&policy.writable_roots, command->cwd);
    str_list_add(&policy.writable_roots, command->scratch_dir);
    rc = sandbox_wrap(&policy, (const char *const *)command->argv->items, out, err);
    sandbox_policy_finish(&policy);
    return rc;
}

static void on_job_finished(void *data, const struct ci_job_result *job)
{
    struct mirror *m = data;

    run_emit(m->run, json_pack("{s:s, s:s, s:s, s:s*, s:I, s:b}", "type", "ci.job", "job", job->id, "state",
                               ci_state_name(job->state), "reason", job->reason, "duration_ms",
                               (json_int_t)job->duration_ms, "cached", job->from_cache));
}

/* Place of the failing step within its job, so that "fails earlier" can be told; -1 when unknown. */
static int step_index(const struct ci_plan *plan, const struct ci_job_result *result)
{
    for (size_t i = 0; i < ci_plan_job_count(plan) && result->failing_step != NULL; i++) {
        const struct ci_plan_job *job = ci_plan_job(plan, i);

        if (strcmp(job->id, result->id) != 0)
            continue;
        for (size_t k = 0; k < job->step_count; k++)
            if (strcmp(job->steps[k].name, result->failing_step) == 0)
                return (int)k;
    }
    return -1;
}

static char *repaired(const char *text)
{
    struct buf b = BUF_INIT;

    if (text == NULL)
        return NULL;
    utf8_append_repaired(&b, text, strlen(text));
    return buf_take(&b);
}

/* Without the line's end that a block of YAML has. */
static char *only_command(const struct ci_plan *plan, const char *job_id)
{
    const char *command = ci_plan_only_command(plan, job_id);
    size_t n = command == NULL ? 0 : strlen(command);

    while (n > 0 && command[n - 1] == '\n')
        n--;
    return n == 0 ? NULL : xstrndup(command, n);
}

static void take_results(struct ci_summary *out, const struct ci_plan *plan, const struct ci_result *result)
{
    for (size_t i = 0; i < result->job_count; i++) {
        const struct ci_job_result *from = &result->jobs[i];
        struct job_result *job = add_job(out);
        bool tolerated = from->state == CI_FAILED && from->allowed_to_fail;

        job->name = repaired(from->id);
        job->state = xstrdup(tolerated ? "skipped" : ci_state_name(from->state));
        job->step = step_index(plan, from);
        if (from->state == CI_PASSED)
            job->command = only_command(plan, from->id);
        job->excerpt = repaired(from->excerpt);
        job->reason = tolerated ? xstrdup("failed, but continue-on-error allows it") : repaired(from->reason);
        for (size_t k = 0; k < from->failing_tests.len; k++)
            str_list_take(&job->failed_tests, repaired(from->failing_tests.items[k]));
    }
}

/* Jobs at once of one check: its part of what all checks that run now may use. */
static unsigned share_of_cores(const struct run *run)
{
    long cores = run->settings.ci_jobs > 0 ? run->settings.ci_jobs : sysconf(_SC_NPROCESSORS_ONLN);
    long checks = run->ci_at_once > 0 ? (long)run->ci_at_once : 1;

    return cores > checks ? (unsigned)(cores / checks) : 1;
}

/* Runs those failed jobs again that are worse than on V. */
static int classify(struct run *run, const struct ci_plan *plan, const struct ci_run_options *options,
                    struct ci_result *result, struct error *err)
{
    struct ci_summary first = {0};
    struct str_list worse = {0};
    struct ci_classify_options how = {.run = options, .jobs = &worse, .retries = (unsigned)run->settings.ci_retries};
    int rc = 0;

    take_results(&first, plan, result);
    for (size_t i = 0; i < first.count; i++)
        if (compare_job(ci_summary_find(&run->verified_ci, first.jobs[i].name), &first.jobs[i]) != NOT_WORSE)
            str_list_add(&worse, result->jobs[i].id);
    ci_summary_finish(&first);
    if (worse.len > 0)
        rc = ci_classify(plan, &how, result, err);
    for (size_t i = 0; rc == 0 && i < result->job_count; i++) {
        const struct ci_job_result *job = &result->jobs[i];

        if (job->fault == CI_FAULT_FLAKY)
            run_emit(run, json_pack("{s:s, s:s, s:i, s:i}", "type", "ci.flaky", "job", job->id, "passed",
                                    (int)(job->runs - job->failures), "failed", (int)job->failures));
    }
    str_list_finish(&worse);
    return rc;
}

static int run_mirror(struct run *run, const char *dir, const char *tree, const struct str_list *jobs,
                      struct ci_summary *out, struct error *err)
{
    struct mirror mirror = {.run = run, .out = out};
    struct ci_result result = {0};
    const struct run_settings *s = &run->settings;
    char *definition = path_join(run->dir, "ci-definition");
    char *state = path_state_home(), *cache = path_join(state, "ci-cache");
    char *tmp = NULL;
    char *logs = xasprintf("%s/ci/%04u-%.12s", run->dir, ++run->ci_checks, tree);
    struct ci_options options = {
        .definition_dir = definition,
        .commands = &s->ci_commands,
        .workflows = &s->ci_workflows,
        .actions = s->ci_actions,
        .action_count = s->ci_action_count,
        .vars = &s->ci_vars,
        .event = s->ci_event,
        .branch = run->target,
    };
    struct ci_run_options run_options = {
        .loop = run->loop,
        .work_dir = dir,
        .log_dir = logs,
        .cache_dir = cache,
        .tree_id = tree,
        .conditions = s->ci_network ? "run, with the network" : "run",
        .jobs = jobs,
        .parallel = share_of_cores(run),
        .timeout_ms = s->ci_timeout_seconds * 1000,
        .on_job_finished = on_job_finished,
        .wrap = wrap_command,
        .data = &mirror,
    };
    struct ci_plan *plan = NULL;
    int rc = -1;

    sandbox_policy_init(&mirror.policy, SANDBOX_WORKSPACE_WRITE, dir);
    mirror.policy.loopback = true; /* tests serve on localhost */
    sandbox_policy_configure_common(&mirror.policy, run->options.config);
    if (permissions_add_denials(run->options.config, dir, &mirror.policy, err) < 0)
        goto out;
    tmp = path_join(run->dir, "tmp");
    if (file_make_directories(tmp, 0700, err) < 0)
        goto out;
    mirror.policy.tmp_dir = xasprintf("%s/ci-%u", tmp, run->ci_checks);
    agent_hidden_paths(run->dir, &mirror.policy.hidden_paths);
    plan = ci_plan_create(&options, err);
    if (plan == NULL || ci_run(plan, &run_options, &result, err) < 0)
        goto out;
    if (jobs == NULL && run->has_verified_ci && classify(run, plan, &run_options, &result, err) < 0)
        goto out;
    take_results(out, plan, &result);
    rc = 0;
out:
    ci_result_finish(&result);
    ci_plan_destroy(plan);
    if (mirror.policy.tmp_dir != NULL)
        (void)file_remove_tree(mirror.policy.tmp_dir, NULL);
    sandbox_policy_finish(&mirror.policy);
    free(tmp);
    free(definition);
    free(state);
    free(cache);
    free(logs);
    return rc;
}

static void on_acceptance(void *data, const char *name, bool passed, bool is_known, const char *excerpt)
{
    struct mirror *m = data;
    struct job_result *job = add_job(m->out);

    job->name = xstrdup(name);
    job->state = xstrdup(passed ? "passed" : "failed");
    job->excerpt = passed ? NULL : xstrdup(excerpt);
    run_emit(m->run, json_pack("{s:s, s:s, s:s, s:b}", "type", "ci.job", "job", name, "state", job->state, "cached",
                               is_known));
}

/* CI's jobs, then the acceptance commands that are in force, in the same tree. */
static int run_all(struct run *run, const char *dir, const char *tree, const struct vec *tasks,
                   const struct str_list *jobs, struct ci_summary *out, struct error *err)
{
    struct mirror mirror = {.run = run, .out = out};
    struct acceptance_check check = {.dir = dir, .tasks = tasks, .jobs = jobs, .ci = out, .on_result = on_acceptance, .data = &mirror};
    struct str_list of_ci = {0};
    int rc = 0;

    for (size_t i = 0; jobs != NULL && i < jobs->len; i++)
        if (!acceptance_is_job(jobs->items[i]))
            str_list_add(&of_ci, jobs->items[i]);
    if (jobs == NULL || of_ci.len > 0)
        rc = run_mirror(run, dir, tree, jobs == NULL ? NULL : &of_ci, out, err);
    str_list_finish(&of_ci);
    if (rc < 0)
        return -1;
    if (acceptance_run_all(run, &check, err) < 0)
        return -1;
    judge(out, base_of(run));
    return 0;
}

/* The copy of the tree at V (at first the base) that the definition is read from. */
static int ensure_definition(struct run *run, struct error *err)
{
    char *definition = path_join(run->dir, "ci-definition");
    int rc = 0;

    if (!file_is_directory(definition))
        rc = worktree_export(run->repo, run->base, definition, err);
    free(definition);
    return rc;
}

int run_ci(struct run *run, const char *commit, const struct vec *tasks, const struct str_list *jobs,
           struct ci_summary *out, struct error *err)
{
    char *tree = NULL;
    char *dir = NULL;
    json_t *record = NULL;
    int passed = 0;
    int failed = 0;
    int skipped = 0;
    int environment = 0;
    int rc = -1;

    if (git_tree_of(run->repo, commit, &tree, err) < 0)
        return -1;
    if (jobs == NULL && load_cached(run, tree, out)) {
        free(tree);
        return 0;
    }
    run_emit(run, json_pack("{s:s, s:i, s:s}", "type", "ci.started", "batch", run->batch, "commit", commit));
    dir = xasprintf("%s/worktrees/ci-%.12s", run->dir, commit);
    if (ensure_definition(run, err) < 0)
        goto out;
    if (worktree_is_ours(run->repo, dir) && worktree_remove(run->repo, dir, err) < 0)
        goto out;
    if (worktree_add(run->repo, dir, commit, err) < 0 || worktree_copy_included(run->repo, dir, err) < 0)
        goto out;
    rc = run_all(run, dir, tree, tasks, jobs, out, err);
    if (rc == 0) {
        out->tree = xstrdup(tree);
        if (jobs == NULL) {
            record = summary_to_json(out);
            rc = run_put_json(run, "ci", tree, record, err);
        }
    }
    for (size_t i = 0; i < out->count; i++) {
        passed += strcmp(out->jobs[i].state, "passed") == 0;
        failed += strcmp(out->jobs[i].state, "failed") == 0;
        skipped += strcmp(out->jobs[i].state, "skipped") == 0;
        environment += is_environment(&out->jobs[i]);
    }
    if (rc == 0)
        run_emit(run, json_pack("{s:s, s:i, s:s, s:b, s:i, s:i, s:i, s:i}", "type", "ci.completed", "batch", run->batch,
                                "commit", commit, "green", out->green, "passed", passed, "failed", failed, "skipped",
                                skipped, "environment", environment));
out:
    fiber_shield(true);
    if (file_is_directory(dir))
        (void)worktree_remove(run->repo, dir, NULL);
    fiber_shield(false);
    json_decref(record);
    free(dir);
    free(tree);
    return rc;
}
