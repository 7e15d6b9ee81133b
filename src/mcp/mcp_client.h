/* mcp/mcp_client.h: one server: negotiation, its tools, calls, and a new start when it has ended.
 *
 *          mcp_client_connect(), or a call                    agreed, tools listed
 *    OFF --------------------------------> CONNECTING ----------------------------> READY
 *     ^                                        | failed                               | ended, died, flooded
 *     +----------------------------------------+--------------------------------------+
 *
 * After a failure it is not started again before a delay is over that grows with each failure; a server that has
 * ended after it was ready is started again at once the first time. Calls made while it connects wait for it within
 * their own time. */
#ifndef CADRE_MCP_MCP_CLIENT_H
#define CADRE_MCP_MCP_CLIENT_H

#include "base/error.h"
#include "base/str.h"
#include "mcp/mcp_message.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct http_client;
struct loop;
struct mcp_call;
struct mcp_client;
struct mcp_config;

struct mcp_client_options {
    struct loop *loop;
    struct http_client *http;        /* for servers with a URL */
    const struct mcp_config *config; /* borrowed for the client's life */
    const struct str_list *roots; /* absolute folders that roots/list names; borrowed for the client's life */
};

struct mcp_client *mcp_client_create(const struct mcp_client_options *options);

/* Kills the server at once; calls get no callback. May wait for a step of its own to end. NULL is fine. */
void mcp_client_destroy(struct mcp_client *client);

/* Lets the server end by itself: closes its standard input, or ends its session. Calls get no callback. */
void mcp_client_shut(struct mcp_client *client);
bool mcp_client_is_connected(const struct mcp_client *client);

/* Starts it if it is off, and waits until it is ready; for fibers. -1 with ERR: what is wrong with it. */
int mcp_client_connect(struct mcp_client *client, struct error *err);

/* What it offers: valid until the next wait. Empty when it is not ready. */
const struct mcp_tool_list *mcp_client_tools(const struct mcp_client *client);
/* Does it have "resources", "prompts"? */
bool mcp_client_offers(const struct mcp_client *client, const char *what);
/* The revision that was agreed, or NULL. */
const char *mcp_client_version(const struct mcp_client *client);
/* Tools that were left out of the list, and why. */
const struct str_list *mcp_client_problems(const struct mcp_client *client);

/* The folders have changed. */
void mcp_client_roots_changed(struct mcp_client *client);

struct mcp_call_options {
    const char *method;
    const json_t *params;           /* or NULL; copied */
    const char *name;               /* of the tool, resource or prompt, for a header; or NULL */
    const struct str_list *headers; /* mcp_tool_headers(), or NULL; copied */
    uint64_t timeout_ms;            /* in all; 0: none */
    /* RESULT, or ERR. Not after mcp_call_cancel(). */
    void (*on_done)(void *data, const json_t *result, const struct error *err);
    void *data;
};

/* Never calls back from within. Requests of the server for input are answered by policy. */
struct mcp_call *mcp_client_call(struct mcp_client *client, const struct mcp_call_options *options);
void mcp_call_cancel(struct mcp_call *call); /* tells the server; NULL is fine */

#endif
