/* tests/unit/io/process.c: real children: output, exits, signals, groups, terminals, clean-up. */
#include "test.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SH(script)                                                                                           \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        "sh", "-c", script, NULL                                                                             \
    }

static struct loop *loop;

static int make_loop(void **state)
{
    (void)state;
    loop = loop_create();
    return 0;
}

static int drop_loop(void **state)
{
    (void)state;
    loop_destroy(loop);
    return 0;
}

static unsigned open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0;
}

static void on_nothing(void *data)
{
    (void)data;
}

/* A killed orphan is a zombie until the loop has reaped it. */
static bool dies_soon(pid_t pid)
{
    for (int i = 0; i < 500 && is_alive(pid); i++) {
        timer_start(loop, 2, on_nothing, NULL);
        loop_run(loop);
    }
    return !is_alive(pid);
}

static struct process_result run(const struct process_run_options *options)
{
    struct process_result result;
    struct error err = {0};

    if (process_run(loop, options, &result, &err) < 0)
        fail_msg("%s", err.text);
    return result;
}

static void process_run_gives_output_and_exit_code(void **state)
{
    struct process_result r =
        run(&(struct process_run_options){.argv = SH("echo out; echo err >&2; exit 7")});

    (void)state;
    assert_string_equal(buf_cstr(&r.out), "out\n");
    assert_string_equal(buf_cstr(&r.err), "err\n");
    assert_int_equal(r.exit.exit_code, 7);
    assert_int_equal(r.exit.signal, 0);
    assert_false(r.truncated);
    assert_true(r.exit.duration_us > 0 && r.exit.max_rss_kib > 0);
    process_result_finish(&r);
}

static void process_run_merges_output_in_order(void **state)
{
    struct process_result r = run(&(struct process_run_options){
        .argv = SH("for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done"), .merge_stderr = true});

    (void)state;
    assert_string_equal(buf_cstr(&r.out), "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n");
    assert_int_equal(r.err.len, 0);
    process_result_finish(&r);
}

static void process_run_reports_a_signal(void **state)
{
    struct process_result r = run(&(struct process_run_options){.argv = SH("kill -SEGV $$")});

    (void)state;
    assert_int_equal(r.exit.exit_code, -1);
    assert_int_equal(r.exit.signal, SIGSEGV);
    process_result_finish(&r);
}

static void process_run_passes_input(void **state)
{
    size_t n = 3 << 20;
    char *text = xmalloc(n);
    struct process_result r;

    (void)state;
    memset(text, 'x', n);
    r = run(&(struct process_run_options){
        .argv = (const char *const[]){"cat", NULL}, .input = text, .input_len = n});
    assert_int_equal(r.out.len, n);
    assert_memory_equal(r.out.data, text, n);
    process_result_finish(&r);

    /* A reader that leaves early is no error. */
    r = run(&(struct process_run_options){
        .argv = (const char *const[]){"head", "-c", "3", NULL}, .input = text, .input_len = n});
    assert_string_equal(buf_cstr(&r.out), "xxx");
    process_result_finish(&r);
    free(text);
}

static void process_run_bounds_output(void **state)
{
    struct process_result r =
        run(&(struct process_run_options){.argv = SH("head -c 9000000 /dev/zero"), .max_output_bytes = 1000});

    (void)state;
    assert_int_equal(r.out.len, 1000);
    assert_true(r.truncated);
    assert_int_equal(r.exit.exit_code, 0);
    process_result_finish(&r);
}

static void process_run_delivers_large_output_whole(void **state)
{
    struct process_result r = run(&(struct process_run_options){.argv = SH("head -c 9000000 /dev/zero")});

    (void)state;
    assert_int_equal(r.out.len, 9000000);
    process_result_finish(&r);
}

