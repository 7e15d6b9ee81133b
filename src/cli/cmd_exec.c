/* cli/cmd_exec.c: `cadre exec`: one thread, no team. With --json it prints the event types of `codex exec
 * --json`. */
#include "cli/command.h"

#include "agent/agent_tree.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/redact.h"
#include "cli/main_session.h"
#include "cli/prompt_history.h"
#include "store/session_dir.h"
#include "ui/narrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROMPT_MAX_BYTES ((size_t)4 << 20)

static const struct option_spec exec_options[] = {
    {"json", 0, NULL, "print events as JSON lines, as `codex exec --json` does", false},
    {"role", 0, "ROLE", "work as this role (default: default)", false},
    {"sandbox", 's', "MODE", "read-only, workspace-write or danger-full-access", false},
    {"output-last-message", 'o', "FILE", "write the last message to FILE", false},
    {"output-schema", 0, "FILE", "JSON schema that the last message has to follow", false},
    {"ephemeral", 0, NULL, "keep nothing of the session (it cannot be resumed)", false},
    {"last", 0, NULL, "with resume: the session of this folder that was used last", false},
    {0},
};

struct output {
    bool as_json;
    bool quiet;
    struct agent_tree *tree; /* NULL while it is being opened */
};

static void on_event(void *data, json_t *event)
{
    const struct output *out = data;
    bool is_main = main_session_is_main(out->tree, event);
    struct buf line = BUF_INIT;

    if (!out->as_json) {
        if (!out->quiet)
            narrate_event(stderr, out->tree, event);
        return;
    }
    if (!is_main) /* as Codex: what other threads do stands in their rollouts */
        return;
    json_append_value(&line, event);
    buf_putc(&line, '\n');
    (void)fwrite(line.data, 1, line.len, stdout);
    (void)fflush(stdout);
    buf_free(&line);
}

static char *read_prompt(const struct str_list *words, struct error *err)
{
    struct buf text = BUF_INIT;
    char chunk[4096];
    size_t n;

    if (words->len != 1 || strcmp(words->items[0], "-") != 0)
        return str_list_join(words, " ");
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0 && text.len < PROMPT_MAX_BYTES)
        buf_append(&text, chunk, n);
    if (text.len == 0) {
        error_set(err, ERROR_USAGE, "standard input holds no prompt");
        return NULL;
    }
    return buf_take(&text);
}

/* `exec resume ID PROMPT` or `exec resume --last PROMPT`: what is left is the prompt. */
static int take_resume(const struct cli_args *args, struct str_list *words, const char *cwd, struct session_head *head,
                       bool *resumes, struct error *err)
{
    bool last = cli_flag(args, "last");

    str_list_copy(words, &args->positionals);
    *resumes = words->len > 0 && strcmp(words->items[0], "resume") == 0;
    if (last && !*resumes)
        return error_set(err, ERROR_USAGE, "--last belongs to `cadre exec resume`");
    if (!*resumes)
        return 0;
    str_list_remove(words, 0);
    if (words->len < (last ? 1 : 2)) {
        error_set(err, ERROR_USAGE, "which session, and what is it to do?");
        return error_hint(err, "cadre exec resume ID PROMPT, or cadre exec resume --last PROMPT");
    }
    if (session_dir_find(last ? NULL : words->items[0], cwd, head, err) < 0)
        return -1;
    if (!last)
        str_list_remove(words, 0);
    return 0;
}

static int run_exec(struct cli_context *ctx, const struct cli_args *args)
{
    struct error err = {0};
    struct cli_context with_mode = *ctx;
    struct output out = {.as_json = cli_flag(args, "json"), .quiet = ctx->quiet};
    const char *file = cli_option(args, "output-last-message");
    const char *schema_file = cli_option(args, "output-schema");
    struct main_session_options options = {.ctx = &with_mode,
                                           .role = cli_option(args, "role"),
                                           .is_ephemeral = cli_flag(args, "ephemeral"),
                                           .on_event = on_event,
                                           .data = &out};
    struct agent_answer answer = {0};
    struct main_session *session = NULL;
    struct session_head head = {0};
    struct str_list words = {0};
    struct buf schema = BUF_INIT;
    char *cwd = path_current_directory();
    char *prompt = NULL;
    bool resumes = false;
    char *clean;
    int rc = -1;

    with_mode.overrides = (struct str_list){0};
    str_list_copy(&with_mode.overrides, &ctx->overrides);
    if (cli_option(args, "sandbox") != NULL)
        str_list_take(&with_mode.overrides, xasprintf("sandbox_mode=\"%s\"", cli_option(args, "sandbox")));
    if (take_resume(args, &words, cwd, &head, &resumes, &err) < 0 || (prompt = read_prompt(&words, &err)) == NULL)
        goto out;
    if (schema_file != NULL) {
        if (file_read(schema_file, &schema, PROMPT_MAX_BYTES, &err) < 0)
            goto out;
        options.output_schema = schema.data;
    }
    options.resumed = resumes ? &head : NULL;
    session = main_session_open(&options, &err);
    if (session == NULL)
        goto out;
    out.tree = main_session_tree(session);
    prompt_history_add(main_session_config(session), main_session_id(session), prompt);
    if (agent_tree_ask(out.tree, prompt, true, &answer, &err) < 0)
        goto out;
    clean = redact_text(answer.message, strlen(answer.message), REDACT_KNOWN, NULL);
    if (clean != NULL) {
        free(answer.message);
        answer.message = clean;
    }
    if (!out.as_json)
        narrate_text(stdout, "", answer.message);
    if (file != NULL && file_write(file, answer.message, strlen(answer.message), 0644, &err) < 0)
        goto out;
    rc = 0;
out:
    agent_answer_finish(&answer);
    main_session_close(session);
    session_head_finish(&head);
    str_list_finish(&words);
    str_list_finish(&with_mode.overrides);
    buf_free(&schema);
    free(prompt);
    free(cwd);
    return rc < 0 ? cli_fail(&err) : EXIT_DONE;
}

const struct command command_exec = {
    .name = "exec",
    .summary = "one agent, one prompt, no team",
    .usage = "[OPTIONS] [resume ID|--last] PROMPT",
    .details = "The last message goes to standard output, everything else to standard error. PROMPT `-` reads\n"
               "standard input. The agent may spawn others (docs/agents.md); it ends when all of them have ended.\n"
               "`resume` goes on with an earlier session: its id is the thread_id of `thread.started`.",
    .example = "cadre exec \"explain src/main.c\"\ncadre exec --json --role explorer \"where are dates parsed?\"\n"
               "cadre exec resume --last \"and now the tests\"",
    .options = exec_options,
    .min_positionals = 1,
    .max_positionals = -1,
    .run = run_exec,
};
