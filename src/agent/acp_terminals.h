/* agent/acp_terminals.h: the terminals that an ACP agent asks of us: commands in the sandbox of its role.
 *
 * A command is run as our own threads' are: under the role's policy and environment, without the network unless the role has
 * it. At most 16 at a time; output is kept up to a limit, its beginning is dropped. */
#ifndef CADRE_AGENT_ACP_TERMINALS_H
#define CADRE_AGENT_ACP_TERMINALS_H

#include <jansson.h>
#include <stdbool.h>

struct acp_terminals;
struct jsonrpc_call;
struct loop;
struct sandbox_policy;

/* POLICY and ENV are borrowed. */
struct acp_terminals *acp_terminals_create(struct loop *loop, const struct sandbox_policy *policy,
                                           const char *const *env);
/* Kills what runs. Calls that wait are forgotten: end the connection first. NULL is fine. */
void acp_terminals_destroy(struct acp_terminals *terminals);

/* Answers a `terminal/...` call, now or when the command ends; false when METHOD is none of them. */
bool acp_terminals_call(struct acp_terminals *terminals, struct jsonrpc_call *call, const char *method,
                        const json_t *params);

#endif
