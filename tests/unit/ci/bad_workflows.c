/* Workflows that GitHub refuses: each gives the one right error, at its place (tests/data/bad_workflows). */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "ci/ci.h"
#include "ci/workflow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *data_folder(void)
{
    const char *source = getenv("CADRE_SOURCE");

    return path_join(source != NULL ? source : ".", "tests/data/bad_workflows");
}

static const char *expected_for(const struct str_list *lines, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < lines->len; i++) {
        if (strncmp(lines->items[i], name, n) == 0 && lines->items[i][n] == ':')
            return lines->items[i];
    }
    return NULL;
}

static void each_gives_the_one_right_error(void **state)
{
    char *folder = data_folder(), *list = path_join(folder, "EXPECTED");
    struct str_list names = {0}, lines = {0};
    struct buf text = BUF_INIT;
    struct error err = {0};
    size_t agreed = 0, count = 0;

    (void)state;
    assert_int_equal(file_read(list, &text, 1 << 20, &err), 0);
    str_split(&lines, buf_cstr(&text), '\n');
    assert_int_equal(file_list_directory(folder, &names, &err), 0);
    for (size_t i = 0; i < names.len; i++) {
        char *path = path_join(folder, names.items[i]);
        const char *expected = expected_for(&lines, names.items[i]);
        struct workflow *workflow;

        if (str_ends_with(path, ".yml")) {
            struct error found = {0};
            count++;
            buf_clear(&text);
            assert_int_equal(file_read(path, &text, 1 << 20, &err), 0);
            workflow = workflow_parse(buf_cstr(&text), text.len, names.items[i], &found);
            if (workflow == NULL && expected != NULL && strcmp(found.text, expected) == 0)
                agreed++;
            else
                print_message("# %s: %s\n", names.items[i], workflow != NULL ? "is read" : found.text);
            workflow_destroy(workflow);
        }
        free(path);
    }
    print_message("# %zu of %zu bad workflows give their error\n", agreed, count);
    assert_int_equal(agreed, count);
    assert_true(count >= 60);
    str_list_finish(&names);
    str_list_finish(&lines);
    buf_free(&text);
    free(list);
    free(folder);
}

/* What only shows when one workflow calls another, or when a matrix is expanded. */
static void plans_refuse_what_one_file_does_not_show(void **state)
{
    static const char called[] =
        "on:\n  workflow_call:\n    inputs:\n      wanted: {type: string, required: true}\n"
        "    secrets:\n      key: {required: true}\n"
        "jobs: {j: {runs-on: ubuntu-latest, steps: [{run: x}]}}\n";
    static const char *const cases[][2] = {
        {"on: push\njobs:\n  a:\n    uses: ./.github/workflows/nowhere.yml\n",
         ".github/workflows/ci.yml:4:11: error parsing called workflow \"./.github/workflows/nowhere.yml\": "
         "workflow was not found."},
        {"on: push\njobs:\n  l: {runs-on: ubuntu-latest, steps: [{run: x}]}\n  a:\n    needs: l\n    strategy: {matrix: '${{ fromJSON(needs.l.outputs.m) }}'}\n"
         "    uses: ./.github/workflows/nowhere.yml\n",
         ".github/workflows/ci.yml:7:11: error parsing called workflow \"./.github/workflows/nowhere.yml\": "
         "workflow was not found."},
        {"on: push\njobs:\n  a:\n    uses: ./.github/workflows/called.yml\n    secrets: inherit\n",
         ".github/workflows/ci.yml:4:11: Input wanted is required, but not provided while calling."},
        {"on: push\njobs:\n  a:\n    uses: ./.github/workflows/called.yml\n    with: {wanted: x, other: y}\n "
         "   secrets: inherit\n",
         ".github/workflows/ci.yml:5:23: Invalid input, other is not defined in the referenced workflow."},
        {"on: push\njobs:\n  a:\n    uses: ./.github/workflows/called.yml\n    with: {wanted: x}\n    "
         "secrets: {key: a, more: b}\n",
         ".github/workflows/ci.yml:6:23: Invalid secret, more is not defined in the referenced workflow."},
        {"on: push\njobs:\n  a:\n    uses: ./.github/workflows/called.yml\n    with: {wanted: x}\n",
         ".github/workflows/ci.yml:4:11: Secret key is required, but not provided while calling."},
        {"on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix:\n"
         "        a: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]\n        b: "
         "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]\n"
         "    steps: [{run: x}]\n",
         ".github/workflows/ci.yml:6:7: Strategy expansion exceeded 256 results for job 'a'"},
        {"on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix: ${{ "
         "fromJSON('[1]') }}\n"
         "    steps: [{run: x}]\n",
         ".github/workflows/ci.yml:6:7: The matrix is not a mapping"},
    };
    struct error err = {0};
    char *dir = file_make_temporary_directory("cadre-bad", &err);
    char *workflows = path_join(dir, ".github/workflows"), *file = path_join(workflows, "ci.yml");
    char *other = path_join(workflows, "called.yml");

    (void)state;
    assert_int_equal(file_make_directories(workflows, 0755, &err), 0);
    assert_int_equal(file_write(other, called, strlen(called), 0644, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ci_options options = {.definition_dir = dir};
        struct error found = {0};
        struct ci_plan *plan;

        assert_int_equal(file_write(file, cases[i][0], strlen(cases[i][0]), 0644, &err), 0);
        plan = ci_plan_create(&options, &found);
        assert_null(plan);
        assert_string_equal(found.text, cases[i][1]);
    }
    file_remove_tree(dir, &err);
    free(other);
    free(file);
    free(workflows);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gives_the_one_right_error),
        cmocka_unit_test(plans_refuse_what_one_file_does_not_show),
    };

    return cmocka_run_group_tests_name("ci/bad_workflows", tests, NULL, NULL);
}
