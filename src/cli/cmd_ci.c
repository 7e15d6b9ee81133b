/* cli/cmd_ci.c: `cadre ci [list|plan|run]`: the CI mirror on the current tree, without any model. */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/utf8.h"
#include "ci/ci.h"
#include "ci/classify.h"
#include "ci/event_filter.h"
#include "ci/report.h"
#include "cli/ci_change.h"
#include "cli/ci_repository.h"
#include "cli/ci_view.h"
#include "cli/settings.h"
#include "config/config.h"
#include "config/run_settings.h"
#include "git/git.h"
#include "git/worktree.h"
#include "sandbox/exec_helper.h"
#include "sandbox/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAP_BYTES (2 << 20) /* what planning takes, more or less */

static const struct option_spec ci_options[] = {
    {"job", 'j', "JOB", "only this job (key, id or name) and what it needs", false},
    {"workflow", 'w', "FILE", "only this workflow (file or name)", false},
    {"event", 0, "NAME", "event to mirror: push (default), pull_request, ...", false},
    {"base", 0, "REF", "the change is what differs from REF: for path filters; the branch a pull request aims at", false},
    {"tag", 0, "NAME", "a push of this tag instead of the branch", false},
    {"input", 0, "NAME=VALUE", "an input of workflow_dispatch or workflow_call; may be repeated", true},
    {"event-file", 0, "FILE", "the event's payload as JSON (github.event)", false},
    {"all", 0, NULL, "list workflows that do not run for the event too", false},
    {"in-place", 0, NULL, "run in this folder instead of in a copy for each job", false},
    {"no-cache", 0, NULL, "run jobs that passed for this very tree again; read all workflows anew", false},
    {"network", 0, NULL, "test steps may reach the network too", false},
    {"retries", 0, "N", "run a red job up to N times more: one that passes then is flaky (default: 0)", false},
    {"parallel", 0, "N", "jobs at once (default: number of cores)", false},
    {"json", 0, NULL, "JSON, one object a line (docs/ci.md)", false},
    {"junit", 0, "FILE", "write a JUnit XML report", false},
    {"markdown", 0, "FILE", "write a Markdown summary", false},
    {0},
};

struct ci_cli {
    struct cli_context *ctx;
    const struct cli_args *args;
    bool is_json;
    char *cache_dir;
    struct ci_repository *repository;
    enum { NETWORK_UNASKED, NETWORK_STAYS, NETWORK_CUT } network; /* of test steps */
    struct ci_view *view; /* NULL: no terminal */
};

static void print_text(FILE *to, const char *prefix, const char *text)
{
    struct buf b = BUF_INIT;

    utf8_append_printable(&b, text, strlen(text), false);
    fprintf(to, "%s%s\n", prefix, buf_cstr(&b));
    buf_free(&b);
}

static void print_job_head(const struct ci_plan_job *job)
{
    struct buf b = BUF_INIT;

    buf_printf(&b, "%s%s%s", job->id, job->reason != NULL ? "  skipped: " : "", job->reason != NULL ? job->reason : "");
    if (job->reason == NULL && job->note != NULL)
        buf_printf(&b, "  (%s)", job->note);
    print_text(stdout, "", buf_cstr(&b));
    buf_free(&b);
}

static void print_block(const struct buf *text)
{
    struct buf b = BUF_INIT;

    utf8_append_printable(&b, buf_cstr(text), text->len, true);
    fputs(buf_cstr(&b), stdout);
    buf_free(&b);
}

static void print_step(const struct ci_plan *plan, struct ci_commands *commands, size_t job, size_t index)
{
    const struct ci_plan_step *step = &ci_plan_job(plan, job)->steps[index];
    struct buf b = BUF_INIT;

    ci_commands_script(commands, job, index, &b);
    if (b.len > 0) {
        /* A step without a name is called by its command. */
        if (step->is_dependency || strncmp(step->command, step->name, strlen(step->name)) != 0)
            print_text(stdout, step->is_dependency ? "# installs: " : "# ", step->name);
        if (step->condition != NULL)
            print_text(stdout, "# if: ", step->condition);
        print_block(&b);
    } else {
        buf_printf(&b, "# %s: %s%s%s",
                   step->kind == CI_STEP_RUN         ? "runs the action"
                   : step->kind == CI_STEP_SATISFIED ? "satisfied"
                   : step->kind == CI_STEP_SKIPPED   ? "skipped"
                                                     : "not for this event",
                   step->name, step->reason != NULL ? ": " : "", step->reason != NULL ? step->reason : "");
        print_text(stdout, "", buf_cstr(&b));
    }
    buf_free(&b);
}

