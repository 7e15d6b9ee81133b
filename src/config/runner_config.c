/* config/runner_config.c: see runner_config.h. */
#include "config/runner_config.h"

#include "base/alloc.h"
#include "base/path.h"
#include "config/config.h"
#include "config/toml.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_IDLE_SECONDS 1800

static const char *const protocol_names[] = {"codex", "codex-app-server", "acp"};
static const char *const box_names[] = {"auto", "both", "cadre", "own"};

const char *runner_protocol_name(enum runner_protocol protocol)
{
    return protocol_names[protocol];
}

const char *runner_box_name(enum runner_box box)
{
    return box_names[box];
}

static void take_command(struct runner_config *rc, const struct toml_value *table)
{
    const struct toml_value *command = toml_get(table, "command");

    if (command != NULL && command->type == TOML_STRING)
        str_list_take(&rc->argv, path_expand_home(command->as.string.bytes));
    else
        toml_strings(table, "command", &rc->argv);
    if (rc->argv.len == 0 && rc->protocol != RUNNER_ACP)
        str_list_add(&rc->argv, "codex");
    toml_strings(table, "args", &rc->argv);
}

static void take_environment(struct runner_config *rc, const struct toml_value *table)
{
    const struct toml_value *env = toml_get(table, "env");

    for (size_t i = 0; env != NULL && env->type == TOML_TABLE && i < env->as.table.len; i++) {
        const struct toml_member *m = &env->as.table.members[i];

        if (m->value->type == TOML_STRING)
            str_list_take(&rc->env, xasprintf("%s=%s", m->key, m->value->as.string.bytes));
    }
    toml_strings(table, "env_vars", &rc->env_vars);
}

static int check_home_files(const struct runner_config *rc, const struct toml_value *table, struct error *err)
{
    for (size_t i = 0; i < rc->home_files.len; i++)
        if (!path_is_plain_relative(rc->home_files.items[i]))
            return error_set_at(err, ERROR_CONFIG, "cadre.toml", table->line, 0,
                                "runner.%s.home_files: \"%s\" is no path below your home folder", rc->name,
                                rc->home_files.items[i]);
    return 0;
}

static void take_roots(struct runner_config *rc, const struct toml_value *table)
{
    struct str_list raw = {0};

    toml_strings(table, "writable_roots", &raw);
    for (size_t i = 0; i < raw.len; i++) {
        char *home = path_expand_home(raw.items[i]);

        if (home[0] == '/')
            str_list_take(&rc->writable_roots, path_normalize(home));
        free(home);
    }
    str_list_finish(&raw);
}

int runner_config_init(struct runner_config *rc, const struct config *c, const char *name, struct error *err)
{
    const struct toml_value *table = toml_get(config_table(c, "runner"), name);
    const char *protocol = toml_string(table, "protocol", str_eq(name, "codex") ? "codex" : "acp");
    const char *box = toml_string(table, "box", "auto");

    *rc = (struct runner_config){.name = xstrdup(name)};
    rc->protocol = RUNNER_ACP;
    for (size_t i = 0; i < sizeof protocol_names / sizeof protocol_names[0]; i++)
        if (str_eq(protocol, protocol_names[i]))
            rc->protocol = (enum runner_protocol)i;
    if (table == NULL && rc->protocol == RUNNER_ACP) {
        error_set(err, ERROR_CONFIG, "there is no runner \"%s\": `native` and `codex` need no table", name);
        error_hint(err, "add [runner.%s] with command = [\"PROGRAM\", \"ARGUMENT\"] to cadre.toml", name);
        goto fail;
    }
    if (str_eq(protocol, "native")) {
        error_set(err, ERROR_CONFIG,
                  "runner.%s.protocol: a program speaks \"codex\", \"codex-app-server\" or \"acp\"", name);
        goto fail;
    }
    for (size_t i = 0; i < sizeof box_names / sizeof box_names[0]; i++)
        if (str_eq(box, box_names[i]))
            rc->box = (enum runner_box)i;
    take_command(rc, table);
    if (rc->argv.len == 0) {
        error_set(err, ERROR_CONFIG, "runner.%s has no command", name);
        error_hint(err, "set [runner.%s] command = [\"PROGRAM\", \"ARGUMENT\"] in cadre.toml", name);
        goto fail;
    }
    take_environment(rc, table);
    toml_strings(table, "home_files", &rc->home_files);
    if (check_home_files(rc, table, err) < 0)
        goto fail;
    take_roots(rc, table);
    rc->model = xstrdup(toml_string(table, "model", NULL));
    rc->auth_method = xstrdup(toml_string(table, "auth_method", NULL));
    rc->session_mode = xstrdup(toml_string(table, "session_mode", NULL));
    rc->idle_timeout_seconds = toml_integer(table, "idle_timeout_seconds", DEFAULT_IDLE_SECONDS);
    if (rc->idle_timeout_seconds < 0)
        rc->idle_timeout_seconds = 0;
    return 0;
fail:
    runner_config_finish(rc);
    return -1;
}

void runner_config_finish(struct runner_config *rc)
{
    free(rc->name);
    free(rc->model);
    free(rc->auth_method);
    free(rc->session_mode);
    str_list_finish(&rc->argv);
    str_list_finish(&rc->env);
    str_list_finish(&rc->env_vars);
    str_list_finish(&rc->home_files);
    str_list_finish(&rc->writable_roots);
    *rc = (struct runner_config){0};
}
