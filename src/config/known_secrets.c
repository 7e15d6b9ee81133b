/* config/known_secrets.c: see known_secrets.h. Reads the tables as they are: a wrong entry elsewhere in them must not
 * leave a secret unknown. */
#include "config/known_secrets.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/str.h"
#include "config/config.h"
#include "config/mcp_config.h"
#include "config/provider_config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LOGIN_MAX_BYTES ((size_t)1 << 20)

static void add_name(struct str_list *names, const char *name)
{
    if (!str_is_empty(name) && !str_list_has(names, name))
        str_list_add(names, name);
}

/* The string values of TABLE are names of variables. */
static void add_values(struct str_list *names, const struct toml_value *table)
{
    struct name_value *pairs;
    size_t n = name_values_take(&pairs, table);

    for (size_t i = 0; i < n; i++)
        add_name(names, pairs[i].value);
    name_values_free(pairs, n);
}

/* A variable's value that is worth hiding: no path, no number, no plain word. */
static bool looks_secret(const char *value)
{
    bool lower = false, upper = false, digit = false, other = false;

    if (value[0] == '/' || value[0] == '~')
        return false;
    for (const char *p = value; *p != '\0'; p++) {
        lower = lower || islower((unsigned char)*p);
        upper = upper || isupper((unsigned char)*p);
        digit = digit || isdigit((unsigned char)*p);
        other = other || !isalnum((unsigned char)*p);
    }
    return lower + upper + digit + other >= 2;
}

/* What a server is given may also be an ordinary setting such as PATH. */
static bool is_secret_variable(const char *name, const char *value)
{
    return (redact_is_secret_name(name, strlen(name)) || (value != NULL && looks_secret(value))) &&
           strncmp(name, "LC_", 3) != 0 && strcmp(name, "LANG") != 0 && strcmp(name, "PATH") != 0;
}

/* `env_vars`: names, or tables with a name. */
static void add_list(struct str_list *names, const struct toml_value *list)
{
    for (size_t i = 0; list != NULL && list->type == TOML_ARRAY && i < list->as.array.len; i++) {
        const struct toml_value *item = list->as.array.items[i];
        const char *name = item->type == TOML_STRING ? item->as.string.bytes : toml_string(item, "name", NULL);

        if (name != NULL && is_secret_variable(name, getenv(name)))
            add_name(names, name);
    }
}

void known_secret_variables(const struct config *c, struct str_list *names)
{
    static const char *const groups[] = {"model_providers", "mcp_servers", "runner"};
    struct str_list ids = {0};

    provider_config_list(c, &ids); /* the built-in ones too */
    for (size_t i = 0; i < ids.len; i++) {
        struct provider_config *p = provider_config_get(c, ids.items[i], NULL);

        add_name(names, p == NULL ? NULL : p->env_key);
        provider_config_destroy(p);
    }
    str_list_finish(&ids);
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        const struct toml_value *group = config_table(c, groups[g]);

        for (size_t i = 0; group != NULL && i < group->as.table.len; i++) {
            const struct toml_value *entry = group->as.table.members[i].value;

            if (entry->type != TOML_TABLE)
                continue;
            add_name(names, toml_string(entry, "env_key", NULL));
            add_name(names, toml_string(entry, "bearer_token_env_var", NULL));
            add_values(names, toml_get(entry, "env_http_headers"));
            add_list(names, toml_get(entry, "env_vars"));
        }
    }
    add_values(names, config_table(c, "ci.secrets"));
}

/* --- Values ----------------------------------------------------------------------------------------------------------- */

/* VALUE, when its name says that it is secret. */
static void register_pair(const char *name, const char *value)
{
    const char *space = strchr(value, ' ');

    if (!redact_is_secret_name(name, strlen(name)))
        return;
    redact_add(value);
    redact_add(space == NULL ? NULL : space + 1); /* "Bearer TOKEN" */
}

