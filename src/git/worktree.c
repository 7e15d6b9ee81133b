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
        rc = git_run(repo, GIT_WRITES, NULL, NULL, err, "worktree", "add", "--quiet", "--detach", "--force",
                     path, commit, NULL);
    free(parent);
    return rc;
}

/* The administrative folder of the worktree at PATH by the repository's own records, not by the pointer file, which
 * an agent may have turned to another worktree; caller frees. NULL when PATH is no linked worktree. */
static char *linked_gitdir(struct git_repo *repo, const char *path)
{
    char *root = path_join(git_repo_common_dir(repo), "worktrees");
    char *wanted = path_join(path, ".git");
    struct str_list names = {0};
    char *found = NULL;

    if (file_is_directory(root))
        (void)file_list_directory(root, &names, NULL);
    for (size_t i = 0; i < names.len && found == NULL; i++) {
        char *admin = path_join(root, names.items[i]);
        char *record = path_join(admin, "gitdir");
        struct buf text = BUF_INIT;

        if (file_is_regular(record) && file_read(record, &text, 8192, NULL) == 0 && text.len > 0 &&
            str_eq(str_trim(text.data), wanted))
            found = xstrdup(admin);
        buf_free(&text);
        free(record);
        free(admin);
    }
    str_list_finish(&names);
    free(wanted);
    free(root);
    return found;
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
    char *admin = linked_gitdir(repo, path);
    int rc = -1;

    if (admin == NULL) {
        if (file_exists(path))
            return error_set(err, ERROR_REPOSITORY, "%s is no worktree of ours: it is left alone", path);
        return 0;
    }
    /* Not `git worktree remove`: it looks into the folder, which an agent filled. Not `git worktree prune` either: it
     * would forget worktrees of the user's whose disk is not mounted just now. */
    if (file_remove_tree(path, err) == 0)
        rc = file_remove_tree(admin, err);
    free(admin);
    return rc;
}

int worktree_prune(struct git_repo *repo, struct error *err)
{
    struct str_list paths = {0};
    int rc = worktree_list_below(repo, NULL, &paths, err);

    for (size_t i = 0; rc == 0 && i < paths.len; i++)
        if (!file_exists(paths.items[i]))
            rc = worktree_remove(repo, paths.items[i], err);
    str_list_finish(&paths);
    return rc;
}

int worktree_list_below(struct git_repo *repo, const char *folder, struct str_list *paths, struct error *err)
{
    char *state = path_state_home();
    struct buf out = BUF_INIT;
    int rc = git_run(repo, 0, NULL, &out, err, "worktree", "list", "--porcelain", "-z", NULL);

    for (size_t i = 0; rc == 0 && i < out.len; i += strlen(out.data + i) + 1) {
        const char *row = out.data + i;

        if (str_starts_with(row, "worktree ") && !str_eq(row + 9, git_repo_toplevel(repo)) &&
            path_is_below(row + 9, folder != NULL ? folder : state))
            str_list_add(paths, row + 9);
    }
    buf_free(&out);
    free(state);
    return rc;
}