/* The commands in order, as a person can copy them; what is not run is a comment. */
static void print_plan_text(const struct ci_plan *plan)
{
    struct ci_share share = ci_plan_share(plan);
    size_t mirrored = share.run + share.satisfied, all = mirrored + share.skipped;
    struct ci_commands *commands = ci_commands_create(plan);

    if (ci_plan_job_count(plan) > 0) {
        fputs("export", stdout);
        for (const struct ci_variable *v = ci_fixed_environment(); v->name != NULL; v++)
            printf(" %s=%s", v->name, v->value);
        fputs("\n\n", stdout);
    }
    for (size_t i = 0; i < ci_plan_job_count(plan); i++) {
        const struct ci_plan_job *job = ci_plan_job(plan, i);
        struct buf b = BUF_INIT;

        fputs("# == ", stdout);
        print_job_head(job);
        if (job->reason == NULL)
            ci_commands_exports(commands, i, &b);
        print_block(&b);
        buf_free(&b);
        for (size_t k = 0; job->reason == NULL && k < job->step_count; k++)
            print_step(plan, commands, i, k);
        putchar('\n');
    }
    if (all > 0)
        printf("# source: %s; %zu of %zu steps are mirrored (%zu %%)\n", ci_source_name(ci_plan_source(plan)), mirrored,
               all, 100 * mirrored / all);
    else
        printf("# nothing to run: no workflow runs for this event, no [ci] commands, no build file known\n");
    ci_commands_destroy(commands);
}

static int show_plan(const struct ci_cli *cli, const struct ci_plan *plan, bool is_list)
{
    static char out[64 * 1024]; /* a plan of many jobs is half a megabyte */

    if (!isatty(STDOUT_FILENO))
        (void)setvbuf(stdout, out, _IOFBF, sizeof out);
    if (cli->is_json) {
        struct buf b = BUF_INIT;
        report_plan_json(&b, plan);
        puts(b.data);
        buf_free(&b);
    } else if (is_list) {
        for (size_t i = 0; i < ci_plan_job_count(plan); i++)
            print_job_head(ci_plan_job(plan, i));
    } else {
        print_plan_text(plan);
    }
    return EXIT_DONE;
}

/* A private loopback takes a namespace; where there is none the network stays on, and that is said. Asked when the first
 * command is started: what is not run costs nothing. */
static bool can_cut_network(struct ci_cli *cli)
{
    struct sandbox_probe probe;

    if (cli->network != NETWORK_UNASKED)
        return cli->network == NETWORK_CUT;
    sandbox_probe(&probe);
    cli->network = probe.namespaces != NAMESPACE_NONE && probe.landlock_abi > 0 && probe.has_seccomp ? NETWORK_CUT : NETWORK_STAYS;
    if (cli->network == NETWORK_STAYS && !cli->ctx->quiet)
        fprintf(stderr, "cadre: test steps keep the network: this machine gives no private one (cadre sandbox --explain)\n");
    return cli->network == NETWORK_CUT;
}

/* Steps that do not install and do not call a program that is there to reach others do without the network; files
 * are not shut in: these are the user's own commands. */
static int without_network(void *data, const struct ci_command *command, struct str_list *out, struct error *err)
{
    struct sandbox_policy policy;
    int rc;

    if (command->is_dependency || command->needs_network || command->needs_privileges || !can_cut_network(data)) {
        str_list_copy(out, command->argv);
        return 0;
    }
    sandbox_policy_init(&policy, SANDBOX_WORKSPACE_WRITE, "/");
    policy.loopback = true;
    rc = sandbox_wrap(&policy, (const char *const *)command->argv->items, out, err);
    sandbox_policy_finish(&policy);
    return rc;
}

static void on_job_started(void *data, const char *id, const char *name)
{
    const struct ci_cli *cli = data;

    (void)name;
    if (cli->view != NULL)
        ci_view_started(cli->view, id);
    else if (!cli->is_json && !cli->ctx->quiet)
        print_text(stderr, "started      ", id);
}

