/* io/process.c: the life of child processes on the loop (the states are in process.h).
 *
 * Owns a table of the living children once a loop, and is the program's only reaper: a pidfd in the loop
 * tells of an exit of ours, SIGCHLD of orphans that were adopted. */
#include "io/process.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "io/loop.h"
#include "io/loop_internal.h"
#include "io/process_spawn.h"
#include "io/pty.h"
#include "io/spawn_server.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TERMINATE_GRACE_MS 2000
#define DRAIN_MS           200
#define POLL_MS            5 /* only where there is no pidfd */
#define READ_BYTES         ((size_t)64 * 1024)
#define READS_A_ROUND      4 /* then the others get their turn */

struct process_table {
    struct loop *loop;
    struct vec processes;
    struct signal_watch *child_signal;
    char read_buffer[READ_BYTES];
};

enum process_state {
    PROCESS_RUNNING,
    PROCESS_DRAINING, /* has exited, is not reaped, output is still open */
    PROCESS_ENDED,    /* reaped */
};

struct stream {
    struct process *process;
    struct watch *watch;
    int fd;     /* -1 when closed */
    int number; /* 1 or 2 */
};

struct process {
    struct process_table *table;
    enum process_state state;
    pid_t pid;
    int pidfd; /* -1 where there is none */
    int slot;  /* of the spawn server; -1 when it did not start it */
    struct watch *exit_watch;
    struct timer *exit_poll; /* in its place then */
    struct stream out;
    struct stream err;
    int in_fd;
    struct watch *in_watch;
    struct buf in_queue;
    size_t in_sent; /* of in_queue; cut off in large steps, not with every write */
    bool close_in_when_empty;
    bool use_pty;
    bool in_our_group;
    bool spare_background;
    bool drain_killed; /* the group was killed for holding the output */
    int64_t started_us;
    struct timer *timeout;
    struct timer *kill_timer;
    struct timer *drain_timer;
    struct process_exit exit;
    void (*on_output)(void *data, int fd, const char *bytes, size_t n);
    void (*on_exit)(void *data, const struct process_exit *exit);
    void *data;
    /* A callback is running: destroy only marks, the caller of the callback frees. */
    unsigned callback_depth;
    bool is_destroyed;
};

/* Given to every later child. Process-wide by its meaning: it says to which run this program belongs. */
static char *run_mark;

void process_set_mark(const char *mark)
{
    free(run_mark);
    run_mark = xstrdup(mark);
}

/* --- The table and the reaper --- */

static struct process *find_process(const struct process_table *table, pid_t pid)
{
    for (size_t i = 0; i < table->processes.len; i++) {
        struct process *process = table->processes.items[i];

        if (process->pid == pid)
            return process;
    }
    return NULL;
}

/* Reaps adopted orphans and children of destroyed processes. One of ours that is not reaped yet hides
 * those behind it; they come when it is reaped. */
static void reap_strangers(struct process_table *table)
{
    for (;;) {
        siginfo_t info = {0};

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        if (find_process(table, info.si_pid) != NULL)
            return;
        waitpid(info.si_pid, NULL, WNOHANG);
    }
}

static void on_child_signal(void *data, int signum)
{
    (void)signum;
    reap_strangers(data);
}

static void table_destroy(void *value)
{
    struct process_table *table = value;

    while (table->processes.len > 0)
        process_destroy(table->processes.items[table->processes.len - 1]);
    reap_strangers(table);
    signal_watch_stop(table->child_signal);
    vec_finish(&table->processes);
    free(table);
}

static struct process_table *table_of(struct loop *loop)
{
    struct process_table *table = loop_slot_get(loop, LOOP_SLOT_PROCESSES);

