/* config/mcp_config.c: see mcp_config.h. */
#include "config/mcp_config.h"

#include "base/alloc.h"
#include "config/config.h"
#include "config/config_state.h"
#include "config/role.h"

#include <stdlib.h>
#include <string.h>

static char *text(const struct toml_value *t, const char *key)
{
    return xstrdup(toml_string(t, key, NULL));
}

/* Names, or tables {name, source}. */
static void take_env_vars(struct str_list *out, const struct toml_value *list)
{
    if (list == NULL || list->type != TOML_ARRAY)
        return;
    for (size_t i = 0; i < list->as.array.len; i++) {
        const struct toml_value *item = list->as.array.items[i];
        const char *name =
            item->type == TOML_STRING ? item->as.string.bytes : toml_string(item, "name", NULL);

        if (name != NULL && name[0] != '\0')
            str_list_add(out, name);
    }
}

static int64_t timeout_ms(const struct toml_value *t, const char *in_ms, const char *in_seconds,
                          int64_t fallback)
{
    double seconds = toml_number(t, in_seconds, -1);
    int64_t ms = in_ms != NULL ? toml_integer(t, in_ms, -1) : -1;

    if (ms < 0 && seconds >= 0 && seconds < 1e9)
        ms = (int64_t)(seconds * 1000);
    return ms >= 0 ? ms : fallback;
}

static int take_server(struct mcp_config *m, const char *id, const struct toml_value *t, const char *file,
                       struct error *err)
{
    memset(m, 0, sizeof *m);
    m->id = xstrdup(id);
    m->command = text(t, "command");
    toml_strings(t, "args", &m->args);
    m->cwd = text(t, "cwd");
    m->env_count = name_values_take(&m->env, toml_get(t, "env"));
    take_env_vars(&m->env_vars, toml_get(t, "env_vars"));
    m->url = text(t, "url");
    m->bearer_token_env_var = text(t, "bearer_token_env_var");
    m->http_header_count = name_values_take(&m->http_headers, toml_get(t, "http_headers"));
    m->env_http_header_count = name_values_take(&m->env_http_headers, toml_get(t, "env_http_headers"));
    m->is_enabled = toml_boolean(t, "enabled", true);
    m->is_required = toml_boolean(t, "required", false);
    m->has_parallel_calls = toml_boolean(t, "supports_parallel_tool_calls", false);
    m->startup_timeout_ms = timeout_ms(t, "startup_timeout_ms", "startup_timeout_sec", 10000);
    m->tool_timeout_ms = timeout_ms(t, NULL, "tool_timeout_sec", 60000);
    m->has_enabled_tools = toml_get(t, "enabled_tools") != NULL;
    toml_strings(t, "enabled_tools", &m->enabled_tools);
    toml_strings(t, "disabled_tools", &m->disabled_tools);
    if (m->is_enabled && (m->command == NULL) == (m->url == NULL))
        return error_set_at(err, ERROR_CONFIG, file, t->line, t->column,
                            "mcp_servers.%s needs either `command` or `url`", id);
    return 0;
}

void mcp_config_finish(struct mcp_config *m)
{
    free(m->id);
    free(m->command);
    str_list_finish(&m->args);
    free(m->cwd);
    name_values_free(m->env, m->env_count);
    str_list_finish(&m->env_vars);
    free(m->url);
    free(m->bearer_token_env_var);
    name_values_free(m->http_headers, m->http_header_count);
    name_values_free(m->env_http_headers, m->env_http_header_count);
    str_list_finish(&m->enabled_tools);
    str_list_finish(&m->disabled_tools);
}

static struct name_value *copy_pairs(const struct name_value *list, size_t n)
{
    struct name_value *copy = xcalloc(n + 1, sizeof *copy);

    for (size_t i = 0; i < n; i++)
        copy[i] = (struct name_value){xstrdup(list[i].name), xstrdup(list[i].value)};
    return copy;
}

void mcp_config_copy(struct mcp_config *out, const struct mcp_config *from)
{
    *out = *from;
    out->id = xstrdup(from->id);
    out->command = xstrdup(from->command);
    out->cwd = xstrdup(from->cwd);
    out->url = xstrdup(from->url);
    out->bearer_token_env_var = xstrdup(from->bearer_token_env_var);
    out->env = copy_pairs(from->env, from->env_count);
    out->http_headers = copy_pairs(from->http_headers, from->http_header_count);
    out->env_http_headers = copy_pairs(from->env_http_headers, from->env_http_header_count);
    out->args = out->env_vars = out->enabled_tools = out->disabled_tools = (struct str_list){0};
    str_list_copy(&out->args, &from->args);
    str_list_copy(&out->env_vars, &from->env_vars);
    str_list_copy(&out->enabled_tools, &from->enabled_tools);
    str_list_copy(&out->disabled_tools, &from->disabled_tools);
}

void mcp_config_list_finish(struct mcp_config_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        mcp_config_finish(&list->items[i]);
    free(list->items);
    list->items = NULL;
    list->len = 0;
}

int mcp_config_for_role(struct mcp_config_list *out, const struct config *c, const struct role *role,
                        struct error *err)
{
    const struct toml_value *all = config_table(c, "mcp_servers");
    struct toml_value *servers = all != NULL ? toml_copy(all) : toml_new(TOML_TABLE);
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (role != NULL && role->mcp_servers != NULL)
        config_merge(servers, role->mcp_servers);
    out->items = xcalloc(servers->as.table.len + 1, sizeof *out->items);
    for (size_t i = 0; i < servers->as.table.len; i++) {
        const struct toml_member *m = &servers->as.table.members[i];
        bool is_own = role != NULL && toml_get(role->mcp_servers, m->key) != NULL;
        const char *file = is_own && role->file != NULL ? role->file : config_value_origin(c, m->value).file;

        if (m->value->type != TOML_TABLE ||
            (role != NULL && role->has_mcp_servers && !str_list_has(&role->mcp_server_names, m->key)))
            continue;
        if (take_server(&out->items[out->len++], m->key, m->value, file != NULL ? file : "-c", err) < 0)
            goto out;
        if (!out->items[out->len - 1].is_enabled)
            mcp_config_finish(&out->items[--out->len]);
    }
    rc = 0;
out:
    if (rc < 0)
        mcp_config_list_finish(out);
    toml_free(servers);
    return rc;
}
