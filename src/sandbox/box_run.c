/* sandbox/box_run.c: the processes around the command; see box.h for their life. */
#include "sandbox/box.h"

#include "sandbox/exec_helper.h"
#include "sandbox/namespace.h"
#include "sandbox/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What init tells the helper; nothing at all when it was killed. */
enum report_kind { REPORT_NONE, REPORT_NO_NAMESPACES, REPORT_EXIT_CODE, REPORT_ENDED };

struct report {
    int kind;
    int value; /* an exit code, or the command's wait status */
};

/* Signals that end a process and are meant for the command, not for those around it. */
static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
#define PASSED_ON_COUNT (sizeof passed_on / sizeof passed_on[0])

static struct sigaction before[PASSED_ON_COUNT]; /* the dispositions that the command gets */
static volatile pid_t forward_to;

/* --- Signals ---------------------------------------------------------------------------------------------------- */

/* Sent to the helper alone, by kill. What a terminal sends (SI_KERNEL) goes to the whole group already. */
static void forward(int signum, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code != SI_KERNEL && forward_to > 0)
        (void)kill(forward_to, signum);
}

/* Under the engine every signal goes to the group, so the helper only has to stay alive. */
static void hold_signals(bool forwards)
{
    struct sigaction action = {.sa_flags = SA_RESTART | (forwards ? SA_SIGINFO : 0)};

    if (forwards)
        action.sa_sigaction = forward;
    else
        action.sa_handler = SIG_IGN;
    for (size_t i = 0; i < PASSED_ON_COUNT; i++)
        (void)sigaction(passed_on[i], &action, &before[i]);
}

static void release_signals(void)
{
    for (size_t i = 0; i < PASSED_ON_COUNT; i++)
        (void)sigaction(passed_on[i], &before[i], NULL);
}

/* --- Init --------------------------------------------------------------------------------------------------------- */

static void tell(int fd, enum report_kind kind, int value)
{
    struct report report = {(int)kind, value};

    if (write(fd, &report, sizeof report) < 0)
        _exit(SANDBOX_EXIT_CODE);
}

static bool has_ended(int pidfd)
{
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

    return pidfd >= 0 && poll(&poll_fd, 1, 0) != 0;
}

static pid_t command_pid; /* in init */

static void forward_in_init(int signum)
{
    if (command_pid > 0)
        (void)kill(command_pid, signum);
}

/* Ends the command with all that it has started. */
static void end_command(const char *reason)
{
    fprintf(stderr, "cadre: sandbox: the command is ended: %s\n", reason);
    (void)kill(-1, SIGKILL);
}

/* Sleeps until a child ends or the watch's pause is over; true when it is over. Children's ends are blocked. */
static bool wait_a_pause(const struct box_watch *watch, const sigset_t *ends)
{
    struct timespec pause = {watch->pause_ms / 1000, watch->pause_ms % 1000 * 1000000};

    return sigtimedwait(ends, NULL, &pause) < 0 && errno == EAGAIN;
}

/* Reaps until the command has ended. */
static int wait_for_command(struct box_watch *watch, const sigset_t *ends)
{
    int status = 0;

    for (;;) {
        pid_t pid = waitpid(-1, &status, box_watch_is_on(watch) ? WNOHANG : 0);

        if (pid == command_pid)
            return status;
        if (pid < 0 && errno != EINTR)
            return SANDBOX_EXIT_CODE << 8;
        if (pid == 0 && wait_a_pause(watch, ends)) {
            const char *reason = box_watch_look(watch);

            if (reason != NULL)
                end_command(reason);
        }
    }
}

/* Pid 1 of the box: never returns. HELPER: its process descriptor, to see that it still lives. */
static void __attribute__((noreturn)) init_main(struct box *box, int report_fd, int helper, bool forwards)
{
    struct box_watch watch;
    sigset_t ends;
    sigset_t unblocked;
    int rc;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (has_ended(helper))
        _exit(SANDBOX_EXIT_CODE);
    if (!namespace_settle(box->loopback && !box->network)) {
        tell(report_fd, REPORT_NO_NAMESPACES, errno);
        _exit(SANDBOX_EXIT_CODE);
    }
    rc = box_shut_in(box);
    if (rc != 0) {
        tell(report_fd, REPORT_EXIT_CODE, rc);
        _exit(rc);
    }
    (void)prctl(PR_SET_DUMPABLE, 0); /* nobody in the box reads or traces init */
    box_watch_begin(&watch, &box->limits, &box->group);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ends, &unblocked);
    command_pid = vfork();
    if (command_pid == 0) {
        (void)sigprocmask(SIG_SETMASK, &unblocked, NULL);
        release_signals();
        _exit(box_become_command(box));
    }
    if (command_pid < 0) {
        tell(report_fd, REPORT_EXIT_CODE, box_stop("no process can be made", "raise limits.max_processes"));
        _exit(SANDBOX_EXIT_CODE);
    }
    if (forwards) {
        struct sigaction action = {.sa_handler = forward_in_init, .sa_flags = SA_RESTART};

        for (size_t i = 0; i < PASSED_ON_COUNT; i++)
            (void)sigaction(passed_on[i], &action, NULL);
    }
    tell(report_fd, REPORT_ENDED, wait_for_command(&watch, &ends));
    _exit(0);
}

