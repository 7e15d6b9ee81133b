/* tool/exec_command.c: exec_command, write_stdin and the older shell: commands under the thread's sandbox.
 *
 * A command that is still running when its call's time to wait is over lives on as a session of the thread; write_stdin
 * goes on with it. All sessions are killed with the thread. */
#include "tool/tool_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/path.h"
#include "base/random.h"
#include "base/redact.h"
#include "base/vec.h"
#include "io/loop.h"
#include "io/process.h"
#include "sandbox/exec_helper.h"
#include "sandbox/policy.h"
#include "tool/command_gate.h"
#include "tool/truncate.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SESSIONS          16
#define MAX_OUTPUT_BYTES      ((size_t)1 << 20) /* kept of one call; the middle of more is dropped */
#define DEFAULT_YIELD_MS      10000
#define MIN_YIELD_MS          250
#define MAX_YIELD_MS          30000
#define DEFAULT_OUTPUT_TOKENS 10000
#define SHELL_TIMEOUT_MS      600000

struct exec_session {
    struct tool_session *owner;
    int id;
    struct process *process;
    struct process_exit exit;
    bool has_exited;
    bool has_stdin;
    struct buf output;   /* not yet shown to the model */
    size_t dropped;      /* bytes lost from the middle of it */
    struct tool_call *waiting;
    struct timer *yield;
    int64_t call_started_us;
    int64_t max_tokens;
};

struct tool_session {
    struct loop *loop;
    struct vec sessions; /* of struct exec_session * */
    int next_id;
};

struct tool_session *tool_session_create(struct loop *loop)
{
    struct tool_session *owner = xcalloc(1, sizeof *owner);

    owner->loop = loop;
    owner->next_id = 1000;
    return owner;
}

static void session_free(struct exec_session *s)
{
    timer_cancel(s->yield);
    process_destroy(s->process);
    buf_free(&s->output);
    free(s);
}

void tool_session_destroy(struct tool_session *owner)
{
    if (owner == NULL)
        return;
    for (size_t i = 0; i < owner->sessions.len; i++)
        session_free(owner->sessions.items[i]);
    vec_finish(&owner->sessions);
    free(owner);
}

/* --- Answers -------------------------------------------------------------------------------------------------- */

static bool mentions_git_lock(const struct buf *output)
{
    return output->len > 0 && strstr(output->data, ".git") != NULL &&
           (strstr(output->data, "Read-only file system") != NULL || strstr(output->data, "Permission denied") != NULL ||
            strstr(output->data, "index.lock") != NULL);
}

/* What a model is not shown goes before anything is cut; what may be the beginning of it waits for the rest. */
static void take_secrets_out(struct exec_session *s, struct buf *held)
{
    size_t open = s->has_exited || s->output.len == 0 ? 0 : redact_open_tail(s->output.data, s->output.len, 0, REDACT_KNOWN);

    buf_append(held, buf_cstr(&s->output) + s->output.len - open, open);
    buf_truncate(&s->output, s->output.len - open);
    redact_buf(&s->output, 0, REDACT_KNOWN);
}

static void answer(struct exec_session *s)
{
    struct tool_call *call = s->waiting;
    struct buf held = BUF_INIT;
    char chunk[7];

    s->waiting = NULL;
    timer_cancel(s->yield);
    s->yield = NULL;
    take_secrets_out(s, &held);
    random_id(chunk, 6);
    buf_printf(&call->output, "Chunk ID: %s\nWall time: %.4f seconds\n", chunk,
               (double)(clock_monotonic_us() - s->call_started_us) / 1e6);
    if (!s->has_exited)
        buf_printf(&call->output, "Process running with session ID %d\n", s->id);
    else if (s->exit.signal != 0)
        buf_printf(&call->output, "Process killed by signal %d%s\n", s->exit.signal,
                   s->exit.timed_out ? " (it took too long)" : "");
    else
        buf_printf(&call->output, "Process exited with code %d\n", s->exit.exit_code);
    if ((s->output.len + s->dropped) / 4 > (size_t)s->max_tokens)
        buf_printf(&call->output, "Original token count: %zu\n", (s->output.len + s->dropped) / 4);
    s->dropped = 0;
    if (s->has_exited && s->exit.exit_code != 0 && mentions_git_lock(&s->output))
        buf_puts(&call->output, "Note: .git is read-only here; the engine commits your working directory for you.\n");
    buf_puts(&call->output, "Output:\n");
    truncate_middle(&call->output, buf_cstr(&s->output), s->output.len, s->max_tokens);
    buf_free(&s->output);
    s->output = held;
    call->result.exit_code = s->has_exited ? s->exit.exit_code : -1;
    tool_call_finish(call);
    if (s->has_exited) {
        (void)vec_remove_item(&s->owner->sessions, s);
        session_free(s);
    }
}

