/* cli/cmd_plan.c: `cadre plan [check|show|next] [FILE]`: what a run would make of a plan.md. Reads only. */
#include "cli/command.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "cli/plan_change.h"
#include "cli/settings.h"
#include "config/config.h"
#include "config/run_settings.h"
#include "team/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec plan_options[] = {
    {"json", 0, NULL, "print JSON", false},
    {"strict", 0, NULL, "warnings count as errors", false},
    {"run", 'r', "RUN", "add, drop, edit: the plan of this run (default: the one alive here)", false},
    {"files", 0, "A,B", "add: what the task may change; may be repeated", true},
    {"needs", 0, "T1,T2", "add: tasks that come before it; may be repeated", true},
    {"accept", 0, "TEXT", "add: how to see that it is done; `command` alone is run by the engine", false},
    {"role", 0, "ROLE", "add: who does it (default: implementer)", false},
    {"allow", 0, "CHECK", "add: a built-in check that it may trip; may be repeated", true},
    {"priority", 0, "N", "add: higher goes first", false},
    {"budget", 0, "TOKENS", "add: what it may use", false},
    {0},
};

static void print_line(FILE *to, const char *text)
{
    struct buf b = BUF_INIT;

    utf8_append_printable(&b, text, strlen(text), false);
    fprintf(to, "%s\n", buf_cstr(&b));
    buf_free(&b);
}

static void free_strings(struct vec *v)
{
    for (size_t i = 0; i < v->len; i++)
        free(v->items[i]);
    vec_finish(v);
}

static void write_list(struct json_writer *w, const char *key, const struct str_list *list)
{
    jw_key(w, key);
    jw_array_begin(w);
    for (size_t i = 0; i < list->len; i++)
        jw_string(w, list->items[i]);
    jw_array_end(w);
}

static void write_task(struct json_writer *w, const struct plan_task *task)
{
    jw_object_begin(w);
    jw_pair_string(w, "id", task->id);
    jw_pair_string(w, "title", task->title);
    jw_pair_bool(w, "done", task->is_done);
    write_list(w, "files", &task->files);
    write_list(w, "needs", &task->needs);
    jw_pair_string(w, "accept", task->accept);
    jw_pair_string(w, "role", task->role);
    write_list(w, "allow", &task->allow);
    jw_pair_int(w, "priority", task->priority);
    jw_pair_int(w, "budget_tokens", task->budget_tokens);
    jw_pair_int(w, "line", task->line);
    jw_object_end(w);
}

static void write_strings(struct json_writer *w, const char *key, const struct vec *strings)
{
    jw_key(w, key);
    jw_array_begin(w);
    for (size_t i = 0; i < strings->len; i++)
        jw_string(w, strings->items[i]);
    jw_array_end(w);
}

static void print_json(const struct plan *plan, const struct vec *tasks, const struct vec *problems,
                       const struct vec *warnings)
{
    struct buf b = BUF_INIT;
    struct json_writer w = {.out = &b};

    jw_object_begin(&w);
    jw_pair_bool(&w, "valid", plan != NULL);
    jw_pair_string(&w, "goal", plan != NULL ? plan_goal(plan) : NULL);
    jw_key(&w, "tasks");
    jw_array_begin(&w);
    for (size_t i = 0; i < tasks->len; i++)
        write_task(&w, tasks->items[i]);
    jw_array_end(&w);
    write_strings(&w, "problems", problems);
    write_strings(&w, "warnings", warnings);
    jw_object_end(&w);
    puts(b.data);
    buf_free(&b);
}

static void print_field(const char *name, const struct str_list *list)
{
    char *joined;

    if (list->len == 0)
        return;
    joined = str_list_join(list, ", ");
    printf("     %s: ", name);
    print_line(stdout, joined);
    free(joined);
}

static void print_tasks(const struct vec *tasks)
{
    for (size_t i = 0; i < tasks->len; i++) {
        const struct plan_task *task = tasks->items[i];

        printf("[%c] %s  ", task->is_done ? 'x' : ' ', task->id);
        print_line(stdout, task->title);
        print_field("files", &task->files);
        print_field("needs", &task->needs);
        fputs("     accept: ", stdout);
        print_line(stdout, task->accept);
    }
}

/* The plan of a run stands in its integration worktree as plan.md, or as cadre-plan.md where the project has a file of
 * that name itself. */
static const char *default_file(void)
{
    return !file_exists("plan.md") && file_exists("cadre-plan.md") ? "cadre-plan.md" : "plan.md";
}

