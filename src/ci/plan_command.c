/* ci/plan_command.c: a job of the plan as a person would type it: variables, then each step's commands. */
#include "ci/plan_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "ci/gitlab.h"
#include "ci/template.h"

#include <stdlib.h>
#include <string.h>

const struct ci_variable *ci_fixed_environment(void)
{
    static const struct ci_variable fixed[] = {
        {"CI", "true"},
        {"TZ", "UTC"},
        {"LANG", "C.UTF-8"},
        {"LC_ALL", "C.UTF-8"},
        {"TERM", "dumb"},
        {"SOURCE_DATE_EPOCH", "1577836800"}, /* 2020-01-01 */
        {"PYTHONHASHSEED", "0"},
        {"CI_SEED", "1"},
        /* As many as GitHub's runners have, whatever this machine has; nproc heeds OMP_NUM_THREADS. */
        {"OMP_NUM_THREADS", "4"},
        {"CARGO_BUILD_JOBS", "4"},
        {"RUST_TEST_THREADS", "4"},
        {"RAYON_NUM_THREADS", "4"},
        {"GOMAXPROCS", "4"},
        {"MESON_TESTTHREADS", "4"},
        {"PYTEST_XDIST_AUTO_NUM_WORKERS", "4"},
        {NULL, NULL},
    };

    return fixed;
}

static void append_quoted(struct buf *b, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,";

    if (*text != '\0' && text[strspn(text, plain)] == '\0') {
        buf_puts(b, text);
        return;
    }
    buf_putc(b, '\'');
    for (; *text != '\0'; text++)
        buf_puts(b, *text == '\'' ? "'\\''" : (char[]){*text, '\0'});
    buf_putc(b, '\'');
}

static void append_export(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, "export %s=", name);
    append_quoted(b, value);
    buf_putc(b, '\n');
}

/* Adds NODE's values to ENV and, where OUT is given, prints them. */
static void add_values(const struct yaml_node *node, const struct expr_scope *scope, json_t *env,
                       struct buf *out)
{
    for (size_t i = 0; node != NULL && node->kind == YAML_MAPPING && i + 1 < node->len; i += 2) {
        const char *text = yaml_text(node->items[i + 1]);
        char *value = text != NULL ? template_expand_known(text, scope) : xstrdup("");
        json_t *json = json_string(value);

        json_object_set_new(env, node->items[i]->text, json != NULL ? json : json_string(""));
        if (out != NULL)
            append_export(out, node->items[i]->text, value);
        free(value);
    }
}

/* What is known of the contexts before the run, with the tree at the plan's root. */
static json_t *known_contexts(const struct ci_plan *plan, const struct plan_job *pj)
{
    json_t *contexts = plan_job_contexts(plan, pj->workflow, pj->job->key, pj->leg, NULL, pj->inputs);

    json_object_set_new(json_object_get(contexts, "github"), "workspace", json_string(plan->root));
    json_object_set_new(json_object_get(contexts, "runner"), "temp", json_string("/tmp"));
    json_object_set_new(contexts, "env", json_object());
    json_object_set_new(contexts, "secrets", json_object()); /* never printed */
    return contexts;
}

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Does some command of the job read the variable? */
static bool mentions(const struct plan_job *pj, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < pj->job->step_count; i++) {
        const char *run = pj->job->steps[i].satisfied_by == NULL ? pj->job->steps[i].run : NULL;
        for (const char *p = run; p != NULL && (p = strstr(p, name)) != NULL; p += n) {
            if ((p == run || !is_word(p[-1])) && !is_word(p[n]))
                return true;
        }
    }
    return false;
}

static void gitlab_exports(const struct ci_plan *plan, const struct plan_job *pj, struct buf *out)
{
    json_t *raw = yaml_to_json_texts(pj->job->env), *resolved, *value;
    const char *key;

    json_object_set_new(raw, "CI_PROJECT_DIR", json_string(plan->root));
    json_object_foreach(pj->leg, key, value) json_object_set(raw, key, value);
    resolved = gitlab_resolve_variables(raw);
    json_object_foreach(resolved, key, value)
    {
        bool is_predefined =
            strncmp(key, "CI_", 3) == 0 || strncmp(key, "GITLAB_", 7) == 0 || strcmp(key, "CI") == 0;
        if (!is_predefined || mentions(pj, key))
            append_export(out, key, json_string_value(value));
    }
    json_decref(resolved);
    json_decref(raw);
}