    if (table != NULL)
        return table;
    table = xcalloc(1, sizeof(*table));
    table->loop = loop;
    table->child_signal = signal_watch_start(loop, SIGCHLD, on_child_signal, table);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        log_warning("cannot become the subreaper of child processes: %s", strerror(errno));
    loop_slot_set(loop, LOOP_SLOT_PROCESSES, table, table_destroy);
    return table;
}

/* --- Callbacks --- */

static void free_process(struct process *process)
{
    buf_free(&process->in_queue);
    free(process);
}

static void callback_begin(struct process *process)
{
    process->callback_depth++;
}

/* False when the process was destroyed in the callback (and is gone now). */
static bool callback_end(struct process *process)
{
    process->callback_depth--;
    if (!process->is_destroyed)
        return true;
    if (process->callback_depth == 0)
        free_process(process);
    return false;
}

/* --- Ends --- */

static void cancel_timer(struct timer **timer)
{
    timer_cancel(*timer);
    *timer = NULL;
}

static void stop_watch(struct watch **watch)
{
    watch_stop(*watch);
    *watch = NULL;
}

static void close_stream(struct stream *stream)
{
    if (stream->fd < 0)
        return;
    stop_watch(&stream->watch);
    close(stream->fd);
    stream->fd = -1;
}

static void close_input(struct process *process)
{
    if (process->in_fd < 0)
        return;
    stop_watch(&process->in_watch);
    close(process->in_fd);
    process->in_fd = -1;
    buf_free(&process->in_queue);
}

static void signal_group(struct process *process, int signum)
{
    /* Until it is reaped its number cannot belong to anybody else. */
    if (process->state == PROCESS_ENDED)
        return;
    if (kill(process->in_our_group ? process->pid : -process->pid, signum) < 0 && errno == ESRCH)
        kill(process->pid, signum); /* not yet the leader of its group */
}

static void close_pidfd(struct process *process)
{
    if (process->pidfd >= 0)
        close(process->pidfd);
    process->pidfd = -1;
}

/* Takes the exit status, with which the number of the process becomes free. */
static void reap(struct process *process)
{
    struct rusage usage = {0};
    int status = 0;
    pid_t got;

    do {
        got = wait4(process->pid, &status, 0, &usage);
    } while (got < 0 && errno == EINTR);

    process->state = PROCESS_ENDED;
    close_pidfd(process);
    if (process->slot >= 0)
        status = spawn_server_status(process->slot, status);
    if (got == process->pid) {
        process->exit.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        process->exit.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        process->exit.cpu_us = (int64_t)usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec +
                               (int64_t)usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec;
        process->exit.max_rss_kib = usage.ru_maxrss;
    } else {
        log_error("process %d was reaped by somebody else: its exit code is lost", (int)process->pid);
        process->exit.exit_code = -1;
    }
    vec_remove_item(&process->table->processes, process);
    reap_strangers(process->table);
}

static void finish(struct process *process)
{
    cancel_timer(&process->timeout);
    cancel_timer(&process->kill_timer);
    cancel_timer(&process->drain_timer);
    close_stream(&process->out);
    close_stream(&process->err);
    close_input(process);
    reap(process);
    if (process->on_exit != NULL) {
        callback_begin(process);
        process->on_exit(process->data, &process->exit);
        callback_end(process);
    }
}

/* --- Output --- */

/* Reads what is there, at most READS pieces. False when the process was destroyed. */
static bool read_stream(struct stream *stream, int reads)
{
    struct process *process = stream->process;
    char *buffer = process->table->read_buffer;

    while (stream->fd >= 0 && reads-- > 0) {
        ssize_t n = read(stream->fd, buffer, READ_BYTES);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0) {
            /* 0 from a pipe, EIO from a terminal that nobody holds open any more. */
            close_stream(stream);
            return true;
        }
        if (process->on_output != NULL) {
            callback_begin(process);
            process->on_output(process->data, stream->number, buffer, (size_t)n);
            if (!callback_end(process))
                return false;
        }
        /* A pipe gives less than asked for only when it is empty now. */
        if ((size_t)n < READ_BYTES && !process->use_pty && process->state == PROCESS_RUNNING)
            return true;
    }
    return true;
}