static void register_pairs(const struct toml_value *table)
{
    struct name_value *pairs;
    size_t n = name_values_take(&pairs, table);

    for (size_t i = 0; i < n; i++)
        register_pair(pairs[i].name, pairs[i].value);
    name_values_free(pairs, n);
}

/* The password of "scheme://user:password@host". */
static void register_url(const char *url)
{
    const char *start = url == NULL ? NULL : strstr(url, "://");
    const char *at, *colon;
    char *password;

    if (start == NULL || (at = memchr(start + 3, '@', strcspn(start + 3, "/ "))) == NULL ||
        (colon = memchr(start + 3, ':', (size_t)(at - start - 3))) == NULL)
        return;
    password = xstrndup(colon + 1, (size_t)(at - colon - 1));
    redact_add(password);
    free(password);
}

static void register_configured(const struct config *c)
{
    static const char *const groups[] = {"model_providers", "mcp_servers", "runner"};

    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        const struct toml_value *group = config_table(c, groups[g]);

        for (size_t i = 0; group != NULL && i < group->as.table.len; i++) {
            const struct toml_value *entry = group->as.table.members[i].value;

            if (entry->type != TOML_TABLE)
                continue;
            redact_add(toml_string(entry, "experimental_bearer_token", NULL));
            redact_add(toml_string(entry, "bearer_token", NULL));
            register_url(toml_string(entry, "base_url", NULL));
            register_url(toml_string(entry, "url", NULL));
            register_pairs(toml_get(entry, "http_headers"));
            register_pairs(toml_get(entry, "query_params"));
            register_pairs(toml_get(entry, "env"));
        }
    }
    register_pairs(config_table(c, "shell_environment_policy.set"));
}

static void register_strings(json_t *value)
{
    if (json_is_string(value)) {
        redact_add(json_string_value(value));
        return;
    }
    for (void *at = json_object_iter(value); at != NULL; at = json_object_iter_next(value, at)) {
        const char *key = json_object_iter_key(at);
        json_t *member = json_object_iter_value(at);

        if (json_is_object(member) || redact_is_secret_name(key, strlen(key)))
            register_strings(member);
    }
}

/* What `codex login` keeps: a key or tokens. */
static void register_login(const struct config *c)
{
    char *path = path_join(config_codex_home(c), "auth.json");
    struct buf text = BUF_INIT;
    json_t *root;

    if (file_is_regular(path) && file_read(path, &text, LOGIN_MAX_BYTES, NULL) == 0) {
        root = json_parse(buf_cstr(&text), text.len, "auth.json", NULL);
        register_strings(root);
        json_decref(root);
    }
    buf_free(&text);
    free(path);
}

void known_secrets_register(const struct config *c, char *const *environment)
{
    struct str_list names = {0};

    known_secret_variables(c, &names);
    for (size_t i = 0; environment[i] != NULL; i++) {
        const char *entry = environment[i];
        size_t n = strcspn(entry, "=");
        char *name = xstrndup(entry, n);
        const char *value = entry[n] == '=' ? entry + n + 1 : "";

        if (str_list_has(&names, name) || (redact_is_secret_name(name, n) && looks_secret(value)))
            redact_add(value);
        register_url(value);
        free(name);
    }
    str_list_finish(&names);
    register_configured(c);
    register_login(c);
}

void known_secrets_register_server(const struct mcp_config *m)
{
    for (size_t i = 0; i < m->env_vars.len; i++) {
        const char *name = m->env_vars.items[i];
        const char *value = getenv(name);

        if (value != NULL && is_secret_variable(name, value))
            redact_add(value);
    }
    for (size_t i = 0; i < m->env_count; i++)
        register_pair(m->env[i].name, m->env[i].value);
    for (size_t i = 0; i < m->http_header_count; i++)
        register_pair(m->http_headers[i].name, m->http_headers[i].value);
    for (size_t i = 0; i < m->env_http_header_count; i++)
        redact_add(getenv(m->env_http_headers[i].value));
    if (m->bearer_token_env_var != NULL)
        redact_add(getenv(m->bearer_token_env_var));
    register_url(m->url);
}
