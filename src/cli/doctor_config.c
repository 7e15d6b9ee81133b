/* cli/doctor_config.c: what `cadre doctor` says of configuration, roles and MCP servers. */
#include "cli/doctor.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/path.h"
#include "config/config.h"
#include "config/mcp_config.h"
#include "config/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void doctor_check_config(struct doctor *d)
{
    size_t unused = 0;

    for (size_t i = 0; i < config_folders(d->config)->len; i++)
        doctor_ok("reads %s", config_folders(d->config)->items[i]);
    for (size_t i = 0; i < config_note_count(d->config); i++) {
        const struct config_note *note = config_note_at(d->config, i);

        if (note->kind == CONFIG_NOTE_UNUSED) {
            printf("  note  %s\n", note->text);
            unused++;
        } else if (note->kind == CONFIG_NOTE_RENAMED) {
            printf("  note  %s\n", note->text);
        } else {
            doctor_warn(d, NULL, "%s", note->text);
        }
    }
    if (unused > 0)
        printf("        %zu keys are accepted for Codex's sake and change nothing here\n", unused);
}

static int mode_rank(const char *mode)
{
    return str_eq(mode, "read-only") ? 0 : str_eq(mode, "workspace-write") ? 1 : 2;
}

/* What the role really gets: the tightest of its own and the configuration's, as the threads do it. */
static const char *effective_mode(const struct config *c, const struct role *role)
{
    const char *parent = config_string(c, "sandbox_mode");

    if (role->sandbox_mode == NULL)
        return parent;
    if (role->is_sandbox_forced || !config_is_set(c, "sandbox_mode") ||
        mode_rank(role->sandbox_mode) < mode_rank(parent))
        return role->sandbox_mode;
    return parent;
}

static void add_model(struct doctor *d, const char *model)
{
    if (model != NULL && !str_list_has(&d->models, model))
        str_list_add(&d->models, model);
}

static void print_role(struct doctor *d, const struct role *role)
{
    const char *model =
        role->model != NULL ? role->model : config_string(d->config, "agents.default_subagent_model");
    struct mcp_config_list servers = {0};
    struct error err = {0};
    struct str_list ids = {0};
    char *shown;

    if (model == NULL)
        model = config_string(d->config, "model");
    if (mcp_config_for_role(&servers, d->config, role, &err) < 0)
        doctor_fail(d, EXIT_USAGE, NULL, "%s", err.text);
    /* Another program that carries the role has its own. */
    for (size_t i = 0; i < servers.len && strcmp(role->runner, "native") == 0; i++)
        str_list_add(&ids, servers.items[i].id);
    shown = ids.len > 0 ? str_list_join(&ids, ",") : xstrdup("-");
    mcp_config_list_finish(&servers);
    str_list_finish(&ids);
    printf("  ok    %-18s %-22s %-8s %-18s %-11s %-8s %-8s %s\n", role->name, model,
           role->reasoning_effort != NULL ? role->reasoning_effort : "-", effective_mode(d->config, role),
           role->approval_policy != NULL ? role->approval_policy : "-", role->runner, shown,
           role->file != NULL ? role->file : "(built-in)");
    free(shown);
    if (strcmp(role->runner, "native") == 0)
        add_model(d, model);
}

void doctor_check_roles(struct doctor *d)
{
    struct str_list problems = {0};

    add_model(d, config_string(d->config, "model"));
    (void)role_registry_check(d->roles, &problems);
    printf("        %-18s %-22s %-8s %-18s %-11s %-8s %-8s file\n", "role", "model", "effort", "sandbox",
           "approval", "runner", "mcp");
    for (size_t i = 0; i < role_registry_count(d->roles); i++) {
        const char *name = role_registry_at(d->roles, i).name;
        const struct role *role = role_registry_get(d->roles, name, NULL);

        if (role != NULL)
            print_role(d, role);
    }
    for (size_t i = 0; i < problems.len; i++)
        doctor_fail(d, EXIT_USAGE, NULL, "%s", problems.items[i]);
    for (size_t i = 0; i < role_registry_warnings(d->roles)->len; i++)
        doctor_warn(d, NULL, "%s", role_registry_warnings(d->roles)->items[i]);
    str_list_finish(&problems);
}

bool doctor_has_program(const char *name)
{
    struct str_list folders = {0};
    const char *path = getenv("PATH");
    bool found = strchr(name, '/') != NULL && access(name, X_OK) == 0;

    if (strchr(name, '/') == NULL && path != NULL)
        str_split(&folders, path, ':');
    for (size_t i = 0; i < folders.len && !found; i++) {
        char *file = path_join(folders.items[i], name);

        found = file_is_regular(file) && access(file, X_OK) == 0;
        free(file);
    }
    str_list_finish(&folders);
    return found;
}

/* ROLE: whose file alone declares it, or NULL. */
static void check_server(struct doctor *d, const struct mcp_config *server, const struct role *role)
{
    const char *of = role != NULL ? " of role " : "";
    const char *name = role != NULL ? role->name : "";

    if (server->command != NULL && !doctor_has_program(server->command))
        doctor_warn(d, "install it, or set enabled = false", "MCP server %s%s%s: there is no program \"%s\"",
                    server->id, of, name, server->command);
    else
        doctor_ok("MCP server %s%s%s: %s (started on first use)", server->id, of, name,
                  server->command != NULL ? server->command : server->url);
    for (size_t i = 0; i < server->env_vars.len; i++)
        if (getenv(server->env_vars.items[i]) == NULL)
            doctor_warn(d, "export it before cadre starts", "MCP server %s%s%s: %s is not set", server->id, of, name,
                        server->env_vars.items[i]);
    if (server->bearer_token_env_var != NULL && getenv(server->bearer_token_env_var) == NULL)
        doctor_warn(d, "export it before cadre starts", "MCP server %s%s%s: %s is not set", server->id, of, name,
                    server->bearer_token_env_var);
}

static void check_servers_of_role(struct doctor *d, const struct role *role)
{
    const struct toml_value *shared = config_table(d->config, "mcp_servers");
    struct mcp_config_list servers = {0};

    for (size_t i = 0; i < role->mcp_server_names.len && role->has_mcp_servers; i++) {
        const char *name = role->mcp_server_names.items[i];

        if (toml_get(shared, name) == NULL && toml_get(role->mcp_servers, name) == NULL)
            doctor_warn(d, "declare it in config.toml, or take it out of the role's mcp_servers",
                        "role %s: there is no MCP server \"%s\"", role->name, name);
    }
    if (role->mcp_servers == NULL || mcp_config_for_role(&servers, d->config, role, NULL) < 0)
        return;
    for (size_t i = 0; i < servers.len; i++)
        if (toml_get(shared, servers.items[i].id) == NULL)
            check_server(d, &servers.items[i], role);
    mcp_config_list_finish(&servers);
}

void doctor_check_programs(struct doctor *d)
{
    struct mcp_config_list servers = {0};
    struct error err = {0};

    if (mcp_config_for_role(&servers, d->config, NULL, &err) < 0)
        doctor_fail(d, EXIT_USAGE, NULL, "%s", err.text);
    for (size_t i = 0; i < servers.len; i++)
        check_server(d, &servers.items[i], NULL);
    mcp_config_list_finish(&servers);
    for (size_t i = 0; i < role_registry_count(d->roles); i++) {
        const struct role *role = role_registry_get(d->roles, role_registry_at(d->roles, i).name, NULL);

        if (role != NULL)
            check_servers_of_role(d, role);
    }
}
