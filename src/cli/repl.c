/* cli/repl.c: see repl.h. */
#include "cli/repl_internal.h"

#include "agent/agent_tree.h"
#include "agent/inbox.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/prompt_history.h"
#include "config/config.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "sandbox/policy.h"
#include "store/rollout.h"
#include "store/session_dir.h"
#include "ui/narrate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAVE_WINDOW_MS  3000 /* two Ctrl-C within it leave */
#define TICK_MS          1000
#define SHOWN_LINE_BYTES 400

void repl_say(struct repl *r, enum prompt_style style, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    prompt_print(r->prompt, style, buf_cstr(&b));
    buf_free(&b);
}

void repl_wake(struct repl *r)
{
    fiber_wake(r->fiber);
}

void repl_leave(struct repl *r, int exit_code)
{
    r->leaves = true;
    r->exit_code = exit_code;
    repl_wake(r);
}

static struct agent_tree *tree_of(const struct repl *r)
{
    return r->session == NULL ? NULL : main_session_tree(r->session);
}

/* --- The status row ----------------------------------------------------------------------------------------------- */

static void on_tick(void *data);

static void show_status(struct repl *r)
{
    size_t agents = r->session == NULL ? 0 : agent_tree_live_count(tree_of(r));
    struct buf b = BUF_INIT;

    if (r->turn != NULL)
        buf_printf(&b, "%s %lld s", r->is_stopping ? "stopping" : "working",
                   (long long)((clock_monotonic_ms() - r->turn_began_ms) / 1000));
    if (agents > 0)
        buf_printf(&b, "%s%zu agent%s at work", b.len > 0 ? " · " : "", agents, agents == 1 ? "" : "s");
    if (b.len > 0)
        buf_puts(&b, r->queue.len > 0 ? " · more waits for its end · Ctrl-C stops" : " · Ctrl-C stops");
    prompt_set_status(r->prompt, b.len > 0 ? b.data : NULL);
    if (b.len > 0 && r->tick == NULL)
        r->tick = timer_start(r->ctx->loop, TICK_MS, on_tick, r);
    buf_free(&b);
}

static void on_tick(void *data)
{
    struct repl *r = data;

    r->tick = NULL;
    show_status(r);
}

/* --- What comes from the agents ------------------------------------------------------------------------------------- */

static void narrate(struct repl *r, const json_t *event)
{
    char *text = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&text, &n);

    if (stream == NULL)
        return;
    narrate_event(stream, tree_of(r), event);
    (void)fclose(stream);
    if (n > 0)
        prompt_print(r->prompt, PROMPT_DIM, text);
    free(text);
}

/* What an agent says at its end, in one line; the main thread tells what matters of it. */
static void show_agent_message(struct repl *r, const json_t *event, const char *text)
{
    const char *id = json_get_string(event, "thread", "");
    const char *name = r->session == NULL ? NULL : agent_tree_nickname(tree_of(r), id);
    size_t n = strcspn(text, "\n");

    repl_say(r, PROMPT_DIM, "[%s] %.*s%s", name == NULL ? json_get_string(event, "role", "agent") : name,
             (int)(n < SHOWN_LINE_BYTES ? n : SHOWN_LINE_BYTES), text, text[n] != '\0' || n > SHOWN_LINE_BYTES ? " …" : "");
}

static void show_message(struct repl *r, const char *text)
{
    if (r->has_streamed)
        prompt_stream_end(r->prompt);
    else
        repl_say(r, PROMPT_PLAIN, "\n%s", text);
    r->has_streamed = false;
}

static void show_approval(struct repl *r, const json_t *event)
{
    struct str_list lines = {0};
    char *command, *reason;

    /* Each line of it stands in from the margin: none can pass for one of ours. */
    str_split(&lines, json_get_string(event, "command", ""), '\n');
    command = str_list_join(&lines, "\n    ");
    str_list_finish(&lines);
    str_split(&lines, json_get_string(event, "reason", ""), '\n');
    reason = str_list_join(&lines, "\n    ");
    repl_say(r, PROMPT_BOLD, "%s wants to run%s:\n    %s%s%s", json_get_string(event, "role", "an agent"),
             json_get_bool(event, "outside", false) ? " OUTSIDE THE SANDBOX" : "", command,
             reason[0] == '\0' ? "" : "\n  because: ", reason);
    str_list_finish(&lines);
    free(command);
    free(reason);
}

