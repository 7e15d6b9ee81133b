/* cli/main.c: finds the subcommand, runs it in a fiber on the one loop, and returns its exit code. */
#include "cli/command.h"

#include "base/copy_list.h"
#include "base/log.h"
#include "base/redact.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "sandbox/exec_helper.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct invocation {
    struct cli_context ctx;
    struct cli_args args;
    const struct command *command;
    int exit_code;
};

static void run_command(void *arg)
{
    struct invocation *call = arg;

    call->ctx.fiber = fiber_current();
    call->exit_code = call->command->run(&call->ctx, &call->args);
}

static void on_signal(void *data, int signum)
{
    struct cli_context *ctx = data;

    (void)signum;
    ctx->interrupts++;
    if (ctx->on_interrupt != NULL) {
        ctx->on_interrupt(ctx->interrupt_data, ctx->interrupts);
        return;
    }
    if (ctx->interrupts > 1)
        _exit(EXIT_INTERRUPTED);
    fiber_cancel(ctx->fiber);
}

static bool colors_wanted(void)
{
    const char *term = getenv("TERM");

    if (!str_is_empty(getenv("NO_COLOR")) || (term != NULL && strcmp(term, "dumb") == 0))
        return false;
    return true;
}

/* Index of the command's name in ARGV: the first word that is neither a global option nor its value. */
static int find_command_index(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];

        if (text[0] != '-' || text[1] == '\0')
            return i;
        for (const struct option_spec *s = global_options; s->name != NULL; s++) {
            bool is_long = str_starts_with(text, "--") && strcmp(text + 2, s->name) == 0;
            bool is_short = text[1] == s->short_name && s->short_name != 0 && text[2] == '\0';

            if ((is_long || is_short) && s->metavar != NULL)
                i++;
        }
    }
    return argc;
}

static int unknown_command(const char *name)
{
    const char *names[64];
    size_t n = 0;
    const char *nearest;

    for (size_t i = 0; command_table[i] != NULL && n < 63; i++)
        names[n++] = command_table[i]->name;
    names[n] = NULL;
    nearest = str_nearest(name, names);
    if (nearest != NULL)
        log_error("unknown command \"%s\"\n  did you mean `cadre %s`? See `cadre --help`", name, nearest);
    else
        log_error("unknown command \"%s\"\n  see `cadre --help`", name);
    return EXIT_USAGE;
}

/* Everything is relative to it, and what is writable in the sandbox too. */
static bool has_working_directory(void)
{
    struct error err = {0};
    char *cwd = getcwd(NULL, 0);

    if (cwd == NULL) {
        error_set_errno(&err, "the working directory is gone; change to another one");
        (void)cli_fail(&err);
    }
    free(cwd);
    return cwd != NULL;
}

/* Parses; returns true when the command is to be run, else *EXIT_CODE is final. */
static bool prepare(struct invocation *call, int argc, char **argv, int *exit_code)
{
    struct error err = {0};
    bool wants_help = false;
    int index = find_command_index(argc, argv);

    *exit_code = EXIT_USAGE;
    for (int i = 1; i < index; i++) {
        if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
            printf("cadre %s\n", CADRE_VERSION);
            *exit_code = EXIT_DONE;
            return false;
        }
    }
    if (cli_parse(&call->ctx, NULL, index - 1, argv + 1, &call->args, &wants_help, &err) < 0) {
        *exit_code = cli_fail(&err);
        return false;
    }
    cli_args_finish(&call->args);
    if (index < argc && strcmp(argv[index], "help") == 0) {
        wants_help = true;
        index++;
    }
    if (index >= argc) {
        if (wants_help) {
            cli_print_help();
            *exit_code = EXIT_DONE;
            return false;
        }
        call->command = command_find("session"); /* `cadre` alone */
        if (cli_parse(&call->ctx, call->command, 0, argv + argc, &call->args, &wants_help, &err) == 0)
            return true;
        *exit_code = cli_fail(&err);
        return false;
    }
    call->command = command_find(argv[index]);
    if (call->command == NULL) {
        *exit_code = unknown_command(argv[index]);
        return false;
    }
    if (cli_parse(&call->ctx, call->command, argc - index - 1, argv + index + 1, &call->args, &wants_help,
                  &err) < 0) {
        *exit_code = cli_fail(&err);
        return false;
    }
    if (wants_help) {
        cli_print_command_help(call->command);
        *exit_code = EXIT_DONE;
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct invocation call = {.ctx = {.color = colors_wanted()}};
    struct signal_watch *watches[3];
    static const int signals[3] = {SIGINT, SIGTERM, SIGHUP};
    int exit_code;

    if (argc > 1 && (strcmp(argv[1], SANDBOX_HELPER_NAME) == 0 || /* before all else: it runs for every command */
                     (argc == 2 && strcmp(argv[1], SANDBOX_SERVER_NAME) == 0)))
        return sandbox_exec_helper_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], COPY_LIST_NAME) == 0)
        return copy_list_main(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_filter(redact_line);
    if (!prepare(&call, argc, argv, &exit_code))
        goto out;
    if (!has_working_directory()) {
        exit_code = EXIT_USAGE;
        goto out;
    }
    sandbox_use_server();
    call.ctx.loop = loop_create();
    for (size_t i = 0; i < 3; i++)
        watches[i] = signal_watch_start(call.ctx.loop, signals[i], on_signal, &call.ctx);
    fiber_run_to_end(call.ctx.loop, run_command, &call);
    for (size_t i = 0; i < 3; i++)
        signal_watch_stop(watches[i]);
    loop_destroy(call.ctx.loop);
    exit_code = call.exit_code;
    if (fflush(stdout) != 0)
        exit_code = exit_code == EXIT_DONE ? EXIT_NOT_CONVERGED : exit_code;
out:
    cli_args_finish(&call.args);
    str_list_finish(&call.ctx.overrides);
    return exit_code;
}
