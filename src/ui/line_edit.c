/* ui/line_edit.c: see line_edit.h. */
#include "ui/line_edit.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define HISTORY_MAX 500

void line_edit_finish(struct line_edit *e)
{
    buf_free(&e->text);
    str_list_finish(&e->history);
    free(e->killed);
    free(e->draft);
    *e = (struct line_edit){0};
}

void line_edit_set(struct line_edit *e, const char *text)
{
    struct buf fresh = BUF_INIT;

    utf8_append_repaired(&fresh, text, strlen(text));
    buf_free(&e->text);
    e->text = fresh;
    e->cursor = e->text.len;
}

void line_edit_remember(struct line_edit *e, const char *text)
{
    if (text[0] != '\0' && (e->history.len == 0 || strcmp(e->history.items[e->history.len - 1], text) != 0))
        str_list_add(&e->history, text);
    while (e->history.len > HISTORY_MAX)
        str_list_remove(&e->history, 0);
    e->history_at = e->history.len;
}

char *line_edit_take(struct line_edit *e)
{
    char *text = xstrdup(buf_cstr(&e->text));

    line_edit_remember(e, text);
    FREE_NULL(e->draft);
    line_edit_set(e, "");
    return text;
}

/* --- Places ------------------------------------------------------------------------------------------------------- */

static size_t before(const struct line_edit *e, size_t at)
{
    return at == 0 ? 0 : utf8_floor(e->text.data, e->text.len, at - 1);
}

static size_t after(const struct line_edit *e, size_t at)
{
    size_t n = at < e->text.len ? utf8_decode(e->text.data + at, e->text.len - at, NULL) : 0;

    return at + n;
}

static size_t line_start(const struct line_edit *e, size_t at)
{
    while (at > 0 && e->text.data[at - 1] != '\n')
        at--;
    return at;
}

static size_t line_end(const struct line_edit *e, size_t at)
{
    while (at < e->text.len && e->text.data[at] != '\n')
        at++;
    return at;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

static size_t word_left(const struct line_edit *e)
{
    size_t at = e->cursor;

    while (at > 0 && is_blank(e->text.data[at - 1]))
        at--;
    while (at > 0 && !is_blank(e->text.data[at - 1]))
        at--;
    return at;
}

static size_t word_right(const struct line_edit *e)
{
    size_t at = e->cursor;

    while (at < e->text.len && is_blank(e->text.data[at]))
        at++;
    while (at < e->text.len && !is_blank(e->text.data[at]))
        at++;
    return at;
}

static size_t characters(const struct line_edit *e, size_t from, size_t to)
{
    size_t n = 0;

    for (size_t at = from; at < to; at = after(e, at))
        n++;
    return n;
}

/* The place in the line that begins at START which is COLUMN characters in. */
static size_t place_in_line(const struct line_edit *e, size_t start, size_t column)
{
    size_t end = line_end(e, start);

    while (column-- > 0 && start < end)
        start = after(e, start);
    return start;
}

/* --- Changes ------------------------------------------------------------------------------------------------------ */

static void insert(struct line_edit *e, const char *text, size_t n)
{
    struct buf fresh = BUF_INIT;

    if (e->text.len + n > LINE_EDIT_MAX_BYTES)
        return;
    buf_append(&fresh, buf_cstr(&e->text), e->cursor);
    buf_append(&fresh, text, n);
    buf_append(&fresh, buf_cstr(&e->text) + e->cursor, e->text.len - e->cursor);
    buf_free(&e->text);
    e->text = fresh;
    e->cursor += n;
}

static void cut(struct line_edit *e, size_t from, size_t to, bool keeps)
{
    if (from >= to)
        return;
    if (keeps) {
        free(e->killed);
        e->killed = xstrndup(e->text.data + from, to - from);
    }
    memmove(e->text.data + from, e->text.data + to, e->text.len - to);
    buf_truncate(&e->text, e->text.len - (to - from));
    e->cursor = from;
}

static void show_history(struct line_edit *e, size_t index)
{
    if (e->history_at == e->history.len) {
        free(e->draft);
        e->draft = xstrdup(buf_cstr(&e->text));
    }
    e->history_at = index;
    line_edit_set(e, index == e->history.len ? (e->draft == NULL ? "" : e->draft) : e->history.items[index]);
}

static void go_up(struct line_edit *e)
{
    size_t start = line_start(e, e->cursor);

    if (start > 0)
        e->cursor = place_in_line(e, line_start(e, start - 1), characters(e, start, e->cursor));
    else if (e->history_at > 0)
        show_history(e, e->history_at - 1);
}

static void go_down(struct line_edit *e)
{
    size_t end = line_end(e, e->cursor);

    if (end < e->text.len)
        e->cursor = place_in_line(e, end + 1, characters(e, line_start(e, e->cursor), e->cursor));
    else if (e->history_at < e->history.len)
        show_history(e, e->history_at + 1);
}

bool line_edit_key(struct line_edit *e, const struct key *key)
{
    switch (key->code) {
    case KEY_TEXT:
    case KEY_PASTE:
        insert(e, key->text, key->len);
        return true;
    case KEY_NEWLINE:
        insert(e, "\n", 1);
        return true;
    case KEY_BACKSPACE:
        cut(e, before(e, e->cursor), e->cursor, false);
        return true;
    case KEY_DELETE:
        cut(e, e->cursor, after(e, e->cursor), false);
        return true;
    case KEY_LEFT:
        e->cursor = before(e, e->cursor);
        return true;
    case KEY_RIGHT:
        e->cursor = after(e, e->cursor);
        return true;
    case KEY_UP:
        go_up(e);
        return true;
    case KEY_DOWN:
        go_down(e);
        return true;
    case KEY_HOME:
        e->cursor = line_start(e, e->cursor);
        return true;
    case KEY_END:
        e->cursor = line_end(e, e->cursor);
        return true;
    case KEY_WORD_LEFT:
        e->cursor = word_left(e);
        return true;
    case KEY_WORD_RIGHT:
        e->cursor = word_right(e);
        return true;
    case KEY_KILL_TO_END:
        cut(e, e->cursor, line_end(e, e->cursor), true);
        return true;
    case KEY_KILL_TO_START:
        cut(e, line_start(e, e->cursor), e->cursor, true);
        return true;
    case KEY_KILL_WORD:
        cut(e, word_left(e), e->cursor, true);
        return true;
    case KEY_KILL_NEXT_WORD:
        cut(e, e->cursor, word_right(e), true);
        return true;
    case KEY_YANK:
        if (e->killed != NULL)
            insert(e, e->killed, strlen(e->killed));
        return true;
    case KEY_ENTER:
    case KEY_TAB:
    case KEY_CLEAR_SCREEN:
    case KEY_INTERRUPT:
    case KEY_END_OF_INPUT:
    case KEY_SUSPEND:
    case KEY_ESCAPE:
        return false;
    }
    return false;
}
