/* sandbox/box_serve.c: the exec helper as a spawn server (io/spawn_server.h): enters once the user namespace of all boxes, and
 * an empty network, and makes each box by one clone of itself.
 *
 *     program ----socket----> server (user namespace) ----clone(mount, pid, ipc)----> init, a child of the program
 *
 * A box here is what box_run() makes, but for what is cheaper shared: the user namespace, in which nobody has a capability when
 * a command runs, and the network namespace without a single interface that is up. Landlock keeps boxes apart in the latter
 * (abstract sockets), so where it cannot each has a network of its own. */
#include "sandbox/box.h"

#include "base/alloc.h"
#include "io/spawn_protocol.h"
#include "sandbox/box_init.h"
#include "sandbox/box_outlets.h"
#include "sandbox/exec_helper.h"
#include "sandbox/landlock.h"
#include "sandbox/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARENT_FD  5 /* process descriptor of the program */
#define NETWORK_FD 6 /* the empty network; not there where boxes do not share one */

struct request {
    struct spawn_header header;
    char text[SPAWN_MAX_BYTES];
    size_t len;
    int fds[3];
    size_t fd_count;
};

struct server {
    struct spawn_slot *board;
    bool shares_network;
    struct request request;
};

static void answer(int pid, int error)
{
    struct spawn_answer a = {pid, error};

    if (send(SPAWN_SOCKET, &a, sizeof a, MSG_NOSIGNAL) < 0)
        _exit(0); /* nobody listens any more */
}

/* Bounds are checked: a string is NULL when the message ends before it. */
static char *next_string(struct request *r, size_t *at)
{
    char *start = r->text + *at;
    char *end = *at < r->len ? memchr(start, '\0', r->len - *at) : NULL;

    if (end == NULL)
        return NULL;
    *at += (size_t)(end - start) + 1;
    return start;
}

static char **next_list(struct request *r, size_t *at, uint32_t count)
{
    char **list;

    if (count > r->len)
        return NULL;
    list = xcalloc((size_t)count + 1, sizeof *list);
    for (uint32_t i = 0; i < count; i++) {
        list[i] = next_string(r, at);
        if (list[i] == NULL)
            return NULL;
    }
    return list;
}

/* --- In the child --------------------------------------------------------------------------------------------------- */

static void lay_out_descriptors(struct request *r, const char *terminal)
{
    size_t used = 0;

    if (r->header.has_terminal) {
        /* The first terminal that a session leader opens becomes its controlling terminal. */
        int fd = open(terminal, O_RDWR);

        for (int i = 0; i < 3 && fd >= 0; i++)
            (void)dup2(fd, i);
        return;
    }
    /* 0, 1 and 2 are /dev/null already. */
    for (int i = 0; i < 3; i++)
        if ((r->header.descriptors & 1U << i) != 0 && used < r->fd_count)
            (void)dup2(r->fds[used++], i);
    if (r->header.merge_stderr)
        (void)dup2(1, 2);
}

static bool settle_network(const struct server *server, const struct box *box)
{
    if (box->network)
        return true;
    if (box->loopback) {
        namespace_bring_loopback_up();
        return true;
    }
    return !server->shares_network || setns(NETWORK_FD, CLONE_NEWNET) == 0;
}

static int child_main(struct server *server, struct box *box, const char *cwd, const char *terminal, int *status)
{
    static const struct box_ties ties = {0};
    struct request *r = &server->request;

    (void)setsid();
    lay_out_descriptors(r, terminal);
    if (cwd[0] != '\0' && chdir(cwd) < 0)
        return box_stop(cwd, "the working directory cannot be entered");
    box_die_with(PARENT_FD);
    if (!settle_network(server, box) || !namespace_make_private())
        return box_stop("the box's namespaces", "nothing is run");
    (void)syscall(SYS_close_range, 3U, ~0U, 0U);
    box->has_namespaces = true;
    box->is_served = true;
    return box_init_run(box, &ties, status);
}

/* --- The server ------------------------------------------------------------------------------------------------------- */

