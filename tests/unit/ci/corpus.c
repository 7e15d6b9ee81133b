/* Workflows that others wrote: all are read, most steps are mirrored; cases that assert inside their own
 * steps come out as they state. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "ci/ci.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *testdata(const char *name)
{
    return path_join(getenv("CADRE_TESTDATA") != NULL ? getenv("CADRE_TESTDATA") : "../shared/testdata", name);
}

static void copy_tree(const char *from, const char *to)
{
    char *command = xasprintf("mkdir -p '%s' && cp -a '%s/.' '%s/'", to, from, to);

    assert_int_equal(system(command), 0);
    free(command);
}

/* Jobs for other systems are not what this machine is asked for. */
static bool is_for_linux(const struct ci_plan_job *job)
{
    return job->reason == NULL || (strstr(job->reason, "this machine is") == NULL &&
                                   strstr(job->reason, "labelled") == NULL &&
                                   strstr(job->reason, "but for the system") == NULL);
}

struct count {
    size_t run, satisfied, skipped, plans;
    int64_t slowest_us;
};

static void count_plan(const char *root, const char *event, struct count *count)
{
    static const char *const branches[] = {"main", "master", "next", "2.x"};
    struct ci_plan *best = NULL;

    for (size_t b = 0; b < sizeof branches / sizeof *branches; b++) {
        struct ci_options options = {.definition_dir = root, .event = event, .branch = branches[b], .base_branch = branches[b]};
        struct error err = {0};
        int64_t start = clock_monotonic_us();
        struct ci_plan *plan = ci_plan_create(&options, &err);
        int64_t took = clock_monotonic_us() - start;

        if (plan == NULL)
            print_message("# %s: %s\n", root, err.text);
        assert_non_null(plan);
        count->plans++;
        if (took > count->slowest_us)
            count->slowest_us = took;
        if (best == NULL || ci_plan_job_count(plan) > ci_plan_job_count(best)) {
            ci_plan_destroy(best);
            best = plan;
        } else {
            ci_plan_destroy(plan);
        }
    }
    for (size_t i = 0; i < ci_plan_job_count(best); i++) {
        const struct ci_plan_job *job = ci_plan_job(best, i);
        for (size_t k = 0; is_for_linux(job) && k < job->step_count; k++) {
            count->run += job->steps[k].kind == CI_STEP_RUN;
            count->satisfied += job->steps[k].kind == CI_STEP_SATISFIED;
            count->skipped += job->steps[k].kind == CI_STEP_SKIPPED;
            if (job->steps[k].kind == CI_STEP_SKIPPED)
                assert_non_null(job->steps[k].reason);
        }
    }
    ci_plan_destroy(best);
}

static void every_workflow_is_read_and_most_steps_are_mirrored(void **state)
{
    char *folder = testdata("workflows");
    struct str_list repositories = {0};
    struct error err = {0};
    struct count count = {0};
    size_t all, mirrored;

    (void)state;
    if (!file_is_directory(folder)) {
        free(folder);
        skip();
    }
    assert_int_equal(file_list_directory(folder, &repositories, &err), 0);
    for (size_t i = 0; i < repositories.len; i++) {
        char *from = path_join(folder, repositories.items[i]);
        if (file_is_directory(from)) {
            char *root = file_make_temporary_directory("cadre-corpus", &err);
            char *to = path_join(root, ".github/workflows");
            copy_tree(from, to);
            count_plan(root, "push", &count);
            count_plan(root, "pull_request", &count);
            file_remove_tree(root, &err);
            free(to);
            free(root);
        }
        free(from);
    }
    str_list_finish(&repositories);
    free(folder);
    mirrored = count.run + count.satisfied;
    all = mirrored + count.skipped;
    print_message("# %zu of %zu steps of push and pull_request jobs on Linux are mirrored (%.1f %%): %zu run, "
                  "%zu satisfied; %zu plans, the slowest took %.1f ms\n",
                  mirrored, all, 100.0 * (double)mirrored / (double)all, count.run, count.satisfied, count.plans,
                  (double)count.slowest_us / 1000);
    assert_true(all > 500);
    assert_true(mirrored * 100 >= all * 75);
}

