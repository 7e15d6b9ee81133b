/* io/spawn_server.h: a small program that starts processes in our place. What it starts is our child and in a session of its
 * own, but costs neither a copy of our address space nor an exec of a helper: the server forks itself, and has done once what
 * it would do for each (it makes the boxes of commands; this layer does not know that).
 *
 * One for the program. It starts with the first request, and where it cannot (or has died) requests are refused, so that
 * callers fall back to posix_spawn. */
#ifndef CADRE_IO_SPAWN_SERVER_H
#define CADRE_IO_SPAWN_SERVER_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* PROGRAM (copied) serves with the one argument ARGUMENT the commands of which IS_SERVED says so. */
void spawn_server_set(const char *program, const char *argument, bool (*is_served)(const char *const *argv));
bool spawn_server_takes(const char *const *argv);

struct spawn_request {
    const char *const *argv;
    const char *const *env;
    const char *cwd;      /* NULL: the server's own, which is ours at its start */
    const char *terminal; /* path of a terminal's other end, or NULL */
    int descriptors[3];   /* -1: /dev/null */
    bool merge_stderr;
};

/* The process's number, and the SLOT that spawn_server_status() wants; or -1 when the server does not take it. */
pid_t spawn_server_start(const struct spawn_request *request, int *slot);

/* The true wait status of a process with SLOT whose wait gave STATUS; frees the slot. */
int spawn_server_status(int slot, int status);

#endif
