/* store/ledger.c: the ledger in SQLite, shared by all processes of a user.
 *
 * Processes are listed with a cheaper sync: they do not survive what would lose the entry (a power cut). */
#include "store/ledger.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "base/vec.h"
#include "store/database.h"

#include <inttypes.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const migrations[] = {
    "CREATE TABLE thing (place INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, repo TEXT NOT "
    "NULL,"
    " run TEXT NOT NULL, start_time INTEGER NOT NULL, created_ms INTEGER NOT NULL, UNIQUE (kind, name, "
    "repo));",
};
#define SCHEMA_VERSION ((int)(sizeof(migrations) / sizeof(migrations[0])))

static const char *const kind_names[] = {
    [LEDGER_WORKTREE] = "worktree", [LEDGER_BRANCH] = "branch",       [LEDGER_REF] = "ref",
    [LEDGER_PROCESS] = "process",   [LEDGER_DIRECTORY] = "directory",
};
#define KIND_COUNT (sizeof(kind_names) / sizeof(kind_names[0]))

struct ledger {
    sqlite3 *db;
};

const char *ledger_kind_name(enum ledger_kind kind)
{
    return kind_names[kind];
}

struct ledger *ledger_open(const char *path, struct error *err)
{
    char *folder = path_dirname(path);
    struct ledger *ledger = NULL;
    sqlite3 *db = NULL;

    if (file_make_directories(folder, 0700, err) == 0)
        db = database_open(path, DATABASE_CREATE, migrations, SCHEMA_VERSION, err);
    if (db != NULL) {
        ledger = xcalloc(1, sizeof(*ledger));
        ledger->db = db;
    }
    free(folder);
    return ledger;
}

void ledger_close(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    database_close(ledger->db);
    free(ledger);
}

static int set_sync(struct ledger *ledger, enum ledger_kind kind, struct error *err)
{
    return database_run(ledger->db,
                        kind == LEDGER_PROCESS ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL",
                        err);
}

static int add(struct ledger *ledger, enum ledger_kind kind, const char *name, const char *run,
               const char *repo, uint64_t start_time, struct error *err)
{
    return database_change(ledger->db, err,
                           "INSERT INTO thing (kind, name, repo, run, start_time, created_ms)"
                           " VALUES (?, ?, ?, ?, ?, ?)"
                           " ON CONFLICT (kind, name, repo) DO UPDATE SET run = excluded.run,"
                           " start_time = excluded.start_time, created_ms = excluded.created_ms",
                           "ssssii", kind_names[kind], name, repo ? repo : "", run ? run : "",
                           (int64_t)start_time, clock_wall_ms());
}

int ledger_add(struct ledger *ledger, enum ledger_kind kind, const char *name, const char *run,
               const char *repo, struct error *err)
{
    return set_sync(ledger, kind, err) < 0 ? -1 : add(ledger, kind, name, run, repo, 0, err);
}

int ledger_add_process(struct ledger *ledger, pid_t pid, const char *run, struct error *err)
{
    char name[32];

    snprintf(name, sizeof(name), "%d", (int)pid);
    return set_sync(ledger, LEDGER_PROCESS, err) < 0 ? -1 : add(ledger, LEDGER_PROCESS, name, run, NULL, ledger_process_start_time(pid), err);
}

int ledger_remove(struct ledger *ledger, enum ledger_kind kind, const char *name, const char *repo,
                  struct error *err)
{
    if (set_sync(ledger, kind, err) < 0)
        return -1;
    return database_change(ledger->db, err, "DELETE FROM thing WHERE kind = ? AND name = ? AND repo = ?",
                           "sss", kind_names[kind], name, repo ? repo : "");
}

int ledger_remove_process(struct ledger *ledger, pid_t pid, struct error *err)
{
    char name[32];

    snprintf(name, sizeof(name), "%d", (int)pid);
    return ledger_remove(ledger, LEDGER_PROCESS, name, NULL, err);
}

