/* cli/cmd_status.c: `cadre status`: the runs of this machine, or one run with its tasks. Reads the journal only. */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "store/journal.h"
#include "store/run_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec status_options[] = {
    {"json", 0, NULL, "print JSON", false},
    {"all", 'a', NULL, "all runs, not only the latest ten", false},
    {0},
};

static void print_cell(const char *text, int width)
{
    struct buf b = BUF_INIT;
    size_t columns = 0;

    utf8_append_printable(&b, text, strlen(text), false);
    for (size_t i = 0; i < b.len; i++)
        columns += ((unsigned char)b.data[i] & 0xc0) != 0x80;
    fputs(buf_cstr(&b), stdout);
    for (; columns < (size_t)width; columns++)
        putchar(' ');
    putchar(' ');
    buf_free(&b);
}

/* What the run is doing: a run that says "running" and whose process is gone was killed. */
static const char *state_of(const struct journal_run *row, const char *path)
{
    if (strcmp(row->state, "running") == 0 && !journal_is_locked(path, NULL, NULL))
        return "killed";
    return row->state;
}

static struct journal *open_run(const char *id, struct journal_run *row, char **path, struct error *err)
{
    struct journal *journal;

    *path = run_dir_journal(id);
    journal = journal_open_readonly(*path, err);
    if (journal != NULL && journal_run_get(journal, row, err) < 0) {
        journal_close(journal);
        journal = NULL;
    }
    return journal;
}

static void print_row(const char *id, const struct journal_run *row, const char *state, bool as_json)
{
    char when[CLOCK_TEXT_BYTES];

    clock_format_utc(row->created_ms, when);
    if (as_json) {
        struct buf b = BUF_INIT;
        struct json_writer w = {.out = &b};

        jw_object_begin(&w);
        jw_pair_string(&w, "run", id);
        jw_pair_string(&w, "state", state);
        jw_pair_string(&w, "created", when);
        jw_pair_string(&w, "repo", row->repo);
        jw_pair_string(&w, "goal", row->goal);
        jw_object_end(&w);
        puts(b.data);
        buf_free(&b);
        return;
    }
    when[16] = '\0';
    print_cell(id, 20);
    print_cell(state, 11);
    print_cell(when, 16);
    print_cell(row->goal, 0);
    putchar('\n');
}

static int list_runs(const struct cli_args *args, struct error *err)
{
    struct str_list ids = {0};
    bool as_json = cli_flag(args, "json");
    size_t first;

    if (run_dir_list(&ids, err) < 0)
        return -1;
    if (ids.len == 0 && !as_json)
        puts("no runs yet; start one with `cadre run GOAL`, or look at `cadre demo`");
    first = cli_flag(args, "all") || ids.len <= 10 ? 0 : ids.len - 10;
    for (size_t i = first; i < ids.len; i++) {
        struct journal_run row = {0};
        char *path = NULL;
        struct error bad = {0};
        struct journal *journal = open_run(ids.items[i], &row, &path, &bad);

        if (journal != NULL)
            print_row(ids.items[i], &row, state_of(&row, path), as_json);
        else
            fprintf(stderr, "%s: %s\n", ids.items[i], bad.text);
        journal_run_finish(&row);
        journal_close(journal);
        free(path);
    }
    str_list_finish(&ids);
    return 0;
}

static bool print_task(void *data, const char *key, const char *text)
{
    json_t *task = json_parse(text, strlen(text), "journal", NULL);
    char number[32];

    (void)data;
    if (task == NULL)
        return true;
    print_cell(key, 6);
    print_cell(json_get_string(task, "state", "?"), 10);
    (void)snprintf(number, sizeof number, "%lld", (long long)json_get_int(task, "attempt", 0));
    print_cell(number, 8);
    (void)snprintf(number, sizeof number, "%lld", (long long)json_get_int(task, "tokens", 0));
    print_cell(number, 9);
    print_cell(json_get_string(task, "title", ""), 0);
    putchar('\n');
    if (json_get_string(task, "outcome", NULL) != NULL && strcmp(json_get_string(task, "state", ""), "merged") != 0) {
        fputs("       ", stdout);
        print_cell(json_get_string(task, "outcome", ""), 0);
        putchar('\n');
    }
    json_decref(task);
    return true;
}

static bool print_task_json(void *data, const char *key, const char *text)
{
    struct json_writer *w = data;

    jw_key(w, key);
    jw_raw(w, text, strlen(text));
    return true;
}

static int show_run(const char *name, bool as_json, struct error *err)
{
    struct journal_run row = {0};
    char *path = NULL;
    char *id = run_dir_find(name, err);
    struct journal *journal = id == NULL ? NULL : open_run(id, &row, &path, err);
    char *meta_text = NULL;
    int rc = -1;

    if (journal == NULL)
        goto out;
    meta_text = journal_get(journal, "meta", "run", NULL);
    if (as_json) {
        struct buf b = BUF_INIT;
        struct json_writer w = {.out = &b};

        jw_object_begin(&w);
        jw_pair_string(&w, "run", id);
        jw_pair_string(&w, "state", state_of(&row, path));
        jw_pair_string(&w, "goal", row.goal);
        jw_pair_string(&w, "repo", row.repo);
        if (meta_text != NULL) {
            jw_key(&w, "meta");
            jw_raw(&w, meta_text, strlen(meta_text));
        }
        jw_key(&w, "tasks");
        jw_object_begin(&w);
        rc = journal_each(journal, "task", print_task_json, &w, err);
        jw_object_end(&w);
        jw_object_end(&w);
        puts(b.data);
        buf_free(&b);
    } else {
        json_t *meta = meta_text == NULL ? NULL : json_parse(meta_text, strlen(meta_text), "journal", NULL);

        printf("run      %s\nstate    %s", id, state_of(&row, path));
        if (meta != NULL)
            printf(" (%s, batch %lld)", json_get_string(meta, "phase", "?"), (long long)json_get_int(meta, "batch", 0));
        printf("\nrepo     %s\ngoal     ", row.repo);
        print_cell(row.goal, 0);
        printf("\nbranch   cadre/%s\n", id);
        if (meta != NULL && json_get_string(meta, "notes_path", NULL) != NULL)
            printf("notes    %s\n", json_get_string(meta, "notes_path", ""));
        json_decref(meta);
        printf("\n%-6s %-10s %-8s %-9s %s\n", "task", "state", "attempts", "tokens", "title");
        rc = journal_each(journal, "task", print_task, NULL, err);
        if (strcmp(state_of(&row, path), "completed") != 0 && strcmp(state_of(&row, path), "running") != 0)
            printf("\ngo on with: cadre resume %s\n", id);
    }
out:
    free(meta_text);
    journal_run_finish(&row);
    journal_close(journal);
    free(path);
    free(id);
    return rc;
}

static int run_status(struct cli_context *ctx, const struct cli_args *args)
{
    struct error err = {0};
    int rc;

    (void)ctx;
    if (args->positionals.len == 0)
        rc = list_runs(args, &err);
    else
        rc = show_run(args->positionals.items[0], cli_flag(args, "json"), &err);
    return rc < 0 ? cli_fail(&err) : EXIT_DONE;
}

const struct command command_status = {
    .name = "status",
    .summary = "the state of runs",
    .usage = "[OPTIONS] [RUN]",
    .details = "Without RUN: the latest runs. With RUN (an id or its unique start): its tasks.",
    .example = "cadre status\ncadre status 20261123-160203",
    .options = status_options,
    .min_positionals = 0,
    .max_positionals = 1,
    .run = run_status,
};
