/* ui/prompt.c: see prompt.h. */
#include "ui/prompt.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/utf8.h"
#include "io/loop.h"
#include "ui/key_reader.h"
#include "ui/line_edit.h"
#include "ui/text.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define MARK          "› "
#define INDENT        "  "
#define ESCAPE_WAIT_MS 50
#define TAB_COLUMNS   4

struct prompt {
    struct prompt_options options;
    struct termios saved;
    bool is_raw;
    struct watch *input;
    struct signal_watch *resize;
    struct timer *escape;
    struct key_reader keys;
    struct line_edit edit;
    char *question;   /* or NULL */
    char *put_aside;  /* what was typed when it was asked */
    char *status;     /* or NULL */
    struct buf tail;  /* of a stream: the start of a character that is not complete */
    struct buf row;   /* of a stream: its last row, harmless */
    int row_columns;
    int columns, rows;
    int cursor_row; /* rows between the top of what is drawn and the cursor */
    bool is_drawn;
};

/* --- The terminal ------------------------------------------------------------------------------------------------- */

static void write_out(const struct buf *b)
{
    if (b->len > 0)
        (void)file_write_all(STDOUT_FILENO, b->data, b->len);
}

static void measure(struct prompt *p)
{
    struct winsize size;

    p->columns = 80;
    p->rows = 24;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        p->columns = size.ws_col < 20 ? 20 : size.ws_col;
        p->rows = size.ws_row;
    }
}

static int set_raw(struct prompt *p, struct error *err)
{
    static const char paste_on[] = "\x1b[?2004h";
    struct termios raw = p->saved;

    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL | INLCR | ISTRIP);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        return error_set_errno(err, "the terminal");
    (void)file_write_all(STDOUT_FILENO, paste_on, sizeof paste_on - 1);
    p->is_raw = true;
    return 0;
}

static void set_back(struct prompt *p)
{
    static const char paste_off[] = "\x1b[?2004l";

    if (!p->is_raw)
        return;
    (void)file_write_all(STDOUT_FILENO, paste_off, sizeof paste_off - 1);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &p->saved);
    p->is_raw = false;
}

/* --- Drawing ------------------------------------------------------------------------------------------------------ */

static void erase(struct prompt *p, struct buf *out)
{
    if (!p->is_drawn)
        return;
    buf_putc(out, '\r');
    if (p->cursor_row > 0)
        buf_printf(out, "\x1b[%dA", p->cursor_row);
    buf_puts(out, "\x1b[J");
    p->is_drawn = false;
    p->cursor_row = 0;
}

/* Rows of the text that is typed, and where the cursor is in them. */
struct layout {
    struct str_list rows;
    struct buf row;
    int columns;
    size_t cursor_row;
    int cursor_column;
};

static void next_row(struct layout *l)
{
    str_list_take(&l->rows, buf_take(&l->row));
    buf_puts(&l->row, INDENT);
    l->columns = (int)strlen(INDENT);
}

static void lay_out(const struct prompt *p, const char *label, struct layout *l)
{
    const char *text = buf_cstr(&p->edit.text);

    buf_puts(&l->row, label);
    l->columns = text_width(label);
    for (size_t at = 0;; ) {
        int width = 0;
        size_t n;

        if (at == p->edit.cursor) {
            l->cursor_row = l->rows.len;
            l->cursor_column = l->columns;
        }
        if (text[at] == '\0')
            break;
        if (text[at] == '\n') {
            next_row(l);
            at++;
            continue;
        }
        n = text[at] == '\t' ? 1 : text_grapheme(text + at, &width);
        if (text[at] == '\t')
            width = TAB_COLUMNS;
        if (l->columns + width > p->columns - 1) {
            next_row(l);
            if (at == p->edit.cursor) {
                l->cursor_row = l->rows.len;
                l->cursor_column = l->columns;
            }
        }
        if (text[at] == '\t')
            buf_printf(&l->row, "%*s", TAB_COLUMNS, "");
        else
            utf8_append_printable(&l->row, text + at, n, false);
        l->columns += width;
        at += n;
    }
    str_list_take(&l->rows, buf_take(&l->row));
}