/* GITHUB_... that some step reads; a file of its own for those that name one. */
static void github_exports(const struct plan_job *pj, const json_t *contexts, struct buf *out)
{
    static const char *const files[] = {"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE",
                                        "GITHUB_STEP_SUMMARY"};
    const char *key;
    json_t *value;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (mentions(pj, files[i]))
            buf_printf(out, "export %s=$(mktemp)\n", files[i]);
    }
    json_object_foreach(json_object_get(contexts, "github"), key, value)
    {
        char *name = xasprintf("GITHUB_%s", key);
        for (char *p = name; *p != '\0'; p++)
            *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
        if (json_is_string(value) && mentions(pj, name))
            append_export(out, name, json_string_value(value));
        free(name);
    }
    if (mentions(pj, "RUNNER_TEMP"))
        append_export(out, "RUNNER_TEMP", "/tmp");
    if (mentions(pj, "RUNNER_OS"))
        append_export(out, "RUNNER_OS", "Linux");
}

void ci_plan_exports(const struct ci_plan *plan, size_t index, struct buf *out)
{
    const struct plan_job *pj = plan->jobs.items[index];
    struct scope_state state = {0};
    struct expr_scope scope;
    json_t *contexts;

    if (pj->workflow->is_gitlab) {
        gitlab_exports(plan, pj, out);
        return;
    }
    if (pj->workflow->is_literal)
        return;
    contexts = known_contexts(plan, pj);
    scope = scope_make(contexts, &state);
    github_exports(pj, contexts, out);
    add_values(pj->workflow->env, &scope, json_object_get(contexts, "env"), out);
    add_values(pj->job->env, &scope, json_object_get(contexts, "env"), out);
    json_decref(contexts);
}

static const char *default_text(const struct plan_job *pj, const char *own, const char *key)
{
    const char *text = own != NULL ? own : yaml_get_text(yaml_get(pj->job->defaults, "run"), key);

    return text != NULL ? text : yaml_get_text(yaml_get(pj->workflow->defaults, "run"), key);
}

/* The script as input of its interpreter, when that is no Bourne shell. */
static void append_script(struct buf *out, const char *shell, const char *script)
{
    size_t n = shell != NULL ? strcspn(shell, " ") : 0;
    bool is_shell = n == 0 || strncmp(shell, "bash", n) == 0 || strncmp(shell, "sh", n) == 0;
    size_t length = strlen(script);

    if (is_shell) {
        buf_puts(out, script);
    } else {
        const char *hole = strstr(shell, "{0}");
        if (hole != NULL)
            buf_printf(out, "%.*s/dev/stdin%s", (int)(hole - shell), shell, hole + 3);
        else
            buf_printf(out, "%s /dev/stdin", strcmp(shell, "python") == 0 ? "python3" : shell);
        buf_printf(out, " <<'END_OF_STEP'\n%s%sEND_OF_STEP", script,
                   length > 0 && script[length - 1] != '\n' ? "\n" : "");
    }
    while (out->len > 0 && out->data[out->len - 1] == '\n')
        buf_truncate(out, out->len - 1);
    buf_putc(out, '\n');
}

void ci_plan_script(const struct ci_plan *plan, size_t job, size_t index, struct buf *out)
{
    const struct plan_job *pj = plan->jobs.items[job];
    const struct workflow_step *step = &pj->job->steps[index];
    const char *command = pj->pub.steps[index].command;
    struct scope_state state = {0};
    struct expr_scope scope;
    json_t *contexts, *env;
    const char *folder, *shell;
    char *script, *own_shell;
    bool is_inner;

    if (command == NULL || pj->pub.steps[index].kind != CI_STEP_RUN)
        return;
    if (pj->workflow->is_literal) {
        append_script(out, NULL, command);
        return;
    }
    contexts = known_contexts(plan, pj);
    scope = scope_make(contexts, &state);
    env = json_object_get(contexts, "env");
    add_values(pj->workflow->env, &scope, env, NULL);
    add_values(pj->job->env, &scope, env, NULL);
    folder = default_text(pj, step->working_directory, "working-directory");
    shell = default_text(pj, step->shell, "shell");
    is_inner = folder != NULL || (step->env != NULL && step->env->kind == YAML_MAPPING && step->env->len > 0);
    if (is_inner)
        buf_puts(out, "(\n");
    if (folder != NULL) {
        char *expanded = template_expand_known(folder, &scope);
        buf_puts(out, "cd ");
        append_quoted(out, expanded);
        buf_putc(out, '\n');
        free(expanded);
    }
    add_values(step->env, &scope, env, is_inner ? out : NULL);
    script = template_expand_known(command, &scope);
    own_shell = shell != NULL ? template_expand_known(shell, &scope) : NULL;
    append_script(out, own_shell, script);
    if (is_inner)
        buf_puts(out, ")\n");
    free(script);
    free(own_shell);
    json_decref(contexts);
}
