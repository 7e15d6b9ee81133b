/* store/run_dir.h: where a run keeps its things: $XDG_STATE_HOME/cadre/runs/<id>/ with journal.db, rollouts/,
 * ci/ and worktrees/. Paths are the caller's to free. */
#ifndef CADRE_STORE_RUN_DIR_H
#define CADRE_STORE_RUN_DIR_H

#include "base/error.h"

#include <stdbool.h>

struct str_list;

/* "20261123-160203-x7k2": UTC and four random characters; sorts by time. */
#define RUN_ID_BYTES 21
void run_id_make(char id[RUN_ID_BYTES]);
bool run_id_is_valid(const char *id);

/* Makes the folder of a new run and those within (0700). */
int run_dir_create(const char *id, struct error *err);

char *run_dir_path(const char *id);
char *run_dir_journal(const char *id);
char *run_dir_rollouts(const char *id);
char *run_dir_ci(const char *id);
char *run_dir_worktrees(const char *id);

/* Ids of all runs that have a journal, oldest first, appended. No run is no error. */
int run_dir_list(struct str_list *ids, struct error *err);

/* The run that NAME means: an id, the unique start of one, or with NULL the latest. Caller frees; NULL with
 * ERR set (ERROR_NOT_FOUND, or ERROR_USAGE when several match). */
char *run_dir_find(const char *name, struct error *err);

#endif