static void append_styled(const struct prompt *p, struct buf *out, enum prompt_style style, const char *text)
{
    static const char *const on[] = {
        [PROMPT_PLAIN] = "", [PROMPT_DIM] = "\x1b[2m", [PROMPT_BOLD] = "\x1b[1m", [PROMPT_BAD] = "\x1b[31m"};

    if (p->options.color && on[style][0] != '\0')
        buf_printf(out, "%s%s\x1b[0m", on[style], text);
    else
        buf_puts(out, text);
}

/* At most half of the screen is taken by what is typed: the rows around the cursor. */
static void draw_typed(struct prompt *p, struct buf *out)
{
    const char *label = p->question != NULL ? p->question : MARK;
    size_t most = p->rows / 2 > 3 ? (size_t)p->rows / 2 : 3;
    struct layout l = {0};
    size_t first = 0;
    size_t last;

    lay_out(p, label, &l);
    if (l.rows.len > most && l.cursor_row >= most / 2)
        first = l.cursor_row - most / 2;
    if (first + most > l.rows.len)
        first = l.rows.len > most ? l.rows.len - most : 0;
    last = first + most < l.rows.len ? first + most : l.rows.len;
    for (size_t i = first; i < last; i++)
        buf_printf(out, "%s%s", i > first ? "\n" : "", l.rows.items[i]);
    p->cursor_row += (int)(l.cursor_row - first);
    if (last - 1 > l.cursor_row)
        buf_printf(out, "\x1b[%zuA", last - 1 - l.cursor_row);
    buf_printf(out, "\r\x1b[%dC", l.cursor_column);
    str_list_finish(&l.rows);
}

static void draw(struct prompt *p, struct buf *out)
{
    if (p->row.len > 0) {
        buf_printf(out, "%s\n", p->row.data);
        p->cursor_row++;
    }
    if (p->status != NULL) {
        struct buf fitted = BUF_INIT;

        text_append_fitted(&fitted, p->status, p->columns - 1);
        append_styled(p, out, PROMPT_DIM, buf_cstr(&fitted));
        buf_putc(out, '\n');
        buf_free(&fitted);
        p->cursor_row++;
    }
    draw_typed(p, out);
    p->is_drawn = true;
}

static void redraw(struct prompt *p)
{
    struct buf out = BUF_INIT;

    erase(p, &out);
    draw(p, &out);
    write_out(&out);
    buf_free(&out);
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */

static void end_row(struct prompt *p, struct buf *out)
{
    buf_append(out, buf_cstr(&p->row), p->row.len);
    buf_putc(out, '\n');
    buf_clear(&p->row);
    p->row_columns = 0;
}

/* The row is full: its last word goes to the next, if it has a blank at all. */
static void wrap_row(struct prompt *p, struct buf *out)
{
    char *blank = p->row.len > 0 ? memrchr(p->row.data, ' ', p->row.len) : NULL;
    char *word = blank == NULL || blank == p->row.data ? xstrdup("") : xstrdup(blank + 1);

    if (word[0] != '\0')
        buf_truncate(&p->row, (size_t)(blank - p->row.data));
    end_row(p, out);
    buf_puts(&p->row, word);
    p->row_columns = text_width(word);
    free(word);
}

/* Harmless text into rows of the stream; those that are complete go to OUT. */
static void add_to_rows(struct prompt *p, const char *text, struct buf *out)
{
    while (*text != '\0') {
        int width = 0;
        size_t n = 1;

        if (*text == '\n') {
            end_row(p, out);
            text++;
            continue;
        }
        if (*text == '\t')
            width = TAB_COLUMNS;
        else
            n = text_grapheme(text, &width);
        if (p->row_columns + width > p->columns - 1)
            wrap_row(p, out);
        if (*text == '\t')
            buf_printf(&p->row, "%*s", TAB_COLUMNS, "");
        else
            buf_append(&p->row, text, n);
        p->row_columns += width;
        text += n;
    }
}

/* How many bytes at the end of TEXT begin a character that is not complete. */
static size_t cut_bytes(const char *text, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)text[n - back];

        if ((c & 0xc0) == 0x80)
            continue;
        return (c >= 0xf0 && back < 4) || (c >= 0xe0 && back < 3) || (c >= 0xc2 && back < 2) ? back : 0;
    }
    return 0;
}

