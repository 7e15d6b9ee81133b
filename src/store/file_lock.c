/* store/file_lock.c: open file description locks (fcntl F_OFD_SETLK), which belong to the descriptor and not
 * to the process, so that a second one in the same process is refused too. */
#include "store/file_lock.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void read_holder(int fd, struct file_lock_holder *holder)
{
    char text[256];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    *holder = (struct file_lock_holder){0};
    if (n <= 0)
        return;
    text[n] = '\0';
    if (sscanf(text, "pid %" SCNd64 " since %" SCNd64 " host %64s", &holder->pid, &holder->since_ms,
               holder->host) < 2)
        *holder = (struct file_lock_holder){0};
}

static int refuse(int fd, const char *path, struct error *err)
{
    struct file_lock_holder holder;
    char since[CLOCK_TEXT_BYTES];

    read_holder(fd, &holder);
    if (holder.pid == 0)
        return error_set(err, ERROR_LIMIT, "%s: in use by another process", path);
    clock_format_utc(holder.since_ms, since);
    return error_set(err, ERROR_LIMIT, "%s: in use by process %" PRId64 " on %s since %s", path, holder.pid,
                     holder.host, since);
}

int file_lock_take(const char *path, struct error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char host[65] = "";
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return error_set_errno(err, "opening %s", path);
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        if (errno == EAGAIN || errno == EACCES)
            refuse(fd, path, err);
        else
            error_set_errno(err, "locking %s", path);
        close(fd);
        return -1;
    }
    gethostname(host, sizeof(host) - 1);
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "pid %d since %" PRId64 " host %s\n", (int)getpid(),
                                        clock_wall_ms(), host[0] ? host : "?") < 0) {
        error_set_errno(err, "writing %s", path);
        close(fd);
        return -1;
    }
    return fd;
}

bool file_lock_is_held(const char *path, struct file_lock_holder *holder)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    bool held;

    *holder = (struct file_lock_holder){0};
    if (fd < 0)
        return false;
    held = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (held)
        read_holder(fd, holder);
    close(fd);
    return held;
}
