/* io/process_mark.c: finds by their environment what other means cannot find: processes that left their
 * group, their session and their parent. */
#include "base/buf.h"
#include "base/str.h"
#include "io/process.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRONMENT_MAX_BYTES ((size_t)4 << 20)
#define ROUNDS                16 /* a process may fork while we look */

/* Does the NUL-separated environment in FD hold ENTRY? */
static bool has_entry(int fd, const char *entry)
{
    struct buf text = BUF_INIT;
    bool found = false;
    char piece[4096];
    ssize_t n;

    while (text.len < ENVIRONMENT_MAX_BYTES && (n = read(fd, piece, sizeof(piece))) > 0)
        buf_append(&text, piece, (size_t)n);
    for (size_t at = 0; at < text.len && !found; at += strlen(text.data + at) + 1)
        found = str_eq(text.data + at, entry);
    buf_free(&text);
    return found;
}

/* Zombies have no environment any more, so they do not count. */
static unsigned signal_round(const char *entry, int signum)
{
    DIR *proc = opendir("/proc");
    struct dirent *each;
    unsigned count = 0;

    if (proc == NULL)
        return 0;
    while ((each = readdir(proc)) != NULL) {
        char path[64];
        pid_t pid;
        int fd;

        if (!isdigit((unsigned char)each->d_name[0]))
            continue;
        pid = (pid_t)strtol(each->d_name, NULL, 10);
        if (pid == getpid() || pid <= 1)
            continue;
        if ((size_t)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid) >= sizeof(path))
            continue;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (has_entry(fd, entry) && kill(pid, signum) == 0)
            count++;
        close(fd);
    }
    closedir(proc);
    return count;
}

unsigned process_kill_marked(const char *mark)
{
    struct buf entry = BUF_INIT;
    unsigned total = 0;

    buf_printf(&entry, "CADRE_RUN_MARK=%s", mark);
    for (int round = 0; round < ROUNDS; round++) {
        unsigned found = signal_round(buf_cstr(&entry), SIGKILL);

        if (found == 0)
            break;
        if (round == 0 || found > total)
            total = found;
        usleep(1000);
    }
    buf_free(&entry);
    return total;
}

unsigned process_end_marked(const char *mark, unsigned grace_ms)
{
    struct buf entry = BUF_INIT;
    unsigned found;

    buf_printf(&entry, "CADRE_RUN_MARK=%s", mark);
    found = signal_round(buf_cstr(&entry), SIGTERM);
    for (unsigned waited_ms = 0; found > 0 && waited_ms < grace_ms; waited_ms += 10) {
        usleep(10000);
        if (signal_round(buf_cstr(&entry), 0) == 0)
            break;
    }
    buf_free(&entry);
    if (found > 0)
        (void)process_kill_marked(mark);
    return found;
}
