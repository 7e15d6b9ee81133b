/* cli/cmd_init.c: `cadre init`: installs a pack, imports agent files, or takes an installation back. */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "config/claude_import.h"
#include "config/pack.h"
#include "config/pack_install.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AGENT_FILE_MAX_BYTES ((size_t)256 << 10)

/* The nearest folder upwards with .git, else the working directory. */
static char *project_folder(void)
{
    char *at = path_current_directory(), *start = xstrdup(at);

    for (;;) {
        char *marker = path_join(at, ".git"), *parent;
        bool found = file_exists(marker);

        free(marker);
        if (found) {
            free(start);
            return at;
        }
        parent = path_dirname(at);
        if (strcmp(parent, at) == 0) {
            free(parent);
            free(at);
            return start;
        }
        free(at);
        at = parent;
    }
}

/* Absolute, links resolved where it exists, so that an undo finds its record again. */
static char *target_folder(bool project)
{
    char *base = project ? project_folder() : path_codex_home(), *cwd = path_current_directory();
    char *joined = project ? path_join(base, ".codex") : path_join(cwd, base);
    char *real = realpath(joined, NULL);

    free(base);
    free(cwd);
    if (real == NULL)
        return joined;
    free(joined);
    return real;
}

/* Every .md file of FOLDER becomes agents/NAME.toml; a bad one is named and left out. */
static int import_folder(struct pack_install *plan, const char *folder, size_t *count, struct error *err)
{
    struct str_list names = {0};
    int rc = 0;

    if (!file_is_directory(folder))
        return 0;
    if (file_list_directory(folder, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.len && rc == 0; i++) {
        char *path = path_join(folder, names.items[i]), *name = NULL, *target;
        struct buf text = BUF_INIT, role = BUF_INIT;
        struct error bad = {0};

        if (str_ends_with(path, ".md") && file_is_regular(path)) {
            if (file_read(path, &text, AGENT_FILE_MAX_BYTES, &bad) < 0 ||
                claude_import_role(buf_cstr(&text), path, &role, &name, &bad) < 0) {
                (void)fprintf(stderr, "cadre: left out: %s\n", bad.text);
            } else {
                target = xasprintf("agents/%s.toml", name);
                rc = pack_install_add_file(plan, target, buf_cstr(&role), err);
                free(target);
                ++*count;
            }
        }
        free(path);
        free(name);
        buf_free(&text);
        buf_free(&role);
    }
    str_list_finish(&names);
    return rc;
}

static int plan_import(struct pack_install *plan, struct error *err)
{
    char *project = project_folder(), *own = path_join(project, ".claude/agents");
    char *home = path_expand_home("~/.claude/agents");
    size_t count = 0;
    int rc = import_folder(plan, own, &count, err);

    if (rc == 0)
        rc = import_folder(plan, home, &count, err);
    if (rc == 0 && count == 0)
        rc = error_set(err, ERROR_USAGE, "no agent file (*.md) in %s or %s", own, home);
    free(project);
    free(own);
    free(home);
    return rc;
}

static int undo(const char *target, struct error *err)
{
    struct str_list lines = {0};
    int rc = pack_install_undo(target, &lines, err);

    for (size_t i = 0; i < lines.len; i++)
        puts(lines.items[i]);
    str_list_finish(&lines);
    return rc;
}

static bool confirmed(void)
{
    char answer[8] = "";

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return true;
    printf("\nWrite this? [y/N] ");
    (void)fflush(stdout);
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static void print_next(const char *pack, bool project, const struct pack_install *plan)
{
    const struct pack_file *prompt = pack != NULL ? pack_find(pack, "first-run-prompt.md") : NULL;

    if (pack_install_conflict_count(plan) > 0)
        printf("\nWhere yours differs it was kept; the pack's version lies beside it as *.from-pack.\n");
    if (project)
        printf("\nA project's files count once you trust it: cadre trust\n");
    printf("\nTake it back: cadre init --undo%s\n", project ? " --project" : "");
    if (prompt != NULL)
        printf("\nFirst prompt, for `cadre run` or a Codex session:\n\n%s", prompt->bytes);
}

static int install(const struct cli_args *args, const char *target, struct error *err)
{
    const char *pack = cli_option(args, "pack");
    bool project = cli_flag(args, "project"), import = cli_flag(args, "import");
    struct pack_install *plan = pack_install_create(target);
    struct buf text = BUF_INIT;
    int rc = -1;

    if (pack == NULL && !import)
        pack = "plus";
    if (pack != NULL && strcmp(pack, "local") == 0 && project) {
        error_set(err, ERROR_USAGE, "pack \"local\" names a provider, which a project may not: use --global");
        goto out;
    }
    if (pack != NULL && pack_install_add_pack(plan, pack, cli_option(args, "models"), err) < 0)
        goto out;
    if (import && plan_import(plan, err) < 0)
        goto out;
    rc = 0;
    pack_install_describe(plan, &text);
    printf("%s%s%s into %s\n\n%s", pack != NULL ? "Pack " : "Imported roles", pack != NULL ? pack : "",
           pack != NULL && import ? " and imported roles" : "", target, buf_cstr(&text));
    if (pack_install_is_empty(plan)) {
        printf("\nNothing to write.\n");
        goto out;
    }
    if (cli_flag(args, "dry-run"))
        goto out;
    if (!cli_flag(args, "yes") && !confirmed()) {
        printf("Nothing was written.\n");
        goto out;
    }
    rc = pack_install_apply(plan, err);
    if (rc == 0)
        print_next(pack, project, plan);
out:
    buf_free(&text);
    pack_install_destroy(plan);
    return rc;
}

static int run(struct cli_context *ctx, const struct cli_args *args)
{
    struct error err = {0};
    char *target;
    int rc;

    (void)ctx;
    if (cli_flag(args, "project") && cli_flag(args, "global")) {
        error_set(&err, ERROR_USAGE, "--global and --project exclude each other");
        return cli_fail(&err);
    }
    target = target_folder(cli_flag(args, "project"));
    rc = cli_flag(args, "undo") ? undo(target, &err) : install(args, target, &err);
    free(target);
    return rc == 0 ? EXIT_DONE : cli_fail(&err);
}

static const struct option_spec options[] = {
    {"pack", 0, "NAME", "pro, plus (default) or local", false},
    {"models", 0, "NAME", "another column of the pack's models, such as gpt-6", false},
    {"global", 0, NULL, "into $CODEX_HOME (default)", false},
    {"project", 0, NULL, "into .codex/ of this repository", false},
    {"import", 0, NULL, "turn .claude/agents/*.md into role files", false},
    {"undo", 0, NULL, "take the latest installation back", false},
    {"dry-run", 0, NULL, "show what would be written", false},
    {"yes", 'y', NULL, "do not ask", false},
    {0},
};

const struct command command_init = {
    .name = "init",
    .summary = "install a pack of roles and settings",
    .usage = "[OPTIONS]",
    .details =
        "Shows what it will write. Nothing of yours is overwritten: a config.toml gets the keys it lacks,\n"
        "your values and comments stay, and where the pack differs its version is kept aside.",
    .example = "cadre init --pack pro\ncadre init --pack plus --project --models gpt-6\ncadre init --undo",
    .options = options,
    .min_positionals = 0,
    .max_positionals = 0,
    .run = run,
};
