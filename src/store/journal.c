/* store/journal.c: the journal of one run in SQLite.
 *
 * Owns the connection and the lock file `<journal>.lock`. Schema changes are appended to MIGRATIONS and never
 * changed once released. */
#include "store/journal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/loop.h"
#include "store/database.h"
#include "store/file_lock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const migrations[] = {
    "CREATE TABLE run (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, goal TEXT NOT NULL,"
    " repo TEXT NOT NULL, base_commit TEXT NOT NULL, target_branch TEXT, state TEXT NOT NULL,"
    " config TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);"
    "CREATE TABLE event (seq INTEGER PRIMARY KEY, ts_ms INTEGER NOT NULL, type TEXT NOT NULL,"
    " json TEXT NOT NULL);"
    "CREATE TABLE record (place INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT "
    "NULL,"
    " updated_ms INTEGER NOT NULL, UNIQUE (kind, key));",
};
#define SCHEMA_VERSION ((int)(sizeof(migrations) / sizeof(migrations[0])))

#define LATER_MS  200
#define LATER_MAX 1000 /* events; then they are written at once */

struct later_event {
    int64_t ts_ms;
    char *type;
    char *json;
};

struct journal {
    sqlite3 *db;
    struct vec later; /* of struct later_event */
    struct loop *loop;
    struct timer *later_timer;
    int lock_fd; /* -1 when read-only */
    unsigned depth;
    bool is_readonly;
};

/* --- Kill points of tests: before and after each commit --- */

/* A single change outside of a transaction is a commit. */
static void change_begins(const struct journal *journal)
{
    if (journal->depth == 0)
        kill_point_pass(KILL_POINT_JOURNAL_BEFORE);
}

static int changed(const struct journal *journal, int rc)
{
    if (rc == 0 && journal->depth == 0)
        kill_point_pass(KILL_POINT_JOURNAL_AFTER);
    return rc;
}

/* After some errors (a full disk) SQLite rolls the whole transaction back by itself. What its owner still adds
 * to it must not be committed alone. */
static int check_transaction(struct journal *journal, struct error *err)
{
    if (journal->depth > 0 && sqlite3_get_autocommit(journal->db))
        return error_set(err, ERROR_IO, "%s: the transaction was rolled back after an error",
                         sqlite3_db_filename(journal->db, "main"));
    return 0;
}

static void free_later(struct later_event *event)
{
    free(event->type);
    free(event->json);
    free(event);
}

/* --- Opening --- */

static char *lock_path(const char *path)
{
    return xasprintf("%s.lock", path);
}

static struct journal *open_locked(const char *path, enum database_mode mode, struct error *err)
{
    struct journal *journal = xcalloc(1, sizeof(*journal));
    char *lock = lock_path(path);

    journal->lock_fd = file_lock_take(lock, err);
    free(lock);
    if (journal->lock_fd < 0) {
        free(journal);
        return NULL;
    }
    journal->db = database_open(path, mode, migrations, SCHEMA_VERSION, err);
    if (journal->db == NULL) {
        close(journal->lock_fd);
        free(journal);
        return NULL;
    }
    return journal;
}

static int insert_run(struct journal *journal, const struct journal_run *run, struct error *err)
{
    int64_t now_ms = clock_wall_ms();
    int64_t created_ms = run->created_ms ? run->created_ms : now_ms;
    char *goal = redact_copy(run->goal);
    int rc;

    change_begins(journal);
    rc = changed(journal,
                     database_change(journal->db, err, "INSERT INTO run VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                     "sssssssii", run->id, goal, run->repo, run->base_commit, run->target_branch,
                                     run->state ? run->state : "running", run->config ? run->config : "{}", created_ms,
                                     now_ms));

    free(goal);
    return rc;
}

struct journal *journal_create(const char *path, const struct journal_run *run, struct error *err)
{
    struct journal *journal;

    if (file_exists(path)) {
        error_set(err, ERROR_IO, "%s: there is a journal already", path);
        return NULL;
    }
    journal = open_locked(path, DATABASE_CREATE, err);
    if (journal != NULL && insert_run(journal, run, err) < 0) {
        journal_close(journal);
        return NULL;
    }
    return journal;
}