static void process_run_uses_environment_and_folder(void **state)
{
    const char *const env[] = {"PATH=/usr/bin:/bin", "WORD=hello", NULL};
    struct process_result r;

    (void)state;
    process_set_mark("run-1");
    r = run(&(struct process_run_options){
        .argv = SH("pwd; echo $WORD $CADRE_RUN_MARK"), .env = env, .cwd = "/usr/bin"});
    assert_string_equal(buf_cstr(&r.out), "/usr/bin\nhello run-1\n");
    process_set_mark(NULL);
    process_result_finish(&r);
}

static void process_start_says_what_is_missing(void **state)
{
    struct process_result r;
    struct error err = {0};
    unsigned before = open_descriptors();

    (void)state;
    assert_int_equal(
        process_run(loop,
                    &(struct process_run_options){.argv = (const char *const[]){"no-such-command", NULL}}, &r,
                    &err),
        -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_string_equal(err.text, "no-such-command: command not found");
    assert_int_equal(
        process_run(loop, &(struct process_run_options){.argv = (const char *const[]){"/etc/passwd", NULL}},
                    &r, &err),
        -1);
    assert_string_equal(err.text, "/etc/passwd: is not an executable file");
    assert_int_equal(
        process_run(loop, &(struct process_run_options){.argv = SH("true"), .cwd = "/no/such"}, &r, &err),
        -1);
    assert_string_equal(err.text, "sh: cannot start in /no/such: no such folder");
    /* The table keeps its own; the failed starts leave nothing. */
    assert_int_equal(open_descriptors(), before + 0U);
}

static void process_timeout_kills_the_whole_group(void **state)
{
    /* The inner one is a grandchild whose parent has gone, and that ignores SIGTERM. */
    const char *script = "(trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000) & sleep 1000";
    int64_t start_ms = clock_monotonic_ms();
    struct process_result r =
        run(&(struct process_run_options){.argv = SH("sh -c \"$0\" & wait"), .timeout_ms = 1});
    pid_t grandchild;

    (void)state;
    process_result_finish(&r);
    r = run(&(struct process_run_options){.argv = (const char *const[]){"sh", "-c", script, NULL},
                                          .timeout_ms = 500});
    assert_true(r.exit.timed_out);
    assert_int_equal(r.exit.signal, SIGTERM);
    assert_true(clock_monotonic_ms() - start_ms < 10000);
    grandchild = (pid_t)atoi(buf_cstr(&r.out));
    assert_true(grandchild > 1);
    assert_true(dies_soon(grandchild));
    process_result_finish(&r);
}

static void process_group_is_killed_when_it_holds_the_output(void **state)
{
    int64_t start_ms = clock_monotonic_ms();
    struct process_result r = run(&(struct process_run_options){.argv = SH("sleep 1000 & echo $!")});

    (void)state;
    assert_int_equal(r.exit.exit_code, 0);
    assert_false(r.exit.timed_out);
    assert_true(clock_monotonic_ms() - start_ms < 5000);
    assert_true(dies_soon((pid_t)atoi(buf_cstr(&r.out))));
    process_result_finish(&r);
}

static void process_escaped_from_its_session_is_found_by_its_mark(void **state)
{
    struct process_result r;
    pid_t pid;

    (void)state;
    process_set_mark("unit-test-mark");
    r = run(&(struct process_run_options){
        .argv = SH("(setsid sh -c 'echo $$; exec sleep 1000 > /dev/null 2>&1' &) | head -n 1")});
    process_set_mark(NULL);
    pid = (pid_t)atoi(buf_cstr(&r.out));
    assert_true(is_alive(pid));
    assert_int_equal(process_kill_marked("unit-test-mark"), 1);
    assert_true(dies_soon(pid));
    assert_int_equal(process_kill_marked("unit-test-mark"), 0);
    process_result_finish(&r);
}

static void process_child_has_default_signals_and_no_descriptors_of_ours(void **state)
{
    /* One that some library could have left without close-on-exec. */
    int leak = open("/dev/null", O_RDONLY); // NOLINT
    struct process_result r = run(&(struct process_run_options){
        .argv = SH("ls /proc/self/fd | wc -l; grep -E 'Sig(Blk|Ign)' /proc/self/status")});
    unsigned long long blocked = 1;
    unsigned long long ignored = 1;
    int descriptors = 0;

    (void)state;
    assert_int_equal(
        sscanf(buf_cstr(&r.out), "%d SigBlk: %llx SigIgn: %llx", &descriptors, &blocked, &ignored), 3);
    assert_int_equal(descriptors, 4); /* 0, 1, 2 and the one that ls itself opened */
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & 0x7fffffff, 0); /* 32 and 33 are the C library's own */
    close(leak);
    process_result_finish(&r);
}

