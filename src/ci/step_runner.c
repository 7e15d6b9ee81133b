/* ci/step_runner.c: builds argv and environment of a step's command, runs it, reads its files. */
#include "ci/step_runner.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "base/redact.h"
#include "ci/container.h"
#include "ci/step_files.h"
#include "io/fiber.h"
#include "io/process.h"

#include <stdlib.h>
#include <string.h>

#define STEP_FILE_MAX_BYTES ((size_t)1 << 20)
#define OUTPUT_MAX_BYTES    ((size_t)16 << 20)

extern char **environ;

/* Variables of the caller that a step must not see: secrets, and what belongs to another run or tool. */
static bool is_withheld(const char *entry)
{
    static const char *const prefixes[] = {"GITHUB_", "RUNNER_", "ACTIONS_", "INPUT_", "CADRE_", "CODEX_",
                                           "OPENAI_", "ANTHROPIC_", "GIT_", "MAKEFLAGS=", "MAKELEVEL=",
                                           "MFLAGS=", "BASH_ENV=", "ENV=", "CI="};
    static const char *const parts[] = {"TOKEN", "SECRET", "PASSWORD", "PASSWD", "_KEY", "CREDENTIAL"};
    size_t n = strcspn(entry, "=");

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (strncmp(entry, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (memmem(entry, n, parts[i], strlen(parts[i])) != NULL)
            return true;
    }
    return false;
}

static void set(json_t *env, const char *key, const char *value)
{
    json_t *text = json_string(value != NULL ? value : "");

    json_object_set_new(env, key, text != NULL ? text : json_string(""));
}

static void overlay(json_t *env, const json_t *extra)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)extra, key, value) {
        struct expr_value v = expr_from_json(value);
        char *text = expr_to_string(&v);
        set(env, key, text);
        free(text);
        expr_value_finish(&v);
    }
}

/* GITHUB_SHA and the like from the github context. */
static void github_variables(const struct job_runner *r, json_t *env)
{
    static const char *const names[] = {
        "actor", "actor_id", "api_url", "base_ref", "event_name", "graphql_url", "head_ref", "job", "ref",
        "ref_name", "ref_protected", "ref_type", "repository", "repository_id", "repository_owner",
        "repository_owner_id", "retention_days", "run_attempt", "run_id", "run_number", "server_url", "sha",
        "triggering_actor", "workflow", "workflow_ref", "workspace", "event_path", "action_path"};
    const json_t *github = json_object_get(r->contexts, "github");

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct expr_value v = expr_from_json(json_object_get(github, names[i]));
        char *text = expr_to_string(&v);
        char name[64] = "GITHUB_";
        size_t n = strlen(name);
        for (const char *p = names[i]; *p != '\0'; p++)
            name[n++] = *p == '_' ? '_' : (char)(*p - 'a' + 'A');
        name[n] = '\0';
        set(env, name, text);
        free(text);
        expr_value_finish(&v);
    }
}

static json_t *build_environment(const struct job_runner *r, const struct step_command *c, const char *files)
{
    static const char *const file_variables[][2] = {{"GITHUB_ENV", "env"},       {"GITHUB_OUTPUT", "output"},
                                                    {"GITHUB_PATH", "path"},     {"GITHUB_STATE", "state"},
                                                    {"GITHUB_STEP_SUMMARY", "summary"}};
    json_t *env = json_object();
    struct buf path = BUF_INIT;
    char *temp = path_join(r->scratch_dir, "temp"), *tools = path_join(r->scratch_dir, "tools");
    const char *old_path;

    for (char **e = environ; *e != NULL; e++) {
        char *key = xstrndup(*e, strcspn(*e, "="));
        if (!is_withheld(*e))
            set(env, key, *e + strlen(key) + 1);
        free(key);
    }
    /* The same everywhere: time, locale, parallelism, seeds. */
    for (const struct ci_variable *v = ci_fixed_environment(); v->name != NULL; v++)
        set(env, v->name, v->value);
    if (!r->job->workflow->is_literal) {
        set(env, "GITHUB_ACTIONS", "true");
        github_variables(r, env);
        set(env, "RUNNER_OS", "Linux");
        set(env, "RUNNER_ARCH", json_string_value(json_object_get(json_object_get(r->contexts, "runner"), "arch")));
        set(env, "RUNNER_NAME", "cadre");
        set(env, "RUNNER_ENVIRONMENT", "self-hosted");
        set(env, "RUNNER_TEMP", temp);
        set(env, "RUNNER_TOOL_CACHE", tools);
        set(env, "ImageOS", "linux");
    }
    overlay(env, r->env);
    overlay(env, c->env);
    for (size_t i = 0; i < sizeof file_variables / sizeof *file_variables; i++) {
        char *file = path_join(files, file_variables[i][1]);
        set(env, file_variables[i][0], file);
        free(file);
    }
    for (size_t i = 0; r->options->env != NULL && i < r->options->env->len; i++) {
        const char *e = r->options->env->items[i];
        char *key = xstrndup(e, strcspn(e, "="));
        set(env, key, e[strlen(key)] == '=' ? e + strlen(key) + 1 : "");
        free(key);
    }
    for (size_t i = r->path.len; i > 0; i--)
        buf_printf(&path, "%s:", r->path.items[i - 1]);
    old_path = json_string_value(json_object_get(env, "PATH"));
    buf_puts(&path, old_path != NULL ? old_path : "/usr/local/bin:/usr/bin:/bin");
    set(env, "PATH", buf_cstr(&path));
    buf_free(&path);
    free(temp);
    free(tools);
    return env;
}

