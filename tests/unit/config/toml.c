/* Tests of config/toml: positions, order, errors, bounds, and the whole of toml-test. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "config/toml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct toml_value *parse(const char *text)
{
    struct error err = {0};
    struct toml_value *v = toml_parse(text, strlen(text), "t.toml", &err);

    if (v == NULL)
        print_message("# %s\n", err.text);
    assert_non_null(v);
    return v;
}

static void toml_values_know_their_place(void **state)
{
    struct toml_value *v = parse("b = 1\n[a]\n  x = \"y\"\nlist = [1, 2]\n");

    (void)state;
    assert_string_equal(v->as.table.members[0].key, "b");
    assert_string_equal(v->as.table.members[1].key, "a");
    assert_int_equal(toml_find(v, "a.x")->line, 3);
    assert_int_equal(toml_find(v, "a.x")->column, 3);
    assert_int_equal(toml_find(v, "a.list")->as.array.items[1]->column, 12);
    assert_string_equal(toml_string(toml_get(v, "a"), "x", NULL), "y");
    toml_free(v);
}

static void toml_error_names_file_line_and_column(void **state)
{
    struct error err = {0};
    const char *text = "a = 1\nb = = 2\n";

    (void)state;
    assert_null(toml_parse(text, strlen(text), "dir/t.toml", &err));
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_true(str_starts_with(err.text, "dir/t.toml:2:5: "));
}

static void toml_refuses_what_is_too_deep_or_too_long(void **state)
{
    struct error err = {0};
    struct buf b = BUF_INIT;

    (void)state;
    for (int i = 0; i < 200000; i++)
        buf_puts(&b, "a.");
    buf_puts(&b, "a = 1\n");
    assert_null(toml_parse(b.data, b.len, "deep", &err));
    assert_non_null(strstr(err.text, "nested deeper"));
    buf_clear(&b);
    buf_puts(&b, "a = ");
    for (int i = 0; i < 100000; i++)
        buf_puts(&b, "[");
    assert_null(toml_parse(b.data, b.len, "deep", &err));
    buf_clear(&b);
    while (b.len <= TOML_MAX_BYTES)
        buf_puts(&b, "# a comment of some length, repeated until the bound is passed\n");
    assert_null(toml_parse(b.data, b.len, "long", &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    buf_clear(&b);
    buf_puts(&b, "s = '''"); /* dots within strings are no nesting */
    for (int i = 0; i < 500; i++)
        buf_puts(&b, "a.b.");
    buf_puts(&b, "'''\nt = \"\\\"........................................................\"\n");
    toml_free(parse(buf_cstr(&b)));
    buf_free(&b);
}

static void toml_paths_take_quoted_parts(void **state)
{
    struct toml_value *v = parse("[projects.\"/a.b/c\"]\ntrust_level = \"trusted\"\n");
    struct str_list parts = {0};

    (void)state;
    assert_string_equal(toml_find(v, "projects.\"/a.b/c\".trust_level")->as.string.bytes, "trusted");
    assert_null(toml_find(v, "projects./a.b/c"));
    assert_int_equal(toml_split_path("a..b", &parts), -1);
    assert_int_equal(toml_split_path("a.\"b", &parts), -1);
    assert_int_equal(toml_split_path("", &parts), -1);
    str_list_finish(&parts);
    toml_free(v);
}

static void toml_inline_text_reads_back(void **state)
{
    struct toml_value *v = parse("s = \"a\\\"b\\\\\\n\\u0001\"\nf = 1.0\ng = 6.02e23\ni = -5\nb = true\n"
                                 "t = { \"x y\" = [1, 2.5], d = 1979-05-27T07:32:00Z }\n");
    struct buf one = BUF_INIT, two = BUF_INIT;
    struct toml_value *again;

    (void)state;
    buf_puts(&one, "v = ");
    toml_append_inline(&one, v);
    again = parse(buf_cstr(&one));
    buf_puts(&two, "v = ");
    toml_append_inline(&two, toml_get(again, "v"));
    assert_string_equal(buf_cstr(&one), buf_cstr(&two));
    assert_non_null(strstr(buf_cstr(&one), "6.02e+23"));
    toml_free(again);
    toml_free(v);
    buf_free(&one);
    buf_free(&two);
}

static void toml_copy_is_equal_and_independent(void **state)
{
    struct toml_value *v = parse("a = [{x = 1}, {y = \"z\"}]\nd = 1979-05-27\n");
    struct toml_value *copy = toml_copy(v);
    struct buf one = BUF_INIT, two = BUF_INIT;

    (void)state;
    toml_append_inline(&one, v);
    toml_free(v);
    toml_append_inline(&two, copy);
    assert_string_equal(buf_cstr(&one), buf_cstr(&two));
    toml_set(copy, "a", toml_new_string("new"));
    assert_true(toml_remove(copy, "d"));
    assert_false(toml_remove(copy, "d"));
    assert_string_equal(toml_string(copy, "a", ""), "new");
    toml_free(copy);
    buf_free(&one);
    buf_free(&two);
}

/* toml-test compares date-times by meaning: a 'T', a space or 't' between; fractions without their zeros. */
static char *normal_datetime(const char *s)
{
    struct buf b = BUF_INIT;
    const char *p = s;

    for (; *p != '\0'; p++) {
        if (*p == '.') {
            size_t n = strspn(p + 1, "0123456789");
            size_t keep = n;

            while (keep > 0 && p[keep] == '0')
                keep--;
            if (keep > 0)
                buf_append(&b, p, keep + 1);
            p += n;
        } else {
            buf_putc(&b, *p == ' ' || *p == 't' ? 'T' : *p == 'z' ? 'Z' : *p);
        }
    }
    if (str_ends_with(buf_cstr(&b), "+00:00") || str_ends_with(buf_cstr(&b), "-00:00")) {
        buf_truncate(&b, b.len - 6);
        buf_putc(&b, 'Z');
    }
    return buf_take(&b);
}