static void choose_tasks(const struct plan *plan, const char *verb, const struct run_settings *settings,
                         struct vec *tasks)
{
    if (strcmp(verb, "next") == 0) {
        plan_ready_tasks(plan, settings->batch_size > 0 ? (size_t)settings->batch_size : 1, NULL, NULL,
                         tasks);
        return;
    }
    for (size_t i = 0; i < plan_task_count(plan); i++)
        vec_push(tasks, (void *)(uintptr_t)plan_task_at(plan, i));
}

static int show(const struct cli_args *args, const char *verb, const char *file,
                const struct run_settings *settings)
{
    struct vec problems = {0};
    struct vec warnings = {0};
    struct vec tasks = {0};
    struct plan *plan = plan_load_file(file, settings->max_task_files, &problems);
    bool is_check = strcmp(verb, "check") == 0;
    int code = plan == NULL ? EXIT_USAGE : EXIT_DONE;

    if (plan != NULL) {
        plan_lint(plan, file, &warnings);
        choose_tasks(plan, verb, settings, &tasks);
        if (cli_flag(args, "strict") && warnings.len > 0)
            code = EXIT_USAGE;
    }
    if (cli_flag(args, "json"))
        print_json(plan, &tasks, &problems, &warnings);
    for (size_t i = 0; i < problems.len; i++)
        print_line(stderr, problems.items[i]);
    for (size_t i = 0; is_check && i < warnings.len; i++) {
        fputs("warning: ", stderr);
        print_line(stderr, warnings.items[i]);
    }
    if (plan != NULL && !cli_flag(args, "json")) {
        if (is_check)
            printf("%s: %zu task%s, %zu warning%s\n", file, tasks.len, tasks.len == 1 ? "" : "s",
                   warnings.len, warnings.len == 1 ? "" : "s");
        else
            print_tasks(&tasks);
        if (strcmp(verb, "next") == 0 && tasks.len == 0)
            puts("no task is ready: all are done, or wait for one another");
    }
    free_strings(&problems);
    free_strings(&warnings);
    vec_finish(&tasks);
    plan_destroy(plan);
    return code;
}

static int run_plan(struct cli_context *ctx, const struct cli_args *args)
{
    static const char *const verbs[] = {"check", "show", "next", NULL};
    static const char *const changes[] = {"add", "drop", "edit", NULL};
    const char *verb = "check";
    const char *file = NULL;
    struct error err = {0};
    struct run_settings settings;
    struct config *config;
    size_t at = 0;
    int code;

    for (size_t i = 0; args->positionals.len > 0 && changes[i] != NULL; i++)
        if (strcmp(args->positionals.items[0], changes[i]) == 0)
            return plan_change_main(ctx, args, changes[i]);
    for (size_t i = 0; args->positionals.len > 0 && verbs[i] != NULL; i++)
        if (strcmp(args->positionals.items[0], verbs[i]) == 0) {
            verb = verbs[i];
            at = 1;
        }
    if (args->positionals.len > at)
        file = args->positionals.items[at];
    if (args->positionals.len > at + 1) {
        error_set(&err, ERROR_USAGE, "'%s' is none of check, show, next, add, drop and edit", args->positionals.items[0]);
        return cli_fail(&err);
    }
    config = cli_load_config(ctx, &err);
    if (config == NULL)
        return cli_fail(&err);
    run_settings_init(&settings, config);
    code = show(args, verb, file ? file : default_file(), &settings);
    run_settings_finish(&settings);
    config_destroy(config);
    return code;
}

const struct command command_plan = {
    .name = "plan",
    .summary = "check, show or change a plan.md",
    .usage = "[OPTIONS] [check|show|next] [FILE] | add TITLE | drop TASK | edit [FILE]",
    .details =
        "check (the default) prints every problem with its line and exits with 2 when there is one; what is\n"
        "allowed but unwise is a warning. show prints the tasks, next those that could be worked on now.\n"
        "FILE is plan.md unless given. add, drop and edit change the plan of the run that is alive here (or --run, or\n"
        "the plan in the working directory when no run is): it takes them up before its next batch. edit opens $VISUAL or\n"
        "$EDITOR on a copy and joins it with what the run wrote meanwhile; your words stand.",
    .example = "cadre plan check plan.md\ncadre plan next --json\n"
               "cadre plan add \"Say so in the manual\" --files docs/date.md --needs T1 --accept '`make docs`'\n"
               "cadre plan drop T4",
    .options = plan_options,
    .min_positionals = 0,
    .max_positionals = -1,
    .run = run_plan,
};
