/* cli/cmd_attach.c: `cadre attach`: what a run does, seen from another terminal. Leaving it does not touch the run. */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "cli/run_link.h"
#include "store/journal.h"
#include "store/run_dir.h"
#include "ui/live_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_spec attach_options[] = {
    {"json", 0, NULL, "print events as JSON lines", false},
    {0},
};

struct attachment {
    struct live_view *view; /* NULL: JSON lines */
    int64_t seen;           /* number of the last event shown */
    int exit_code;          /* what the run came to */
    bool has_ended;
    bool is_ready;          /* what the journal holds is shown */
};

/* Exit codes as those of `cadre run`. */
static int code_of(const char *name)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {{"gate", EXIT_GATE},       {"model", EXIT_MODEL},   {"auth", EXIT_MODEL},
                 {"repository", EXIT_REPOSITORY}, {"config", EXIT_USAGE}, {"usage", EXIT_USAGE}};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i].name, name) == 0)
            return codes[i].code;
    return EXIT_NOT_CONVERGED;
}

static void show(struct attachment *a, const json_t *event)
{
    const char *type = json_get_string(event, "type", "");
    struct buf line = BUF_INIT;

    if (strcmp(type, "run.completed") == 0 || strcmp(type, "run.failed") == 0 || strcmp(type, "run.interrupted") == 0) {
        a->has_ended = true;
        a->exit_code = type[4] == 'c'   ? EXIT_DONE
                       : type[4] == 'i' ? EXIT_INTERRUPTED
                                        : code_of(json_get_string(event, "code", ""));
    }
    if (a->view != NULL) {
        live_view_event(a->view, event);
        return;
    }
    json_append_value(&line, event);
    buf_putc(&line, '\n');
    (void)fwrite(line.data, 1, line.len, stdout);
    (void)fflush(stdout);
    buf_free(&line);
}

static void on_event(void *data, const json_t *event)
{
    struct attachment *a = data;
    int64_t seq = json_get_int(event, "seq", 0);

    if (!a->is_ready || (seq > 0 && seq <= a->seen))
        return; /* the journal gives it */
    if (seq > 0)
        a->seen = seq;
    show(a, event);
}

static bool on_past_event(void *data, int64_t seq, int64_t ts_ms, const char *type, const char *text)
{
    struct attachment *a = data;
    json_t *event = json_parse(text, strlen(text), "journal", NULL);

    (void)ts_ms;
    (void)type;
    if (event != NULL) {
        a->seen = seq;
        json_object_set_new(event, "seq", json_integer(seq));
        show(a, event);
        a->has_ended = false; /* an earlier stop of a run that was resumed */
    }
    json_decref(event);
    return true;
}

static int show_past(struct attachment *a, const char *id, struct error *err)
{
    char *path = run_dir_journal(id);
    struct journal *journal = journal_open_readonly(path, err);
    int rc = journal == NULL ? -1 : journal_events_since(journal, 0, on_past_event, a, err);

    journal_close(journal);
    free(path);
    a->is_ready = true;
    return rc;
}

static int run_attach(struct cli_context *ctx, const struct cli_args *args)
{
    struct attachment a = {.exit_code = EXIT_DONE};
    struct error err = {0};
    struct run_link *link = NULL;
    char *id = run_link_find(args->positionals.len > 0 ? args->positionals.items[0] : NULL, &err);
    int rc = -1;

    if (id != NULL)
        link = run_link_open(ctx->loop, id, on_event, &a, &err);
    if (link == NULL)
        goto out;
    if (!cli_flag(args, "json"))
        a.view = live_view_create(ctx->loop, stdout, isatty(STDOUT_FILENO) != 0 && ctx->color, ctx->color);
    /* First attached, then the past: what comes between is in both and shown once. */
    if (run_link_ask(link, "attach", NULL, NULL, &err) == 0 && show_past(&a, id, &err) == 0)
        rc = run_link_wait(link, &err);
    live_view_finish(a.view);
    if (rc < 0 && err.code == ERROR_CANCELLED) {
        if (a.view != NULL)
            fprintf(stderr, "detached; run %s goes on\n", id);
        rc = 0;
        a.exit_code = EXIT_DONE;
    } else if (rc == 0 && !a.has_ended) {
        rc = error_set(&err, ERROR_NOT_CONVERGED, "run %s ended without a word", id);
        error_hint(&err, "`cadre status %s` shows how it stands; `cadre resume %s` goes on", id, id);
    }
out:
    run_link_close(link);
    free(id);
    return rc < 0 ? cli_fail(&err) : a.exit_code;
}

const struct command command_attach = {
    .name = "attach",
    .summary = "watch a run from another terminal",
    .usage = "[--json] [RUN]",
    .details = "Shows what the run did so far and then what it does. Ctrl-C leaves; the run goes on. Exits with the\n"
               "run's exit code when it ends meanwhile.",
    .example = "cadre attach\ncadre attach --json | jq .type",
    .options = attach_options,
    .max_positionals = 1,
    .run = run_attach,
};