static void finish_when_drained(struct process *process)
{
    if (process->state == PROCESS_DRAINING && process->out.fd < 0 && process->err.fd < 0)
        finish(process);
}

static void on_stream_ready(void *data, int events)
{
    struct stream *stream = data;
    struct process *process = stream->process;

    (void)events;
    if (read_stream(stream, READS_A_ROUND))
        finish_when_drained(process);
}

static void on_drain_timeout(void *data)
{
    struct process *process = data;

    process->drain_timer = NULL;
    /* A late loop, not the child, may be the reason: take what is there first. */
    if (!read_stream(&process->out, 256) || !read_stream(&process->err, 256))
        return;
    if (process->out.fd < 0 && process->err.fd < 0) {
        finish(process);
        return;
    }
    if (!process->drain_killed && !process->spare_background && !process->in_our_group) {
        process->drain_killed = true;
        signal_group(process, SIGKILL);
        process->drain_timer = timer_start(process->table->loop, DRAIN_MS, on_drain_timeout, process);
        return;
    }
    /* Held open by one that left the group, or that is spared. */
    finish(process);
}

static void on_exit_ready(void *data, int events)
{
    struct process *process = data;

    (void)events;
    if (process->exit_watch != NULL)
        stop_watch(&process->exit_watch);
    process->state = PROCESS_DRAINING;
    process->exit.duration_us = clock_monotonic_us() - process->started_us;
    cancel_timer(&process->timeout);
    close_input(process);
    process->drain_timer = timer_start(process->table->loop, DRAIN_MS, on_drain_timeout, process);
    if (!read_stream(&process->out, READS_A_ROUND) || !read_stream(&process->err, READS_A_ROUND))
        return;
    finish_when_drained(process);
}

static void on_exit_poll(void *data)
{
    struct process *process = data;
    siginfo_t info = {0};

    process->exit_poll = NULL;
    if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
        process->exit_poll = timer_start(process->table->loop, POLL_MS, on_exit_poll, process);
    else
        on_exit_ready(process, 0);
}

/* --- Input --- */

static void on_input_ready(void *data, int events);

static void flush_input(struct process *process)
{
    while (process->in_fd >= 0 && process->in_queue.len > process->in_sent) {
        ssize_t n = write(process->in_fd, process->in_queue.data + process->in_sent,
                          process->in_queue.len - process->in_sent);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            if (process->in_watch == NULL)
                process->in_watch =
                    watch_start(process->table->loop, process->in_fd, WATCH_WRITE, on_input_ready, process);
            return;
        }
        if (n < 0) {
            close_input(process);
            return;
        }
        process->in_sent += (size_t)n;
    }
    buf_clear(&process->in_queue);
    process->in_sent = 0;
    if (process->in_watch != NULL)
        stop_watch(&process->in_watch);
    if (process->close_in_when_empty)
        close_input(process);
}

static void on_input_ready(void *data, int events)
{
    (void)events;
    flush_input(data);
}

void process_write(struct process *process, const void *bytes, size_t n)
{
    if (process->in_fd < 0 || process->close_in_when_empty || n == 0)
        return;
    if (process->in_sent > process->in_queue.len / 2) {
        buf_consume(&process->in_queue, process->in_sent);
        process->in_sent = 0;
    }
    buf_append(&process->in_queue, bytes, n);
    if (process->in_watch == NULL)
        flush_input(process);
}

void process_close_stdin(struct process *process)
{
    if (process->in_fd < 0 || process->close_in_when_empty)
        return;
    if (process->use_pty)
        process_write(process, "\x04", 1); /* VEOF: the line discipline makes an end of file of it */
    process->close_in_when_empty = true;
    if (process->in_watch == NULL)
        flush_input(process);
}

