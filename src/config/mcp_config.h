/* config/mcp_config.h: [mcp_servers.<id>] as a plain struct, for the whole program or for one role. */
#ifndef CADRE_CONFIG_MCP_CONFIG_H
#define CADRE_CONFIG_MCP_CONFIG_H

#include "base/error.h"
#include "base/str.h"
#include "config/provider_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct role;

struct mcp_config {
    char *id;
    /* stdio */
    char *command; /* NULL for an HTTP server */
    struct str_list args;
    char *cwd;
    struct name_value *env;
    size_t env_count;
    struct str_list env_vars; /* names passed through from our environment */
    /* HTTP */
    char *url; /* NULL for a stdio server */
    char *bearer_token_env_var;
    struct name_value *http_headers;
    size_t http_header_count;
    struct name_value *env_http_headers;
    size_t env_http_header_count;

    bool is_enabled, is_required, has_parallel_calls;
    int64_t startup_timeout_ms; /* default 10000 */
    int64_t tool_timeout_ms;    /* default 60000 */
    bool has_enabled_tools;     /* enabled_tools was given (an empty list means none) */
    struct str_list enabled_tools, disabled_tools;
};

struct mcp_config_list {
    struct mcp_config *items;
    size_t len;
};

/* The enabled servers of ROLE (NULL: all of the configuration). A role without mcp_servers has all; a role
 * with an [mcp_servers] table has those it names, each merged over the configuration's server of that name;
 * [roles.<role>] mcp_servers = ["a"] of cadre.toml picks by name. -1 with ERR set on an entry with neither
 * command nor url, or with both. */
int mcp_config_for_role(struct mcp_config_list *out, const struct config *c, const struct role *role,
                        struct error *err);
void mcp_config_list_finish(struct mcp_config_list *list);

/* A copy for who outlives the list; mcp_config_finish() frees what it holds. */
void mcp_config_copy(struct mcp_config *out, const struct mcp_config *from);
void mcp_config_finish(struct mcp_config *m);

#endif
