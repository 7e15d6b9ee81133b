/* agent/runner_codex.c: carries a thread by the user's Codex CLI: a turn is one `codex exec --json`, the next turns of the
 * thread are `codex exec ... resume ID`.
 *
 * Codex gets a home folder of its own, in which the user's configuration is copied and sign-in linked, so that what
 * it keeps there (sessions, databases) is this thread's alone. The prompt goes in by standard input, which is then closed:
 * Codex waits on an open one. */
#include "agent/carrier.h"

#include "agent/codex_events.h"
#include "agent/codex_home.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "io/fiber.h"
#include "io/line_reader.h"
#include "io/loop.h"
#include "io/process.h"
#include "sandbox/exec_helper.h"
#include "tool/submission.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LINE_BYTES    ((size_t)8 << 20)
#define MAX_OUTPUT_BYTES  ((size_t)256 << 20) /* of a turn */
#define MAX_STDERR_BYTES  ((size_t)8192)
#define MAX_MESSAGE_BYTES ((size_t)1 << 20)
#define STOP_GRACE_MS     2000

struct codex {
    struct carried_thread *thread;
    char *session;      /* id of Codex's own session, from the first turn on */
    char *message_file; /* -o */
    char *schema_file;  /* --output-schema, or NULL */
    struct usage used;  /* by the session so far */
    /* The turn. */
    struct process *process;
    struct line_reader lines;
    struct codex_events events;
    struct process_exit exit;
    bool has_exited;
    bool is_broken; /* what it still prints is not read */
    struct buf last_stderr;
    size_t output_bytes;
};

/* --- Setting up ---------------------------------------------------------------------------------------------------- */

static void *codex_open(struct carried_thread *thread, struct error *err)
{
    const struct carried_options *o = carried_options(thread);
    struct program_box *box = carried_box(thread);
    const char *schema = o->output_schema != NULL ? o->output_schema : submission_schema(o->owes);
    struct codex *c = xcalloc(1, sizeof *c);
    int rc = codex_home_make(thread, err);

    c->thread = thread;
    c->message_file = path_join(box->dir, "last-message");
    if (rc == 0 && schema != NULL) {
        c->schema_file = path_join(box->dir, "answer.schema.json");
        rc = file_write(c->schema_file, schema, strlen(schema), 0600, err);
    }
    if (rc == 0)
        return c;
    free(c->message_file);
    free(c->schema_file);
    free(c);
    return NULL;
}

static void codex_close(void *state)
{
    struct codex *c = state;

    process_destroy(c->process);
    buf_free(&c->last_stderr);
    free(c->session);
    free(c->message_file);
    free(c->schema_file);
    free(c);
}

/* --- The command line ------------------------------------------------------------------------------------------------ */

static void build_argv(const struct codex *c, struct str_list *argv)
{
    const struct carried_options *o = carried_options(c->thread);
    const char *const fixed[] = {"exec",
                                 "--json",
                                 "--skip-git-repo-check",
                                 "-C",
                                 o->policy->cwd,
                                 "-s",
                                 codex_home_sandbox_mode(c->thread),
                                 "-o",
                                 c->message_file};

    str_list_copy(argv, &o->runner->argv);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        str_list_add(argv, fixed[i]);
    if (c->schema_file != NULL) {
        str_list_add(argv, "--output-schema");
        str_list_add(argv, c->schema_file);
    }
    if (o->model != NULL) {
        str_list_add(argv, "-m");
        str_list_add(argv, o->model);
    }
    codex_home_add_settings(c->thread, argv);
    if (c->session != NULL) {
        str_list_add(argv, "resume");
        str_list_add(argv, c->session);
    }
    str_list_add(argv, "-");
}

/* --- One turn --------------------------------------------------------------------------------------------------------- */

static bool on_line(void *user, const char *line, size_t n)
{
    struct codex *c = user;

    if (codex_events_line(&c->events, line, n) == CODEX_PROGRESS)
        carried_progress(c->thread);
    return true;
}

static void on_output(void *data, int fd, const char *bytes, size_t n)
{
    struct codex *c = data;
    struct error err = {0};

    if (fd == 2) {
        buf_append(&c->last_stderr, bytes, n);
        if (c->last_stderr.len > MAX_STDERR_BYTES)
            buf_consume(&c->last_stderr, c->last_stderr.len - MAX_STDERR_BYTES);
        return;
    }
    if (c->is_broken)
        return;
    c->output_bytes += n;
    if (c->output_bytes > MAX_OUTPUT_BYTES)
        error_set(&err, ERROR_LIMIT, "it printed more than %zu MiB", MAX_OUTPUT_BYTES >> 20);
    if (!error_is_set(&err) && line_reader_feed(&c->lines, bytes, n, &err) == 0)
        return;
    c->is_broken = true;
    error_wrap(&err, "%s", carried_options(c->thread)->runner->argv.items[0]);
    carried_stop(c->thread, &err);
}

static void on_exit_of_codex(void *data, const struct process_exit *exit)
{
    struct codex *c = data;

    c->exit = *exit;
    c->has_exited = true;
    carried_wake(c->thread);
}

static void emit_event(void *data, json_t *event)
{
    struct codex *c = data;

    carried_emit(c->thread, event);
}

static unsigned next_item(void *data)
{
    struct codex *c = data;

    return carried_next_item(c->thread);
}

