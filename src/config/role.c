/* config/role.c: one role, from its file or from the built-in table; see role.h. The registry that decides
 * which file belongs to which name is role_registry.c. */
#include "config/role.h"
#include "config/role_file.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/path.h"
#include "config/config_state.h"

#include <stdlib.h>
#include <string.h>

void role_destroy(struct role *role)
{
    if (role == NULL)
        return;
    free(role->name);
    free(role->description);
    free(role->developer_instructions);
    free(role->model);
    free(role->reasoning_effort);
    free(role->sandbox_mode);
    free(role->approval_policy);
    toml_free(role->approval_granular);
    toml_free(role->mcp_servers);
    str_list_finish(&role->mcp_server_names);
    toml_free(role->skills);
    str_list_finish(&role->nickname_candidates);
    free(role->runner);
    free(role->isolation);
    toml_free(role->settings);
    free(role->file);
    free(role);
}

static void replace(char **slot, const char *value)
{
    if (value == NULL)
        return;
    free(*slot);
    *slot = xstrdup(value);
}

static void take_approval(struct role *role, const struct toml_value *v)
{
    if (v == NULL)
        return;
    toml_free(role->approval_granular);
    role->approval_granular = NULL;
    if (v->type == TOML_STRING) {
        replace(&role->approval_policy, v->as.string.bytes);
    } else if (toml_get(v, "granular") != NULL) {
        replace(&role->approval_policy, "granular");
        role->approval_granular = toml_copy(toml_get(v, "granular"));
    }
}

static void take_servers(struct role *role, const struct toml_value *servers)
{
    if (servers == NULL || servers->type != TOML_TABLE)
        return;
    role->has_mcp_servers = true;
    toml_free(role->mcp_servers);
    role->mcp_servers = toml_copy(servers);
    str_list_finish(&role->mcp_server_names);
    for (size_t i = 0; i < servers->as.table.len; i++)
        str_list_add(&role->mcp_server_names, servers->as.table.members[i].key);
}

/* Names that threads are shown by: unique; ASCII letters, digits, space, '-', '_'. */
static int take_nicknames(struct role *role, const struct toml_value *list, const char *file,
                          struct error *err)
{
    if (list == NULL || list->type != TOML_ARRAY)
        return 0;
    str_list_finish(&role->nickname_candidates);
    for (size_t i = 0; i < list->as.array.len; i++) {
        const struct toml_value *item = list->as.array.items[i];
        const char *name = item->type == TOML_STRING ? item->as.string.bytes : "";
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_");

        if (n == 0 || name[n] != '\0' || str_list_has(&role->nickname_candidates, name))
            return error_set_at(err, ERROR_CONFIG, file, item->line, item->column,
                                "nickname_candidates: each name is unique and of letters, digits, space, "
                                "'-' and '_'");
        str_list_add(&role->nickname_candidates, name);
    }
    return 0;
}

/* [roles.<name>] of cadre.toml: the word of the configuration beats the role's file. */
static void take_cadre_settings(struct role *role, const struct config *c)
{
    const struct toml_value *t = toml_get(toml_get(c->merged, "roles"), role->name);
    const struct toml_value *names = toml_get(t, "mcp_servers");

    replace(&role->runner, toml_string(t, "runner", NULL));
    replace(&role->isolation, toml_string(t, "isolation", NULL));
    replace(&role->model, toml_string(t, "model", NULL));
    replace(&role->reasoning_effort, toml_string(t, "model_reasoning_effort", NULL));
    replace(&role->sandbox_mode, toml_string(t, "sandbox_mode", NULL));
    role->is_sandbox_forced = toml_string(t, "sandbox_mode", NULL) != NULL;
    take_approval(role, toml_get(t, "approval_policy"));
    role->is_approval_forced = toml_get(t, "approval_policy") != NULL;
    if (names != NULL) {
        role->has_mcp_servers = true;
        str_list_finish(&role->mcp_server_names);
        toml_strings(t, "mcp_servers", &role->mcp_server_names);
    }
}

static struct role *from_builtin(const char *name)
{
    const struct builtin_role *b = builtin_role_find(name);
    struct role *role = xcalloc(1, sizeof *role);

