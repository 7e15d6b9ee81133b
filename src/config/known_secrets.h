/* config/known_secrets.h: which values of the configuration and of the environment are secret.
 *
 * They are registered with base/redact, so that they are in nothing the program writes; and the variables that hold the
 * program's own credentials are not passed on to commands (config/shell_environment). */
#ifndef CADRE_CONFIG_KNOWN_SECRETS_H
#define CADRE_CONFIG_KNOWN_SECRETS_H

struct config;
struct mcp_config;
struct str_list;

/* Registers: keys and tokens of providers and MCP servers (literal, by variable, in headers, in a URL), `env_vars`,
 * `[ci.secrets]`, what `codex login` stored, and variables of ENVIRONMENT whose names say that they are secret. */
void known_secrets_register(const struct config *c, char *const *environment);

/* The same for one MCP server: a role's file may define its own. */
void known_secrets_register_server(const struct mcp_config *server);

/* Names of the variables that the configuration reads credentials from. Appends to NAMES. */
void known_secret_variables(const struct config *c, struct str_list *names);

#endif
