/* ui/key_reader.h: bytes from a terminal as keys.
 *
 * Knows UTF-8, control characters, the escape sequences that xterm and its like send for cursor keys, and bracketed paste.
 * Bytes may come in any pieces. What is not understood is dropped, never taken for text. A lone escape waits for what
 * follows: when nothing does (the caller's timer), key_reader_flush() makes it the key Escape. */
#ifndef CADRE_UI_KEY_READER_H
#define CADRE_UI_KEY_READER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define KEY_PASTE_MAX_BYTES ((size_t)1 << 20) /* the rest of a longer paste is dropped */

enum key_code {
    KEY_TEXT,  /* what was typed: valid UTF-8 without control characters */
    KEY_PASTE, /* the same, with new lines and tabs */
    KEY_ENTER,
    KEY_NEWLINE, /* Alt-Enter, Ctrl-J: a line end within the text */
    KEY_TAB,
    KEY_BACKSPACE,
    KEY_DELETE,
    KEY_LEFT,
    KEY_RIGHT,
    KEY_UP,
    KEY_DOWN,
    KEY_HOME,
    KEY_END,
    KEY_WORD_LEFT,
    KEY_WORD_RIGHT,
    KEY_KILL_TO_END,
    KEY_KILL_TO_START,
    KEY_KILL_WORD,
    KEY_KILL_NEXT_WORD,
    KEY_YANK,
    KEY_CLEAR_SCREEN,
    KEY_INTERRUPT, /* Ctrl-C */
    KEY_END_OF_INPUT, /* Ctrl-D */
    KEY_SUSPEND,
    KEY_ESCAPE,
};

struct key {
    enum key_code code;
    const char *text; /* of KEY_TEXT and KEY_PASTE; borrowed for the callback */
    size_t len;
};

struct key_reader {
    struct buf pending;
    bool in_paste;
    void (*on_key)(void *data, const struct key *key);
    void *data;
};

void key_reader_init(struct key_reader *reader, void (*on_key)(void *data, const struct key *key), void *data);
void key_reader_finish(struct key_reader *reader);

void key_reader_feed(struct key_reader *reader, const char *bytes, size_t n);
/* An escape waits for what follows it. */
bool key_reader_is_waiting(const struct key_reader *reader);
void key_reader_flush(struct key_reader *reader);

#endif
