/* mcp/mcp_pool.h: the MCP servers of a process: threads with the same definition share one server.
 *
 * A definition is what starts or reaches the server (command, arguments, environment, folder; or address and headers);
 * timeouts and tool filters are each thread's own. Nothing is started before a lease is asked to be ready. A server
 * without leases stays for the next thread until the limit needs its place. */
#ifndef CADRE_MCP_MCP_POOL_H
#define CADRE_MCP_MCP_POOL_H

#include "base/error.h"

#include <stddef.h>

struct http_client;
struct loop;
struct mcp_client;
struct mcp_config;
struct mcp_lease;
struct mcp_pool;

/* MAX_SERVERS 0: 16. */
struct mcp_pool *mcp_pool_create(struct loop *loop, struct http_client *http, size_t max_servers);

/* Every lease was released before. In a fiber the servers are given a moment to end by themselves. NULL is fine. */
void mcp_pool_destroy(struct mcp_pool *pool);
size_t mcp_pool_server_count(const struct mcp_pool *pool);

/* CWD (absolute) is named by roots/list as long as the lease is held. May wait for an idle server to end. NULL with
 * ERR (ERROR_LIMIT) when all places are in use. */
struct mcp_lease *mcp_pool_acquire(struct mcp_pool *pool, const struct mcp_config *config, const char *cwd,
                                   struct error *err);
struct mcp_client *mcp_lease_client(const struct mcp_lease *lease);
void mcp_lease_release(struct mcp_lease *lease); /* NULL is fine */

#endif
