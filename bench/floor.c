/* bench/floor.c: the bare floor that cadre is measured against: the same requests by libcurl's multi interface, the
 * same commands by posix_spawn, and nothing else. No answer is read, nothing is parsed, kept or shut in.
 *
 *     floor URL THREADS TURNS HEAD STEP TAIL [COMMAND...]
 *
 * Each thread sends HEAD TAIL, then, TURNS times, runs COMMAND (if any, its output read to the end) and sends HEAD, STEP
 * once for each turn so far, TAIL. HEAD, STEP and TAIL are files: parts of request bodies that cadre sent. */
#include <curl/curl.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct part {
    char *data;
    size_t n;
};

struct thread {
    CURL *easy;
    struct curl_slist *headers;
    char *body;
    size_t length; /* of the body without TAIL */
    int turn;
    int output; /* pipe of the command; -1: none runs */
    pid_t pid;
};

static struct part head, step, tail;
static char **command;
static int turns, open_threads, poller;
static CURLM *multi;
static long timeout_ms = -1;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static struct part read_part(const char *path)
{
    struct part part;
    FILE *f = fopen(path, "re");
    long n;

    if (f == NULL || fseek(f, 0, SEEK_END) < 0 || (n = ftell(f)) < 0)
        die(path);
    rewind(f);
    part.n = (size_t)n;
    part.data = malloc(part.n + 1);
    if (part.data == NULL || fread(part.data, 1, part.n, f) != part.n)
        die(path);
    fclose(f);
    return part;
}

static size_t ignore(char *data, size_t size, size_t n, void *user)
{
    (void)data;
    (void)user;
    return size * n;
}

static void ask(struct thread *t)
{
    memcpy(t->body + t->length, tail.data, tail.n);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE, (long)(t->length + tail.n));
    curl_multi_add_handle(multi, t->easy);
}

static void next_turn(struct thread *t)
{
    memcpy(t->body + t->length, step.data, step.n);
    t->length += step.n;
    t->turn++;
    ask(t);
}

static void start_command(struct thread *t)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = t};
    posix_spawn_file_actions_t actions;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        die("pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    if (posix_spawn(&t->pid, command[0], &actions, NULL, command, environ) != 0)
        die(command[0]);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    t->output = ends[0];
    epoll_ctl(poller, EPOLL_CTL_ADD, t->output, &event);
}

static void on_output(struct thread *t)
{
    char bytes[4096];

    if (read(t->output, bytes, sizeof bytes) > 0)
        return;
    epoll_ctl(poller, EPOLL_CTL_DEL, t->output, NULL);
    close(t->output);
    t->output = -1;
    waitpid(t->pid, NULL, 0);
    next_turn(t);
}

static void on_answer(struct thread *t)
{
    curl_multi_remove_handle(multi, t->easy);
    if (t->turn == turns)
        open_threads--;
    else if (command != NULL)
        start_command(t);
    else
        next_turn(t);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *is_known)
{
    struct epoll_event event = {.data.u64 = ((uint64_t)fd << 1) | 1}; /* odd: a socket, else a thread */

    (void)easy;
    (void)user;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    epoll_ctl(poller, is_known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    curl_multi_assign(multi, fd, &poller);
    return 0;
}

static int on_timeout(CURLM *m, long ms, void *user)
{
    (void)m;
    (void)user;
    timeout_ms = ms;
    return 0;
}

static void finish_answers(void)
{
    struct thread *t;
    CURLMsg *message;
    int left;
    long status;

    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;

        if (message->data.result != CURLE_OK) {
            fprintf(stderr, "floor: %s\n", curl_easy_strerror(message->data.result));
            exit(1);
        }
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (status != 200) {
            fprintf(stderr, "floor: status %ld\n", status);
            exit(1);
        }
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        on_answer(t);
    }
}

static void start_thread(struct thread *t, const char *url, size_t number)
{
    char header[64];

    t->body = malloc(head.n + (size_t)turns * step.n + tail.n);
    if (t->body == NULL)
        die("memory");
    memcpy(t->body, head.data, head.n);
    t->length = head.n;
    t->output = -1;
    snprintf(header, sizeof header, "thread-id: floor-%zu", number);
    t->headers = curl_slist_append(curl_slist_append(NULL, header), "content-type: application/json");
    t->headers = curl_slist_append(t->headers, "Expect:");
    t->easy = curl_easy_init();
    curl_easy_setopt(t->easy, CURLOPT_URL, url);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    ask(t);
}

int main(int argc, char **argv)
{
    struct thread *threads;
    size_t count;
    int running;

    if (argc < 7) {
        fputs("usage: floor URL THREADS TURNS HEAD STEP TAIL [COMMAND...]\n", stderr);
        return 2;
    }
    count = (size_t)strtoul(argv[2], NULL, 10);
    turns = (int)strtol(argv[3], NULL, 10);
    head = read_part(argv[4]);
    step = read_part(argv[5]);
    tail = read_part(argv[6]);
    command = argc > 7 ? argv + 7 : NULL;
    poller = epoll_create1(EPOLL_CLOEXEC);
    multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)count);
    threads = calloc(count, sizeof *threads);
    if (threads == NULL)
        die("memory");
    for (size_t i = 0; i < count; i++)
        start_thread(&threads[i], argv[1], i);
    open_threads = (int)count;
    while (open_threads > 0) {
        struct epoll_event events[64];
        int n = epoll_wait(poller, events, 64, (int)timeout_ms);

        if (n == 0) {
            timeout_ms = -1;
            curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        for (int i = 0; i < n; i++) {
            uint64_t data = events[i].data.u64;
            int mask = (events[i].events & ~(uint32_t)EPOLLOUT ? CURL_CSELECT_IN : 0) |
                       (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);

            if ((data & 1) != 0)
                curl_multi_socket_action(multi, (curl_socket_t)(data >> 1), mask, &running);
            else
                on_output(events[i].data.ptr);
        }
        finish_answers();
    }
    return 0;
}
