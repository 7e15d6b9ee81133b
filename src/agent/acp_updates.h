/* agent/acp_updates.h: what an ACP agent says while a turn runs (session/update), as our item events.
 *
 * Chunks of a message or a thought become one item when another kind of update, another message id or the end of the turn
 * comes. A tool call becomes a command_execution, a file_change or a tool_call by its kind; a plan a todo_list. What an
 * agent reports of its usage is added up: see acp_updates_usage(). Unknown kinds are counted and left out. */
#ifndef CADRE_AGENT_ACP_UPDATES_H
#define CADRE_AGENT_ACP_UPDATES_H

#include "model/usage.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct acp_updates;

struct acp_updates_options {
    void (*emit)(void *data, json_t *event); /* takes it */
    unsigned (*next_item)(void *data);
    void (*on_delta)(void *data, const char *text, size_t n); /* or NULL */
    void *data;
};

struct acp_updates *acp_updates_create(const struct acp_updates_options *options);
void acp_updates_destroy(struct acp_updates *u);

/* A new turn: the last message is forgotten. */
void acp_updates_begin(struct acp_updates *u);
/* Takes the `update` member. False when it is of no known kind. */
bool acp_updates_take(struct acp_updates *u, const json_t *update);
/* The tool call that a permission request names: some agents tell of it there first. */
void acp_updates_tool(struct acp_updates *u, const json_t *tool_call);
/* The turn is over: open items are completed. */
void acp_updates_end(struct acp_updates *u);

/* The text since the last tool call, thought or message id: the last message. "" when there was none. */
const char *acp_updates_message(const struct acp_updates *u);

/* Takes the `usage` of a session/prompt result, or of an update's _meta. */
void acp_updates_add_usage(struct acp_updates *u, const json_t *usage);
/* The turn's usage: the prompt result's, else the sum of what came with updates, else the sum of the context sizes that
 * usage_update reported; money as far as it was reported in US dollars. */
struct usage acp_updates_usage(const struct acp_updates *u);
void acp_updates_prompt_usage(struct acp_updates *u, const json_t *usage);

#endif
