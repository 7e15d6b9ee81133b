/* cli/plan_change.c: `cadre plan add|drop|edit`: changes a plan.md so that a run which writes to it too loses nothing: the
 * file is read, changed, checked and replaced at once; an editor's text is joined with what came meanwhile. */
#include "cli/plan_change.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/vec.h"
#include "cli/command.h"
#include "cli/run_link.h"
#include "cli/settings.h"
#include "config/config.h"
#include "config/run_settings.h"
#include "io/fiber.h"
#include "io/process.h"
#include "store/journal.h"
#include "store/run_dir.h"
#include "team/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TRIES 8 /* of writing beside a run that writes at the same time */

struct change {
    struct cli_context *ctx;
    char *path;
    char *run; /* whose plan it is, or NULL */
    int max_task_files;
};

/* Where the plan of run ID stands, from its journal; NULL with ERR set. */
static char *plan_of_run(const char *id, struct error *err)
{
    char *journal_path = run_dir_journal(id);
    struct journal *journal = journal_open_readonly(journal_path, err);
    char *text = journal == NULL ? NULL : journal_get(journal, "meta", "run", NULL);
    json_t *meta = text == NULL ? NULL : json_parse(text, strlen(text), "journal", NULL);
    const char *path = json_get_string(meta, "plan_path", NULL);
    char *copy = path != NULL && file_exists(path) ? xstrdup(path) : NULL;

    if (journal != NULL && copy == NULL)
        error_set(err, ERROR_NOT_FOUND, "run %s has no plan yet, or none any more", id);
    json_decref(meta);
    free(text);
    journal_close(journal);
    free(journal_path);
    return copy;
}

static int find_plan(struct change *c, const struct cli_args *args, const char *file, struct error *err)
{
    struct error none = {0};
    struct run_settings settings;
    struct config *config = cli_load_config(c->ctx, err);

    if (config == NULL)
        return -1;
    run_settings_init(&settings, config);
    c->max_task_files = settings.max_task_files;
    run_settings_finish(&settings);
    config_destroy(config);
    if (file != NULL) {
        c->path = xstrdup(file);
        return 0;
    }
    c->run = run_link_find(cli_option(args, "run"), cli_option(args, "run") != NULL ? err : &none);
    if (c->run != NULL) {
        c->path = plan_of_run(c->run, err);
        return c->path == NULL ? -1 : 0;
    }
    if (cli_option(args, "run") != NULL)
        return -1;
    if (!file_exists("plan.md")) {
        error_set(err, ERROR_NOT_FOUND, "no run is alive here, and there is no plan.md in this folder");
        return error_hint(err, "name a run by --run; `cadre status` lists them");
    }
    c->path = xstrdup("plan.md");
    return 0;
}

/* Does TEXT read as a plan? Else the first problems are the error. */
static int check_plan(const struct change *c, const struct buf *text, struct error *err)
{
    struct vec problems = {0};
    struct plan *plan = plan_load_text(buf_cstr(text), text->len, c->path, c->max_task_files, &problems);
    struct buf all = BUF_INIT;
    int rc = plan == NULL ? -1 : 0;

    for (size_t i = 0; i < problems.len; i++) {
        buf_printf(&all, "%s%s", i > 0 ? "\n" : "", (char *)problems.items[i]);
        free(problems.items[i]);
    }
    if (rc < 0) {
        error_set(err, ERROR_CONFIG, "%.1500s", buf_cstr(&all));
        error_hint(err, "the plan was not changed");
    }
    vec_finish(&problems);
    buf_free(&all);
    plan_destroy(plan);
    return rc;
}

/* Replaces the file if it still holds BEFORE. 1: it does not. */
static int replace(const struct change *c, const struct buf *before, const struct buf *after, struct error *err)
{
    struct buf now = BUF_INIT;
    int rc = file_read(c->path, &now, PLAN_TEXT_MAX_BYTES, err);

    if (rc == 0 && strcmp(buf_cstr(&now), buf_cstr(before)) != 0)
        rc = 1;
    if (rc == 0)
        rc = file_write_atomic(c->path, buf_cstr(after), after->len, 0644, err);
    buf_free(&now);
    return rc;
}

