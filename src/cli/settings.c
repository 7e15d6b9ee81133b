/* cli/settings.c: see settings.h. */
#include "cli/settings.h"

#include "base/log.h"
#include "base/str.h"
#include "cli/command.h"
#include "config/config.h"

struct config *cli_load_config(const struct cli_context *ctx, struct error *err)
{
    struct config_options options = {
        .profile = ctx->profile,
        .overrides = &ctx->overrides,
        .model = ctx->model,
        .strict = ctx->strict_config,
    };
    struct config *config = config_load(&options, err);
    struct str_list lines = {0};

    if (config == NULL)
        return NULL;
    config_warnings(config, &lines);
    for (size_t i = 0; i < lines.len; i++)
        log_warning("%s", lines.items[i]);
    str_list_finish(&lines);
    return config;
}
