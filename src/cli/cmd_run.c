/* cli/cmd_run.c: `cadre run` and `cadre resume`: one goal carried to green and merged. */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/prompt_history.h"
#include "cli/repl.h"
#include "cli/settings.h"
#include "config/config.h"
#include "config/role.h"
#include "io/fiber.h"
#include "model/cassette.h"
#include "store/session_dir.h"
#include "team/run.h"
#include "ui/approval_prompt.h"
#include "ui/live_view.h"
#include "ui/notify.h"
#include "ui/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOAL_MAX_BYTES ((size_t)1 << 20)

#define LIMIT_OPTIONS                                                                                        \
    {"max-batches", 0, "N", "stop after N batches (resumable)", false},                                      \
        {"batch-size", 0, "N", "tasks a batch, 1 to 16", false},                                             \
        {"max-tokens", 0, "N", "stop when the run has used N tokens", false},                                \
        {"max-cost", 0, "USD", "stop when the run has cost USD", false},                                     \
        {"max-minutes", 0, "N", "stop after N minutes", false}, {"json", 0, NULL, "print events as JSON lines", false}

static const struct option_spec run_options_table[] = {
    {"file", 'f', "FILE", "read the goal from FILE (- for standard input)", false},
    {"dry-run", 0, NULL, "stop after a valid plan", false},
    {"no-merge", 0, NULL, "leave the result on its integration branch", false},
    {"record", 0, "FILE", "keep all model traffic in the cassette FILE", false},
    {"replay", 0, "FILE", "play a cassette in place of every model", false},
    LIMIT_OPTIONS,
    {0},
};

static const struct option_spec resume_options_table[] = {
    {"last", 0, NULL, "the interactive session of this folder that was used last, in place of a run", false},
    {"no-merge", 0, NULL, "leave the result on its integration branch", false},
    {"record", 0, "FILE", "go on with the cassette FILE of this run", false},
    {"replay", 0, "FILE", "play a cassette in place of every model", false},
    LIMIT_OPTIONS,
    {0},
};

struct output {
    struct live_view *view;
    struct notifier *notifier;
    struct approval_prompt *prompt;
    struct loop *loop;
    bool as_json;
    const struct config *config;
    const char *goal; /* what a person typed: goes into the history; NULL: nothing was typed */
};

static void on_event(void *data, const json_t *event)
{
    struct output *out = data;
    struct buf line = BUF_INIT;

    if (out->goal != NULL && str_eq(json_get_string(event, "type", NULL), "run.started"))
        prompt_history_add(out->config, json_get_string(event, "run", ""), out->goal);
    if (out->as_json) {
        json_append_value(&line, event);
        buf_putc(&line, '\n');
        (void)fwrite(line.data, 1, line.len, stdout);
        (void)fflush(stdout);
        buf_free(&line);
    }
    if (out->view != NULL)
        live_view_event(out->view, event);
    notifier_event(out->notifier, event);
    approval_prompt_event(out->prompt, event);
}

static void on_inbox(void *data, struct inbox *inbox)
{
    struct output *out = data;

    approval_prompt_destroy(out->prompt);
    out->prompt = inbox == NULL ? NULL : approval_prompt_create(out->loop, inbox);
}

/* The goal from the arguments, a file or standard input; NULL with ERR set. */
static char *read_goal(const struct cli_args *args, struct error *err)
{
    const char *file = cli_option(args, "file");
    struct buf text = BUF_INIT;
    char *goal;

    if (file == NULL && args->positionals.len == 1 && strcmp(args->positionals.items[0], "-") == 0)
        file = "-";
    else if (file != NULL && args->positionals.len > 0) {
        error_set(err, ERROR_USAGE, "give the goal as an argument or with -f, not both");
        return NULL;
    }
    if (file == NULL && args->positionals.len > 0) {
        goal = str_list_join(&args->positionals, " ");
    } else if (file == NULL) {
        error_set(err, ERROR_USAGE, "a goal is expected");
        error_hint(err, "for example: cadre run \"make the failing tests pass\"");
        return NULL;
    } else {
        if (strcmp(file, "-") == 0) {
            char chunk[4096];
            size_t n;

            while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0 && text.len < GOAL_MAX_BYTES)
                buf_append(&text, chunk, n);
        } else if (file_read(file, &text, GOAL_MAX_BYTES, err) < 0) {
            buf_free(&text);
            return NULL;
        }
        goal = buf_take(&text);
    }
    if (str_trim(goal)[0] == '\0') {
        error_set(err, ERROR_USAGE, "the goal is empty");
        FREE_NULL(goal);
    }
    return goal;
}