static bool is_missing(const char *path, struct error *err)
{
    if (file_is_regular(path))
        return false;
    error_set(err, ERROR_NOT_FOUND, "%s: no such journal", path);
    return true;
}

struct journal *journal_open(const char *path, struct error *err)
{
    return is_missing(path, err) ? NULL : open_locked(path, DATABASE_EXISTING, err);
}

struct journal *journal_open_readonly(const char *path, struct error *err)
{
    struct journal *journal;
    sqlite3 *db;

    if (is_missing(path, err))
        return NULL;
    db = database_open(path, DATABASE_READONLY, migrations, SCHEMA_VERSION, err);
    if (db == NULL)
        return NULL;
    journal = xcalloc(1, sizeof(*journal));
    journal->db = db;
    journal->lock_fd = -1;
    journal->is_readonly = true;
    return journal;
}

static int write_later(struct journal *journal, struct error *err);

void journal_close(struct journal *journal)
{
    struct error err = {0};

    if (journal == NULL)
        return;
    while (journal->depth > 0)
        journal_rollback(journal);
    if (write_later(journal, &err) < 0)
        log_error("%s: %zu events are lost", err.text, journal->later.len);
    while (journal->later.len > 0)
        free_later(vec_pop(&journal->later));
    vec_finish(&journal->later);
    timer_cancel(journal->later_timer);
    database_close(journal->db);
    if (journal->lock_fd >= 0)
        close(journal->lock_fd);
    free(journal);
}

bool journal_is_locked(const char *path, int64_t *pid, int64_t *since_ms)
{
    char *lock = lock_path(path);
    struct file_lock_holder holder;
    bool held = file_lock_is_held(lock, &holder);

    free(lock);
    if (pid != NULL)
        *pid = holder.pid;
    if (since_ms != NULL)
        *since_ms = holder.since_ms;
    return held;
}

/* --- Transactions --- */

static int run_savepoint(struct journal *journal, const char *verb, unsigned level, struct error *err)
{
    char sql[64];

    snprintf(sql, sizeof(sql), "%s level%u", verb, level);
    return database_run(journal->db, sql, err);
}

int journal_begin(struct journal *journal, struct error *err)
{
    int rc;

    /* Those that wait come first, and in a transaction of their own: this one may be rolled back. They are
     * written without a sync; it is this one's commit that syncs them, too. */
    if (journal->depth == 0 && write_later(journal, err) < 0)
        return -1;
    if (check_transaction(journal, err) < 0)
        return -1;
    rc = journal->depth == 0 ? database_run(journal->db, "BEGIN IMMEDIATE", err)
                             : run_savepoint(journal, "SAVEPOINT", journal->depth, err);
    if (rc == 0)
        journal->depth++;
    return rc;
}

int journal_commit(struct journal *journal, struct error *err)
{
    assert(journal->depth > 0);
    if (journal->depth > 1) {
        if (run_savepoint(journal, "RELEASE", journal->depth - 1, err) < 0)
            return -1;
        journal->depth--;
        return 0;
    }
    kill_point_pass(KILL_POINT_JOURNAL_BEFORE);
    if (database_run(journal->db, "COMMIT", err) < 0) {
        journal_rollback(journal);
        return -1;
    }
    journal->depth = 0;
    kill_point_pass(KILL_POINT_JOURNAL_AFTER);
    return 0;
}

void journal_rollback(struct journal *journal)
{
    assert(journal->depth > 0);
    journal->depth--;
    if (journal->depth == 0) {
        /* After a full disk SQLite may have rolled back by itself: then this fails, and that is fine. */
        (void)database_run(journal->db, "ROLLBACK", NULL);
        return;
    }
    (void)run_savepoint(journal, "ROLLBACK TO", journal->depth, NULL);
    (void)run_savepoint(journal, "RELEASE", journal->depth, NULL);
}

/* --- The run --- */

void journal_run_finish(struct journal_run *run)
{
    free(run->id);
    free(run->goal);
    free(run->repo);
    free(run->base_commit);
    free(run->target_branch);
    free(run->state);
    free(run->config);
    memset(run, 0, sizeof(*run));
}

