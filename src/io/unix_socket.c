/* io/unix_socket.c: listening and connecting on Unix sockets; only the same user may connect. */
#include "io/unix_socket.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct unix_listener {
    int fd;
    char *path;
    struct watch *watch;
    void (*on_connection)(void *data, int fd);
    void *data;
};

/* The address of PATH. One that is longer than an address holds is named through its folder, opened as *FOLDER (else -1),
 * which must stay open until bind() or connect() is done. */
static int make_address(const char *path, struct sockaddr_un *address, int *folder, struct error *err)
{
    size_t n = strlen(path);
    char *dir;
    int length;

    *folder = -1;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (n < sizeof(address->sun_path)) {
        memcpy(address->sun_path, path, n);
        return 0;
    }
    dir = path_dirname(path);
    *folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (*folder < 0)
        return error_set_errno(err, "the folder of %s", path);
    length = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", *folder, path_basename(path));
    if (length > 0 && (size_t)length < sizeof(address->sun_path))
        return 0;
    close(*folder);
    return error_set(err, ERROR_LIMIT, "%s: the name of a socket has at most 80 bytes", path);
}

static void close_folder(int folder)
{
    if (folder >= 0)
        close(folder);
}

int unix_socket_connect(const char *path, struct error *err)
{
    struct sockaddr_un address;
    int folder;
    int fd;

    if (make_address(path, &address, &folder, err) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        error_set_errno(err, "making a socket");
    } else if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        /* Connecting to a Unix socket is immediate, or fails at once when its queue is full. */
        error_set_errno(err, "connecting to %s", path);
        close(fd);
        fd = -1;
    }
    close_folder(folder);
    return fd;
}

static int check_folder(const char *path, struct error *err)
{
    char *folder = path_dirname(path);
    struct stat st;
    int rc = -1;

    if (file_make_directories(folder, 0700, err) < 0)
        goto out;
    if (stat(folder, &st) < 0) {
        error_set_errno(err, "%s", folder);
        goto out;
    }
    if (st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
        error_set(err, ERROR_DENIED, "%s: others may enter this folder, so no socket is opened in it",
                  folder);
        error_hint(err, "chmod 700 %s", folder);
        goto out;
    }
    rc = 0;
out:
    free(folder);
    return rc;
}

/* A socket file whose listener is gone may be replaced; anything else may not. */
static int remove_stale(const char *path, struct error *err)
{
    struct stat st;
    int fd;

    if (lstat(path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, ERROR_IO, "%s: is there already and is no socket", path);
    fd = unix_socket_connect(path, NULL);
    if (fd >= 0) {
        close(fd);
        return error_set(err, ERROR_LIMIT, "%s: somebody listens there already", path);
    }
    if (unlink(path) < 0)
        return error_set_errno(err, "removing %s", path);
    return 0;
}

static void on_ready(void *data, int events)
{
    struct unix_listener *listener = data;
    struct ucred peer = {0};
    socklen_t peer_len = sizeof(peer);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) < 0 || peer.uid != geteuid()) {
        log_warning("%s: refused a connection of user %d", listener->path, (int)peer.uid);
        close(fd);
        return;
    }
    listener->on_connection(listener->data, fd);
}

struct unix_listener *unix_listener_create(struct loop *loop, const char *path,
                                           void (*on_connection)(void *data, int fd), void *data,
                                           struct error *err)
{
    struct sockaddr_un address;
    struct unix_listener *listener;
    int folder;
    int fd;

    if (check_folder(path, err) < 0 || remove_stale(path, err) < 0 || make_address(path, &address, &folder, err) < 0)
        return NULL;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        error_set_errno(err, "making a socket");
        close_folder(folder);
        return NULL;
    }
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0600) < 0 ||
        listen(fd, 64) < 0) {
        error_set_errno(err, "listening on %s", path);
        close(fd);
        close_folder(folder);
        return NULL;
    }
    close_folder(folder);
    listener = xcalloc(1, sizeof(*listener));
    listener->fd = fd;
    listener->path = xstrdup(path);
    listener->on_connection = on_connection;
    listener->data = data;
    listener->watch = watch_start(loop, fd, WATCH_READ, on_ready, listener);
    return listener;
}

void unix_listener_destroy(struct unix_listener *listener)
{
    if (listener == NULL)
        return;
    watch_stop(listener->watch);
    close(listener->fd);
    unlink(listener->path);
    free(listener->path);
    free(listener);
}
