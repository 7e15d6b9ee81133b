/* fuzz/fuzz_keys.c: bytes of a terminal, and the text that is typed with them. */
#include "base/utf8.h"
#include "ui/line_edit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_key(void *data, const struct key *key)
{
    struct line_edit *edit = data;

    if ((key->code == KEY_TEXT || key->code == KEY_PASTE) &&
        (!utf8_is_valid(key->text, key->len) || memchr(key->text, '\x1b', key->len) != NULL))
        abort(); /* what is typed is text */
    if (!line_edit_key(edit, key) && key->code == KEY_ENTER)
        free(line_edit_take(edit));
    if (edit->cursor > edit->text.len || !utf8_is_valid(buf_cstr(&edit->text), edit->text.len) ||
        (edit->cursor < edit->text.len && ((unsigned char)edit->text.data[edit->cursor] & 0xc0) == 0x80))
        abort(); /* the cursor stands before a character */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key_reader reader;
    struct line_edit edit = {0};
    size_t cut = size > 0 ? data[0] % size : 0;

    key_reader_init(&reader, on_key, &edit);
    key_reader_feed(&reader, (const char *)data, cut);
    key_reader_feed(&reader, (const char *)data + cut, size - cut);
    key_reader_flush(&reader);
    key_reader_finish(&reader);
    line_edit_finish(&edit);
    return 0;
}
