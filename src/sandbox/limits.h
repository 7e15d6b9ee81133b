/* sandbox/limits.h: how much a command may use: resource limits of its processes, and a control group where this program may
 * make one. Used by the exec helper. */
#ifndef CADRE_SANDBOX_LIMITS_H
#define CADRE_SANDBOX_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct box_limits { /* 0: no limit of ours */
    int64_t processes;
    int64_t memory_bytes;
    int64_t file_bytes;
    int64_t cpu_seconds;
    int64_t min_free_bytes; /* of the file system of the working directory */
    bool has_group;         /* a control group is tried for the memory */
};

/* A control group of the command's own, for memory and processes together: v2 where it is delegated to us, v1 where its
 * folders are writable. */
struct box_group {
    char *folders[2];
    bool holds_memory;
    bool holds_processes;
};

/* Makes it when a limit of memory asks for it; false (and an empty GROUP) where that is not possible. */
bool box_group_create(struct box_group *group, const struct box_limits *limits);
/* The calling process and all its later children belong to it from now on. */
bool box_group_join(const struct box_group *group);
/* Its processes have to be gone. */
void box_group_remove(struct box_group *group);
/* Would box_group_create() work here? Tried. */
bool box_group_probe(void);

/* Limits each process: file size, processor time, core files. The kernel ends our processes before others when memory is
 * short. */
void limits_apply(const struct box_limits *limits);

/* Limits the memory of each process by its addresses: what is left where neither a group nor box_watch can hold it. */
void limits_apply_address_space(const struct box_limits *limits);

/* Limits the number of processes: in a user namespace that counts those within it, elsewhere those of the user, so that
 * what runs already is added. */
void limits_apply_processes(const struct box_limits *limits, bool has_namespaces);

/* In a process namespace of our own whose /proc is mounted: the highest process number, which also holds for root. False on a
 * kernel older than 6.14, where the setting is the machine's. */
bool limits_apply_pid_max(const struct box_limits *limits);

#endif