static void on_event(void *data, json_t *event)
{
    struct repl *r = data;
    const char *type = json_get_string(event, "type", "");
    const json_t *item = json_object_get(event, "item");
    bool is_main = main_session_is_main(tree_of(r), event);

    if (strcmp(type, "approval.requested") == 0) {
        show_approval(r, event);
        repl_wake(r);
    } else if (strcmp(type, "approval.resolved") == 0) {
        if (strcmp(json_get_string(event, "by", ""), "terminal") != 0)
            repl_say(r, PROMPT_DIM, "%s: %s, by %s", json_get_string(event, "approval", ""),
                     json_get_string(event, "decision", ""), json_get_string(event, "by", ""));
        repl_wake(r);
    } else if (strcmp(type, "item.completed") == 0 && strcmp(json_get_string(item, "type", ""), "agent_message") == 0) {
        if (is_main)
            show_message(r, json_get_string(item, "text", ""));
        else
            show_agent_message(r, event, json_get_string(item, "text", ""));
    } else if (strcmp(type, "thread.compacted") == 0) {
        repl_say(r, PROMPT_DIM, "%sthe conversation was compacted: about %lld tokens, before %lld", is_main ? "" : "[agent] ",
                 (long long)json_get_int(event, "tokens_after", 0), (long long)json_get_int(event, "tokens_before", 0));
    } else {
        narrate(r, event);
    }
}

static void on_text_delta(void *data, const char *text, size_t n)
{
    struct repl *r = data;

    if (!r->has_streamed)
        prompt_stream(r->prompt, "\n", 1);
    r->has_streamed = true;
    prompt_stream(r->prompt, text, n);
}

static void on_agents_change(void *data)
{
    struct repl *r = data;

    repl_wake(r); /* its agents may have ended */
}

static void on_log(enum log_level level, const char *line, void *data)
{
    prompt_print(((struct repl *)data)->prompt, level <= LOG_WARNING ? PROMPT_BAD : PROMPT_DIM, line);
}

/* --- Approvals ------------------------------------------------------------------------------------------------------ */

/* Asks for the oldest that waits, or stops asking. */
/* PREFIX: what an answer for the session would allow; NULL: nothing. */
static void ask_question(struct repl *r, const char *prefix)
{
    struct buf b = BUF_INIT;

    if (prefix == NULL) {
        buf_puts(&b, "allow it? y or n › ");
    } else {
        buf_puts(&b, "allow it? y, n, or a (and all that begins with `");
        utf8_append_printable(&b, prefix, strlen(prefix), false);
        buf_puts(&b, "`) › ");
    }
    prompt_set_question(r->prompt, buf_cstr(&b));
    buf_free(&b);
}

static void update_question(struct repl *r)
{
    json_t *list = inbox_list(main_session_inbox(r->session));
    const char *id = json_get_string(json_array_get(list, 0), "approval", NULL);

    if (!str_eq(id, r->question_id)) {
        free(r->question_id);
        r->question_id = xstrdup(id);
        prompt_set_question(r->prompt, NULL);
        if (id != NULL)
            ask_question(r, json_get_string(json_array_get(list, 0), "prefix", NULL));
    }
    json_decref(list);
}

static void answer_question(struct repl *r, const char *line)
{
    bool yes = strcmp(line, "y") == 0 || strcmp(line, "yes") == 0;
    bool always = strcmp(line, "a") == 0 || strcmp(line, "always") == 0;
    struct error err = {0};

    if (!yes && !always && strcmp(line, "n") != 0 && strcmp(line, "no") != 0) {
        if (line[0] != '\0')
            repl_say(r, PROMPT_DIM, "answer y (yes), n (no) or a (yes, and in this session to all that begins with what was shown)");
        return;
    }
    if (inbox_answer(main_session_inbox(r->session), r->question_id, yes || always, always, "terminal", NULL, &err) < 0)
        repl_say(r, PROMPT_BAD, "%s", err.text);
    else
        repl_say(r, PROMPT_DIM, "  %s", always ? "allowed, and what begins so" : yes ? "allowed" : "denied");
    repl_wake(r);
}

/* --- Keys ------------------------------------------------------------------------------------------------------------ */

static void stop_turn(struct repl *r)
{
    if (r->turn != NULL) {
        r->is_stopping = true;
        fiber_cancel(r->turn);
    }
    if (r->session != NULL)
        agent_tree_interrupt_all(tree_of(r));
    for (; r->queue.len > 0; str_list_remove(&r->queue, 0))
        repl_say(r, PROMPT_DIM, "not sent: %s", r->queue.items[0]);
    show_status(r);
}

static bool is_at_work(const struct repl *r)
{
    return r->session == NULL || r->turn != NULL || agent_tree_live_count(tree_of(r)) > 0;
}

static void on_interrupt(void *data)
{
    struct repl *r = data;
    int64_t now = clock_monotonic_ms();
    bool is_second = r->interrupted_ms != 0 && now - r->interrupted_ms < LEAVE_WINDOW_MS;

    r->interrupted_ms = now;
    if (is_second) {
        repl_leave(r, EXIT_INTERRUPTED);
    } else if (is_at_work(r)) {
        stop_turn(r);
        repl_say(r, PROMPT_DIM, "stopping; Ctrl-C again leaves");
    } else {
        repl_say(r, PROMPT_DIM, "Ctrl-C again leaves, as Ctrl-D does");
    }
}

