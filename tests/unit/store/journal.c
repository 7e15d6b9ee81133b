/* tests/unit/store/journal.c: transactions, locks, versions, and what a kill leaves. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "io/loop.h"
#include "store/journal.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *folder;
static char *path;

static int set_up(void **state)
{
    (void)state;
    folder = file_make_temporary_directory("cadre-journal", NULL);
    path = path_join(folder, "journal.db");
    return folder == NULL;
}

static int tear_down(void **state)
{
    int rc = file_remove_tree(folder, NULL);

    (void)state;
    free(folder);
    free(path);
    return rc;
}

static struct journal *create(void)
{
    const struct journal_run run = {
        .id = (char[]){"20261123-160203-abcd"},
        .goal = (char[]){"make it 'green'"},
        .repo = (char[]){"/repo"},
        .base_commit = (char[]){"c0ffee"},
    };
    struct error err = {0};
    struct journal *journal = journal_create(path, &run, &err);

    if (journal == NULL)
        fail_msg("%s", err.text);
    return journal;
}

static struct journal *reopen(void)
{
    struct error err = {0};
    struct journal *journal = journal_open(path, &err);

    if (journal == NULL)
        fail_msg("%s", err.text);
    return journal;
}

static bool collect_record(void *data, const char *key, const char *json)
{
    buf_printf(data, "%s=%s ", key, json);
    return true;
}

static bool collect_event(void *data, int64_t seq, int64_t ts_ms, const char *type, const char *json)
{
    assert_true(ts_ms > 0);
    buf_printf(data, "%d:%s%s ", (int)seq, type, json);
    return true;
}

static void expect_records(struct journal *journal, const char *kind, const char *expected)
{
    struct buf got = BUF_INIT;

    assert_int_equal(journal_each(journal, kind, collect_record, &got, NULL), 0);
    assert_string_equal(buf_cstr(&got), expected);
    buf_free(&got);
}

static void expect_events(struct journal *journal, int64_t since, const char *expected)
{
    struct buf got = BUF_INIT;

    assert_int_equal(journal_events_since(journal, since, collect_event, &got, NULL), 0);
    assert_string_equal(buf_cstr(&got), expected);
    buf_free(&got);
}

static void journal_keeps_the_run(void **state)
{
    struct journal *journal = create();
    struct journal_run run;

    (void)state;
    assert_int_equal(journal_run_set_state(journal, "interrupted", NULL), 0);
    assert_int_equal(journal_run_set_config(journal, "{\"a\":1}", NULL), 0);
    journal_close(journal);
    journal = reopen();
    assert_int_equal(journal_run_get(journal, &run, NULL), 0);
    assert_string_equal(run.id, "20261123-160203-abcd");
    assert_string_equal(run.goal, "make it 'green'");
    assert_string_equal(run.base_commit, "c0ffee");
    assert_null(run.target_branch);
    assert_string_equal(run.state, "interrupted");
    assert_string_equal(run.config, "{\"a\":1}");
    assert_true(run.created_ms > 0 && run.updated_ms >= run.created_ms);
    journal_run_finish(&run);
    journal_close(journal);
}

static void journal_keeps_records_in_order_of_first_put(void **state)
{
    struct journal *journal = create();
    struct error err = {0};
    char *json;

    (void)state;
    assert_int_equal(journal_put(journal, "task", "T2", "{}", NULL), 0);
    assert_int_equal(journal_put(journal, "task", "T1", "1", NULL), 0);
    assert_int_equal(journal_put(journal, "gate", "T1", "[]", NULL), 0);
    assert_int_equal(journal_put(journal, "task", "T2", "{\"s\":\"\xC3\xA4\"}", NULL), 0);
    expect_records(journal, "task", "T2={\"s\":\"\xC3\xA4\"} T1=1 ");
    json = journal_get(journal, "gate", "T1", &err);
    assert_string_equal(json, "[]");
    free(json);
    assert_null(journal_get(journal, "gate", "T9", &err));
    assert_false(error_is_set(&err));
    assert_int_equal(journal_delete(journal, "task", "T2", NULL), 0);
    assert_int_equal(journal_delete(journal, "task", "T2", NULL), 0);
    expect_records(journal, "task", "T1=1 ");
    journal_close(journal);
}

static void journal_numbers_events_without_gaps(void **state)
{
    struct journal *journal = create();

    (void)state;
    assert_int_equal(journal_event(journal, "a", "{}", NULL), 1);
    assert_int_equal(journal_begin(journal, NULL), 0);
    assert_int_equal(journal_event(journal, "lost", "{}", NULL), 2);
    journal_rollback(journal);
    assert_int_equal(journal_event(journal, "b", "{}", NULL), 2);
    expect_events(journal, 0, "1:a{} 2:b{} ");
    expect_events(journal, 1, "2:b{} ");
    expect_events(journal, 2, "");
    journal_close(journal);
}

static void journal_writes_later_events_in_order(void **state)
{
    struct loop *loop = loop_create();
    struct journal *journal = create();
    struct journal *looker;

    (void)state;
    journal_event_later(journal, "a", "1");
    journal_event_later(journal, "b", "2");
    looker = journal_open_readonly(path, NULL);
    expect_events(looker, 0, "");
    assert_int_equal(journal_event(journal, "c", "3", NULL), 3);
    expect_events(looker, 0, "1:a1 2:b2 3:c3 ");

    /* One that waits is not part of a transaction that begins after it; one within is. */
    journal_event_later(journal, "d", "4");
    assert_int_equal(journal_begin(journal, NULL), 0);
    journal_event_later(journal, "lost", "0");
    journal_rollback(journal);
    expect_events(looker, 3, "4:d4 ");

    journal_set_loop(journal, loop);
    journal_event_later(journal, "e", "5");
    loop_run(loop); /* the timer */
    expect_events(looker, 4, "5:e5 ");
    journal_event_later(journal, "f", "6");
    journal_close(journal);
    expect_events(looker, 5, "6:f6 ");
    journal_close(looker);
    loop_destroy(loop);
}

