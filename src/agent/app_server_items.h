/* agent/app_server_items.h: the items of `codex app-server` in the shape of `codex exec --json`. */
#ifndef CADRE_AGENT_APP_SERVER_ITEMS_H
#define CADRE_AGENT_APP_SERVER_ITEMS_H

#include "model/usage.h"

#include <jansson.h>

/* ITEM as an item of ours without its id, bounded; NULL for one that is of no interest (the user's message). A new
 * reference. */
json_t *app_server_item(const json_t *item);

/* The plan of turn/plan/updated as a todo_list. */
json_t *app_server_todo_list(const json_t *plan);

/* A `tokenUsage.total`. */
struct usage app_server_usage(const json_t *total);

#endif
