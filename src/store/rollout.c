/* store/rollout.c: a thread's items as JSON lines in a file that only grows. */
#include "store/rollout.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "base/redact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES   ((size_t)256 * 1024) /* more is written before the flush */
#define FILE_MAX_BYTES ((size_t)1 << 30)

struct rollout {
    int fd;
    char *path;
    off_t written_bytes; /* whole lines in the file */
    struct buf pending;
    struct error failure; /* of a write between flushes */
};

/* Cuts off what follows the last line end. */
static int cut_torn_line(int fd, const char *path, off_t *whole_bytes, struct error *err)
{
    off_t size = lseek(fd, 0, SEEK_END);
    off_t end = size;
    char piece[4096];

    if (size < 0)
        return error_set_errno(err, "%s", path);
    while (end > 0) {
        off_t start = end > (off_t)sizeof(piece) ? end - (off_t)sizeof(piece) : 0;
        ssize_t n = pread(fd, piece, (size_t)(end - start), start);
        char *last;

        if (n <= 0)
            return error_set_errno(err, "reading %s", path);
        last = memrchr(piece, '\n', (size_t)n);
        if (last != NULL) {
            end = start + (last - piece) + 1;
            break;
        }
        end = start;
    }
    if (end < size && ftruncate(fd, end) < 0)
        return error_set_errno(err, "cutting off a torn line of %s", path);
    *whole_bytes = end;
    return 0;
}

struct rollout *rollout_open(const char *path, struct error *err)
{
    char *folder = path_dirname(path);
    struct rollout *rollout = NULL;
    off_t whole_bytes = 0;
    int fd = -1;

    if (file_make_directories(folder, 0700, err) < 0)
        goto out;
    fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        error_set_errno(err, "opening %s", path);
        goto out;
    }
    if (cut_torn_line(fd, path, &whole_bytes, err) < 0) {
        close(fd);
        goto out;
    }
    rollout = xcalloc(1, sizeof(*rollout));
    rollout->fd = fd;
    rollout->written_bytes = whole_bytes;
    rollout->path = xstrdup(path);
out:
    free(folder);
    return rollout;
}

static int write_pending(struct rollout *rollout, struct error *err)
{
    if (rollout->pending.len > 0 &&
        file_write_all(rollout->fd, rollout->pending.data, rollout->pending.len) < 0) {
        error_set_errno(err, "writing %s", rollout->path);
        /* A full disk may have taken a part: the next try starts over. */
        if (ftruncate(rollout->fd, rollout->written_bytes) < 0)
            log_error("%s: a torn line is left over: %s", rollout->path, strerror(errno));
        return -1;
    }
    rollout->written_bytes += (off_t)rollout->pending.len;
    buf_clear(&rollout->pending);
    return 0;
}

void rollout_add(struct rollout *rollout, const char *type, const char *payload, size_t n)
{
    struct json_writer w = {.out = &rollout->pending};
    struct buf clean = BUF_INIT;
    char now[CLOCK_TEXT_BYTES];

    clock_format_utc(clock_wall_ms(), now);
    jw_object_begin(&w);
    jw_pair_string(&w, "timestamp", now);
    jw_pair_string(&w, "type", type);
    jw_key(&w, "payload");
    redact_append_json(&clean, payload, n);
    jw_raw(&w, clean.data, clean.len);
    buf_free(&clean);
    jw_object_end(&w);
    buf_putc(&rollout->pending, '\n');
    if (rollout->pending.len > BUFFER_BYTES && !error_is_set(&rollout->failure))
        (void)write_pending(rollout, &rollout->failure);
}

int rollout_flush(struct rollout *rollout, struct error *err)
{
    error_clear(&rollout->failure);
    return write_pending(rollout, err);
}

void rollout_close(struct rollout *rollout)
{
    struct error err = {0};

    if (rollout == NULL)
        return;
    if (rollout_flush(rollout, &err) == 0 && fdatasync(rollout->fd) < 0)
        error_set_errno(&err, "syncing %s", rollout->path);
    if (error_is_set(&err))
        log_error("%s", err.text);
    close(rollout->fd);
    buf_free(&rollout->pending);
    free(rollout->path);
    free(rollout);
}

static int read_line(const char *path, int number, const char *line, size_t n,
                     bool (*cb)(void *data, const char *timestamp, const char *type, const json_t *payload),
                     void *data, bool *goes_on, struct error *err)
{
    struct error why = {0};
    json_t *object = json_parse(line, n, "line", &why);
    const char *type = json_get_string(object, "type", NULL);

    if (object == NULL || type == NULL) {
        json_decref(object);
        return error_set_at(err, ERROR_PARSE, path, number, 0, "%s",
                            object == NULL ? why.text : "the line has no \"type\"");
    }
    *goes_on = cb(data, json_get_string(object, "timestamp", ""), type, json_object_get(object, "payload"));
    json_decref(object);
    return 0;
}

int rollout_read(const char *path,
                 bool (*cb)(void *data, const char *timestamp, const char *type, const json_t *payload),
                 void *data, struct error *err)
{
    struct buf text = BUF_INIT;
    bool goes_on = true;
    int number = 0;
    int rc = 0;

    if (file_read(path, &text, FILE_MAX_BYTES, err) < 0) {
        buf_free(&text);
        return -1;
    }
    for (size_t at = 0; at < text.len && goes_on && rc == 0;) {
        char *end = memchr(text.data + at, '\n', text.len - at);
        size_t n;

        if (end == NULL)
            break; /* torn */
        n = (size_t)(end - (text.data + at));
        number++;
        if (n > 0)
            rc = read_line(path, number, text.data + at, n, cb, data, &goes_on, err);
        at += n + 1;
    }
    buf_free(&text);
    return rc;
}