static pid_t clone_child(unsigned long flags, struct spawn_slot *slot)
{
    return (pid_t)syscall(SYS_clone, flags | CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, NULL, &slot->pid, NULL, NULL);
}

static void serve(struct server *server)
{
    struct request *r = &server->request;
    unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC;
    struct box box = {0};
    size_t at = 0;
    char *cwd = next_string(r, &at);
    char *terminal = next_string(r, &at);
    char **argv = terminal == NULL ? NULL : next_list(r, &at, r->header.argc);
    char **env = argv == NULL ? NULL : next_list(r, &at, r->header.envc);
    pid_t pid = -1;

    if (env == NULL || r->header.slot >= SPAWN_SLOTS || !box_parse(&box, (int)r->header.argc, argv)) {
        errno = EINVAL;
    } else {
        char **own = environ;

        if (!box.network && (box.loopback || !server->shares_network))
            flags |= CLONE_NEWNET;
        environ = env;
        box_note_sockets(&box);
        pid = clone_child(flags, &server->board[r->header.slot]);
        if (pid == 0) {
            int status = 0;
            int rc = child_main(server, &box, cwd, terminal, &status);

            if (rc == 0) {
                atomic_store(&server->board[r->header.slot].status, status | SPAWN_HAS_STATUS);
                rc = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            }
            _exit(rc);
        }
        environ = own;
    }
    answer(pid > 0 ? pid : 0, pid > 0 ? 0 : errno);
    box_finish(&box);
    free(argv);
    free(env);
}

/* False at the end: the program has closed its side. */
static bool receive(struct request *r)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof r->fds)];
    } control;
    struct iovec parts[2] = {{&r->header, sizeof r->header}, {r->text, sizeof r->text}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t n;

    do
        n = recvmsg(SPAWN_SOCKET, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < (ssize_t)sizeof r->header)
        return false;
    r->len = (size_t)n - sizeof r->header;
    r->fd_count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            r->fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(r->fds, CMSG_DATA(c), r->fd_count * sizeof(int));
        }
    }
    return true;
}

/* A child enters namespaces as a box does, and stops there: its network is then kept by a descriptor. 0, or an errno. */
static int try_a_box(bool keep_network)
{
    char path[64];
    int status = 0;
    int error = 0;
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWIPC | (keep_network ? CLONE_NEWNET : 0) | SIGCHLD, NULL, NULL,
                               NULL, NULL);

    if (pid == 0) {
        if (!namespace_make_private())
            _exit(1);
        (void)raise(SIGSTOP);
        _exit(0);
    }
    if (pid < 0)
        return errno;
    if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
        return EPERM;
    if (keep_network) {
        int fd;

        (void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (fd != NETWORK_FD && dup3(fd, NETWORK_FD, O_CLOEXEC) < 0))
            error = errno;
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return error;
}

/* What every box needs and one can have for all. 0, or an errno. */
static int prepare(struct server *server)
{
    size_t size = SPAWN_SLOTS * sizeof *server->board;
    void *board = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, SPAWN_BOARD, 0);
    int fd;

    if (board == MAP_FAILED)
        return errno;
    server->board = board;
    (void)close(SPAWN_BOARD);
    fd = (int)syscall(SYS_pidfd_open, getppid(), 0);
    if (fd < 0 || (fd != PARENT_FD && dup3(fd, PARENT_FD, O_CLOEXEC) < 0))
        return errno;
    if (fd != PARENT_FD)
        (void)close(fd);
    namespace_remember_user();
    if (unshare(CLONE_NEWUSER) < 0 || !namespace_map_user())
        return errno != 0 ? errno : EPERM;
    server->shares_network = landlock_abi() >= 6;
    return try_a_box(server->shares_network);
}

int sandbox_serve_main(void)
{
    static struct server server;
    int error;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    box_block_signals();
    error = prepare(&server);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_DUMPABLE, 0);
    answer(0, error);
    while (error == 0 && receive(&server.request)) {
        serve(&server);
        for (size_t i = 0; i < server.request.fd_count; i++)
            (void)close(server.request.fds[i]);
    }
    return 0;
}
