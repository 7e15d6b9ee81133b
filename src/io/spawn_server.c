/* io/spawn_server.c: see spawn_server.h. The one server of the program is process-wide state, like the children are. */
#include "io/spawn_server.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "io/spawn_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READY_SECONDS  5
#define ANSWER_SECONDS 1 /* it takes a millisecond; one that takes longer is stopped, or hangs */

static struct {
    char *program;
    char *argument;
    bool (*is_served)(const char *const *argv);
    bool has_failed;
    int socket; /* -1: not started */
    int pidfd;
    struct spawn_slot *board;
    bool taken[SPAWN_SLOTS];
    unsigned next_slot;
} server = {.socket = -1, .pidfd = -1};

void spawn_server_set(const char *program, const char *argument, bool (*is_served)(const char *const *argv))
{
    free(server.program);
    free(server.argument);
    server.program = xstrdup(program);
    server.argument = xstrdup(argument);
    server.is_served = is_served;
}

bool spawn_server_takes(const char *const *argv)
{
    return server.program != NULL && !server.has_failed && strcmp(argv[0], server.program) == 0 && server.is_served(argv);
}

/* Ends the server, so that it certainly does nothing any more. */
static void give_up(const char *why)
{
    struct pollfd end = {.fd = server.pidfd, .events = POLLIN};

    if (server.socket >= 0)
        (void)close(server.socket);
    if (server.pidfd >= 0 && syscall(SYS_pidfd_send_signal, server.pidfd, SIGKILL, NULL, 0) == 0)
        while (poll(&end, 1, -1) < 0 && errno == EINTR)
            ;
    if (server.pidfd >= 0)
        (void)close(server.pidfd);
    server.socket = -1;
    server.pidfd = -1;
    server.has_failed = true;
    log_debug("commands are started without a server: %s", why);
}

static bool receive(struct spawn_answer *answer)
{
    ssize_t n;

    do
        n = recv(server.socket, answer, sizeof *answer, 0);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *answer;
}

/* Descriptors above 4, so that the child's layout does not overwrite them. */
static int move_up(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, SPAWN_BOARD + 1);

    (void)close(fd);
    return moved;
}

static bool spawn(int their_socket, int board)
{
    char *argv[] = {server.program, server.argument, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;
    pid_t pid;
    int rc;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, their_socket, SPAWN_SOCKET);
    (void)posix_spawn_file_actions_adddup2(&actions, board, SPAWN_BOARD);
    (void)posix_spawn_file_actions_addclosefrom_np(&actions, SPAWN_BOARD + 1);
    (void)sigemptyset(&signals);
    (void)posix_spawnattr_setsigmask(&attributes, &signals);
    (void)sigfillset(&signals);
    (void)posix_spawnattr_setsigdefault(&attributes, &signals);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    rc = posix_spawn(&pid, server.program, &actions, &attributes, argv, environ);
    if (rc == 0)
        server.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc == 0 && server.pidfd >= 0;
}

static void start(void)
{
    struct timeval patience = {READY_SECONDS, 0};
    struct spawn_answer ready = {0};
    size_t size = SPAWN_SLOTS * sizeof *server.board;
    void *board = MAP_FAILED;
    int ends[2] = {-1, -1};
    int fd = memfd_create("spawn-board", MFD_CLOEXEC);

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
        board = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        if (fd >= 0)
            (void)close(fd);
        give_up(strerror(errno));
        return;
    }
    server.board = board;
    server.socket = ends[0];
    fd = move_up(fd);
    ends[1] = move_up(ends[1]);
    if (fd < 0 || ends[1] < 0 || !spawn(ends[1], fd))
        ready.error = errno;
    (void)close(fd);
    (void)close(ends[1]);
    (void)setsockopt(server.socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (ready.error != 0 || !receive(&ready) || ready.error != 0)
        give_up(ready.error != 0 ? strerror(ready.error) : "it does not start");
    patience.tv_sec = ANSWER_SECONDS;
    (void)setsockopt(server.socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

static int take_slot(void)
{
    for (unsigned i = 0; i < SPAWN_SLOTS; i++) {
        unsigned slot = (server.next_slot + i) % SPAWN_SLOTS;

        if (!server.taken[slot]) {
            server.taken[slot] = true;
            server.next_slot = slot + 1;
            atomic_store(&server.board[slot].pid, 0);
            atomic_store(&server.board[slot].status, 0);
            return (int)slot;
        }
    }
    return -1;
}

static void append(struct buf *b, const char *string)
{
    buf_append(b, string, strlen(string) + 1);
}

static uint32_t append_list(struct buf *b, const char *const *list)
{
    uint32_t count = 0;

    for (; list[count] != NULL; count++)
        append(b, list[count]);
    return count;
}

static bool send_request(const struct spawn_request *request, int slot)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct spawn_header header = {.slot = (uint32_t)slot,
                                  .merge_stderr = request->merge_stderr,
                                  .has_terminal = request->terminal != NULL};
    struct buf b = BUF_INIT;
    struct iovec parts[2] = {{&header, sizeof header}, {0}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    int fds[3];
    unsigned count = 0;
    ssize_t n = -1;

    append(&b, request->cwd == NULL ? "" : request->cwd);
    append(&b, request->terminal == NULL ? "" : request->terminal);
    header.argc = append_list(&b, request->argv);
    header.envc = append_list(&b, request->env);
    for (unsigned i = 0; i < 3; i++) {
        if (request->descriptors[i] >= 0) {
            header.descriptors |= (uint8_t)(1U << i);
            fds[count++] = request->descriptors[i];
        }
    }
    if (count > 0) {
        struct cmsghdr *cmsg;

        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        cmsg = CMSG_FIRSTHDR(&message);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
    }
    parts[1] = (struct iovec){b.data, b.len};
    if (b.len <= SPAWN_MAX_BYTES) {
        do
            n = sendmsg(server.socket, &message, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno != EMSGSIZE)
            give_up(strerror(errno));
    }
    buf_free(&b);
    return n >= 0;
}

pid_t spawn_server_start(const struct spawn_request *request, int *slot)
{
    struct spawn_answer answer = {0};

    if (server.socket < 0 && !server.has_failed)
        start();
    *slot = server.has_failed ? -1 : take_slot();
    if (*slot < 0)
        return -1;
    if (!send_request(request, *slot)) {
        server.taken[*slot] = false;
        return -1;
    }
    if (!receive(&answer)) {
        give_up("it does not answer");
        answer.pid = atomic_load(&server.board[*slot].pid); /* it may have started the process before its end */
    }
    if (answer.pid > 0)
        return (pid_t)answer.pid;
    server.taken[*slot] = false;
    return -1;
}

int spawn_server_status(int slot, int status)
{
    int value = atomic_load(&server.board[slot].status);

    server.taken[slot] = false;
    return (value & SPAWN_HAS_STATUS) != 0 ? value & ~SPAWN_HAS_STATUS : status;
}
