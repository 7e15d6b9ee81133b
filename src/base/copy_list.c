/* base/copy_list.c: openat2 (RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS) for every folder; the last one stays open, since lists are
 * sorted. Uses nothing but base/buf and str: it is linked into a small static program. */
#include "base/copy_list.h"

#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_DEPTH 64

struct copying {
    int from, to;           /* the two folders */
    int from_dir, to_dir;   /* the folder of the last name on either side, -1: none */
    struct buf dir;         /* its name */
    bool has_dir;
    char chunk[65536];
};

static int open_below(int root, const char *name, int flags, mode_t mode)
{
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC, .mode = mode,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

    return (int)syscall(SYS_openat2, root, *name == '\0' ? "." : name, &how, sizeof how);
}

static int failed(const char *name)
{
    fprintf(stderr, "%s: %s\n", name, strerror(errno));
    return -1;
}

/* Makes and opens the folders of NAME (its first N bytes) in TO, one after the other. */
static int make_folders(int to, const char *name, size_t n)
{
    char part[4096];

    if (n >= sizeof part) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(part, name, n);
    part[n] = '\0';
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char *slash;
        int parent, rc;

        part[i] = '\0';
        slash = strrchr(part, '/');
        if (slash != NULL)
            *slash = '\0';
        parent = open_below(to, slash != NULL ? part : "", O_PATH | O_DIRECTORY, 0);
        if (slash != NULL)
            *slash = '/';
        if (parent < 0)
            return -1;
        rc = mkdirat(parent, slash != NULL ? slash + 1 : part, 0777);
        close(parent);
        if (rc < 0 && errno != EEXIST)
            return -1;
        if (i < n)
            part[i] = '/';
    }
    return open_below(to, part, O_PATH | O_DIRECTORY, 0);
}

static void close_folders(struct copying *c)
{
    if (c->from_dir >= 0)
        close(c->from_dir);
    if (c->to_dir >= 0)
        close(c->to_dir);
    c->from_dir = c->to_dir = -1;
    c->has_dir = false;
}

/* Opens the folder of NAME on both sides and sets *BASE to what follows. 0; 1: FROM has no such folder; -1. */
static int enter(struct copying *c, const char *name, bool has_from, const char **base)
{
    const char *slash = strrchr(name, '/');
    size_t n = slash != NULL ? (size_t)(slash - name) : 0;

    *base = slash != NULL ? slash + 1 : name;
    if (!c->has_dir || c->dir.len != n || memcmp(buf_cstr(&c->dir), name, n) != 0) {
        close_folders(c);
        buf_clear(&c->dir);
        buf_append(&c->dir, name, n);
        c->has_dir = true;
        c->from_dir = open_below(c->from, buf_cstr(&c->dir), O_PATH | O_DIRECTORY, 0);
    }
    if (has_from && c->from_dir < 0)
        return 1;
    if (c->to_dir < 0)
        c->to_dir = n > 0 ? make_folders(c->to, name, n) : open_below(c->to, "", O_PATH | O_DIRECTORY, 0);
    return c->to_dir < 0 ? failed(name) : 0;
}

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);

        if (done < 0 && errno != EINTR)
            return -1;
        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        }
    }
    return 0;
}

/* The bytes that IN has; large files by the kernel, which shares blocks where the file system can. */
static int copy_bytes(struct copying *c, int in, int out, off_t size)
{
    ssize_t n;

    while (size > (off_t)sizeof c->chunk) {
        n = copy_file_range(in, NULL, out, NULL, (size_t)size, 0);
        if (n <= 0)
            break; /* not here: the plain way goes on where both stand */
        size -= n;
    }
    while ((n = read(in, c->chunk, sizeof c->chunk)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || write_all(out, c->chunk, (size_t)n) < 0)
            return -1;
    }
    return 0;
}

static int copy_file(struct copying *c, int in, const struct stat *st, int to_dir, const char *base)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    int out = openat(to_dir, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, st->st_mode & 0777);
    int rc;

    if (out < 0)
        return errno == EEXIST ? 0 : -1; /* named twice (unmerged entries of the index) */
    rc = copy_bytes(c, in, out, st->st_size);
    if (rc == 0 && (fchmod(out, st->st_mode & 0777) < 0 || futimens(out, times) < 0))
        rc = -1;
    if (close(out) < 0)
        rc = -1;
    return rc;
}

