/* bench/measure.c: runs a command and says what it cost with all its descendants.
 *
 *     measure FILE COMMAND...
 *
 * writes one line to FILE: START_US WALL_US CPU_US PEAK_PSS_KIB EXIT. START_US is CLOCK_MONOTONIC when the command was
 * started, the clock of the mock's `arrived_us`. It is the reaper of its descendants, so that CPU time holds those too
 * that outlive their parent. PSS is sampled over the tree; each sample is followed by nineteen times its own length
 * of rest: measuring takes at most a twentieth of one core. */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIN_REST_US  1000
#define LEFT_OVER_US 3000000 /* descendants that live on are given so long, then killed */
#define TREE_MAX     65536

struct tree {
    pid_t pids[TREE_MAX];
    size_t count;
};

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Kibibytes; 0 when the process is gone. */
static int64_t pss_of(pid_t pid)
{
    char path[64], line[256];
    long long kib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "re");
    if (f == NULL)
        return 0;
    while (fgets(line, sizeof line, f) != NULL && sscanf(line, "Pss: %lld", &kib) != 1)
        ;
    fclose(f);
    return kib;
}

static void add_children_of_task(struct tree *tree, const char *path)
{
    FILE *f = fopen(path, "re");
    int pid;

    if (f == NULL)
        return;
    while (tree->count < TREE_MAX && fscanf(f, "%d", &pid) == 1)
        tree->pids[tree->count++] = pid;
    fclose(f);
}

/* Children of all threads of PID: the kernel lists them by the thread that forked. */
static void add_children(struct tree *tree, pid_t pid)
{
    char path[64], children[400];
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    dir = opendir(path);
    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(children, sizeof children, "%s/%s/children", path, entry->d_name);
        add_children_of_task(tree, children);
    }
    closedir(dir);
}

/* All descendants of this process, which adopts those whose parents end. */
static void find_tree(struct tree *tree)
{
    tree->count = 0;
    add_children(tree, getpid());
    for (size_t i = 0; i < tree->count; i++)
        add_children(tree, tree->pids[i]);
}

static int64_t tree_pss(struct tree *tree)
{
    int64_t sum = 0;

    find_tree(tree);
    for (size_t i = 0; i < tree->count; i++)
        sum += pss_of(tree->pids[i]);
    return sum;
}

/* Reaps all that ended; true while there are children. *CODE is set when MAIN_PID is among them. */
static bool reap(pid_t main_pid, int *code, bool *main_ended)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == main_pid) {
            *main_ended = true;
            *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
    return pid == 0;
}

static void kill_tree(struct tree *tree)
{
    find_tree(tree);
    for (size_t i = 0; i < tree->count; i++)
        kill(tree->pids[i], SIGKILL);
}

int main(int argc, char **argv)
{
    static struct tree tree;
    int64_t start, ended = 0, peak_kib = 0;
    bool main_ended = false;
    struct rusage used;
    int code = 0;
    pid_t pid;
    FILE *out;

    if (argc < 3) {
        fputs("usage: measure FILE COMMAND...\n", stderr);
        return 2;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    start = now_us();
    pid = fork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    for (;;) {
        int64_t began = now_us(), kib, took;
        struct pollfd main_exit;
        bool has_children = reap(pid, &code, &main_ended);

        if (main_ended && ended == 0)
            ended = now_us();
        if (!has_children)
            break;
        if (main_ended && began - ended > LEFT_OVER_US)
            kill_tree(&tree);
        kib = main_ended ? 0 : tree_pss(&tree);
        if (kib > peak_kib)
            peak_kib = kib;
        took = (now_us() - began) * 19;
        if (took < MIN_REST_US)
            took = MIN_REST_US;
        main_exit.fd = main_ended ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
        main_exit.events = POLLIN;
        (void)ppoll(&main_exit, 1, &(struct timespec){took / 1000000, took % 1000000 * 1000}, NULL);
        if (main_exit.fd >= 0)
            close(main_exit.fd);
    }
    getrusage(RUSAGE_CHILDREN, &used);
    out = fopen(argv[1], "we");
    if (out == NULL) {
        perror(argv[1]);
        return 2;
    }
    fprintf(out, "%lld %lld %lld %lld %d\n", (long long)start, (long long)(ended - start),
            (long long)used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec +
                (long long)used.ru_stime.tv_sec * 1000000 + used.ru_stime.tv_usec,
            (long long)peak_kib, code);
    fclose(out);
    return 0;
}
