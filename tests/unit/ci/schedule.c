/* When jobs run: max-parallel, fail-fast, concurrency groups, calls with a matrix, what failed the last time. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "ci/ci.h"
#include "ci/classify.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    char *dir, *logs, *cache, *marks;
    struct loop *loop;
    struct str_list started;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error err = {0};

    f->dir = file_make_temporary_directory("cadre-ci", &err);
    f->logs = file_make_temporary_directory("cadre-ci-logs", &err);
    f->cache = file_make_temporary_directory("cadre-ci-cache", &err);
    f->marks = file_make_temporary_directory("cadre-ci-marks", &err);
    f->loop = loop_create();
    *state = f;
    return f->dir == NULL || f->logs == NULL || f->cache == NULL || f->marks == NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};

    loop_destroy(f->loop);
    file_remove_tree(f->dir, &err);
    file_remove_tree(f->logs, &err);
    file_remove_tree(f->cache, &err);
    file_remove_tree(f->marks, &err);
    str_list_finish(&f->started);
    free(f->dir);
    free(f->logs);
    free(f->cache);
    free(f->marks);
    free(f);
    return 0;
}

/* MARKS in the text stands for a folder that all jobs see. */
static void put(struct fixture *f, const char *name, const char *text)
{
    char *path = path_join(f->dir, name), *folder = path_dirname(path);
    struct buf b = BUF_INIT;
    struct error err = {0};

    for (const char *p = text; *p != '\0';) {
        if (strncmp(p, "MARKS", 5) == 0) {
            buf_puts(&b, f->marks);
            p += 5;
        } else {
            buf_putc(&b, *p++);
        }
    }
    assert_int_equal(file_make_directories(folder, 0755, &err), 0);
    assert_int_equal(file_write(path, b.data, b.len, 0644, &err), 0);
    buf_free(&b);
    free(folder);
    free(path);
}

static void on_started(void *data, const char *id, const char *name)
{
    struct fixture *f = data;

    (void)name;
    str_list_add(&f->started, id);
}

static struct ci_result run_workflow(struct fixture *f, const char *text, unsigned parallel, const struct str_list *changed)
{
    struct ci_options options = {.definition_dir = f->dir};
    struct ci_run_options run = {.loop = f->loop, .work_dir = f->dir, .log_dir = f->logs, .cache_dir = f->cache, .parallel = parallel,
                                 .changed_paths = changed, .on_job_started = on_started, .data = f};
    struct ci_result result;
    struct error err = {0};
    struct ci_plan *plan;

    put(f, ".github/workflows/ci.yml", text);
    plan = ci_plan_create(&options, &err);
    if (plan == NULL)
        print_message("# %s\n", err.text);
    assert_non_null(plan);
    str_list_finish(&f->started);
    assert_int_equal(ci_run(plan, &run, &result, &err), 0);
    ci_plan_destroy(plan);
    return result;
}

static void expect_green(struct ci_result r)
{
    for (size_t i = 0; i < r.job_count && r.verdict != CI_GREEN; i++)
        print_message("# %s %s %s %s\n", r.jobs[i].id, ci_state_name(r.jobs[i].state), r.jobs[i].reason != NULL ? r.jobs[i].reason : "",
                      r.jobs[i].excerpt != NULL ? r.jobs[i].excerpt : "");
    assert_string_equal(ci_verdict_name(r.verdict), "green");
    ci_result_finish(&r);
}

/* Takes a mark that must not be there, holds it for a moment, gives it back. */
#define ALONE "mkdir MARKS/held && sleep 0.2 && rmdir MARKS/held"

static void max_parallel_holds_for_the_legs(void **state)
{
    expect_green(run_workflow(*state,
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy: {max-parallel: 1, matrix: {n: [1, 2, 3]}}\n    steps:\n"
        "      - run: " ALONE "\n      - run: test '${{ strategy.job-total }} ${{ strategy.max-parallel }} ${{ strategy.fail-fast }}' = '3 1 true'\n", 8, NULL));
}

