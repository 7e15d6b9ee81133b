/* cli/cmd_control.c: the commands that give an order to a run from another terminal: pause, continue, stop, retry,
 * drop, say. One mechanism (team/control.h), so one file. */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "cli/run_link.h"
#include "store/run_dir.h"
#include "team/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec run_option[] = {
    {"run", 'r', "RUN", "the run, if not the one of this repository", false},
    {0},
};

/* Gives the order and prints SAID; a run that is not alive keeps it in its journal when it CAN_WAIT. */
static int give_order(struct cli_context *ctx, const char *run_name, const char *method, json_t *params, bool can_wait,
                      const char *said)
{
    struct error err = {0};
    struct error not_alive = {0};
    struct buf text = BUF_INIT;
    struct run_link *link = NULL;
    char *id = run_link_find(run_name, &not_alive);
    int rc = -1;

    json_append_value(&text, params);
    if (id == NULL && can_wait)
        id = run_dir_find(run_name, &err);
    else if (id == NULL)
        err = not_alive;
    if (id != NULL)
        link = run_link_open(ctx->loop, id, NULL, NULL, &err);
    if (link != NULL) {
        rc = run_link_ask(link, method, buf_cstr(&text), NULL, &err);
        if (rc == 0)
            printf("%s: %s\n", id, said);
    } else if (id != NULL && can_wait) {
        err = (struct error){0};
        rc = control_leave_order(id, method, json_get_string(params, "task", ""), &err);
        if (rc == 0)
            printf("%s is not at work: the order is carried out by `cadre resume %s`\n", id, id);
    }
    run_link_close(link);
    json_decref(params);
    buf_free(&text);
    free(id);
    return rc < 0 ? cli_fail(&err) : EXIT_DONE;
}

static int named_run(struct cli_context *ctx, const struct cli_args *args, const char *method, const char *said)
{
    return give_order(ctx, args->positionals.len > 0 ? args->positionals.items[0] : NULL, method, json_object(), false,
                      said);
}

static int run_pause(struct cli_context *ctx, const struct cli_args *args)
{
    return named_run(ctx, args, "pause", "paused; `cadre continue` goes on");
}

static int run_continue(struct cli_context *ctx, const struct cli_args *args)
{
    return named_run(ctx, args, "continue", "goes on");
}

static int run_stop(struct cli_context *ctx, const struct cli_args *args)
{
    return named_run(ctx, args, "stop", "stops; `cadre resume` goes on");
}

static int run_retry(struct cli_context *ctx, const struct cli_args *args)
{
    return give_order(ctx, cli_option(args, "run"), "retry", json_pack("{s:s}", "task", args->positionals.items[0]),
                      true, "the task is tried again");
}

static int run_drop(struct cli_context *ctx, const struct cli_args *args)
{
    return give_order(ctx, cli_option(args, "run"), "drop", json_pack("{s:s}", "task", args->positionals.items[0]), true,
                      "the task is dropped");
}

static int run_say(struct cli_context *ctx, const struct cli_args *args)
{
    struct str_list words = {0};
    char *text;
    int code;

    for (size_t i = 1; i < args->positionals.len; i++)
        str_list_add(&words, args->positionals.items[i]);
    text = str_list_join(&words, " ");
    code = give_order(ctx, cli_option(args, "run"), "say",
                      json_pack("{s:s, s:s}", "thread", args->positionals.items[0], "text", text), false,
                      "said; it goes with the thread's next request");
    free(text);
    str_list_finish(&words);
    return code;
}

const struct command command_pause = {
    .name = "pause",
    .summary = "let a run ask no model and begin nothing new",
    .usage = "[RUN]",
    .details = "Commands that run go on to their end. RUN is the one alive of this repository unless given.",
    .example = "cadre pause\ncadre continue",
    .max_positionals = 1,
    .run = run_pause,
};

const struct command command_continue = {
    .name = "continue",
    .summary = "go on with a paused run",
    .usage = "[RUN]",
    .details = "For a run that was stopped or killed see `cadre resume`.",
    .example = "cadre continue",
    .max_positionals = 1,
    .run = run_continue,
};

const struct command command_stop = {
    .name = "stop",
    .summary = "stop a run in a resumable state",
    .usage = "[RUN]",
    .details = "The same as Ctrl-C in its own terminal; `cadre resume` goes on.",
    .example = "cadre stop",
    .max_positionals = 1,
    .run = run_stop,
};

const struct command command_retry = {
    .name = "retry",
    .summary = "let a blocked or dropped task be tried again",
    .usage = "[--run RUN] TASK",
    .details = "Its attempts are counted anew. When the run is not alive, `cadre resume` carries it out.",
    .example = "cadre retry T3",
    .options = run_option,
    .min_positionals = 1,
    .max_positionals = 1,
    .run = run_retry,
};

const struct command command_drop = {
    .name = "drop",
    .summary = "give a task up",
    .usage = "[--run RUN] TASK",
    .details = "What works on it is stopped; what is merged stays merged. When the run is not alive, `cadre resume`\n"
               "carries it out.",
    .example = "cadre drop T3",
    .options = run_option,
    .min_positionals = 1,
    .max_positionals = 1,
    .run = run_drop,
};

const struct command command_say = {
    .name = "say",
    .summary = "send a message to a thread of a run",
    .usage = "[--run RUN] THREAD TEXT",
    .details = "THREAD is the start of a thread's id, or the task or the role that it works on. The message goes with\n"
               "its next request; the gates are not told.",
    .example = "cadre say T3 \"use the parser that is there already\"",
    .options = run_option,
    .min_positionals = 2,
    .max_positionals = -1,
    .run = run_say,
};
