/* sandbox/box_outlets.c: see box_outlets.h. */
#include "sandbox/box_outlets.h"

#include "base/path.h"
#include "base/str.h"
#include "sandbox/box.h"
#include "sandbox/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NOTED     4096
#define FLAG_LISTENS  0x10000 /* __SO_ACCEPTCON of the kernel */
#define TYPE_DATAGRAM 2

/* --- Sockets ---------------------------------------------------------------------------------------------------------- */

/* The path of one line of /proc/net/unix when others can reach it there: NULL for connections, names without a path and what
 * nobody listens on. */
static const char *path_of_listener(char *line)
{
    unsigned flags;
    unsigned type;
    int at = 0;

    /* Num RefCount Protocol Flags Type St Inode Path */
    if (sscanf(line, "%*s %*s %*s %x %x %*s %*s %n", &flags, &type, &at) != 2 || at == 0 || line[at] != '/')
        return NULL;
    if ((flags & FLAG_LISTENS) == 0 && type != TYPE_DATAGRAM)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return line + at;
}

/* In a /tmp of the box's own the name means another file than outside. */
static bool is_gone_with_tmp(const struct box *box, const char *path)
{
    struct stat st;

    return box->private_tmp && path_is_below(path, "/tmp") && (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode));
}

void box_note_sockets(struct box *box)
{
    FILE *file = fopen("/proc/net/unix", "re");
    char line[512]; /* a path has at most 108 bytes */

    while (file != NULL && box->sockets.len < MAX_NOTED && fgets(line, sizeof line, file) != NULL) {
        const char *path = path_of_listener(line);

        if (path != NULL && !is_gone_with_tmp(box, path))
            str_list_add(&box->sockets, path);
    }
    if (file != NULL)
        (void)fclose(file);
}

static bool may_reach(const struct box *box, const char *path)
{
    static const char *const name_services[] = {"/run/systemd/resolve", "/run/nscd", "/var/run/nscd"};

    for (size_t i = 0; box->mode == SANDBOX_WORKSPACE_WRITE && i < box->roots.len; i++)
        if (path_is_below(path, box->roots.items[i]))
            return true;
    for (size_t i = 0; box->network && i < sizeof name_services / sizeof name_services[0]; i++)
        if (path_is_below(path, name_services[i]))
            return true;
    return false;
}

bool box_hide_sockets(const struct box *box)
{
    for (size_t i = 0; i < box->sockets.len; i++) {
        const char *path = box->sockets.items[i];
        struct stat st;

        /* A socket that was listed twice is none any more. */
        if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && !may_reach(box, path) && !namespace_hide(path))
            return false;
    }
    return true;
}

/* --- Terminals -------------------------------------------------------------------------------------------------------- */

/* The terminal that one of the command's descriptors is, opened by its name; -1 without one. */
static int open_own_terminal(void)
{
    char link[32];
    char name[64];

    for (int fd = 0; fd < 3; fd++) {
        ssize_t n;

        if (isatty(fd) == 0)
            continue;
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, name, sizeof name - 1);
        if (n <= 0)
            continue;
        name[n] = '\0';
        if (strncmp(name, "/dev/pts/", 9) == 0)
            return open(name, O_PATH | O_CLOEXEC);
    }
    return -1;
}

bool box_make_own_terminals(struct box *box)
{
    struct stat st;
    int own;

    if (stat("/dev/pts/ptmx", &st) < 0)
        return true;
    own = open_own_terminal();
    if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620") < 0)
        return false;
    if (own >= 0) {
        (void)snprintf(box->terminal, sizeof box->terminal, "/proc/self/fd/%d", own);
        /* A program that asks what its terminal is called finds it there; without, it has no name. */
        (void)mount(box->terminal, "/dev/console", NULL, MS_BIND, NULL);
    }
    return true;
}
