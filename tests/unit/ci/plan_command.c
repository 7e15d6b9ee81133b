/* The plan for people: what is filled in, what stays, which steps install and which have the network. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "ci/ci.h"
#include "ci/plan_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *dir;

static int set_up(void **state)
{
    struct error err = {0};

    (void)state;
    dir = file_make_temporary_directory("cadre-command", &err);
    return dir == NULL;
}

static int tear_down(void **state)
{
    struct error err = {0};

    (void)state;
    file_remove_tree(dir, &err);
    free(dir);
    return 0;
}

static struct ci_plan *plan_of(const char *name, const char *text)
{
    char *path = path_join(dir, name), *folder = path_dirname(path);
    struct ci_options options = {.definition_dir = dir, .branch = "main"};
    struct error err = {0};
    struct ci_plan *plan;

    assert_int_equal(file_make_directories(folder, 0755, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    plan = ci_plan_create(&options, &err);
    if (plan == NULL)
        print_message("# %s\n", err.text);
    assert_non_null(plan);
    free(folder);
    free(path);
    return plan;
}

static void expect_exports(const struct ci_plan *plan, size_t job, const char *expected)
{
    struct ci_commands *commands = ci_commands_create(plan);
    struct buf b = BUF_INIT;

    ci_commands_exports(commands, job, &b);
    assert_string_equal(buf_cstr(&b), expected);
    ci_commands_destroy(commands);
    buf_free(&b);
}

static void expect_script(const struct ci_plan *plan, size_t job, size_t step, const char *expected)
{
    struct ci_commands *commands = ci_commands_create(plan);
    struct buf b = BUF_INIT;

    ci_commands_script(commands, job, step, &b);
    assert_string_equal(buf_cstr(&b), expected);
    ci_commands_destroy(commands);
    buf_free(&b);
}

static void what_is_known_is_filled_in(void **state)
{
    struct ci_plan *plan = plan_of(
        ".github/workflows/ci.yml",
        "on: push\nenv: {TOP: a b, REF: '${{ github.ref_name }}'}\njobs:\n  j:\n    runs-on: ubuntu-latest\n"
        "    strategy: {matrix: {n: [7]}}\n    env: {N: '${{ matrix.n }}', KEY: '${{ secrets.KEY }}'}\n    "
        "steps:\n"
        "      - {run: 'make N=${{ matrix.n }} TOP=\"${{ env.TOP }}\"'}\n"
        "      - {run: 'echo ${{ steps.a.outputs.b }} ${{ hashFiles(''x'') }} $GITHUB_SHA', id: a}\n"
        "      - {run: make, working-directory: 'sub dir', env: {Q: \"it's ${{ matrix.n }}\"}}\n"
        "      - {run: print(1), shell: python}\n"
        "      - {uses: actions/checkout@v4}\n");

    (void)state;
    expect_exports(
        plan, 0,
        "export GITHUB_SHA=0000000000000000000000000000000000000000\nexport TOP='a b'\nexport REF=main\n"
        "export N=7\nexport KEY=''\n");
    expect_script(plan, 0, 0, "make N=7 TOP=\"a b\"\n");
    expect_script(plan, 0, 1, "echo ${{ steps.a.outputs.b }} ${{ hashFiles('x') }} $GITHUB_SHA\n");
    expect_script(plan, 0, 2, "(\ncd 'sub dir'\nexport Q='it'\\''s 7'\nmake\n)\n");
    expect_script(plan, 0, 3, "python3 /dev/stdin <<'END_OF_STEP'\nprint(1)\nEND_OF_STEP\n");
    expect_script(plan, 0, 4, "");
    ci_plan_destroy(plan);
}

/* One writer for all jobs: what it keeps is neither a step's own nor another leg's. */
static void what_is_kept_is_what_the_job_has_in_common(void **state)
{
    struct ci_plan *plan =
        plan_of(".github/workflows/ci.yml",
                "on: push\nenv: {WHO: all}\njobs:\n  j:\n    runs-on: ubuntu-latest\n"
                "    strategy: {matrix: {n: [1, 2]}}\n    env: {N: '${{ matrix.n }}'}\n    steps:\n"
                "      - {run: 'a ${{ env.WHO }} ${{ matrix.n }} $GITHUB_JOB', env: {WHO: step}}\n"
                "      - {run: 'b ${{ env.WHO }} ${{ env.N }}'}\n"
                "  k:\n    runs-on: ubuntu-latest\n    steps: [{run: 'c ${{ env.WHO }} ${{ env.N }}.'}]\n");
    struct ci_commands *commands = ci_commands_create(plan);
    struct buf b = BUF_INIT;

    (void)state;
    for (int round = 0; round < 2; round++) { /* also when it goes back to an earlier job */
        for (size_t job = 0; job < 3; job++) {
            ci_commands_exports(commands, job, &b);
            for (size_t step = 0; step < ci_plan_job(plan, job)->step_count; step++)
                ci_commands_script(commands, job, step, &b);
        }
        assert_string_equal(buf_cstr(&b), "export GITHUB_JOB=j\nexport WHO=all\nexport N=1\n"
                                          "(\nexport WHO=step\na step 1 $GITHUB_JOB\n)\nb all 1\n"
                                          "export GITHUB_JOB=j\nexport WHO=all\nexport N=2\n"
                                          "(\nexport WHO=step\na step 2 $GITHUB_JOB\n)\nb all 2\n"
                                          "export WHO=all\nc all .\n");
        buf_clear(&b);
    }
    buf_free(&b);
    ci_commands_destroy(commands);
    ci_plan_destroy(plan);
}

