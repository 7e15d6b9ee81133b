/* config/role.h: a named set of instructions and settings for a thread.
 *
 * The registry knows names and descriptions from [agents.<role>] tables, from the names of discovered
 * agents/<name>.toml files, and from the built-in roles. A role's file is opened only by role_registry_get(),
 * when the role is first spawned, and read again when it has changed since. A discovered file counts as the
 * role that its file name says until it has been read; asking for a name that nothing declares reads the
 * discovered files to see whether one of them carries it. A role of the user replaces the built-in one. */
#ifndef CADRE_CONFIG_ROLE_H
#define CADRE_CONFIG_ROLE_H

#include "base/error.h"
#include "base/str.h"
#include "config/toml.h"

#include <stdbool.h>
#include <stddef.h>

struct config;
struct role_registry;

struct role {
    char *name;
    char *description;
    char *developer_instructions;
    char *model; /* NULL: the thread's parent decides, and so on for each setting */
    char *reasoning_effort;
    char *sandbox_mode;    /* "read-only", "workspace-write", "danger-full-access" */
    char *approval_policy; /* "untrusted", "on-request", "never", "on-failure", or "granular" */
    struct toml_value *approval_granular; /* the table, when approval_policy is "granular" */
    bool is_approval_forced; /* the same for approval_policy */
    bool is_sandbox_forced; /* the user's own [roles.<role>] says so: it may be wider than the parent's */
    bool has_mcp_servers;   /* the role says which servers it has; else it has all */
    struct toml_value *mcp_servers;   /* the role's [mcp_servers] table, or NULL: see config/mcp_config.h */
    struct str_list mcp_server_names; /* the servers it has, when has_mcp_servers */
    struct toml_value *skills;        /* the role's [skills] table, or NULL */
    struct str_list nickname_candidates;
    char *runner;                /* "native", "codex", or a name of [runner.*] */
    char *isolation;             /* "none" or "worktree" */
    struct toml_value *settings; /* every other key of the role file, merged over the configuration's */
    char *file;                  /* where it was read from; NULL for a built-in one */
    bool is_builtin;
};

enum role_source { ROLE_BUILTIN, ROLE_DISCOVERED, ROLE_DECLARED };

/* What is known of a role without opening its file. */
struct role_summary {
    const char *name;
    const char *description; /* "" for a discovered file that was not read yet */
    const char *file;        /* NULL for a built-in role or a table without config_file */
    enum role_source source;
    bool is_loaded;
};

/* Lists the roles; opens no role file. The registry borrows C, which must outlive it. */
struct role_registry *role_registry_create(const struct config *c);
void role_registry_destroy(struct role_registry *r);

size_t role_registry_count(const struct role_registry *r);
struct role_summary role_registry_at(const struct role_registry *r, size_t index);

/* Does some role have this name (opens no file)? */
bool role_registry_has(const struct role_registry *r, const char *name);

/* The role, its file read now if it was not or has changed. Borrowed until the next get of the same name.
 * NULL with ERR set: ERROR_NOT_FOUND for an unknown name (the nearest is named), ERROR_CONFIG for a bad or
 * missing file. */
const struct role *role_registry_get(struct role_registry *r, const char *name, struct error *err);

/* Reads every role file (doctor, --strict-config). Appends one line for each bad one; returns their number. */
size_t role_registry_check(struct role_registry *r, struct str_list *problems);

/* Lines such as a second role of one name in one layer, found while listing. */
const struct str_list *role_registry_warnings(const struct role_registry *r);

/* The built-in roles: config/builtin_roles.c. NULL at the end of the table for index >= count. */
struct builtin_role {
    const char *name;
    const char *description;
    const char *sandbox_mode;
    const char *isolation;
    const char *developer_instructions;
};
const struct builtin_role *builtin_role_at(size_t index);
const struct builtin_role *builtin_role_find(const char *name);

#endif
