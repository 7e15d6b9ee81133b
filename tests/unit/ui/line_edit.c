/* Bytes of a terminal become keys in whatever pieces they come, and keys become a text. */
#include "test.h"

#include "ui/line_edit.h"

#include <stdlib.h>
#include <string.h>

struct world {
    struct key_reader reader;
    struct line_edit edit;
    int others[KEY_ESCAPE + 1]; /* keys that are none of editing */
};

static void on_key(void *data, const struct key *key)
{
    struct world *w = data;

    if (!line_edit_key(&w->edit, key))
        w->others[key->code]++;
}

static void begin(struct world *w)
{
    *w = (struct world){0};
    key_reader_init(&w->reader, on_key, w);
}

static void type(struct world *w, const char *bytes)
{
    key_reader_feed(&w->reader, bytes, strlen(bytes));
}

static void end_with(struct world *w, const char *text)
{
    assert_string_equal(buf_cstr(&w->edit.text), text);
    key_reader_finish(&w->reader);
    line_edit_finish(&w->edit);
}

static void text_is_inserted_at_the_cursor(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    type(&w, "wörld\x01hello\x1b[D\x1b[C, \x1b[H>\x1b[F!");
    end_with(&w, ">hello, wörld!");
}

static void whole_characters_are_removed(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    type(&w, "aé漢\x7f\x7f" "b\x01\x1b[3~");
    end_with(&w, "b");
}

static void words_are_cut_and_brought_back(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    type(&w, "one two three\x17\x17\x19\x1b[1;5D\x0b" "end\x15\x19\x19");
    end_with(&w, "one endone end");
}

static void a_paste_keeps_its_lines_and_loses_its_controls(void **state)
{
    static const char bytes[] = "\x1b[200~one\r\ntwo\rthree\x03\x1b[A\x07\tfour\x1b[201~.";
    struct world w;

    (void)state;
    for (size_t cut = 0; cut < sizeof bytes - 1; cut++) { /* in two pieces, cut anywhere */
        begin(&w);
        key_reader_feed(&w.reader, bytes, cut);
        key_reader_feed(&w.reader, bytes + cut, sizeof bytes - 1 - cut);
        assert_int_equal(w.others[KEY_INTERRUPT], 0);
        assert_int_equal(w.others[KEY_ENTER], 0);
        end_with(&w, "one\ntwo\nthree[A\tfour.");
    }
}

static void a_huge_paste_is_cut_and_ends(void **state)
{
    static char chunk[65536];
    struct world w;

    (void)state;
    memset(chunk, 'x', sizeof chunk);
    begin(&w);
    type(&w, "\x1b[200~");
    for (int i = 0; i < 64; i++)
        key_reader_feed(&w.reader, chunk, sizeof chunk);
    type(&w, "\x1b[20");
    type(&w, "1~end");
    assert_int_equal(w.edit.text.len, KEY_PASTE_MAX_BYTES + 3);
    assert_string_equal(w.edit.text.data + w.edit.text.len - 3, "end");
    key_reader_finish(&w.reader);
    line_edit_finish(&w.edit);
}

static void unknown_sequences_are_no_text(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    type(&w, "a\x1b[?2026;1$y" "b\x1bO" "Pc\x1b[99;99~d\x1bz" "e\xff" "f\xc3");
    type(&w, "\xa9g\xc2\x9b" "h");
    end_with(&w, "abcdefégh");
}

static void a_lone_escape_waits(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    type(&w, "\x1b");
    assert_true(key_reader_is_waiting(&w.reader));
    assert_int_equal(w.others[KEY_ESCAPE], 0);
    key_reader_flush(&w.reader);
    assert_int_equal(w.others[KEY_ESCAPE], 1);
    type(&w, "\r\x03\x04\x1a\t");
    assert_int_equal(w.others[KEY_ENTER] + w.others[KEY_INTERRUPT] + w.others[KEY_END_OF_INPUT] + w.others[KEY_SUSPEND] +
                         w.others[KEY_TAB],
                     5);
    end_with(&w, "");
}

static void arrows_go_through_lines_then_history(void **state)
{
    struct world w;
    char *taken;

    (void)state;
    begin(&w);
    line_edit_remember(&w.edit, "old");
    type(&w, "first\nsecond");
    taken = line_edit_take(&w.edit);
    assert_string_equal(taken, "first\nsecond");
    free(taken);
    type(&w, "draft\x1b[A");
    assert_string_equal(buf_cstr(&w.edit.text), "first\nsecond");
    type(&w, "\x1b[A|");
    assert_string_equal(buf_cstr(&w.edit.text), "first|\nsecond");
    type(&w, "\x1b[A");
    assert_string_equal(buf_cstr(&w.edit.text), "old");
    type(&w, "\x1b[A\x1b[B\x1b[B\x1b[B");
    end_with(&w, "draft");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_inserted_at_the_cursor),
        cmocka_unit_test(whole_characters_are_removed),
        cmocka_unit_test(words_are_cut_and_brought_back),
        cmocka_unit_test(a_paste_keeps_its_lines_and_loses_its_controls),
        cmocka_unit_test(a_huge_paste_is_cut_and_ends),
        cmocka_unit_test(unknown_sequences_are_no_text),
        cmocka_unit_test(a_lone_escape_waits),
        cmocka_unit_test(arrows_go_through_lines_then_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