struct talk {
    struct process *process;
    struct buf out;
    struct process_exit exit;
    bool is_over;
    unsigned pieces;
};

static void on_output(void *data, int fd, const char *bytes, size_t n)
{
    struct talk *talk = data;

    assert_int_equal(fd, 1);
    buf_append(&talk->out, bytes, n);
    talk->pieces++;
}

static void on_exit_of_talk(void *data, const struct process_exit *exit)
{
    struct talk *talk = data;

    talk->exit = *exit;
    talk->is_over = true;
    process_destroy(talk->process);
    talk->process = NULL;
}

static void process_on_a_terminal_sees_one(void **state)
{
    struct talk talk = {0};
    struct error err = {0};
    const struct process_options options = {
        .argv = SH("test -t 0 && test -t 1 && echo tty; stty size; read line; echo got $line; cat"),
        .use_pty = true,
        .on_output = on_output,
        .on_exit = on_exit_of_talk,
        .data = &talk,
    };

    (void)state;
    talk.process = process_start(loop, &options, &err);
    if (talk.process == NULL)
        fail_msg("%s", err.text);
    /* The terminal echoes what is typed: so not before the program has said its part. */
    while (strstr(buf_cstr(&talk.out), "tty\r\n24 80\r\n") == NULL && !talk.is_over)
        loop_run_once(loop, true);
    assert_false(talk.is_over);
    process_write(talk.process, "word\n", 5);
    while (strstr(buf_cstr(&talk.out), "got word") == NULL)
        loop_run_once(loop, true);
    process_close_stdin(talk.process);
    while (!talk.is_over)
        loop_run_once(loop, true);
    assert_int_equal(talk.exit.exit_code, 0);
    buf_free(&talk.out);
}

static void process_write_is_answered(void **state)
{
    struct talk talk = {0};
    const struct process_options options = {.argv = (const char *const[]){"cat", NULL},
                                            .want_stdin = true,
                                            .on_output = on_output,
                                            .on_exit = on_exit_of_talk,
                                            .data = &talk};

    (void)state;
    talk.process = process_start(loop, &options, NULL);
    for (unsigned i = 1; i <= 3; i++) {
        process_write(talk.process, "ping\n", 5);
        while (talk.out.len < i * 5)
            loop_run_once(loop, true);
    }
    process_close_stdin(talk.process);
    process_write(talk.process, "late", 4);
    while (!talk.is_over)
        loop_run_once(loop, true);
    assert_string_equal(buf_cstr(&talk.out), "ping\nping\nping\n");
    buf_free(&talk.out);
}

static void must_not_exit(void *data, const struct process_exit *exit)
{
    (void)data;
    (void)exit;
    fail_msg("on_exit after destroy");
}

static void process_destroy_kills_and_is_silent(void **state)
{
    const struct process_options options = {.argv = SH("sleep 1000"), .on_exit = must_not_exit};
    struct process *process = process_start(loop, &options, NULL);
    pid_t pid = process_pid(process);

    (void)state;
    assert_true(process_is_running(process));
    process_destroy(process);
    process_destroy(NULL);
    assert_true(dies_soon(pid));
}

