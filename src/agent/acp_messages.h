/* agent/acp_messages.h: the messages that we send as an ACP v1 client, as JSON text (the caller frees), and the choice of an
 * answer to a permission request. tests/e2e/acp_schema checks them all against the protocol's schema. */
#ifndef CADRE_AGENT_ACP_MESSAGES_H
#define CADRE_AGENT_ACP_MESSAGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ACP_PROTOCOL_VERSION 1
#define ACP_AUTH_REQUIRED    (-32000)

char *acp_initialize_params(bool can_write);
char *acp_authenticate_params(const char *method_id);
/* MCP_SERVERS: a JSON array, or NULL for none. */
char *acp_new_session_params(const char *cwd, const json_t *mcp_servers);
char *acp_prompt_params(const char *session, const char *text);
char *acp_cancel_params(const char *session);
char *acp_set_mode_params(const char *session, const char *mode);
char *acp_set_option_params(const char *session, const char *option, const char *value);

/* Results of what an agent asks of us. */
char *acp_permission_result(const char *option_id); /* NULL: cancelled */
char *acp_read_result(const char *text, size_t n);
char *acp_terminal_created_result(const char *terminal);
/* HAS_ENDED: with the exit status; SIGNAL 0: by EXIT_CODE. */
char *acp_terminal_output_result(const char *text, size_t n, bool truncated, bool has_ended, int exit_code,
                                 int signal);
char *acp_terminal_exit_result(int exit_code, int signal);

/* The id of the option that allows (once, else always) or rejects (once, else always); NULL when none is offered. */
const char *acp_pick_option(const json_t *options, bool allow);

#endif
