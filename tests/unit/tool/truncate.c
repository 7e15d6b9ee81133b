/* Output cut in the middle keeps its head and its tail. */
#include "test.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "tool/truncate.h"

#include <string.h>

static void short_output_is_kept(void **state)
{
    struct buf out = BUF_INIT;

    (void)state;
    truncate_middle(&out, "hello\n", 6, 100);
    assert_string_equal(out.data, "hello\n");
    buf_free(&out);
}

static void long_output_keeps_both_ends(void **state)
{
    struct buf in = BUF_INIT;
    struct buf out = BUF_INIT;

    (void)state;
    for (int i = 0; i < 5000; i++)
        buf_printf(&in, "line %d\n", i);
    truncate_middle(&out, in.data, in.len, 200);
    assert_non_null(strstr(out.data, "line 0\n"));
    assert_non_null(strstr(out.data, "line 4999\n"));
    assert_non_null(strstr(out.data, "tokens left out"));
    assert_true(out.len < 200 * 4 + 100);
    buf_free(&in);
    buf_free(&out);
}

static void a_cut_never_splits_a_character(void **state)
{
    struct buf in = BUF_INIT;

    (void)state;
    for (int i = 0; i < 3000; i++)
        buf_puts(&in, "\xf0\x9f\x98\x80");
    for (int tokens = 1; tokens < 60; tokens++) {
        struct buf out = BUF_INIT;

        truncate_middle(&out, in.data, in.len, tokens);
        assert_true(utf8_is_valid(out.data, out.len));
        assert_null(strstr(out.data, "\xef\xbf\xbd"));
        buf_free(&out);
    }
    buf_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_output_is_kept),
        cmocka_unit_test(long_output_keeps_both_ends),
        cmocka_unit_test(a_cut_never_splits_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
