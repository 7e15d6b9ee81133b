/* sandbox/box_init.c: see box_init.h. */
#include "sandbox/box_init.h"

#include "sandbox/exec_helper.h"
#include "sandbox/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
#define PASSED_ON_COUNT (sizeof passed_on / sizeof passed_on[0])

static struct sigaction before[PASSED_ON_COUNT]; /* the dispositions that the command gets */
static volatile pid_t forward_to;

/* What somebody sends. What the terminal sends reaches the command's process group without us, and must not come twice. */
static void forward(int signum, siginfo_t *info, void *context)
{
    (void)context;
    if ((info->si_code != SI_KERNEL || signum == SIGHUP) && forward_to > 0)
        (void)kill(forward_to, signum);
}

void box_hold_signals(bool forwards)
{
    struct sigaction action = {.sa_flags = SA_RESTART | (forwards ? SA_SIGINFO : 0)};

    if (forwards)
        action.sa_sigaction = forward;
    else
        action.sa_handler = SIG_IGN;
    for (size_t i = 0; i < PASSED_ON_COUNT; i++)
        (void)sigaction(passed_on[i], &action, &before[i]);
}

void box_forward_signals_to(pid_t pid)
{
    forward_to = pid;
}

void box_release_signals(void)
{
    for (size_t i = 0; i < PASSED_ON_COUNT; i++)
        (void)sigaction(passed_on[i], &before[i], NULL);
}

void box_block_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < PASSED_ON_COUNT; i++)
        (void)sigaddset(&set, passed_on[i]);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Gives COMMAND what waited for it; what comes from now on reaches its process group without us. */
static void pass_on_waiting(pid_t command)
{
    sigset_t pending;

    (void)sigpending(&pending);
    for (size_t i = 0; i < PASSED_ON_COUNT; i++)
        if (sigismember(&pending, passed_on[i]) == 1)
            (void)kill(command, passed_on[i]);
    box_hold_signals(false);
}

void box_die_with(int ends_with)
{
    struct pollfd poll_fd = {.fd = ends_with, .events = POLLIN};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ends_with >= 0 && poll(&poll_fd, 1, 0) != 0)
        _exit(SANDBOX_EXIT_CODE);
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

/* Reaps until COMMAND has ended. */
static int wait_for(pid_t command, const struct box_ties *ties, struct box_watch *watch, const sigset_t *ends)
{
    int status = 0;

    for (;;) {
        pid_t pid = waitpid(-1, &status, (box_watch_is_on(watch) ? WNOHANG : 0) | (ties->stopped != NULL ? WUNTRACED : 0));

        if (pid > 0 && WIFSTOPPED(status)) {
            if (pid == command)
                ties->stopped(ties);
            continue;
        }
        if (pid == command)
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

int box_init_run(struct box *box, const struct box_ties *ties, int *status)
{
    struct box_watch watch;
    sigset_t ends;
    sigset_t unblocked;
    pid_t command;
    int rc = box_shut_in(box);

    if (rc != 0)
        return rc;
    (void)prctl(PR_SET_DUMPABLE, 0); /* nobody in the box reads or traces it */
    box_watch_begin(&watch, &box->limits, box->has_own_proc && !box->group.holds_memory);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ends, &unblocked);
    if (box->is_served)
        (void)sigemptyset(&unblocked);
    command = vfork();
    if (command == 0) {
        (void)sigprocmask(SIG_SETMASK, &unblocked, NULL);
        box_release_signals();
        _exit(box_become_command(box));
    }
    if (command < 0)
        return box_stop("no process can be made", "raise limits.max_processes");
    forward_to = command;
    if (box->is_served)
        pass_on_waiting(command);
    if (ties->forwards) {
        struct sigaction action = {.sa_sigaction = forward, .sa_flags = SA_RESTART | SA_SIGINFO};

        for (size_t i = 0; i < PASSED_ON_COUNT; i++)
            (void)sigaction(passed_on[i], &action, NULL);
    }
    *status = wait_for(command, ties, &watch, &ends);
    return 0;
}
