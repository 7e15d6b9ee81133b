/* agent/runner_codex.c: carries a thread by the user's Codex CLI: a turn is one `codex exec --json`, the next turns of the
 * thread are `codex exec ... resume ID`.
 *
 * Codex gets a home folder of its own, in which the user's configuration is copied and sign-in linked, so that what
 * it keeps there (sessions, databases) is this thread's alone. The prompt goes in by standard input, which is then closed:
 * Codex waits on an open one. */
#include "agent/carrier.h"

#include "agent/codex_events.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "config/toml.h"
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

/* The user's configuration (a copy) and sign-in in Codex's private home. The sign-in is the real file: Codex renews its tokens in
 * place, and a copy would make the user's own void. */
static int link_codex_home(struct program_box *box, const char *home, struct error *err)
{
    char *user = path_codex_home();
    struct str_list names = {0};
    int rc = file_make_directories(home, 0700, err);

    if (rc == 0 && file_is_directory(user))
        rc = file_list_directory(user, &names, err);
    for (size_t i = 0; i < names.len && rc == 0; i++) {
        bool is_sign_in = strcmp(names.items[i], "auth.json") == 0;
        char *from;
        char *to;
        char *real;

        if (!is_sign_in && strcmp(names.items[i], "config.toml") != 0 && strcmp(names.items[i], "agents") != 0 &&
            !str_ends_with(names.items[i], ".config.toml"))
            continue;
        from = path_join(user, names.items[i]);
        to = path_join(home, names.items[i]);
        real = realpath(from, NULL);
        if (real != NULL)
            rc = program_box_bring(box, real, to, is_sign_in, err);
        if (real != NULL && is_sign_in)
            program_box_allow_write(box, real);
        free(real);
        free(to);
        free(from);
    }
    str_list_finish(&names);
    free(user);
    return rc;
}

static void *codex_open(struct carried_thread *thread, struct error *err)
{
    const struct carried_options *o = carried_options(thread);
    struct program_box *box = carried_box(thread);
    const char *schema = o->output_schema != NULL ? o->output_schema : submission_schema(o->owes);
    char *home = path_join(box->dir, "codex");
    struct codex *c = xcalloc(1, sizeof *c);
    int rc = link_codex_home(box, home, err);

    c->thread = thread;
    c->message_file = path_join(box->dir, "last-message");
    program_box_set_env(box, "CODEX_HOME", home);
    if (rc == 0 && schema != NULL) {
        c->schema_file = path_join(box->dir, "answer.schema.json");
        rc = file_write(c->schema_file, schema, strlen(schema), 0600, err);
    }
    free(home);
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

static void add_setting(struct str_list *argv, const char *key, const char *value)
{
    struct buf b = BUF_INIT;

    buf_printf(&b, "%s=", key);
    toml_append_quoted(&b, value, strlen(value));
    str_list_add(argv, "-c");
    str_list_take(argv, buf_take(&b));
}

static void add_raw_setting(struct str_list *argv, const char *setting)
{
    str_list_add(argv, "-c");
    str_list_add(argv, setting);
}

/* What the user's keys are called is no business of the commands that the model runs. */
static void hide_variables(struct str_list *argv, const struct str_list *names)
{
    struct buf b = BUF_INIT;

    if (names->len == 0)
        return;
    buf_puts(&b, "shell_environment_policy.exclude=[");
    for (size_t i = 0; i < names->len; i++) {
        buf_puts(&b, i == 0 ? "" : ",");
        toml_append_quoted(&b, names->items[i], strlen(names->items[i]));
    }
    buf_putc(&b, ']');
    add_raw_setting(argv, b.data);
    buf_free(&b);
}

/* Codex's own sandbox: off where ours is the only one. */
static const char *mode_of(const struct codex *c)
{
    const struct carried_options *o = carried_options(c->thread);

    if (carried_box(c->thread)->kind == RUNNER_BOX_CADRE)
        return sandbox_mode_name(SANDBOX_DANGER_FULL_ACCESS);
    return sandbox_mode_name(o->policy->mode);
}

static void build_argv(const struct codex *c, struct str_list *argv)
{
    const struct carried_options *o = carried_options(c->thread);
    const char *const fixed[] = {"exec", "--json", "--skip-git-repo-check", "-C", o->policy->cwd, "-s", mode_of(c),
                                 "-o",   c->message_file};

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
    if (o->reasoning_effort != NULL)
        add_setting(argv, "model_reasoning_effort", o->reasoning_effort);
    if (!str_is_empty(o->instructions))
        add_setting(argv, "developer_instructions", o->instructions);
    add_setting(argv, "approval_policy", "never");
    add_raw_setting(argv, "project_doc_max_bytes=0"); /* AGENTS.md comes with the prompt, as for every thread */
    add_raw_setting(argv, "sandbox_workspace_write.exclude_slash_tmp=true");
    add_raw_setting(argv, o->policy->network_access ? "sandbox_workspace_write.network_access=true"
                                                    : "sandbox_workspace_write.network_access=false");
    hide_variables(argv, &o->runner->env_vars);
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
    char *all = str_trim(text->data == NULL ? (char[]){""} : text->data);
    char *line = strrchr(all, '\n');

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
        return error_set(err, ERROR_IO, "%s was killed by signal %d in the midst of a turn", name, c->exit.signal);
    return error_set(err, ERROR_IO, "%s ended (exit code %d) without ending its turn: %s", name, c->exit.exit_code,
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

    if (file_is_regular(c->message_file) && file_read(c->message_file, &text, MAX_MESSAGE_BYTES, NULL) == 0 && text.len > 0)
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