/* The words that start SHELL on FILE. "{0}" stands for the file. */
static void shell_argv(const char *shell, const char *file, struct str_list *argv)
{
    static const struct {
        const char *name, *template;
    } shells[] = {
        {"", "bash -e {0}"},
        {"bash", "bash --noprofile --norc -eo pipefail {0}"},
        {"sh", "sh -e {0}"},
        {"python", "python3 {0}"},
        {"pwsh", "pwsh -NoLogo -NoProfile -NonInteractive -File {0}"},
        {"node", "node {0}"},
    };
    const char *template = shell != NULL ? shell : "";
    struct str_list words = {0};

    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(template, shells[i].name) == 0) {
            template = shells[i].template;
            break;
        }
    }
    str_split(&words, template, ' ');
    for (size_t i = 0; i < words.len; i++) {
        char *hole = strstr(words.items[i], "{0}");
        if (hole != NULL)
            str_list_take(argv, xasprintf("%.*s%s%s", (int)(hole - words.items[i]), words.items[i], file, hole + 3));
        else if (*words.items[i] != '\0')
            str_list_add(argv, words.items[i]);
    }
    str_list_finish(&words);
}

static void read_step_file(const char *folder, const char *name, struct buf *b)
{
    char *path = path_join(folder, name);
    struct error err = {0};

    buf_clear(b);
    if (file_read(path, b, STEP_FILE_MAX_BYTES, &err) < 0)
        buf_clear(b);
    free(path);
}

/* Takes over what the step wrote. */
static int collect(struct job_runner *r, const struct step_command *c, const char *files,
                   struct step_outcome *out, const struct buf *raw)
{
    const char *insecure = json_string_value(json_object_get(r->env, "ACTIONS_ALLOW_UNSECURE_COMMANDS"));
    const char *own = json_string_value(json_object_get(c->env, "ACTIONS_ALLOW_UNSECURE_COMMANDS"));
    struct step_effects effects = {.env = r->env, .outputs = c->outputs, .state = c->state, .path = &r->path, .masks = &r->masks,
                                   .annotations = r->annotations,
                                   .allow_insecure = str_eq(insecure, "true") || str_eq(own, "true")};
    struct buf text = BUF_INIT;
    struct error err = {0};
    struct str_list lines = {0};
    int rc = 0;

    step_commands_read(buf_cstr(raw), raw->len, &effects);
    step_output_mask(&out->output, buf_cstr(raw), raw->len, &r->masks);
    redact_buf(&out->output, 0, REDACT_ALL);
    out->is_environment = effects.is_environment;
    out->reason = effects.environment_reason;

    read_step_file(files, "env", &text);
    rc |= step_file_parse(buf_cstr(&text), r->env, &err);
    read_step_file(files, "output", &text);
    rc |= step_file_parse(buf_cstr(&text), c->outputs, &err);
    read_step_file(files, "state", &text);
    if (c->state != NULL)
        rc |= step_file_parse(buf_cstr(&text), c->state, &err);
    read_step_file(files, "path", &text);
    str_split(&lines, buf_cstr(&text), '\n');
    for (size_t i = 0; i < lines.len; i++) {
        char *line = str_trim(lines.items[i]);
        if (*line != '\0')
            str_list_add(&r->path, line);
    }
    str_list_finish(&lines);
    buf_free(&text);
    if (rc < 0)
        buf_printf(&out->output, "::error::%s\n", err.text);
    return rc;
}