int journal_run_get(struct journal *journal, struct journal_run *run, struct error *err)
{
    sqlite3_stmt *row =
        database_ask(journal->db, err,
                     "SELECT id, goal, repo, base_commit, target_branch, state, config, created_ms,"
                     " updated_ms FROM run",
                     "");
    int rc;

    memset(run, 0, sizeof(*run));
    if (row == NULL)
        return -1;
    rc = database_step(row, err);
    if (rc == 1) {
        run->id = xstrdup(database_text(row, 0));
        run->goal = xstrdup(database_text(row, 1));
        run->repo = xstrdup(database_text(row, 2));
        run->base_commit = xstrdup(database_text(row, 3));
        run->target_branch = xstrdup((const char *)sqlite3_column_text(row, 4));
        run->state = xstrdup(database_text(row, 5));
        run->config = xstrdup(database_text(row, 6));
        run->created_ms = sqlite3_column_int64(row, 7);
        run->updated_ms = sqlite3_column_int64(row, 8);
    } else if (rc == 0) {
        /* Killed between making the file and its first commit. */
        rc = error_set(err, ERROR_NOT_FOUND, "the journal holds no run: it was never started");
    }
    sqlite3_finalize(row);
    return rc == 1 ? 0 : -1;
}

int journal_run_set_state(struct journal *journal, const char *state, struct error *err)
{
    if (check_transaction(journal, err) < 0)
        return -1;
    change_begins(journal);
    return changed(journal, database_change(journal->db, err, "UPDATE run SET state = ?, updated_ms = ?",
                                            "si", state, clock_wall_ms()));
}

int journal_run_set_config(struct journal *journal, const char *json, struct error *err)
{
    if (check_transaction(journal, err) < 0)
        return -1;
    change_begins(journal);
    return changed(journal, database_change(journal->db, err, "UPDATE run SET config = ?, updated_ms = ?",
                                            "si", json, clock_wall_ms()));
}

/* --- Records --- */

int journal_put(struct journal *journal, const char *kind, const char *key, const char *json,
                struct error *err)
{
    struct buf clean = BUF_INIT;
    int rc;

    if (check_transaction(journal, err) < 0)
        return -1;
    redact_append_json(&clean, json, strlen(json));
    change_begins(journal);
    rc = changed(journal,
                 database_change(journal->db, err,
                                 "INSERT INTO record (kind, key, json, updated_ms) VALUES (?, ?, ?, ?)"
                                 " ON CONFLICT (kind, key) DO UPDATE SET json = excluded.json,"
                                 " updated_ms = excluded.updated_ms",
                                 "sssi", kind, key, buf_cstr(&clean), clock_wall_ms()));
    buf_free(&clean);
    return rc;
}

char *journal_get(struct journal *journal, const char *kind, const char *key, struct error *err)
{
    sqlite3_stmt *row =
        database_ask(journal->db, err, "SELECT json FROM record WHERE kind = ? AND key = ?", "ss", kind, key);
    char *json = NULL;

    if (row == NULL)
        return NULL;
    if (database_step(row, err) == 1)
        json = xstrdup(database_text(row, 0));
    sqlite3_finalize(row);
    return json;
}

int journal_delete(struct journal *journal, const char *kind, const char *key, struct error *err)
{
    if (check_transaction(journal, err) < 0)
        return -1;
    change_begins(journal);
    return changed(journal, database_change(journal->db, err, "DELETE FROM record WHERE kind = ? AND key = ?",
                                            "ss", kind, key));
}

int journal_each(struct journal *journal, const char *kind,
                 bool (*cb)(void *data, const char *key, const char *json), void *data, struct error *err)
{
    sqlite3_stmt *row = database_ask(journal->db, err,
                                     "SELECT key, json FROM record WHERE kind = ? ORDER BY place", "s", kind);
    struct str_list found = {0};
    int rc;

    if (row == NULL)
        return -1;
    /* Collected first, so that CB may change what is being walked. */
    while ((rc = database_step(row, err)) == 1) {
        str_list_add(&found, database_text(row, 0));
        str_list_add(&found, database_text(row, 1));
    }
    sqlite3_finalize(row);
    for (size_t i = 0; rc == 0 && i + 1 < found.len; i += 2) {
        if (!cb(data, found.items[i], found.items[i + 1]))
            break;
    }
    str_list_finish(&found);
    return rc;
}

/* --- Events --- */