void prompt_stream(struct prompt *p, const char *text, size_t n)
{
    struct buf out = BUF_INIT;
    struct buf clean = BUF_INIT;
    size_t whole;

    buf_append(&p->tail, text, n);
    whole = p->tail.len - cut_bytes(buf_cstr(&p->tail), p->tail.len);
    utf8_append_printable(&clean, buf_cstr(&p->tail), whole, true);
    buf_consume(&p->tail, whole);
    erase(p, &out);
    add_to_rows(p, buf_cstr(&clean), &out);
    draw(p, &out);
    write_out(&out);
    buf_free(&clean);
    buf_free(&out);
}

static void finish_stream(struct prompt *p, struct buf *out)
{
    if (p->row.len > 0)
        end_row(p, out);
    buf_clear(&p->tail);
}

void prompt_stream_end(struct prompt *p)
{
    struct buf out = BUF_INIT;

    erase(p, &out);
    finish_stream(p, &out);
    draw(p, &out);
    write_out(&out);
    buf_free(&out);
}

void prompt_print(struct prompt *p, enum prompt_style style, const char *text)
{
    struct buf out = BUF_INIT;
    struct buf clean = BUF_INIT;
    struct buf rows = BUF_INIT;
    size_t n = strlen(text);

    while (n > 0 && text[n - 1] == '\n')
        n--;
    erase(p, &out);
    finish_stream(p, &out);
    utf8_append_printable(&clean, text, n, true);
    add_to_rows(p, buf_cstr(&clean), &rows);
    end_row(p, &rows);
    append_styled(p, &out, style, rows.data);
    draw(p, &out);
    write_out(&out);
    buf_free(&rows);
    buf_free(&clean);
    buf_free(&out);
}

void prompt_set_status(struct prompt *p, const char *text)
{
    if (str_eq(p->status, text))
        return;
    free(p->status);
    p->status = xstrdup(text);
    redraw(p);
}

void prompt_set_question(struct prompt *p, const char *question)
{
    if (str_eq(p->question, question))
        return;
    if (p->question == NULL) {
        p->put_aside = xstrdup(buf_cstr(&p->edit.text));
        line_edit_set(&p->edit, "");
    } else if (question == NULL) {
        line_edit_set(&p->edit, p->put_aside);
        FREE_NULL(p->put_aside);
    } else {
        line_edit_set(&p->edit, "");
    }
    free(p->question);
    p->question = xstrdup(question);
    redraw(p);
}

/* --- Keys --------------------------------------------------------------------------------------------------------- */

static void suspend(struct prompt *p)
{
    struct buf out = BUF_INIT;

    erase(p, &out);
    write_out(&out);
    buf_free(&out);
    set_back(p);
    (void)kill(0, SIGTSTP);
    /* Here the shell has brought us back. */
    (void)set_raw(p, NULL);
    measure(p);
    redraw(p);
}

static void submit(struct prompt *p)
{
    char *text = p->question == NULL ? line_edit_take(&p->edit) : xstrdup(buf_cstr(&p->edit.text));

    if (p->question != NULL)
        line_edit_set(&p->edit, "");
    redraw(p);
    p->options.on_line(p->options.data, text);
}

static void complete(struct prompt *p)
{
    struct str_list choices = {0};
    struct buf line = BUF_INIT;

    if (p->options.on_complete != NULL && p->question == NULL)
        p->options.on_complete(p->options.data, buf_cstr(&p->edit.text), &choices);
    if (choices.len == 1) {
        line_edit_set(&p->edit, choices.items[0]);
        redraw(p);
    } else if (choices.len > 1) {
        for (size_t i = 0; i < choices.len; i++)
            buf_printf(&line, "%s%s", i > 0 ? "  " : "", choices.items[i]);
        prompt_print(p, PROMPT_DIM, line.data);
    }
    str_list_finish(&choices);
    buf_free(&line);
}

