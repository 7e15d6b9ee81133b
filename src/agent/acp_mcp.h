/* agent/acp_mcp.h: the MCP servers of a role in the form of ACP's session/new. */
#ifndef CADRE_AGENT_ACP_MCP_H
#define CADRE_AGENT_ACP_MCP_H

#include "base/error.h"

#include <jansson.h>

struct config;
struct role;

/* *OUT: a JSON array, the caller's. Variables and tokens that the configuration names are filled in from our environment.
 * -1 with ERR set when the configuration of a server is wrong. */
int acp_mcp_servers(json_t **out, const struct config *c, const struct role *role, struct error *err);

/* SERVERS without those of a transport that AGENT_CAPABILITIES does not name; a new reference. */
json_t *acp_mcp_supported(const json_t *servers, const json_t *agent_capabilities);

#endif
