/* State of another version: an older one is brought up to date in one step or not at all, a newer one is refused. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "store/database.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const steps[] = {
    "CREATE TABLE thing (name TEXT NOT NULL);",
    "ALTER TABLE thing ADD COLUMN size INTEGER NOT NULL DEFAULT 7;",
    "CREATE TABLE other (x INTEGER); INSERT INTO other SELECT size FROM thing;",
};
static const char *const bad_steps[] = {
    "CREATE TABLE thing (name TEXT NOT NULL);",
    "ALTER TABLE thing ADD COLUMN size INTEGER NOT NULL DEFAULT 7;",
    "INSERT INTO nowhere VALUES (1);",
};

static int set_up(void **state)
{
    *state = file_make_temporary_directory("cadre-database", NULL);
    return *state == NULL;
}

static int tear_down(void **state)
{
    (void)file_remove_tree(*state, NULL);
    free(*state);
    return 0;
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *row = database_ask(db, NULL, sql, "");
    int64_t value = row != NULL && database_step(row, NULL) == 1 ? sqlite3_column_int64(row, 0) : -1;

    sqlite3_finalize(row);
    return value;
}

/* A file of version 1 with one row. */
static char *make_old(const char *dir)
{
    char *path = path_join(dir, "state.db");
    struct error err = {0};
    sqlite3 *db = database_open(path, DATABASE_CREATE, steps, 1, &err);

    assert_non_null(db);
    assert_int_equal(database_change(db, &err, "INSERT INTO thing VALUES (?)", "s", "kept"), 0);
    assert_int_equal(number(db, "PRAGMA user_version"), 1);
    assert_int_equal(database_run(db, "PRAGMA wal_checkpoint(TRUNCATE)", &err), 0);
    database_close(db);
    return path;
}

static void an_older_version_is_brought_up_to_date(void **state)
{
    char *path = make_old(*state);
    struct error err = {0};
    sqlite3 *db = database_open(path, DATABASE_EXISTING, steps, 3, &err);

    assert_non_null(db);
    assert_int_equal(number(db, "PRAGMA user_version"), 3);
    assert_int_equal(number(db, "SELECT size FROM thing WHERE name = 'kept'"), 7);
    assert_int_equal(number(db, "SELECT x FROM other"), 7);
    database_close(db);
    db = database_open(path, DATABASE_EXISTING, steps, 3, &err); /* once */
    assert_int_equal(number(db, "SELECT count(*) FROM other"), 1);
    database_close(db);
    free(path);
}

static void a_step_that_fails_leaves_the_old_version(void **state)
{
    char *path = make_old(*state);
    struct error err = {0};
    sqlite3 *db = database_open(path, DATABASE_EXISTING, bad_steps, 3, &err);

    assert_null(db);
    assert_non_null(strstr(err.text, path));
    db = database_open(path, DATABASE_EXISTING, steps, 1, &err);
    assert_non_null(db);
    assert_int_equal(number(db, "PRAGMA user_version"), 1);
    assert_int_equal(number(db, "SELECT size FROM thing"), -1); /* the column of the step before it is not there either */
    assert_int_equal(number(db, "SELECT count(*) FROM thing"), 1);
    database_close(db);
    free(path);
}

static void a_newer_version_is_refused_and_not_touched(void **state)
{
    char *path = make_old(*state);
    struct error err = {0};
    struct buf before = BUF_INIT, after = BUF_INIT;
    sqlite3 *db = database_open(path, DATABASE_EXISTING, steps, 3, &err);

    assert_int_equal(database_run(db, "PRAGMA wal_checkpoint(TRUNCATE)", &err), 0);
    database_close(db);
    assert_int_equal(file_read(path, &before, 1 << 20, &err), 0);
    assert_null(database_open(path, DATABASE_EXISTING, steps, 2, &err));
    assert_non_null(strstr(err.text, "written by a newer version of cadre (its format is 3, this one knows 2)"));
    assert_int_equal(err.code, ERROR_CONFIG);
    error_clear(&err);
    assert_null(database_open(path, DATABASE_READONLY, steps, 2, &err));
    assert_int_equal(file_read(path, &after, 1 << 20, &err), 0);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buf_free(&before);
    buf_free(&after);
    free(path);
}

static void what_is_no_database_is_refused_and_not_touched(void **state)
{
    static const char garbage[] = "this is a text that somebody put there, longer than the header of a database so that it is looked at";
    char *path = path_join(*state, "state.db");
    struct error err = {0};
    struct buf after = BUF_INIT;

    assert_int_equal(file_write(path, garbage, strlen(garbage), 0600, &err), 0);
    assert_null(database_open(path, DATABASE_EXISTING, steps, 3, &err));
    assert_non_null(strstr(err.text, path));
    assert_int_equal(file_read(path, &after, 4096, &err), 0);
    assert_string_equal(buf_cstr(&after), garbage);
    buf_free(&after);
    free(path);
}

/* Tables of ours, but a version number that says there are none. */
static void a_version_that_contradicts_the_tables_is_refused(void **state)
{
    char *path = make_old(*state);
    struct error err = {0};
    sqlite3 *db = database_open(path, DATABASE_EXISTING, steps, 1, &err);

    assert_int_equal(database_run(db, "PRAGMA user_version = 0", &err), 0);
    database_close(db);
    assert_null(database_open(path, DATABASE_EXISTING, steps, 3, &err));
    assert_non_null(strstr(err.text, path));
    error_clear(&err);
    db = database_open(path, DATABASE_EXISTING, steps, 0, &err);
    assert_int_equal(database_run(db, "PRAGMA user_version = -2147483648", &err), 0);
    database_close(db);
    assert_null(database_open(path, DATABASE_EXISTING, steps, 3, &err));
    assert_non_null(strstr(err.text, "which no version of cadre writes"));
    free(path);
}

int main(void)
{
#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(an_older_version_is_brought_up_to_date),
        IN_FOLDER(a_step_that_fails_leaves_the_old_version),
        IN_FOLDER(a_newer_version_is_refused_and_not_touched),
        IN_FOLDER(what_is_no_database_is_refused_and_not_touched),
        IN_FOLDER(a_version_that_contradicts_the_tables_is_refused),
    };

    return cmocka_run_group_tests_name("store/database", tests, NULL, NULL);
}
