/* cli/settings.h: the configuration as the global options of a command line want it. */
#ifndef CADRE_CLI_SETTINGS_H
#define CADRE_CLI_SETTINGS_H

#include "base/error.h"

struct cli_context;
struct config;

/* Loads all layers with -c, -p, -m, --oss and --strict-config; prints warnings. NULL with ERR set. */
struct config *cli_load_config(const struct cli_context *ctx, struct error *err);

#endif