static void on_output(void *data, int fd, const char *bytes, size_t n)
{
    struct exec_session *s = data;

    (void)fd;
    buf_append(&s->output, bytes, n);
    if (s->output.len > MAX_OUTPUT_BYTES) { /* endless output: head and tail stay */
        size_t keep = MAX_OUTPUT_BYTES / 4;
        size_t cut = s->output.len - 2 * keep;

        memmove(s->output.data + keep, s->output.data + keep + cut, keep);
        buf_truncate(&s->output, 2 * keep);
        s->dropped += cut;
    }
}

static void on_process_exit(void *data, const struct process_exit *exit)
{
    struct exec_session *s = data;

    s->exit = *exit;
    s->has_exited = true;
    if (s->waiting != NULL)
        answer(s);
}

static void on_yield(void *data)
{
    struct exec_session *s = data;

    s->yield = NULL;
    if (s->waiting != NULL)
        answer(s);
}

/* The call was cancelled (its thread ends or is interrupted): the command goes with it. */
static void on_cancel(struct tool_call *call)
{
    struct exec_session *s = call->state;

    (void)vec_remove_item(&s->owner->sessions, s);
    session_free(s);
}

static void wait_for(struct exec_session *s, struct tool_call *call, const json_t *args, int64_t default_yield_ms)
{
    int64_t yield_ms = json_get_int(args, "yield_time_ms", default_yield_ms);

    s->max_tokens = json_get_int(args, "max_output_tokens", DEFAULT_OUTPUT_TOKENS);
    if (s->max_tokens < 1 || s->max_tokens > DEFAULT_OUTPUT_TOKENS * 4)
        s->max_tokens = DEFAULT_OUTPUT_TOKENS;
    if (yield_ms < MIN_YIELD_MS)
        yield_ms = MIN_YIELD_MS;
    if (yield_ms > MAX_YIELD_MS && default_yield_ms <= MAX_YIELD_MS)
        yield_ms = MAX_YIELD_MS;
    s->call_started_us = clock_monotonic_us();
    s->waiting = call;
    call->state = s;
    call->cancel = on_cancel;
    if (s->has_exited) {
        answer(s);
        return;
    }
    s->yield = timer_start(call->ctx.loop, (uint64_t)yield_ms, on_yield, s);
}

/* Makes room: of the sessions whose command ended and whose end nobody asked for, the oldest goes. */
static bool forget_ended_session(struct tool_session *owner)
{
    for (size_t i = 0; i < owner->sessions.len; i++) {
        struct exec_session *s = owner->sessions.items[i];

        if (s->has_exited && s->waiting == NULL) {
            (void)vec_remove(&owner->sessions, i);
            session_free(s);
            return true;
        }
    }
    return false;
}

/* --- Starting ---------------------------------------------------------------------------------------------------- */

