/* cli/cmd_approve.c: `cadre approve` and `cadre deny`: answers from another terminal to what a run's agents ask for. A run
 * that is not alive finds the answer when it is resumed. */
#include "cli/command.h"

#include "agent/inbox.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"
#include "cli/run_link.h"
#include "store/journal.h"
#include "store/run_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec approve_options[] = {
    {"run", 'r', "RUN", "the run, if not the one of this repository", false},
    {"list", 'l', NULL, "show what waits", false},
    {"for-run", 'a', NULL, "also allow what begins with the prefix that was asked for", false},
    {"json", 0, NULL, "--list: print JSON lines", false},
    {0},
};

static const struct option_spec deny_options[] = {
    {"run", 'r', "RUN", "the run, if not the one of this repository", false},
    {"reason", 0, "TEXT", "what the agent is told", false},
    {0},
};

static void print_field(const json_t *record, const char *key, const char *before)
{
    const char *text = json_get_string(record, key, NULL);
    struct buf b = BUF_INIT;

    if (!str_is_empty(text)) {
        utf8_append_printable(&b, text, strlen(text), false);
        printf("%s%s", before, buf_cstr(&b));
    }
    buf_free(&b);
}

static void print_record(const json_t *record, bool as_json)
{
    if (as_json) {
        struct buf b = BUF_INIT;

        json_append_value(&b, record);
        puts(b.data);
        buf_free(&b);
        return;
    }
    print_field(record, "approval", "");
    print_field(record, "role", "  ");
    print_field(record, "task", " ");
    print_field(record, "thread", ", thread ");
    print_field(record, "command", json_get_bool(record, "outside", false) ? "\n    outside the sandbox: " : "\n    ");
    print_field(record, "cwd", "\n    in ");
    print_field(record, "reason", "\n    because: ");
    print_field(record, "prefix", "\n    --for-run would allow: ");
    print_field(record, "deadline", "\n    until ");
    print_field(record, "default", ", then: ");
    putchar('\n');
}

static bool add_pending(void *data, const char *key, const char *text)
{
    json_t *list = data;
    json_t *record = json_parse(text, strlen(text), "journal", NULL);

    (void)key;
    if (strcmp(json_get_string(record, "state", ""), "pending") == 0)
        json_array_append(list, record);
    json_decref(record);
    return true;
}

/* From the journal, for a run that is not alive. */
static int pending_of(const char *id, json_t *list, struct error *err)
{
    char *path = run_dir_journal(id);
    struct journal *journal = journal_open_readonly(path, err);
    int rc = journal == NULL ? -1 : journal_each(journal, "approval", add_pending, list, err);

    journal_close(journal);
    free(path);
    return rc;
}

static int list_main(struct cli_context *ctx, const char *id, bool as_json, struct error *err)
{
    struct error none = {0};
    struct run_link *link = run_link_open(ctx->loop, id, NULL, NULL, &none);
    json_t *list = NULL;
    int rc = 0;
    size_t i;
    json_t *record;

    if (link != NULL) {
        rc = run_link_ask(link, "approvals", NULL, &list, err);
    } else {
        list = json_array();
        rc = pending_of(id, list, err);
    }
    json_array_foreach(list, i, record)
        print_record(record, as_json);
    if (rc == 0 && json_array_size(list) == 0 && !as_json)
        puts("nothing waits for an approval");
    json_decref(list);
    run_link_close(link);
    return rc;
}

/* The answer into the journal of a run that is not alive. */
static int leave_answer(const char *id, const char *approval, bool is_allowed, const char *reason, struct error *err)
{
    char *path = run_dir_journal(id);
    struct journal *journal = journal_open(path, err);
    char *text = journal == NULL ? NULL : journal_get(journal, "approval", approval, NULL);
    json_t *record = text == NULL ? NULL : json_parse(text, strlen(text), "journal", NULL);
    struct buf out = BUF_INIT;
    int rc = -1;

    if (journal != NULL && record == NULL) {
        error_set(err, ERROR_NOT_FOUND, "run %s has asked for no approval '%s'", id, approval);
    } else if (record != NULL && inbox_record_answer(record, is_allowed, "terminal", reason, err) == 0) {
        json_append_value(&out, record);
        rc = journal_put(journal, "approval", approval, out.data, err);
    }
    buf_free(&out);
    json_decref(record);
    free(text);
    journal_close(journal);
    free(path);
    return rc;
}

static int answer(struct cli_context *ctx, const struct cli_args *args, bool is_allowed)
{
    struct error err = {0};
    struct error none = {0};
    const char *run_name = cli_option(args, "run");
    const char *reason = is_allowed ? NULL : cli_option(args, "reason");
    char *id = run_link_find(run_name, &none);
    struct run_link *link = NULL;
    int rc = -1;

    if (id == NULL)
        id = run_dir_find(run_name, &err);
    if (id == NULL)
        return cli_fail(&err);
    if (is_allowed && cli_flag(args, "list")) {
        rc = list_main(ctx, id, cli_flag(args, "json"), &err);
    } else if (args->positionals.len != 1) {
        error_set(&err, ERROR_USAGE, "the id of one approval is expected");
        error_hint(&err, "`cadre approve --list` shows what waits");
    } else if ((link = run_link_open(ctx->loop, id, NULL, NULL, &none)) != NULL) {
        json_t *params = json_pack("{s:s, s:b, s:b, s:s*}", "approval", args->positionals.items[0], "allow", is_allowed,
                                   "for_run", is_allowed && cli_flag(args, "for-run"), "reason", reason);
        struct buf text = BUF_INIT;

        json_append_value(&text, params);
        rc = run_link_ask(link, "answer", text.data, NULL, &err);
        if (rc == 0)
            printf("%s: %s %s\n", id, args->positionals.items[0], is_allowed ? "approved" : "denied");
        json_decref(params);
        buf_free(&text);
    } else if (is_allowed && cli_flag(args, "for-run")) {
        error_set(&err, ERROR_USAGE, "run %s is not at work: nothing can be allowed for the rest of it", id);
        error_hint(&err, "`cadre approve --run %s %s` allows this one command, and `cadre resume %s` goes on", id, args->positionals.items[0], id);
    } else {
        rc = leave_answer(id, args->positionals.items[0], is_allowed, reason, &err);
        if (rc == 0)
            printf("%s is not at work: `cadre resume %s` finds the answer\n", id, id);
    }
    run_link_close(link);
    free(id);
    return rc < 0 ? cli_fail(&err) : EXIT_DONE;
}

static int run_approve(struct cli_context *ctx, const struct cli_args *args)
{
    return answer(ctx, args, true);
}

static int run_deny(struct cli_context *ctx, const struct cli_args *args)
{
    return answer(ctx, args, false);
}

const struct command command_approve = {
    .name = "approve",
    .summary = "say yes to what an agent asks for",
    .usage = "[--run RUN] [--for-run] ID | --list",
    .details = "The command is run once, exactly as it was shown. When the run is not alive, `cadre resume` finds the answer.",
    .example = "cadre approve --list\ncadre approve a3",
    .options = approve_options,
    .max_positionals = 1,
    .run = run_approve,
};

const struct command command_deny = {
    .name = "deny",
    .summary = "say no to what an agent asks for",
    .usage = "[--run RUN] [--reason TEXT] ID",
    .details = "The agent is told so, with the reason, and goes on without it.",
    .example = "cadre deny a3 --reason \"no network in this project\"",
    .options = deny_options,
    .max_positionals = 1,
    .run = run_deny,
};
