/* ui/prompt.h: a terminal that a person types at while a program writes.
 *
 *     what was written before (it scrolls away as on any terminal)
 *     the row of a stream that is not complete yet
 *     status                                                     -- while there is one
 *     › what is being typed, in as many rows as it takes
 *
 * What is below the written text is drawn anew after each change; nothing else of the screen is touched. The terminal is in
 * raw mode with bracketed paste while a prompt lives; prompt_destroy() gives it back as it was. Everything that is shown
 * is harmless: control characters of models and commands are made visible (base/utf8.h). */
#ifndef CADRE_UI_PROMPT_H
#define CADRE_UI_PROMPT_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct prompt;

struct prompt_options {
    struct loop *loop;
    bool color;
    void (*on_line)(void *data, char *text); /* Enter; TEXT is the callee's */
    void (*on_interrupt)(void *data);        /* Ctrl-C when nothing was typed; what was typed it takes away first */
    void (*on_escape)(void *data);           /* Escape when nothing was typed */
    void (*on_end)(void *data);              /* Ctrl-D when nothing was typed, or the terminal went away */
    /* Appends what TEXT may be completed to. May be NULL. */
    void (*on_complete)(void *data, const char *text, struct str_list *choices);
    void *data;
};

/* Takes standard input and standard output, which have to be a terminal. NULL with ERR set. */
struct prompt *prompt_create(const struct prompt_options *options, struct error *err);
void prompt_destroy(struct prompt *prompt); /* NULL is fine */

int prompt_columns(const struct prompt *prompt);
/* Earlier texts, for the arrow keys: oldest first. */
void prompt_remember(struct prompt *prompt, const char *text);

enum prompt_style { PROMPT_PLAIN, PROMPT_DIM, PROMPT_BOLD, PROMPT_BAD };

/* Writes TEXT (harmless or not) above what is being typed, with a new line at its end. */
void prompt_print(struct prompt *prompt, enum prompt_style style, const char *text);
/* Text that comes in pieces; wrapped at blanks. prompt_print() and the end finish its row. */
void prompt_stream(struct prompt *prompt, const char *text, size_t n);
void prompt_stream_end(struct prompt *prompt);

/* One row above the line; NULL: none. */
void prompt_set_status(struct prompt *prompt, const char *text);
/* A question that the next line answers: it stands in place of the mark, and what was being typed is put aside until there
 * is none (NULL) any more. */
void prompt_set_question(struct prompt *prompt, const char *question);

#endif
