/* cli/plan_change.h: `cadre plan add|drop|edit`. */
#ifndef CADRE_CLI_PLAN_CHANGE_H
#define CADRE_CLI_PLAN_CHANGE_H

struct cli_args;
struct cli_context;

int plan_change_main(struct cli_context *ctx, const struct cli_args *args, const char *verb);

#endif
