/* ci/action_map.h: what this machine does in place of an action by others. One table (actions.h) and what
 * the user adds in cadre.toml. */
#ifndef CADRE_CI_ACTION_MAP_H
#define CADRE_CI_ACTION_MAP_H

#include "base/str.h"

#include <stdbool.h>

enum action_kind {
    ACTION_UNKNOWN,   /* no equivalent */
    ACTION_CHECKOUT,  /* the tree under test stands for it */
    ACTION_SATISFIED, /* nothing to do here */
    ACTION_SETUP,     /* a tool must be there, in the wanted version */
    ACTION_CACHE,     /* restores and keeps folders in the local store */
    ACTION_UPLOAD,    /* keeps files for later jobs */
    ACTION_DOWNLOAD,
    ACTION_COMMAND,   /* runs this command */
    ACTION_SKIP,      /* known to have no equivalent */
};

struct action_mapping {
    const char *action; /* "owner/name" or "owner/name/path"; a trailing slash covers what is below */
    enum action_kind kind;
    const char *tool;          /* of ACTION_SETUP: program to look for */
    const char *version_input; /* of ACTION_SETUP: input with the wanted version, or NULL */
    const char *command;       /* of ACTION_COMMAND: shell script; inputs are INPUT_NAME in its environment */
    const char *reason;        /* what stands for it, or why it cannot */
};

/* The mapping of USES ("actions/checkout@v4"); ACTION_UNKNOWN when there is none. The USER_COUNT rows of USER go
 * first (NULL and 0: none). */
void action_map_find(const char *uses, const struct action_mapping *user, size_t user_count,
                     struct action_mapping *mapping);

/* Does VERSION ("v20.11.1", "Python 3.11.2", "go1.22.1") satisfy WANTED ("20", "3.x", ">=1.20", "stable",
 * "lts", "latest", "20.x")? Empty or not a number: any will do. */
bool action_version_satisfies(const char *version, const char *wanted);

#endif
