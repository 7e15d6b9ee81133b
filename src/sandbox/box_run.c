/* sandbox/box_run.c: the processes around the command; see box.h for their life. */
#include "sandbox/box.h"

#include "sandbox/box_init.h"
#include "sandbox/box_jobs.h"
#include "sandbox/box_outlets.h"
#include "sandbox/exec_helper.h"
#include "sandbox/namespace.h"

#include <errno.h>
#include <fcntl.h>
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
enum report_kind { REPORT_NONE, REPORT_NO_NAMESPACES, REPORT_EXIT_CODE, REPORT_ENDED, REPORT_STOPPED };

struct report {
    int kind;
    int value; /* an exit code, or the command's wait status */
};

static void tell(int fd, enum report_kind kind, int value)
{
    struct report report = {(int)kind, value};

    if (write(fd, &report, sizeof report) < 0)
        _exit(SANDBOX_EXIT_CODE);
}

static void tell_stopped(const struct box_ties *ties)
{
    tell(ties->fd, REPORT_STOPPED, 0);
}

/* Pid 1 of the box: never returns. HELPER: its process descriptor. */
static void __attribute__((noreturn)) init_main(struct box *box, int report_fd, int helper, bool forwards)
{
    struct box_ties ties = {.forwards = forwards, .stopped = forwards ? tell_stopped : NULL, .fd = report_fd};
    int status = 0;
    int rc;

    box_die_with(helper);
    if (!namespace_settle(box->loopback && !box->network)) {
        tell(report_fd, REPORT_NO_NAMESPACES, errno);
        _exit(SANDBOX_EXIT_CODE);
    }
    rc = box_init_run(box, &ties, &status);
    tell(report_fd, rc != 0 ? REPORT_EXIT_CODE : REPORT_ENDED, rc != 0 ? rc : status);
    _exit(rc);
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

/* FOLLOWS: stops when it has stopped. */
static int wait_child(pid_t pid, bool follows)
{
    int status = SANDBOX_EXIT_CODE << 8;

    for (;;) {
        pid_t found = waitpid(pid, &status, follows ? WUNTRACED : 0);

        if (found == pid && WIFSTOPPED(status))
            box_stop_with(pid);
        else if (found >= 0 || errno != EINTR)
            return status;
    }
}

/* What init reports at last; the helper stops as often as the command does. */
static void read_reports(int fd, pid_t init, struct report *report)
{
    struct report next;
    ssize_t n;

    for (;;) {
        n = read(fd, &next, sizeof next);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof next)
            return;
        if (next.kind == REPORT_STOPPED)
            box_stop_with(box_first_child(init));
        else
            *report = next;
    }
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
    box_note_sockets(box);
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
        box_forward_signals_to(pid);
        if (forwards)
            box_leave_stops_to_command();
        read_reports(ends[0], pid, &report);
        status = wait_child(pid, false); /* the namespace is empty then */
        box_forward_signals_to(0);
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

        box_release_signals();
        rc = box_shut_in(box);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (rc == 0 && getppid() == self)
            rc = box_become_command(box);
        _exit(rc);
    }
    if (pid < 0)
        return box_stop("no process can be made", "nothing is run") << 8;
    box_forward_signals_to(pid);
    if (box->parent == 0)
        box_leave_stops_to_command();
    status = wait_child(pid, box->parent == 0);
    box_forward_signals_to(0);
    kill_descendants();
    return status;
}

int box_run(struct box *box)
{
    int end = SANDBOX_EXIT_CODE << 8;

    (void)box_group_create(&box->group, &box->limits);
    box_hold_signals(box->parent == 0);
    if (!run_in_namespaces(box, &end)) {
        if (box->nestable)
            end = box_stop("a namespace cannot be made", "allow unprivileged user namespaces, or set box = \"cadre\"") << 8;
        else
            end = run_without_namespaces(box);
    }
    box_group_remove(&box->group);
    return end_as(end);
}
