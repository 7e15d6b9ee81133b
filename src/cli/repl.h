/* cli/repl.h: an interactive session at a terminal: the main thread with its agents, asked line by line.
 *
 *             line                    turn over
 *   IDLE -------------> TURN ----------------------> IDLE      children that end begin a turn by themselves
 *    |                   |  a line goes with the turn; Ctrl-C or Escape stops it and its agents
 *    +-- /command        +-- Ctrl-C twice leaves, as Ctrl-D and /quit do when nothing runs
 *
 * The keyboard is served by callbacks, a turn is a fiber of its own, and what else waits is done by the command's fiber. */
#ifndef CADRE_CLI_REPL_H
#define CADRE_CLI_REPL_H

#include "base/error.h"

struct cli_context;
struct session_head;

struct repl_options {
    const char *role; /* NULL: as main_session_options */
    const struct session_head *resumed; /* NULL: a new session */
};

/* Waits until the person leaves. The exit code of the program; -1 with ERR set when it could not begin: also without a
 * terminal (ERROR_USAGE). */
int repl_run(struct cli_context *ctx, const struct repl_options *options, struct error *err);
/* The same for the session ID, or with NULL for the one of this folder that was used last. Says what is wrong. */
int repl_resume(struct cli_context *ctx, const char *id);

#endif
