/* ui/line_edit.h: the text that a person is typing: a cursor in it, what was cut, and earlier texts to go back to. Knows
 * no terminal; ui/prompt.h draws it. */
#ifndef CADRE_UI_LINE_EDIT_H
#define CADRE_UI_LINE_EDIT_H

#include "base/str.h"
#include "ui/key_reader.h"

#define LINE_EDIT_MAX_BYTES ((size_t)4 << 20)

struct line_edit {
    struct buf text; /* may hold new lines */
    size_t cursor;   /* a byte, at the start of a character */
    char *killed;    /* what was cut last, or NULL */
    struct str_list history; /* oldest first */
    size_t history_at;       /* history.len: the text that is being typed */
    char *draft;             /* that text, while an earlier one is shown */
};

void line_edit_finish(struct line_edit *edit);

/* Does what KEY says; false when it is no key of editing (Enter, Ctrl-C, Tab ...). */
bool line_edit_key(struct line_edit *edit, const struct key *key);
void line_edit_set(struct line_edit *edit, const char *text); /* the cursor goes behind it */
/* The text, and an empty line in its place; not empty ones become the newest of the history. The caller frees. */
char *line_edit_take(struct line_edit *edit);
void line_edit_remember(struct line_edit *edit, const char *text);

#endif
