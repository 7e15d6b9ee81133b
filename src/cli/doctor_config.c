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
    size_t count = 0;

    if (model == NULL)
        model = config_string(d->config, "model");
    if (mcp_config_for_role(&servers, d->config, role, &err) < 0)
        doctor_fail(d, EXIT_USAGE, NULL, "%s", err.text);
    count = servers.len;
    mcp_config_list_finish(&servers);
    printf("  ok    %-18s %-22s %-8s %-18s %-11s %-8s %zu  %s\n", role->name, model,
           role->reasoning_effort != NULL ? role->reasoning_effort : "-", effective_mode(d->config, role),
           role->approval_policy != NULL ? role->approval_policy : "-", role->runner, count,
           role->file != NULL ? role->file : "(built-in)");
    if (strcmp(role->runner, "native") == 0)
        add_model(d, model);
}

void doctor_check_roles(struct doctor *d)
{
    struct str_list problems = {0};

    add_model(d, config_string(d->config, "model"));
    (void)role_registry_check(d->roles, &problems);
    printf("        %-18s %-22s %-8s %-18s %-11s %-8s mcp  file\n", "role", "model", "effort", "sandbox",
           "approval", "runner");
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

static void check_server(struct doctor *d, const struct mcp_config *server)
{
    if (server->command != NULL && !doctor_has_program(server->command))
        doctor_warn(d, "install it, or set enabled = false", "MCP server %s: there is no program \"%s\"",
                    server->id, server->command);
    else
        doctor_ok("MCP server %s: %s (started on first use)", server->id,
                  server->command != NULL ? server->command : server->url);
    for (size_t i = 0; i < server->env_vars.len; i++)
        if (getenv(server->env_vars.items[i]) == NULL)
            doctor_warn(d, "export it before cadre starts", "MCP server %s: %s is not set", server->id,
                        server->env_vars.items[i]);
}

void doctor_check_programs(struct doctor *d)
{
    struct mcp_config_list servers = {0};
    struct error err = {0};

    if (mcp_config_for_role(&servers, d->config, NULL, &err) < 0)
        doctor_fail(d, EXIT_USAGE, NULL, "%s", err.text);
    for (size_t i = 0; i < servers.len; i++)
        check_server(d, &servers.items[i]);
    mcp_config_list_finish(&servers);
}
