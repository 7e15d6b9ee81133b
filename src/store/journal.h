/* store/journal.h: the durable record of one run (SQLite, WAL, full sync), from which it is resumed.
 *
 * Every state change is committed here before it has an effect outside. It holds the run itself, the events
 * that `--json` prints, and keyed records for everything that a resume needs (tasks, attempts, verdicts,
 * batches, CI results, approvals): what their JSON means is the caller's.
 *
 * Secrets are taken out of everything that is written (base/redact.h): a resumed run sees them redacted.
 *
 * Every commit is a kill point of tests, before and after (base/kill_point.h). */
#ifndef CADRE_STORE_JOURNAL_H
#define CADRE_STORE_JOURNAL_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct journal;
struct loop;

struct journal_run {
    char *id;
    char *goal;
    char *repo; /* absolute path of the repository */
    char *base_commit;
    char *target_branch; /* may be NULL */
    char *state;         /* "running", "completed", "failed", "interrupted": the caller's words */
    char *config;        /* JSON */
    int64_t created_ms;
    int64_t updated_ms;
};
void journal_run_finish(struct journal_run *run);

/* Makes the journal at PATH (which must not exist) with its run. Locked by this process. */
struct journal *journal_create(const char *path, const struct journal_run *run, struct error *err);

/* Opens it for work and locks it. Held by another process: ERROR_LIMIT, and the text says who and since
 * when. Written by a newer version: ERROR_CONFIG. An older one is migrated. */
struct journal *journal_open(const char *path, struct error *err);

/* Opens it for looking only (status, logs, report): needs no lock, changes nothing, sees what the process
 * that works on it commits. */
struct journal *journal_open_readonly(const char *path, struct error *err);
void journal_close(struct journal *journal); /* rolls back what is open; NULL is fine */

/* Does a living process hold the journal at PATH? Gives its pid (0 when unknown) and start of the lock. */
bool journal_is_locked(const char *path, int64_t *pid, int64_t *since_ms);

/* A transaction. May be nested: only the outermost commit writes; an inner rollback undoes the inner part
 * (savepoints). Single changes outside of one are a transaction of their own. */
int journal_begin(struct journal *journal, struct error *err);
int journal_commit(struct journal *journal, struct error *err);
void journal_rollback(struct journal *journal);

int journal_run_get(struct journal *journal, struct journal_run *run, struct error *err);
int journal_run_set_state(struct journal *journal, const char *state, struct error *err);
int journal_run_set_config(struct journal *journal, const char *json, struct error *err);

/* Records: (kind, key) -> JSON text. Put replaces. */
int journal_put(struct journal *journal, const char *kind, const char *key, const char *json,
                struct error *err);
/* The text (caller frees); NULL without ERR set when there is none. */
char *journal_get(struct journal *journal, const char *kind, const char *key, struct error *err);
int journal_delete(struct journal *journal, const char *kind, const char *key, struct error *err);
/* All of KIND as they are now, in order of first put. CB returns false to stop; it may change the journal. */
int journal_each(struct journal *journal, const char *kind,
                 bool (*cb)(void *data, const char *key, const char *json), void *data, struct error *err);

/* Appends an event; its number (from 1, without gaps within a run) or -1. JSON is the whole line as
 * `--json` prints it. */
int64_t journal_event(struct journal *journal, const char *type, const char *json, struct error *err);
/* Appends an event that need not be on the disk before anything else happens (what threads do, as against what
 * the run decides): it is written before the next transaction or event, and within 200 ms when
 * journal_set_loop() was called; within a transaction it belongs to that. The order of all events stays. A
 * kill may lose those that are not written yet; a failed write goes to the log and is tried again. */
void journal_event_later(struct journal *journal, const char *type, const char *json);
void journal_set_loop(struct journal *journal, struct loop *loop);

/* Events with a number above SEQ, in order. CB returns false to stop. */
int journal_events_since(struct journal *journal, int64_t seq,
                         bool (*cb)(void *data, int64_t seq, int64_t ts_ms, const char *type,
                                    const char *json),
                         void *data, struct error *err);

#endif
