/* cli/cmd_sandbox.c: `cadre sandbox`: one command under a sandbox policy. */
#include "cli/command.h"
#include "cli/settings.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "config/config.h"
#include "sandbox/exec_helper.h"
#include "sandbox/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_spec sandbox_options[] = {
    {"mode", 0, "MODE", "read-only, workspace-write (default) or danger-full-access", false},
    {"writable", 'w', "DIR", "a further writable folder", true},
    {"hide", 0, "PATH", "a path that the command cannot see", true},
    {"network", 0, NULL, "with network", false},
    {"loopback", 0, NULL, "without network, but with a private loopback", false},
    {"private-tmp", 0, NULL, "with an empty /tmp of its own", false},
    {"nestable", 0, NULL, "for a program that brings a box of its own (with network)", false},
    {"explain", 0, NULL, "print what each layer gives on this kernel", false},
    {0},
};

static int explain(void)
{
    struct sandbox_probe probe = {0};
    struct buf out = BUF_INIT;

    sandbox_probe(&probe);
    sandbox_explain(&probe, &out);
    fputs(out.data, stdout);
    buf_free(&out);
    return probe.landlock_abi > 0 && probe.has_seccomp ? EXIT_DONE : EXIT_NOT_CONVERGED;
}

/* The paths that option NAME gives, absolute: what is relative means the current folder, also once the box is made. With
 * NEEDS_FOLDER each has to be one. */
static int add_paths(const struct cli_args *args, const char *name, const char *cwd, bool needs_folder, struct str_list *paths,
                     struct error *err)
{
    const char *value;

    for (size_t i = 0; (value = cli_option_at(args, name, i)) != NULL; i++) {
        char *joined;

        if (value[0] == '\0')
            return error_set(err, ERROR_USAGE, "--%s is empty: expected a path", name);
        joined = path_join(cwd, value);
        str_list_take(paths, path_normalize(joined));
        free(joined);
        if (needs_folder && !file_is_directory(paths->items[paths->len - 1]))
            return error_set(err, ERROR_USAGE, "--%s %s: no such folder", name, value);
    }
    return 0;
}

static int run(struct cli_context *ctx, const struct cli_args *args)
{
    const char *mode_name = cli_option(args, "mode");
    enum sandbox_mode mode = SANDBOX_WORKSPACE_WRITE;
    struct sandbox_policy policy;
    struct config *config;
    struct str_list argv = {0};
    struct error err = {0};
    char *cwd;

    if (cli_flag(args, "explain"))
        return explain();
    if (mode_name != NULL && sandbox_mode_parse(mode_name, &mode, &err) < 0) {
        err.code = ERROR_USAGE;
        return cli_fail(&err);
    }
    if (args->positionals.len == 0) {
        error_set(&err, ERROR_USAGE, "a command is expected: cadre sandbox [--mode MODE] -- COMMAND");
        return cli_fail(&err);
    }
    config = cli_load_config(ctx, &err);
    if (config == NULL)
        return cli_fail(&err);
    cwd = path_current_directory();
    sandbox_policy_init(&policy, mode, cwd);
    sandbox_policy_configure(&policy, config);
    config_destroy(config);
    policy.network_access = policy.network_access || cli_flag(args, "network");
    policy.private_tmp = policy.private_tmp || cli_flag(args, "private-tmp");
    policy.nestable = cli_flag(args, "nestable");
    policy.loopback = cli_flag(args, "loopback");
    if (add_paths(args, "writable", cwd, true, &policy.writable_roots, &err) == 0 &&
        add_paths(args, "hide", cwd, false, &policy.hidden_paths, &err) == 0 &&
        sandbox_wrap(&policy, (const char *const *)args->positionals.items, &argv, &err) == 0) {
        (void)fflush(NULL);
        (void)execv(argv.items[0], argv.items);
        error_set_errno(&err, "%s", argv.items[0]);
    }
    str_list_finish(&argv);
    sandbox_policy_finish(&policy);
    free(cwd);
    return cli_fail(&err);
}

const struct command command_sandbox = {
    .name = "sandbox",
    .summary = "run one command under a sandbox policy",
    .usage = "[OPTIONS] -- COMMAND [ARGUMENT...]",
    .details = "The policy is an agent's: the working directory is the writable root, .git, .codex and .agents in it stay\n"
               "read-only, the user's secrets are hidden, [sandbox] and [sandbox_workspace_write] hold. The exit code is\n"
               "the command's; 126 when the sandbox cannot be set up, 127 when the command does not exist.",
    .example = "cadre sandbox -- make check\ncadre sandbox --mode read-only -- git log\ncadre sandbox --explain",
    .options = sandbox_options,
    .min_positionals = 0,
    .max_positionals = -1,
    .stop_at_positional = true,
    .run = run,
};
