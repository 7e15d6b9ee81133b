/* agent/codex_home.h: what Codex gets whichever way it is run: a private $CODEX_HOME and settings on its command line. */
#ifndef CADRE_AGENT_CODEX_HOME_H
#define CADRE_AGENT_CODEX_HOME_H

#include "base/error.h"

struct carried_thread;
struct str_list;

/* Makes the private home with the user's configuration (a copy) and sign-in in it, and sets CODEX_HOME in the box. The
 * sign-in is the real file: Codex renews its tokens in place, and a copy would make the user's own void. */
int codex_home_make(struct carried_thread *thread, struct error *err);

/* Appends the `-c key=value` that every Codex of ours gets. */
void codex_home_add_settings(struct carried_thread *thread, struct str_list *argv);

/* Appends `-c KEY="VALUE"`. */
void codex_home_add_setting(struct str_list *argv, const char *key, const char *value);

/* "read-only", "workspace-write", "danger-full-access": Codex's own sandbox; off where ours is the only one. */
const char *codex_home_sandbox_mode(struct carried_thread *thread);

#endif
