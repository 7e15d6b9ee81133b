/* Workflows that are kept as they were read: the same tree, only for the same text, and nothing from a damaged file. */
#include "test.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "ci/ci.h"
#include "ci/report.h"
#include "ci/tree_codec.h"
#include "ci/tree_store.h"
#include "ci/workflow.h"
#include "ci/yaml_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utime.h>

static char *dir, *cache;

static int set_up(void **state)
{
    struct error err = {0};

    (void)state;
    dir = file_make_temporary_directory("cadre-trees", &err);
    cache = path_join(dir, "cache");
    return dir == NULL;
}

static int tear_down(void **state)
{
    struct error err = {0};

    (void)state;
    file_remove_tree(dir, &err);
    free(dir);
    free(cache);
    return 0;
}

static void expect_same(const struct yaml_node *a, const struct yaml_node *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->is_plain, b->is_plain);
    assert_int_equal(a->line, b->line);
    assert_int_equal(a->column, b->column);
    assert_int_equal(a->len, b->len);
    assert_string_equal(a->file, b->file);
    assert_int_equal(a->tag != NULL, b->tag != NULL);
    if (a->tag != NULL)
        assert_string_equal(a->tag, b->tag);
    if (a->kind == YAML_SCALAR)
        assert_string_equal(a->text, b->text);
    for (size_t i = 0; i < a->len; i++)
        expect_same(a->items[i], b->items[i]);
}

static const char sample[] =
    "on: push\nname: \"q ä\"\nlist: [1, '1', {a: }, []]\nblock: |\n  x\n  y\nmap: &m {k: v}\n"
    "again: *m\ntagged: !reference [a, b]\nempty: {}\n";

static void what_comes_back_is_what_was_read(void **state)
{
    struct arena arena = {0};
    struct buf b = BUF_INIT;
    struct error err = {0};
    struct yaml_node *root;

    (void)state;
    assert_int_equal(yaml_tree_read(&arena, sample, strlen(sample), "w.yml", false, &root, &err), 0);
    tree_encode(&b, root);
    expect_same(root, tree_decode(&arena, b.data, b.len, "w.yml"));
    for (size_t n = 0; n < b.len; n++)
        assert_null(tree_decode(&arena, b.data, n, "w.yml")); /* cut short */
    buf_putc(&b, '\0');
    assert_null(tree_decode(&arena, b.data, b.len, "w.yml")); /* more than a tree */
    buf_free(&b);
    arena_finish(&arena);
}

/* A workflow that is long enough to be kept. */
static char *long_workflow(const char *word)
{
    struct buf b = BUF_INIT;

    buf_puts(&b, "on: push\njobs:\n");
    for (int i = 0; i < 200; i++)
        buf_printf(&b,
                   "  job%d:\n    runs-on: ubuntu-latest\n    steps: [{run: 'echo %s ${{ github.ref }} is a "
                   "text'}]\n",
                   i, word);
    return buf_take(&b);
}

static bool is_kept(const char *root, const char *file, const char *text)
{
    struct tree_store *store = tree_store_open(cache, root);
    struct arena arena = {0};
    bool found = tree_store_find(store, &arena, file, text, strlen(text)) != NULL;

    arena_finish(&arena);
    tree_store_close(store);
    return found;
}

static void keep(const char *root, const char *file, const char *text)
{
    struct tree_store *store = tree_store_open(cache, root);
    struct error err = {0};
    struct workflow *w = workflow_read(text, strlen(text), file, store, &err);

    assert_non_null(w);
    workflow_destroy(w);
    tree_store_save(store);
    tree_store_close(store);
}

static void a_tree_is_for_its_very_text_file_and_repository(void **state)
{
    char *one = long_workflow("one"), *two = long_workflow("two");

    (void)state;
    assert_false(is_kept("/r", "w.yml", one));
    keep("/r", "w.yml", one);
    assert_true(is_kept("/r", "w.yml", one));
    assert_false(is_kept("/r", "w.yml", two));
    assert_false(is_kept("/r", "v.yml", one));
    assert_false(is_kept("/s", "w.yml", one));
    keep("/r", "v.yml", two);
    assert_true(is_kept("/r", "w.yml", one) && is_kept("/r", "v.yml", two));
    keep("/r", "w.yml", two);
    assert_true(is_kept("/r", "w.yml", two) && !is_kept("/r", "w.yml", one));
    keep("/t", "w.yml", "on: push\njobs: {a: {runs-on: x, steps: [{run: y}]}}\n");
    assert_false(
        is_kept("/t", "w.yml",
                "on: push\njobs: {a: {runs-on: x, steps: [{run: y}]}}\n")); /* too short to be worth it */
    free(one);
    free(two);
}

