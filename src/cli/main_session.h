/* cli/main_session.h: a main thread with everything around it, for `cadre` and `cadre exec`: configuration, roles,
 * office, agent tree, and the folder where the session is kept. */
#ifndef CADRE_CLI_MAIN_SESSION_H
#define CADRE_CLI_MAIN_SESSION_H

#include "agent/agent_tree.h"

#include <jansson.h>
#include <stdbool.h>

struct cli_context;
struct config;
struct inbox;
struct main_session;
struct session_head;

struct main_session_options {
    const struct cli_context *ctx;
    const char *role; /* NULL: that of a resumed session, or "default" */
    bool is_ephemeral;
    bool is_attended; /* a person at this terminal answers approvals */
    const struct session_head *resumed; /* NULL: a new one */
    const char *output_schema;
    void (*on_event)(void *data, json_t *event);
    void (*on_text_delta)(void *data, const char *text, size_t n); /* NULL: not wanted */
    void (*on_change)(void *data); /* an agent's status; may be NULL */
    void *data;
};

/* Waits. NULL with ERR set. */
struct main_session *main_session_open(const struct main_session_options *options, struct error *err);
void main_session_close(struct main_session *session); /* waits; NULL is fine */

struct agent_tree *main_session_tree(struct main_session *session);
struct inbox *main_session_inbox(const struct main_session *session); /* what waits for a person */
const struct config *main_session_config(const struct main_session *session);
const char *main_session_id(const struct main_session *session);

/* Is EVENT of the main thread of TREE? While the tree is being opened (NULL) every event is. */
bool main_session_is_main(const struct agent_tree *tree, const json_t *event);

#endif
