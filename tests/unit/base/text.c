/* Buffers, strings, maps, paths, globs, UTF-8, JSON. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/json.h"
#include "base/map.h"
#include "base/path.h"
#include "base/str.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void buf_keeps_a_nul_after_its_bytes(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    assert_string_equal(buf_cstr(&b), "");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    assert_int_equal(b.data[b.len], 0);
    buf_consume(&b, 4);
    assert_memory_equal(b.data, "2,3,", 4);
    buf_free(&b);
}

static void map_keeps_order_and_survives_removal(void **state)
{
    struct map m = {.free_value = free};
    size_t cursor = 0;

    (void)state;
    for (int i = 0; i < 500; i++) {
        char key[16];

        (void)snprintf(key, sizeof key, "k%d", i);
        map_set(&m, key, xstrdup(key));
        if (i % 3 == 0)
            assert_true(map_remove(&m, key));
    }
    assert_int_equal(m.len, 333);
    assert_null(map_get(&m, "k0"));
    assert_string_equal(map_get(&m, "k499"), "k499");
    assert_string_equal(map_next(&m, &cursor)->key, "k1");
    map_finish(&m);
}

static void path_normalize_resolves_as_text(void **state)
{
    static const char *const cases[][2] = {
        {"/a/../..//b/./c", "/b/c"}, {"a/..", "."}, {"../x", "../x"}, {"/", "/"}, {"a//b/", "a/b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *got = path_normalize(cases[i][0]);

        assert_string_equal(got, cases[i][1]);
        free(got);
    }
    assert_true(path_is_below("/a/b", "/a"));
    assert_false(path_is_below("/ab", "/a"));
    assert_false(path_is_plain_relative("a/../b"));
    assert_true(path_is_plain_relative("a/b..c"));
}

static void glob_follows_gitignore_rules(void **state)
{
    (void)state;
    assert_true(glob_match("src/*.c", "src/a.c"));
    assert_false(glob_match("src/*.c", "src/b/a.c"));
    assert_true(glob_match("src/**", "src/b/a.c"));
    assert_true(glob_match("**/a.c", "a.c"));
    assert_true(glob_match("**/a.c", "x/y/a.c"));
    assert_true(glob_match("a[!b-d]?", "axy"));
    assert_false(glob_match("a[!b-d]?", "acy"));
    assert_true(glob_match("[", "["));
    assert_false(glob_match("*/*/*/*/*/*/*/*/*/*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/a/a/a/a/a/a"));
}

static void glob_overlap_keeps_write_sets_apart(void **state)
{
    (void)state;
    assert_true(glob_may_overlap("src/a.c", "src/a.c"));
    assert_true(glob_may_overlap("src", "src/a.c"));
    assert_true(glob_may_overlap("src/*.c", "src/a.c"));
    assert_true(glob_may_overlap("src/a.c", "src/**"));
    assert_true(glob_may_overlap("src/*.c", "src/a*"));
    assert_false(glob_may_overlap("src/a.c", "src/b.c"));
    assert_false(glob_may_overlap("src/*.c", "tests/a.c"));
    assert_false(glob_may_overlap("src/*.h", "src/a.c"));
    assert_false(glob_may_overlap("a/very/long/path", "b*"));
    assert_false(glob_may_overlap("src/a.c", "src/*_test.c"));
    assert_true(glob_may_overlap("src/lib", "s*/l*/x.c"));
    assert_true(glob_may_overlap("src/lib", "src/**/x.c"));
    assert_false(glob_may_overlap("docs/lib", "src/**/x.c"));
}

static void json_parse_mends_lone_surrogates(void **state)
{
    static const char text[] = "{\"a\":\"x\\ud800y\",\"b\":\"\\ud83d\\ude00\",\"c\":\"\xff\"}";
    json_t *v = json_parse(text, sizeof text - 1, "test", NULL);

    (void)state;
    assert_non_null(v);
    assert_string_equal(json_get_string(v, "a", ""), "x\xef\xbf\xbdy");
    assert_string_equal(json_get_string(v, "b", ""), "\xf0\x9f\x98\x80");
    assert_string_equal(json_get_string(v, "c", ""), "\xef\xbf\xbd");
    json_decref(v);
}

