/* Expressions: the public conformance cases, and own ones. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "ci/expression.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 1, 1.0 and 1e0 are the same number. */
static bool json_same(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_number(a) && json_is_number(b))
        return fabs(json_number_value(a) - json_number_value(b)) < 1e-12;
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a)) {
        if (json_array_size(a) != json_array_size(b))
            return false;
        json_array_foreach(a, i, item) {
            if (!json_same(item, json_array_get(b, i)))
                return false;
        }
        return true;
    }
    if (json_is_object(a)) {
        if (json_object_size(a) != json_object_size(b))
            return false;
        json_object_foreach((json_t *)(uintptr_t)a, key, item) {
            if (json_object_get(b, key) == NULL || !json_same(item, json_object_get(b, key)))
                return false;
        }
        return true;
    }
    return json_equal(a, b);
}

static bool result_is(const struct expr_value *value, const json_t *expected)
{
    static const char *const kinds[] = {"Null", "Boolean", "Number", "String", "Array", "Object"};
    const json_t *want = json_object_get(expected, "value");
    json_t *got;
    bool same;

    if (strcmp(kinds[value->kind], json_get_string(expected, "kind", "")) != 0)
        return false;
    if (value->kind == EXPR_NUMBER && json_is_string(want)) {
        struct expr_value text = expr_string(json_string_value(want));
        char *printed = expr_to_string(value);
        same = strcmp(printed, text.string) == 0;
        free(printed);
        expr_value_finish(&text);
        return same;
    }
    got = expr_to_json(value);
    same = json_same(got, want);
    json_decref(got);
    return same;
}

static bool case_agrees(const json_t *test, char *why, size_t why_size)
{
    static json_t *none;
    struct expr_scope scope = {.contexts = json_object_get(test, "contexts")};
    const json_t *want_error = json_object_get(test, "err");
    struct expr_value value;
    struct error err = {0};
    bool ok;

    if (scope.contexts == NULL) {
        if (none == NULL)
            none = json_object();
        scope.contexts = none;
    }
    if (expr_evaluate_text(json_get_string(test, "expr", ""), &scope, &value, &err) < 0) {
        ok = want_error != NULL && str_starts_with(err.text, json_get_string(want_error, "value", "?"));
        snprintf(why, why_size, "error: %s", err.text);
        return ok;
    }
    ok = want_error == NULL && result_is(&value, json_object_get(test, "result"));
    if (!ok) {
        char *text = expr_to_string(&value);
        snprintf(why, why_size, "kind %d: %s", (int)value.kind, text);
        free(text);
    }
    expr_value_finish(&value);
    return ok;
}

static void the_public_cases_agree(void **state)
{
    char *folder = path_join(getenv("CADRE_TESTDATA") != NULL ? getenv("CADRE_TESTDATA") : "../shared/testdata",
                             "expressions");
    struct str_list names = {0};
    struct error err = {0};
    size_t agreed = 0, failed = 0;

    (void)state;
    if (!file_is_directory(folder)) {
        free(folder);
        skip();
    }
    assert_int_equal(file_list_directory(folder, &names, &err), 0);
    for (size_t i = 0; i < names.len; i++) {
        char *path = path_join(folder, names.items[i]);
        struct buf text = BUF_INIT;
        json_t *root, *group;
        const char *key;

        if (str_ends_with(path, ".json")) {
            assert_int_equal(file_read(path, &text, 1 << 24, &err), 0);
            root = json_parse(text.data, text.len, path, &err);
            assert_non_null(root);
            json_object_foreach(root, key, group) {
                json_t *test;
                size_t k;
                json_array_foreach(group, k, test) {
                    char why[600] = "";
                    if (case_agrees(test, why, sizeof why)) {
                        agreed++;
                    } else {
                        failed++;
                        print_message("# %s: %s: %.300s -> %s\n", names.items[i], key,
                                      json_get_string(test, "expr", ""), why);
                    }
                }
            }
            json_decref(root);
        }
        buf_free(&text);
        free(path);
    }
    print_message("# %zu of %zu public expression cases agree\n", agreed, agreed + failed);
    str_list_finish(&names);
    free(folder);
    assert_int_equal(failed, 0);
    assert_true(agreed > 500);
}

static char *evaluate(const char *text)
{
    static const char contexts[] =
        "{\"github\":{\"ref\":\"refs/heads/main\"},\"a\":[{\"n\":1},{\"n\":2}],\"empty\":null}";
    struct error err = {0};
    json_t *json = json_parse(contexts, strlen(contexts), "test", &err);
    struct expr_scope scope = {.contexts = json};
    struct expr_value value;
    char *result;

    if (expr_evaluate_text(text, &scope, &value, &err) < 0) {
        result = xasprintf("error: %s", err.text);
    } else {
        result = expr_to_string(&value);
        expr_value_finish(&value);
    }
    json_decref(json);
    return result;
}

static void functions_do_what_github_documents(void **state)
{
    static const struct {
        const char *expr, *result;
    } cases[] = {
        {"contains('Hello world', 'WORLD')", "true"},
        {"contains(fromJSON('[\"push\",\"x\"]'), 'PUSH')", "true"},
        {"startsWith('Hello', 'he')", "true"},
        {"format('{{Hello {0} {1}}}', 'a', 2)", "{Hello a 2}"},
        {"format('{2}', 1)", "error: The following format string references more arguments than were supplied: {2}"},
        {"format('{x}', 1)", "error: The following format string is invalid: {x}"},
        {"join(a.*.n, '+')", "1+2"},
        {"join(a.*.n)", "1,2"},
        {"join('x', '+')", "x"},
        {"toJSON(empty)", "null"},
        {"case(github.ref == 'x', 'one', true, 'two', 'three')", "two"},
        {"case(false, 'one', 'three')", "three"},
        {"github.ref == 'refs/heads/MAIN' && 'yes' || 'no'", "yes"},
        {"contains('a')", "error: Too few parameters supplied: 'contains'. Located at position 1 within "
                          "expression: contains('a')"},
        {"toJSON(1, 2)", "error: Too many parameters supplied: 'toJSON'. Located at position 1 within "
                         "expression: toJSON(1, 2)"},
        {"'a' > 1", "false"},
        {"null == ''", "true"},
        {"!empty", "true"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *result = evaluate(cases[i].expr);
        if (strcmp(result, cases[i].result) != 0)
            print_message("# %s -> %s\n", cases[i].expr, result);
        assert_string_equal(result, cases[i].result);
        free(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_public_cases_agree),
        cmocka_unit_test(functions_do_what_github_documents),
    };

    return cmocka_run_group_tests_name("ci/expression", tests, NULL, NULL);
}
