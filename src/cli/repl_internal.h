/* cli/repl_internal.h: what repl.c and repl_commands.c share; nobody else includes it. */
#ifndef CADRE_CLI_REPL_INTERNAL_H
#define CADRE_CLI_REPL_INTERNAL_H

#include "base/str.h"
#include "cli/main_session.h"
#include "cli/repl.h"
#include "ui/prompt.h"

#include <stdbool.h>
#include <stdint.h>

struct repl {
    struct cli_context *ctx;
    struct main_session_options session_options;
    struct main_session *session;
    struct prompt *prompt;
    struct fiber *fiber; /* the command's */
    struct fiber *turn;  /* while one runs */
    char *turn_text;     /* what it was begun with; NULL: what its agents have said */
    int64_t turn_began_ms;
    struct timer *tick;
    struct str_list queue; /* lines that wait for the end of the turn */
    char *question_id;     /* the approval that is asked for, or NULL */
    bool has_streamed;     /* of the message that comes in */
    bool is_stopping;      /* the turn was interrupted */
    bool wants_new;        /* /new */
    bool leaves;
    int64_t interrupted_ms; /* when Ctrl-C was last pressed */
    int exit_code;
};

void repl_say(struct repl *repl, enum prompt_style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void repl_leave(struct repl *repl, int exit_code);
void repl_wake(struct repl *repl);

/* --- repl_commands.c --- */

/* Is LINE a command (known or misspelt), not a text that begins with a path? */
bool repl_is_command(const char *line);
/* May it run while a turn does? */
bool repl_command_is_instant(const char *line);
/* Runs it. One that is not instant waits. */
void repl_command(struct repl *repl, const char *line);
void repl_complete(void *data, const char *text, struct str_list *choices);

#endif