static void split_option(const struct cli_args *args, const char *name, struct str_list *out)
{
    const char *value;

    for (size_t i = 0; (value = cli_option_at(args, name, i)) != NULL; i++) {
        struct str_list parts = {0};

        str_split(&parts, value, ',');
        for (size_t k = 0; k < parts.len; k++)
            if (*str_trim(parts.items[k]) != '\0')
                str_list_add(out, str_trim(parts.items[k]));
        str_list_finish(&parts);
    }
}

/* Reads, changes and writes until nobody was in between. CHANGE gives -1 with ERR, or 0. */
static int change_text(const struct change *c, int (*change)(struct buf *text, void *arg, struct error *err), void *arg,
                       struct error *err)
{
    int rc = 1;

    for (int i = 0; i < MAX_TRIES && rc == 1; i++) {
        struct buf before = BUF_INIT;
        struct buf after = BUF_INIT;

        rc = file_read(c->path, &before, PLAN_TEXT_MAX_BYTES, err);
        if (rc == 0) {
            buf_append(&after, buf_cstr(&before), before.len);
            rc = change(&after, arg, err);
        }
        if (rc == 0)
            rc = check_plan(c, &after, err);
        if (rc == 0)
            rc = replace(c, &before, &after, err);
        buf_free(&before);
        buf_free(&after);
    }
    return rc == 1 ? error_set(err, ERROR_IO, "%s changes all the time; try again", c->path) : rc;
}

struct addition {
    struct plan_new_task task;
    char *id;
};

static int add_task(struct buf *text, void *arg, struct error *err)
{
    struct addition *a = arg;

    free(a->id);
    a->id = plan_text_add_task(text, &a->task, err);
    return a->id == NULL ? -1 : 0;
}

static int add_main(struct change *c, const struct cli_args *args, struct error *err)
{
    struct str_list files = {0};
    struct str_list needs = {0};
    struct str_list allow = {0};
    struct str_list words = {0};
    struct addition a = {.task = {.files = &files, .needs = &needs, .allow = &allow, .role = cli_option(args, "role"),
                                  .accept = cli_option(args, "accept")}};
    char *title = NULL;
    int rc = -1;

    for (size_t i = 1; i < args->positionals.len; i++)
        str_list_add(&words, args->positionals.items[i]);
    title = str_list_join(&words, " ");
    a.task.title = title;
    split_option(args, "files", &files);
    split_option(args, "needs", &needs);
    split_option(args, "allow", &allow);
    if (!cli_int_option(args, "priority", -1000, 1000, 0, &a.task.priority, err) ||
        !cli_int_option(args, "budget", 1, INT64_MAX, 0, &a.task.budget_tokens, err))
        goto out;
    if (*title == '\0' || files.len == 0 || str_is_empty(a.task.accept)) {
        error_set(err, ERROR_USAGE, "a task needs a title, --files and --accept");
        error_hint(err, "for example: cadre plan add \"Accept leap days\" --files src/date.c --accept '`make check`'");
        goto out;
    }
    if (find_plan(c, args, NULL, err) < 0)
        goto out;
    rc = change_text(c, add_task, &a, err);
    if (rc == 0)
        printf("%s added to %s\n", a.id, c->path);
out:
    free(title);
    free(a.id);
    str_list_finish(&files);
    str_list_finish(&needs);
    str_list_finish(&allow);
    str_list_finish(&words);
    return rc;
}

static int drop_task(struct buf *text, void *arg, struct error *err)
{
    if (plan_text_drop_task(text, arg))
        return 0;
    return error_set(err, ERROR_NOT_FOUND, "the plan has no task %s", (const char *)arg);
}

static int drop_main(struct change *c, const struct cli_args *args, struct error *err)
{
    int rc;

    if (args->positionals.len != 2)
        return error_set(err, ERROR_USAGE, "plan drop needs the id of one task");
    if (find_plan(c, args, NULL, err) < 0)
        return -1;
    rc = change_text(c, drop_task, args->positionals.items[1], err);
    if (rc == 0)
        printf("%s is out of %s\n", args->positionals.items[1], c->path);
    return rc;
}

struct edit_wait {
    struct fiber *fiber;
    struct process_exit exit;
    bool is_over;
};

static void on_editor_exit(void *data, const struct process_exit *exit)
{
    struct edit_wait *w = data;

    w->exit = *exit;
    w->is_over = true;
    fiber_wake(w->fiber);
}