static void jobs_of_a_concurrency_group_run_one_after_the_other(void **state)
{
    expect_green(run_workflow(*state,
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    concurrency: lock-${{ github.ref }}\n    steps: [{run: '" ALONE "'}]\n"
        "  b:\n    runs-on: ubuntu-latest\n    concurrency: {group: 'lock-${{ github.ref }}', cancel-in-progress: true}\n    steps: [{run: '" ALONE "'}]\n", 8, NULL));
}

static void a_failed_leg_cancels_its_siblings(void **state)
{
    struct ci_result r = run_workflow(*state,
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy: {matrix: {n: [1, 2, 3]}}\n    steps:\n"
        "      - run: test ${{ matrix.n }} != 1\n      - run: sleep 30\n", 2, NULL);

    assert_int_equal(r.verdict, CI_RED);
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.cancelled, 2);
    assert_non_null(strstr(r.jobs[1].reason, "fail-fast"));
    assert_true(r.duration_ms < 20000);
    ci_result_finish(&r);
    r = run_workflow(*state,
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy: {fail-fast: false, matrix: {n: [1, 2, 3]}}\n    steps:\n"
        "      - run: test ${{ matrix.n }} != 1\n", 2, NULL);
    assert_int_equal(r.passed, 2);
    assert_int_equal(r.cancelled, 0);
    ci_result_finish(&r);
}

static void legs_of_a_matrix_from_outputs_run_and_fail_fast(void **state)
{
    struct ci_result r = run_workflow(*state,
        "on: push\njobs:\n  m:\n    runs-on: ubuntu-latest\n    outputs: {list: '${{ steps.s.outputs.list }}'}\n"
        "    steps: [{id: s, run: 'echo \"list=[1,2,3]\" >> $GITHUB_OUTPUT'}]\n"
        "  a:\n    needs: m\n    runs-on: ubuntu-latest\n    strategy: {matrix: {n: '${{ fromJSON(needs.m.outputs.list) }}'}}\n    steps:\n"
        "      - run: test ${{ matrix.n }} != 2 || exit 1\n      - run: sleep 30\n", 4, NULL);

    assert_int_equal(r.job_count, 4);
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.cancelled, 2);
    assert_true(r.duration_ms < 20000);
    ci_result_finish(&r);
}

static void a_time_limit_fails_the_job(void **state)
{
    struct ci_result r = run_workflow(*state,
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    timeout-minutes: 0.005\n    steps: [{run: sleep 60}]\n"
        "  b:\n    runs-on: ubuntu-latest\n    steps:\n      - run: sleep 60\n        timeout-minutes: 0.005\n        continue-on-error: true\n"
        "      - run: 'true'\n", 4, NULL);

    assert_int_equal(ci_result_job(&r, "a")->state, CI_FAILED);
    assert_int_equal(ci_result_job(&r, "b")->state, CI_PASSED);
    assert_true(r.duration_ms < 30000);
    ci_result_finish(&r);
}