char *ledger_default_path(void)
{
    char *home = path_state_home();
    char *path = path_join(home, "ledger.db");

    free(home);
    return path;
}

int ledger_note_run(const char *run, const char *repo, const char *folder, bool with_branch, struct error *err)
{
    char *path = ledger_default_path(), *refs = xasprintf("refs/cadre/%s/", run), *branch = xasprintf("cadre/%s", run);
    struct ledger *ledger = ledger_open(path, err);
    int rc = ledger == NULL ? -1 : database_run(ledger->db, "BEGIN IMMEDIATE", err);

    if (rc == 0)
        rc = add(ledger, LEDGER_DIRECTORY, folder, run, repo, 0, err);
    if (rc == 0)
        rc = add(ledger, LEDGER_REF, refs, run, repo, 0, err);
    if (rc == 0 && with_branch)
        rc = add(ledger, LEDGER_BRANCH, branch, run, repo, 0, err);
    if (rc == 0)
        rc = database_run(ledger->db, "COMMIT", err);
    ledger_close(ledger);
    free(path);
    free(refs);
    free(branch);
    return rc;
}

int ledger_forget_run(struct ledger *ledger, const char *run, struct error *err)
{
    return database_change(ledger->db, err, "DELETE FROM thing WHERE run = ?", "s", run);
}

struct found {
    struct ledger_entry entry;
    char *name;
    char *run;
    char *repo;
};

/* False for a kind that only a newer version knows: left alone. */
static bool take_row(sqlite3_stmt *row, struct found *found)
{
    const char *kind = database_text(row, 0);
    size_t i = 0;

    while (i < KIND_COUNT && !str_eq(kind, kind_names[i]))
        i++;
    if (i == KIND_COUNT)
        return false;
    found->name = xstrdup(database_text(row, 1));
    found->repo = xstrdup(database_text(row, 2));
    found->run = xstrdup(database_text(row, 3));
    found->entry = (struct ledger_entry){
        .kind = (enum ledger_kind)i,
        .name = found->name,
        .run = found->run,
        .repo = found->repo,
        .start_time = (uint64_t)sqlite3_column_int64(row, 4),
        .created_ms = sqlite3_column_int64(row, 5),
    };
    return true;
}

int ledger_each(struct ledger *ledger, const char *run,
                bool (*cb)(void *data, const struct ledger_entry *entry), void *data, struct error *err)
{
    sqlite3_stmt *row = database_ask(ledger->db, err,
                                     "SELECT kind, name, repo, run, start_time, created_ms FROM thing"
                                     " WHERE ?1 IS NULL OR run = ?1 ORDER BY place",
                                     "s", run);
    struct vec all = {0};
    bool goes_on = true;
    int rc;

    if (row == NULL)
        return -1;
    while ((rc = database_step(row, err)) == 1) {
        struct found *found = xcalloc(1, sizeof(*found));

        if (take_row(row, found))
            vec_push(&all, found);
        else
            free(found);
    }
    sqlite3_finalize(row);
    for (size_t i = 0; i < all.len; i++) {
        struct found *found = all.items[i];

        if (rc == 0 && goes_on)
            goes_on = cb(data, &found->entry);
        free(found->name);
        free(found->run);
        free(found->repo);
        free(found);
    }
    vec_finish(&all);
    return rc;
}

uint64_t ledger_process_start_time(pid_t pid)
{
    char path[64];
    char text[1024];
    const char *at;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    /* The name, field 2, is in parentheses and may hold anything: count from behind it. */
    at = strrchr(text, ')');
    for (int field = 3; at != NULL && field <= 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

bool ledger_process_is_alive(const struct ledger_entry *entry)
{
    int64_t pid = 0;

    if (entry->kind != LEDGER_PROCESS || entry->start_time == 0 ||
        !str_to_int64(entry->name, 1, INT32_MAX, &pid))
        return false;
    return ledger_process_start_time((pid_t)pid) == entry->start_time;
}
