/* agent/acp_client.h: our side of one ACP session: answers what the agent asks, and turns what it says into events.
 *
 *   session/request_permission   decided by `decide`, or by a person at the desk; the answer recorded as approval.requested and approval.resolved
 *   fs/read_text_file, fs/write_text_file   by sandbox/safe_path, inside the worktree alone
 *   terminal/...                 agent/acp_terminals.h
 *   session/update               agent/acp_updates.h
 *   anything else                "Method not found"
 *
 * A message that names another session is refused. The owner (agent/runner_acp.c) brings the bytes and sends our own
 * requests. */
#ifndef CADRE_AGENT_ACP_CLIENT_H
#define CADRE_AGENT_ACP_CLIENT_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

struct acp_client;
struct approval_desk;
struct acp_updates;
struct jsonrpc_options;
struct loop;
struct sandbox_policy;

/* What an agent wants to do. Strings are borrowed and not NULL. */
struct acp_permission {
    const char *title;
    const char *kind; /* "edit", "execute", ... or "other" */
    bool has_paths;   /* it names files */
    bool is_inside;   /* and all are inside the worktree */
};

struct acp_client_options {
    struct loop *loop;
    const struct sandbox_policy *policy; /* of the role; its cwd is the worktree. Borrowed */
    const char *const *command_env;      /* of terminals; borrowed */
    bool has_terminals;                  /* else terminal/... is refused */
    /* Allows or rejects; *REASON (static text) goes into the event. */
    bool (*decide)(void *data, const struct acp_permission *permission, const char **reason);
    void (*emit)(void *data, json_t *event); /* takes it */
    unsigned (*next_item)(void *data);
    void (*on_delta)(void *data, const char *text, size_t n);
    void (*on_progress)(void *data);
    const struct approval_desk *desk; /* asks a person for what `decide` neither allows nor rules out; or NULL */
    const char *thread, *role, *task; /* for the desk; TASK may be NULL; borrowed */
    void *data;
};

/* NULL with ERR set when the worktree cannot be opened. */
struct acp_client *acp_client_create(const struct acp_client_options *options, struct error *err);
void acp_client_destroy(struct acp_client *client); /* after the connection; NULL is fine */

/* Sets the callbacks of OPTIONS. */
void acp_client_serve(struct acp_client *client, struct jsonrpc_options *options);

/* The turn is stopped: what a person was asked is answered as cancelled. */
void acp_client_cancel(struct acp_client *client);

/* The session that messages have to name; before it is set every one is refused. */
void acp_client_set_session(struct acp_client *client, const char *session);
struct acp_updates *acp_client_updates(struct acp_client *client);

#endif
