/* store/session_dir.h: where an interactive session or `cadre exec` keeps its threads:
 * $XDG_STATE_HOME/cadre/sessions/<id of the main thread>/ with session.jsonl, rollouts/ and worktrees/. Paths are the
 * caller's to free. */
#ifndef CADRE_STORE_SESSION_DIR_H
#define CADRE_STORE_SESSION_DIR_H

#include "base/error.h"

#include <stdint.h>

struct str_list;

struct session_head {
    char *id;
    char *cwd;
    char *role;
};
void session_head_finish(struct session_head *head);

char *session_dir_path(const char *id);
char *session_dir_record(const char *dir); /* "<dir>/session.jsonl" */

/* Makes the folder (0700) and takes its lock. A descriptor to close at the end, or -1: ERROR_LIMIT when another process
 * has the session open. */
int session_dir_take(const char *dir, struct error *err);

/* Ids of all sessions, appended. No session is no error. */
int session_dir_list(struct str_list *ids, struct error *err);

/* When the session was used last, in seconds since 1970; 0 when that cannot be told. */
int64_t session_dir_used_s(const char *id);

/* Fills HEAD for the session ID, or with NULL for the one of CWD that was used last. ERROR_NOT_FOUND when there is none. */
int session_dir_find(const char *id, const char *cwd, struct session_head *head, struct error *err);

#endif
