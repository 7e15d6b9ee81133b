/* cli/clean_internal.h: the parts of `cadre clean`: cmd_clean.c (runs) and clean_sessions.c (sessions, the ledger). Not for
 * others. */
#ifndef CADRE_CLI_CLEAN_INTERNAL_H
#define CADRE_CLI_CLEAN_INTERNAL_H

#include "cli/command.h"

#include <stdbool.h>
#include <stdint.h>

struct git_repo;

struct clean {
    struct cli_context *ctx;
    bool dry_run;
    bool abandon;
    bool records;
    int64_t session_days; /* sessions that were not used for so long go; -1: none */
    unsigned removed;
    unsigned kept;
};

/* --- cmd_clean.c --- */

void clean_say_removed(struct clean *c, const char *what, const char *name);
void clean_say_kept(struct clean *c, const char *what, const char *name, const char *why);
void clean_finish_step(struct clean *c, int rc, const char *what, const char *name, const struct error *err);
/* Ends what carries the mark ID. */
void clean_processes(struct clean *c, const char *id);
/* Those below FOLDER, whether REPO (may be NULL) knows them or not; ID is whose they are. */
void clean_worktrees(struct clean *c, struct git_repo *repo, const char *folder, const char *id);
/* PATTERN is a ref or the start of some up to a slash. */
void clean_refs(struct clean *c, struct git_repo *repo, const char *pattern, bool is_merged);
void clean_records(struct clean *c, const char *folder);

/* --- clean_sessions.c --- */

void clean_sessions(struct clean *c);
/* What the ledger lists of runs and sessions whose folder is gone. */
void clean_listed(struct clean *c);
/* Nothing is left of ID: out of the ledger. */
void clean_forget(struct clean *c, const char *id);

#endif