static char *only_file(void)
{
    char *folder = path_join(cache, TREE_STORE_FOLDER), *path;
    struct str_list names = {0};
    struct error err = {0};

    assert_int_equal(file_list_directory(folder, &names, &err), 0);
    assert_int_equal(names.len, 1); /* no half-written one is left */
    path = path_join(folder, names.items[0]);
    str_list_finish(&names);
    free(folder);
    return path;
}

static void a_damaged_file_or_one_of_another_program_is_not_used(void **state)
{
    static const size_t at[] = {0, 8, 16, 24, 40, 1000, 20000};
    char *text = long_workflow("x"), *path;
    struct buf bytes = BUF_INIT;
    struct error err = {0};

    (void)state;
    keep("/r", "w.yml", text);
    path = only_file();
    assert_int_equal(file_read(path, &bytes, 1 << 24, &err), 0);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        bytes.data[at[i]] ^= 1;
        assert_int_equal(file_write(path, bytes.data, bytes.len, 0600, &err), 0);
        assert_false(is_kept("/r", "w.yml", text));
        bytes.data[at[i]] ^= 1;
    }
    assert_int_equal(file_write(path, bytes.data, bytes.len / 2, 0600, &err), 0);
    assert_false(is_kept("/r", "w.yml", text));
    keep("/r", "w.yml", text); /* and is made anew */
    assert_true(is_kept("/r", "w.yml", text));
    buf_free(&bytes);
    free(path);
    free(text);
}

static void what_was_not_used_for_long_goes(void **state)
{
    char *text = long_workflow("x"), *path;
    struct utimbuf old = {1000000000, 1000000000};

    (void)state;
    keep("/r", "w.yml", text);
    path = only_file();
    tree_store_trim(cache, 1000);
    assert_true(file_exists(path));
    assert_int_equal(utime(path, &old), 0);
    assert_true(is_kept("/r", "w.yml", text)); /* that was a use */
    tree_store_trim(cache, 1000);
    assert_true(file_exists(path));
    assert_int_equal(utime(path, &old), 0);
    tree_store_trim(cache, 1000);
    assert_false(file_exists(path));
    free(path);
    free(text);
}

static struct ci_plan *plan(bool has_cache, struct error *err)
{
    struct ci_options options = {.definition_dir = dir, .cache_dir = has_cache ? cache : NULL};

    error_clear(err);
    return ci_plan_create(&options, err);
}

/* The plan as JSON without the time it took. */
static char *plan_text(bool has_cache)
{
    struct error err = {0};
    struct ci_plan *p = plan(has_cache, &err);
    struct buf b = BUF_INIT;
    char *text, *at;

    assert_non_null(p);
    report_plan_json(&b, p);
    ci_plan_destroy(p);
    text = buf_take(&b);
    at = strstr(text, "\"planning_us\":");
    assert_non_null(at);
    for (at += strlen("\"planning_us\":"); *at >= '0' && *at <= '9'; at++)
        *at = '0';
    memmove(strstr(text, "\"planning_us\":"), at, strlen(at) + 1);
    return text;
}

static void write_workflow(const char *name, const char *text)
{
    char *folder = path_join(dir, ".github/workflows"), *path = path_join(folder, name);
    struct error err = {0};

    assert_int_equal(file_make_directories(folder, 0700, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0600, &err), 0);
    free(folder);
    free(path);
}

static void a_plan_from_the_store_is_the_plan(void **state)
{
    char *one = long_workflow("one"), *two = long_workflow("two"), *expected, *got;
    struct error err = {0};

    (void)state;
    write_workflow("a.yml", one);
    write_workflow("call.yml", "on: push\njobs: {c: {uses: ./.github/workflows/called.yml}}\n");
    write_workflow("called.yml",
                   "on: workflow_call\njobs: {d: {runs-on: ubuntu-latest, steps: [{run: make}]}}\n");
    expected = plan_text(false);
    for (int i = 0; i < 3; i++) {
        got = plan_text(true);
        assert_string_equal(got, expected);
        free(got);
    }
    free(only_file());
    write_workflow("a.yml", two);
    got = plan_text(true);
    assert_string_not_equal(got, expected);
    free(expected);
    expected = plan_text(false);
    assert_string_equal(got, expected);
    write_workflow("called.yml", "on: workflow_call\njobs: {d: {runs-on: ubuntu-latest}}\n");
    for (int i = 0; i < 2; i++) { /* a file that is refused is refused each time */
        assert_null(plan(true, &err));
        assert_non_null(strstr(err.text, "called.yml:2:"));
    }
    free(got);
    free(expected);
    free(one);
    free(two);
}

#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_back_is_what_was_read),
        WITH_FOLDER(a_tree_is_for_its_very_text_file_and_repository),
        WITH_FOLDER(a_damaged_file_or_one_of_another_program_is_not_used),
        WITH_FOLDER(what_was_not_used_for_long_goes),
        WITH_FOLDER(a_plan_from_the_store_is_the_plan),
    };

    return cmocka_run_group_tests_name("ci/tree_store", tests, NULL, NULL);
}