static void called_workflows_take_a_matrix_inputs_from_needs_and_give_outputs(void **state)
{
    struct fixture *f = *state;

    put(f, ".github/workflows/inner.yml",
        "on:\n  workflow_call:\n    inputs: {who: {type: string}}\n    outputs: {o: {value: '${{ jobs.say.outputs.o }}'}}\n"
        "jobs:\n  say:\n    runs-on: ubuntu-latest\n    outputs: {o: '${{ steps.s.outputs.o }}'}\n"
        "    steps: [{id: s, run: 'echo \"o=hello ${{ inputs.who }}\" >> $GITHUB_OUTPUT'}]\n");
    put(f, ".github/workflows/outer.yml",
        "on:\n  workflow_call:\n    inputs: {who: {type: string}, n: {type: number}}\n    outputs: {o: {value: '${{ jobs.call.outputs.o }}'}}\n"
        "jobs:\n  first:\n    runs-on: ubuntu-latest\n    steps: [{run: 'touch MARKS/${{ inputs.n }}'}]\n"
        "  call:\n    needs: first\n    uses: ./.github/workflows/inner.yml\n    with: {who: '${{ inputs.who }}'}\n");
    expect_green(run_workflow(f,
        "on: push\njobs:\n  names:\n    runs-on: ubuntu-latest\n    outputs: {who: '${{ steps.s.outputs.who }}'}\n"
        "    steps: [{id: s, run: 'echo who=you >> $GITHUB_OUTPUT'}]\n"
        "  legs:\n    needs: names\n    strategy: {matrix: {n: [1, 2]}}\n    uses: ./.github/workflows/outer.yml\n"
        "    with: {who: '${{ needs.names.outputs.who }}', n: '${{ matrix.n }}'}\n"
        "  never:\n    needs: names\n    if: needs.names.outputs.who == 'me'\n    uses: ./.github/workflows/outer.yml\n    with: {who: x, n: 3}\n"
        "  last:\n    needs: legs\n    runs-on: ubuntu-latest\n    steps:\n      - run: test '${{ needs.legs.outputs.o }} ${{ needs.legs.result }}' = 'hello you success'\n", 4, NULL));
}

static void what_failed_the_last_time_goes_first_and_alone(void **state)
{
    struct fixture *f = *state;
    const char *workflow = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{run: 'true'}]\n"
                           "  b:\n    runs-on: ubuntu-latest\n    steps: [{run: 'true'}]\n"
                           "  c:\n    runs-on: ubuntu-latest\n    steps: [{run: 'test -e MARKS/mended'}]\n";
    struct ci_result r = run_workflow(f, workflow, 1, NULL);
    char *mark = path_join(f->marks, "mended");
    struct error err = {0};

    assert_int_equal(r.verdict, CI_RED);
    assert_string_equal(f->started.items[0], "ci.yml/a");
    ci_result_finish(&r);
    assert_int_equal(file_write(mark, "", 0, 0644, &err), 0);
    r = run_workflow(f, workflow, 8, NULL);
    assert_int_equal(r.verdict, CI_GREEN);
    assert_string_equal(f->started.items[0], "ci.yml/c");
    ci_result_finish(&r);
    /* It passed: no longer alone, but still the likeliest to fail. */
    r = run_workflow(f, workflow, 1, NULL);
    assert_string_equal(f->started.items[0], "ci.yml/a"); /* had the slot before c asked */
    assert_string_equal(f->started.items[1], "ci.yml/c");
    ci_result_finish(&r);
    free(mark);
}

static void changed_folders_point_to_the_job_that_failed_over_them(void **state)
{
    struct fixture *f = *state;
    const char *workflow = "on: push\njobs:\n  x:\n    runs-on: ubuntu-latest\n    steps: [{run: 'true'}]\n"
                           "  a:\n    runs-on: ubuntu-latest\n    steps: [{run: 'test ! -e MARKS/docs'}]\n"
                           "  b:\n    runs-on: ubuntu-latest\n    steps: [{run: 'test ! -e MARKS/src'}]\n";
    const char *folders[] = {"docs", "src"};
    struct str_list changed = {0};
    struct error err = {0};
    struct ci_result r;

    for (int i = 0; i < 2; i++) { /* a fails over docs, then b over src */
        char *mark = path_join(f->marks, folders[i]), *file = xasprintf("%s/x.c", folders[i]);
        assert_int_equal(file_write(mark, "", 0, 0644, &err), 0);
        str_list_add(&changed, file);
        r = run_workflow(f, workflow, 4, &changed);
        assert_int_equal(r.verdict, CI_RED);
        ci_result_finish(&r);
        assert_int_equal(file_remove_tree(mark, &err), 0);
        str_list_finish(&changed);
        free(file);
        free(mark);
    }
    r = run_workflow(f, workflow, 4, NULL); /* both pass again: none goes alone */
    ci_result_finish(&r);
    str_list_add(&changed, "docs/y.md");
    r = run_workflow(f, workflow, 1, &changed);
    assert_string_equal(f->started.items[1], "ci.yml/a");
    ci_result_finish(&r);
    str_list_finish(&changed);
    str_list_add(&changed, "src/z.c");
    r = run_workflow(f, workflow, 1, &changed);
    assert_string_equal(f->started.items[1], "ci.yml/b");
    ci_result_finish(&r);
    str_list_finish(&changed);
}

