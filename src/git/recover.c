/* git/recover.c: see recover.h. A lock of git is a file; whoever is killed while holding it leaves it, and every later
 * command fails. What is ours alone is removed at once, what the user's git shares only when nobody can be using it. */
#include "git/recover.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "git/git.h"
#include "git/worktree.h"
#include "io/fiber.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLED_MS 2000
#define MAX_DEPTH  8

static int remove_lock(const char *path, struct str_list *removed, struct error *err)
{
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(err, "removing %s, which a killed git left", path);
    str_list_add(removed, path);
    return 0;
}

/* All "*.lock" below FOLDER, which is ours alone; links are not followed. */
static int remove_below(const char *folder, int depth, struct str_list *removed, struct error *err)
{
    struct str_list names = {0};
    struct stat st;
    int rc = 0;

    if (depth == 0 || lstat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    rc = file_list_directory(folder, &names, err);
    for (size_t i = 0; i < names.len && rc == 0; i++) {
        char *path = path_join(folder, names.items[i]);

        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
            rc = remove_below(path, depth - 1, removed, err);
        else if (str_ends_with(names.items[i], ".lock"))
            rc = remove_lock(path, removed, err);
        free(path);
    }
    str_list_finish(&names);
    return rc;
}

/* The administrative folders of worktrees below FOLDER. */
static int remove_of_worktrees(struct git_repo *repo, const char *folder, struct str_list *removed,
                               struct error *err)
{
    char *root = path_join(git_repo_common_dir(repo), "worktrees");
    struct str_list names = {0};
    int rc = 0;

    if (file_is_directory(root))
        rc = file_list_directory(root, &names, err);
    for (size_t i = 0; i < names.len && rc == 0; i++) {
        char *admin = path_join(root, names.items[i]);
        char *record = path_join(admin, "gitdir");
        struct buf text = BUF_INIT;

        if (file_is_regular(record) && file_read(record, &text, 8192, NULL) == 0 && text.len > 0 &&
            path_is_below(str_trim(text.data), folder))
            rc = remove_below(admin, MAX_DEPTH, removed, err);
        buf_free(&text);
        free(record);
        free(admin);
    }
    str_list_finish(&names);
    free(root);
    return rc;
}

/* Does a git process work in the repository? Seen by its name and its folder. */
static bool is_git_at_work(struct git_repo *repo)
{
    DIR *proc = opendir("/proc");
    struct dirent *each;
    bool found = false;

    while (proc != NULL && !found && (each = readdir(proc)) != NULL) {
        char path[64];
        char text[PATH_MAX];
        struct buf name = BUF_INIT;
        ssize_t n;

        if (!isdigit((unsigned char)each->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%.20s/comm", each->d_name);
        if (file_read(path, &name, 64, NULL) == 0 && name.len > 0 && str_starts_with(name.data, "git")) {
            snprintf(path, sizeof path, "/proc/%.20s/cwd", each->d_name);
            n = readlink(path, text, sizeof text - 1);
            text[n < 0 ? 0 : n] = '\0';
            found = n > 0 &&
                    (path_is_below(text, git_repo_toplevel(repo)) || str_eq(text, git_repo_toplevel(repo)) ||
                     path_is_below(text, git_repo_common_dir(repo)));
        }
        buf_free(&name);
    }
    if (proc != NULL)
        closedir(proc);
    return found;
}

static int remove_shared(struct git_repo *repo, const char *name, int64_t since_ms, struct str_list *removed,
                         struct error *err)
{
    char *path = path_join(git_repo_common_dir(repo), name);
    struct stat st;
    int rc = 0;

    while (rc == 0 && lstat(path, &st) == 0) {
        int64_t made_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
        int64_t age_ms = clock_wall_ms() - made_ms;

        if (made_ms < since_ms)
            break; /* not of this run: git will say what it thinks of it */
        if (age_ms >= 0 && age_ms < SETTLED_MS) {
            rc = fiber_sleep((uint64_t)(SETTLED_MS - age_ms), err);
            continue;
        }
        if (is_git_at_work(repo))
            break;
        rc = remove_lock(path, removed, err);
    }
    free(path);
    return rc;
}

int git_recover_locks(struct git_repo *repo, const char *run, const char *folder, const char *target,
                      int64_t since_ms, struct str_list *removed, struct error *err)
{
    static const char *const shared[] = {"index.lock", "HEAD.lock", "ORIG_HEAD.lock", "packed-refs.lock"};
    char *refs = xasprintf("%s/refs/cadre/%s", git_repo_common_dir(repo), run);
    char *branch = xasprintf("%s/refs/heads/cadre/%s.lock", git_repo_common_dir(repo), run);
    char *of_target = target == NULL ? NULL : xasprintf("refs/heads/%s.lock", target);
    int rc = remove_below(refs, MAX_DEPTH, removed, err);

    if (rc == 0 && file_exists(branch))
        rc = remove_lock(branch, removed, err);
    if (rc == 0)
        rc = remove_of_worktrees(repo, folder, removed, err);
    for (size_t i = 0; i < sizeof shared / sizeof shared[0] && rc == 0; i++)
        rc = remove_shared(repo, shared[i], since_ms, removed, err);
    if (rc == 0 && of_target != NULL)
        rc = remove_shared(repo, of_target, since_ms, removed, err);
    free(refs);
    free(branch);
    free(of_target);
    return rc;
}
