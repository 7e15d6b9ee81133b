/* config/provider_config.h: [model_providers.<id>] as a plain struct, with the built-in providers: the one table of them. */
#ifndef CADRE_CONFIG_PROVIDER_CONFIG_H
#define CADRE_CONFIG_PROVIDER_CONFIG_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct toml_value;

enum provider_wire { PROVIDER_WIRE_RESPONSES, PROVIDER_WIRE_CHAT, PROVIDER_WIRE_MESSAGES };

struct name_value {
    char *name, *value;
};

struct provider_config {
    char *id;
    char *name;
    char *base_url; /* without a trailing slash */
    char *env_key;  /* the variable that holds the key, or NULL */
    char *env_key_instructions;
    char *bearer_token; /* experimental_bearer_token, or NULL; secret */
    enum provider_wire wire;
    struct name_value *query_params;
    size_t query_param_count;
    struct name_value *http_headers; /* fixed values */
    size_t http_header_count;
    struct name_value *env_http_headers; /* value: the variable to read */
    size_t env_http_header_count;
    int request_max_retries;        /* default 4 */
    int stream_max_retries;         /* default 5 */
    int64_t stream_idle_timeout_ms; /* default 300000 */
    bool requires_openai_auth;
    char *auth_command; /* prints a token on standard output, or NULL */
    struct str_list auth_args;
    char *auth_cwd;
    int64_t auth_timeout_ms;
    int64_t auth_refresh_interval_ms;
    bool is_builtin;
};

/* The provider ID (NULL: the configured `model_provider`). NULL with ERR set when unknown (the nearest is
 * named) or without a base_url. The caller destroys it. */
struct provider_config *provider_config_get(const struct config *c, const char *id, struct error *err);
void provider_config_destroy(struct provider_config *p);

/* The strings of a TOML table as a list (returns its length; free with name_values_free). */
size_t name_values_take(struct name_value **out, const struct toml_value *table);
void name_values_free(struct name_value *list, size_t n);

/* The model that a built-in provider on this machine (`--oss`: ollama, lmstudio) is asked for when nobody names
 * one; NULL for every other ID. */
const char *provider_config_local_model(const char *id);

/* The ids of all providers, built-in ones first. */
void provider_config_list(const struct config *c, struct str_list *ids);

#endif