void process_resize(struct process *process, unsigned short columns, unsigned short rows)
{
    if (process->use_pty && process->out.fd >= 0)
        pty_resize(process->out.fd, columns, rows, NULL);
}

/* --- Start and end --- */

static void on_timeout(void *data)
{
    struct process *process = data;

    process->timeout = NULL;
    process->exit.timed_out = true;
    process_kill(process, TERMINATE_GRACE_MS);
}

static void open_stream(struct stream *stream, struct process *process, int fd, int number)
{
    stream->process = process;
    stream->fd = fd;
    stream->number = number;
    if (fd >= 0)
        stream->watch = watch_start(process->table->loop, fd, WATCH_READ, on_stream_ready, stream);
}

struct process *process_start(struct loop *loop, const struct process_options *options, struct error *err)
{
    struct process_table *table = table_of(loop);
    struct process_pipes pipes;
    struct process *process;
    struct process_spawned spawned;

    if (process_spawn(options, run_mark, &spawned, &pipes, err) < 0)
        return NULL;

    process = xcalloc(1, sizeof(*process));
    process->table = table;
    process->pid = spawned.pid;
    process->pidfd = spawned.pidfd;
    process->slot = spawned.slot;
    process->in_fd = pipes.in;
    process->use_pty = options->use_pty && !options->inherit_stdio;
    process->in_our_group = options->inherit_stdio;
    process->spare_background = options->spare_background;
    process->started_us = clock_monotonic_us();
    process->on_output = options->on_output;
    process->on_exit = options->on_exit;
    process->data = options->data;
    vec_push(&table->processes, process);
    open_stream(&process->out, process, pipes.out, STDOUT_FILENO);
    open_stream(&process->err, process, pipes.err, STDERR_FILENO);
    if (spawned.pidfd >= 0)
        process->exit_watch = watch_start(loop, spawned.pidfd, WATCH_READ, on_exit_ready, process);
    else
        process->exit_poll = timer_start(loop, POLL_MS, on_exit_poll, process);
    if (options->timeout_ms > 0)
        process->timeout = timer_start(loop, options->timeout_ms, on_timeout, process);
    return process;
}

pid_t process_pid(const struct process *process)
{
    return process->pid;
}

bool process_is_running(const struct process *process)
{
    return process->state == PROCESS_RUNNING;
}

void process_signal(struct process *process, int signum)
{
    signal_group(process, signum);
}

static void on_grace_over(void *data)
{
    struct process *process = data;

    process->kill_timer = NULL;
    signal_group(process, SIGKILL);
}

void process_kill(struct process *process, uint64_t grace_ms)
{
    if (process->state == PROCESS_ENDED)
        return;
    cancel_timer(&process->kill_timer);
    if (grace_ms == 0) {
        signal_group(process, SIGKILL);
        return;
    }
    signal_group(process, SIGTERM);
    signal_group(process, SIGCONT); /* a stopped one would not see it */
    process->kill_timer = timer_start(process->table->loop, grace_ms, on_grace_over, process);
}

void process_destroy(struct process *process)
{
    if (process == NULL || process->is_destroyed)
        return;
    if (process->state == PROCESS_RUNNING || !process->spare_background)
        signal_group(process, SIGKILL);
    cancel_timer(&process->timeout);
    cancel_timer(&process->kill_timer);
    cancel_timer(&process->drain_timer);
    close_stream(&process->out);
    close_stream(&process->err);
    close_input(process);
    if (process->exit_watch != NULL)
        stop_watch(&process->exit_watch);
    cancel_timer(&process->exit_poll);
    if (process->state != PROCESS_ENDED) {
        close_pidfd(process);
        vec_remove_item(&process->table->processes, process);
        /* The zombie is a stranger from now on. */
        reap_strangers(process->table);
    }
    process->is_destroyed = true;
    if (process->callback_depth == 0)
        free_process(process);
}
