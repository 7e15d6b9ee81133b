/* sandbox/watch.h: what no limit of the kernel holds for an unprivileged process: the memory of a whole command, and the free
 * space that it leaves. Looked at a few times a second by the init of the box. */
#ifndef CADRE_SANDBOX_WATCH_H
#define CADRE_SANDBOX_WATCH_H

#include "sandbox/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct box_watch {
    int64_t memory_bytes;   /* 0: not watched */
    int64_t min_free_bytes; /* 0: not watched */
    int folder;             /* on the file system whose space is watched */
    int64_t pause_ms;       /* until the next look; a slow look makes it longer */
};

/* Begins for a command in the current folder. WATCHES_MEMORY: nothing else holds it, and /proc is the box's own. A file system
 * that is already too full is not watched. */
void box_watch_begin(struct box_watch *watch, const struct box_limits *limits, bool watches_memory);
bool box_watch_is_on(const struct box_watch *watch);

/* Looks at the processes of /proc, which is the box's own: NULL, or why the command has to end. */
const char *box_watch_look(struct box_watch *watch);

#endif
