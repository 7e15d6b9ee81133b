/* git/commit.c: see commit.h. The index is a scratch file of ours, filled from PARENT, so that nothing an agent did to
 * the worktree's own index counts. */
#include "git/commit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/random.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/utf8.h"
#include "git/git.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

void commit_result_finish(struct commit_result *result)
{
    if (result == NULL)
        return;
    free(result->id);
    free(result->tree);
    for (size_t i = 0; i < result->change_count; i++)
        free(result->changes[i].path);
    free(result->changes);
    *result = (struct commit_result){0};
}

static struct commit_change *find_change(struct commit_result *result, const char *path)
{
    for (size_t i = 0; i < result->change_count; i++)
        if (strcmp(result->changes[i].path, path) == 0)
            return &result->changes[i];
    return NULL;
}

/* `diff-tree --raw --numstat -z`: ":mode mode id id K\0path\0..." then "add\tdel\tpath\0...". */
static void parse_changes(const struct buf *out, struct commit_result *result)
{
    size_t i = 0;

    while (i < out->len) {
        const char *row = out->data + i;

        i += strlen(row) + 1;
        if (row[0] == ':' && i < out->len) {
            struct commit_change change = {0};
            char *end;
            const char *last = strrchr(row, ' ');

            change.old_mode = (unsigned)strtoul(row + 1, &end, 8);
            change.new_mode = (unsigned)strtoul(end, NULL, 8);
            change.kind = last == NULL ? 'M' : last[1];
            change.path = xstrdup(out->data + i);
            i += strlen(out->data + i) + 1;
            result->changes = xrealloc(result->changes, (result->change_count + 1) * sizeof *result->changes);
            result->changes[result->change_count++] = change;
        } else {
            const char *first_tab = strchr(row, '\t');
            const char *second_tab = first_tab == NULL ? NULL : strchr(first_tab + 1, '\t');
            struct commit_change *change = second_tab == NULL ? NULL : find_change(result, second_tab + 1);

            if (change != NULL) {
                change->insertions = atoi(row);
                change->deletions = atoi(first_tab + 1);
            }
        }
    }
}

int commit_changes(struct git_repo *repo, const char *from, const char *to, struct commit_result *result,
                   struct error *err)
{
    struct buf out = BUF_INIT;
    int rc = git_run(repo, 0, NULL, &out, err, "diff-tree", "-r", "-z", "--raw", "--numstat", "--no-renames",
                     "--no-ext-diff", "--no-textconv", from, to, NULL);

    if (rc == 0)
        parse_changes(&out, result);
    buf_free(&out);
    return rc;
}

static bool has_git_part(const char *path)
{
    struct str_list parts = {0};
    bool found = false;

    str_split(&parts, path, '/');
    for (size_t i = 0; i < parts.len; i++)
        found = found || strcasecmp(parts.items[i], ".git") == 0 || strcasecmp(parts.items[i], "git~1") == 0;
    str_list_finish(&parts);
    return found;
}

/* Would the link, read from its place in the tree, lead out of it? */
static int check_symlink(const char *root, const char *path, struct error *err)
{
    char *full = path_join(root, path);
    char target[PATH_MAX];
    ssize_t n = readlink(full, target, sizeof target - 1);
    char *folder = path_dirname(path);
    char *joined = NULL;
    char *normal = NULL;
    int rc = 0;

    if (n > 0) {
        target[n] = '\0';
        joined = path_join(folder, target);
        normal = path_normalize(joined);
        if (target[0] == '/' || strcmp(normal, "..") == 0 || str_starts_with(normal, "../"))
            rc = error_set(err, ERROR_DENIED, "%s: the symlink leads out of the repository (to %s)", path,
                           target);
    }
    free(full);
    free(folder);
    free(joined);
    free(normal);
    return rc;
}

/* Is it a name that can be shown, logged and given to a shell script without surprise? */
static bool is_sane_name(const char *path)
{
    for (const char *p = path; *p != '\0'; p++)
        if (iscntrl((unsigned char)*p))
            return false;
    return utf8_is_valid(path, strlen(path));
}

/* What git itself refuses to add is the author's to mend, and no fault of the repository. */
static void blame_author(struct error *err)
{
    static const char *const words[] = {"invalid path", "adding files failed", "commit checked out",
                                        "unable to index"};

    for (size_t i = 0; err != NULL && i < sizeof words / sizeof words[0]; i++)
        if (err->code == ERROR_REPOSITORY && strstr(err->text, words[i]) != NULL)
            err->code = ERROR_DENIED;
}

