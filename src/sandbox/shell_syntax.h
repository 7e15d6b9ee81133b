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

/* The name of PROGRAM when it is bare (the PATH decides) or lies directly in a folder of the system: "git" for "/usr/bin/git".
 * NULL for any other path: ./git and /bin/../tmp/git may be anything. */
const char *shell_program_name(const char *program);

#define SHELL_SCRIPT_MAX_BYTES ((size_t)64 << 10)

struct shell_script {
    struct vec commands; /* of struct str_list *: the words of each simple command */
};

/* False when TEXT is not plain; *WHY (may be NULL) then says in a few words what it has. OUT is the caller's to finish in
 * both cases. */
bool shell_script_parse(struct shell_script *out, const char *text, size_t n, const char **why);
void shell_script_finish(struct shell_script *script);

/* Calls ATTEMPT with the words of TEXT from each of them on, to the end: a command could begin there. Blanks and the characters
 * of the syntax part words, quotes and backslashes are left out. For looking for what must not run in a script that is not
 * plain: it finds too much (also what only stands in a string) rather than too little. WORDS is borrowed for the call. */
void shell_words_each(const char *text, size_t n, void (*attempt)(void *data, const struct str_list *words), void *data);

/* The commands that ARGV starts: those of the script for `bash -c SCRIPT` and its like (sh, dash, zsh, ksh; -c, -lc, -ec ...)
 * when it is plain, else ARGV itself as one command, and false. */
bool shell_commands_of(struct shell_script *out, const char *const *argv);

#endif
