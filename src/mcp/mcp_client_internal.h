/* mcp/mcp_client_internal.h: what mcp_client.c (life and calls) and mcp_connect.c (negotiation) share. */
#ifndef CADRE_MCP_MCP_CLIENT_INTERNAL_H
#define CADRE_MCP_MCP_CLIENT_INTERNAL_H

#include "base/vec.h"
#include "mcp/mcp_client.h"
#include "mcp/mcp_transport.h"

enum mcp_client_state { MCP_OFF, MCP_CONNECTING, MCP_READY };

struct mcp_client {
    struct mcp_client_options options;
    enum mcp_client_state state;
    struct mcp_transport *transport;
    struct error ended; /* why the last transport has */
    bool is_stateless;
    bool is_session_server; /* once known, it is not asked again */
    char *version;
    json_t *capabilities;
    struct mcp_tool_list tools;
    struct str_list problems;
    int64_t list_expires_ms; /* 0: never */
    struct vec calls;
    int64_t last_token;
    struct fiber *worker; /* connects, or lists anew */
    struct vec waiters;   /* fibers that wait for the worker's end */
    struct timer *relist_timer;
    struct error failure; /* of the last attempt to connect */
    unsigned failures;
    int64_t next_try_ms;
    int64_t ready_since_ms;
    bool is_closing;
};

/* Opens the transport. */
int mcp_client_open(struct mcp_client *c, struct error *err);
/* Closes it; what waits for an answer on it fails with WHY. */
void mcp_client_drop(struct mcp_client *c, const struct error *why);

/* A request of the negotiation, for the worker. *RESULT and *RPC_ERROR are the caller's (NULL where there is none). */
int mcp_client_fetch(struct mcp_client *c, const char *method, const json_t *params, uint64_t timeout_ms,
                     json_t **result, json_t **rpc_error, struct error *err);

/* Agrees on a revision and lists the tools; in the worker. */
int mcp_client_negotiate(struct mcp_client *c, struct error *err);
int mcp_client_list_tools(struct mcp_client *c, int64_t deadline_ms, struct error *err);

#endif
