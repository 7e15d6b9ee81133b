/* cli/cmd_mock.c: `cadre mock`: a model server on loopback that answers from a script. */
#include "cli/command.h"

#include "io/fiber.h"
#include "model/cassette.h"
#include "model/mock_script.h"
#include "model/mock_server.h"

#include <stdio.h>

static const struct option_spec options[] = {
    {"script", 's', "FILE", "the rules, as JSON (docs/mock.md)", false},
    {"cassette", 'k', "FILE", "play recorded traffic instead of a script", false},
    {"strict", 0, NULL, "refuse a request that differs from the cassette", false},
    {"port", 'p', "N", "listen on this port (default: any free one)", false},
    {"log", 'l', "FILE", "append one JSON line a request to FILE", false},
    {"log-bodies", 0, NULL, "with the whole request in each line", false},
    {0},
};

static int run(struct cli_context *ctx, const struct cli_args *args)
{
    struct error err = {0};
    struct mock_server_options server_options = {.log_path = cli_option(args, "log"),
                                                .logs_bodies = cli_flag(args, "log-bodies")};
    struct mock_server *server;
    int64_t port;

    if (!cli_int_option(args, "port", 0, 65535, 0, &port, &err))
        return cli_fail(&err);
    if ((cli_option(args, "script") == NULL) == (cli_option(args, "cassette") == NULL)) {
        error_set(&err, ERROR_USAGE, "mock needs either --script FILE or --cassette FILE");
        return cli_fail(&err);
    }
    server_options.script = cli_option(args, "script") != NULL
                                ? mock_script_load(cli_option(args, "script"), &err)
                                : cassette_load(cli_option(args, "cassette"), cli_flag(args, "strict"), &err);
    if (server_options.script == NULL)
        return cli_fail(&err);
    server_options.port = (uint16_t)port;
    server = mock_server_create(ctx->loop, &server_options, &err);
    if (server == NULL)
        return cli_fail(&err);
    printf("listening on %s\n", mock_server_base_url(server));
    (void)fflush(stdout);
    (void)fiber_wait(&err); /* until interrupted */
    mock_server_destroy(server);
    return EXIT_DONE;
}

const struct command command_mock = {
    .name = "mock",
    .summary = "serve a scripted model on loopback",
    .usage = "--script FILE | --cassette FILE [--strict] [--port N] [--log FILE]",
    .details = "Speaks the Responses, Chat Completions and Messages APIs from a script of rules and faults, "
               "so that\n"
               "runs can be tested without a model. docs/mock.md describes the script.",
    .example = "cadre mock --script rules.json --port 8099",
    .options = options,
    .run = run,
};