    role->name = xstrdup(name);
    role->runner = xstrdup("native");
    role->isolation = xstrdup("none");
    role->is_builtin = b != NULL;
    if (b != NULL) {
        replace(&role->description, b->description);
        replace(&role->developer_instructions, b->developer_instructions);
        replace(&role->sandbox_mode, b->sandbox_mode);
        replace(&role->isolation, b->isolation);
    }
    return role;
}

/* The keys of the role file that are not the role's own lie over the configuration's for its threads. */
static void take_settings(struct role *role, struct toml_value *tree)
{
    static const char *const own[] = {"name",
                                      "description",
                                      "model",
                                      "model_reasoning_effort",
                                      "sandbox_mode",
                                      "approval_policy",
                                      "mcp_servers",
                                      "skills",
                                      "nickname_candidates",
                                      "developer_instructions"};

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        (void)toml_remove(tree, own[i]);
    role->settings = tree;
}

static int need(const struct toml_value *tree, const char *key, const char *file, struct error *err)
{
    const char *text = toml_string(tree, key, NULL);

    if (text != NULL && text[strspn(text, " \t\r\n")] != '\0')
        return 0;
    return error_set_at(err, ERROR_CONFIG, file, 0, 0, "a role file needs a `%s` that is not empty", key);
}

static struct toml_value *read_file(const struct config *c, const char *file, struct error *err)
{
    char *folder = path_dirname(file);
    struct config_check check = {
        .c = (struct config *)c, /* the notes of the file are added there */
        .file = file,
        .folder = folder,
        .kind = CONFIG_FILE_ROLE,
        .is_strict = c->is_strict,
    };
    struct toml_value *tree = NULL;

    for (size_t i = 1; i < c->folders.len; i++)
        if (path_is_below(file, c->folders.items[i]))
            check.is_project = true;
    if (!file_is_regular(file)) {
        error_set_at(err, ERROR_CONFIG, file, 0, 0, "the role file does not exist");
        goto out;
    }
    tree = toml_read_file(file, err);
    if (tree != NULL && config_check_tree(&check, tree, err) < 0) {
        toml_free(tree);
        tree = NULL;
    }
out:
    free(folder);
    return tree;
}

struct role *role_load(const struct config *c, const struct role_declaration *d, struct error *err)
{
    struct role *role = from_builtin(d->name);
    struct toml_value *tree = NULL;

    replace(&role->description, d->description);
    if (d->file != NULL) {
        tree = read_file(c, d->file, err);
        if (tree == NULL)
            goto fail;
        if (d->is_standalone &&
            (need(tree, "name", d->file, err) < 0 || need(tree, "description", d->file, err) < 0 ||
             need(tree, "developer_instructions", d->file, err) < 0))
            goto fail;
        role->is_builtin = false;
        role->file = xstrdup(d->file);
        replace(&role->name, toml_string(tree, "name", NULL));
        replace(&role->description, toml_string(tree, "description", NULL));
        replace(&role->developer_instructions, toml_string(tree, "developer_instructions", NULL));
        replace(&role->model, toml_string(tree, "model", NULL));
        replace(&role->reasoning_effort, toml_string(tree, "model_reasoning_effort", NULL));
        replace(&role->sandbox_mode, toml_string(tree, "sandbox_mode", NULL));
        take_approval(role, toml_get(tree, "approval_policy"));
        take_servers(role, toml_get(tree, "mcp_servers"));
        role->skills = toml_copy(toml_get(tree, "skills"));
        if (take_nicknames(role, toml_get(tree, "nickname_candidates"), d->file, err) < 0)
            goto fail;
        take_settings(role, tree);
        tree = NULL;
    }
    if (role->nickname_candidates.len == 0 && take_nicknames(role, d->nicknames, "[agents]", err) < 0)
        goto fail;
    take_cadre_settings(role, c);
    if (c->is_oss) { /* a model by another vendor is not on this machine */
        FREE_NULL(role->model);
        if (role->settings != NULL)
            (void)toml_remove(role->settings, "model_provider");
    }
    if (role->description == NULL)
        role->description = xstrdup("");
    return role;
fail:
    toml_free(tree);
    role_destroy(role);
    return NULL;
}
