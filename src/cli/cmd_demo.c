/* cli/cmd_demo.c: `cadre demo`: the main job on an embedded sample repository. Only the model's words are scripted (served
 * by the mock over real HTTP); the run itself is `cadre run` in a child process, as a user would start it. */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "cli/demo_files.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/process.h"
#include "model/mock_script.h"
#include "model/mock_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_spec demo_options[] = {
    {"keep", 0, "DIR", "unpack into DIR and leave everything there", false},
    {"json", 0, NULL, "print the run's events as JSON lines and nothing else", false},
    {0},
};

struct demo {
    struct cli_context *ctx;
    char *dir;
    char *repo;
    struct mock_server *mock;
    struct str_list env;
    struct process *child;
    struct process_exit exit;
    bool has_exited;
};

static int unpack(struct demo *d, struct error *err)
{
    for (size_t i = 0; i < demo_file_count; i++) {
        const struct demo_file *file = &demo_files[i];
        bool is_sample = str_starts_with(file->path, "sample/");
        char *path = path_join(is_sample ? d->repo : d->dir, is_sample ? file->path + strlen("sample/") : file->path);
        char *folder = path_dirname(path);
        int rc = file_make_directories(folder, 0755, err);

        if (rc == 0)
            rc = file_write(path, file->data, file->size, str_ends_with(path, ".sh") ? 0755 : 0644, err);
        free(path);
        free(folder);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* Runs a command in the sample repository with the demo's environment; output goes to OUT when wanted. */
static int run_quietly(struct demo *d, const char *const *argv, struct buf *out, struct error *err)
{
    struct process_run_options options = {
        .argv = argv, .env = (const char *const *)d->env.items, .cwd = d->repo, .merge_stderr = true};
    struct process_result result = {0};
    int rc = process_run(d->ctx->loop, &options, &result, err);

    if (rc == 0 && result.exit.exit_code != 0)
        rc = error_set(err, ERROR_REPOSITORY, "%s %s: %.400s", argv[0], argv[1], buf_cstr(&result.out));
    if (rc == 0 && out != NULL)
        buf_append(out, buf_cstr(&result.out), result.out.len);
    process_result_finish(&result);
    return rc;
}

static int make_repository(struct demo *d, struct error *err)
{
    static const char *const steps[][8] = {
        {"git", "init", "--quiet", "--initial-branch=main", NULL},
        {"git", "add", "--all", NULL},
        {"git", "commit", "--quiet", "--message=A small library with failing tests", NULL},
    };

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (run_quietly(d, steps[i], NULL, err) < 0)
            return error_wrap(err, "making the sample repository");
    return 0;
}

/* An environment of its own: nothing of the user's configuration, keys or git settings is read or changed. */
static void make_environment(struct demo *d)
{
    static const char *const kept[] = {"PATH=", "TERM=", "LANG=", "LC_ALL=", "TMPDIR=", "NO_COLOR=", "COLUMNS=",
                                       "ASAN_OPTIONS=", "UBSAN_OPTIONS="};

    for (char **e = environ; *e != NULL; e++)
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
            if (str_starts_with(*e, kept[i]))
                str_list_add(&d->env, *e);
    str_list_take(&d->env, xasprintf("HOME=%s/home", d->dir));
    str_list_take(&d->env, xasprintf("CODEX_HOME=%s/home/.codex", d->dir));
    str_list_take(&d->env, xasprintf("XDG_STATE_HOME=%s/state", d->dir));
    str_list_add(&d->env, "GIT_CONFIG_NOSYSTEM=1");
    str_list_add(&d->env, "GIT_AUTHOR_NAME=Demo");
    str_list_add(&d->env, "GIT_AUTHOR_EMAIL=demo@example.invalid");
    str_list_add(&d->env, "GIT_COMMITTER_NAME=Demo");
    str_list_add(&d->env, "GIT_COMMITTER_EMAIL=demo@example.invalid");
    str_list_add(&d->env, "CADRE_DEMO_KEY=only-for-the-mock");
}

static int write_config(struct demo *d, struct error *err)
{
    char *home = path_join(d->dir, "home/.codex");
    char *file = path_join(home, "config.toml");
    char *from = path_join(d->dir, "cadre.toml");
    char *to = path_join(home, "cadre.toml");
    char *text = xasprintf("model = \"scripted\"\nmodel_provider = \"demo\"\n\n[model_providers.demo]\n"
                           "name = \"Scripted model\"\nbase_url = \"%s\"\nenv_key = \"CADRE_DEMO_KEY\"\n"
                           "wire_api = \"responses\"\n",
                           mock_server_base_url(d->mock));
    int rc = file_make_directories(home, 0700, err);

    if (rc == 0)
        rc = file_write(file, text, strlen(text), 0600, err);
    if (rc == 0 && rename(from, to) < 0)
        rc = error_set_errno(err, "%s", from);
    free(home);
    free(file);
    free(from);
    free(to);
    free(text);
    return rc;
}

static int start_mock(struct demo *d, struct error *err)
{
    char *path = path_join(d->dir, "script.json");
    struct mock_script *script = mock_script_load(path, err);

    free(path);
    if (script == NULL)
        return -1;
    d->mock = mock_server_start(d->ctx->loop, script, 0, err);
    return d->mock == NULL ? -1 : 0;
}

static void on_child_exit(void *data, const struct process_exit *exit)
{
    struct demo *d = data;

    d->exit = *exit;
    d->has_exited = true;
    fiber_wake(d->ctx->fiber);
}

/* Ctrl-C reaches the run, which stops cleanly; then we clean up. */
static void on_interrupt(void *data, int count)
{
    struct demo *d = data;

    if (d->child != NULL && !d->has_exited)
        process_signal(d->child, count > 1 ? SIGKILL : SIGINT);
}

static int run_child(struct demo *d, bool as_json, struct error *err)
{
    char *self = path_self_executable();
    const char *argv[] = {self, "run", "make every test pass", NULL, NULL};
    struct process_options options = {
        .argv = argv,
        .env = (const char *const *)d->env.items,
        .cwd = d->repo,
        .inherit_stdio = true,
        .on_exit = on_child_exit,
        .data = d,
    };

    if (as_json)
        argv[3] = "--json";
    (void)fflush(NULL);
    d->child = process_start(d->ctx->loop, &options, err);
    free(self);
    if (d->child == NULL)
        return -1;
    d->ctx->on_interrupt = on_interrupt;
    d->ctx->interrupt_data = d;
    while (!d->has_exited)
        (void)fiber_wait(NULL);
    d->ctx->on_interrupt = NULL;
    process_destroy(d->child);
    d->child = NULL;
    return 0;
}

static void print_ending(struct demo *d, int64_t began_ms)
{
    static const char *const log[] = {"git", "log", "--graph", "--oneline", "--decorate", NULL};
    struct buf out = BUF_INIT;

    if (run_quietly(d, log, &out, NULL) == 0)
        printf("\n$ git log --graph --oneline\n%s", buf_cstr(&out));
    buf_free(&out);
    printf("\n%.1f s. The words of the model were scripted; HTTP, worktrees, sandboxed commands, CI, merges and gates were "
           "real.\n",
           (double)(clock_monotonic_ms() - began_ms) / 1000.0);
}

static void print_notes(struct demo *d)
{
    static const char *const find[] = {"/bin/sh", "-c", "cat \"$XDG_STATE_HOME\"/cadre/runs/*/release-notes.md", NULL};
    struct buf out = BUF_INIT;

    if (run_quietly(d, find, &out, NULL) == 0)
        printf("\nRelease notes:\n\n%s", buf_cstr(&out));
    buf_free(&out);
}

static int prepare(struct demo *d, const char *keep, struct error *err)
{
    if (keep != NULL) {
        if (file_exists(keep)) {
            error_set(err, ERROR_USAGE, "%s exists already", keep);
            return error_hint(err, "name a folder that does not exist yet");
        }
        if (file_make_directories(keep, 0755, err) < 0)
            return -1;
        d->dir = realpath(keep, NULL);
    } else {
        d->dir = file_make_temporary_directory("cadre-demo", err);
    }
    if (d->dir == NULL)
        return -1;
    d->repo = path_join(d->dir, "repo");
    make_environment(d);
    if (unpack(d, err) < 0 || make_repository(d, err) < 0 || start_mock(d, err) < 0)
        return -1;
    return write_config(d, err);
}

static int run(struct cli_context *ctx, const struct cli_args *args)
{
    struct demo d = {.ctx = ctx, .exit = {.exit_code = EXIT_NOT_CONVERGED}};
    const char *keep = cli_option(args, "keep");
    bool as_json = cli_flag(args, "json");
    int64_t began_ms = clock_monotonic_ms();
    struct error err = {0};
    int exit_code;

    if (!as_json)
        printf("This demo carries a small C repository with failing tests to green. The model is scripted: its words come\n"
               "from a file, served on loopback. Everything else is real.\n\n");
    if (prepare(&d, keep, &err) < 0 || run_child(&d, as_json, &err) < 0) {
        exit_code = cli_fail(&err);
    } else {
        exit_code = d.exit.signal != 0 ? EXIT_INTERRUPTED : d.exit.exit_code;
        if (!as_json && exit_code == EXIT_DONE) {
            print_notes(&d);
            print_ending(&d, began_ms);
        }
    }
    mock_server_destroy(d.mock);
    if (keep == NULL && d.dir != NULL && file_remove_tree(d.dir, &err) < 0)
        log_warning("%s", err.text);
    else if (keep != NULL && !as_json && d.dir != NULL)
        printf("kept in %s\n", d.dir);
    str_list_finish(&d.env);
    free(d.repo);
    free(d.dir);
    return exit_code;
}

const struct command command_demo = {
    .name = "demo",
    .summary = "the whole loop on a sample repository, with a scripted model",
    .usage = "[--keep DIR] [--json]",
    .details = "Unpacks a small C project with failing tests into a temporary folder, serves a scripted model on loopback,\n"
               "and runs `cadre run` on it: real HTTP, worktrees, sandboxed commands, CI, merges and gates. Nothing is left\n"
               "behind, and nothing of your own configuration is read.",
    .example = "cadre demo\ncadre demo --keep /tmp/cadre-demo",
    .options = demo_options,
    .min_positionals = 0,
    .max_positionals = 0,
    .run = run,
};
