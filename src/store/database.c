/* store/database.c: opening, migrating and asking SQLite files. */
#include "store/database.h"

#include <stdarg.h>
#include <stdio.h>

#define BUSY_TIMEOUT_MS 5000

static int fail(sqlite3 *db, struct error *err)
{
    const char *path = db ? sqlite3_db_filename(db, "main") : NULL;

    return error_set(err, ERROR_IO, "%s: %s", path && path[0] ? path : "database",
                     db ? sqlite3_errmsg(db) : "out of memory");
}

int database_run(sqlite3 *db, const char *sql, struct error *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(db, err);
}

static sqlite3_stmt *prepare(sqlite3 *db, struct error *err, const char *sql, const char *format, va_list ap)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail(db, err);
        return NULL;
    }
    for (int i = 0; format[i] != '\0'; i++) {
        if (format[i] == 's')
            sqlite3_bind_text(statement, i + 1, va_arg(ap, const char *), -1, SQLITE_STATIC);
        else
            sqlite3_bind_int64(statement, i + 1, va_arg(ap, int64_t));
    }
    return statement;
}

sqlite3_stmt *database_ask(sqlite3 *db, struct error *err, const char *sql, const char *format, ...)
{
    sqlite3_stmt *statement;
    va_list ap;

    va_start(ap, format);
    statement = prepare(db, err, sql, format, ap);
    va_end(ap);
    return statement;
}

int database_step(sqlite3_stmt *statement, struct error *err)
{
    switch (sqlite3_step(statement)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        return fail(sqlite3_db_handle(statement), err);
    }
}

int database_change(sqlite3 *db, struct error *err, const char *sql, const char *format, ...)
{
    sqlite3_stmt *statement;
    va_list ap;
    int rc;

    va_start(ap, format);
    statement = prepare(db, err, sql, format, ap);
    va_end(ap);
    if (statement == NULL)
        return -1;
    rc = database_step(statement, err);
    sqlite3_finalize(statement);
    return rc < 0 ? -1 : 0;
}

const char *database_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    return text ? text : "";
}

static int read_version(sqlite3 *db, int *version, struct error *err)
{
    sqlite3_stmt *statement = database_ask(db, err, "PRAGMA user_version", "");
    int rc;

    if (statement == NULL)
        return -1;
    rc = database_step(statement, err);
    *version = rc == 1 ? sqlite3_column_int(statement, 0) : 0;
    sqlite3_finalize(statement);
    return rc < 0 ? -1 : 0;
}

static int check_version(const char *path, int found, int known, struct error *err)
{
    if (found < 0)
        return error_set(err, ERROR_CONFIG, "%s: its format is %d, which no version of cadre writes; move the file away", path, found);
    if (found <= known)
        return 0;
    error_set(err, ERROR_CONFIG,
              "%s: written by a newer version of cadre (its format is %d, this one knows %d)", path, found,
              known);
    return error_hint(err, "use that version, or a newer one");
}

/* All in one transaction: a kill in the midst leaves the old version. */
static int migrate(sqlite3 *db, const char *path, const char *const *migrations, int version,
                   struct error *err)
{
    char set_version[64];
    int found = 0;

    /* Look again inside of the transaction: another process may be at it, too. */
    if (database_run(db, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    if (read_version(db, &found, err) < 0 || check_version(path, found, version, err) < 0)
        goto fail;
    for (; found < version; found++) {
        if (database_run(db, migrations[found], err) < 0)
            goto fail;
    }
    snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %d", version);
    if (database_run(db, set_version, err) < 0 || database_run(db, "COMMIT", err) < 0)
        goto fail;
    return 0;
fail:
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

sqlite3 *database_open(const char *path, enum database_mode mode, const char *const *migrations, int version,
                       struct error *err)
{
    int flags = mode == DATABASE_READONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    sqlite3 *db = NULL;
    int found = 0;

    if (mode == DATABASE_CREATE)
        flags |= SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL) !=
        SQLITE_OK) {
        error_set(err, sqlite3_errcode(db) == SQLITE_CANTOPEN ? ERROR_NOT_FOUND : ERROR_IO, "%s: %s", path,
                  db ? sqlite3_errmsg(db) : "out of memory");
        goto fail;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    /* The first real access: here a file that is no database shows itself. */
    if (read_version(db, &found, err) < 0 || check_version(path, found, version, err) < 0)
        goto fail;
    if (mode == DATABASE_READONLY)
        return db;
    if (database_run(db,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                     "PRAGMA trusted_schema = OFF",
                     err) < 0)
        goto fail;
    if (found < version && migrate(db, path, migrations, version, err) < 0)
        goto fail;
    return db;
fail:
    sqlite3_close(db);
    return NULL;
}

void database_close(sqlite3 *db)
{
    sqlite3_close(db);
}
