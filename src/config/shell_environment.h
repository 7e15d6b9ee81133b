/* config/shell_environment.h: [shell_environment_policy]: which variables a command of the model sees. */
#ifndef CADRE_CONFIG_SHELL_ENVIRONMENT_H
#define CADRE_CONFIG_SHELL_ENVIRONMENT_H

#include "base/str.h"

struct config;

/* Appends "NAME=value" lines to OUT, from ENVIRON (NULL-terminated, as environ(7)) by the policy: inherit
 * (all, core, none), then the default excludes (names with KEY, SECRET or TOKEN, case ignored; off with
 * ignore_default_excludes), then exclude, then set, then include_only. Patterns are case-insensitive globs.
 * Variables that the configuration itself reads credentials from (known_secrets.h) are left out in any case,
 * unless `set` gives them or `include_only` names them exactly. */
void shell_environment_build(const struct config *c, char *const *environment, struct str_list *out);

#endif
