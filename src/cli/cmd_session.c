/* cli/cmd_session.c: `cadre session`, which is also what `cadre` alone does: an interactive session at a terminal. */
#include "cli/command.h"

#include "base/alloc.h"
#include "cli/repl.h"

static const struct option_spec session_options[] = {
    {"role", 0, "ROLE", "the main thread works as this role (default: default)", false},
    {"sandbox", 's', "MODE", "read-only, workspace-write or danger-full-access", false},
    {"last", 0, NULL, "go on with the session of this folder that was used last", false},
    {0},
};

static int run_session(struct cli_context *ctx, const struct cli_args *args)
{
    struct repl_options options = {.role = cli_option(args, "role")};
    struct error err = {0};
    int rc;

    if (cli_option(args, "sandbox") != NULL)
        str_list_take(&ctx->overrides, xasprintf("sandbox_mode=\"%s\"", cli_option(args, "sandbox")));
    if (args->positionals.len > 0 || cli_flag(args, "last"))
        return repl_resume(ctx, args->positionals.len > 0 ? args->positionals.items[0] : NULL);
    rc = repl_run(ctx, &options, &err);
    return rc < 0 ? cli_fail(&err) : rc;
}

const struct command command_session = {
    .name = "session",
    .summary = "an interactive session at the terminal (what `cadre` alone does)",
    .usage = "[OPTIONS] [ID]",
    .details = "What you type goes to the main thread, which has tools and can spawn agents (docs/agents.md). Commands that\n"
               "need your leave are asked for in the terminal. /help lists what else can be typed. With ID or --last an\n"
               "earlier session goes on, also one of `cadre exec`.",
    .example = "cadre\ncadre session --last\ncadre session --sandbox read-only",
    .options = session_options,
    .min_positionals = 0,
    .max_positionals = 1,
    .run = run_session,
};
