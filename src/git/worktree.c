/* git/worktree.c: see worktree.h. */
#include "git/worktree.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "git/git.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_INCLUDED_FILES 10000

int worktree_add(struct git_repo *repo, const char *path, const char *commit, struct error *err)
{
    char *parent = path_dirname(path);
    int rc = file_make_directories(parent, 0700, err);

    if (rc == 0)
        rc = git_run(repo, GIT_WRITES, NULL, NULL, err, "worktree", "add", "--quiet", "--detach", "--force", path,
                     commit, NULL);
    free(parent);
    return rc;
}

/* The gitdir that PATH's pointer file names, when it is one of this repository's worktrees; caller frees. */
static char *linked_gitdir(struct git_repo *repo, const char *path)
{
    char *pointer = path_join(path, ".git");
    char *worktrees = path_join(git_repo_common_dir(repo), "worktrees");
    struct buf text = BUF_INIT;
    char *gitdir = NULL;

    if (file_is_regular(pointer) && file_read(pointer, &text, 8192, NULL) == 0 &&
        str_starts_with(buf_cstr(&text), "gitdir: ")) {
        gitdir = path_normalize(str_trim(text.data + 8));
        if (!path_is_below(gitdir, worktrees))
            FREE_NULL(gitdir);
    }
    buf_free(&text);
    free(pointer);
    free(worktrees);
    return gitdir;
}

/* By git's own list: an agent may have destroyed the pointer file. */
bool worktree_is_ours(struct git_repo *repo, const char *path)
{
    struct buf out = BUF_INIT;
    char *line = xasprintf("worktree %s", path);
    size_t n = strlen(line) + 1;
    bool found = false;

    if (git_run(repo, 0, NULL, &out, NULL, "worktree", "list", "--porcelain", "-z", NULL) == 0)
        for (size_t i = 0; i + n <= out.len && !found; i += strlen(out.data + i) + 1)
            found = strcmp(out.data + i, line) == 0;
    buf_free(&out);
    free(line);
    return found && !str_eq(path, git_repo_toplevel(repo));
}

int worktree_remove(struct git_repo *repo, const char *path, struct error *err)
{
    if (!worktree_is_ours(repo, path)) {
        if (!file_exists(path))
            return 0;
        return error_set(err, ERROR_REPOSITORY, "%s is no worktree of ours: it is left alone", path);
    }
    /* Not `git worktree remove`: it looks into the folder, which an agent filled. */
    if (file_remove_tree(path, err) < 0)
        return -1;
    return worktree_prune(repo, err);
}

int worktree_prune(struct git_repo *repo, struct error *err)
{
    return git_run(repo, GIT_WRITES, NULL, NULL, err, "worktree", "prune", "--expire=now", NULL);
}

/* The environment that makes git use the true gitdir, whatever an agent wrote into the pointer file. */
static int run_in_worktree(struct git_repo *repo, const char *path, const char *const *args, struct error *err)
{
    char *gitdir = linked_gitdir(repo, path);
    char *env_dir;
    char *env_tree;
    const char *env[3];
    struct git_call call = {.dir = path, .args = args, .env = env, .flags = GIT_WRITES};
    int rc;

    if (gitdir == NULL)
        return error_set(err, ERROR_DENIED, "%s: the worktree's .git file was changed", path);
    env_dir = xasprintf("GIT_DIR=%s", gitdir);
    env_tree = xasprintf("GIT_WORK_TREE=%s", path);
    env[0] = env_dir;
    env[1] = env_tree;
    env[2] = NULL;
    rc = git_call(repo, &call, NULL, NULL, err);
    free(env_dir);
    free(env_tree);
    free(gitdir);
    return rc;
}

int worktree_reset(struct git_repo *repo, const char *path, const char *commit, struct error *err)
{
    const char *checkout[] = {"checkout", "--quiet", "--detach", "--force", commit, NULL};
    const char *clean[] = {"-c",  "core.excludesFile=/dev/null", "clean", "--quiet", "-ffdx",
                           "-e", "/plan.md",                    "-e",    "/cadre-plan.md", NULL};

    if (run_in_worktree(repo, path, checkout, err) < 0)
        return -1;
    return run_in_worktree(repo, path, clean, err);
}

int worktree_show_tree(struct git_repo *repo, const char *path, const char *tree, struct error *err)
{
    const char *args[] = {"read-tree", "-u", "--reset", tree, NULL};

    return run_in_worktree(repo, path, args, err);
}

static int copy_one(struct git_repo *repo, const char *name, const char *path, struct error *err)
{
    char *from = path_join(git_repo_toplevel(repo), name);
    char *to = path_join(path, name);
    char *parent = path_dirname(to);
    struct stat st;
    int rc = 0;

    if (path_is_plain_relative(name) && lstat(from, &st) == 0 && S_ISREG(st.st_mode)) {
        rc = file_make_directories(parent, 0755, err);
        if (rc == 0)
            rc = file_copy(from, to, err);
    }
    free(from);
    free(to);
    free(parent);
    return rc;
}

int worktree_copy_included(struct git_repo *repo, const char *path, struct error *err)
{
    char *list = path_join(git_repo_toplevel(repo), ".worktreeinclude");
    char *exclude = xasprintf("--exclude-from=%s", list);
    struct buf out = BUF_INIT;
    size_t copied = 0;
    int rc = 0;

    if (file_is_regular(list))
        rc = git_run(repo, 0, NULL, &out, err, "ls-files", "-z", "--others", "--ignored", exclude, NULL);
    for (size_t i = 0; rc == 0 && i < out.len; i += strlen(out.data + i) + 1) {
        if (++copied > MAX_INCLUDED_FILES)
            rc = error_set(err, ERROR_LIMIT, "%s names more than %d files", list, MAX_INCLUDED_FILES);
        else
            rc = copy_one(repo, out.data + i, path, err);
    }
    buf_free(&out);
    free(list);
    free(exclude);
    return rc;
}

int worktree_export(struct git_repo *repo, const char *commit, const char *path, struct error *err)
{
    char *partial = xasprintf("%s.part", path);
    char *index = xasprintf("%s.index", path);
    char *prefix = xasprintf("--prefix=%s/", partial);
    char *env_index = xasprintf("GIT_INDEX_FILE=%s", index);
    const char *env[] = {env_index, NULL};
    const char *read_tree[] = {"read-tree", commit, NULL};
    const char *checkout[] = {"checkout-index", "--all", "--force", prefix, NULL};
    struct git_call call = {.args = read_tree, .env = env, .flags = GIT_WRITES};
    int rc = -1;

    if (file_remove_tree(partial, err) < 0 || git_call(repo, &call, NULL, NULL, err) < 0)
        goto out;
    call.args = checkout;
    if (git_call(repo, &call, NULL, NULL, err) < 0 || file_make_directories(partial, 0700, err) < 0)
        goto out;
    rc = rename(partial, path) < 0 ? error_set_errno(err, "%s", path) : 0;
out:
    (void)unlink(index);
    free(partial);
    free(index);
    free(prefix);
    free(env_index);
    return rc;
}