static void gitlab_exports_its_own_and_what_is_read(void **state)
{
    struct ci_plan *plan =
        plan_of(".gitlab-ci.yml",
                "a:\n  variables: {A: '$CI_COMMIT_BRANCH-x'}\n  script: [echo $CI_COMMIT_BRANCH $A]\n");

    (void)state;
    expect_exports(plan, 0, "export CI_COMMIT_BRANCH=main\nexport A=main-x\n");
    expect_script(plan, 0, 0, "echo $CI_COMMIT_BRANCH $A\n");
    ci_plan_destroy(plan);
}

static void steps_that_reach_others_are_known(void **state)
{
    static const struct {
        const char *script;
        bool installs, is_system, reaches_others;
    } cases[] = {
        {"npm ci", true, false, false},
        {"cd web && npm ci && npm test", true, false, false},
        {"sudo apt-get update", true, true, false},
        {"if true; then pip install x; fi", true, false, false},
        {"python3 -m pip install .", true, false, false},
        {"make check", false, false, false},
        {"npm test", false, false, false},
        {"echo npm ci", false, false, false},
        {"x=$(curl -s http://localhost)", false, false, true},
        {"make && git fetch origin", false, false, true},
        {"docker run x", false, false, true},
        {"docker ps", false, false, false},
        {"./curl --version", false, false, false},
        {"git commit -m 'curl it'", false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool is_system = false;
        if (plan_is_dependency_step(cases[i].script, &is_system) != cases[i].installs ||
            plan_needs_network(cases[i].script) != cases[i].reaches_others)
            print_message("# %s\n", cases[i].script);
        assert_int_equal(plan_is_dependency_step(cases[i].script, &is_system), cases[i].installs);
        assert_int_equal(is_system, cases[i].is_system);
        assert_int_equal(plan_needs_network(cases[i].script), cases[i].reaches_others);
    }
}

static void the_fixed_variables_are_set_once_each(void **state)
{
    const struct ci_variable *v = ci_fixed_environment();

    (void)state;
    for (size_t i = 0; v[i].name != NULL; i++) {
        assert_true(*v[i].value != '\0');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(v[i].name, v[k].name);
    }
}

static void a_job_of_one_command_is_known(void **state)
{
    static const char head[] = "on: push\njobs:\n";
    static const struct {
        const char *job, *command;
    } cases[] = {
        {"steps: [{uses: actions/checkout@v4}, {run: make check}]", "make check"},
        {"steps: [{uses: actions/checkout@v4}, {name: T, run: make check}]", "make check"},
        {"steps: [{run: make check}]", NULL}, /* in an empty folder */
        {"steps: [{uses: actions/checkout@v4}, {run: make}, {run: make check}]", NULL},
        {"steps: [{uses: actions/checkout@v4, with: {path: x}}, {run: make check}]", NULL},
        {"steps: [{uses: actions/checkout@v4}, {uses: actions/setup-node@v4}, {run: make check}]", NULL},
        {"steps: [{uses: actions/checkout@v4}, {run: make check, env: {A: b}}]", NULL},
        {"steps: [{uses: actions/checkout@v4}, {run: make check, shell: sh}]", NULL},
        {"steps: [{uses: actions/checkout@v4}, {run: make check, working-directory: x}]", NULL},
        {"steps: [{uses: actions/checkout@v4}, {run: make check, if: always()}]", NULL},
        {"steps: [{uses: actions/checkout@v4}, {run: make check, continue-on-error: true}]", NULL},
        {"continue-on-error: true\n    steps: [{uses: actions/checkout@v4}, {run: make check}]", NULL},
        {"env: {A: b}\n    steps: [{uses: actions/checkout@v4}, {run: make check}]", NULL},
        {"defaults: {run: {shell: sh}}\n    steps: [{uses: actions/checkout@v4}, {run: make check}]", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = xasprintf("%s  a:\n    runs-on: ubuntu-latest\n    %s\n", head, cases[i].job);
        struct ci_plan *plan = plan_of(".github/workflows/ci.yml", text);
        const char *command = ci_plan_only_command(plan, "ci.yml/a");

        if (!str_eq(command, cases[i].command))
            fail_msg("%s: %s", cases[i].job, command == NULL ? "no command" : command);
        assert_null(ci_plan_only_command(plan, "ci.yml/b"));
        ci_plan_destroy(plan);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_known_is_filled_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_kept_is_what_the_job_has_in_common, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gitlab_exports_its_own_and_what_is_read, set_up, tear_down),
        cmocka_unit_test(steps_that_reach_others_are_known),
        cmocka_unit_test(the_fixed_variables_are_set_once_each),
        cmocka_unit_test_setup_teardown(a_job_of_one_command_is_known, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("ci/plan_command", tests, NULL, NULL);
}