int worktree_is_saved(struct git_repo *repo, const char *path, bool *is_saved, char **why, struct error *err)
{
    char *gitdir = linked_gitdir(repo, path);
    char *env_dir = xasprintf("GIT_DIR=%s", gitdir != NULL ? gitdir : "");
    char *env_tree = xasprintf("GIT_WORK_TREE=%s", path);
    const char *env[] = {env_dir, env_tree, NULL};
    const char *status[] = {"status", "--porcelain", "--untracked-files=all", "--ignore-submodules=all",
                            NULL};
    const char *head[] = {"rev-parse", "--verify", "HEAD^{commit}", NULL};
    const char *contains[] = {"for-each-ref", "--count=1", "--contains", NULL, NULL};
    struct git_call call = {.dir = path, .args = status, .env = env};
    struct buf out = BUF_INIT;
    int rc = -1;

    *is_saved = false;
    *why = NULL;
    if (gitdir == NULL) {
        error_set(err, ERROR_NOT_FOUND, "%s is no worktree of this repository", path);
        goto out;
    }
    if (git_call(repo, &call, &out, NULL, err) < 0)
        goto out;
    for (char *rest, *line = out.len == 0 ? NULL : strtok_r(out.data, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        if (!str_eq(line, "?? plan.md") && !str_eq(line, "?? cadre-plan.md") && *why == NULL)
            *why = xasprintf("it has changes that are not committed (%s ...)",
                             strlen(line) > 3 ? line + 3 : line);
    buf_clear(&out);
    call.args = head;
    if (*why == NULL) {
        if (git_call(repo, &call, &out, NULL, err) < 0)
            goto out;
        out.data[strcspn(out.data, "\n")] = '\0';
        contains[3] = out.data;
        call = (struct git_call){.args = contains};
        {
            struct buf refs = BUF_INIT;

            if (git_call(repo, &call, &refs, NULL, err) < 0) {
                buf_free(&refs);
                goto out;
            }
            if (refs.len == 0)
                *why = xasprintf("no branch or ref holds its commit %.12s", out.data);
            buf_free(&refs);
        }
    }
    *is_saved = *why == NULL;
    rc = 0;
out:
    buf_free(&out);
    free(gitdir);
    free(env_dir);
    free(env_tree);
    return rc;
}

/* The environment that makes git use the true gitdir, whatever an agent wrote into the pointer file. */
static int run_in_worktree(struct git_repo *repo, const char *path, const char *const *args,
                           struct error *err)
{
    char *gitdir = linked_gitdir(repo, path);
    char *env_dir;
    char *env_tree;
    const char *env[3];
    struct git_call call = {.dir = path, .args = args, .env = env, .flags = GIT_WRITES};
    int rc;

    if (gitdir == NULL)
        return error_set(err, ERROR_NOT_FOUND, "%s is no worktree of this repository", path);
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
    const char *clean[] = {"-c",
                           "core.excludesFile=/dev/null",
                           "clean",
                           "--quiet",
                           "-ffdx",
                           "-e",
                           "/plan.md",
                           "-e",
                           "/cadre-plan.md",
                           NULL};

    if (run_in_worktree(repo, path, checkout, err) < 0)
        return -1;
    return run_in_worktree(repo, path, clean, err);
}

int worktree_show_tree(struct git_repo *repo, const char *path, const char *tree, struct error *err)
{
    const char *args[] = {"read-tree", "-u", "--reset", tree, NULL};

    return run_in_worktree(repo, path, args, err);
}

/* Every folder above ROOT/NAME is a real one (no link), made where missing. */
static bool make_parents(const char *root, const char *name)
{
    char *part = xstrdup(name);
    bool ok = true;

    for (char *slash = strchr(part, '/'); slash != NULL && ok; slash = strchr(slash + 1, '/')) {
        char *folder;
        struct stat st;

        *slash = '\0';
        folder = path_join(root, part);
        if (lstat(folder, &st) == 0)
            ok = S_ISDIR(st.st_mode);
        else
            ok = mkdir(folder, 0755) == 0;
        free(folder);
        *slash = '/';
    }
    free(part);
    return ok;
}

/* What is in the worktree already stays: it is the commit's. */
static int copy_one(struct git_repo *repo, const char *name, const char *path, struct error *err)
{
    char *from = path_join(git_repo_toplevel(repo), name);
    char *to = path_join(path, name);
    struct stat st;
    int rc = 0;

    if (path_is_plain_relative(name) && lstat(from, &st) == 0 && S_ISREG(st.st_mode) && lstat(to, &st) < 0 &&
        make_parents(path, name))
        rc = file_copy(from, to, err);
    free(from);
    free(to);
    return rc;
}

int worktree_copy_included(struct git_repo *repo, const char *path, struct error *err)
{
    char *list = path_join(git_repo_toplevel(repo), ".worktreeinclude");
    char *exclude = xasprintf("--exclude-from=%s", list);
    const char *check_ignore[] = {"check-ignore", "-z", "--stdin", NULL};
    const char *env[] = {"GIT_LITERAL_PATHSPECS=0", NULL}; /* check-ignore does not know it */
    struct git_call call = {.args = check_ignore, .env = env, .flags = GIT_MAY_FAIL};
    struct buf named = BUF_INIT;
    struct buf out = BUF_INIT;
    size_t copied = 0;
    int code = 0;
    int rc = 0;

    if (file_is_regular(list))
        rc = git_run(repo, 0, NULL, &named, err, "ls-files", "-z", "--others", "--ignored", exclude, NULL);
    if (rc == 0 && named.len > 0) {
        call.input = named.data;
        call.input_len = named.len;
        rc = git_call(repo, &call, &out, &code, err);
    }
    for (size_t i = 0; rc == 0 && i < out.len; i += strlen(out.data + i) + 1) {
        if (++copied > MAX_INCLUDED_FILES)
            rc = error_set(err, ERROR_LIMIT, "%s names more than %d files", list, MAX_INCLUDED_FILES);
        else
            rc = copy_one(repo, out.data + i, path, err);
    }
    buf_free(&named);
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