static void start_process(struct tool_call *call, const json_t *args, const char *const *argv, bool outside, bool tty,
                          uint64_t timeout_ms, int64_t yield_ms)
{
    const char *workdir = json_get_string(args, "workdir", NULL);
    struct tool_session *owner = call->ctx.session;
    struct str_list wrapped = {0};
    struct sandbox_policy policy = {0};
    struct exec_session *s = NULL;
    struct error err = {0};
    char *cwd = workdir == NULL ? xstrdup(call->ctx.cwd) : path_join(call->ctx.cwd, workdir);
    struct process_options options = {
        .env = call->ctx.env,
        .cwd = cwd,
        .want_stdin = tty,
        .use_pty = tty,
        .merge_stderr = !tty,
        .timeout_ms = timeout_ms,
        .on_output = on_output,
        .on_exit = on_process_exit,
    };

    if (owner->sessions.len >= MAX_SESSIONS && !forget_ended_session(owner)) {
        tool_call_fail(call, "%d commands are running already; wait for one (write_stdin without chars) or end it first", MAX_SESSIONS);
        goto out;
    }
    sandbox_policy_copy(&policy, call->ctx.policy);
    if (outside)
        policy.mode = SANDBOX_DANGER_FULL_ACCESS;
    if (sandbox_wrap(&policy, argv, &wrapped, &err) < 0) {
        tool_call_fail(call, "%s", err.text);
        goto out;
    }
    s = xcalloc(1, sizeof *s);
    s->owner = owner;
    s->id = owner->next_id++;
    s->has_stdin = tty;
    options.argv = (const char *const *)wrapped.items;
    options.data = s;
    s->process = process_start(call->ctx.loop, &options, &err);
    if (s->process == NULL) {
        session_free(s);
        tool_call_fail(call, "%s", err.text);
        goto out;
    }
    vec_push(&owner->sessions, s);
    wait_for(s, call, args, yield_ms);
out:
    sandbox_policy_finish(&policy);
    str_list_finish(&wrapped);
    free(cwd);
}

static void start_exec_now(struct tool_call *call, const json_t *args, const char *const *argv, bool outside)
{
    start_process(call, args, argv, outside, json_get_bool(args, "tty", false), 0, DEFAULT_YIELD_MS);
}

static void start_shell_now(struct tool_call *call, const json_t *args, const char *const *argv, bool outside)
{
    int64_t timeout_ms = json_get_int(args, "timeout_ms", SHELL_TIMEOUT_MS);

    if (timeout_ms < 1 || timeout_ms > SHELL_TIMEOUT_MS)
        timeout_ms = SHELL_TIMEOUT_MS;
    start_process(call, args, argv, outside, false, (uint64_t)timeout_ms, SHELL_TIMEOUT_MS * 2);
}

static void start_exec(struct tool_call *call, const json_t *args)
{
    const char *cmd;
    const char *shell = json_get_string(args, "shell", NULL);
    bool login = json_get_bool(args, "login", false);
    const char *argv[4] = {"/bin/bash", "-c", NULL, NULL};
    char *patch;

    if (!tool_need_string(call, args, "cmd", &cmd))
        return;
    patch = apply_patch_from_command(cmd);
    if (patch != NULL) {
        apply_patch_run(call, patch);
        free(patch);
        return;
    }
    if (!str_is_empty(shell))
        argv[0] = shell;
    if (login)
        argv[1] = "-lc";
    argv[2] = cmd;
    if (str_is_empty(shell)) {
        command_gate_pass(call, args, argv, cmd, start_exec_now);
    } else { /* which program gets the script is for the person to see */
        char *shown = xasprintf("%s %s %s", shell, argv[1], cmd);

        command_gate_pass(call, args, argv, shown, start_exec_now);
        free(shown);
    }
}

static void start_write(struct tool_call *call, const json_t *args)
{
    int64_t id = json_get_int(args, "session_id", -1);
    const char *chars = json_get_string(args, "chars", "");
    struct tool_session *owner = call->ctx.session;

    for (size_t i = 0; i < owner->sessions.len; i++) {
        struct exec_session *s = owner->sessions.items[i];

        if (s->id != id)
            continue;
        if (s->waiting != NULL) {
            tool_call_fail(call, "write_stdin: another call waits for session %lld", (long long)id);
            return;
        }
        if (chars[0] != '\0' && !s->has_stdin) {
            tool_call_fail(call, "write_stdin: session %lld has no standard input; run the command again with tty = true", (long long)id);
            return;
        }
        if (chars[0] != '\0' && !s->has_exited)
            process_write(s->process, chars, strlen(chars));
        wait_for(s, call, args, chars[0] == '\0' ? 5000 : MIN_YIELD_MS);
        return;
    }
    tool_call_fail(call, "write_stdin: there is no running session %lld", (long long)id);
}

