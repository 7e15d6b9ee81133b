/* cli/settings.h: the configuration as the global options of a command line want it, and which of these are kept with a run. */
#ifndef CADRE_CLI_SETTINGS_H
#define CADRE_CLI_SETTINGS_H

#include "base/error.h"

#include <jansson.h>

struct cli_context;
struct config;

/* The global options that shape the configuration (-c, -p, -m, --oss, --local-provider), to be kept with a run. A `-c` whose
 * value is a secret is not kept: its key is, under "left_out". New reference. */
json_t *cli_keep_options(const struct cli_context *ctx);
/* Puts what was kept into CTX where the command line of now says nothing else, and says so. KEPT may be NULL; it must live as
 * long as CTX is used. */
void cli_recall_options(struct cli_context *ctx, const json_t *kept);

/* Loads all layers with -c, -p, -m, --oss and --strict-config; prints warnings. NULL with ERR set. */
struct config *cli_load_config(const struct cli_context *ctx, struct error *err);

#endif