static void on_escape(void *data)
{
    struct repl *r = data;

    if (is_at_work(r))
        stop_turn(r);
}

static void on_end(void *data)
{
    repl_leave(data, EXIT_DONE);
}

static void on_line(void *data, char *text)
{
    struct repl *r = data;
    char *line = str_trim(text);

    if (r->question_id != NULL) {
        answer_question(r, line);
    } else if (line[0] != '\0') {
        repl_say(r, PROMPT_BOLD, "\n› %s", line);
        if (repl_is_command(line) && repl_command_is_instant(line))
            repl_command(r, line);
        else if (!repl_is_command(line) && r->turn != NULL && !r->is_stopping && r->queue.len == 0 &&
                 agent_session_add(agent_tree_main(tree_of(r)), line))
            prompt_history_add(main_session_config(r->session), main_session_id(r->session), line);
        else
            str_list_add(&r->queue, line);
        repl_wake(r);
    }
    free(text);
}

/* SIGTERM, SIGHUP, or SIGINT from elsewhere: the keyboard's Ctrl-C is a key. */
static void on_signal(void *data, int count)
{
    (void)count;
    repl_leave(data, EXIT_INTERRUPTED);
}

/* --- Turns ------------------------------------------------------------------------------------------------------------ */

static void run_turn(void *arg)
{
    struct repl *r = arg;
    struct agent_answer answer = {0};
    struct error err = {0};

    if (agent_tree_ask(tree_of(r), r->turn_text, false, &answer, &err) < 0) {
        if (r->is_stopping || err.code == ERROR_CANCELLED)
            prompt_print(r->prompt, PROMPT_DIM, "stopped");
        else
            repl_say(r, PROMPT_BAD, "the turn failed: %s", err.text);
    }
    agent_answer_finish(&answer);
    r->turn = NULL;
    r->is_stopping = false;
    r->has_streamed = false;
    prompt_stream_end(r->prompt);
    repl_wake(r);
}

/* TEXT is taken; NULL: the main thread hears what its agents have said. */
static void begin_turn(struct repl *r, char *text)
{
    free(r->turn_text);
    r->turn_text = text;
    if (text != NULL)
        prompt_history_add(main_session_config(r->session), main_session_id(r->session), text);
    r->turn_began_ms = clock_monotonic_ms();
    r->turn = fiber_start(r->ctx->loop, run_turn, r);
}

/* One step of the command's fiber; it waits when there is nothing to do. */
static void step(struct repl *r)
{
    update_question(r);
    show_status(r);
    if (r->turn == NULL && r->queue.len > 0) {
        char *line = xstrdup(r->queue.items[0]);

        str_list_remove(&r->queue, 0);
        if (!repl_is_command(line)) {
            begin_turn(r, line);
            return;
        }
        repl_command(r, line);
        free(line);
    } else if (r->turn == NULL && agent_tree_wants_turn(tree_of(r))) {
        begin_turn(r, NULL);
    } else {
        (void)fiber_wait(NULL);
    }
}

/* --- A session ---------------------------------------------------------------------------------------------------------- */

struct exchange {
    char *asked;
    char *said;
    size_t turns;
};

static bool on_rollout(void *data, const char *timestamp, const char *type, const json_t *payload)
{
    struct exchange *e = data;
    const json_t *item = json_object_get(payload, "item");

    (void)timestamp;
    if (strcmp(type, "user.message") == 0) {
        free(e->asked);
        e->asked = xstrdup(json_get_string(payload, "text", ""));
        FREE_NULL(e->said);
        e->turns++;
    } else if (strcmp(type, "item.completed") == 0 && strcmp(json_get_string(item, "type", ""), "agent_message") == 0) {
        free(e->said);
        e->said = xstrdup(json_get_string(item, "text", ""));
    }
    return true;
}

/* The last question and answer of the session that goes on. */
static void show_last_exchange(struct repl *r)
{
    char *dir = session_dir_path(main_session_id(r->session));
    char *path = xasprintf("%s/rollouts/%s.jsonl", dir, main_session_id(r->session));
    struct exchange e = {0};

    if (rollout_read(path, on_rollout, &e, NULL) == 0 && e.asked != NULL) {
        if (e.turns > 1)
            repl_say(r, PROMPT_DIM, "… %zu earlier messages", e.turns - 1);
        repl_say(r, PROMPT_BOLD, "\n› %s", e.asked);
        if (e.said != NULL)
            repl_say(r, PROMPT_PLAIN, "\n%s", e.said);
    }
    free(e.asked);
    free(e.said);
    free(path);
    free(dir);
}

