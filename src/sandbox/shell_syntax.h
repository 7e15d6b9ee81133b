/* sandbox/shell_syntax.h: which programs a shell script starts, for scripts plain enough to be sure.
 *
 * Plain is a list of simple commands joined by `&&`, `||`, `;`, `|` and new lines, whose words are literal: quotes and
 * backslashes are resolved, but nothing is expanded. A script with anything else (substitutions, variables, assignments,
 * redirections other than to /dev/null and between descriptors, subshells, compound commands, background jobs,
 * here-documents, patterns that could turn into options) is not plain, and nothing is said about it: who decides by its
 * commands must treat it as unknown. POSIX Shell Command Language, 2.2 to 2.10. */
#ifndef CADRE_SANDBOX_SHELL_SYNTAX_H
#define CADRE_SANDBOX_SHELL_SYNTAX_H

#include "base/str.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>

#define SHELL_SCRIPT_MAX_BYTES ((size_t)64 << 10)

struct shell_script {
    struct vec commands; /* of struct str_list *: the words of each simple command */
};

/* False when TEXT is not plain; *WHY (may be NULL) then says in a few words what it has. OUT is the caller's to finish in
 * both cases. */
bool shell_script_parse(struct shell_script *out, const char *text, size_t n, const char **why);
void shell_script_finish(struct shell_script *script);

/* The commands that ARGV starts: those of the script for `bash -c SCRIPT` and its like (sh, dash, zsh, ksh; -c, -lc, -ec ...)
 * when it is plain, else ARGV itself as one command, and false. */
bool shell_commands_of(struct shell_script *out, const char *const *argv);

#endif
