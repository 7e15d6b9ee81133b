/* Actions of the repository: JavaScript ones with the host's node, and ones that a step makes. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "ci/ci.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(const char *dir, const char *name, const char *text)
{
    char *path = path_join(dir, name), *folder = path_dirname(path);
    struct error err = {0};

    assert_int_equal(file_make_directories(folder, 0755, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    free(folder);
    free(path);
}

struct place {
    char *dir, *logs;
    struct loop *loop;
};

static int set_up(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);
    struct error err = {0};

    p->dir = file_make_temporary_directory("cadre-actions", &err);
    p->logs = file_make_temporary_directory("cadre-actions-logs", &err);
    p->loop = loop_create();
    *state = p;
    return p->dir == NULL || p->logs == NULL;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    struct error err = {0};

    loop_destroy(p->loop);
    file_remove_tree(p->dir, &err);
    file_remove_tree(p->logs, &err);
    free(p->dir);
    free(p->logs);
    free(p);
    return 0;
}

static struct ci_result run(struct place *p, const char *steps)
{
    struct ci_options options = {.definition_dir = p->dir};
    struct ci_run_options run_options = {.loop = p->loop, .work_dir = p->dir, .log_dir = p->logs};
    struct ci_result result = {0};
    struct error err = {0};
    char *text = xasprintf("on: push\njobs:\n  j:\n    runs-on: ubuntu-latest\n    steps:\n%s", steps);
    struct ci_plan *plan;

    put(p->dir, ".github/workflows/ci.yml", text);
    free(text);
    plan = ci_plan_create(&options, &err);
    if (plan == NULL)
        print_message("# %s\n", err.text);
    assert_non_null(plan);
    assert_int_equal(ci_run(plan, &run_options, &result, &err), 0);
    if (result.jobs[0].excerpt != NULL)
        print_message("# %s\n", result.jobs[0].excerpt);
    ci_plan_destroy(plan);
    return result;
}

static char *log_of(const struct ci_result *result)
{
    struct buf b = BUF_INIT;
    struct error err = {0};

    assert_int_equal(file_read(result->jobs[0].log_file, &b, 1 << 20, &err), 0);
    return buf_take(&b);
}

static const char action[] = "name: js\ninputs:\n  who-to-greet: {default: nobody}\n  two words: {default: x "
                             "y}\noutputs: {said: {description: d}}\n"
                             "runs: {using: node20, main: dist/main.js, post: dist/post.js}\n";
static const char main_js[] =
    "const fs = require('fs');\n"
    "const put = (file, text) => fs.appendFileSync(process.env[file], text + '\\n');\n"
    "put('GITHUB_OUTPUT', 'said=hello ' + process.env['INPUT_WHO-TO-GREET'] + ' ' + "
    "process.env['INPUT_TWO_WORDS']);\n"
    "put('GITHUB_ENV', 'EXPORTED=1');\n"
    "put('GITHUB_STATE', 'who=' + process.env['INPUT_WHO-TO-GREET']);\n"
    "console.log('main in ' + process.env.GITHUB_ACTION_PATH.endsWith('/act/js'));\n";
static const char post_js[] =
    "console.log('post of ' + process.env.STATE_who + ' ' + process.env['INPUT_WHO-TO-GREET']);\n";

static void javascript_actions_run_main_and_then_post_in_reverse(void **state)
{
    struct place *p = *state;
    struct ci_result r;
    char *log, *first, *second;

    if (system("command -v node >/dev/null 2>&1") != 0) {
        print_message("# node is not installed\n");
        skip();
    }
    put(p->dir, "act/js/action.yml", action);
    put(p->dir, "act/js/dist/main.js", main_js);
    put(p->dir, "act/js/dist/post.js", post_js);
    r = run(p,
            "      - uses: ./act/js\n        id: one\n        with: {who-to-greet: one}\n"
            "      - uses: ./act/js\n        id: two\n        with: {who-to-greet: two}\n"
            "      - run: test '${{ steps.one.outputs.said }}' = 'hello one x y' && test \"$EXPORTED\" = 1\n"
            "      - run: echo last step\n");
    assert_int_equal(r.verdict, CI_GREEN);
    log = log_of(&r);
    assert_non_null(strstr(log, "main in true"));
    second = strstr(log, "post of two two");
    first = strstr(log, "post of one one");
    assert_non_null(first);
    assert_non_null(second);
    assert_true(strstr(log, "last step") < second && second < first);
    free(log);
    ci_result_finish(&r);
}

static void post_steps_run_after_a_failure_as_post_if_says(void **state)
{
    struct place *p = *state;
    struct ci_result r;
    char *log;

    if (system("command -v node >/dev/null 2>&1") != 0) {
        print_message("# node is not installed\n");
        skip();
    }
    put(p->dir, "always/action.yml", "runs: {using: node20, main: m.js, post: p.js}\n");
    put(p->dir, "always/m.js", "");
    put(p->dir, "always/p.js", "console.log('always post')");
    put(p->dir, "green/action.yml", "runs: {using: node20, main: m.js, post: p.js, post-if: success()}\n");
    put(p->dir, "green/m.js", "");
    put(p->dir, "green/p.js", "console.log('green post')");
    r = run(p, "      - uses: ./always\n      - uses: ./green\n      - run: exit 7\n");
    assert_int_equal(r.verdict, CI_RED);
    assert_int_equal(r.jobs[0].exit_code, 7);
    log = log_of(&r);
    assert_non_null(strstr(log, "always post"));
    assert_null(strstr(log, "green post"));
    free(log);
    ci_result_finish(&r);
}

static void an_action_that_a_step_made_is_found(void **state)
{
    struct ci_result r =
        run(*state, "      - run: |\n          mkdir made && printf 'runs:\\n  using: composite\\n  steps: "
                    "[{run: touch done, shell: sh}]\\n' > made/action.yml\n"
                    "      - uses: ./made\n      - run: test -e done\n");

    assert_int_equal(r.verdict, CI_GREEN);
    ci_result_finish(&r);
    r = run(*state, "      - uses: ./nowhere\n      - run: 'true'\n");
    assert_int_equal(r.jobs[0].steps_skipped, 1);
    assert_string_equal(r.jobs[0].skipped_steps.items[0], "./nowhere: no action.yml in './nowhere'");
    ci_result_finish(&r);
}

int main(void)
{
#define WITH_PLACE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_PLACE(javascript_actions_run_main_and_then_post_in_reverse),
        WITH_PLACE(post_steps_run_after_a_failure_as_post_if_says),
        WITH_PLACE(an_action_that_a_step_made_is_found),
    };

    return cmocka_run_group_tests_name("ci/local_actions", tests, NULL, NULL);
}