static bool is_equal(const json_t *want, const json_t *got)
{
    const char *type, *key;
    const json_t *value;
    size_t index;

    if (json_is_array(want)) {
        if (!json_is_array(got) || json_array_size(want) != json_array_size(got))
            return false;
        json_array_foreach((json_t *)want, index, value)
        {
            if (!is_equal(value, json_array_get(got, index)))
                return false;
        }
        return true;
    }
    if (!json_is_object(want) || !json_is_object(got) || json_object_size(want) != json_object_size(got))
        return false;
    type = json_get_string(want, "type", NULL);
    if (type != NULL && json_is_string(json_object_get(want, "value")) && json_object_size(want) == 2) {
        const json_t *w = json_object_get(want, "value"), *g = json_object_get(got, "value");
        const char *ws = json_string_value(w), *gs = json_string_value(g);
        bool same;

        if (!str_eq(type, json_get_string(got, "type", NULL)) || gs == NULL)
            return false;
        if (strcmp(type, "float") == 0) {
            double a = strtod(ws, NULL), b = strtod(gs, NULL);

            return (isnan(a) && isnan(b)) || !(a < b || a > b);
        }
        if (strstr(type, "date") != NULL || strstr(type, "time") != NULL) {
            char *a = normal_datetime(ws), *b = normal_datetime(gs);

            same = strcmp(a, b) == 0;
            free(a);
            free(b);
            return same;
        }
        return json_equal(w, g);
    }
    json_object_keylen_foreach((json_t *)want, key, index, value)
    {
        if (!is_equal(value, json_object_getn(got, key, index)))
            return false;
    }
    return true;
}

/* Jansson takes no NUL in a key: both sides get another character in its place. */
static void hide_nul(struct buf *json)
{
    for (char *p = json->data; p != NULL && (p = strstr(p, "\\u0000")) != NULL; p += 6)
        p[2] = 'E';
}

static bool valid_case_holds(const char *toml_path)
{
    struct error err = {0};
    struct buf text = BUF_INIT, ours = BUF_INIT;
    char *stem = xstrndup(toml_path, strlen(toml_path) - 5);
    char *json_path = xasprintf("%s.json", stem);
    struct toml_value *v = toml_read_file(toml_path, &err);
    json_t *want = NULL, *got = NULL;
    bool ok = false;

    if (v == NULL) {
        print_message("# %s\n", err.text);
        goto out;
    }
    toml_append_json(&ours, v, true);
    if (file_read(json_path, &text, TOML_MAX_BYTES, &err) < 0)
        goto out;
    hide_nul(&text);
    hide_nul(&ours);
    want = json_loadb(buf_cstr(&text), text.len, JSON_ALLOW_NUL, NULL);
    got = json_loadb(buf_cstr(&ours), ours.len, JSON_ALLOW_NUL, NULL);
    ok = want != NULL && got != NULL && is_equal(want, got);
    if (!ok)
        print_message("# %s: %s\n", toml_path, buf_cstr(&ours));
out:
    json_decref(want);
    json_decref(got);
    toml_free(v);
    free(stem);
    free(json_path);
    buf_free(&text);
    buf_free(&ours);
    return ok;
}

static void toml_agrees_with_toml_test(void **state)
{
    const char *data = getenv("CADRE_TESTDATA");
    char *root = path_join(data != NULL ? data : "../shared/testdata", "toml-test/tests");
    char *list_path = path_join(root, "files-toml-1.0.0");
    struct buf list = BUF_INIT;
    struct str_list names = {0};
    struct error err = {0};
    unsigned valid = 0, invalid = 0, failed = 0;

    (void)state;
    if (file_read(list_path, &list, TOML_MAX_BYTES, &err) < 0) {
        print_message("# toml-test is not in CADRE_TESTDATA\n");
        free(root);
        free(list_path);
        skip();
    }
    str_split(&names, buf_cstr(&list), '\n');
    for (size_t i = 0; i < names.len; i++) {
        char *path = path_join(root, names.items[i]);

        if (!str_ends_with(path, ".toml")) {
            free(path);
            continue;
        }
        if (str_starts_with(names.items[i], "valid/")) {
            valid++;
            failed += !valid_case_holds(path);
        } else {
            struct toml_value *v = toml_read_file(path, &err);

            invalid++;
            if (v != NULL) {
                print_message("# accepted: %s\n", names.items[i]);
                failed++;
            } else if (err.code != ERROR_CONFIG || !str_starts_with(err.text, path)) {
                print_message("# error without a place: %s\n", err.text);
                failed++;
            }
            toml_free(v);
        }
        free(path);
    }
    print_message("# %u valid and %u invalid documents, %u wrong\n", valid, invalid, failed);
    assert_int_equal(failed, 0);
    assert_true(valid > 200 && invalid > 450);
    str_list_finish(&names);
    buf_free(&list);
    free(root);
    free(list_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(toml_values_know_their_place),
        cmocka_unit_test(toml_error_names_file_line_and_column),
        cmocka_unit_test(toml_refuses_what_is_too_deep_or_too_long),
        cmocka_unit_test(toml_paths_take_quoted_parts),
        cmocka_unit_test(toml_inline_text_reads_back),
        cmocka_unit_test(toml_copy_is_equal_and_independent),
        cmocka_unit_test(toml_agrees_with_toml_test),
    };

    return cmocka_run_group_tests_name("toml", tests, NULL, NULL);
}
