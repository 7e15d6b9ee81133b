/* Tests of config/schema: every key of Codex's published schema is known; the table is sound. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "config/schema.h"
#include "config/toml.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES ((size_t)4 << 20)

struct walk {
    const json_t *definitions;
    struct str_list path;
    struct str_list open; /* definitions being walked, against recursion */
    unsigned leaves, missing;
};

static void check_leaf(struct walk *w)
{
    if (w->path.len == 0)
        return;
    w->leaves++;
    if (schema_find(w->path.items, w->path.len) == NULL && !schema_is_prefix(w->path.items, w->path.len)) {
        char *text = str_list_join(&w->path, ".");

        print_message("# unknown to the table: %s\n", text);
        free(text);
        w->missing++;
    }
}

static void walk(struct walk *w, const json_t *node)
{
    const json_t *more = json_object_get(node, "additionalProperties"), *value;
    const char *ref = json_get_string(node, "$ref", NULL), *key;
    static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
    size_t i;

    if (ref != NULL) {
        const char *name = path_basename(ref);

        if (str_list_has(&w->open, name))
            return;
        str_list_add(&w->open, name);
        walk(w, json_object_get(w->definitions, name));
        str_list_remove(&w->open, w->open.len - 1);
        return;
    }
    check_leaf(w);
    json_object_foreach((json_t *)json_object_get(node, "properties"), key, value)
    {
        str_list_add(&w->path, key);
        walk(w, value);
        str_list_remove(&w->path, w->path.len - 1);
    }
    if (json_is_object(more)) {
        str_list_add(&w->path, "some-name");
        walk(w, more);
        str_list_remove(&w->path, w->path.len - 1);
    }
    for (size_t k = 0; k < 3; k++)
        json_array_foreach(json_object_get(node, lists[k]), i, value)
        {
            if (json_object_get(value, "not") == NULL)
                walk(w, value);
        }
}

static void every_key_of_codex_is_known(void **state)
{
    const char *data = getenv("CADRE_TESTDATA");
    char *path = path_join(data != NULL ? data : "../shared/testdata", "codex/config.schema.json");
    struct buf text = BUF_INIT;
    struct error err = {0};
    struct walk w = {0};
    json_t *schema;

    (void)state;
    if (!file_exists(path)) {
        print_message("# config.schema.json is not in CADRE_TESTDATA\n");
        free(path);
        skip();
    }
    assert_int_equal(file_read(path, &text, MAX_BYTES, &err), 0);
    schema = json_parse(buf_cstr(&text), text.len, "schema", &err);
    assert_non_null(schema);
    w.definitions = json_object_get(schema, "definitions");
    walk(&w, schema);
    print_message("# %u keys of Codex, %u unknown\n", w.leaves, w.missing);
    assert_int_equal(w.missing, 0);
    assert_true(w.leaves > 900);
    json_decref(schema);
    buf_free(&text);
    str_list_finish(&w.path);
    str_list_finish(&w.open);
    free(path);
}

static void paths_are_unique_and_defaults_have_their_type(void **state)
{
    struct str_list seen = {0};

    (void)state;
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);

        if (str_list_has(&seen, key->path))
            print_message("# twice: %s\n", key->path);
        assert_false(str_list_has(&seen, key->path));
        str_list_add(&seen, key->path);
        assert_true(strlen(key->doc) > 3 && key->types != 0);
        if (key->fallback != NULL) {
            char *line = xasprintf("v = %s\n", key->fallback);
            struct toml_value *v = toml_parse(line, strlen(line), "default", NULL);

            assert_non_null(v);
            if (key->choices != NULL)
                assert_non_null(strstr(key->choices, toml_string(v, "v", "?")));
            toml_free(v);
            free(line);
        }
    }
    str_list_finish(&seen);
}

static void exact_names_beat_wildcards(void **state)
{
    (void)state;
    assert_string_equal(schema_find_path("agents.max_threads")->path, "agents.max_threads");
    assert_string_equal(schema_find_path("agents.reviewer.description")->path, "agents.*.description");
    assert_string_equal(schema_find_path("profiles.x.model")->path, "model");
    assert_string_equal(schema_find_path("permissions.a.b.c")->path, "permissions.**");
    assert_null(schema_find_path("agents.reviewer"));
    assert_null(schema_find_path("nothing"));
    assert_null(schema_find_path("a..b"));
}

static void nearest_name_is_found_among_siblings(void **state)
{
    static const struct {
        const char *part, *name, *want;
    } cases[] = {
        {"features", "multi_agnet", "features.multi_agent"},
        {"history", "max_byte", "history.max_bytes"},
        {"loop", "batchsize", "loop.batch_size"},
        {"loop", "zzzzzz", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *parts[] = {(char *)cases[i].part, (char *)cases[i].name};
        char *near = schema_nearest(parts, 2);

        if (cases[i].want == NULL)
            assert_null(near);
        else
            assert_string_equal(near, cases[i].want);
        free(near);
    }
}

static void documentation_is_current(void **state)
{
    const char *source = getenv("CADRE_SOURCE");
    char *path = path_join(source != NULL ? source : ".", "docs/config.md");
    struct buf file = BUF_INIT, text = BUF_INIT;
    struct error err = {0};

    (void)state;
    assert_int_equal(file_read(path, &file, MAX_BYTES, &err), 0);
    schema_append_markdown(&text);
    if (strcmp(buf_cstr(&file), buf_cstr(&text)) != 0)
        print_message("# docs/config.md differs: cadre config schema --markdown >docs/config.md\n");
    assert_true(strcmp(buf_cstr(&file), buf_cstr(&text)) == 0);
    buf_free(&file);
    buf_free(&text);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_of_codex_is_known),
        cmocka_unit_test(paths_are_unique_and_defaults_have_their_type),
        cmocka_unit_test(exact_names_beat_wildcards),
        cmocka_unit_test(nearest_name_is_found_among_siblings),
        cmocka_unit_test(documentation_is_current),
    };

    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
