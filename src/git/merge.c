/* git/merge.c: see merge.h. */
#include "git/merge.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/str.h"
#include "git/git.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SIDE_BYTES     8000
#define MAX_CONFLICT_FILES 50

void merge_result_finish(struct merge_result *result)
{
    if (result == NULL)
        return;
    free(result->tree);
    for (size_t i = 0; i < result->conflict_count; i++) {
        free(result->conflicts[i].path);
        free(result->conflicts[i].ours);
        free(result->conflicts[i].theirs);
    }
    free(result->conflicts);
    *result = (struct merge_result){0};
}

static char *file_text(struct git_repo *repo, const char *commit, const char *path)
{
    char *spec = xasprintf("%s:%s", commit, path);
    const char *args[] = {"cat-file", "blob", spec, NULL};
    struct git_call call = {.args = args, .flags = GIT_MAY_FAIL};
    struct buf out = BUF_INIT;
    int code = 0;
    char *text = NULL;

    if (git_call(repo, &call, &out, &code, NULL) == 0 && code == 0) {
        buf_truncate(&out, MAX_SIDE_BYTES);
        text = buf_take(&out);
    }
    buf_free(&out);
    free(spec);
    return text;
}

static void add_conflict(struct git_repo *repo, struct merge_result *result, const char *path, const char *ours,
                         const char *theirs)
{
    for (size_t i = 0; i < result->conflict_count; i++)
        if (strcmp(result->conflicts[i].path, path) == 0)
            return;
    if (result->conflict_count >= MAX_CONFLICT_FILES)
        return;
    result->conflicts =
        xrealloc(result->conflicts, (result->conflict_count + 1) * sizeof *result->conflicts);
    result->conflicts[result->conflict_count++] = (struct merge_conflict){
        .path = xstrdup(path), .ours = file_text(repo, ours, path), .theirs = file_text(repo, theirs, path)};
}

int merge_trees(struct git_repo *repo, const char *ours, const char *theirs, struct merge_result *result,
                struct error *err)
{
    const char *args[] = {"merge-tree", "--write-tree", "-z", "--no-messages", ours, theirs, NULL};
    struct git_call call = {.args = args, .flags = GIT_WRITES | GIT_MAY_FAIL};
    struct buf out = BUF_INIT;
    int code = 0;

    if (git_call(repo, &call, &out, &code, err) < 0) {
        buf_free(&out);
        return -1;
    }
    if (code > 1 || code < 0 || out.len == 0) {
        buf_free(&out);
        return error_set(err, ERROR_REPOSITORY, "git merge-tree fails on %.12s and %.12s (exit code %d)", ours, theirs,
                         code);
    }
    result->is_clean = code == 0;
    if (result->is_clean) {
        result->tree = xstrndup(out.data, strcspn(out.data, "\n"));
    } else {
        /* "<tree>\0" then "<mode> <object> <stage>\t<path>\0" for each side of each conflict. */
        for (size_t i = strlen(out.data) + 1; i < out.len; i += strlen(out.data + i) + 1) {
            const char *tab = strchr(out.data + i, '\t');

            if (tab != NULL)
                add_conflict(repo, result, tab + 1, ours, theirs);
        }
    }
    buf_free(&out);
    return 0;
}

static int commit_tree(struct git_repo *repo, const char *tree, const char *first, const char *second,
                       const char *message, char **commit, struct error *err)
{
    const char *args[] = {"commit-tree", tree, "-p", first, second == NULL ? NULL : "-p", second, NULL};
    char *clean = redact_copy(message);
    struct git_call call = {.args = args, .input = clean, .input_len = strlen(clean), .flags = GIT_WRITES};
    struct buf out = BUF_INIT;
    int rc = git_call(repo, &call, &out, NULL, err);

    *commit = rc == 0 ? xstrndup(out.data, strcspn(out.data, "\n")) : NULL;
    free(clean);
    buf_free(&out);
    return rc;
}

