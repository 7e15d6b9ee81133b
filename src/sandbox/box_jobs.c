/* sandbox/box_jobs.c: see box_jobs.h. */
#include "sandbox/box_jobs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void box_leave_stops_to_command(void)
{
    (void)signal(SIGTSTP, SIG_IGN);
    (void)signal(SIGTTIN, SIG_IGN);
    (void)signal(SIGTTOU, SIG_IGN); /* or giving the terminal away would stop us */
}

pid_t box_first_child(pid_t pid)
{
    char text[64];
    int fd;
    ssize_t n;

    (void)snprintf(text, sizeof text, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    fd = open(text, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    return (pid_t)strtol(text, NULL, 10);
}

/* As a shell's `fg` would: when the terminal is ours, it becomes the command's. */
static void hand_terminal_to(pid_t group)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return;
    if (tcgetpgrp(fd) == getpgrp())
        (void)tcsetpgrp(fd, group);
    (void)close(fd);
}

void box_stop_with(pid_t command)
{
    pid_t group = command > 0 ? getpgid(command) : -1;

    if (group <= 0 || getsid(0) == getpid())
        return; /* nobody waits for a session's leader to stop */
    (void)raise(SIGSTOP);
    if (group != getpgrp())
        hand_terminal_to(group);
    (void)kill(-group, SIGCONT);
}