/* $VISUAL or $EDITOR on FILE, in this terminal. */
static int run_editor(const struct change *c, const char *file, struct error *err)
{
    const char *editor = getenv("VISUAL");
    char *script;
    const char *argv[] = {"/bin/sh", "-c", NULL, "sh", file, NULL};
    struct edit_wait w = {.fiber = c->ctx->fiber};
    struct process_options options = {.argv = argv, .inherit_stdio = true, .on_exit = on_editor_exit, .data = &w};
    struct process *process;

    if (str_is_empty(editor))
        editor = getenv("EDITOR");
    if (str_is_empty(editor)) {
        error_set(err, ERROR_USAGE, "no editor is known");
        return error_hint(err, "set VISUAL or EDITOR, or edit %s yourself: the run takes it up", c->path);
    }
    script = xasprintf("%s \"$1\"", editor);
    argv[2] = script;
    process = process_start(c->ctx->loop, &options, err);
    free(script);
    if (process == NULL)
        return -1;
    while (!w.is_over)
        (void)fiber_wait(NULL);
    process_destroy(process);
    if (w.exit.exit_code != 0)
        return error_set(err, ERROR_USAGE, "the editor ended with exit code %d; the plan was not changed",
                         w.exit.exit_code);
    return 0;
}

/* Joins the edited text with what is there now. */
struct edit {
    const char *base;
    const char *person;
    struct vec conflicts;
};

static int join_edit(struct buf *text, void *arg, struct error *err)
{
    struct edit *e = arg;
    struct buf joined = BUF_INIT;

    (void)err;
    plan_text_merge(e->base, e->person, buf_cstr(text), &joined, &e->conflicts);
    buf_free(text);
    *text = joined;
    return 0;
}

static int edit_main(struct change *c, const struct cli_args *args, struct error *err)
{
    struct buf base = BUF_INIT;
    struct buf edited = BUF_INIT;
    struct edit e = {0};
    char *dir = NULL;
    char *copy = NULL;
    int rc = -1;

    if (args->positionals.len > 2)
        return error_set(err, ERROR_USAGE, "plan edit takes one file at most");
    if (find_plan(c, args, args->positionals.len > 1 ? args->positionals.items[1] : NULL, err) < 0)
        return -1;
    dir = file_make_temporary_directory("cadre-plan", err);
    if (dir == NULL || file_read(c->path, &base, PLAN_TEXT_MAX_BYTES, err) < 0)
        goto out;
    copy = path_join(dir, "plan.md");
    if (file_write(copy, buf_cstr(&base), base.len, 0600, err) < 0 || run_editor(c, copy, err) < 0 ||
        file_read(copy, &edited, PLAN_TEXT_MAX_BYTES, err) < 0)
        goto out;
    if (strcmp(buf_cstr(&base), buf_cstr(&edited)) == 0) {
        puts("nothing was changed");
        rc = 0;
        goto out;
    }
    e.base = buf_cstr(&base);
    e.person = buf_cstr(&edited);
    if (check_plan(c, &edited, err) < 0 || change_text(c, join_edit, &e, err) < 0) {
        /* What a person typed is never lost. */
        error_hint(err, "your text is kept in %s", copy);
        FREE_NULL(dir);
        goto out;
    }
    for (size_t i = 0; i < e.conflicts.len; i++)
        fprintf(stderr, "%s\n", (char *)e.conflicts.items[i]);
    printf("%s is changed\n", c->path);
    rc = 0;
out:
    for (size_t i = 0; i < e.conflicts.len; i++)
        free(e.conflicts.items[i]);
    vec_finish(&e.conflicts);
    if (dir != NULL)
        (void)file_remove_tree(dir, NULL);
    free(dir);
    free(copy);
    buf_free(&base);
    buf_free(&edited);
    return rc;
}

int plan_change_main(struct cli_context *ctx, const struct cli_args *args, const char *verb)
{
    struct change c = {.ctx = ctx};
    struct error err = {0};
    int rc = strcmp(verb, "add") == 0    ? add_main(&c, args, &err)
             : strcmp(verb, "drop") == 0 ? drop_main(&c, args, &err)
                                         : edit_main(&c, args, &err);

    free(c.path);
    free(c.run);
    return rc < 0 ? cli_fail(&err) : EXIT_DONE;
}