static void on_key(void *data, const struct key *key)
{
    struct prompt *p = data;
    bool is_empty = p->edit.text.len == 0;
    static const char clear[] = "\x1b[2J\x1b[H";

    if (line_edit_key(&p->edit, key)) {
        redraw(p);
        return;
    }
    if (key->code == KEY_ENTER) {
        submit(p);
    } else if (key->code == KEY_TAB) {
        complete(p);
    } else if (key->code == KEY_INTERRUPT && !is_empty) {
        line_edit_set(&p->edit, "");
        redraw(p);
    } else if (key->code == KEY_INTERRUPT) {
        p->options.on_interrupt(p->options.data);
    } else if (key->code == KEY_ESCAPE && is_empty) {
        p->options.on_escape(p->options.data);
    } else if (key->code == KEY_END_OF_INPUT && is_empty) {
        p->options.on_end(p->options.data);
    } else if (key->code == KEY_END_OF_INPUT) {
        (void)line_edit_key(&p->edit, &(struct key){.code = KEY_DELETE});
        redraw(p);
    } else if (key->code == KEY_CLEAR_SCREEN) {
        (void)file_write_all(STDOUT_FILENO, clear, sizeof clear - 1);
        p->is_drawn = false;
        p->cursor_row = 0;
        redraw(p);
    } else if (key->code == KEY_SUSPEND) {
        suspend(p);
    }
}

static void on_escape_wait(void *data)
{
    struct prompt *p = data;

    p->escape = NULL;
    key_reader_flush(&p->keys);
}

static void on_readable(void *data, int events)
{
    struct prompt *p = data;
    char bytes[4096];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);

    (void)events;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) { /* the terminal is gone */
        watch_stop(p->input);
        p->input = NULL;
        p->options.on_end(p->options.data);
        return;
    }
    timer_cancel(p->escape);
    p->escape = NULL;
    key_reader_feed(&p->keys, bytes, (size_t)n);
    if (key_reader_is_waiting(&p->keys))
        p->escape = timer_start(p->options.loop, ESCAPE_WAIT_MS, on_escape_wait, p);
}

static void on_resize(void *data, int signum)
{
    struct prompt *p = data;

    (void)signum;
    measure(p);
    redraw(p);
}

/* --- Life --------------------------------------------------------------------------------------------------------- */

struct prompt *prompt_create(const struct prompt_options *options, struct error *err)
{
    struct prompt *p = xcalloc(1, sizeof *p);

    p->options = *options;
    if (tcgetattr(STDIN_FILENO, &p->saved) < 0) {
        error_set_errno(err, "the terminal");
        free(p);
        return NULL;
    }
    if (set_raw(p, err) < 0) {
        free(p);
        return NULL;
    }
    key_reader_init(&p->keys, on_key, p);
    measure(p);
    p->input = watch_start(options->loop, STDIN_FILENO, WATCH_READ, on_readable, p);
    p->resize = signal_watch_start(options->loop, SIGWINCH, on_resize, p);
    redraw(p);
    return p;
}

void prompt_destroy(struct prompt *p)
{
    struct buf out = BUF_INIT;

    if (p == NULL)
        return;
    if (p->input != NULL)
        watch_stop(p->input);
    signal_watch_stop(p->resize);
    timer_cancel(p->escape);
    erase(p, &out);
    finish_stream(p, &out);
    write_out(&out);
    buf_free(&out);
    set_back(p);
    key_reader_finish(&p->keys);
    line_edit_finish(&p->edit);
    buf_free(&p->tail);
    buf_free(&p->row);
    free(p->question);
    free(p->put_aside);
    free(p->status);
    free(p);
}

int prompt_columns(const struct prompt *p)
{
    return p->columns;
}

void prompt_remember(struct prompt *p, const char *text)
{
    line_edit_remember(&p->edit, text);
}