static void process_starts_200_without_leaking_descriptors(void **state)
{
    struct talk talks[200] = {0};
    unsigned before;
    unsigned over = 0;
    const struct process_options first = {.argv = SH("true"), .on_exit = on_exit_of_talk, .data = &talks[0]};

    (void)state;
    /* The loop's own descriptors are open after the first. */
    talks[0].process = process_start(loop, &first, NULL);
    while (!talks[0].is_over)
        loop_run_once(loop, true);
    talks[0] = (struct talk){0};
    before = open_descriptors();

    for (int i = 0; i < 200; i++) {
        const struct process_options options = {.argv = SH("echo hello; read x; exit 3"),
                                                .want_stdin = true,
                                                .on_output = on_output,
                                                .on_exit = on_exit_of_talk,
                                                .data = &talks[i]};
        struct error err = {0};

        talks[i].process = process_start(loop, &options, &err);
        if (talks[i].process == NULL)
            fail_msg("%s", err.text);
    }
    for (int i = 0; i < 200; i++)
        process_close_stdin(talks[i].process);
    while (over < 200) {
        loop_run_once(loop, true);
        over = 0;
        for (int i = 0; i < 200; i++)
            over += talks[i].is_over;
    }
    for (int i = 0; i < 200; i++) {
        assert_string_equal(buf_cstr(&talks[i].out), "hello\n");
        assert_int_equal(talks[i].exit.exit_code, 3);
        buf_free(&talks[i].out);
    }
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

struct cancelled_run {
    struct fiber_group group;
    struct process_result result;
    int rc;
    struct error err;
};

static void runs_long(void *arg)
{
    struct cancelled_run *c = arg;

    c->rc = process_run(loop, &(struct process_run_options){.argv = SH("echo $$; exec sleep 1000")},
                        &c->result, &c->err);
    fiber_group_done(&c->group);
}

static void cancels_run(void *arg)
{
    struct cancelled_run *c = arg;
    struct fiber *fiber;

    fiber_group_add(&c->group);
    fiber = fiber_start(loop, runs_long, c);
    while (c->result.out.len == 0)
        assert_int_equal(fiber_sleep(2, NULL), 0);
    fiber_cancel(fiber);
    assert_int_equal(fiber_group_wait(&c->group, NULL), 0);
    assert_int_equal(c->rc, -1);
    assert_int_equal(c->err.code, ERROR_CANCELLED);
    assert_int_equal(c->result.exit.signal, SIGKILL);
    /* Reaped, not only killed. */
    assert_int_equal(kill((pid_t)atoi(buf_cstr(&c->result.out)), 0), -1);
    process_result_finish(&c->result);
}

static void process_run_cancelled_with_its_fiber_kills_the_child(void **state)
{
    struct cancelled_run c = {0};

    (void)state;
    fiber_run_to_end(loop, cancels_run, &c);
}

static void process_passes_extra_descriptors_by_number(void **state)
{
    struct talk talk = {0};
    int ends[2];
    int extra;
    char script[64];
    char got[8] = "";

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    extra = ends[1];
    snprintf(script, sizeof(script), "echo hi >&%d", extra);
    const struct process_options options = {.argv = (const char *const[]){"bash", "-c", script, NULL},
                                            .extra_fds = &extra,
                                            .extra_fd_count = 1,
                                            .on_exit = on_exit_of_talk,
                                            .data = &talk};
    talk.process = process_start(loop, &options, NULL);
    while (!talk.is_over)
        loop_run_once(loop, true);
    assert_int_equal(talk.exit.exit_code, 0);
    assert_int_equal(read(ends[0], got, sizeof(got) - 1), 3);
    assert_string_equal(got, "hi\n");
    close(ends[0]);
    close(ends[1]);
}

static void process_spares_background_work_when_told(void **state)
{
    struct talk talk = {0};
    const struct process_options options = {.argv = SH("sleep 1000 & echo $!"),
                                            .spare_background = true,
                                            .on_output = on_output,
                                            .on_exit = on_exit_of_talk,
                                            .data = &talk};
    pid_t pid;

    (void)state;
    talk.process = process_start(loop, &options, NULL);
    while (!talk.is_over)
        loop_run_once(loop, true);
    pid = (pid_t)atoi(buf_cstr(&talk.out));
    assert_true(is_alive(pid));
    kill(pid, SIGKILL);
    assert_true(dies_soon(pid));
    buf_free(&talk.out);
}

static void process_inherits_stdio_and_our_group(void **state)
{
    struct talk talk = {0};
    char script[64];
    const struct process_options options = {.argv = (const char *const[]){"sh", "-c", script, NULL},
                                            .inherit_stdio = true,
                                            .on_exit = on_exit_of_talk,
                                            .data = &talk};

    (void)state;
    /* Field 5 of stat is the process group. */
    snprintf(script, sizeof(script), "read a b c d group rest < /proc/$$/stat; test $group = %d",
             (int)getpgrp());
    talk.process = process_start(loop, &options, NULL);
    while (!talk.is_over)
        loop_run_once(loop, true);
    assert_int_equal(talk.exit.exit_code, 0);

    /* Its end must not take us with it. */
    talk = (struct talk){0};
    snprintf(script, sizeof(script), "sleep 1000");
    talk.process = process_start(loop, &options, NULL);
    process_kill(talk.process, 0);
    while (!talk.is_over)
        loop_run_once(loop, true);
    assert_int_equal(talk.exit.signal, SIGKILL);
}

/* Runs where pidfd_open does not exist. 0 when all is well. */
static int run_without_pidfd(void)
{
    struct loop *own = loop_create();
    struct process_result r;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = 0;

    if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(pidfd_open), 0) < 0 ||
        seccomp_load(filter) < 0)
        return 2;
    if (process_run(own, &(struct process_run_options){.argv = SH("echo hi; exit 5")}, &r, NULL) < 0 ||
        !str_eq(buf_cstr(&r.out), "hi\n") || r.exit.exit_code != 5)
        rc = 3;
    process_result_finish(&r);
    if (process_run(own, &(struct process_run_options){.argv = SH("exec sleep 1000 >&-"), .timeout_ms = 20},
                    &r, NULL) < 0 ||
        !r.exit.timed_out)
        rc = 4;
    process_result_finish(&r);
    loop_destroy(own);
    seccomp_release(filter);
    return rc;
}