static void print_job(const struct ci_cli *cli, const struct ci_job_result *job)
{
    struct buf b = BUF_INIT;

    if (cli->is_json) {
        report_job_json(&b, job);
        puts(b.data);
        fflush(stdout);
        buf_free(&b);
        return;
    }
    ci_view_finished(cli->view, job->id);
    buf_printf(&b, "%-12s %s", ci_state_name(job->state), job->id);
    if (job->from_cache)
        buf_puts(&b, "  (unchanged)");
    else if (job->duration_ms > 0)
        buf_printf(&b, "  %.1f s", (double)job->duration_ms / 1000);
    if (job->reason != NULL)
        buf_printf(&b, "  %s", job->reason);
    print_text(stdout, "", buf_cstr(&b));
    buf_clear(&b);
    for (size_t i = 0; i < job->skipped_steps.len; i++)
        print_text(stdout, "             step skipped: ", job->skipped_steps.items[i]);
    if (job->state == CI_FAILED && job->excerpt != NULL) {
        utf8_append_printable(&b, job->excerpt, strlen(job->excerpt), true);
        printf("--- %s\n%s\n--- log: %s\n", job->failing_step, buf_cstr(&b), job->log_file);
    }
    fflush(stdout);
    ci_view_show(cli->view);
    buf_free(&b);
}

/* A red job is told of when it is known whose fault it is: at the end. */
static void on_job_finished(void *data, const struct ci_job_result *job)
{
    const struct ci_cli *cli = data;

    if (job->state == CI_FAILED && cli->is_json)
        return;
    print_job(cli, job);
}

static void on_rerun(void *data, const char *id)
{
    const struct ci_cli *cli = data;

    if (!cli->is_json && !cli->ctx->quiet)
        print_text(stderr, "run again    ", id);
}

/* The tree at REF in a folder of its own below LOGS, or NULL. Caller frees. */
static char *export_base(const struct ci_cli *cli, const char *ref, const char *logs)
{
    struct error ignored = {0};
    struct git_repo *repo = git_repo_open(cli->ctx->loop, ".", &ignored);
    char *dir = path_join(logs, "base"), *commit = NULL;

    if (repo == NULL || git_resolve(repo, ref, &commit, &ignored) < 0 || file_make_directories(logs, 0700, &ignored) < 0 ||
        worktree_export(repo, commit, dir, &ignored) < 0)
        FREE_NULL(dir);
    free(commit);
    git_repo_close(repo);
    return dir;
}

/* Runs red jobs again, here and on the base. */
static int classify(const struct ci_cli *cli, const struct ci_plan *plan, const struct ci_run_options *options,
                    unsigned retries, struct ci_result *result, struct error *err)
{
    const char *base = cli_option(cli->args, "base");
    bool has_red = result->verdict == CI_RED && result->failed > 0;
    char *base_dir = has_red && base != NULL && !options->in_place ? export_base(cli, base, options->log_dir) : NULL;
    struct ci_classify_options how = {.run = options, .retries = retries, .base_dir = base_dir, .on_rerun = on_rerun, .data = (void *)(uintptr_t)cli};
    struct error ignored = {0};
    int rc = 0;

    if (has_red && (retries > 0 || base_dir != NULL))
        rc = ci_classify(plan, &how, result, err);
    for (size_t i = 0; i < result->job_count; i++) {
        const struct ci_job_result *job = &result->jobs[i];
        if (cli->is_json && (job->state == CI_FAILED || job->runs > 0))
            print_job(cli, job);
        else if (job->fault != CI_FAULT_NONE && job->fault != CI_FAULT_BROKEN && job->runs > 0)
            print_job(cli, job);
    }
    if (base_dir != NULL)
        (void)file_remove_tree(base_dir, &ignored);
    free(base_dir);
    return rc;
}

static void write_report(const char *path, void (*make)(struct buf *, const struct ci_result *),
                         const struct ci_result *result)
{
    struct buf b = BUF_INIT;
    struct error err = {0};

    if (path == NULL)
        return;
    make(&b, result);
    if (file_write(path, b.data, b.len, 0644, &err) < 0)
        (void)cli_fail(&err);
    buf_free(&b);
}

static int report(const struct ci_cli *cli, const struct ci_result *result)
{
    struct buf b = BUF_INIT;
    const char *summary = getenv("GITHUB_STEP_SUMMARY");

    if (cli->is_json)
        report_result_json(&b, result);
    else
        report_summary_line(&b, result);
    puts(b.data);
    buf_clear(&b);
    if (getenv("GITHUB_ACTIONS") != NULL && !cli->is_json) {
        report_annotations(&b, result);
        fputs(buf_cstr(&b), stdout);
        write_report(summary, report_markdown, result);
    }
    buf_free(&b);
    write_report(cli_option(cli->args, "junit"), report_junit, result);
    write_report(cli_option(cli->args, "markdown"), report_markdown, result);
    return result->verdict == CI_GREEN ? EXIT_DONE : result->verdict == CI_STOPPED ? EXIT_INTERRUPTED : EXIT_NOT_CONVERGED;
}

