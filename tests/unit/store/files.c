/* tests/unit/store/files.c: rollouts, history, the ledger and the folders of runs. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "store/history.h"
#include "store/journal.h"
#include "store/ledger.h"
#include "store/rollout.h"
#include "store/run_dir.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *folder;

static int set_up(void **state)
{
    (void)state;
    folder = file_make_temporary_directory("cadre-store", NULL);
    setenv("XDG_STATE_HOME", folder, 1);
    return folder == NULL;
}

static int tear_down(void **state)
{
    int rc = file_remove_tree(folder, NULL);

    (void)state;
    free(folder);
    return rc;
}

/* --- Rollouts --- */

static bool collect_item(void *data, const char *timestamp, const char *type, const json_t *payload)
{
    assert_int_equal(strlen(timestamp), CLOCK_TEXT_BYTES - 1);
    buf_printf(data, "%s:%d ", type, (int)json_get_int(payload, "n", -1));
    return true;
}

static void add_item(struct rollout *rollout, int n)
{
    char payload[32];

    snprintf(payload, sizeof(payload), "{\"n\":%d}", n);
    rollout_add(rollout, "item", payload, strlen(payload));
}

static void rollout_grows_over_sessions_and_drops_a_torn_line(void **state)
{
    char *path = path_join(folder, "rollouts/t1.jsonl");
    struct rollout *rollout = rollout_open(path, NULL);
    struct buf got = BUF_INIT;

    (void)state;
    add_item(rollout, 1);
    assert_int_equal(rollout_read(path, collect_item, &got, NULL), 0);
    assert_string_equal(buf_cstr(&got), ""); /* not flushed yet */
    assert_int_equal(rollout_flush(rollout, NULL), 0);
    add_item(rollout, 2);
    rollout_close(rollout);

    assert_int_equal(file_append(path, "{\"timestamp\":\"x\",\"type\":\"it", 27, 0600, NULL), 0);
    assert_int_equal(rollout_read(path, collect_item, &got, NULL), 0);
    assert_string_equal(buf_cstr(&got), "item:1 item:2 ");

    rollout = rollout_open(path, NULL);
    add_item(rollout, 3);
    rollout_close(rollout);
    buf_clear(&got);
    assert_int_equal(rollout_read(path, collect_item, &got, NULL), 0);
    assert_string_equal(buf_cstr(&got), "item:1 item:2 item:3 ");
    buf_free(&got);
    free(path);
}

static void rollout_read_names_a_bad_line(void **state)
{
    char *path = path_join(folder, "bad.jsonl");
    struct error err = {0};
    struct buf got = BUF_INIT;
    const char *text = "{\"timestamp\":\"2026-11-23T16:02:03.123Z\",\"type\":\"a\"}\nnonsense\n";

    (void)state;
    assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), 0);
    assert_int_equal(rollout_read(path, collect_item, &got, &err), -1);
    assert_non_null(strstr(err.text, "bad.jsonl:2: "));
    assert_string_equal(buf_cstr(&got), "a:-1 ");
    buf_free(&got);
    free(path);
}

