/* config/trust.h: which projects may bring their own configuration. */
#ifndef CADRE_CONFIG_TRUST_H
#define CADRE_CONFIG_TRUST_H

#include "base/error.h"

#include <stdbool.h>

struct toml_value;

/* Is DIR (absolute, normalized) trusted by the [projects] table of the user's own layers? The entry nearest
 * to DIR, from DIR up to ROOT, decides; a linked git worktree falls back on its main checkout's entry. */
bool trust_is_trusted(const struct toml_value *user_config, const char *dir, const char *root);

/* Writes [projects."DIR"] trust_level = "trusted" into CODEX_HOME/config.toml, changing nothing else of the
 * file. *CHANGED is false when it stood there already. */
int trust_add(const char *codex_home, const char *dir, bool *changed, struct error *err);

#endif