int merge_commits(struct git_repo *repo, const char *ours, const char *theirs, const char *message,
                  struct merge_result *result, char **commit, struct error *err)
{
    *commit = NULL;
    if (merge_trees(repo, ours, theirs, result, err) < 0)
        return -1;
    if (!result->is_clean)
        return 0;
    return commit_tree(repo, result->tree, ours, theirs, message, commit, err);
}

/* --- Merge back ------------------------------------------------------------------------------------------------ */

/* The working directory where BRANCH is checked out; NULL when nowhere. */
static char *find_checkout(struct git_repo *repo, const char *branch, struct error *err)
{
    struct buf out = BUF_INIT;
    char *wanted = xasprintf("branch refs/heads/%s", branch);
    const char *dir = NULL;
    char *found = NULL;

    if (git_run(repo, 0, NULL, &out, err, "worktree", "list", "--porcelain", "-z", NULL) == 0) {
        for (size_t i = 0; i < out.len && found == NULL; i += strlen(out.data + i) + 1) {
            const char *row = out.data + i;

            if (str_starts_with(row, "worktree "))
                dir = row + 9;
            else if (strcmp(row, wanted) == 0 && dir != NULL)
                found = xstrdup(dir);
        }
    }
    free(wanted);
    buf_free(&out);
    return found;
}

/* What the branch is to point to: COMMIT itself, or one more commit with the same tree. */
static int make_final(struct git_repo *repo, const struct merge_back_options *o, char **final, struct error *err)
{
    char *tree = NULL;
    int rc;

    if (o->strategy == MERGE_BACK_FF) {
        *final = xstrdup(o->commit);
        return 0;
    }
    if (git_tree_of(repo, o->commit, &tree, err) < 0)
        return -1;
    rc = commit_tree(repo, tree, o->base, o->strategy == MERGE_BACK_MERGE ? o->commit : NULL, o->message, final, err);
    free(tree);
    return rc;
}

static int check_clean(struct git_repo *repo, const char *dir, const char *branch, struct error *err)
{
    struct buf out = BUF_INIT;
    int rc = git_run(repo, 0, dir, &out, err, "status", "--porcelain", "--untracked-files=no",
                     "--ignore-submodules=none", NULL);

    if (rc == 0 && out.len > 0) {
        out.data[strcspn(out.data, "\n")] = '\0';
        rc = error_set(err, ERROR_REPOSITORY, "%s has uncommitted changes on %s (%s ...)", dir, branch,
                       out.data + (strlen(out.data) > 3 ? 3 : 0));
        error_hint(err, "commit or stash them");
    }
    buf_free(&out);
    return rc;
}

/* The bytes of PATH in COMMIT into OUT; false when it has no such file. */
static bool read_blob(struct git_repo *repo, const char *commit, const char *path, struct buf *out)
{
    char *spec = xasprintf("%s:%s", commit, path);
    const char *args[] = {"cat-file", "blob", spec, NULL};
    struct git_call call = {.args = args, .flags = GIT_MAY_FAIL};
    int code = 0;
    bool found = git_call(repo, &call, out, &code, NULL) == 0 && code == 0;

    free(spec);
    return found;
}

/* Is what stands at FILE the start (or all) of NEW, or nothing at all: what a killed checkout leaves? */
static bool is_partly_written(const char *file, const struct buf *new)
{
    struct buf text = BUF_INIT;
    struct stat st;
    bool is_part = false;

    if (lstat(file, &st) < 0)
        return true;
    if (S_ISREG(st.st_mode) && (size_t)st.st_size <= new->len && file_read(file, &text, new->len + 1, NULL) == 0)
        is_part = text.len == 0 || (new->data != NULL && memcmp(text.data, new->data, text.len) == 0);
    buf_free(&text);
    return is_part;
}

static int restore_one(struct git_repo *repo, const char *dir, const struct merge_back_options *o, const char *path,
                       struct error *err)
{
    char *file = path_join(dir, path);
    struct buf old = BUF_INIT;
    struct buf new = BUF_INIT;
    bool was_there = read_blob(repo, o->base, path, &old);
    bool is_there = read_blob(repo, o->commit, path, &new);
    int rc = 0;