static int copy_link(int from_dir, const char *from_base, int to_dir, const char *base)
{
    char target[4096];
    ssize_t n = readlinkat(from_dir, from_base, target, sizeof target - 1);

    if (n < 0)
        return 0;
    target[n] = '\0';
    return symlinkat(target, to_dir, base) < 0 && errno != EEXIST ? -1 : 0;
}

/* One file, link or folder FROM_BASE in FROM_DIR as BASE in TO_DIR; with DEPTH > 0 what is in a folder, too. */
static int copy_entry(struct copying *c, int from_dir, const char *from_base, int to_dir, const char *base, int depth)
{
    struct stat st;
    int in, rc = 0;

    in = openat(from_dir, from_base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (in < 0)
        return errno == ELOOP ? copy_link(from_dir, from_base, to_dir, base) : 0;
    if (fstat(in, &st) < 0) {
        close(in);
        return 0;
    }
    if (S_ISREG(st.st_mode))
        rc = copy_file(c, in, &st, to_dir, base);
    else if (S_ISDIR(st.st_mode) && mkdirat(to_dir, base, 0777) < 0 && errno != EEXIST)
        rc = -1;
    if (rc == 0 && S_ISDIR(st.st_mode) && depth > 0) {
        int below = openat(to_dir, base, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *dir = below < 0 ? NULL : fdopendir(in);

        rc = dir == NULL ? -1 : 0;
        for (struct dirent *d; rc == 0 && (d = readdir(dir)) != NULL;)
            if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
                rc = copy_entry(c, in, d->d_name, below, d->d_name, depth - 1);
        if (dir != NULL) {
            closedir(dir);
            in = -1;
        }
        if (below >= 0)
            close(below);
    }
    if (in >= 0)
        close(in);
    return rc;
}

static int write_text(int to_dir, const char *base, const char *text)
{
    int fd = openat(to_dir, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    int rc = fd < 0 ? -1 : write_all(fd, text, strlen(text));

    if (fd >= 0 && close(fd) < 0)
        rc = -1;
    return rc;
}

static int take_entry(struct copying *c, char kind, char *name, const char *rest)
{
    size_t n = strlen(name);
    const char *base;
    int rc;

    while (n > 0 && name[n - 1] == '/') /* git names a repository in the tree "folder/" */
        name[--n] = '\0';
    if (n == 0)
        return 0;
    rc = enter(c, name, kind == 'f', &base);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (kind == 'f')
        rc = copy_entry(c, c->from_dir, base, c->to_dir, base, 0);
    else if (kind == 'c')
        rc = copy_entry(c, AT_FDCWD, rest, c->to_dir, base, MAX_DEPTH);
    else
        rc = write_text(c->to_dir, base, rest);
    return rc < 0 ? failed(name) : 0;
}

/* Takes the whole entries of LIST; *USED is how many bytes they are. */
static int take_entries(struct copying *c, char *list, size_t len, size_t *used)
{
    *used = 0;
    while (*used < len) {
        char *entry = list + *used, *end = memchr(entry, '\0', len - *used), *rest = NULL;

        if (end == NULL)
            return 0;
        if (*entry != 'f') {
            rest = end + 1;
            end = memchr(rest, '\0', len - (size_t)(rest - list));
            if (end == NULL)
                return 0;
        }
        if (strchr("fwc", *entry) == NULL || *entry == '\0') {
            fprintf(stderr, "the list is damaged\n");
            return -1;
        }
        if (take_entry(c, *entry, entry + 1, rest) < 0)
            return -1;
        *used = (size_t)(end + 1 - list);
    }
    return 0;
}

int copy_list_main(int argc, char **argv)
{
    static struct copying c = {.from_dir = -1, .to_dir = -1};
    struct buf list = {0};
    int rc = 0;

    if (argc != 4) {
        fprintf(stderr, "the helper was called in a wrong way\n");
        return 1;
    }
    c.from = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (mkdir(argv[3], 0777) < 0 && errno != EEXIST)
        return failed(argv[3]), 1;
    c.to = open(argv[3], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c.from < 0 || c.to < 0)
        return failed(c.from < 0 ? argv[2] : argv[3]), 1;
    while (rc == 0) {
        size_t used;
        ssize_t n;

        buf_reserve(&list, 65536);
        n = read(STDIN_FILENO, list.data + list.len, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        list.len += (size_t)n;
        rc = take_entries(&c, list.data, list.len, &used);
        buf_consume(&list, used);
    }
    if (rc == 0 && list.len > 0) {
        fprintf(stderr, "the list ends too early\n");
        rc = -1;
    }
    close_folders(&c);
    buf_free(&c.dir);
    buf_free(&list);
    return rc < 0 ? 1 : 0;
}