static void journal_transactions_nest(void **state)
{
    struct journal *journal = create();

    (void)state;
    assert_int_equal(journal_begin(journal, NULL), 0);
    assert_int_equal(journal_put(journal, "k", "outer", "1", NULL), 0);
    assert_int_equal(journal_begin(journal, NULL), 0);
    assert_int_equal(journal_put(journal, "k", "inner", "1", NULL), 0);
    journal_rollback(journal);
    assert_int_equal(journal_begin(journal, NULL), 0);
    assert_int_equal(journal_put(journal, "k", "second", "1", NULL), 0);
    assert_int_equal(journal_commit(journal, NULL), 0);
    assert_int_equal(journal_commit(journal, NULL), 0);
    expect_records(journal, "k", "outer=1 second=1 ");

    /* What is open at the end is rolled back. */
    assert_int_equal(journal_begin(journal, NULL), 0);
    assert_int_equal(journal_begin(journal, NULL), 0);
    assert_int_equal(journal_put(journal, "k", "open", "1", NULL), 0);
    journal_close(journal);
    journal = reopen();
    expect_records(journal, "k", "outer=1 second=1 ");
    journal_close(journal);
}

static void journal_is_held_by_one(void **state)
{
    struct journal *journal = create();
    struct journal *looker;
    struct error err = {0};
    char expected[32];
    int64_t pid = 0;
    int64_t since_ms = 0;

    (void)state;
    assert_null(journal_open(path, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    snprintf(expected, sizeof(expected), "in use by process %d on", (int)getpid());
    assert_non_null(strstr(err.text, expected));
    assert_true(journal_is_locked(path, &pid, &since_ms));
    assert_int_equal(pid, getpid());
    assert_true(since_ms > 0);

    /* Looking is allowed, and sees what is committed; changing is not. */
    assert_int_equal(journal_put(journal, "k", "a", "1", NULL), 0);
    looker = journal_open_readonly(path, &err);
    assert_non_null(looker);
    expect_records(looker, "k", "a=1 ");
    assert_int_equal(journal_put(journal, "k", "b", "2", NULL), 0);
    expect_records(looker, "k", "a=1 b=2 ");
    assert_int_equal(journal_put(looker, "k", "c", "3", &err), -1);
    journal_close(looker);

    journal_close(journal);
    assert_false(journal_is_locked(path, &pid, NULL));
    looker = journal_open_readonly(path, &err);
    expect_records(looker, "k", "a=1 b=2 ");
    journal_close(looker);
}

static void journal_refuses_what_it_cannot_read(void **state)
{
    struct error err = {0};
    sqlite3 *db = NULL;

    (void)state;
    assert_null(journal_open(path, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_int_equal(
        file_write(path, "this is no database, but long enough to be read as one", 54, 0600, NULL), 0);
    assert_null(journal_open(path, &err));
    assert_non_null(strstr(err.text, "not a database"));
    assert_int_equal(unlink(path), 0);

    journal_close(create());
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_null(journal_open(path, &err));
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "written by a newer version of cadre (its format is 99"));
    assert_null(journal_open_readonly(path, &err));
}

static void journal_without_a_run_says_so(void **state)
{
    struct journal_run run;
    struct error err = {0};
    struct journal *journal;

    (void)state;
    /* A kill may come between the file and its first commit: an empty file is a database, too. */
    assert_int_equal(file_write(path, "", 0, 0600, NULL), 0);
    journal = reopen();
    assert_int_equal(journal_run_get(journal, &run, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    journal_close(journal);
}

/* Each step is one transaction of two changes that belong together. */
static void work(struct journal *journal, int from, int count, int tell_fd)
{
    for (int i = from; i < from + count; i++) {
        char number[16];

        snprintf(number, sizeof(number), "%d", i);
        if (journal_begin(journal, NULL) < 0 || journal_put(journal, "step", "last", number, NULL) < 0 ||
            journal_event(journal, "step", number, NULL) < 0 || journal_commit(journal, NULL) < 0)
            _exit(99);
        if (tell_fd >= 0 && write(tell_fd, &i, sizeof(i)) != sizeof(i))
            _exit(98);
    }
}

static bool keep_last(void *data, int64_t seq, int64_t ts_ms, const char *type, const char *json)
{
    (void)ts_ms;
    (void)type;
    assert_int_equal(seq, atoi(json));
    *(int *)data = atoi(json);
    return true;
}

/* The record and the events must tell the same, whatever happened. */
static int check_steps(void)
{
    struct journal *journal = reopen();
    char *last = journal_get(journal, "step", "last", NULL);
    int events = 0;
    int record = last ? atoi(last) : 0;

    assert_int_equal(journal_events_since(journal, 0, keep_last, &events, NULL), 0);
    assert_int_equal(events, record);
    free(last);
    journal_close(journal);
    return record;
}

static void journal_survives_kill_at_any_moment(void **state)
{
    int done = 0;

    (void)state;
    journal_close(create());
    for (int round = 0; round < 15; round++) {
        int ends[2];
        int told = done;
        int got;
        pid_t child;

        assert_int_equal(pipe(ends), 0);
        child = fork();
        if (child == 0) {
            struct journal *journal = journal_open(path, NULL);

            close(ends[0]);
            if (journal == NULL)
                _exit(97);
            work(journal, done + 1, 100000, ends[1]);
            _exit(96);
        }
        close(ends[1]);
        for (int i = 0; i < 3 + round; i++) {
            assert_int_equal(read(ends[0], &got, sizeof(got)), sizeof(got));
            told = got;
        }
        usleep((useconds_t)(round * 137 % 1000));
        kill(child, SIGKILL);
        while (read(ends[0], &got, sizeof(got)) == sizeof(got))
            told = got;
        close(ends[0]);
        assert_int_equal(waitpid(child, &got, 0), child);
        assert_true(WIFSIGNALED(got));
        /* Nothing that was reported as committed is lost; at most one more was under way. */
        done = check_steps();
        assert_true(done == told || done == told + 1);
    }
}

static void journal_crashes_on_demand_after_the_nth_commit(void **state)
{
    (void)state;
    for (int n = 1; n <= 4; n++) {
        int status = 0;
        pid_t child = fork();

        if (child == 0) {
            char text[32];
            struct journal *journal;

            snprintf(text, sizeof(text), "journal-after:%d", n);
            setenv("CADRE_TEST_KILL_AT", text, 1);
            journal = create(); /* the first commit */
            work(journal, 1, 10, -1);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(WTERMSIG(status), SIGKILL);
        assert_int_equal(check_steps(), n - 1);
        assert_int_equal(unlink(path), 0);
        char *wal = xasprintf("%s-wal", path);
        char *shm = xasprintf("%s-shm", path);
        unlink(wal);
        unlink(shm);
        free(wal);
        free(shm);
    }
}

static void journal_keeps_what_was_when_the_disk_is_full(void **state)
{
    struct journal *journal = create();
    struct rlimit before;
    struct rlimit tight;
    struct error err = {0};
    size_t n = 1 << 20;
    char *large = xmalloc(n + 1);

    (void)state;
    memset(large, '1', n);
    large[n] = '\0';
    assert_int_equal(journal_put(journal, "k", "a", "1", NULL), 0);

    /* A bound on file sizes does to write() what a full disk does. */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 200000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    assert_int_equal(journal_begin(journal, NULL), 0);
    assert_int_equal(journal_put(journal, "k", "b", "2", NULL), 0);
    if (journal_put(journal, "k", "c", large, &err) == 0)
        assert_int_equal(journal_commit(journal, &err), -1);
    else
        journal_rollback(journal);
    assert_true(error_is_set(&err));
    assert_non_null(strstr(err.text, "journal.db: "));
    expect_records(journal, "k", "a=1 ");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);

    /* With room again it goes on. */
    assert_int_equal(journal_put(journal, "k", "d", "4", NULL), 0);
    expect_records(journal, "k", "a=1 d=4 ");
    journal_close(journal);
    journal = reopen();
    expect_records(journal, "k", "a=1 d=4 ");
    journal_close(journal);
    free(large);
}

#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(journal_crashes_on_demand_after_the_nth_commit), /* first: the count is the process's */
        JOURNAL_TEST(journal_keeps_the_run),
        JOURNAL_TEST(journal_keeps_records_in_order_of_first_put),
        JOURNAL_TEST(journal_numbers_events_without_gaps),
        JOURNAL_TEST(journal_writes_later_events_in_order),
        JOURNAL_TEST(journal_transactions_nest),
        JOURNAL_TEST(journal_is_held_by_one),
        JOURNAL_TEST(journal_refuses_what_it_cannot_read),
        JOURNAL_TEST(journal_without_a_run_says_so),
        JOURNAL_TEST(journal_keeps_what_was_when_the_disk_is_full),
        JOURNAL_TEST(journal_survives_kill_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
