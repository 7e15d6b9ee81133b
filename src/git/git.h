/* git/git.h: the git command, with everything shut off that could run code of the repository.
 *
 * Every call disables hooks, fsmonitor, external diff, textconv, configured filters, pagers, editors, signing,
 * credential helpers, transports and submodule recursion, drops every GIT_* variable, and sets its own identity
 * and dates (from base/clock.h, so that the same script gives the same hashes). All functions wait in the current
 * fiber. Calls that change the repository go one after another (one writer a repository).
 *
 * Every call is a kill point of tests, before and after (base/kill_point.h). */
#ifndef CADRE_GIT_GIT_H
#define CADRE_GIT_GIT_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct git_repo;

/* Opens the repository that DIRECTORY is in. ERROR_REPOSITORY: no repository, bare, no commit yet, no git. */
struct git_repo *git_repo_open(struct loop *loop, const char *directory, struct error *err);
/* Commits made from now on carry this time (seconds since the epoch) instead of the clock's; 0: the clock's again. */
void git_repo_set_date(struct git_repo *repo, int64_t seconds);

void git_repo_close(struct git_repo *repo); /* NULL is fine */
const char *git_repo_toplevel(const struct git_repo *repo);
const char *git_repo_common_dir(const struct git_repo *repo); /* absolute ".git" */
struct loop *git_repo_loop(const struct git_repo *repo);

enum git_flags {
    GIT_WRITES = 1,   /* takes the writer's turn */
    GIT_MAY_FAIL = 2, /* a non-zero exit code is an answer, not an error */
};

struct git_call {
    const char *dir;          /* working directory; NULL: the repository's top level */
    const char *const *args;  /* after "git", NULL-terminated */
    const char *input;        /* standard input or NULL */
    size_t input_len;
    const char *const *env;   /* extra "K=V", NULL-terminated, or NULL */
    int flags;
};

/* Runs git. OUT (may be NULL) gets standard output. *EXIT_CODE may be NULL without GIT_MAY_FAIL. */
int git_call(struct git_repo *repo, const struct git_call *call, struct buf *out, int *exit_code,
             struct error *err);

/* The same with the arguments in the call: git_run(repo, flags, dir, &out, err, "rev-parse", "HEAD", NULL). */
int git_run(struct git_repo *repo, int flags, const char *dir, struct buf *out, struct error *err, ...)
    __attribute__((sentinel));

/* Commit id of HEAD, and the checked-out branch (NULL when detached). Caller frees. */
int git_head(struct git_repo *repo, char **commit, char **branch, struct error *err);
/* Full id that REV names; ERROR_NOT_FOUND when none. */
int git_resolve(struct git_repo *repo, const char *rev, char **commit, struct error *err);
int git_tree_of(struct git_repo *repo, const char *commit, char **tree, struct error *err);
/* Is ANCESTOR reachable from COMMIT? */
int git_is_ancestor(struct git_repo *repo, const char *ancestor, const char *commit, bool *answer,
                    struct error *err);

/* Sets branch NAME to COMMIT; with EXPECTED, only when it points there now ("" : only when it is new). */
int git_branch_set(struct git_repo *repo, const char *name, const char *commit, const char *expected,
                   struct error *err);
/* Deletes branch NAME only when it points to COMMIT. */
int git_branch_delete(struct git_repo *repo, const char *name, const char *commit, struct error *err);
int git_ref_set(struct git_repo *repo, const char *ref, const char *commit, struct error *err);
/* Deletes every ref below PREFIX + NAME + "/". */
int git_refs_delete(struct git_repo *repo, const char *prefix, const char *name, struct error *err);

#endif
