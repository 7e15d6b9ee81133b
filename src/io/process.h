/* io/process.h: child processes: posix_spawn, a process group of their own, pidfd in the loop.
 *
 * Life of a process:
 *
 *     RUNNING --exit--> DRAINING --output at its end, or 200 ms--> on_exit
 *
 * While draining the child stays unreaped, so that its group can still be signalled safely. The loop reaps
 * every child of the program (orphans that it adopted too): nobody else may fork and wait.
 *
 * Every child leads its own session (setsid) and thereby its own process group, gets CADRE_RUN_MARK in its
 * environment when a mark is set, and is killed as a group. The process registers as child subreaper, so
 * orphans of a child come to us and are reaped. Descriptors other than 0, 1, 2 are close-on-exec. */
#ifndef CADRE_IO_PROCESS_H
#define CADRE_IO_PROCESS_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct process;

struct process_exit {
    int exit_code;  /* 0..255, or -1 when killed by a signal */
    int signal;     /* 0, or the signal */
    bool timed_out; /* we killed it for its deadline */
    int64_t duration_us;
    int64_t cpu_us; /* user + system, of the child and its waited-for children */
    int64_t max_rss_kib;
};

struct process_options {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH unless it has a '/' */
    const char *const *env;  /* NULL-terminated "K=V"; NULL inherits ours */
    const char *cwd;         /* NULL inherits */
    bool want_stdin;         /* a pipe for process_write(); else /dev/null */
    bool use_pty;            /* stdin, stdout and stderr are one pseudo-terminal (80 x 24) */
    /* 0, 1, 2 are ours (interactive passthrough); excludes the others. The child stays in our session and
     * group, so that the terminal works for it; signals go to it alone. */
    bool inherit_stdio;
    bool merge_stderr;     /* stderr goes where stdout goes */
    bool spare_background; /* left-over group members are not killed, only no longer listened to */
    uint64_t timeout_ms;   /* 0: none. Then SIGTERM to the group, SIGKILL 2 s later */
    const int *extra_fds;  /* passed on under the same numbers; N of them */
    size_t extra_fd_count;
    /* Output as it comes; FD is 1 or 2. NULL: output is discarded. */
    void (*on_output)(void *data, int fd, const char *bytes, size_t n);
    /* After exit and after all output was delivered (output still held open by a left-over grandchild is
     * waited for 200 ms at most, then the group is killed). The process may be destroyed in it. */
    void (*on_exit)(void *data, const struct process_exit *exit);
    void *data;
};

/* NULL with ERR set when it cannot be started ("NAME: command not found" with ERROR_NOT_FOUND). */
struct process *process_start(struct loop *loop, const struct process_options *options, struct error *err);
pid_t process_pid(const struct process *process);
bool process_is_running(const struct process *process);

/* Queues bytes for standard input or the terminal; silently dropped once the child closed it. */
void process_write(struct process *process, const void *bytes, size_t n);
void process_close_stdin(struct process *process);

/* Signals the whole group. */
void process_signal(struct process *process, int signum);

/* SIGTERM to the group, SIGKILL after GRACE_MS (0: SIGKILL at once). on_exit still comes. */
void process_kill(struct process *process, uint64_t grace_ms);

/* Kills the group if it still runs (SIGKILL), no callbacks any more, frees. NULL is fine. */
void process_destroy(struct process *process);

/* Size of the terminal of a process with use_pty. */
void process_resize(struct process *process, unsigned short columns, unsigned short rows);

/* Sets the marker that every later child carries ("RUN-ID"); NULL: none. Copied. */
void process_set_mark(const char *mark);

/* Kills (SIGKILL) every process of this user that carries MARK, in whatever session it hides, except this
 * one. Repeats until none is found. Returns how many were found. Linux: reads /proc. */
unsigned process_kill_marked(const char *mark);

/* The same, but asks first: SIGTERM, so that a git command takes its lock files away, and SIGKILL to what is left after
 * GRACE_MS. */
unsigned process_end_marked(const char *mark, unsigned grace_ms);

/* --- For fibers (and, outside of one, for small tools: then the loop is run until it is done) --- */

struct process_result {
    struct process_exit exit;
    struct buf out; /* bounded by max_output_bytes; what is over is dropped and flagged */
    struct buf err;
    bool truncated;
};

struct process_run_options {
    const char *const *argv;
    const char *const *env;
    const char *cwd;
    const char *input; /* standard input, or NULL */
    size_t input_len;
    uint64_t timeout_ms;
    size_t max_output_bytes; /* 0: 16 MiB */
    bool merge_stderr;       /* all goes to .out, in order */
};

/* Runs a command and waits. 0 when it ran (whatever its exit code); -1 with ERR when it could not be
 * started or the fiber was cancelled (the child is killed then). RESULT is the caller's to finish in both
 * cases. */
int process_run(struct loop *loop, const struct process_run_options *options, struct process_result *result,
                struct error *err);
void process_result_finish(struct process_result *result);

#endif