static void greet(struct repl *r, bool is_resumed)
{
    const struct agent_session *main = agent_tree_main(tree_of(r));
    const char *model = agent_session_model(main);
    char *cwd = path_current_directory();

    repl_say(r, PROMPT_DIM, "cadre %s · %s · %s · %s\n%s %s · see /help", CADRE_VERSION,
             model == NULL ? "another program's model" : model, sandbox_mode_name(agent_session_policy(main)->mode), cwd,
             is_resumed ? "session goes on:" : "session", main_session_id(r->session));
    if (is_resumed)
        show_last_exchange(r);
    free(cwd);
}

static bool remember(void *data, const char *session_id, int64_t ts_s, const char *text)
{
    (void)session_id;
    (void)ts_s;
    prompt_remember(((struct repl *)data)->prompt, text);
    return true;
}

static int open_session(struct repl *r, struct error *err)
{
    r->session = main_session_open(&r->session_options, err);
    if (r->session == NULL)
        return -1;
    greet(r, r->session_options.resumed != NULL);
    return 0;
}

static void close_session(struct repl *r)
{
    struct main_session *session = r->session;

    if (r->turn != NULL)
        fiber_cancel(r->turn);
    while (r->turn != NULL)
        (void)fiber_wait(NULL);
    prompt_set_question(r->prompt, NULL);
    FREE_NULL(r->question_id);
    main_session_close(session);
    r->session = NULL;
    timer_cancel(r->tick);
    r->tick = NULL;
    prompt_set_status(r->prompt, NULL);
}

static int check_terminal(struct error *err)
{
    const char *term = getenv("TERM");

    if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) {
        error_set(err, ERROR_USAGE, "an interactive session needs a terminal, and standard %s is none",
                  isatty(STDIN_FILENO) == 0 ? "input" : "output");
        return error_hint(err, "`cadre exec PROMPT` asks once, without a terminal; `cadre --help` lists the commands");
    }
    if (str_is_empty(term) || strcmp(term, "dumb") == 0) {
        error_set(err, ERROR_USAGE, "an interactive session needs a terminal that can move its cursor, and TERM is \"%s\"",
                  term == NULL ? "" : term);
        return error_hint(err, "set TERM (for example xterm-256color), or use `cadre exec PROMPT`");
    }
    return 0;
}

int repl_run(struct cli_context *ctx, const struct repl_options *options, struct error *err)
{
    struct repl r = {.ctx = ctx, .fiber = fiber_current(), .exit_code = EXIT_DONE};
    struct prompt_options prompt_options = {.loop = ctx->loop,
                                            .color = ctx->color,
                                            .on_line = on_line,
                                            .on_interrupt = on_interrupt,
                                            .on_escape = on_escape,
                                            .on_end = on_end,
                                            .on_complete = repl_complete,
                                            .data = &r};
    char *id = NULL;
    int rc = -1;

    r.session_options = (struct main_session_options){.ctx = ctx,
                                                      .role = options->role,
                                                      .resumed = options->resumed,
                                                      .is_attended = true,
                                                      .on_event = on_event,
                                                      .on_text_delta = on_text_delta,
                                                      .on_change = on_agents_change,
                                                      .data = &r};
    if (check_terminal(err) < 0 || (r.prompt = prompt_create(&prompt_options, err)) == NULL)
        return -1;
    ctx->on_interrupt = on_signal;
    ctx->interrupt_data = &r;
    log_set_sink(on_log, &r);
    if (open_session(&r, err) < 0)
        goto out;
    prompt_history_each(main_session_config(r.session), remember, &r);
    while (!r.leaves) {
        step(&r);
        if (!r.wants_new)
            continue;
        r.wants_new = false;
        close_session(&r);
        r.session_options.resumed = NULL;
        if (open_session(&r, err) < 0)
            goto out;
    }
    rc = r.exit_code;
out:
    if (r.session != NULL) {
        id = xstrdup(main_session_id(r.session));
        close_session(&r);
    }
    log_set_sink(NULL, NULL);
    ctx->on_interrupt = NULL;
    prompt_destroy(r.prompt);
    if (id != NULL && r.turn_text != NULL)
        fprintf(stderr, "go on with: cadre resume %s\n", id);
    str_list_finish(&r.queue);
    free(r.turn_text);
    free(id);
    return rc;
}

int repl_resume(struct cli_context *ctx, const char *id)
{
    struct session_head head = {0};
    struct repl_options options = {.resumed = &head};
    char *cwd = path_current_directory();
    struct error err = {0};
    int rc = check_terminal(&err) < 0 || session_dir_find(id, cwd, &head, &err) < 0 ? -1 : repl_run(ctx, &options, &err);

    session_head_finish(&head);
    free(cwd);
    return rc < 0 ? cli_fail(&err) : rc;
}
