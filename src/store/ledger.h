/* store/ledger.h: what this program made outside its own state: worktrees, branches, refs, processes,
 * temporary folders. `<state home>/ledger.db`, shared by all runs.
 *
 * Add before making, remove after unmaking: so whatever kills the program, what is left over is listed, and
 * `cadre clean` finds it. */
#ifndef CADRE_STORE_LEDGER_H
#define CADRE_STORE_LEDGER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ledger;

enum ledger_kind {
    LEDGER_WORKTREE,  /* name: path */
    LEDGER_BRANCH,    /* name: branch, in `repo` */
    LEDGER_REF,       /* name: ref, in `repo` */
    LEDGER_PROCESS,   /* name: pid; `start_time` tells it from a later one of that number */
    LEDGER_DIRECTORY, /* name: path */
};
/* "worktree", "branch", ... */
const char *ledger_kind_name(enum ledger_kind kind);

struct ledger_entry {
    enum ledger_kind kind;
    const char *name;
    const char *run;  /* run id, or "" */
    const char *repo; /* repository, or "" */
    uint64_t start_time;
    int64_t created_ms;
};

struct ledger *ledger_open(const char *path, struct error *err);
void ledger_close(struct ledger *ledger); /* NULL is fine */

/* Adding what is there already is fine. REPO may be NULL. */
int ledger_add(struct ledger *ledger, enum ledger_kind kind, const char *name, const char *run,
               const char *repo, struct error *err);
int ledger_add_process(struct ledger *ledger, pid_t pid, const char *run, struct error *err);
int ledger_remove(struct ledger *ledger, enum ledger_kind kind, const char *name, const char *repo,
                  struct error *err);
int ledger_remove_process(struct ledger *ledger, pid_t pid, struct error *err);

/* "<state home>/ledger.db"; the caller's to free. */
char *ledger_default_path(void);

/* Lists, before it is made, what RUN (a run's or session's id) has in REPO: worktrees below FOLDER, refs below refs/cadre/<RUN>/
 * and, WITH_BRANCH, the branch cadre/<RUN>. */
int ledger_note_run(const char *run, const char *repo, const char *folder, bool with_branch, struct error *err);

/* Takes all entries of RUN out. */
int ledger_forget_run(struct ledger *ledger, const char *run, struct error *err);

/* Entries of RUN (NULL: of all), oldest first. CB returns false to stop; it may add and remove. */
int ledger_each(struct ledger *ledger, const char *run,
                bool (*cb)(void *data, const struct ledger_entry *entry), void *data, struct error *err);

/* Is it the very process that was listed (number and start time)? */
bool ledger_process_is_alive(const struct ledger_entry *entry);

/* Field 22 of /proc/PID/stat, or 0 when there is no such process. */
uint64_t ledger_process_start_time(pid_t pid);

#endif