static int run_jobs(struct ci_cli *cli, const struct ci_plan *plan, const struct run_settings *settings,
                    const struct str_list *changed)
{
    char *state = path_state_home(), *logs_home = path_join(state, "ci-logs");
    char *logs = xasprintf("%s/%ld", logs_home, (long)getpid()), *work_dir = path_current_directory();
    bool is_top = str_eq(ci_repository_top(cli->repository), work_dir);
    const char *tree_id = is_top ? ci_repository_clean_tree(cli->repository) : NULL;
    struct ci_result result = {0};
    struct error err = {0};
    int64_t parallel = 0, retries = 0;
    int code;
    struct ci_run_options options = {
        .loop = cli->ctx->loop, .work_dir = work_dir, .log_dir = logs, .cache_dir = cli->cache_dir, .tree_id = tree_id,
        .timeout_ms = settings->ci_timeout_seconds * 1000, .in_place = cli_flag(cli->args, "in-place"),
        .on_job_started = on_job_started, .on_job_finished = on_job_finished, .data = cli};

    if (!cli_flag(cli->args, "network") && !settings->ci_network)
        options.wrap = without_network;
    options.conditions = options.wrap != NULL ? "ci" : "ci, with the network";
    if (!cli_int_option(cli->args, "parallel", 1, 64, settings->ci_jobs, &parallel, &err) ||
        !cli_int_option(cli->args, "retries", 0, 100, 0, &retries, &err)) {
        code = cli_fail(&err);
    } else {
        int rc;
        options.parallel = (unsigned)parallel;
        options.changed_paths = changed;
        cli->view = cli->is_json || cli->ctx->quiet ? NULL : ci_view_create(cli->ctx->loop);
        rc = ci_run(plan, &options, &result, &err);
        ci_view_destroy(cli->view);
        cli->view = NULL;
        if (rc == 0)
            rc = classify(cli, plan, &options, (unsigned)retries, &result, &err);
        code = rc < 0 ? cli_fail(&err) : report(cli, &result);
    }
    ci_result_finish(&result);
    free(work_dir);
    free(logs);
    free(logs_home);
    free(state);
    return code;
}

/* "NAME=variable" of [ci.secrets] become "NAME=value"; a variable that is not set leaves the secret empty. */
static void read_secrets(const struct str_list *settings, struct str_list *secrets)
{
    for (size_t i = 0; i < settings->len; i++) {
        const char *entry = settings->items[i], *equals = strchr(entry, '=');
        const char *value = getenv(equals + 1);

        if (value != NULL)
            str_list_take(secrets, xasprintf("%.*s=%s", (int)(equals - entry), entry, value));
    }
}

/* What the command line says of the event. */
struct event_options {
    struct str_list paths, inputs;
    struct buf payload;
    bool has_paths;
};

static void event_options_finish(struct event_options *e)
{
    str_list_finish(&e->paths);
    str_list_finish(&e->inputs);
    buf_free(&e->payload);
}

static int read_event_options(struct cli_context *ctx, const struct cli_args *args, const char *event,
                              struct event_options *e, struct error *err)
{
    const char *base = cli_option(args, "base"), *file = cli_option(args, "event-file"), *input;

    if (event != NULL && !event_is_known(event) && strcmp(event, "merge_request") != 0)
        return error_set(err, ERROR_USAGE, "--event '%s': no such event; push, pull_request, workflow_dispatch, schedule ... "
                                           "is expected", event);
    for (size_t i = 0; (input = cli_option_at(args, "input", i)) != NULL; i++) {
        if (strchr(input, '=') == NULL || *input == '=')
            return error_set(err, ERROR_USAGE, "--input '%s': NAME=VALUE is expected", input);
        str_list_add(&e->inputs, input);
    }
    if (file != NULL) {
        json_t *json;
        if (file_read(file, &e->payload, 4 << 20, err) < 0)
            return error_wrap(err, "--event-file");
        json = json_parse(buf_cstr(&e->payload), e->payload.len, file, err);
        if (!json_is_object(json)) {
            json_decref(json);
            return error_is_set(err) ? -1 : error_set(err, ERROR_USAGE, "%s: a JSON object is expected", file);
        }
        json_decref(json);
    }
    e->has_paths = base != NULL;
    return base == NULL ? 0
                        : ci_change_paths(ctx->loop, base, event != NULL && strncmp(event, "pull_request", 12) == 0,
                                          &e->paths, err);
}