static int insert_event(struct journal *journal, int64_t ts_ms, const char *type, const char *json,
                        struct error *err)
{
    struct buf clean = BUF_INIT;
    int rc;

    if (check_transaction(journal, err) < 0)
        return -1;
    redact_append_json(&clean, json, strlen(json));
    rc = database_change(journal->db, err, "INSERT INTO event (ts_ms, type, json) VALUES (?, ?, ?)", "iss",
                         ts_ms, type, buf_cstr(&clean));
    buf_free(&clean);
    return rc;
}

/* Writes the events that wait. Without a sync: what the process has written survives its kill; only a power
 * cut could take it, and that is what their callers have agreed to. */
static int write_later(struct journal *journal, struct error *err)
{
    int rc = 0;

    if (journal->later.len == 0 || journal->depth > 0)
        return 0;
    if (database_run(journal->db, "PRAGMA synchronous = NORMAL", err) < 0 ||
        database_run(journal->db, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    for (size_t i = 0; i < journal->later.len && rc == 0; i++) {
        const struct later_event *event = journal->later.items[i];

        rc = insert_event(journal, event->ts_ms, event->type, event->json, err);
    }
    if (rc == 0) {
        kill_point_pass(KILL_POINT_JOURNAL_BEFORE);
        rc = database_run(journal->db, "COMMIT", err);
    }
    if (rc < 0)
        (void)database_run(journal->db, "ROLLBACK", NULL);
    if (database_run(journal->db, "PRAGMA synchronous = FULL", rc < 0 ? NULL : err) < 0)
        return -1;
    if (rc < 0)
        return -1;
    while (journal->later.len > 0)
        free_later(vec_pop(&journal->later));
    kill_point_pass(KILL_POINT_JOURNAL_AFTER);
    return 0;
}

static void on_later(void *data)
{
    struct journal *journal = data;
    struct error err = {0};

    journal->later_timer = NULL;
    if (write_later(journal, &err) < 0)
        log_error("%s", err.text);
    if (journal->later.len > 0)
        journal->later_timer = timer_start(journal->loop, LATER_MS, on_later, journal);
}

void journal_event_later(struct journal *journal, const char *type, const char *json)
{
    struct later_event *event;
    struct error err = {0};

    if (journal->depth > 0) {
        if (insert_event(journal, clock_wall_ms(), type, json, &err) < 0)
            log_error("%s", err.text);
        return;
    }
    event = xcalloc(1, sizeof(*event));
    event->ts_ms = clock_wall_ms();
    event->type = xstrdup(type);
    event->json = xstrdup(json);
    vec_push(&journal->later, event);
    if (journal->later.len % LATER_MAX == 0 && write_later(journal, &err) < 0)
        log_error("%s", err.text);
    if (journal->loop != NULL && journal->later_timer == NULL && journal->later.len > 0)
        journal->later_timer = timer_start(journal->loop, LATER_MS, on_later, journal);
}

void journal_set_loop(struct journal *journal, struct loop *loop)
{
    timer_cancel(journal->later_timer);
    journal->later_timer = NULL;
    journal->loop = loop;
}

int64_t journal_event(struct journal *journal, const char *type, const char *json, struct error *err)
{
    if (write_later(journal, err) < 0)
        return -1;
    change_begins(journal);
    if (insert_event(journal, clock_wall_ms(), type, json, err) < 0)
        return -1;
    /* Asked before changed(), which may be the end. */
    int64_t seq = sqlite3_last_insert_rowid(journal->db);

    (void)changed(journal, 0);
    return seq;
}

int journal_events_since(struct journal *journal, int64_t seq,
                         bool (*cb)(void *data, int64_t seq, int64_t ts_ms, const char *type,
                                    const char *json),
                         void *data, struct error *err)
{
    sqlite3_stmt *row;
    int rc;

    if (write_later(journal, err) < 0)
        return -1;
    row = database_ask(journal->db, err,
                       "SELECT seq, ts_ms, type, json FROM event WHERE seq > ? ORDER BY seq", "i", seq);
    if (row == NULL)
        return -1;
    while ((rc = database_step(row, err)) == 1) {
        if (!cb(data, sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1), database_text(row, 2),
                database_text(row, 3))) {
            rc = 0;
            break;
        }
    }
    sqlite3_finalize(row);
    return rc;
}