static int check_changes(const char *root, const struct commit_result *result, struct error *err)
{
    for (size_t i = 0; i < result->change_count; i++) {
        const struct commit_change *c = &result->changes[i];

        if (c->new_mode == 0160000 && c->old_mode != 0160000)
            return error_set(err, ERROR_DENIED,
                             "%s is a repository of its own inside the worktree: it cannot be added",
                             c->path);
        if (c->old_mode == 0160000)
            return error_set(err, ERROR_DENIED, "%s is a submodule: a task must leave it as it is", c->path);
        if (c->kind == 'A' && !is_sane_name(c->path))
            return error_set(err, ERROR_DENIED,
                             "a new file has control characters or invalid UTF-8 in its name: rename it");
        if (has_git_part(c->path))
            return error_set(err, ERROR_DENIED, "%s: a path with a .git part cannot be added", c->path);
        if (c->new_mode == 0120000 && check_symlink(root, c->path, err) < 0)
            return -1;
    }
    return 0;
}

static char *take_line(struct buf *b)
{
    while (b->len > 0 && b->data[b->len - 1] == '\n')
        buf_truncate(b, b->len - 1);
    return buf_take(b);
}

static int commit_with_index(struct git_repo *repo, const char *path, const char *index, const char *parent,
                             const char *message, struct commit_result *result, struct error *err)
{
    char *env_index = xasprintf("GIT_INDEX_FILE=%s", index);
    char *env_dir = xasprintf("GIT_DIR=%s", git_repo_common_dir(repo));
    char *env_tree = xasprintf("GIT_WORK_TREE=%s", path);
    const char *env[] = {NULL, env_dir, env_tree, NULL};
    const char *read_tree[] = {"read-tree", parent, NULL};
    const char *add[] = {"add", "--all", "--", ".", NULL};
    const char *write_tree[] = {"write-tree", NULL};
    const char *commit_tree[] = {"commit-tree", NULL, "-p", parent, NULL};
    struct git_call call = {.dir = path, .env = env, .flags = GIT_WRITES};
    struct buf out = BUF_INIT;
    char *parent_tree = NULL;
    char *clean = NULL;
    int rc = -1;

    env[0] = env_index;
    call.args = read_tree;
    if (git_call(repo, &call, NULL, NULL, err) < 0)
        goto out;
    call.args = add;
    if (git_call(repo, &call, NULL, NULL, err) < 0) {
        blame_author(err);
        goto out;
    }
    call.args = write_tree;
    if (git_call(repo, &call, &out, NULL, err) < 0)
        goto out;
    result->tree = take_line(&out);
    if (git_tree_of(repo, parent, &parent_tree, err) < 0)
        goto out;
    if (strcmp(parent_tree, result->tree) == 0) {
        rc = 0;
        goto out;
    }
    if (commit_changes(repo, parent_tree, result->tree, result, err) < 0 ||
        check_changes(path, result, err) < 0)
        goto out;
    commit_tree[1] = result->tree;
    clean = redact_copy(message);
    call = (struct git_call){.args = commit_tree, .input = clean, .input_len = strlen(clean), .flags = GIT_WRITES};
    if (git_call(repo, &call, &out, NULL, err) < 0)
        goto out;
    result->id = take_line(&out);
    rc = 0;
out:
    (void)unlink(index);
    free(env_index);
    free(env_dir);
    free(env_tree);
    free(parent_tree);
    free(clean);
    buf_free(&out);
    return rc;
}

int commit_worktree(struct git_repo *repo, const char *path, const char *parent, const char *message,
                    struct commit_result *result, struct error *err)
{
    char suffix[9];
    char *index;
    int rc;

    random_id(suffix, 8);
    index = xasprintf("%s.index-%s", path, suffix); /* beside the worktree: an agent cannot reach it */
    rc = commit_with_index(repo, path, index, parent, message, result, err);
    free(index);
    return rc;
}

int commit_snapshot(struct git_repo *repo, const char *path, const char *scratch, const char *parent, const char *message,
                    struct commit_result *result, struct error *err)
{
    char suffix[9];
    char *index;
    int rc;

    random_id(suffix, 8);
    index = xasprintf("%s/index-%s", scratch, suffix);
    rc = commit_with_index(repo, path, index, parent, message, result, err);
    free(index);
    return rc;
}
