/* config/provider_config.c: see provider_config.h. */
#include "config/provider_config.h"

#include "base/alloc.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *id, *name, *base_url, *env_key;
    enum provider_wire wire;
    const char *local_model; /* as Codex asks them with --oss; NULL: not on this machine */
} builtin[] = {
    {"openai", "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", PROVIDER_WIRE_RESPONSES, NULL},
    {"anthropic", "Anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", PROVIDER_WIRE_MESSAGES, NULL},
    {"ollama", "Ollama", "http://localhost:11434/v1", NULL, PROVIDER_WIRE_RESPONSES, "gpt-oss:20b"},
    {"lmstudio", "LM Studio", "http://localhost:1234/v1", NULL, PROVIDER_WIRE_RESPONSES, "openai/gpt-oss-20b"},
};

#define BUILTIN_COUNT (sizeof builtin / sizeof builtin[0])

const char *provider_config_local_model(const char *id)
{
    for (size_t i = 0; i < BUILTIN_COUNT; i++)
        if (strcmp(builtin[i].id, id) == 0)
            return builtin[i].local_model;
    return NULL;
}

size_t name_values_take(struct name_value **out, const struct toml_value *table)
{
    size_t n = 0;

    *out = NULL;
    if (table == NULL || table->type != TOML_TABLE)
        return 0;
    *out = xcalloc(table->as.table.len + 1, sizeof **out);
    for (size_t i = 0; i < table->as.table.len; i++) {
        const struct toml_member *m = &table->as.table.members[i];

        if (m->value->type != TOML_STRING)
            continue;
        (*out)[n].name = xstrdup(m->key);
        (*out)[n].value = xstrdup(m->value->as.string.bytes);
        n++;
    }
    return n;
}

void name_values_free(struct name_value *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].name);
        free(list[i].value);
    }
    free(list);
}

static void put(char **slot, const char *value)
{
    if (value == NULL)
        return;
    free(*slot);
    *slot = xstrdup(value);
}

static int take_int(const struct toml_value *t, const char *key, int fallback)
{
    int64_t v = toml_integer(t, key, fallback);

    return v < 0 ? 0 : v > 100 ? 100 : (int)v;
}

static void take_table(struct provider_config *p, const struct toml_value *t)
{
    const struct toml_value *auth = toml_get(t, "auth");
    const char *wire = toml_string(t, "wire_api", NULL);

    put(&p->name, toml_string(t, "name", NULL));
    put(&p->base_url, toml_string(t, "base_url", NULL));
    put(&p->env_key, toml_string(t, "env_key", NULL));
    put(&p->env_key_instructions, toml_string(t, "env_key_instructions", NULL));
    put(&p->bearer_token, toml_string(t, "experimental_bearer_token", NULL));
    if (wire != NULL)
        p->wire = strcmp(wire, "chat") == 0       ? PROVIDER_WIRE_CHAT
                  : strcmp(wire, "messages") == 0 ? PROVIDER_WIRE_MESSAGES
                                                  : PROVIDER_WIRE_RESPONSES;
    p->query_param_count = name_values_take(&p->query_params, toml_get(t, "query_params"));
    p->http_header_count = name_values_take(&p->http_headers, toml_get(t, "http_headers"));
    p->env_http_header_count = name_values_take(&p->env_http_headers, toml_get(t, "env_http_headers"));
    p->request_max_retries = take_int(t, "request_max_retries", 4);
    p->stream_max_retries = take_int(t, "stream_max_retries", 5);
    p->stream_idle_timeout_ms = toml_integer(t, "stream_idle_timeout_ms", 300000);
    p->requires_openai_auth = toml_boolean(t, "requires_openai_auth", p->requires_openai_auth);
    put(&p->auth_command, toml_string(auth, "command", NULL));
    toml_strings(auth, "args", &p->auth_args);
    put(&p->auth_cwd, toml_string(auth, "cwd", NULL));
    p->auth_timeout_ms = toml_integer(auth, "timeout_ms", 5000);
    p->auth_refresh_interval_ms = toml_integer(auth, "refresh_interval_ms", 300000);
    if (p->requires_openai_auth && p->env_key == NULL)
        put(&p->env_key, "OPENAI_API_KEY");
}

struct provider_config *provider_config_get(const struct config *c, const char *id, struct error *err)
{
    const struct toml_value *table;
    struct provider_config *p;
    size_t n;

    if (id == NULL)
        id = config_string(c, "model_provider");
    table = toml_get(config_table(c, "model_providers"), id);
    p = xcalloc(1, sizeof *p);
    p->id = xstrdup(id);
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        if (strcmp(builtin[i].id, id) != 0)
            continue;
        p->is_builtin = true;
        put(&p->name, builtin[i].name);
        put(&p->base_url, builtin[i].base_url);
        put(&p->env_key, builtin[i].env_key);
        p->wire = builtin[i].wire;
        if (i == 0) {
            p->requires_openai_auth = true;
            put(&p->base_url, config_string(c, "openai_base_url"));
        }
    }
    if (table == NULL && !p->is_builtin) {
        struct str_list ids = {0};
        const char *near;

        provider_config_list(c, &ids);
        near = str_nearest(id, (const char *const *)ids.items);
        error_set(err, ERROR_CONFIG, "there is no model provider \"%s\"", id);
        if (near != NULL)
            error_hint(err, "did you mean \"%s\"?", near);
        else
            error_hint(err, "declare it with [model_providers.%s] and a base_url", id);
        str_list_finish(&ids);
        goto fail;
    }
    take_table(p, table);
    if (p->base_url == NULL || p->base_url[0] == '\0') {
        struct config_origin at = config_value_origin(c, table);

        error_set_at(err, ERROR_CONFIG, at.file != NULL ? at.file : "-c", at.line, at.column,
                     "model provider \"%s\" has no base_url", id);
        goto fail;
    }
    n = strlen(p->base_url);
    while (n > 0 && p->base_url[n - 1] == '/')
        p->base_url[--n] = '\0';
    return p;
fail:
    provider_config_destroy(p);
    return NULL;
}

void provider_config_destroy(struct provider_config *p)
{
    if (p == NULL)
        return;
    free(p->id);
    free(p->name);
    free(p->base_url);
    free(p->env_key);
    free(p->env_key_instructions);
    free(p->bearer_token);
    name_values_free(p->query_params, p->query_param_count);
    name_values_free(p->http_headers, p->http_header_count);
    name_values_free(p->env_http_headers, p->env_http_header_count);
    free(p->auth_command);
    str_list_finish(&p->auth_args);
    free(p->auth_cwd);
    free(p);
}

void provider_config_list(const struct config *c, struct str_list *ids)
{
    const struct toml_value *t = config_table(c, "model_providers");

    for (size_t i = 0; i < BUILTIN_COUNT; i++)
        str_list_add(ids, builtin[i].id);
    for (size_t i = 0; t != NULL && i < t->as.table.len; i++)
        if (!str_list_has(ids, t->as.table.members[i].key))
            str_list_add(ids, t->as.table.members[i].key);
}
