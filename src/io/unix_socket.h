/* io/unix_socket.h: Unix stream sockets between processes of one user. */
#ifndef CADRE_IO_UNIX_SOCKET_H
#define CADRE_IO_UNIX_SOCKET_H

#include "base/error.h"

struct loop;
struct unix_listener;

/* Listens on PATH, whose folder is made with mode 0700 (one that others may enter is refused). A stale
 * socket file is replaced; one on which somebody listens is an error. Each connection of the same user is
 * handed to ON_CONNECTION, which owns FD (non-blocking, close-on-exec); of other users it is closed. */
struct unix_listener *unix_listener_create(struct loop *loop, const char *path,
                                           void (*on_connection)(void *data, int fd), void *data,
                                           struct error *err);
/* Stops listening and removes the socket file. NULL is fine. */
void unix_listener_destroy(struct unix_listener *listener);

/* A non-blocking, close-on-exec descriptor, or -1. */
int unix_socket_connect(const char *path, struct error *err);

#endif