/* --- The helper ----------------------------------------------------------------------------------------------------- */

/* As fork(), with the C library's state left alone: both sides only make plain system calls and exit with _exit. */
static pid_t clone_process(unsigned long flags)
{
    return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

/* The helper's own end: as the command's was. */
static int end_as(int status)
{
    if (WIFSIGNALED(status)) {
        struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(WTERMSIG(status), SIG_DFL);
        (void)raise(WTERMSIG(status));
        return 128 + WTERMSIG(status);
    }
    return WEXITSTATUS(status);
}

static int wait_child(pid_t pid)
{
    int status = SANDBOX_EXIT_CODE << 8;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* Runs init in namespaces of its own; *END is the command's wait status, or an exit code in that form. False when the kernel
 * or its policy does not allow those; nothing has changed then. */
static bool run_in_namespaces(struct box *box, int *end)
{
    unsigned long flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC;
    bool forwards = box->parent == 0;
    struct report report = {0};
    int ends[2];
    int helper;
    pid_t pid;
    int status;

    if (!box->network && !box->nestable)
        flags |= CLONE_NEWNET;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        *end = box_stop("no pipe can be made", "nothing is run") << 8;
        return true;
    }
    helper = (int)syscall(SYS_pidfd_open, getpid(), 0);
    namespace_remember_user();
    box->has_namespaces = true;
    pid = clone_process(flags);
    if (pid == 0) {
        (void)close(ends[0]);
        init_main(box, ends[1], helper, forwards);
    }
    (void)close(ends[1]);
    if (helper >= 0)
        (void)close(helper);
    if (pid > 0) {
        ssize_t n;

        forward_to = pid;
        do
            n = read(ends[0], &report, sizeof report);
        while (n < 0 && errno == EINTR);
        status = wait_child(pid); /* the namespace is empty then */
        forward_to = 0;
        if (report.kind == REPORT_EXIT_CODE)
            *end = report.value << 8;
        else
            *end = report.kind == REPORT_ENDED ? report.value : status;
    }
    (void)close(ends[0]);
    return pid > 0 && report.kind != REPORT_NO_NAMESPACES;
}

/* Kills and reaps every descendant that is left; those of a dead one become our children. */
static void kill_descendants(void)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (int round = 0; round < 2000; round++) {
        FILE *file = fopen(path, "re");
        long pid;
        unsigned found = 0;

        while (file != NULL && fscanf(file, "%ld", &pid) == 1) {
            found++;
            (void)kill((pid_t)pid, SIGKILL);
        }
        if (file != NULL)
            (void)fclose(file);
        if (found == 0)
            return;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (round > 2)
            (void)usleep(1000);
    }
}

/* The command's wait status. */
static int run_without_namespaces(struct box *box)
{
    pid_t self = getpid();
    int status;
    pid_t pid;

    box->has_namespaces = false;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid = clone_process(0);
    if (pid == 0) {
        int rc;

        release_signals();
        rc = box_shut_in(box);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (rc == 0 && getppid() == self)
            rc = box_become_command(box);
        _exit(rc);
    }
    if (pid < 0)
        return box_stop("no process can be made", "nothing is run") << 8;
    forward_to = pid;
    status = wait_child(pid);
    forward_to = 0;
    kill_descendants();
    return status;
}

int box_run(struct box *box)
{
    int end = SANDBOX_EXIT_CODE << 8;

    (void)box_group_create(&box->group, &box->limits);
    hold_signals(box->parent == 0);
    if (!run_in_namespaces(box, &end)) {
        if (box->nestable)
            end = box_stop("a namespace cannot be made", "allow unprivileged user namespaces, or set box = \"cadre\"") << 8;
        else
            end = run_without_namespaces(box);
    }
    box_group_remove(&box->group);
    return end_as(end);
}
