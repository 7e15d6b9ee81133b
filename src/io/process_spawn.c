/* io/process_spawn.c: looks the program up, lays out the child's descriptors, environment and signals, and
 * calls posix_spawn. The child is a session leader with default signal handling and an empty mask. */
#include "io/process_spawn.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "io/process.h"
#include "io/pty.h"
#include "io/spawn_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK_NAME "CADRE_RUN_MARK"

static bool is_executable(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static const char *environment_value(const char *const *env, const char *name)
{
    size_t len = strlen(name);

    for (; env != NULL && *env != NULL; env++) {
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    }
    return NULL;
}

/* The file that argv[0] names for the child: seen from its working directory, in its PATH. */
static char *find_program(const struct process_options *o, const char *const *env, struct error *err)
{
    const char *name = o->argv[0];
    const char *search = environment_value(env, "PATH");
    struct str_list folders = {0};
    char *found = NULL;

    if (strchr(name, '/') != NULL) {
        char *seen = o->cwd ? path_join(o->cwd, name) : xstrdup(name);
        bool exists = file_exists(seen);
        bool runs = is_executable(seen);

        free(seen);
        if (runs)
            return xstrdup(name);
        error_set(err, ERROR_NOT_FOUND, "%s: %s", name,
                  exists ? "is not an executable file" : "command not found");
        return NULL;
    }

    str_split(&folders, search ? search : "/usr/local/bin:/usr/bin:/bin", ':');
    for (size_t i = 0; i < folders.len && found == NULL && name[0] != '\0'; i++) {
        /* An empty part of PATH is the current folder by POSIX; that is a trap and not followed. */
        char *candidate = folders.items[i][0] ? path_join(folders.items[i], name) : NULL;
        char *seen = candidate && o->cwd ? path_join(o->cwd, candidate) : NULL;

        if (candidate != NULL && is_executable(seen ? seen : candidate)) {
            found = candidate;
            candidate = NULL;
        }
        free(candidate);
        free(seen);
    }
    str_list_finish(&folders);
    if (found == NULL)
        error_set(err, ERROR_NOT_FOUND, "%s: command not found", name);
    return found;
}

/* A list that borrows ENV's strings, with the mark in place of one that was there. */
static char **marked_environment(const char *const *env, char *mark_entry)
{
    size_t count = 0;
    size_t used = 0;
    char **list;

    while (env[count] != NULL)
        count++;
    list = xcalloc(count + 2, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        if (mark_entry == NULL || !str_starts_with(env[i], MARK_NAME "="))
            list[used++] = (char *)(uintptr_t)env[i];
    }
    list[used] = mark_entry;
    return list;
}

/* A pipe whose ends are not 0, 1 or 2, so that laying out the child's cannot overwrite them. */
static int make_pipe(int ends[2], struct error *err)
{
    if (pipe2(ends, O_CLOEXEC) < 0) {
        ends[0] = ends[1] = -1;
        return error_set_errno(err, "making a pipe");
    }
    for (int i = 0; i < 2; i++) {
        if (ends[i] <= STDERR_FILENO) {
            int moved = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

            if (moved < 0)
                return error_set_errno(err, "making a pipe");
            close(ends[i]);
            ends[i] = moved;
        }
    }
    return 0;
}

static void set_nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Descriptors above 2: those of EXTRA stay, everything else is closed, even what some library has opened
 * without close-on-exec. */
static void pass_extra(posix_spawn_file_actions_t *actions, const int *extra, size_t count)
{
    int top = STDERR_FILENO;

    for (size_t i = 0; i < count; i++)
        top = extra[i] > top ? extra[i] : top;
    for (int fd = STDERR_FILENO + 1; fd <= top; fd++) {
        bool is_extra = false;

        for (size_t i = 0; i < count; i++)
            is_extra = is_extra || extra[i] == fd;
        if (is_extra)
            posix_spawn_file_actions_adddup2(actions, fd, fd); /* clears close-on-exec */
        else
            posix_spawn_file_actions_addclose(actions, fd);
    }
    posix_spawn_file_actions_addclosefrom_np(actions, top + 1);
}

/* The child's side: [0] stays with us or not as each pipe says. */
struct layout {
    int in[2];
    int out[2];
    int err[2];
    int master;
    char slave_path[64];
};

static int lay_out(const struct process_options *o, struct layout *l, posix_spawn_file_actions_t *actions,
                   struct error *err)
{
    if (o->inherit_stdio)
        return 0;
    if (o->use_pty) {
        if (pty_open(&l->master, l->slave_path, sizeof(l->slave_path), err) < 0)
            return -1;
        /* The first terminal that a session leader opens becomes its controlling terminal. */
        posix_spawn_file_actions_addopen(actions, STDIN_FILENO, l->slave_path, O_RDWR, 0);
        posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDERR_FILENO);
        return 0;
    }
    if (o->want_stdin) {
        if (make_pipe(l->in, err) < 0)
            return -1;
        posix_spawn_file_actions_adddup2(actions, l->in[0], STDIN_FILENO);
    } else {
        posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    if (o->on_output == NULL) {
        posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        return 0;
    }
    if (make_pipe(l->out, err) < 0)
        return -1;
    posix_spawn_file_actions_adddup2(actions, l->out[1], STDOUT_FILENO);
    if (o->merge_stderr) {
        posix_spawn_file_actions_adddup2(actions, l->out[1], STDERR_FILENO);
    } else {
        if (make_pipe(l->err, err) < 0)
            return -1;
        posix_spawn_file_actions_adddup2(actions, l->err[1], STDERR_FILENO);
    }
    return 0;
}

/* Hands our ends over to PIPES. */
static int take_ends(const struct process_options *o, struct layout *l, struct process_pipes *pipes,
                     struct error *err)
{
    if (o->use_pty && !o->inherit_stdio) {
        pipes->in = fcntl(l->master, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (pipes->in < 0)
            return error_set_errno(err, "duplicating a terminal");
        pipes->out = l->master;
        l->master = -1;
        return 0;
    }
    pipes->in = l->in[1];
    pipes->out = l->out[0];
    pipes->err = l->err[0];
    l->in[1] = l->out[0] = l->err[0] = -1;
    if (pipes->in >= 0)
        set_nonblocking(pipes->in);
    if (pipes->out >= 0)
        set_nonblocking(pipes->out);
    if (pipes->err >= 0)
        set_nonblocking(pipes->err);
    return 0;
}

/* By the server, when it takes the command. */
static bool start_by_server(const struct process_options *o, const struct layout *l, char *const *env,
                            struct process_spawned *spawned)
{
    struct spawn_request request = {
        .argv = o->argv,
        .env = (const char *const *)env,
        .cwd = o->cwd,
        .terminal = o->use_pty ? l->slave_path : NULL,
        .descriptors = {l->in[0], l->out[1], l->err[1]},
        .merge_stderr = o->merge_stderr,
    };

    if (o->inherit_stdio || o->extra_fd_count > 0 || !spawn_server_takes(o->argv))
        return false;
    spawned->pid = spawn_server_start(&request, &spawned->slot);
    return spawned->pid > 0;
}

int process_spawn(const struct process_options *options, const char *mark, struct process_spawned *spawned,
                  struct process_pipes *pipes, struct error *err)
{
    const char *const *base_env = options->env ? options->env : (const char *const *)environ;
    struct layout layout = {{-1, -1}, {-1, -1}, {-1, -1}, -1, ""};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;
    int flags;
    char *program = NULL;
    char *mark_entry = NULL;
    char **env = NULL;
    int rc = -1;

    *pipes = (struct process_pipes){-1, -1, -1};
    *spawned = (struct process_spawned){.pidfd = -1, .slot = -1};
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);

    if (options->cwd != NULL && !file_is_directory(options->cwd)) {
        error_set(err, ERROR_NOT_FOUND, "%s: cannot start in %s: no such folder", options->argv[0],
                  options->cwd);
        goto out;
    }
    program = find_program(options, base_env, err);
    if (program == NULL)
        goto out;
    if (mark != NULL)
        mark_entry = xasprintf(MARK_NAME "=%s", mark);
    env = marked_environment(base_env, mark_entry);

    if (lay_out(options, &layout, &actions, err) < 0)
        goto out;
    pass_extra(&actions, options->extra_fds, options->extra_fd_count);
    if (options->cwd != NULL)
        posix_spawn_file_actions_addchdir_np(&actions, options->cwd);

    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (!options->inherit_stdio)
        flags |= POSIX_SPAWN_SETSID;
    posix_spawnattr_setflags(&attributes, (short)flags);

    if (!start_by_server(options, &layout, env, spawned)) {
        errno = posix_spawn(&spawned->pid, program, &actions, &attributes, (char *const *)(uintptr_t)options->argv, env);
        if (errno != 0) {
            error_set_errno(err, "starting %s", options->argv[0]);
            goto out;
        }
    }
    spawned->pidfd = (int)syscall(SYS_pidfd_open, spawned->pid, 0);
    if ((spawned->pidfd < 0 && errno != ENOSYS && errno != EPERM) || take_ends(options, &layout, pipes, err) < 0) {
        if (spawned->pidfd < 0)
            error_set_errno(err, "starting %s: opening its process descriptor", options->argv[0]);
        else
            close_end(&spawned->pidfd);
        kill(spawned->pid, SIGKILL);
        if (!options->inherit_stdio)
            kill(-spawned->pid, SIGKILL);
        waitpid(spawned->pid, NULL, 0);
        if (spawned->slot >= 0)
            (void)spawn_server_status(spawned->slot, 0);
        goto out;
    }
    rc = 0;
out:
    for (int i = 0; i < 2; i++) {
        close_end(&layout.in[i]);
        close_end(&layout.out[i]);
        close_end(&layout.err[i]);
    }
    close_end(&layout.master);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    free(env);
    free(mark_entry);
    free(program);
    return rc;
}