static int start(struct codex *c, const char *prompt, struct error *err)
{
    const struct carried_options *o = carried_options(c->thread);
    struct program_box *box = carried_box(c->thread);
    struct str_list argv = {0};
    struct str_list boxed = {0};
    struct process_options options = {
        .env = (const char *const *)box->env.items,
        .cwd = o->policy->cwd,
        .want_stdin = true,
        .on_output = on_output,
        .on_exit = on_exit_of_codex,
        .data = c,
    };

    build_argv(c, &argv);
    if (program_box_wrap(box, &argv, &boxed, err) == 0) {
        options.argv = (const char *const *)boxed.items;
        c->process = process_start(o->loop, &options, err);
    }
    str_list_finish(&argv);
    str_list_finish(&boxed);
    if (c->process == NULL)
        return -1;
    process_write(c->process, prompt, strlen(prompt));
    process_close_stdin(c->process);
    return 0;
}

/* Lets a stopped Codex end by itself for a moment: it saves its session then. */
static void stop(struct codex *c)
{
    if (c->has_exited || c->process == NULL)
        return;
    process_kill(c->process, STOP_GRACE_MS);
    fiber_shield(true);
    while (!c->has_exited) {
        struct error ignored = {0};

        (void)carried_wait(c->thread, &ignored);
    }
    fiber_shield(false);
}

static const char *last_line(struct buf *text)
{
    char *all;
    char *line;

    if (text->data == NULL)
        return "";
    all = str_trim(text->data);
    line = strrchr(all, '\n');
    return line == NULL ? all : line + 1;
}

static int judge(struct codex *c, struct error *err)
{
    const char *name = carried_options(c->thread)->runner->argv.items[0];

    if (c->events.is_failed)
        return codex_failure(err, name, c->events.failure);
    if (c->events.is_completed)
        return 0;
    if (c->exit.exit_code == 127)
        return error_set(err, ERROR_NOT_FOUND, "%s: command not found", name);
    if (c->exit.exit_code == SANDBOX_EXIT_CODE && c->events.session == NULL)
        return error_set(err, ERROR_SANDBOX, "%s", last_line(&c->last_stderr));
    /* It ended before there was a session: its configuration or its installation, not the task. */
    if (c->events.session == NULL && c->exit.exit_code > 0)
        return error_set(err, ERROR_CONFIG, "%s does not start (exit code %d): %s", name, c->exit.exit_code,
                         last_line(&c->last_stderr));
    if (c->exit.signal != 0)
        return error_set(err, ERROR_IO, "%s was killed by signal %d in the midst of a turn", name,
                         c->exit.signal);
    return error_set(err, ERROR_IO, "%s ended (exit code %d) without ending its turn: %s", name,
                     c->exit.exit_code,
                     c->events.failure != NULL ? c->events.failure : last_line(&c->last_stderr));
}

/* turn.completed counts the whole session. */
static void take_usage(struct codex *c, struct usage *out)
{
    struct usage *now = &c->events.total;

    if (!c->events.has_usage)
        return;
    if (now->input_tokens < c->used.input_tokens || now->output_tokens < c->used.output_tokens)
        c->used = (struct usage){0};
    out->input_tokens = now->input_tokens - c->used.input_tokens;
    out->cached_input_tokens = now->cached_input_tokens - c->used.cached_input_tokens;
    out->cache_write_input_tokens = now->cache_write_input_tokens - c->used.cache_write_input_tokens;
    out->output_tokens = now->output_tokens - c->used.output_tokens;
    out->reasoning_output_tokens = now->reasoning_output_tokens - c->used.reasoning_output_tokens;
    c->used = *now;
}

static char *take_message(struct codex *c)
{
    struct buf text = BUF_INIT;

    if (file_is_regular(c->message_file) && file_read(c->message_file, &text, MAX_MESSAGE_BYTES, NULL) == 0 &&
        text.len > 0)
        return buf_take(&text);
    buf_free(&text);
    return xstrdup(c->events.last_message);
}

static int codex_ask(void *state, const char *prompt, struct carrier_turn *turn, struct error *err)
{
    struct codex *c = state;
    int rc;

    c->has_exited = false;
    c->is_broken = false;
    c->output_bytes = 0;
    buf_clear(&c->last_stderr);
    (void)file_remove_tree(c->message_file, NULL);
    line_reader_init(&c->lines, MAX_LINE_BYTES, on_line, c);
    codex_events_init(&c->events, emit_event, next_item, c);
    rc = start(c, prompt, err);
    while (rc == 0 && !c->has_exited)
        rc = carried_wait(c->thread, err);
    stop(c);
    if (!c->is_broken)
        (void)line_reader_end(&c->lines, NULL);
    if (c->session == NULL && c->events.session != NULL)
        c->session = xstrdup(c->events.session);
    take_usage(c, &turn->usage);
    if (rc == 0)
        rc = judge(c, err);
    if (rc == 0)
        turn->message = take_message(c);
    process_destroy(c->process);
    c->process = NULL;
    line_reader_finish(&c->lines);
    codex_events_finish(&c->events);
    return rc;
}

const struct carrier carrier_codex = {
    .name = "codex",
    .takes_instructions = true,
    .open = codex_open,
    .ask = codex_ask,
    .close = codex_close,
};
