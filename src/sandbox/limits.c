/* sandbox/limits.c: see limits.h. */
#include "sandbox/limits.h"

#include "base/alloc.h"
#include "base/path.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define RESERVED_PIDS 300 /* the kernel starts again there when the numbers are used up */

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t n = strlen(text);
    bool ok;

    if (fd < 0)
        return false;
    ok = write(fd, text, n) == (ssize_t)n;
    (void)close(fd);
    return ok;
}

static bool write_in(const char *folder, const char *name, int64_t value)
{
    char *path = path_join(folder, name);
    char text[32];
    bool ok;

    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    ok = write_text(path, text);
    free(path);
    return ok;
}

/* --- Control groups --------------------------------------------------------------------------------------------- */

/* The folder of this process's group for CONTROLLER, by /proc/self/cgroup ("ID:CONTROLLERS:PATH"; v2 is "0::PATH"); NULL when
 * there is none. Caller frees. */
static char *own_folder(const char *controller, bool *is_v2)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char *line = NULL;
    char *unified = NULL;
    char *found = NULL;
    size_t size = 0;

    while (file != NULL && found == NULL && getline(&line, &size, file) > 0) {
        char *names = strchr(line, ':');
        char *path = names == NULL ? NULL : strchr(names + 1, ':');

        if (path == NULL)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (strcmp(names + 1, controller) == 0)
            found = xasprintf("/sys/fs/cgroup/%s%s", controller, path);
        else if (names[1] == '\0' && unified == NULL)
            unified = xasprintf("/sys/fs/cgroup%s", path);
    }
    if (file != NULL)
        (void)fclose(file);
    free(line);
    *is_v2 = found == NULL;
    if (found == NULL)
        return unified;
    free(unified);
    return found;
}

/* A fresh group below the own one; NULL where that is not allowed. */
static char *make_folder(const char *controller, bool *is_v2)
{
    char *own = own_folder(controller, is_v2);
    char *folder = own == NULL ? NULL : xasprintf("%s/cadre-box-%d", own, (int)getpid());

    free(own);
    if (folder != NULL && mkdir(folder, 0700) < 0)
        FREE_NULL(folder);
    return folder;
}

bool box_group_create(struct box_group *group, const struct box_limits *limits)
{
    bool is_v2;

    *group = (struct box_group){0};
    if (limits->memory_bytes == 0 || !limits->has_group)
        return false;
    group->folders[0] = make_folder("memory", &is_v2);
    if (group->folders[0] == NULL)
        return false;
    if (is_v2) {
        group->holds_memory = write_in(group->folders[0], "memory.max", limits->memory_bytes);
        (void)write_in(group->folders[0], "memory.swap.max", 0);
        (void)write_in(group->folders[0], "memory.oom.group", 1);
        group->holds_processes =
            limits->processes > 0 && write_in(group->folders[0], "pids.max", limits->processes);
    } else {
        group->holds_memory = write_in(group->folders[0], "memory.limit_in_bytes", limits->memory_bytes);
        (void)write_in(group->folders[0], "memory.memsw.limit_in_bytes", limits->memory_bytes);
        group->folders[1] = limits->processes > 0 ? make_folder("pids", &is_v2) : NULL;
        group->holds_processes =
            group->folders[1] != NULL && write_in(group->folders[1], "pids.max", limits->processes);
    }
    if (!group->holds_memory)
        box_group_remove(group);
    return group->holds_memory;
}

bool box_group_join(const struct box_group *group)
{
    for (size_t i = 0; i < 2; i++)
        if (group->folders[i] != NULL && !write_in(group->folders[i], "cgroup.procs", 0 /* the writer */))
            return false;
    return true;
}

void box_group_remove(struct box_group *group)
{
    for (size_t i = 0; i < 2; i++) {
        if (group->folders[i] == NULL)
            continue;
        for (int tries = 0; rmdir(group->folders[i]) < 0 && tries < 50; tries++)
            (void)usleep(2000); /* the last process is still leaving it */
        FREE_NULL(group->folders[i]);
    }
    *group = (struct box_group){0};
}

bool box_group_probe(void)
{
    struct box_limits limits = {.memory_bytes = (int64_t)1 << 30, .has_group = true};
    struct box_group group;
    bool ok = box_group_create(&group, &limits);

    box_group_remove(&group);
    return ok;
}

/* --- Limits of each process --------------------------------------------------------------------------------------- */

static void set_limit(__rlimit_resource_t resource, int64_t value)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) < 0)
        return;
    if (limit.rlim_max == RLIM_INFINITY || (rlim_t)value < limit.rlim_max)
        limit.rlim_max = (rlim_t)value;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(resource, &limit);
}

void limits_apply(const struct box_limits *limits)
{
    set_limit(RLIMIT_CORE, 0);
    if (limits->file_bytes > 0)
        set_limit(RLIMIT_FSIZE, limits->file_bytes);
    if (limits->cpu_seconds > 0)
        set_limit(RLIMIT_CPU, limits->cpu_seconds);
    (void)write_text("/proc/self/oom_score_adj", "800");
}

void limits_apply_address_space(const struct box_limits *limits)
{
    set_limit(RLIMIT_AS, limits->memory_bytes);
}

/* Threads of the machine, from "0.20 0.18 0.12 1/80 11206": an upper bound of the user's. */
static int64_t running_threads(void)
{
    FILE *file = fopen("/proc/loadavg", "re");
    long long total = 0;

    if (file != NULL && fscanf(file, "%*s %*s %*s %*d/%lld", &total) != 1)
        total = 0;
    if (file != NULL)
        (void)fclose(file);
    return total;
}

void limits_apply_processes(const struct box_limits *limits, bool has_namespaces)
{
    if (limits->processes > 0)
        set_limit(RLIMIT_NPROC, limits->processes + (has_namespaces ? 2 : running_threads()));
}

bool limits_apply_pid_max(const struct box_limits *limits)
{
    struct utsname name;
    char *end;
    long major;
    long minor;
    char text[32];

    if (limits->processes == 0 || uname(&name) < 0)
        return false;
    major = strtol(name.release, &end, 10);
    minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    if (major < 6 || (major == 6 && minor < 14))
        return false;
    (void)snprintf(text, sizeof text, "%lld", (long long)(limits->processes + RESERVED_PIDS));
    return write_text("/proc/sys/kernel/pid_max", text);
}