static int run_ci(struct cli_context *ctx, const struct cli_args *args)
{
    const char *verb = args->positionals.len > 0 ? args->positionals.items[0] : "run";
    struct ci_cli cli = {.ctx = ctx, .args = args, .is_json = cli_flag(args, "json")};
    struct error err = {0};
    struct run_settings settings;
    struct str_list secrets = {0};
    struct event_options e = {0};
    struct config *config;
    struct ci_plan *plan;
    char *root;
    int code;

    if (strcmp(verb, "run") != 0 && strcmp(verb, "plan") != 0 && strcmp(verb, "list") != 0) {
        error_set(&err, ERROR_USAGE, "'%s' is neither list, plan nor run", verb);
        return cli_fail(&err);
    }
    cli.repository = ci_repository_open(ctx->loop, strcmp(verb, "run") == 0 && !cli_flag(args, "no-cache"));
    alloc_warm(HEAP_BYTES);
    config = cli_load_config(ctx, &err);
    if (config == NULL) {
        ci_repository_close(cli.repository);
        return cli_fail(&err);
    }
    run_settings_init(&settings, config);
    root = path_current_directory();
    char *state = path_state_home();
    cli.cache_dir = path_join(state, "ci-cache");
    free(state);
    read_secrets(&settings.ci_secrets, &secrets);
    const char *event = cli_option(args, "event") != NULL ? cli_option(args, "event") : settings.ci_event;
    struct ci_options options = {
        .definition_dir = root,
        .commands = &settings.ci_commands,
        .workflow = cli_option(args, "workflow"),
        .workflows = &settings.ci_workflows,
        .actions = settings.ci_actions,
        .action_count = settings.ci_action_count,
        .container_engine = settings.ci_container_engine,
        .secrets = &secrets,
        .vars = &settings.ci_vars,
        .job = cli_option(args, "job"),
        .event = event,
        .base_branch = cli_option(args, "base") != NULL ? ci_change_branch(cli_option(args, "base")) : NULL,
        .tag = cli_option(args, "tag"),
        .inputs = &e.inputs,
        .branch = ci_repository_branch(cli.repository),
        .sha = ci_repository_commit(cli.repository),
        .cache_dir = cli_flag(args, "no-cache") ? NULL : cli.cache_dir,
        .include_unmatched = cli_flag(args, "all"),
    };
    plan = NULL;
    if (read_event_options(ctx, args, event, &e, &err) == 0) {
        options.changed_paths = e.has_paths ? &e.paths : NULL;
        options.event_json = e.payload.len > 0 ? buf_cstr(&e.payload) : NULL;
        plan = ci_plan_create(&options, &err);
    }
    if (plan == NULL) {
        code = EXIT_USAGE;
        (void)cli_fail(&err);
    } else if (options.job != NULL && ci_plan_job_count(plan) == 0) {
        error_set(&err, ERROR_USAGE, "no job '%s' runs for this event; `cadre ci list --all` shows what there is",
                  options.job);
        code = cli_fail(&err);
    } else if (strcmp(verb, "run") != 0) {
        code = show_plan(&cli, plan, strcmp(verb, "list") == 0);
    } else {
        code = run_jobs(&cli, plan, &settings, options.changed_paths);
    }
    ci_plan_destroy(plan);
    event_options_finish(&e);
    str_list_finish(&secrets);
    free(root);
    free(cli.cache_dir);
    ci_repository_close(cli.repository);
    run_settings_finish(&settings);
    config_destroy(config);
    return code;
}

const struct command command_ci = {
    .name = "ci",
    .summary = "run the project's CI on this machine",
    .usage = "[OPTIONS] [list|plan|run]",
    .details = "Runs what the project's CI would run for an event: [ci] commands of cadre.toml, else the jobs of\n"
               ".github/workflows or .gitlab-ci.yml, else what the build files suggest. Each job runs in its own copy of the tree.\n"
               "list names the jobs, plan prints their commands, run (the default) runs them. What cannot run here\n"
               "is listed as skipped with its reason, never as passed. Exit code 0: green; 1: red, nothing ran, or\n"
               "the machine lacks something; 2: a workflow does not read.",
    .example = "cadre ci\ncadre ci plan --event pull_request --base main\ncadre ci run --job test --junit report.xml",
    .options = ci_options,
    .min_positionals = 0,
    .max_positionals = 1,
    .run = run_ci,
};
