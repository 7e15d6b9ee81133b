/* base/file.c: see file.h. */
#include "base/file.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "base/random.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES     ((size_t)16 * 1024)
#define POPULATE_BYTES ((size_t)64 * 1024) /* larger files: their memory is had at once */

int file_write_all(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

int file_read(const char *path, struct buf *b, size_t max_bytes, struct error *err)
{
    struct stat st;
    size_t total = 0, chunk = READ_BYTES;
    int rc = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return error_set_errno(err, "%s", path);
    if (fstat(fd, &st) < 0) {
        error_set_errno(err, "%s", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        error_set(err, ERROR_IO, "%s: not a regular file", path);
        goto out;
    }
    /* One read for the whole and one that finds the end; what grows meanwhile comes in pieces. */
    if (st.st_size > 0 && (size_t)st.st_size <= max_bytes)
        chunk = (size_t)st.st_size + 1;
    for (;;) {
        ssize_t n;

        buf_reserve(b, chunk);
        if (chunk >= POPULATE_BYTES)
            alloc_populate(b->data + b->len, chunk);
        n = read(fd, b->data + b->len, chunk);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            error_set_errno(err, "%s", path);
            goto out;
        }
        if (n == 0)
            break;
        b->len += (size_t)n;
        b->data[b->len] = '\0';
        total += (size_t)n;
        chunk = chunk > (size_t)n ? chunk - (size_t)n : READ_BYTES;
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

/* Writes through FLAGS; SYNC waits for the disk. */
static int write_file(const char *path, int flags, const void *bytes, size_t n, mode_t mode, bool sync,
                      struct error *err)
{
    int rc = 0;
    int fd = open(path, flags | O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, mode);

    if (fd < 0)
        return error_set_errno(err, "%s", path);
    if (file_write_all(fd, bytes, n) < 0 || (sync && fsync(fd) < 0))
        rc = error_set_errno(err, "%s", path);
    if (close(fd) < 0 && rc == 0)
        rc = error_set_errno(err, "%s", path);
    return rc;
}

int file_write(const char *path, const void *bytes, size_t n, mode_t mode, struct error *err)
{
    return write_file(path, O_TRUNC, bytes, n, mode, false, err);
}

int file_append(const char *path, const void *bytes, size_t n, mode_t mode, struct error *err)
{
    return write_file(path, O_APPEND, bytes, n, mode, false, err);
}

int file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode, struct error *err)
{
    char suffix[9];
    char *temporary;
    char *folder = path_dirname(path);
    int rc;
    int fd;

    random_id(suffix, 8);
    temporary = xasprintf("%s.tmp-%s", path, suffix);
    rc = write_file(temporary, O_EXCL, bytes, n, mode, true, err);
    if (rc == 0 && rename(temporary, path) < 0)
        rc = error_set_errno(err, "%s", path);
    if (rc < 0)
        (void)unlink(temporary);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
    free(temporary);
    free(folder);
    return rc;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool file_is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool file_is_regular(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

int file_make_directories(const char *path, mode_t mode, struct error *err)
{
    char *copy = xstrdup(path);
    int rc = 0;

    for (char *p = copy + 1; rc == 0; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            rc = error_set_errno(err, "%s", copy);
        *p = c;
        if (c == '\0')
            break;
    }
    if (rc == 0 && !file_is_directory(path))
        rc = error_set(err, ERROR_IO, "%s: exists and is not a folder", path);
    free(copy);
    return rc;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int file_list_directory(const char *path, struct str_list *names, struct error *err)
{
    size_t first = names->len;
    struct dirent *entry;
    DIR *dir = opendir(path);

    if (dir == NULL)
        return error_set_errno(err, "%s", path);
    while ((entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            str_list_add(names, entry->d_name);
    (void)closedir(dir);
    if (names->len > first)
        qsort(names->items + first, names->len - first, sizeof *names->items, compare_names);
    return 0;
}

static int remove_below(int parent, const char *name, struct error *err)
{
    struct dirent *entry;
    int rc = 0;
    int fd;
    DIR *dir;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return error_set_errno(err, "%s", name);
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, "%s", name);
    dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd);
        return error_set_errno(err, "%s", name);
    }
    (void)fchmod(fd, 0700);
    while (rc == 0 && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = remove_below(fd, entry->d_name, err);
    (void)closedir(dir);
    if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        rc = error_set_errno(err, "%s", name);
    return rc;
}

int file_remove_tree(const char *path, struct error *err)
{
    if (remove_below(AT_FDCWD, path, err) < 0)
        return error_wrap(err, "removing %s", path);
    return 0;
}

int file_copy(const char *from, const char *to, struct error *err)
{
    struct buf b = BUF_INIT;
    struct stat st;
    int rc = -1;

    if (stat(from, &st) < 0) {
        error_set_errno(err, "%s", from);
        goto out;
    }
    if (file_read(from, &b, (size_t)1 << 32, err) < 0)
        goto out;
    rc = file_write(to, buf_cstr(&b), b.len, st.st_mode & 0777, err);
out:
    buf_free(&b);
    return rc;
}

char *file_make_temporary_directory(const char *prefix, struct error *err)
{
    const char *base = getenv("TMPDIR");
    char *path = xasprintf("%s/%s-XXXXXX", str_is_empty(base) ? "/tmp" : base, prefix);

    if (mkdtemp(path) == NULL) {
        error_set_errno(err, "%s", path);
        FREE_NULL(path);
    }
    return path;
}