static void start_shell(struct tool_call *call, const json_t *args)
{
    const json_t *command = json_object_get(args, "command");
    size_t n = json_array_size(command);
    const char **argv;
    char *patch = NULL;

    if (n == 0 || n > 1000) {
        tool_call_fail(call, "shell: the argument `command` (an array of strings) is missing");
        return;
    }
    argv = xcalloc(n + 1, sizeof *argv);
    for (size_t i = 0; i < n; i++) {
        argv[i] = json_string_value(json_array_get(command, i));
        if (argv[i] == NULL) {
            tool_call_fail(call, "shell: command[%zu] is no string", i);
            free(argv);
            return;
        }
    }
    if (n == 2 && strcmp(argv[0], "apply_patch") == 0)
        patch = xstrdup(argv[1]);
    else if (n == 3 && argv[1][0] == '-')
        patch = apply_patch_from_command(argv[2]);
    if (patch != NULL) {
        apply_patch_run(call, patch);
        free(patch);
    } else {
        struct buf shown = BUF_INIT;

        for (size_t i = 0; i < n; i++)
            buf_printf(&shown, "%s%s", i > 0 ? " " : "", argv[i]);
        command_gate_pass(call, args, argv, buf_cstr(&shown), start_shell_now);
        buf_free(&shown);
    }
    free(argv);
}

const struct tool tool_exec_command = {
    .name = "exec_command",
    .description = "Runs a command in a shell, under the sandbox. Gives its output, or a session ID while it is still running.",
    .parameters =
        "{\"type\":\"object\",\"properties\":{\"cmd\":{\"type\":\"string\",\"description\":\"Shell command\"},"
        "\"workdir\":{\"type\":\"string\",\"description\":\"Defaults to the working directory\"},"
        "\"shell\":{\"type\":\"string\"},\"login\":{\"type\":\"boolean\"},\"tty\":{\"type\":\"boolean\"},"
        "\"yield_time_ms\":{\"type\":\"integer\",\"description\":\"How long to wait for the end (default 10000)\"},"
        "\"max_output_tokens\":{\"type\":\"integer\"},"
        "\"sandbox_permissions\":{\"type\":\"string\",\"enum\":[\"use_default\",\"require_escalated\"],"
        "\"description\":\"require_escalated asks a person to let it run outside the sandbox\"},"
        "\"justification\":{\"type\":\"string\",\"description\":\"With require_escalated: why, in one sentence\"},"
        "\"prefix_rule\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}},\"required\":[\"cmd\"]}",
    .flags = TOOL_PARALLEL,
    .start = start_exec,
};

const struct tool tool_write_stdin = {
    .name = "write_stdin",
    .description = "Writes to a running session (nothing: only waits) and gives its new output.",
    .parameters = "{\"type\":\"object\",\"properties\":{\"session_id\":{\"type\":\"integer\"},\"chars\":{\"type\":\"string\"},"
                  "\"yield_time_ms\":{\"type\":\"integer\"},\"max_output_tokens\":{\"type\":\"integer\"}},"
                  "\"required\":[\"session_id\"]}",
    .flags = 0,
    .start = start_write,
};

const struct tool tool_shell = {
    .name = "shell",
    .description = "Runs a command given as a list of words.",
    .parameters = "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
                  "\"workdir\":{\"type\":\"string\"},\"timeout_ms\":{\"type\":\"integer\"}},\"required\":[\"command\"]}",
    .flags = TOOL_PARALLEL | TOOL_HIDDEN,
    .start = start_shell,
};
