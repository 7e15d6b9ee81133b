/* cli/cmd_logs.c: `cadre logs`: the events of a run, or the items of one of its threads. */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/utf8.h"
#include "store/journal.h"
#include "store/rollout.h"
#include "store/run_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec logs_options[] = {
    {"thread", 't', "ID", "items of the thread whose id starts with ID", false},
    {"task", 0, "TASK", "only events of TASK", false},
    {"json", 0, NULL, "print JSON lines as they are kept", false},
    {0},
};

struct filter {
    const char *task;
    bool as_json;
};

static void print_text(const char *text)
{
    struct buf b = BUF_INIT;

    utf8_append_printable(&b, text, strlen(text), true);
    fputs(buf_cstr(&b), stdout);
    buf_free(&b);
}

/* The fields that matter most, in one line. */
static void print_fields(const json_t *event)
{
    static const char *const names[] = {"task", "role", "attempt", "reason", "job", "state", "gate", "verdict",
                                        "commit", "message", "detail", "summary"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *v = json_object_get(event, names[i]);

        if (json_is_string(v)) {
            char *cut = xstrndup(json_string_value(v), 160);

            cut[strcspn(cut, "\n")] = '\0';
            printf(" %s=", names[i]);
            print_text(cut);
            free(cut);
        } else if (json_is_integer(v)) {
            printf(" %s=%lld", names[i], (long long)json_integer_value(v));
        }
    }
}

static bool print_event(void *data, int64_t seq, int64_t ts_ms, const char *type, const char *text)
{
    const struct filter *filter = data;
    json_t *event = json_parse(text, strlen(text), "journal", NULL);

    (void)ts_ms;
    if (event == NULL)
        return true;
    if (filter->task == NULL || str_eq(json_get_string(event, "task", NULL), filter->task)) {
        if (filter->as_json) {
            puts(text);
        } else {
            printf("%5lld %.19s %-18s", (long long)seq, json_get_string(event, "ts", ""), type);
            print_fields(event);
            putchar('\n');
        }
    }
    json_decref(event);
    return true;
}

static bool print_item(void *data, const char *timestamp, const char *type, const json_t *payload)
{
    const struct filter *filter = data;
    const json_t *item = json_object_get(payload, "item");
    const json_t *shown = item == NULL ? payload : item;
    static const char *const texts[] = {"text", "command", "aggregated_output", "message"};

    if (filter->as_json) {
        struct buf b = BUF_INIT;

        json_append_value(&b, payload);
        puts(b.data);
        buf_free(&b);
        return true;
    }
    printf("--- %.19s %s %s\n", timestamp, type, json_get_string(item, "type", ""));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = json_get_string(shown, texts[i], NULL);

        if (text != NULL) {
            print_text(text);
            putchar('\n');
        }
    }
    return true;
}

/* Path of the only rollout whose name starts with PREFIX. */
static char *find_rollout(const char *run, const char *prefix, struct error *err)
{
    char *dir = run_dir_rollouts(run);
    struct str_list names = {0};
    char *found = NULL;

    if (file_list_directory(dir, &names, err) < 0)
        goto out;
    for (size_t i = 0; i < names.len; i++) {
        if (!str_starts_with(names.items[i], prefix))
            continue;
        if (found != NULL) {
            error_set(err, ERROR_USAGE, "several threads start with %s", prefix);
            FREE_NULL(found);
            goto out;
        }
        found = path_join(dir, names.items[i]);
    }
    if (found == NULL) {
        error_set(err, ERROR_USAGE, "run %s has no thread %s", run, prefix);
        error_hint(err, "`cadre logs %s` shows the threads", run);
    }
out:
    str_list_finish(&names);
    free(dir);
    return found;
}

static int run_logs(struct cli_context *ctx, const struct cli_args *args)
{
    struct error err = {0};
    struct filter filter = {cli_option(args, "task"), cli_flag(args, "json")};
    const char *thread = cli_option(args, "thread");
    char *id = run_dir_find(args->positionals.len > 0 ? args->positionals.items[0] : NULL, &err);
    char *path = NULL;
    struct journal *journal = NULL;
    int rc = -1;

    (void)ctx;
    if (id == NULL)
        goto out;
    if (thread != NULL) {
        path = find_rollout(id, thread, &err);
        if (path != NULL)
            rc = rollout_read(path, print_item, &filter, &err);
        goto out;
    }
    path = run_dir_journal(id);
    journal = journal_open_readonly(path, &err);
    if (journal != NULL)
        rc = journal_events_since(journal, 0, print_event, &filter, &err);
out:
    journal_close(journal);
    free(path);
    free(id);
    return rc < 0 ? cli_fail(&err) : EXIT_DONE;
}

const struct command command_logs = {
    .name = "logs",
    .summary = "the events of a run, or a thread's items",
    .usage = "[OPTIONS] [RUN]",
    .details = "Without RUN: the latest run.",
    .example = "cadre logs\ncadre logs --task T2\ncadre logs --thread 0198c1",
    .options = logs_options,
    .min_positionals = 0,
    .max_positionals = 1,
    .run = run_logs,
};
