/* store/history.c: the history file that Codex and we share.
 *
 * Codex locks it by flock(2), and so do we. Trimming replaces the file; who waited for the lock of the old
 * one notices by its inode and opens the new one. */
#include "store/history.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/redact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TRIES     100 /* a second, as Codex waits */
#define LOCK_PAUSE_US  10000
#define READ_MAX_BYTES ((size_t)256 << 20)

static bool is_current(int fd, const char *path)
{
    struct stat ours;
    struct stat now;

    return fstat(fd, &ours) == 0 && stat(path, &now) == 0 && ours.st_ino == now.st_ino &&
           ours.st_dev == now.st_dev;
}

static int open_locked(const char *path, struct error *err)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0)
            return error_set_errno(err, "opening %s", path);
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_current(fd, path))
            return fd;
        close(fd);
        usleep(LOCK_PAUSE_US);
    }
    return error_set(err, ERROR_TIMEOUT, "%s: another process holds its lock", path);
}

/* Where the newest lines that fit start. The last line always stays. */
static size_t kept_from(const struct buf *text, int64_t max_bytes)
{
    size_t from = 0;

    while ((int64_t)(text->len - from) > max_bytes) {
        char *end = memchr(text->data + from, '\n', text->len - from);

        if (end == NULL || (size_t)(end - text->data) + 1 >= text->len)
            break;
        from = (size_t)(end - text->data) + 1;
    }
    return from;
}

static int trim(const char *path, int fd, int64_t max_bytes, struct error *err)
{
    struct buf text = BUF_INIT;
    struct stat st;
    size_t from;
    int rc = 0;

    if (max_bytes <= 0 || fstat(fd, &st) < 0 || st.st_size <= max_bytes)
        return 0;
    if (file_read(path, &text, READ_MAX_BYTES, err) < 0) {
        rc = -1;
    } else {
        from = kept_from(&text, max_bytes);
        if (from > 0)
            rc = file_write_atomic(path, text.data + from, text.len - from, 0600, err);
    }
    buf_free(&text);
    return rc;
}

int history_add(const struct history_options *options, const char *session_id, const char *text,
                struct error *err)
{
    struct buf line = BUF_INIT;
    struct json_writer w = {.out = &line};
    char *folder;
    char *clean;
    int fd = -1;
    int rc = -1;

    if (options->persistence == HISTORY_NONE)
        return 0;
    clean = redact_copy(text);
    jw_object_begin(&w);
    jw_pair_string(&w, "session_id", session_id);
    jw_pair_int(&w, "ts", clock_wall_ms() / 1000);
    jw_pair_string(&w, "text", clean);
    jw_object_end(&w);
    buf_putc(&line, '\n');
    free(clean);

    folder = path_dirname(options->path);
    if (file_make_directories(folder, 0700, err) < 0)
        goto out;
    fd = open_locked(options->path, err);
    if (fd < 0)
        goto out;
    if (file_write_all(fd, line.data, line.len) < 0) {
        error_set_errno(err, "writing %s", options->path);
        goto out;
    }
    rc = trim(options->path, fd, options->max_bytes, err);
out:
    if (fd >= 0)
        close(fd);
    free(folder);
    buf_free(&line);
    return rc;
}

int history_each(const struct history_options *options, unsigned limit,
                 bool (*cb)(void *data, const char *session_id, int64_t ts_s, const char *text), void *data,
                 struct error *err)
{
    struct buf file = BUF_INIT;
    size_t from;
    unsigned lines = 0;
    bool goes_on = true;

    if (!file_exists(options->path))
        return 0;
    if (file_read(options->path, &file, READ_MAX_BYTES, err) < 0) {
        buf_free(&file);
        return -1;
    }
    /* Back over LIMIT line ends, then forward. */
    from = file.len;
    while (from > 0 && (file.data[from - 1] != '\n' || lines++ < limit))
        from--;
    while (from < file.len && goes_on && limit > 0) {
        char *end = memchr(file.data + from, '\n', file.len - from);
        size_t n = end ? (size_t)(end - (file.data + from)) : file.len - from;
        json_t *entry = json_parse(file.data + from, n, "history", NULL);
        const char *text = json_get_string(entry, "text", NULL);

        if (text != NULL)
            goes_on = cb(data, json_get_string(entry, "session_id", ""), json_get_int(entry, "ts", 0), text);
        json_decref(entry);
        from += n + 1;
    }
    buf_free(&file);
    return 0;
}
