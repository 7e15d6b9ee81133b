/* agent/role_match.h: which role a task is for, when the model that spawns an agent names none. */
#ifndef CADRE_AGENT_ROLE_MATCH_H
#define CADRE_AGENT_ROLE_MATCH_H

#include <stddef.h>

struct role_registry;

/* The role whose name and description share most with MESSAGE: at least two words (or its name), more than any other
 * role. "default" when none stands out. Opens no role file. Borrowed from the registry. */
const char *role_match(const struct role_registry *roles, const char *message);

/* The text that tells a model of the roles: "- name: description" a line. The caller frees it. */
char *role_choices(const struct role_registry *roles);

#endif