static void a_red_job_is_classified_by_running_it_again(void **state)
{
    struct fixture *f = *state;
    char *base = file_make_temporary_directory("cadre-ci-base", &(struct error){0}), *good = path_join(f->dir, "good");
    struct str_list commands = {0};
    struct ci_options options = {.definition_dir = f->dir, .commands = &commands};
    struct ci_run_options run = {.loop = f->loop, .work_dir = f->dir, .log_dir = f->logs};
    struct ci_classify_options how = {.run = &run, .retries = 3, .base_dir = base};
    const char *texts[] = {NULL, "test -e good || { echo 'not ok 1 - x'; exit 1; }", "exit 1"};
    enum ci_fault faults[] = {CI_FAULT_FLAKY, CI_FAULT_AT_BASE, CI_FAULT_AT_BASE};
    struct error err = {0};

    for (int i = 0; i < 3; i++) {
        char *command = i == 0 ? xasprintf("d=%s/once; mkdir $d 2>/dev/null && exit 1; true", f->marks) : xstrdup(texts[i]);
        struct ci_result r;
        struct ci_plan *plan;
        str_list_add(&commands, command);
        plan = ci_plan_create(&options, &err);
        assert_int_equal(ci_run(plan, &run, &r, &err), 0);
        assert_int_equal(r.verdict, CI_RED);
        assert_int_equal(ci_classify(plan, &how, &r, &err), 0);
        assert_int_equal(r.jobs[0].fault, faults[i]);
        if (i == 0) {
            assert_int_equal(r.verdict, CI_GREEN);
            assert_string_equal(r.jobs[0].reason, "flaky: 1 of 2 runs failed");
        } else {
            assert_int_equal(r.verdict, CI_RED);
            assert_int_equal(r.jobs[0].failures, 4);
        }
        ci_result_finish(&r);
        ci_plan_destroy(plan);
        str_list_finish(&commands);
        free(command);
    }
    /* The base has what the tree lacks: the change broke it. */
    {
        char *at_base = path_join(base, "good");
        struct ci_result r;
        struct ci_plan *plan;
        assert_int_equal(file_write(at_base, "", 0, 0644, &err), 0);
        str_list_add(&commands, texts[1]);
        plan = ci_plan_create(&options, &err);
        assert_int_equal(ci_run(plan, &run, &r, &err), 0);
        assert_int_equal(ci_classify(plan, &how, &r, &err), 0);
        assert_int_equal(r.jobs[0].fault, CI_FAULT_BROKEN);
        ci_result_finish(&r);
        ci_plan_destroy(plan);
        str_list_finish(&commands);
        free(at_base);
    }
    file_remove_tree(base, &err);
    free(good);
    free(base);
}