static void process_works_without_pidfd(void **state)
{
    int status = 0;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(run_without_pidfd());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_run_gives_output_and_exit_code),
        cmocka_unit_test(process_run_merges_output_in_order),
        cmocka_unit_test(process_run_reports_a_signal),
        cmocka_unit_test(process_run_passes_input),
        cmocka_unit_test(process_run_bounds_output),
        cmocka_unit_test(process_run_delivers_large_output_whole),
        cmocka_unit_test(process_run_uses_environment_and_folder),
        cmocka_unit_test(process_start_says_what_is_missing),
        cmocka_unit_test(process_timeout_kills_the_whole_group),
        cmocka_unit_test(process_group_is_killed_when_it_holds_the_output),
        cmocka_unit_test(process_escaped_from_its_session_is_found_by_its_mark),
        cmocka_unit_test(process_child_has_default_signals_and_no_descriptors_of_ours),
        cmocka_unit_test(process_on_a_terminal_sees_one),
        cmocka_unit_test(process_write_is_answered),
        cmocka_unit_test(process_destroy_kills_and_is_silent),
        cmocka_unit_test(process_starts_200_without_leaking_descriptors),
        cmocka_unit_test(process_run_cancelled_with_its_fiber_kills_the_child),
        cmocka_unit_test(process_passes_extra_descriptors_by_number),
        cmocka_unit_test(process_spares_background_work_when_told),
        cmocka_unit_test(process_inherits_stdio_and_our_group),
        cmocka_unit_test(process_works_without_pidfd),
    };

    return cmocka_run_group_tests(tests, make_loop, drop_loop);
}