static void rollout_survives_kill_between_writes(void **state)
{
    char *path = path_join(folder, "killed.jsonl");
    int expected = 0;

    (void)state;
    for (int round = 0; round < 10; round++) {
        int ends[2];
        int told;
        int status;
        pid_t child;
        struct buf got = BUF_INIT;
        unsigned items = 0;

        assert_int_equal(pipe(ends), 0);
        child = fork();
        if (child == 0) {
            struct rollout *rollout = rollout_open(path, NULL);

            for (int i = 0;; i++) {
                add_item(rollout, i);
                if (rollout_flush(rollout, NULL) < 0 || write(ends[1], &i, sizeof(i)) < 0)
                    _exit(1);
            }
        }
        close(ends[1]);
        for (int i = 0; i < 20; i++)
            assert_int_equal(read(ends[0], &told, sizeof(told)), sizeof(told));
        kill(child, SIGKILL);
        expected += 20;
        while (read(ends[0], &told, sizeof(told)) == sizeof(told))
            expected++;
        close(ends[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(rollout_read(path, collect_item, &got, NULL), 0);
        for (size_t i = 0; i < got.len; i++)
            items += got.data[i] == ' ';
        assert_true((int)items == expected || (int)items == expected + 1);
        expected = (int)items;
        buf_free(&got);
    }
    free(path);
}

static void rollout_loses_nothing_when_the_disk_is_full(void **state)
{
    char *path = path_join(folder, "full.jsonl");
    struct rollout *rollout = rollout_open(path, NULL);
    struct rlimit before;
    struct rlimit tight;
    struct error err = {0};
    struct buf got = BUF_INIT;

    (void)state;
    add_item(rollout, 1);
    assert_int_equal(rollout_flush(rollout, NULL), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 100; /* in the midst of the next line */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    add_item(rollout, 2);
    assert_int_equal(rollout_flush(rollout, &err), -1);
    assert_non_null(strstr(err.text, "full.jsonl: File too large"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    add_item(rollout, 3);
    assert_int_equal(rollout_flush(rollout, NULL), 0);
    assert_int_equal(rollout_read(path, collect_item, &got, NULL), 0);
    assert_string_equal(buf_cstr(&got), "item:1 item:2 item:3 ");
    rollout_close(rollout);
    buf_free(&got);
    free(path);
}

/* --- History --- */

static bool collect_history(void *data, const char *session_id, int64_t ts_s, const char *text)
{
    assert_true(ts_s > 0);
    buf_printf(data, "%s/%s ", session_id, text);
    return true;
}

static void expect_history(const struct history_options *options, unsigned limit, const char *expected)
{
    struct buf got = BUF_INIT;

    assert_int_equal(history_each(options, limit, collect_history, &got, NULL), 0);
    assert_string_equal(buf_cstr(&got), expected);
    buf_free(&got);
}

static void history_keeps_the_newest_within_its_bound(void **state)
{
    char *path = path_join(folder, "codex/history.jsonl");
    struct history_options options = {.path = path};
    struct buf file = BUF_INIT;

    (void)state;
    expect_history(&options, 10, "");
    assert_int_equal(history_add(&options, "s1", "one", NULL), 0);
    assert_int_equal(history_add(&options, "s1", "two\n\"lines\"", NULL), 0);
    assert_int_equal(history_add(&options, "s2", "three", NULL), 0);
    expect_history(&options, 10, "s1/one s1/two\n\"lines\" s2/three ");
    expect_history(&options, 1, "s2/three ");
    expect_history(&options, 0, "");

    options.persistence = HISTORY_NONE;
    assert_int_equal(history_add(&options, "s2", "secret", NULL), 0);
    options.persistence = HISTORY_SAVE_ALL;
    expect_history(&options, 1, "s2/three ");

    options.max_bytes = 120;
    assert_int_equal(history_add(&options, "s3", "four", NULL), 0);
    assert_int_equal(file_read(path, &file, 1 << 20, NULL), 0);
    assert_true(file.len <= 120);
    expect_history(&options, 10, "s2/three s3/four ");
    options.max_bytes = 1; /* the newest stays even so */
    assert_int_equal(history_add(&options, "s3", "five", NULL), 0);
    expect_history(&options, 10, "s3/five ");
    buf_free(&file);
    free(path);
}

static void history_takes_entries_of_many_processes(void **state)
{
    char *path = path_join(folder, "history.jsonl");
    const struct history_options options = {.path = path, .max_bytes = 100000};
    struct buf got = BUF_INIT;
    unsigned entries = 0;

    (void)state;
    for (int i = 0; i < 8; i++) {
        if (fork() == 0) {
            for (int k = 0; k < 10; k++) {
                if (history_add(&options, "s", "x", NULL) < 0)
                    _exit(1);
            }
            _exit(0);
        }
    }
    for (int i = 0; i < 8; i++) {
        int status = 1;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(history_each(&options, 1000, collect_history, &got, NULL), 0);
    for (size_t i = 0; i < got.len; i++)
        entries += got.data[i] == '/';
    assert_int_equal(entries, 80);
    buf_free(&got);
    free(path);
}

/* --- The ledger --- */

static bool collect_entry(void *data, const struct ledger_entry *entry)
{
    buf_printf(data, "%s=%s@%s ", ledger_kind_name(entry->kind), entry->name, entry->run);
    return true;
}

static void expect_ledger(struct ledger *ledger, const char *run, const char *expected)
{
    struct buf got = BUF_INIT;

    assert_int_equal(ledger_each(ledger, run, collect_entry, &got, NULL), 0);
    assert_string_equal(buf_cstr(&got), expected);
    buf_free(&got);
}

static void ledger_lists_what_was_not_removed(void **state)
{
    char *path = path_join(folder, "cadre/ledger.db");
    struct ledger *ledger = ledger_open(path, NULL);
    struct ledger *second = ledger_open(path, NULL);

    (void)state;
    assert_int_equal(ledger_add(ledger, LEDGER_WORKTREE, "/w/1", "r1", "/repo", NULL), 0);
    assert_int_equal(ledger_add(ledger, LEDGER_BRANCH, "cadre/r1", "r1", "/repo", NULL), 0);
    assert_int_equal(ledger_add(second, LEDGER_BRANCH, "cadre/r1", "r2", "/other", NULL), 0);
    assert_int_equal(ledger_add(second, LEDGER_DIRECTORY, "/tmp/x", NULL, NULL, NULL), 0);
    assert_int_equal(ledger_add(ledger, LEDGER_WORKTREE, "/w/1", "r1", "/repo", NULL), 0); /* again */
    expect_ledger(second, NULL, "worktree=/w/1@r1 branch=cadre/r1@r1 branch=cadre/r1@r2 directory=/tmp/x@ ");
    expect_ledger(second, "r1", "worktree=/w/1@r1 branch=cadre/r1@r1 ");
    assert_int_equal(ledger_remove(ledger, LEDGER_BRANCH, "cadre/r1", "/repo", NULL), 0);
    expect_ledger(ledger, "r1", "worktree=/w/1@r1 ");
    expect_ledger(ledger, "r2", "branch=cadre/r1@r2 ");
    ledger_close(ledger);
    ledger_close(second);
    free(path);
}

static bool copy_entry(void *data, const struct ledger_entry *entry)
{
    struct ledger_entry *copy = data;

    *copy = *entry;
    copy->name = xstrdup(entry->name);
    copy->run = copy->repo = NULL;
    return false;
}

static void ledger_tells_a_process_from_a_later_one_of_its_number(void **state)
{
    char *path = path_join(folder, "ledger.db");
    struct ledger *ledger = ledger_open(path, NULL);
    struct ledger_entry entry = {0};
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(ledger_add_process(ledger, child, "r1", NULL), 0);
    assert_int_equal(ledger_each(ledger, NULL, copy_entry, &entry, NULL), 0);
    assert_int_equal(atoi(entry.name), child);
    assert_true(ledger_process_is_alive(&entry));
    entry.start_time++; /* as if that one had gone and the number were another's */
    assert_false(ledger_process_is_alive(&entry));
    entry.start_time--;
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(ledger_process_is_alive(&entry));
    assert_int_equal(ledger_remove_process(ledger, child, NULL), 0);
    expect_ledger(ledger, NULL, "");
    free((char *)(uintptr_t)entry.name);
    ledger_close(ledger);
    free(path);
}

/* --- Folders of runs --- */

static void make_run(const char *id)
{
    const struct journal_run run = {.id = (char *)(uintptr_t)id,
                                    .goal = (char[]){"g"},
                                    .repo = (char[]){"/r"},
                                    .base_commit = (char[]){"c"}};
    char *path = run_dir_journal(id);

    assert_int_equal(run_dir_create(id, NULL), 0);
    journal_close(journal_create(path, &run, NULL));
    free(path);
}

static void expect_found(const char *name, const char *expected)
{
    char *id = run_dir_find(name, NULL);

    assert_string_equal(id, expected);
    free(id);
}

static void run_dir_lists_and_finds_runs(void **state)
{
    struct str_list ids = {0};
    struct error err = {0};
    char *path;

    (void)state;
    assert_null(run_dir_find(NULL, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    make_run("20261123-160203-zzzz");
    make_run("20261124-000000-bbbb");
    make_run("20261124-000000-aaaa");                                  /* of the same second, later */
    assert_int_equal(run_dir_create("20261125-000000-nnnn", NULL), 0); /* without a journal */

    assert_int_equal(run_dir_list(&ids, NULL), 0);
    assert_int_equal(ids.len, 3);
    assert_string_equal(ids.items[0], "20261123-160203-zzzz");
    str_list_finish(&ids);
    expect_found(NULL, "20261124-000000-aaaa");
    expect_found("20261123", "20261123-160203-zzzz");
    expect_found("20261124-000000-b", "20261124-000000-bbbb");
    assert_null(run_dir_find("20261124", &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_null(run_dir_find("../../etc", &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);

    path = run_dir_worktrees("20261123-160203-zzzz");
    assert_true(file_is_directory(path));
    assert_non_null(strstr(path, "/cadre/runs/20261123-160203-zzzz/worktrees"));
    free(path);
}

static void run_ids_are_valid_and_sort_by_time(void **state)
{
    char one[RUN_ID_BYTES];
    char two[RUN_ID_BYTES];

    (void)state;
    run_id_make(one);
    run_id_make(two);
    assert_true(run_id_is_valid(one));
    assert_string_not_equal(one, two);
    assert_true(strncmp(one, two, 15) <= 0);
    assert_false(run_id_is_valid("20261123-160203-ab/d"));
    assert_false(run_id_is_valid("../../../../../../ab"));
    assert_false(run_id_is_valid(""));
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(rollout_grows_over_sessions_and_drops_a_torn_line),
        STORE_TEST(rollout_read_names_a_bad_line),
        STORE_TEST(rollout_loses_nothing_when_the_disk_is_full),
        STORE_TEST(rollout_survives_kill_between_writes),
        STORE_TEST(history_keeps_the_newest_within_its_bound),
        STORE_TEST(history_takes_entries_of_many_processes),
        STORE_TEST(ledger_lists_what_was_not_removed),
        STORE_TEST(ledger_tells_a_process_from_a_later_one_of_its_number),
        STORE_TEST(run_dir_lists_and_finds_runs),
        STORE_TEST(run_ids_are_valid_and_sort_by_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
