/* config/runner_config.h: [runner.<name>] as a plain struct: a program that carries roles in place of our own turn loop. */
#ifndef CADRE_CONFIG_RUNNER_CONFIG_H
#define CADRE_CONFIG_RUNNER_CONFIG_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct config;

enum runner_protocol { RUNNER_CODEX, RUNNER_CODEX_APP_SERVER, RUNNER_ACP };

/* Which sandbox shuts the program in: its own nested in ours, ours, or its own. */
enum runner_box { RUNNER_BOX_AUTO, RUNNER_BOX_BOTH, RUNNER_BOX_CADRE, RUNNER_BOX_OWN };

struct runner_config {
    char *name;
    enum runner_protocol protocol;
    enum runner_box box;
    struct str_list argv;           /* the program and its arguments; never empty */
    struct str_list env;            /* "K=V" */
    struct str_list env_vars;       /* names passed through from our environment */
    struct str_list home_files;     /* relative to the user's home folder */
    struct str_list writable_roots; /* absolute */
    char *model;                    /* or NULL, as for the next two */
    char *auth_method;
    char *session_mode;
    int64_t idle_timeout_seconds; /* 0: none */
};

/* Reads the table of NAME. The names `codex` and `acp` stand for their protocols, every other name for ACP unless its
 * table says which; only `codex` needs no table. -1 with ERROR_CONFIG when there is no such runner, or no command. */
int runner_config_init(struct runner_config *out, const struct config *c, const char *name,
                       struct error *err);
void runner_config_finish(struct runner_config *rc);

/* "codex", "codex-app-server", "acp". */
const char *runner_protocol_name(enum runner_protocol protocol);
/* "both", "cadre", "own", "auto". */
const char *runner_box_name(enum runner_box box);

#endif
