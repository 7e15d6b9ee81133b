/* cli/cmd_exec.c: `cadre exec`: one thread, no team. With --json it prints the event types of `codex exec
 * --json`. */
#include "cli/command.h"

#include "agent/runner.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "cli/prompt_history.h"
#include "cli/settings.h"
#include "config/config.h"
#include "config/role.h"

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
    {0},
};

struct output {
    bool as_json;
    bool quiet;
};

static void print_text(FILE *stream, const char *prefix, const char *text)
{
    struct buf b = BUF_INIT;

    utf8_append_printable(&b, text, strlen(text), true);
    fprintf(stream, "%s%s\n", prefix, buf_cstr(&b));
    buf_free(&b);
}

/* A plain reader sees what the agent does on standard error. */
static void narrate(const json_t *event)
{
    const char *type = json_get_string(event, "type", "");
    const json_t *item = json_object_get(event, "item");
    const char *kind = json_get_string(item, "type", "");

    if (strcmp(type, "item.started") == 0 && strcmp(kind, "command_execution") == 0)
        print_text(stderr, "$ ", json_get_string(item, "command", ""));
    else if (strcmp(type, "item.completed") == 0 && strcmp(kind, "reasoning") == 0)
        print_text(stderr, "· ", json_get_string(item, "text", ""));
    else if (strcmp(type, "error") == 0)
        print_text(stderr, "cadre: ", json_get_string(event, "message", ""));
}

static void on_event(void *data, json_t *event)
{
    const struct output *out = data;
    struct buf line = BUF_INIT;

    if (!out->as_json) {
        if (!out->quiet)
            narrate(event);
        return;
    }
    json_append_value(&line, event);
    buf_putc(&line, '\n');
    (void)fwrite(line.data, 1, line.len, stdout);
    (void)fflush(stdout);
    buf_free(&line);
}

static char *read_prompt(const struct cli_args *args, struct error *err)
{
    struct buf text = BUF_INIT;
    char chunk[4096];
    size_t n;

    if (args->positionals.len != 1 || strcmp(args->positionals.items[0], "-") != 0)
        return str_list_join(&args->positionals, " ");
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0 && text.len < PROMPT_MAX_BYTES)
        buf_append(&text, chunk, n);
    if (text.len == 0) {
        error_set(err, ERROR_USAGE, "standard input holds no prompt");
        return NULL;
    }
    return buf_take(&text);
}

static int run_exec(struct cli_context *ctx, const struct cli_args *args)
{
    struct error err = {0};
    struct cli_context with_mode = *ctx;
    struct output out = {.as_json = cli_flag(args, "json"), .quiet = ctx->quiet};
    struct office_options office_options = {.loop = ctx->loop, .on_event = on_event, .data = &out};
    const char *role = cli_option(args, "role");
    const char *file = cli_option(args, "output-last-message");
    const char *schema_file = cli_option(args, "output-schema");
    struct agent_spec spec = {.role = role == NULL ? "default" : role, .attempt = 1};
    struct agent_answer answer = {0};
    struct agent_session *session = NULL;
    struct role_registry *roles = NULL;
    struct config *config = NULL;
    struct office *office = NULL;
    struct buf schema = BUF_INIT;
    char *prompt = read_prompt(args, &err);
    char *cwd = path_current_directory();
    char *clean;
    int rc = -1;

    with_mode.overrides = (struct str_list){0};
    str_list_copy(&with_mode.overrides, &ctx->overrides);
    if (cli_option(args, "sandbox") != NULL)
        str_list_take(&with_mode.overrides, xasprintf("sandbox_mode=\"%s\"", cli_option(args, "sandbox")));
    if (prompt == NULL)
        goto out;
    if (schema_file != NULL) {
        if (file_read(schema_file, &schema, PROMPT_MAX_BYTES, &err) < 0)
            goto out;
        spec.output_schema = schema.data;
    }
    config = cli_load_config(&with_mode, &err);
    if (config == NULL)
        goto out;
    roles = role_registry_create(config);
    office_options.config = config;
    office_options.roles = roles;
    office = office_create(&office_options, &err);
    if (office == NULL)
        goto out;
    spec.cwd = cwd;
    session = agent_session_open(office, &spec, &err);
    if (session == NULL)
        goto out;
    prompt_history_add(config, agent_session_thread_id(session), prompt);
    if (agent_session_ask(session, prompt, &answer, &err) < 0)
        goto out;
    clean = redact_text(answer.message, strlen(answer.message), REDACT_KNOWN, NULL);
    if (clean != NULL) {
        free(answer.message);
        answer.message = clean;
    }
    if (!out.as_json)
        print_text(stdout, "", answer.message);
    if (file != NULL && file_write(file, answer.message, strlen(answer.message), 0644, &err) < 0)
        goto out;
    rc = 0;
out:
    agent_answer_finish(&answer);
    agent_session_close(session);
    office_destroy(office);
    role_registry_destroy(roles);
    config_destroy(config);
    str_list_finish(&with_mode.overrides);
    buf_free(&schema);
    free(prompt);
    free(cwd);
    return rc < 0 ? cli_fail(&err) : EXIT_DONE;
}

const struct command command_exec = {
    .name = "exec",
    .summary = "one agent, one prompt, no team",
    .usage = "[OPTIONS] PROMPT",
    .details = "The last message goes to standard output, everything else to standard error. PROMPT `-` reads\n"
               "standard input.",
    .example = "cadre exec \"explain src/main.c\"\ncadre exec --json --role explorer \"where are dates parsed?\"",
    .options = exec_options,
    .min_positionals = 1,
    .max_positionals = -1,
    .run = run_exec,
};
