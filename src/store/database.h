/* store/database.h: what all our SQLite files share: how they are opened, versioned and asked. Only for
 * store/. One connection a process; never across a fork. */
#ifndef CADRE_STORE_DATABASE_H
#define CADRE_STORE_DATABASE_H

#include "base/error.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum database_mode {
    DATABASE_CREATE, /* made when missing */
    DATABASE_EXISTING,
    DATABASE_READONLY,
};

/* Opens PATH in WAL mode with full sync, a busy timeout and foreign keys, and brings its schema to
 * VERSION: MIGRATIONS[i] leads from version i to i + 1. A newer schema is refused (ERROR_CONFIG). */
sqlite3 *database_open(const char *path, enum database_mode mode, const char *const *migrations, int version,
                       struct error *err);
void database_close(sqlite3 *db); /* NULL is fine */

/* Runs SQL without results. */
int database_run(sqlite3 *db, const char *sql, struct error *err);

/* Prepares SQL and binds values by FORMAT: 's' a const char * (NULL is null; must live until the statement
 * is finalized), 'i' an int64_t. NULL with ERR set on failure; caller sqlite3_finalize()s. */
sqlite3_stmt *database_ask(sqlite3 *db, struct error *err, const char *sql, const char *format, ...);

/* Steps once: 1 with a row, 0 at the end, -1 on failure. */
int database_step(sqlite3_stmt *statement, struct error *err);

/* Binds as database_ask() and runs to the end. */
int database_change(sqlite3 *db, struct error *err, const char *sql, const char *format, ...);

/* Text of a column, "" for null; valid until the next step. */
const char *database_text(sqlite3_stmt *statement, int column);

#endif