static void json_parse_bounds_depth_and_names_the_place(void **state)
{
    char deep[400];
    struct error err = {0};

    (void)state;
    memset(deep, '[', sizeof deep);
    assert_null(json_parse(deep, sizeof deep, "test", &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_null(json_parse("{\n  x", 5, "f.json", &err));
    assert_non_null(strstr(err.text, "f.json:2:"));
}

static void json_writer_places_commas(void **state)
{
    struct buf b = BUF_INIT;
    struct json_writer w = {.out = &b};

    (void)state;
    jw_object_begin(&w);
    jw_pair_string(&w, "a", "q\"\n\x01\xff");
    jw_key(&w, "b");
    jw_array_begin(&w);
    jw_int(&w, 1);
    jw_object_begin(&w);
    jw_object_end(&w);
    jw_bool(&w, true);
    jw_array_end(&w);
    jw_pair_int(&w, "c", -2);
    jw_object_end(&w);
    assert_string_equal(b.data, "{\"a\":\"q\\\"\\n\\u0001\xef\xbf\xbd\",\"b\":[1,{},true],\"c\":-2}");
    buf_free(&b);
}

static void terminal_escapes_become_visible(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    utf8_append_printable(&b, "a\x1b[2J\xe2\x80\xae", 8, true);
    assert_null(strchr(b.data, 0x1b));
    assert_non_null(strstr(b.data, "<U+202E>"));
    buf_clear(&b);
    utf8_append_printable(&b, "a\tb\nc\x7f\xff\xc3\xa4 \xc2\x85", 12, true);
    assert_string_equal(b.data, "a\tb\nc\xe2\x90\xa1\xef\xbf\xbd\xc3\xa4 \xef\xbf\xbd");
    buf_clear(&b);
    utf8_append_printable(&b, "a\tb\n", 4, false);
    assert_string_equal(b.data, "a\xe2\x90\x89"
                                "b\xe2\x90\x8a");
    buf_free(&b);
}

static void error_carries_place_and_context(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(error_set_at(&err, ERROR_CONFIG, "a.toml", 3, 7, "bad %s", "key"), -1);
    error_wrap(&err, "reading the configuration");
    error_hint(&err, "remove it");
    assert_string_equal(err.text, "reading the configuration: a.toml:3:7: bad key\n  remove it");
    assert_int_equal(error_exit_code(&err), EXIT_USAGE);
}

static void remove_tree_does_not_follow_links(void **state)
{
    char *dir = file_make_temporary_directory("cadre-test", NULL);
    char *keep = path_join(dir, "keep");
    char *gone = path_join(dir, "gone");
    char *file = path_join(keep, "file");
    char *link = path_join(gone, "link");

    (void)state;
    assert_int_equal(file_make_directories(keep, 0755, NULL), 0);
    assert_int_equal(file_make_directories(gone, 0755, NULL), 0);
    assert_int_equal(file_write_atomic(file, "x", 1, 0644, NULL), 0);
    assert_int_equal(symlink(keep, link), 0);
    assert_int_equal(file_remove_tree(gone, NULL), 0);
    assert_false(file_exists(gone));
    assert_true(file_exists(file));
    assert_int_equal(file_remove_tree(dir, NULL), 0);
    free(dir);
    free(keep);
    free(gone);
    free(file);
    free(link);
}

static void nearest_word_is_offered_only_when_near(void **state)
{
    static const char *const words[] = {"max_threads", "max_depth", "enabled", NULL};

    (void)state;
    assert_string_equal(str_nearest("max_thread", words), "max_threads");
    assert_null(str_nearest("zzz", words));
}

static void clock_formats_utc(void **state)
{
    char text[CLOCK_TEXT_BYTES];

    (void)state;
    clock_format_utc(1700000000123, text);
    assert_string_equal(text, "2023-11-14T22:13:20.123Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_keeps_a_nul_after_its_bytes),
        cmocka_unit_test(map_keeps_order_and_survives_removal),
        cmocka_unit_test(path_normalize_resolves_as_text),
        cmocka_unit_test(glob_follows_gitignore_rules),
        cmocka_unit_test(glob_overlap_keeps_write_sets_apart),
        cmocka_unit_test(json_parse_mends_lone_surrogates),
        cmocka_unit_test(json_parse_bounds_depth_and_names_the_place),
        cmocka_unit_test(json_writer_places_commas),
        cmocka_unit_test(terminal_escapes_become_visible),
        cmocka_unit_test(error_carries_place_and_context),
        cmocka_unit_test(remove_tree_does_not_follow_links),
        cmocka_unit_test(nearest_word_is_offered_only_when_near),
        cmocka_unit_test(clock_formats_utc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
