/* cli/cmd_trust.c: `cadre trust [DIR]`: lets a project bring its own .codex/ files. */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/path.h"
#include "config/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The repository's root above DIR, else DIR itself. */
static char *project_of(const char *dir)
{
    char *at = xstrdup(dir);

    for (;;) {
        char *marker = path_join(at, ".git"), *parent;
        bool found = file_exists(marker);

        free(marker);
        if (found)
            return at;
        parent = path_dirname(at);
        if (strcmp(parent, at) == 0) {
            free(parent);
            free(at);
            return xstrdup(dir);
        }
        free(at);
        at = parent;
    }
}

static int run(struct cli_context *ctx, const struct cli_args *args)
{
    const char *given = args->positionals.len > 0 ? args->positionals.items[0] : ".";
    char *dir = realpath(given, NULL), *project = NULL, *home = path_codex_home();
    struct error err = {0};
    bool changed = false;
    int rc = -1;

    (void)ctx;
    if (dir == NULL || !file_is_directory(dir)) {
        error_set(&err, ERROR_USAGE, "%s: no such folder", given);
        goto out;
    }
    project = project_of(dir);
    rc = trust_add(home, project, &changed, &err);
    if (rc == 0)
        printf("%s %s (%s/config.toml)\n", changed ? "trusted" : "trusted already:", project, home);
out:
    free(dir);
    free(project);
    free(home);
    return rc == 0 ? EXIT_DONE : cli_fail(&err);
}

const struct command command_trust = {
    .name = "trust",
    .summary = "let a project bring its own .codex/ configuration",
    .usage = "[DIR]",
    .details = "Writes [projects.\"DIR\"] trust_level = \"trusted\" into $CODEX_HOME/config.toml for the "
               "repository\n"
               "that holds DIR (default: the working directory). Nothing else in the file changes.",
    .example = "cadre trust ~/src/project",
    .min_positionals = 0,
    .max_positionals = 1,
    .run = run,
};
