/* sandbox/safe_path.c: see safe_path.h. */
#include "sandbox/safe_path.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/random.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct safe_root {
    int fd;
    char *dir;
};

struct safe_root *safe_root_open(const char *dir, struct error *err)
{
    struct safe_root *root;
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        error_set_errno(err, "%s", dir);
        return NULL;
    }
    root = xcalloc(1, sizeof *root);
    root->fd = fd;
    root->dir = xstrdup(dir);
    return root;
}

void safe_root_close(struct safe_root *root)
{
    if (root == NULL)
        return;
    (void)close(root->fd);
    free(root->dir);
    free(root);
}

static int refuse(struct error *err, const char *path, const char *why)
{
    return error_set(err, ERROR_SANDBOX, "%s: %s", path, why);
}

static int check_path(const char *path, struct error *err)
{
    static const char *const kept[] = {".git", ".codex", ".agents", "git~1"};
    struct str_list parts = {0};
    int rc = 0;

    if (!path_is_plain_relative(path))
        return refuse(err, path, "the path leads outside of the working directory");
    str_split(&parts, path, '/');
    for (size_t i = 0; i < parts.len && rc == 0; i++)
        for (size_t k = 0; k < sizeof kept / sizeof kept[0] && rc == 0; k++)
            if (strcasecmp(parts.items[i], kept[k]) == 0)
                rc = refuse(err, path, "this part of the tree belongs to the engine and the user");
    str_list_finish(&parts);
    return rc;
}

static int open_beneath(const struct safe_root *root, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (__u64)(unsigned)(flags | O_CLOEXEC),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };

    for (int tries = 0; tries < 10; tries++) {
        long fd = syscall(SYS_openat2, root->fd, path, &how, sizeof how);

        if (fd >= 0 || errno != EAGAIN) /* EAGAIN: a rename raced with the lookup */
            return (int)fd;
    }
    return -1;
}

/* Failure to open PATH, in words. */
static int open_error(struct error *err, const char *path)
{
    if (errno == ELOOP)
        return refuse(err, path, "a symlink stands on the way; symlinks are not followed");
    if (errno == EXDEV)
        return refuse(err, path, "the path leads outside of the working directory");
    return error_set_errno(err, "%s", path);
}

/* Descriptor of the folder that holds PATH; *NAME points to its last part. */
static int open_parent(const struct safe_root *root, const char *path, const char **name, struct error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    int fd;

    if (check_path(path, err) < 0)
        return -1;
    *name = slash == NULL ? path : slash + 1;
    folder = slash == NULL ? xstrdup(".") : xstrndup(path, (size_t)(slash - path));
    fd = open_beneath(root, folder, O_RDONLY | O_DIRECTORY, 0);
    free(folder);
    if (fd < 0)
        return open_error(err, path);
    return fd;
}

int safe_root_read_file(struct safe_root *root, const char *path, struct buf *out, size_t max_bytes,
                        struct error *err)
{
    struct stat st;
    size_t total = 0;
    int rc = -1;
    int fd;

    if (check_path(path, err) < 0)
        return -1;
    fd = open_beneath(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return open_error(err, path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        refuse(err, path, "not a regular file");
        goto out;
    }
    for (;;) {
        ssize_t n;

        buf_reserve(out, 65536);
        n = read(fd, out->data + out->len, 65536);
        if (n < 0) {
            error_set_errno(err, "%s", path);
            goto out;
        }
        if (n == 0)
            break;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        total += (size_t)n;
        if (total > max_bytes) {
            error_set(err, ERROR_LIMIT, "%s: larger than %zu bytes", path, max_bytes);
            goto out;
        }
    }
    rc = 0;
out:
    (void)close(fd);
    return rc;
}

/* Writes the temporary file NAME in the folder. */
static int write_new(int folder, const char *name, const void *bytes, size_t n, mode_t mode)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc = 0;

    if (fd < 0)
        return -1;
    if (file_write_all(fd, bytes, n) < 0 || fchmod(fd, mode) < 0)
        rc = -1;
    if (close(fd) < 0)
        rc = -1;
    if (rc < 0)
        (void)unlinkat(folder, name, 0);
    return rc;
}

int safe_root_write_file(struct safe_root *root, const char *path, const void *bytes, size_t n, struct error *err)
{
    const char *name;
    int folder = open_parent(root, path, &name, err);
    mode_t mask = umask(0);
    mode_t mode = 0666 & ~mask;
    char temporary[32] = ".cadre-";
    struct stat st;
    int rc = -1;

    (void)umask(mask);
    if (folder < 0)
        return -1;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISLNK(st.st_mode)) {
            refuse(err, path, "a symlink stands there; symlinks are not followed");
            goto out;
        }
        if (!S_ISREG(st.st_mode)) {
            refuse(err, path, "not a regular file");
            goto out;
        }
        mode = st.st_mode & 0777;
    }
    random_id(temporary + 7, 12);
    if (write_new(folder, temporary, bytes, n, mode) < 0) {
        error_set_errno(err, "%s", path);
        goto out;
    }
    if (renameat(folder, temporary, folder, name) < 0) {
        error_set_errno(err, "%s", path);
        (void)unlinkat(folder, temporary, 0);
        goto out;
    }
    rc = 0;
out:
    (void)close(folder);
    return rc;
}

int safe_root_remove(struct safe_root *root, const char *path, struct error *err)
{
    const char *name;
    int folder = open_parent(root, path, &name, err);
    int rc;

    if (folder < 0)
        return -1;
    rc = unlinkat(folder, name, 0) < 0 ? error_set_errno(err, "%s", path) : 0;
    (void)close(folder);
    return rc;
}

int safe_root_make_parents(struct safe_root *root, const char *path, struct error *err)
{
    int at;
    struct str_list parts = {0};
    int rc = 0;

    if (check_path(path, err) < 0)
        return -1;
    at = fcntl(root->fd, F_DUPFD_CLOEXEC, 3);
    if (at < 0)
        return error_set_errno(err, "%s", path);
    str_split(&parts, path, '/');
    for (size_t i = 0; i + 1 < parts.len && rc == 0; i++) {
        int next;

        if (mkdirat(at, parts.items[i], 0777) < 0 && errno != EEXIST) {
            rc = error_set_errno(err, "%s", path);
            break;
        }
        next = openat(at, parts.items[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0) {
            rc = errno == ENOTDIR || errno == ELOOP ? refuse(err, path, "a symlink or a file stands on the way")
                                                    : error_set_errno(err, "%s", path);
            break;
        }
        (void)close(at);
        at = next;
    }
    (void)close(at);
    str_list_finish(&parts);
    return rc;
}