/* The goal that the cassette PATH was recorded with. */
static char *recorded_goal(const char *path, struct error *err)
{
    struct cassette_head head = {0};
    char *goal = NULL;

    if (cassette_read_head(path, &head, err) == 0 && head.goal == NULL)
        error_set_at(err, ERROR_CONFIG, path, 1, 0, "names no goal; give the goal as an argument");
    else
        goal = xstrdup(head.goal);
    cassette_head_finish(&head);
    return goal;
}

static bool read_limits(const struct cli_args *args, struct run_options *o, struct error *err)
{
    int64_t batches;
    int64_t size;
    int64_t minutes;
    const char *cost = cli_option(args, "max-cost");

    if (!cli_int_option(args, "max-batches", 1, 10000, 0, &batches, err) ||
        !cli_int_option(args, "batch-size", 1, 16, 0, &size, err) ||
        !cli_int_option(args, "max-minutes", 1, 1000000, 0, &minutes, err) ||
        !cli_int_option(args, "max-tokens", 1, INT64_MAX, 0, &o->max_tokens, err))
        return false;
    if (cost != NULL && (!str_to_double(cost, &o->max_cost_usd) || o->max_cost_usd <= 0)) {
        error_set(err, ERROR_USAGE, "--max-cost %s: expected an amount in US dollars, for example 2.50", cost);
        return false;
    }
    o->max_batches = (int)batches;
    o->batch_size = (int)size;
    o->max_minutes = (int)minutes;
    return true;
}

static void print_outcome(const struct run_outcome *outcome, const struct error *err, bool dry_run)
{
    if (outcome->task_count > 0)
        run_table_print(stdout, outcome);
    if (outcome->notes_path != NULL)
        printf("release notes: %s\n", outcome->notes_path);
    if (outcome->pull_request != NULL)
        printf("pull request: %s\n", outcome->pull_request);
    if (err == NULL && outcome->merged)
        printf("merged: %.12s\n", outcome->commit);
    else if (err == NULL && !dry_run)
        printf("green on branch %s: %.12s\n", outcome->branch, outcome->commit);
    else if (err != NULL && outcome->run_id != NULL)
        printf("go on with: cadre resume %s\n", outcome->run_id);
}