    if (!(is_there ? is_partly_written(file, &new) : !file_exists(file)))
        goto out; /* as it was, or somebody's change: the check that follows sees it */
    if (was_there) {
        rc = git_run(repo, GIT_WRITES, dir, NULL, err, "checkout", "--quiet", o->base, "--", path, NULL);
    } else {
        rc = git_run(repo, GIT_WRITES, dir, NULL, err, "update-index", "--force-remove", "--", path, NULL);
        if (rc == 0 && unlink(file) < 0 && errno != ENOENT)
            rc = error_set_errno(err, "removing %s, which a killed merge wrote", file);
    }
out:
    buf_free(&old);
    buf_free(&new);
    free(file);
    return rc;
}

/* Takes back what a merge of COMMIT wrote into the checkout DIR before it was killed. */
static int undo_part(struct git_repo *repo, const char *dir, const struct merge_back_options *o, struct error *err)
{
    struct buf out = BUF_INIT;
    int rc = git_run(repo, 0, NULL, &out, err, "diff-tree", "-r", "-z", "--name-only", "--no-renames", o->base, o->commit,
                     NULL);

    for (size_t i = 0; rc == 0 && i < out.len; i += strlen(out.data + i) + 1)
        rc = restore_one(repo, dir, o, out.data + i, err);
    buf_free(&out);
    return rc;
}

/* Does the branch hold what this call would make already (a run killed right after the merge)? */
static int is_done(struct git_repo *repo, const struct merge_back_options *o, const char *tip, bool *done,
                   struct error *err)
{
    char *tip_tree = NULL;
    char *tree = NULL;
    int rc = -1;

    *done = false;
    if (git_is_ancestor(repo, o->commit, tip, done, err) < 0)
        return -1;
    if (*done)
        return 0;
    if (git_tree_of(repo, tip, &tip_tree, err) == 0 && git_tree_of(repo, o->commit, &tree, err) == 0) {
        *done = strcmp(tip_tree, tree) == 0;
        rc = 0;
    }
    free(tip_tree);
    free(tree);
    return rc;
}

int merge_back(struct git_repo *repo, const struct merge_back_options *o, struct error *err)
{
    char *ref = xasprintf("refs/heads/%s", o->branch);
    char *tip = NULL;
    char *final = NULL;
    char *dir = NULL;
    bool done = false;
    int rc = -1;

    if (git_resolve(repo, ref, &tip, err) < 0) {
        error_wrap(err, "merging back into %s", o->branch);
        goto out;
    }
    if (is_done(repo, o, tip, &done, err) < 0)
        goto out;
    if (done && strcmp(tip, o->base) != 0) {
        rc = 0;
        goto out;
    }
    if (strcmp(tip, o->base) != 0) {
        error_set(err, ERROR_REPOSITORY,
                  "%s has moved since the run began (from %.12s to %.12s): what was tested is not what would be merged",
                  o->branch, o->base, tip);
        goto out;
    }
    if (strcmp(o->commit, o->base) == 0) {
        rc = 0;
        goto out;
    }
    error_clear(err);
    dir = find_checkout(repo, o->branch, err);
    if (error_is_set(err) || make_final(repo, o, &final, err) < 0)
        goto out;
    if (dir == NULL) {
        rc = git_branch_set(repo, o->branch, final, o->base, err);
        goto out;
    }
    if ((o->is_retried && undo_part(repo, dir, o, err) < 0) || check_clean(repo, dir, o->branch, err) < 0)
        goto out;
    /* merge --ff-only refuses, before it changes anything, when an untracked file stands in the way. */
    rc = git_run(repo, GIT_WRITES, dir, NULL, err, "merge", "--quiet", "--ff-only", "--no-squash", "--commit",
                 "--no-autostash", "--no-verify-signatures", "--no-overwrite-ignore", final, NULL);
    if (rc < 0)
        error_wrap(err, "merging back into %s", o->branch);
out:
    free(ref);
    free(tip);
    free(final);
    free(dir);
    return rc;
}
