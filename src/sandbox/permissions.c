/* sandbox/permissions.c: see permissions.h. A profile and those it extends are laid over each other, the outermost last, then
 * turned into a policy. Never touches the file system. */
#include "sandbox/permissions.h"

#include "base/path.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define PROFILE_MAX_DEPTH 8

enum access { ACCESS_UNSET, ACCESS_DENY, ACCESS_READ, ACCESS_WRITE };

struct profile {
    const struct config *config;
    const char *cwd;
    enum access root, workspace, tmpdir, slash_tmp;
    struct str_list reads, writes, denies; /* absolute and normalized */
    struct str_list roots;                 /* further workspace roots */
    bool has_network, has_loopback;
    const struct toml_value
        *unenforceable; /* an entry that limits the network in a way that the box cannot */
};

static int fail(const struct profile *p, const struct toml_value *at, struct error *err, const char *what,
                const char *key)
{
    struct config_origin origin = at == NULL ? (struct config_origin){0} : config_value_origin(p->config, at);

    if (origin.file != NULL)
        return error_set(err, ERROR_CONFIG, "%s:%d:%d: permissions: \"%.200s\" %s", origin.file, origin.line,
                         origin.column, key, what);
    return error_set(err, ERROR_CONFIG, "permissions: \"%.200s\" %s", key, what);
}

static void list_drop(struct str_list *list, const char *s)
{
    for (size_t i = list->len; i > 0; i--)
        if (str_eq(list->items[i - 1], s))
            str_list_remove(list, i - 1);
}

static int read_access(const struct profile *p, const struct toml_value *v, const char *key,
                       enum access *access, struct error *err)
{
    const char *word = v->type == TOML_STRING ? v->as.string.bytes : "";

    if (str_eq(word, "read"))
        *access = ACCESS_READ;
    else if (str_eq(word, "write"))
        *access = ACCESS_WRITE;
    else if (str_eq(word, "deny") || str_eq(word, "none"))
        *access = ACCESS_DENY;
    else
        return fail(p, v, err, "is \"read\", \"write\" or \"deny\"", key);
    return 0;
}

static int set_path(struct profile *p, const char *path, const struct toml_value *v, struct error *err)
{
    enum access access = ACCESS_UNSET;
    char *expanded, *normal;

    if (read_access(p, v, path, &access, err) < 0)
        return -1;
    if (strpbrk(path, "*?[") != NULL)
        return fail(p, v, err, "is a pattern, which the box cannot enforce: name the paths one by one", path);
    expanded = path_expand_home(path);
    normal = path_normalize(expanded);
    free(expanded);
    if (normal[0] != '/') {
        free(normal);
        return fail(p, v, err, "is not an absolute path, one below ~, or a name such as :workspace_roots",
                    path);
    }
    list_drop(&p->reads, normal);
    list_drop(&p->writes, normal);
    list_drop(&p->denies, normal);
    str_list_take(access == ACCESS_READ    ? &p->reads
                  : access == ACCESS_WRITE ? &p->writes
                                           : &p->denies,
                  normal);
    return 0;
}

static bool is_always_protected(const char *name)
{
    return str_eq(name, ".git") || str_eq(name, ".codex") || str_eq(name, ".agents");
}

