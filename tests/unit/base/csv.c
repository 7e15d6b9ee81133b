/* CSV as people and programs write it, and as nobody should. */
#include "test.h"

#include "base/buf.h"
#include "base/csv.h"

#include <stdlib.h>
#include <string.h>

static const struct csv_limits limits = {100, 1000};

static void parse(struct csv_table *table, const char *text)
{
    struct error err = {0};

    if (csv_parse(table, text, strlen(text), "f.csv", &limits, &err) < 0)
        fail_msg("%s", err.text);
}

/* TEXT is refused with a message that holds WHY. */
static void refuse_bytes(const char *text, size_t n, const char *why)
{
    struct csv_table table;
    struct error err = {0};

    assert_int_equal(csv_parse(&table, text, n, "f.csv", &limits, &err), -1);
    if (strstr(err.text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    assert_int_equal(table.row_count, 0);
}

static void refuse(const char *text, const char *why)
{
    refuse_bytes(text, strlen(text), why);
}

static void quoted_fields_hold_everything(void **state)
{
    struct csv_table t;

    (void)state;
    parse(&t, "a,b\n\"x,\"\"y\"\"\r\nz\",\"\"\n");
    assert_int_equal(t.row_count, 1);
    assert_string_equal(t.rows[0].fields.items[0], "x,\"y\"\r\nz");
    assert_string_equal(t.rows[0].fields.items[1], "");
    csv_table_finish(&t);
}

static void all_line_ends_end_a_record(void **state)
{
    struct csv_table t;

    (void)state;
    parse(&t, "\xef\xbb\xbf" "a,b\r\n1,2\n3,4\r5,6");
    assert_string_equal(t.header.items[0], "a");
    assert_int_equal(t.row_count, 3);
    assert_string_equal(t.rows[2].fields.items[1], "6");
    assert_int_equal(t.rows[1].line, 3);
    csv_table_finish(&t);
}

static void blank_records_are_skipped(void **state)
{
    struct csv_table t;

    (void)state;
    parse(&t, "\n\na,b\n\n1,2\n,\n\n");
    assert_int_equal(t.row_count, 1);
    assert_int_equal(t.rows[0].line, 5);
    csv_table_finish(&t);
}

static void a_quote_within_a_plain_field_is_a_quote(void **state)
{
    struct csv_table t;

    (void)state;
    parse(&t, "a\n5\" disk\n");
    assert_string_equal(t.rows[0].fields.items[0], "5\" disk");
    assert_int_equal(csv_column(&t, "a"), 0);
    assert_int_equal(csv_column(&t, "A"), -1);
    csv_table_finish(&t);
}

static void hostile_files_are_refused_with_their_line(void **state)
{
    char big[2048];

    (void)state;
    refuse("", "names of the columns");
    refuse("\n\r\n", "names of the columns");
    refuse("a,b\n1\n", "f.csv:2: the row has 1 fields, the header has 2");
    refuse("a,b\n1,2,3\n", "f.csv:2: the row has 3 fields");
    refuse("a,b,a\n", "f.csv:1: the column \"a\" stands there twice");
    refuse("a\n\"x\ny\n", "f.csv:2: the quote that opens here is never closed");
    refuse("a\n\"x\ny\" z\n", "f.csv:3: a ',' or the end of the line is expected");
    refuse("a\nok\n\xff\n", "f.csv:3: the file is no UTF-8 text (byte 0xff)");
    refuse_bytes("a\nx\0y\n", 6, "f.csv:2: the file is no UTF-8 text (byte 0x00)");
    memset(big, 'x', sizeof big);
    memcpy(big, "a\n", 2);
    refuse_bytes(big, sizeof big, "f.csv:2: the row holds more than 1000 bytes");
    memcpy(big, "a\n\"", 3);
    refuse_bytes(big, sizeof big, "more than 1000 bytes");
    memset(big, ',', sizeof big);
    refuse_bytes(big, sizeof big, "more than 256 fields");
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = i % 2 == 0 ? 'x' : '\n';
    refuse_bytes(big, sizeof big, "f.csv:102: there are more than 100 rows");
}

static void what_is_written_is_read_back(void **state)
{
    static const char *const values[] = {"plain", "a,b", "say \"hi\"", "two\nlines", "cr\rlf\r\n", " blank ", "é"};
    struct buf b = BUF_INIT;
    struct csv_table t;

    (void)state;
    buf_puts(&b, "v\n");
    for (size_t i = 0; i < 7; i++) {
        csv_append_field(&b, values[i]);
        buf_putc(&b, '\n');
    }
    parse(&t, b.data);
    assert_int_equal(t.row_count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(t.rows[i].fields.items[0], values[i]);
    csv_table_finish(&t);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoted_fields_hold_everything),
        cmocka_unit_test(all_line_ends_end_a_record),
        cmocka_unit_test(blank_records_are_skipped),
        cmocka_unit_test(a_quote_within_a_plain_field_is_a_quote),
        cmocka_unit_test(hostile_files_are_refused_with_their_line),
        cmocka_unit_test(what_is_written_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
