/* tool/mcp_tool.h: the MCP servers of one thread, as tools for its model.
 *
 * The tool list stands in a thread's first request, so the servers of its role are started when the thread is opened
 * (mcp_toolbox_open() waits for them, all at once); those of other roles are not. Tools are ordered by server and name:
 * the same servers give the same bytes. The list of a thread stays as it is for its life. */
#ifndef CADRE_TOOL_MCP_TOOL_H
#define CADRE_TOOL_MCP_TOOL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct mcp_config_list;
struct mcp_pool;
struct mcp_toolbox;
struct tool_set;

struct mcp_toolbox_options { /* borrowed for the call */
    struct loop *loop;
    struct mcp_pool *pool;
    const struct mcp_config_list *servers;
    const char *cwd;
    bool read_only; /* without the tools that say that they write */
    /* A server that is not `required` cannot be used: TEXT says why. May be NULL. */
    void (*on_problem)(void *data, const char *text);
    void *data;
};

/* Starts what is not running yet and waits; for fibers. NULL with ERR: a required server cannot be used, or cancelled. */
struct mcp_toolbox *mcp_toolbox_open(const struct mcp_toolbox_options *options, struct error *err);

/* Adds its tools to SET, which must not outlive the box. */
void mcp_toolbox_add_to(struct mcp_toolbox *box, struct tool_set *set);
size_t mcp_toolbox_tool_count(const struct mcp_toolbox *box);
void mcp_toolbox_close(struct mcp_toolbox *box); /* no call of it is under way; NULL is fine */

#endif
