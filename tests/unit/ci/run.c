/* Plans and runs: workflows on disk, commands in real processes. */
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

struct fixture {
    char *dir, *logs, *cache;
    struct loop *loop;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error err = {0};

    f->dir = file_make_temporary_directory("cadre-ci", &err);
    f->logs = file_make_temporary_directory("cadre-ci-logs", &err);
    f->cache = file_make_temporary_directory("cadre-ci-cache", &err);
    f->loop = loop_create();
    *state = f;
    return f->dir == NULL || f->logs == NULL || f->cache == NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};

    loop_destroy(f->loop);
    file_remove_tree(f->dir, &err);
    file_remove_tree(f->logs, &err);
    file_remove_tree(f->cache, &err);
    free(f->dir);
    free(f->logs);
    free(f->cache);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *name, const char *text)
{
    char *path = path_join(f->dir, name), *folder = path_dirname(path);
    struct error err = {0};

    assert_int_equal(file_make_directories(folder, 0755, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    free(folder);
    free(path);
}

static struct ci_plan *plan_for(struct fixture *f, const struct str_list *commands)
{
    struct ci_options options = {.definition_dir = f->dir, .commands = commands};
    struct error err = {0};
    struct ci_plan *plan = ci_plan_create(&options, &err);

    if (plan == NULL)
        print_message("# %s\n", err.text);
    assert_non_null(plan);
    return plan;
}

static struct ci_result run_with(struct fixture *f, struct ci_plan *plan, const char *tree_id)
{
    struct ci_run_options options = {.loop = f->loop, .work_dir = f->dir, .log_dir = f->logs,
                                     .cache_dir = tree_id != NULL ? f->cache : NULL, .tree_id = tree_id};
    struct ci_result result;
    struct error err = {0};

    assert_int_equal(ci_run(plan, &options, &result, &err), 0);
    return result;
}

static struct ci_result run_workflow(struct fixture *f, const char *text)
{
    struct ci_plan *plan;
    struct ci_result result;

    put(f, ".github/workflows/ci.yml", text);
    plan = plan_for(f, NULL);
    result = run_with(f, plan, NULL);
    ci_plan_destroy(plan);
    return result;
}

static void explicit_commands_run_and_name_the_failure(void **state)
{
    struct fixture *f = *state;
    struct str_list commands = {0};
    struct ci_plan *plan;
    struct ci_result r;

    str_list_add(&commands, "echo fine");
    str_list_add(&commands, "echo 'src/a.c:3:1: error: broken'; exit 3");
    str_list_add(&commands, "echo not reached");
    plan = plan_for(f, &commands);
    assert_int_equal(ci_plan_source(plan), CI_SOURCE_COMMANDS);
    r = run_with(f, plan, NULL);
    assert_int_equal(r.verdict, CI_RED);
    assert_int_equal(r.job_count, 1);
    assert_int_equal(r.jobs[0].state, CI_FAILED);
    assert_int_equal(r.jobs[0].exit_code, 3);
    assert_non_null(strstr(r.jobs[0].excerpt, "src/a.c:3:1: error: broken"));
    assert_non_null(strstr(r.jobs[0].excerpt, "repeat with: echo"));
    assert_int_equal(r.jobs[0].failing_tests.len, 1);
    assert_true(r.jobs[0].fingerprint != 0);
    assert_int_equal(r.jobs[0].steps_run, 2);
    ci_result_finish(&r);
    ci_plan_destroy(plan);
    str_list_finish(&commands);
}

static void jobs_run_in_the_order_of_needs_with_outputs_and_env(void **state)
{
    struct ci_result r = run_workflow(*state,
        "on: push\nenv: {A: one}\njobs:\n"
        "  last:\n    needs: first\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: test '${{ needs.first.outputs.v }}' = 'one two'\n"
        "      - run: test ! -e made\n"
        "  first:\n    runs-on: ubuntu-latest\n    env: {B: two}\n"
        "    outputs: {v: '${{ steps.s.outputs.x }}'}\n    steps:\n"
        "      - uses: actions/checkout@v4\n"
        "      - run: echo \"x=$A $B\" >> $GITHUB_OUTPUT; touch made\n        id: s\n"
        "      - run: echo C=three >> $GITHUB_ENV\n"
        "      - run: test $C = three && test \"${{ env.C }}\" = three\n");

    if (r.verdict != CI_GREEN)
        print_message("# %s\n", r.jobs[1].excerpt != NULL ? r.jobs[1].excerpt : r.jobs[0].excerpt);
    assert_int_equal(r.verdict, CI_GREEN);
    assert_int_equal(r.passed, 2);
    assert_int_equal(r.share.satisfied, 1);
    ci_result_finish(&r);
}

static void what_is_skipped_is_never_called_passed(void **state)
{
    struct ci_result r = run_workflow(*state,
        "on: push\njobs:\n"
        "  win:\n    runs-on: windows-latest\n    steps: [{run: exit 1}]\n"
        "  after:\n    needs: win\n    runs-on: ubuntu-latest\n    steps: [{run: 'true'}]\n"
        "  only_remote:\n    runs-on: ubuntu-latest\n    steps: [{uses: some/unknown@v1}]\n");

    assert_int_equal(r.verdict, CI_NOTHING_RAN);
    assert_int_equal(r.passed, 0);
    assert_int_equal(r.skipped, 3);
    for (size_t i = 0; i < r.job_count; i++)
        assert_non_null(r.jobs[i].reason);
    ci_result_finish(&r);
}

static void a_missing_tool_is_the_environments_fault(void **state)
{
    struct ci_result r = run_workflow(*state,
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - uses: actions/setup-go@v5\n        with: {go-version: '99.1'}\n      - run: exit 1\n");

    assert_int_equal(r.verdict, CI_ENVIRONMENT_ONLY);
    assert_int_equal(r.jobs[0].state, CI_ENVIRONMENT);
    assert_non_null(strstr(r.jobs[0].reason, "go"));
    assert_null(r.jobs[0].failing_step);
    ci_result_finish(&r);
}

static void matrix_conditions_and_continue_on_error_hold(void **state)
{
    struct ci_result r = run_workflow(*state,
        "on: push\njobs:\n  m:\n    runs-on: ${{ matrix.os }}\n    continue-on-error: ${{ matrix.may_fail || false }}\n"
        "    strategy:\n      matrix:\n        os: [ubuntu-latest, windows-latest]\n        v: [1, 2]\n"
        "        include: [{os: ubuntu-latest, v: 2, may_fail: true}]\n"
        "    steps:\n      - run: exit 1\n        if: matrix.v == 2\n"
        "      - run: exit 7\n        continue-on-error: true\n        id: x\n        if: always()\n"
        "      - run: test '${{ steps.x.outcome }} ${{ steps.x.conclusion }}' = 'failure success'\n        if: always()\n"
        "      - run: exit 9\n        if: cancelled()\n");

    assert_int_equal(r.job_count, 4);
    assert_int_equal(r.passed, 1);
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.skipped, 2);
    assert_int_equal(r.verdict, CI_GREEN);
    ci_result_finish(&r);
}

static void composite_actions_and_reusable_workflows_of_the_repository_run(void **state)
{
    struct fixture *f = *state;
    struct ci_result r;

    put(f, "act/action.yml",
        "name: a\ninputs: {who: {default: nobody}}\noutputs: {said: {value: '${{ steps.s.outputs.w }}'}}\n"
        "runs:\n  using: composite\n  steps:\n"
        "    - run: echo \"w=hello ${{ inputs.who }}\" >> $GITHUB_OUTPUT\n      shell: bash\n      id: s\n");
    put(f, ".github/workflows/called.yml",
        "on:\n  workflow_call:\n    inputs: {n: {type: string}}\n    outputs: {o: {value: '${{ jobs.j.outputs.o }}'}}\n"
        "jobs:\n  j:\n    runs-on: ubuntu-latest\n    outputs: {o: '${{ steps.s.outputs.o }}'}\n"
        "    steps:\n      - run: echo \"o=got ${{ inputs.n }}\" >> $GITHUB_OUTPUT\n        id: s\n");
    r = run_workflow(f,
        "on: push\njobs:\n  c:\n    uses: ./.github/workflows/called.yml\n    with: {n: five}\n"
        "  d:\n    needs: c\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - uses: ./act\n        id: a\n        with: {who: you}\n"
        "      - run: test '${{ steps.a.outputs.said }}' = 'hello you'\n"
        "      - run: test '${{ needs.c.outputs.o }}' = 'got five'\n");
    for (size_t i = 0; i < r.job_count && r.verdict != CI_GREEN; i++)
        print_message("# %s %s %s\n", r.jobs[i].id, ci_state_name(r.jobs[i].state), r.jobs[i].excerpt);
    assert_int_equal(r.verdict, CI_GREEN);
    assert_int_equal(r.passed, 2);
    ci_result_finish(&r);
}

static void a_second_run_of_the_same_tree_costs_nothing(void **state)
{
    struct fixture *f = *state;
    struct ci_plan *plan;
    struct ci_result r;
    int64_t start;

    put(f, ".github/workflows/ci.yml",
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{run: sleep 0.2}]\n"
        "  b:\n    needs: a\n    runs-on: ubuntu-latest\n    steps: [{run: 'true'}]\n");
    plan = plan_for(f, NULL);
    r = run_with(f, plan, "tree-1");
    assert_int_equal(r.verdict, CI_GREEN);
    assert_false(r.jobs[0].from_cache);
    ci_result_finish(&r);
    start = clock_monotonic_us();
    r = run_with(f, plan, "tree-1");
    print_message("# second run without a change: %.1f ms\n", (double)(clock_monotonic_us() - start) / 1000);
    assert_int_equal(r.verdict, CI_GREEN);
    assert_true(r.jobs[0].from_cache && r.jobs[1].from_cache);
    ci_result_finish(&r);
    r = run_with(f, plan, "tree-2");
    assert_false(r.jobs[0].from_cache);
    ci_result_finish(&r);
    ci_plan_destroy(plan);
}

static void build_files_suggest_jobs(void **state)
{
    struct fixture *f = *state;
    struct ci_plan *plan = plan_for(f, NULL);

    assert_int_equal(ci_plan_job_count(plan), 0);
    assert_int_equal(ci_plan_source(plan), CI_SOURCE_NONE);
    ci_plan_destroy(plan);
    put(f, "Makefile", "all:\n\ttrue\ncheck: all\n\ttrue\n");
    put(f, "go.mod", "module x\n");
    plan = plan_for(f, NULL);
    assert_int_equal(ci_plan_source(plan), CI_SOURCE_DETECTED);
    assert_int_equal(ci_plan_job_count(plan), 2);
    assert_string_equal(ci_plan_job(plan, 0)->steps[0].command, "make check");
    ci_plan_destroy(plan);
}

int main(void)
{
#define WITH_FIXTURE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(explicit_commands_run_and_name_the_failure),
        WITH_FIXTURE(jobs_run_in_the_order_of_needs_with_outputs_and_env),
        WITH_FIXTURE(what_is_skipped_is_never_called_passed),
        WITH_FIXTURE(a_missing_tool_is_the_environments_fault),
        WITH_FIXTURE(matrix_conditions_and_continue_on_error_hold),
        WITH_FIXTURE(composite_actions_and_reusable_workflows_of_the_repository_run),
        WITH_FIXTURE(a_second_run_of_the_same_tree_costs_nothing),
        WITH_FIXTURE(build_files_suggest_jobs),
    };

    return cmocka_run_group_tests_name("ci/run", tests, NULL, NULL);
}