struct stated {
    const char *folder, *file, *event;
    enum ci_verdict verdict;
    const char *input, *env;     /* "NAME=value" that the case is run with */
    const char *jobs[2];         /* only these, by id */
    const char *actor;
    const char *event_file;      /* below the folder */
};

#define DOES_NOT_READ ((enum ci_verdict)99)

/* Not here: cases that need an image for every job, a remote action, Windows or PowerShell, or a file that is not in
 * the test data (uses-workflow-defaults). Of the shells the job in a container is skipped. */
#define CASE(folder_, file_, event_, verdict_, ...) \
    {.folder = folder_, .file = file_, .event = event_, .verdict = verdict_, ##__VA_ARGS__}

static const struct stated cases[] = {
    CASE("act-composite-env-test", "push.yml", "push", CI_NOTHING_RAN),
    CASE("commands", "push.yml", "push", CI_GREEN),
    CASE("dir with spaces", "push.yml", "push", CI_GREEN),
    CASE("docker-action-custom-path", "push.yml", "push", CI_GREEN),
    CASE("environment-files-parser-bug", "push.yaml", "push", CI_GREEN),
    CASE("environment-variables", "push.yml", "push", CI_GREEN),
    CASE("evalmatrix", "push.yml", "push", CI_GREEN),
    CASE("evalmatrix-merge-array", "push.yml", "push", CI_GREEN),
    CASE("evalmatrixneeds2", "push.yml", "push", CI_GREEN),
    CASE("if-env-act", "push.yml", "push", CI_GREEN, .env = "ACT=true"),
    CASE("if-env-act", "push.yml", "push", CI_RED),
    CASE("input-from-cli", "input.yml", "workflow_dispatch", CI_GREEN, .input = "SOME_INPUT=input"),
    CASE("input-from-cli", "input.yml", "workflow_dispatch", CI_RED),
    CASE("issue-1595", "missing.yml", "push", DOES_NOT_READ),
    CASE("issue-1595", "no-event.yml", "push", DOES_NOT_READ),
    CASE("issue-1595", "no-first.yml", "push", DOES_NOT_READ),
    CASE("job-needs-context-contains-result", "push.yml", "push", CI_GREEN),
    CASE("job-status-check", "push.yml", "push", CI_RED),
    CASE("matrix-exitcode", "push.yml", "push", CI_RED),
    CASE("matrix-with-user-inclusions", "push.yml", "push", CI_GREEN,
     .jobs = {"case.yml/build (ubuntu-18.04, 8)", "case.yml/test (8.x)"}),
    CASE("matrix-with-user-inclusions", "push.yml", "push", CI_RED),
    CASE("nix-prepend-path", "push.yml", "push", CI_GREEN),
    CASE("outputs", "push.yml", "push", CI_GREEN),
    CASE("path-handling", "push.yml", "push", CI_GREEN),
    CASE("pull-request", "main.yaml", "pull_request", CI_GREEN, .event_file = "event.json"),
    CASE("runs-on", "push.yml", "push", CI_GREEN, .actor = "nektos/act"),
    CASE("services-empty-image", "push.yaml", "push", CI_GREEN),
    CASE("shells/bash", "push.yml", "push", CI_GREEN),
    CASE("shells/defaults", "push.yml", "push", CI_GREEN),
    CASE("shells/python", "push.yml", "push", CI_GREEN),
    CASE("shells/sh", "push.yml", "push", CI_GREEN),
    CASE("set-env-new-env-file-per-step", "push.yml", "push", CI_GREEN),
    CASE("uses-and-run-in-one-step", "push.yml", "push", DOES_NOT_READ),
    CASE("uses-composite-with-error", "push.yml", "push", CI_RED),
    CASE("windows-shell-cmd", "push.yml", "push", CI_NOTHING_RAN),
    CASE("workflow_call_inputs", "workflow_call_inputs.yml", "workflow_call", CI_GREEN, .event_file = "event.json"),
    CASE("workflow_dispatch-scalar", "workflow_dispatch.yml", "workflow_dispatch", CI_GREEN),
    CASE("workflow_dispatch_no_inputs_mapping", "workflow_dispatch.yml", "workflow_dispatch", CI_GREEN),
};

static void run_case(struct loop *loop, const char *act, const struct stated *c, size_t *agreed)
{
    struct error err = {0};
    char *root = file_make_temporary_directory("cadre-act", &err), *logs = path_join(root, "logs");
    char *tree = path_join(root, "tree"), *workflows = path_join(tree, ".github/workflows");
    char *from = xasprintf("%s/%s/%s", act, c->folder, c->file), *to = xasprintf("%s/case.yml", workflows);
    struct str_list inputs = {0}, env = {0}, jobs = {0};
    struct buf payload = BUF_INIT;
    struct ci_options options = {.definition_dir = tree, .event = c->event, .actor = c->actor, .inputs = &inputs};
    struct ci_run_options run = {.loop = loop, .work_dir = tree, .log_dir = logs, .env = &env, .jobs = &jobs};
    struct ci_result result = {0};
    struct ci_plan *plan;

    copy_tree(act, tree);
    assert_int_equal(file_make_directories(workflows, 0755, &err), 0);
    assert_int_equal(file_copy(from, to, &err), 0);
    if (c->input != NULL)
        str_list_add(&inputs, c->input);
    if (c->env != NULL)
        str_list_add(&env, c->env);
    for (size_t i = 0; i < 2 && c->jobs[i] != NULL; i++)
        str_list_add(&jobs, c->jobs[i]);
    if (c->event_file != NULL) {
        char *path = xasprintf("%s/%s/%s", act, c->folder, c->event_file);
        assert_int_equal(file_read(path, &payload, 1 << 20, &err), 0);
        options.event_json = buf_cstr(&payload);
        free(path);
    }
    plan = ci_plan_create(&options, &err);
    if (plan == NULL && c->verdict == DOES_NOT_READ)
        (*agreed)++;
    else if (plan == NULL || ci_run(plan, &run, &result, &err) < 0)
        print_message("# %s: %s\n", c->folder, err.text);
    else if (result.verdict == c->verdict)
        (*agreed)++;
    else
        print_message("# %s: %s\n", c->folder, ci_verdict_name(result.verdict));
    for (size_t i = 0; plan != NULL && result.verdict != c->verdict && i < result.job_count; i++)
        print_message("#   %s %s %s %s\n", result.jobs[i].id, ci_state_name(result.jobs[i].state),
                      result.jobs[i].reason != NULL ? result.jobs[i].reason : "",
                      result.jobs[i].excerpt != NULL ? result.jobs[i].excerpt : "");
    ci_result_finish(&result);
    ci_plan_destroy(plan);
    file_remove_tree(root, &err);
    str_list_finish(&inputs);
    str_list_finish(&env);
    str_list_finish(&jobs);
    buf_free(&payload);
    free(root);
    free(logs);
    free(tree);
    free(workflows);
    free(from);
    free(to);
}

static void workflows_that_assert_come_out_as_they_state(void **state)
{
    char *act = testdata("act");
    struct loop *loop;
    size_t agreed = 0, count = sizeof cases / sizeof *cases;

    (void)state;
    if (!file_is_directory(act)) {
        free(act);
        skip();
    }
    loop = loop_create();
    for (size_t i = 0; i < count; i++)
        run_case(loop, act, &cases[i], &agreed);
    loop_destroy(loop);
    free(act);
    print_message("# %zu of %zu cases that need no image and no remote action come out as stated\n", agreed, count);
    assert_int_equal(agreed, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_workflow_is_read_and_most_steps_are_mirrored),
        cmocka_unit_test(workflows_that_assert_come_out_as_they_state),
    };

    return cmocka_run_group_tests_name("ci/corpus", tests, NULL, NULL);
}