static int execute(struct cli_context *ctx, const struct cli_args *args, struct run_options *o)
{
    struct error err = {0};
    struct run_outcome outcome = {0};
    struct output out = {.as_json = cli_flag(args, "json")};
    struct config *config = NULL;
    struct role_registry *roles = NULL;
    json_t *kept = NULL, *command_line = NULL; /* of the process that began the run, and of this one */
    char *id = NULL;
    int rc = -1;

    if (!read_limits(args, o, &err))
        goto out;
    o->record_path = cli_option(args, "record");
    o->replay_path = cli_option(args, "replay");
    if (o->record_path != NULL && o->replay_path != NULL) {
        error_set(&err, ERROR_USAGE, "--record and --replay exclude each other");
        goto out;
    }
    if (o->goal == NULL) {
        if (run_find(ctx->loop, ".", o->run_id, &id, &kept, &err) < 0)
            goto out;
        o->run_id = id;
        cli_recall_options(ctx, kept);
    }
    command_line = cli_keep_options(ctx);
    o->command_line = command_line;
    config = cli_load_config(ctx, &err);
    if (config == NULL)
        goto out;
    roles = role_registry_create(config);
    o->loop = ctx->loop;
    o->config = config;
    o->roles = roles;
    o->directory = ".";
    o->no_merge = cli_flag(args, "no-merge");
    o->on_event = on_event;
    o->is_attended = !out.as_json && isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0;
    out.loop = ctx->loop;
    if (o->is_attended)
        o->on_inbox = on_inbox;
    o->data = &out;
    out.config = config;
    out.goal = o->replay_path == NULL ? o->goal : NULL;
    if (!out.as_json && !ctx->quiet)
        out.view = live_view_create(ctx->loop, stderr, isatty(STDERR_FILENO) != 0 && ctx->color, ctx->color);
    out.notifier = notifier_create(ctx->loop, config, isatty(STDERR_FILENO) != 0 && !out.as_json);
    rc = run_execute(o, &outcome, &err);
    live_view_finish(out.view);
    notifier_finish(out.notifier);
    if (!out.as_json)
        print_outcome(&outcome, rc < 0 ? &err : NULL, o->dry_run);
out:
    run_outcome_finish(&outcome);
    role_registry_destroy(roles);
    config_destroy(config);
    json_decref(kept);
    json_decref(command_line);
    free(id);
    return rc < 0 ? cli_fail(&err) : EXIT_DONE;
}

static int run_main(struct cli_context *ctx, const struct cli_args *args)
{
    struct error err = {0};
    struct run_options o = {.dry_run = cli_flag(args, "dry-run")};
    bool is_goal_recorded =
        cli_option(args, "replay") != NULL && args->positionals.len == 0 && cli_option(args, "file") == NULL;
    char *goal = is_goal_recorded ? recorded_goal(cli_option(args, "replay"), &err) : read_goal(args, &err);
    int exit_code;

    if (goal == NULL)
        return cli_fail(&err);
    o.goal = str_trim(goal);
    exit_code = execute(ctx, args, &o);
    free(goal);
    return exit_code;
}

static int resume_main(struct cli_context *ctx, const struct cli_args *args)
{
    struct run_options o = {.run_id = args->positionals.len > 0 ? args->positionals.items[0] : NULL};
    struct session_head head = {0};

    if (cli_flag(args, "last"))
        return repl_resume(ctx, NULL);
    if (o.run_id != NULL && session_dir_find(o.run_id, NULL, &head, NULL) == 0) { /* the id of a session, not of a run */
        session_head_finish(&head);
        return repl_resume(ctx, o.run_id);
    }
    return execute(ctx, args, &o);
}

const struct command command_run = {
    .name = "run",
    .summary = "carry a goal to green CI and merge the result",
    .usage = "[OPTIONS] GOAL",
    .details = "Plans the goal, works on it with a team of agents in their own worktrees, runs the project's CI and\n"
               "the review and security gates on every batch, and merges the result back when all is green.\n"
               "Your checkout is touched only by that last merge, and only if it is clean.",
    .example = "cadre run \"make the failing date tests pass\"\n"
               "cadre run --no-merge --max-cost 5 -f goal.md\n"
               "cadre run --json - < goal.md\n"
               "cadre run --record team.cassette \"mend the parser\"\n"
               "cadre run --replay team.cassette",
    .options = run_options_table,
    .min_positionals = 0,
    .max_positionals = -1,
    .run = run_main,
};

const struct command command_resume = {
    .name = "resume",
    .summary = "go on with an interrupted run, or with a session",
    .usage = "[OPTIONS] [RUN|SESSION|--last]",
    .details = "Goes on from the journal: what is merged stays merged, what was committed is not done again.\n"
               "Without RUN: the latest run of this repository. SESSION (its id) or --last opens an interactive\n"
               "session again, also one of `cadre exec`.",
    .example = "cadre resume\ncadre resume --last\ncadre resume 20261123-160203-x7k2 --max-cost 10",
    .options = resume_options_table,
    .min_positionals = 0,
    .max_positionals = 1,
    .run = resume_main,
};
