/* tests/unit/io/loop.c: timers, deferred calls, watches and signals. */
#include "test.h"

#include "io/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct trace {
    struct loop *loop;
    char text[64];
    struct timer *timer;
    struct watch *watch;
    int fds[2];
};

static void add(struct trace *t, char c)
{
    size_t n = strlen(t->text);

    assert_true(n + 1 < sizeof(t->text));
    t->text[n] = c;
}

static void on_a(void *data)
{
    add(data, 'a');
}

static void on_b(void *data)
{
    add(data, 'b');
}

static void on_nested(void *data)
{
    struct trace *t = data;

    add(t, 'n');
    loop_defer(t->loop, on_b, t);
    add(t, '.');
}

static void loop_defers_in_order_and_never_at_once(void **state)
{
    struct trace t = {.loop = loop_create()};

    (void)state;
    loop_defer(t.loop, on_a, &t);
    loop_defer(t.loop, on_nested, &t);
    loop_defer(t.loop, on_a, &t);
    assert_string_equal(t.text, "");
    loop_run(t.loop);
    assert_string_equal(t.text, "an.ab");
    loop_destroy(t.loop);
}

static void loop_fires_timers_by_time(void **state)
{
    struct trace t = {.loop = loop_create()};

    (void)state;
    timer_start(t.loop, 20, on_b, &t);
    timer_start(t.loop, 1, on_a, &t);
    loop_run(t.loop);
    assert_string_equal(t.text, "ab");
    loop_destroy(t.loop);
}

static void on_cancels(void *data)
{
    struct trace *t = data;

    timer_cancel(t->timer);
    add(t, 'c');
}

static void loop_cancels_a_timer_that_is_due(void **state)
{
    struct trace t = {.loop = loop_create()};

    (void)state;
    timer_start(t.loop, 1, on_cancels, &t);
    t.timer = timer_start(t.loop, 1, on_a, &t);
    usleep(3000);
    loop_run(t.loop);
    assert_string_equal(t.text, "c");
    timer_cancel(NULL);
    loop_destroy(t.loop);
}

static void on_readable(void *data, int events)
{
    struct trace *t = data;
    char c;
    ssize_t n = read(t->fds[0], &c, 1);

    assert_true(events & WATCH_READ);
    if (n == 1) {
        add(t, c);
        return;
    }
    add(t, '$');
    watch_stop(t->watch);
    t->watch = NULL;
}

static void loop_watches_a_pipe_to_its_end(void **state)
{
    struct trace t = {.loop = loop_create()};

    (void)state;
    assert_int_equal(pipe2(t.fds, O_CLOEXEC), 0);
    t.watch = watch_start(t.loop, t.fds[0], WATCH_READ, on_readable, &t);
    assert_int_equal(write(t.fds[1], "xyz", 3), 3);
    close(t.fds[1]);
    loop_run(t.loop);
    assert_string_equal(t.text, "xyz$");
    close(t.fds[0]);
    loop_destroy(t.loop);
}

static void loop_watches_a_regular_file_as_always_ready(void **state)
{
    struct trace t = {.loop = loop_create()};
    FILE *file = tmpfile();

    (void)state;
    fputs("hi", file);
    rewind(file);
    t.fds[0] = fileno(file);
    t.watch = watch_start(t.loop, t.fds[0], WATCH_READ, on_readable, &t);
    loop_run(t.loop);
    assert_string_equal(t.text, "hi$");
    fclose(file);
    loop_destroy(t.loop);
}

static void on_writable(void *data, int events)
{
    struct trace *t = data;

    assert_true(events & WATCH_WRITE);
    assert_int_equal(write(t->fds[1], "x", 1), -1);
    add(t, 'p');
    if (strlen(t->text) == 2) {
        watch_stop(t->watch);
        t->watch = NULL;
    }
}

static void loop_reports_a_pipe_without_reader_until_it_is_stopped(void **state)
{
    struct trace t = {.loop = loop_create()};

    (void)state;
    assert_int_equal(pipe2(t.fds, O_CLOEXEC), 0);
    close(t.fds[0]);
    t.watch = watch_start(t.loop, t.fds[1], WATCH_WRITE, on_writable, &t);
    loop_run(t.loop);
    assert_string_equal(t.text, "pp");
    close(t.fds[1]);
    loop_destroy(t.loop);
}

static void on_user_signal(void *data, int signum)
{
    assert_int_equal(signum, SIGUSR1);
    add(data, 's');
}

static void loop_delivers_signals_without_staying_alive_for_them(void **state)
{
    struct trace t = {.loop = loop_create()};
    struct signal_watch *watch = signal_watch_start(t.loop, SIGUSR1, on_user_signal, &t);

    (void)state;
    loop_run(t.loop); /* returns though a signal is watched */
    raise(SIGUSR1);
    timer_start(t.loop, 5, on_a, &t);
    loop_run(t.loop);
    assert_string_equal(t.text, "sa");
    signal_watch_stop(watch);
    loop_destroy(t.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop_defers_in_order_and_never_at_once),
        cmocka_unit_test(loop_fires_timers_by_time),
        cmocka_unit_test(loop_cancels_a_timer_that_is_due),
        cmocka_unit_test(loop_watches_a_pipe_to_its_end),
        cmocka_unit_test(loop_watches_a_regular_file_as_always_ready),
        cmocka_unit_test(loop_reports_a_pipe_without_reader_until_it_is_stopped),
        cmocka_unit_test(loop_delivers_signals_without_staying_alive_for_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