static char *prepare_files(struct job_runner *r, const char *script, struct error *err)
{
    static const char *const names[] = {"env", "output", "path", "state", "summary"};
    char *name = xasprintf("step-%u", ++r->counter);
    char *files = path_join(r->scratch_dir, name);
    char *temp = path_join(r->scratch_dir, "temp");
    char *file = path_join(files, "script");
    int rc = 0;

    if (file_make_directories(files, 0755, err) < 0 || file_make_directories(temp, 0755, err) < 0 ||
        file_write(file, script, strlen(script), 0755, err) < 0)
        rc = -1;
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof *names; i++) {
        free(file);
        file = path_join(files, names[i]);
        rc = file_write(file, "", 0, 0644, err);
    }
    free(file);
    free(temp);
    free(name);
    if (rc < 0)
        FREE_NULL(files);
    return files;
}

static int64_t timeout_of(const struct job_runner *r, const struct step_command *c)
{
    int64_t left = r->deadline_ms - clock_monotonic_ms();

    if (left < 1)
        left = 1;
    return c->timeout_ms > 0 && c->timeout_ms < left ? c->timeout_ms : left;
}

int step_command_run(struct job_runner *r, const struct step_command *c, struct step_outcome *out,
                     struct error *err)
{
    struct str_list plain = {0}, wrapped = {0}, env_list = {0};
    struct process_result result = {0};
    struct process_run_options options = {.cwd = c->cwd, .merge_stderr = true, .max_output_bytes = OUTPUT_MAX_BYTES};
    char *files = prepare_files(r, c->script, err), *script = NULL;
    json_t *env = NULL, *value;
    const char *key;
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (files == NULL)
        return -1;
    script = path_join(files, "script");
    shell_argv(c->shell, script, &plain);
    if (r->containers.job != NULL && !c->is_on_machine) {
        struct str_list inside = plain;
        plain = (struct str_list){0};
        containers_exec(r, c, &inside, &plain);
        str_list_finish(&inside);
    }
    env = build_environment(r, c, files);
    json_object_foreach(env, key, value)
        str_list_take(&env_list, xasprintf("%s=%s", key, json_string_value(value)));
    if (r->options->wrap != NULL) {
        struct ci_command command = {.job_id = r->result->id, .step_name = c->name, .cwd = c->cwd,
                                     .tree_dir = r->tree_dir,
                                     .scratch_dir = c->writable != NULL ? c->writable : r->scratch_dir,
                                     .argv = &plain, .is_dependency = c->is_dependency,
                                     .needs_network = r->containers.job != NULL || plan_needs_network(c->script),
                                     .needs_privileges = strstr(c->script, "sudo ") != NULL};
        if (r->options->wrap(r->options->data, &command, &wrapped, err) < 0)
            goto out;
    } else {
        str_list_copy(&wrapped, &plain);
    }
    options.argv = (const char *const *)wrapped.items;
    options.env = (const char *const *)env_list.items;
    options.timeout_ms = (uint64_t)timeout_of(r, c);
    if (process_run(r->options->loop, &options, &result, err) < 0) {
        if (err->code != ERROR_NOT_FOUND)
            goto out;
        out->is_environment = true;
        out->exit_code = 127;
        out->reason = xstrdup(err->text);
        error_clear(err);
        rc = 0;
        goto out;
    }
    out->exit_code = result.exit.exit_code;
    out->timed_out = result.exit.timed_out;
    if (collect(r, c, files, out, &result.out) < 0 && out->exit_code == 0)
        out->exit_code = 1;
    rc = 0;
out:
    process_result_finish(&result);
    json_decref(env);
    str_list_finish(&plain);
    str_list_finish(&wrapped);
    str_list_finish(&env_list);
    free(script);
    free(files);
    return rc;
}

void step_outcome_finish(struct step_outcome *outcome)
{
    free(outcome->reason);
    buf_free(&outcome->output);
    memset(outcome, 0, sizeof *outcome);
}
