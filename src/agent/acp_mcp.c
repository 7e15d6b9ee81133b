/* agent/acp_mcp.c: see acp_mcp.h. */
#include "agent/acp_mcp.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "config/mcp_config.h"

#include <stdlib.h>
#include <string.h>

static void add_pair(json_t *list, const char *name, const char *value)
{
    if (value != NULL)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", name, "value", value));
}

static json_t *stdio_server(const struct mcp_config *server)
{
    json_t *args = json_array();
    json_t *env = json_array();

    for (size_t i = 0; i < server->args.len; i++)
        json_array_append_new(args, json_string(server->args.items[i]));
    for (size_t i = 0; i < server->env_count; i++)
        add_pair(env, server->env[i].name, server->env[i].value);
    for (size_t i = 0; i < server->env_vars.len; i++)
        add_pair(env, server->env_vars.items[i], getenv(server->env_vars.items[i]));
    return json_pack("{s:s, s:s, s:o, s:o}", "name", server->id, "command", server->command, "args", args,
                     "env", env);
}

static json_t *http_server(const struct mcp_config *server)
{
    const char *token = server->bearer_token_env_var == NULL ? NULL : getenv(server->bearer_token_env_var);
    json_t *headers = json_array();

    for (size_t i = 0; i < server->http_header_count; i++)
        add_pair(headers, server->http_headers[i].name, server->http_headers[i].value);
    for (size_t i = 0; i < server->env_http_header_count; i++)
        add_pair(headers, server->env_http_headers[i].name, getenv(server->env_http_headers[i].value));
    if (token != NULL) {
        char *value = xasprintf("Bearer %s", token);

        add_pair(headers, "Authorization", value);
        free(value);
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "type", "http", "name", server->id, "url", server->url,
                     "headers", headers);
}

int acp_mcp_servers(json_t **out, const struct config *c, const struct role *role, struct error *err)
{
    struct mcp_config_list servers = {0};

    *out = NULL;
    if (mcp_config_for_role(&servers, c, role, err) < 0)
        return -1;
    *out = json_array();
    for (size_t i = 0; i < servers.len; i++)
        json_array_append_new(*out, servers.items[i].command != NULL ? stdio_server(&servers.items[i])
                                                                     : http_server(&servers.items[i]));
    mcp_config_list_finish(&servers);
    return 0;
}

json_t *acp_mcp_supported(const json_t *servers, const json_t *agent_capabilities)
{
    const json_t *transports = json_object_get(agent_capabilities, "mcpCapabilities");
    json_t *supported = json_array();
    size_t i;
    json_t *server;

    json_array_foreach (servers, i, server) {
        const char *type = json_get_string(server, "type", NULL);

        if (type == NULL || json_get_bool(transports, type, false))
            json_array_append(supported, server);
    }
    return supported;
}
