/* The local stores that stand for actions/cache and the artifact actions, and the user's own mappings. */
#include "test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "ci/action_steps.h"
#include "ci/ci.h"
#include "config/run_settings.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    char *dir, *logs, *cache;
    struct loop *loop;
    const struct action_setting *actions;
    size_t action_count;
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

static struct ci_result run_steps(struct fixture *f, const char *jobs, const char *tree_id)
{
    char *path = path_join(f->dir, ".github/workflows/ci.yml"), *folder = path_dirname(path);
    char *text = xasprintf("on: push\njobs:\n%s", jobs);
    struct ci_options options = {.definition_dir = f->dir, .actions = f->actions, .action_count = f->action_count};
    struct ci_run_options run = {.loop = f->loop, .work_dir = f->dir, .log_dir = f->logs, .cache_dir = f->cache, .tree_id = tree_id};
    struct ci_result result;
    struct error err = {0};
    struct ci_plan *plan;

    assert_int_equal(file_make_directories(folder, 0755, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    plan = ci_plan_create(&options, &err);
    if (plan == NULL)
        print_message("# %s\n", err.text);
    assert_non_null(plan);
    assert_int_equal(ci_run(plan, &run, &result, &err), 0);
    ci_plan_destroy(plan);
    free(text);
    free(folder);
    free(path);
    return result;
}

static void expect(struct fixture *f, const char *jobs, enum ci_verdict verdict)
{
    struct ci_result r = run_steps(f, jobs, NULL);

    for (size_t i = 0; i < r.job_count && r.verdict != verdict; i++)
        print_message("# %s %s %s %s\n", r.jobs[i].id, ci_state_name(r.jobs[i].state), r.jobs[i].reason != NULL ? r.jobs[i].reason : "",
                      r.jobs[i].excerpt != NULL ? r.jobs[i].excerpt : "");
    assert_string_equal(ci_verdict_name(r.verdict), ci_verdict_name(verdict));
    ci_result_finish(&r);
}

#define JOB "  a:\n    runs-on: ubuntu-latest\n    steps:\n"
#define CACHE(key, more)                                                                                     \
    "      - uses: actions/cache@v4\n        id: c\n        with:\n          path: |\n            deps\n            !deps/skip\n"        \
    "          key: " key "\n" more

static void a_cache_is_restored_by_its_key(void **state)
{
    expect(*state, JOB CACHE("k-1", "") "      - run: test '${{ steps.c.outputs.cache-hit }}' = ''\n"
                   "      - run: mkdir -p deps/skip; echo one > deps/x; echo no > deps/skip/y\n", CI_GREEN);
    expect(*state, JOB CACHE("k-1", "") "      - run: test '${{ steps.c.outputs.cache-hit }}' = true && test $(cat deps/x) = one && test ! -e deps/skip\n",
           CI_GREEN);
}

static void restore_keys_find_the_newest_entry_that_begins_so(void **state)
{
    expect(*state, JOB CACHE("k-1", "") "      - run: mkdir deps; echo one > deps/x\n", CI_GREEN);
    expect(*state, JOB CACHE("k-2", "") "      - run: mkdir deps; echo two > deps/x\n", CI_GREEN);
    expect(*state, JOB CACHE("n-9", "          restore-keys: |\n            none-\n            k-\n")
                   "      - run: test '${{ steps.c.outputs.cache-hit }} ${{ steps.c.outputs.cache-matched-key }}' = 'false k-2' && test $(cat deps/x) = two\n",
           CI_GREEN);
    /* and was saved under its own key */
    expect(*state, JOB CACHE("n-9", "") "      - run: test '${{ steps.c.outputs.cache-hit }}' = true\n", CI_GREEN);
}

static void a_failed_job_saves_no_cache(void **state)
{
    expect(*state, JOB CACHE("k-1", "") "      - run: mkdir deps; echo bad > deps/x; exit 1\n", CI_RED);
    expect(*state, JOB CACHE("k-1", "          fail-on-cache-miss: true\n") "      - run: 'true'\n", CI_RED);
    expect(*state, JOB CACHE("k-1", "") "      - run: test '${{ steps.c.outputs.cache-hit }}' = '' && test ! -e deps\n", CI_GREEN);
}

static void other_paths_are_another_cache(void **state)
{
    expect(*state, JOB CACHE("k-1", "") "      - run: mkdir deps; echo one > deps/x\n", CI_GREEN);
    expect(*state, JOB "      - uses: actions/cache/restore@v4\n        id: c\n        with: {path: other, key: k-1}\n"
                   "      - run: test '${{ steps.c.outputs.cache-hit }}' = ''\n", CI_GREEN);
}

static void the_store_is_bounded_and_holds_each_content_once(void **state)
{
    struct fixture *f = *state;
    char *dir = path_join(f->cache, "actions"), *blobs = path_join(dir, "blobs");
    struct str_list names = {0};
    struct error err = {0};

    expect(f, JOB CACHE("k-1", "") "      - run: mkdir deps; echo same > deps/x; touch -d @1 deps/x deps\n", CI_GREEN);
    expect(f, JOB CACHE("other", "") "      - run: mkdir deps; echo same > deps/x; touch -d @1 deps/x deps\n", CI_GREEN);
    assert_int_equal(file_list_directory(blobs, &names, &err), 0);
    assert_int_equal(names.len, 1);
    str_list_finish(&names);
    action_cache_trim(dir, 10);
    assert_int_equal(file_list_directory(blobs, &names, &err), 0);
    assert_int_equal(names.len, 0);
    str_list_finish(&names);
    free(blobs);
    free(dir);
}

#define UP(name, path, more) "      - uses: actions/upload-artifact@v4\n        with:\n          name: " name "\n          path: |\n            " path "\n" more
#define AFTER "  b:\n    needs: a\n    runs-on: ubuntu-latest\n    steps:\n"
#define DOWN(with) "      - uses: actions/download-artifact@v4\n        with: {" with "}\n"

static void artifacts_travel_between_jobs(void **state)
{
    expect(*state,
           JOB "      - run: mkdir -p out/sub .hid; echo 1 > out/sub/f.txt; echo 2 > out/g.log; echo 3 > out/.h; echo 4 > single\n"
           UP("all", "out", "") UP("txt", "out/**/*.txt\n            single", "") UP("part", "out\n            !out/sub/**", "") UP("one", "single", "")
           AFTER DOWN("name: all, path: x") DOWN("name: one") DOWN("pattern: 't*', path: m, merge-multiple: true") DOWN("path: every")
           "      - run: test $(cat x/sub/f.txt) = 1 && test $(cat x/g.log) = 2 && test ! -e x/.h\n"
           "      - run: test $(cat single) = 4 && test $(cat m/out/sub/f.txt) = 1 && test $(cat m/single) = 4\n"
           "      - run: test -e every/part/g.log && test ! -e every/part/sub && test -e every/all/g.log\n",
           CI_GREEN);
}

static void artifact_errors_are_those_of_the_action(void **state)
{
    expect(*state, JOB "      - run: 'true'\n" UP("x", "none", ""), CI_GREEN);
    expect(*state, JOB "      - run: 'true'\n" UP("x", "none", "          if-no-files-found: error\n"), CI_RED);
    expect(*state, JOB "      - run: echo 1 > f\n" UP("x", "f", "") UP("x", "f", ""), CI_RED);
    expect(*state, JOB "      - run: echo 1 > f\n" UP("x", "f", "") "      - run: echo 2 > f\n" UP("x", "f", "          overwrite: true\n")
                   "      - run: rm f\n" DOWN("name: x") "      - run: test $(cat f) = 2\n", CI_GREEN);
    expect(*state, JOB "      - run: 'true'\n" DOWN("name: missing"), CI_RED);
}

static void artifacts_of_an_unchanged_job_are_still_there(void **state)
{
    struct fixture *f = *state;
    const char *jobs = JOB "      - run: echo 1 > f; date +%N > n\n" UP("x", "f", "") AFTER DOWN("name: x")
                       "      - run: test $(cat f) = 1 && test -e \"$FLAG\"\n        env: {FLAG: '/nonexistent'}\n";
    struct ci_result r = run_steps(f, jobs, "tree-1");

    assert_int_equal(r.verdict, CI_RED);
    ci_result_finish(&r);
    r = run_steps(f, JOB "      - run: echo 1 > f; date +%N > n\n" UP("x", "f", "") AFTER DOWN("name: x") "      - run: test $(cat f) = 1\n", "tree-1");
    assert_true(r.jobs[0].from_cache);
    assert_false(r.jobs[1].from_cache);
    assert_int_equal(r.verdict, CI_GREEN);
    ci_result_finish(&r);
}

static void the_users_mappings_go_first(void **state)
{
    struct fixture *f = *state;
    struct action_setting actions[] = {
        {.action = (char *)"some/tool", .run = (char *)"test \"$INPUT_LEVEL\" = 3"},
        {.action = (char *)"some/setup", .uses = (char *)"actions/checkout"},
        {.action = (char *)"actions/cache", .skip = (char *)"no caches here"},
        {.action = (char *)"some/notice", .satisfied = (char *)"only talks to people"},
    };
    struct ci_result r;

    f->actions = actions;
    f->action_count = 4;
    r = run_steps(f, JOB "      - uses: some/tool@v1\n        with: {level: 3}\n      - uses: some/setup@main\n      - uses: some/notice@v2\n"
                     "      - uses: actions/cache@v4\n        with: {path: x, key: y}\n", NULL);
    assert_int_equal(r.verdict, CI_GREEN);
    assert_int_equal(r.share.run, 1);
    assert_int_equal(r.share.satisfied, 2);
    assert_int_equal(r.share.skipped, 1);
    assert_non_null(strstr(r.jobs[0].skipped_steps.items[0], "no caches here"));
    ci_result_finish(&r);
}

static void version_files_say_what_a_setup_wants(void **state)
{
    expect(*state, JOB "      - run: 'true'\n      - uses: actions/setup-python@v5\n        with: {python-version-file: .python-version}\n", CI_GREEN);
    expect(*state, JOB "      - run: echo 2.1 > .python-version\n      - uses: actions/setup-python@v5\n        with: {python-version-file: .python-version}\n",
           CI_ENVIRONMENT_ONLY);
    expect(*state, JOB "      - run: echo python 3 > .tool-versions\n      - uses: actions/setup-python@v5\n        with: {python-version-file: .tool-versions}\n",
           CI_GREEN);
    expect(*state, JOB "      - run: 'true'\n      - uses: actions/setup-python@v5\n        with: {python-version: '2.1 || 3.x'}\n", CI_GREEN);
}

static void secrets_never_show_in_the_output(void **state)
{
    struct fixture *f = *state;
    struct str_list secrets = {0};
    struct ci_options options = {.definition_dir = f->dir, .secrets = &secrets};
    struct ci_run_options run = {.loop = f->loop, .work_dir = f->dir, .log_dir = f->logs};
    char *path = path_join(f->dir, ".github/workflows/ci.yml"), *folder = path_dirname(path);
    const char *text = "on: push\njobs:\n" JOB "      - run: echo \"it is $S\"; exit 1\n        env: {S: '${{ secrets.KEY }}'}\n";
    struct ci_result r;
    struct error err = {0};
    struct ci_plan *plan;

    str_list_add(&secrets, "KEY=hunter2secret");
    assert_int_equal(file_make_directories(folder, 0755, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    plan = ci_plan_create(&options, &err);
    assert_int_equal(ci_run(plan, &run, &r, &err), 0);
    assert_null(strstr(r.jobs[0].excerpt, "hunter2secret"));
    assert_non_null(strstr(r.jobs[0].excerpt, "it is ***"));
    ci_result_finish(&r);
    ci_plan_destroy(plan);
    str_list_finish(&secrets);
    free(folder);
    free(path);
}

int main(void)
{
#define WITH_FIXTURE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(a_cache_is_restored_by_its_key),
        WITH_FIXTURE(restore_keys_find_the_newest_entry_that_begins_so),
        WITH_FIXTURE(a_failed_job_saves_no_cache),
        WITH_FIXTURE(other_paths_are_another_cache),
        WITH_FIXTURE(the_store_is_bounded_and_holds_each_content_once),
        WITH_FIXTURE(artifacts_travel_between_jobs),
        WITH_FIXTURE(artifact_errors_are_those_of_the_action),
        WITH_FIXTURE(artifacts_of_an_unchanged_job_are_still_there),
        WITH_FIXTURE(the_users_mappings_go_first),
        WITH_FIXTURE(version_files_say_what_a_setup_wants),
        WITH_FIXTURE(secrets_never_show_in_the_output),
    };

    return cmocka_run_group_tests_name("ci/stores", tests, NULL, NULL);
}