static void a_matrix_from_needs_within_a_called_workflow_makes_its_legs(void **state)
{
    struct fixture *f = *state;
    struct ci_result r;

    put(f, ".github/workflows/called.yml",
        "on:\n  workflow_call:\n    inputs: {last: {type: string}}\n    outputs: {seen: {value: '${{ jobs.use.outputs.seen }}'}}\n"
        "jobs:\n  list:\n    runs-on: ubuntu-latest\n    outputs: {names: '${{ steps.l.outputs.names }}'}\n    steps:\n"
        "      - id: l\n        run: echo 'names=[\"a\",\"${{ inputs.last }}\"]' >> \"$GITHUB_OUTPUT\"\n"
        "  use:\n    needs: list\n    runs-on: ubuntu-latest\n    strategy: {matrix: {name: '${{ fromJSON(needs.list.outputs.names) }}'}}\n"
        "    outputs: {seen: '${{ matrix.name }}'}\n    steps: [{run: 'test ${{ strategy.job-total }} = 2 && touch MARKS/${{ matrix.name }}'}]\n");
    r = run_workflow(f,
        "on: push\njobs:\n  one: {uses: ./.github/workflows/called.yml, with: {last: b}}\n  two: {uses: ./.github/workflows/called.yml, with: {last: c}}\n"
        "  after:\n    needs: [one, two]\n    runs-on: ubuntu-latest\n    steps:\n      - run: test -e MARKS/a && test -e MARKS/b && test -e MARKS/c\n"
        "      - run: test '${{ needs.one.result }} ${{ needs.two.result }}' = 'success success' && test -n '${{ needs.two.outputs.seen }}'\n",
        2, NULL);
    assert_int_equal(r.job_count, 7);
    assert_non_null(ci_result_job(&r, "ci.yml/after"));
    for (size_t i = 0; i < r.job_count; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(r.jobs[i].id, r.jobs[k].id);
    expect_green(r);
}

/* LIST is what the job gives as the callers' matrix; `mid.yml` makes a second list and calls `inner.yml` for each of it. */
static struct ci_result run_calls(struct fixture *f, const char *list)
{
    char *text;
    struct ci_result r;

    put(f, ".github/workflows/inner.yml",
        "on:\n  workflow_call:\n    inputs: {who: {type: string}, n: {type: number}}\n    outputs: {o: {value: '${{ jobs.say.outputs.o }}'}}\n"
        "jobs:\n  say:\n    runs-on: ubuntu-latest\n    outputs: {o: 'hello ${{ inputs.who }}'}\n"
        "    steps: [{run: 'test ${{ inputs.n }} != 9 && touch MARKS/${{ inputs.who }}-${{ inputs.n }}'}]\n"
        "  check:\n    needs: say\n    runs-on: ubuntu-latest\n    steps: [{run: 'test -e MARKS/${{ inputs.who }}-${{ inputs.n }}'}]\n");
    put(f, ".github/workflows/mid.yml",
        "on:\n  workflow_call:\n    inputs: {who: {type: string}}\n    outputs: {o: {value: '${{ jobs.call.outputs.o }}'}}\n"
        "jobs:\n  numbers:\n    runs-on: ubuntu-latest\n    outputs: {n: '${{ steps.s.outputs.n }}'}\n"
        "    steps: [{id: s, run: 'echo \"n=[1, 2]\" >> $GITHUB_OUTPUT'}]\n"
        "  call:\n    needs: numbers\n    strategy: {matrix: {n: '${{ fromJSON(needs.numbers.outputs.n) }}'}}\n"
        "    uses: ./.github/workflows/inner.yml\n    with: {who: '${{ inputs.who }}', n: '${{ matrix.n }}'}\n");
    text = xasprintf("on: push\njobs:\n  list:\n    runs-on: ubuntu-latest\n    outputs: {all: '${{ steps.s.outputs.all }}'}\n"
                     "    steps:\n      - id: s\n        run: |\n          echo 'all=%s' >> \"$GITHUB_OUTPUT\"\n"
                     "  call:\n    needs: list\n    strategy: {matrix: {include: '${{ fromJSON(needs.list.outputs.all) }}'}}\n"
                     "    uses: ./.github/workflows/inner.yml\n    with: {who: '${{ matrix.who }}', n: '${{ matrix.n }}'}\n"
                     "  deep:\n    needs: list\n    strategy: {matrix: {include: '${{ fromJSON(needs.list.outputs.all) }}'}}\n"
                     "    uses: ./.github/workflows/mid.yml\n    with: {who: 'deep-${{ matrix.who }}'}\n"
                     "  after:\n    needs: [call, deep]\n    if: always()\n    runs-on: ubuntu-latest\n    steps:\n"
                     "      - run: echo '${{ needs.call.result }} ${{ needs.deep.result }} ${{ needs.call.outputs.o }}, ${{ needs.deep.outputs.o }}' > MARKS/seen\n",
                     list);
    r = run_workflow(f, text, 4, NULL);
    free(text);
    return r;
}

static void assert_seen(struct fixture *f, const char *wanted)
{
    char *path = path_join(f->marks, "seen");
    struct error err = {0};
    struct buf text = BUF_INIT;

    assert_int_equal(file_read(path, &text, 4096, &err), 0);
    assert_string_equal(buf_cstr(&text), wanted);
    buf_free(&text);
    free(path);
}

static void calls_with_a_matrix_from_needs_run_for_each_leg(void **state)
{
    struct fixture *f = *state;
    struct ci_result r = run_calls(f, "[{\"who\": \"a\", \"n\": 1}, {\"who\": \"b\", \"n\": 2}]");

    /* list, after; call: 2 legs of 2 jobs; deep: 2 legs of one job and 2 legs of 2 jobs. */
    assert_int_equal(r.job_count, 2 + 4 + 2 * (1 + 4));
    for (size_t i = 0; i < r.job_count; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(r.jobs[i].id, r.jobs[k].id);
    assert_non_null(ci_result_job(&r, "ci.yml/after"));
    expect_green(r);
    assert_seen(f, "success success hello b, hello deep-b\n");
}

static void a_leg_of_such_a_call_that_fails_fails_the_call(void **state)
{
    struct fixture *f = *state;
    struct ci_result r = run_calls(f, "[{\"who\": \"a\", \"n\": 1}, {\"who\": \"b\", \"n\": 9}]");
    size_t skipped = 0;

    assert_int_equal(r.verdict, CI_RED);
    assert_int_equal(r.failed, 1);
    for (size_t i = 0; i < r.job_count; i++)
        skipped += r.jobs[i].state == CI_SKIPPED;
    assert_int_equal(skipped, 1); /* check, which needs the failed job, of that leg alone */
    ci_result_finish(&r);
    assert_seen(f, "failure success hello b, hello deep-b\n");
}

static void a_call_with_an_empty_matrix_is_skipped(void **state)
{
    struct fixture *f = *state;
    struct ci_result r = run_calls(f, "[]");

    assert_int_equal(r.job_count, 4);
    ci_result_finish(&r);
    assert_seen(f, "skipped skipped , \n");
}

int main(void)
{
#define WITH_FIXTURE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(a_matrix_from_needs_within_a_called_workflow_makes_its_legs),
        WITH_FIXTURE(calls_with_a_matrix_from_needs_run_for_each_leg),
        WITH_FIXTURE(a_leg_of_such_a_call_that_fails_fails_the_call),
        WITH_FIXTURE(a_call_with_an_empty_matrix_is_skipped),
        WITH_FIXTURE(max_parallel_holds_for_the_legs),
        WITH_FIXTURE(jobs_of_a_concurrency_group_run_one_after_the_other),
        WITH_FIXTURE(a_failed_leg_cancels_its_siblings),
        WITH_FIXTURE(legs_of_a_matrix_from_outputs_run_and_fail_fast),
        WITH_FIXTURE(a_time_limit_fails_the_job),
        WITH_FIXTURE(called_workflows_take_a_matrix_inputs_from_needs_and_give_outputs),
        WITH_FIXTURE(what_failed_the_last_time_goes_first_and_alone),
        WITH_FIXTURE(changed_folders_point_to_the_job_that_failed_over_them),
        WITH_FIXTURE(a_red_job_is_classified_by_running_it_again),
    };

    return cmocka_run_group_tests_name("ci/schedule", tests, NULL, NULL);
}
