/* io/pty.c: pseudo-terminals by /dev/ptmx. */
#include "io/pty.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int pty_resize(int master, unsigned short columns, unsigned short rows, struct error *err)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};

    if (ioctl(master, TIOCSWINSZ, &size) < 0)
        return error_set_errno(err, "setting the size of a terminal");
    return 0;
}

int pty_open(int *master, char *slave_path, size_t slave_path_bytes, struct error *err)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return error_set_errno(err, "opening a pseudo-terminal");
    if (grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, slave_path, slave_path_bytes) != 0) {
        error_set_errno(err, "opening a pseudo-terminal");
        close(fd);
        return -1;
    }
    if (pty_resize(fd, 80, 24, err) < 0) {
        close(fd);
        return -1;
    }
    *master = fd;
    return 0;
}
