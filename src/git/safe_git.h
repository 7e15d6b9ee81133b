/* git/safe_git.h: what each call of git by the engine has in common: no program of a repository's runs by it. git/git.h builds on
 * this; what only asks (CI's listings) and has no repository open asks by git_ask(). */
#ifndef CADRE_GIT_SAFE_GIT_H
#define CADRE_GIT_SAFE_GIT_H

#include "base/error.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct loop;
struct process_result;

/* "git" and the settings ("-c", "key=value") that hold whatever the repository or the user configured. */
void git_safe_words(struct str_list *argv);

/* The environment: ours without secrets, without GIT_* variables, and with a PATH in which nothing relative, below the
 * current folder or below INSIDE (may be NULL) is left: programs there can be an agent's. */
void git_safe_env(const char *inside, struct str_list *env);

struct git_question {
    const char *dir;         /* working directory; NULL: the current one */
    const char *const *args; /* after "git", NULL-terminated */
    uint64_t timeout_ms;
    size_t max_output_bytes; /* 0: what process_run() allows */
};

/* Asks git; as process_run(). */
int git_ask(struct loop *loop, const struct git_question *question, struct process_result *result, struct error *err);

#endif
