/* sandbox/watch.c: see watch.h. */
#include "sandbox/watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS   100
#define SHARE      20 /* a look may take a twentieth of the time */
#define TEXT_BYTES 4096

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t free_bytes(int folder)
{
    struct statvfs vfs;

    return fstatvfs(folder, &vfs) < 0 ? INT64_MAX : (int64_t)vfs.f_bavail * (int64_t)vfs.f_frsize;
}

void box_watch_begin(struct box_watch *watch, const struct box_limits *limits, bool watches_memory)
{
    *watch = (struct box_watch){.pause_ms = PAUSE_MS};
    watch->memory_bytes = watches_memory ? limits->memory_bytes : 0;
    watch->folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (watch->folder >= 0 && free_bytes(watch->folder) > limits->min_free_bytes)
        watch->min_free_bytes = limits->min_free_bytes;
}

bool box_watch_is_on(const struct box_watch *watch)
{
    return watch->memory_bytes > 0 || watch->min_free_bytes > 0;
}

/* The number of kB after NAME in the file FILE of process PID, in bytes; -1 when it is not there. */
static int64_t bytes_in(const char *pid, const char *file, const char *name)
{
    char path[300];
    char text[TEXT_BYTES];
    const char *found;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%s/%s", pid, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    found = strstr(text, name);
    return found == NULL ? -1 : strtoll(found + strlen(name), NULL, 10) * 1024;
}

static int64_t at_least_0(int64_t bytes)
{
    return bytes > 0 ? bytes : 0;
}

/* Quick, and never too low: pages that processes share after a fork count once for each. */
static int64_t upper_bound(const char *pid)
{
    return at_least_0(bytes_in(pid, "status", "\nRssAnon:")) + at_least_0(bytes_in(pid, "status", "\nRssShmem:"));
}

/* Slow, and true: a shared page counts in parts. A process can make itself unreadable (PR_SET_DUMPABLE); it counts in full. */
static int64_t fair_share(const char *pid)
{
    int64_t bytes = bytes_in(pid, "smaps_rollup", "\nPss:");

    return bytes >= 0 ? bytes : upper_bound(pid);
}

/* Of what fair_share() says, an upper bound of what can be in segments. Of a process that cannot be read, what its status says. */
static int64_t shared_part(const char *pid)
{
    int64_t bytes = bytes_in(pid, "smaps_rollup", "\nPss_Shmem:");

    return bytes >= 0 ? bytes : at_least_0(bytes_in(pid, "status", "\nRssShmem:"));
}

/* What the System V segments of this IPC namespace hold, attached or not. */
static int64_t segments(void)
{
    FILE *file = fopen("/proc/sysvipc/shm", "re");
    char line[512];
    int64_t total = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        long long rss;
        long long swap;

        /* key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap */
        if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lld %lld", &rss, &swap) == 2)
            total += rss + swap;
    }
    if (file != NULL)
        (void)fclose(file);
    return total;
}

static int64_t sum(int64_t (*of)(const char *pid))
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    int64_t total = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            total += of(entry->d_name);
    if (dir != NULL)
        (void)closedir(dir);
    return total;
}

static bool uses_too_much(int64_t allowed)
{
    int64_t held = segments();

    if (sum(upper_bound) + held <= allowed)
        return false;
    return sum(fair_share) + at_least_0(held - sum(shared_part)) > allowed;
}

const char *box_watch_look(struct box_watch *watch)
{
    int64_t began = now_ms();
    const char *reason = NULL;
    int64_t took;

    if (watch->memory_bytes > 0 && uses_too_much(watch->memory_bytes))
        reason = "it uses more memory than limits.memory_mb allows";
    else if (watch->min_free_bytes > 0 && free_bytes(watch->folder) < watch->min_free_bytes)
        reason = "it has filled the disk: less is free than limits.min_free_disk_mb";
    took = now_ms() - began;
    watch->pause_ms = took * SHARE > PAUSE_MS ? took * SHARE : PAUSE_MS;
    return reason;
}