/* ":workspace_roots" = { "." = "write", ".git" = "read", ... } */
static int take_workspace(struct profile *p, const struct toml_value *v, struct error *err)
{
    if (v->type != TOML_TABLE)
        return read_access(p, v, ":workspace_roots", &p->workspace, err);
    for (size_t i = 0; i < v->as.table.len; i++) {
        const char *key = v->as.table.members[i].key;
        const struct toml_value *entry = v->as.table.members[i].value;
        enum access access = ACCESS_UNSET;
        char *path;
        int rc;

        if (read_access(p, entry, key, &access, err) < 0)
            return -1;
        if (str_eq(key, ".")) {
            p->workspace = access;
            continue;
        }
        if (is_always_protected(key) && access == ACCESS_READ)
            continue;
        if (is_always_protected(key) && access == ACCESS_WRITE)
            return fail(p, entry, err, "is never writable in the box: remove the entry", key);
        if (!path_is_plain_relative(key))
            return fail(p, entry, err, "is not a path inside of the workspace", key);
        path = path_join(p->cwd, key);
        rc = set_path(p, path, entry, err);
        free(path);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int take_filesystem(struct profile *p, const struct toml_value *table, struct error *err)
{
    if (table->type != TOML_TABLE)
        return fail(p, table, err, "is a table of paths", "filesystem");
    for (size_t i = 0; i < table->as.table.len; i++) {
        const char *key = table->as.table.members[i].key;
        const struct toml_value *v = table->as.table.members[i].value;
        enum access minimal;
        int rc = 0;

        if (str_eq(key, "glob_scan_max_depth"))
            continue;
        if (str_eq(key, ":workspace_roots") || str_eq(key, ":project_roots"))
            rc = take_workspace(p, v, err);
        else if (str_eq(key, ":root"))
            rc = read_access(p, v, key, &p->root, err);
        else if (str_eq(key, ":tmpdir"))
            rc = read_access(p, v, key, &p->tmpdir, err);
        else if (str_eq(key, ":slash_tmp"))
            rc = read_access(p, v, key, &p->slash_tmp, err);
        else if (str_eq(key, ":minimal"))
            rc = read_access(p, v, key, &minimal, err);
        else if (key[0] == ':')
            rc = fail(p, v, err, "is a name that cadre does not know", key);
        else
            rc = set_path(p, key, v, err);
        if (rc < 0)
            return -1;
        if (p->root == ACCESS_WRITE)
            return fail(
                p, v, err,
                "= \"write\" is not possible in the box: default_permissions = \":danger-full-access\" is "
                "without a box",
                ":root");
    }
    return 0;
}

static bool is_any_domain(const struct toml_value *v)
{
    return v->type == TOML_TABLE && v->as.table.len == 1 && str_eq(toml_string(v, "*", NULL), "allow");
}

static int take_network(struct profile *p, const struct toml_value *table, struct error *err)
{
    /* What says nothing about how far a command reaches. */
    static const char *const harmless[] = {"enable_socks5",
                                           "enable_socks5_udp",
                                           "proxy_url",
                                           "allow_upstream_proxy",
                                           "socks_url",
                                           "dangerously_allow_non_loopback_proxy",
                                           "dangerously_allow_all_unix_sockets"};

    if (table->type != TOML_TABLE)
        return fail(p, table, err, "is a table", "network");
    for (size_t i = 0; i < table->as.table.len; i++) {
        const char *key = table->as.table.members[i].key;
        const struct toml_value *v = table->as.table.members[i].value;
        bool is_known = false;

        for (size_t j = 0; j < sizeof harmless / sizeof harmless[0]; j++)
            is_known |= str_eq(key, harmless[j]);
        if (str_eq(key, "enabled") || str_eq(key, "allow_local_binding")) {
            if (v->type != TOML_BOOLEAN)
                return fail(p, v, err, "is true or false", key);
            *(str_eq(key, "enabled") ? &p->has_network : &p->has_loopback) = v->as.boolean;
        } else if (!is_known && !(str_eq(key, "domains") && is_any_domain(v)) &&
                   !(str_eq(key, "mode") && v->type == TOML_STRING && str_eq(v->as.string.bytes, "full"))) {
            p->unenforceable = v;
        }
    }
    return 0;
}

static int take_roots(struct profile *p, const struct toml_value *table, struct error *err)
{
    if (table->type != TOML_TABLE)
        return fail(p, table, err, "is a table of folders", "workspace_roots");
    for (size_t i = 0; i < table->as.table.len; i++) {
        const struct toml_value *v = table->as.table.members[i].value;
        char *expanded = path_expand_home(table->as.table.members[i].key);
        char *path = path_normalize(expanded);
        bool is_bad = v->type != TOML_BOOLEAN || path[0] != '/';

        free(expanded);
        list_drop(&p->roots, path);
        if (!is_bad && v->as.boolean)
            str_list_add(&p->roots, path);
        free(path);
        if (is_bad)
            return fail(p, v, err, "is an absolute folder = true or false", table->as.table.members[i].key);
    }
    return 0;
}

static int take_profile(struct profile *p, const char *name, int depth, struct error *err)
{
    const struct toml_value *table = toml_get(config_table(p->config, "permissions"), name);

    if (str_eq(name, ":read-only") || str_eq(name, ":workspace")) {
        p->root = ACCESS_READ;
        if (str_eq(name, ":workspace"))
            p->workspace = p->tmpdir = p->slash_tmp = ACCESS_WRITE;
        return 0;
    }
    if (name[0] == ':')
        return fail(
            p, NULL, err,
            "cannot be used here: expected :read-only, :workspace, or the name of a [permissions.NAME]",
            name);
    if (table == NULL || table->type != TOML_TABLE)
        return fail(p, config_value(p->config, "default_permissions"), err,
                    "is no profile: write a [permissions.NAME], or take :read-only, :workspace or "
                    ":danger-full-access",
                    name);
    if (depth >= PROFILE_MAX_DEPTH)
        return fail(p, table, err, "extends others too deeply, or itself", name);
    if (toml_get(table, "extends") != NULL &&
        take_profile(p, toml_string(table, "extends", ""), depth + 1, err) < 0)
        return -1;
    for (size_t i = 0; i < table->as.table.len; i++) {
        const char *key = table->as.table.members[i].key;
        const struct toml_value *v = table->as.table.members[i].value;
        int rc = 0;

        if (str_eq(key, "filesystem"))
            rc = take_filesystem(p, v, err);
        else if (str_eq(key, "network"))
            rc = take_network(p, v, err);
        else if (str_eq(key, "workspace_roots"))
            rc = take_roots(p, v, err);
        else if (!str_eq(key, "extends") && !str_eq(key, "description"))
            rc = fail(p, v, err,
                      "is unknown: expected extends, description, filesystem, network, workspace_roots", key);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static bool is_below_one(const char *path, const struct str_list *outer)
{
    for (size_t i = 0; i < outer->len; i++)
        if (path_is_below(path, outer->items[i]))
            return true;
    return false;
}

/* The entries that the box cannot keep: a writable folder in a part that is shut off, and a denied workspace. */
static int check_paths(const struct profile *p, const struct toml_value *at, struct error *err)
{
    for (size_t i = 0; i < p->denies.len; i++)
        if (path_is_below(p->cwd, p->denies.items[i]))
            return fail(p, at, err, "= \"deny\" and the workspace overlap: deny what is outside of it, or a part of it",
                        p->denies.items[i]);
    for (size_t i = 0; i < p->writes.len; i++)
        if (is_below_one(p->writes.items[i], &p->denies) ||
            (p->workspace == ACCESS_WRITE && path_is_below(p->writes.items[i], p->cwd) &&
             is_below_one(p->writes.items[i], &p->reads)))
            return fail(p, at, err, "= \"write\" is inside of a part that is shut off, where the box cannot open it again",
                        p->writes.items[i]);
    return 0;
}

static int check(const struct profile *p, const struct toml_value *at, const char *name, struct error *err)
{
    if (p->root != ACCESS_READ && p->workspace == ACCESS_UNSET)
        return fail(p, at, err,
                    "says nothing of the workspace: add \":workspace_roots\" = \"read\" or \"write\", or extends = "
                    "\":workspace\"",
                    name);
    if (p->workspace == ACCESS_DENY || p->slash_tmp == ACCESS_DENY || p->tmpdir == ACCESS_DENY)
        return fail(p, at, err,
                    "denies the workspace or a temporary folder, which the box cannot: take \"read\"", name);
    if (p->workspace != ACCESS_WRITE && p->writes.len > 0)
        return fail(
            p, at, err,
            "makes folders writable but not the workspace, which the box cannot: add \":workspace_roots\" = "
            "\"write\", or take the folders out",
            name);
    if (p->has_network && p->unenforceable != NULL)
        return fail(p, p->unenforceable, err,
                    "limits the network by domains, sockets or methods, which the box cannot: "
                    "network.enabled = false is without network",
                    name);
    return check_paths(p, at, err);
}

bool permissions_are_set(const struct config *c)
{
    return config_is_set(c, "default_permissions") && !config_is_set(c, "sandbox_mode");
}

int permissions_make_policy(const struct config *c, const char *cwd, struct sandbox_policy *policy,
                            struct error *err)
{
    const char *name = config_string(c, "default_permissions");
    const struct toml_value *at = config_value(c, "default_permissions");
    struct profile p = {.config = c, .cwd = cwd};
    int rc = -1;

    if (str_eq(name, ":danger-full-access")) {
        sandbox_policy_init(policy, SANDBOX_DANGER_FULL_ACCESS, cwd);
        sandbox_policy_configure_common(policy, c);
        return 0;
    }
    if (take_profile(&p, name == NULL ? "" : name, 0, err) < 0 || check(&p, at, name, err) < 0)
        goto out;
    sandbox_policy_init(policy, p.workspace == ACCESS_WRITE ? SANDBOX_WORKSPACE_WRITE : SANDBOX_READ_ONLY,
                        cwd);
    str_list_copy(&policy->hidden_paths, &p.denies);
    if (p.root != ACCESS_READ) { /* reading is confined */
        str_list_copy(&policy->readable_roots, &p.reads);
        str_list_copy(&policy->readable_roots, &p.writes);
        str_list_copy(&policy->readable_roots, &p.roots);
        if (policy->readable_roots.len == 0)
            str_list_add(&policy->readable_roots, cwd);
    }
    if (policy->mode == SANDBOX_WORKSPACE_WRITE) {
        str_list_copy(&policy->writable_roots, &p.writes);
        str_list_copy(&policy->writable_roots, &p.roots);
        str_list_copy(&policy->read_only_paths, &p.reads);
        policy->network_access = p.has_network;
        policy->loopback = p.has_loopback && !p.has_network;
        policy->exclude_tmpdir_env_var = p.tmpdir != ACCESS_WRITE;
        policy->exclude_slash_tmp = p.slash_tmp != ACCESS_WRITE;
    }
    sandbox_policy_configure_common(policy, c);
    rc = 0;
out:
    str_list_finish(&p.reads);
    str_list_finish(&p.writes);
    str_list_finish(&p.denies);
    str_list_finish(&p.roots);
    return rc;
}

int permissions_add_denials(const struct config *c, const char *cwd, struct sandbox_policy *policy, struct error *err)
{
    struct sandbox_policy own;

    if (!permissions_are_set(c))
        return 0;
    if (permissions_make_policy(c, cwd, &own, err) < 0)
        return -1;
    for (size_t i = 0; i < own.hidden_paths.len; i++)
        if (!str_list_has(&policy->hidden_paths, own.hidden_paths.items[i]))
            str_list_add(&policy->hidden_paths, own.hidden_paths.items[i]);
    sandbox_policy_finish(&own);
    return 0;
}
