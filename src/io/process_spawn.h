/* io/process_spawn.h: starting one child by posix_spawn. Only for process.c. */
#ifndef CADRE_IO_PROCESS_SPAWN_H
#define CADRE_IO_PROCESS_SPAWN_H

#include "base/error.h"

#include <sys/types.h>

struct process_options;

/* Our ends of the child's pipes; -1 where there is none. With a pseudo-terminal IN and OUT are two
 * descriptors of its master. All are close-on-exec and non-blocking. */
struct process_pipes {
    int in;
    int out;
    int err;
};

struct process_spawned {
    pid_t pid;
    int pidfd;
    int slot; /* of the spawn server; -1 when it was not started by it */
};

/* Starts the child and opens its pidfd (-1 where that call does not exist: under valgrind, in some
 * containers). MARK may be NULL. On failure nothing is left open. */
int process_spawn(const struct process_options *options, const char *mark, struct process_spawned *spawned,
                  struct process_pipes *pipes, struct error *err);

#endif
