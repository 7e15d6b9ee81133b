/* cli/settings.c: see settings.h. */
#include "cli/settings.h"

#include "base/log.h"
#include "base/str.h"
#include "cli/command.h"
#include "config/config.h"
#include "config/known_secrets.h"
#include "config/role.h"

#include <unistd.h>

/* Strict means every role file too, also those that no thread would open. */
static int check_roles(const struct config *config, struct error *err)
{
    struct role_registry *roles = role_registry_create(config);
    struct str_list problems = {0};
    int rc = 0;

    if (role_registry_check(roles, &problems) > 0)
        rc = error_set(err, ERROR_CONFIG, "%s", problems.items[0]);
    else if (role_registry_warnings(roles)->len > 0)
        rc = error_set(err, ERROR_CONFIG, "%s", role_registry_warnings(roles)->items[0]);
    str_list_finish(&problems);
    role_registry_destroy(roles);
    return rc;
}

struct config *cli_load_config(const struct cli_context *ctx, struct error *err)
{
    struct config_options options = {
        .profile = ctx->profile,
        .overrides = &ctx->overrides,
        .model = ctx->model,
        .strict = ctx->strict_config,
        .oss = ctx->oss,
        .local_provider = ctx->local_provider,
    };
    struct config *config = config_load(&options, err);
    struct str_list lines = {0};

    if (config == NULL)
        return NULL;
    known_secrets_register(config, environ);
    if (ctx->strict_config && check_roles(config, err) < 0) {
        config_destroy(config);
        return NULL;
    }
    config_warnings(config, &lines);
    for (size_t i = 0; i < lines.len; i++)
        log_warning("%s", lines.items[i]);
    str_list_finish(&lines);
    return config;
}
