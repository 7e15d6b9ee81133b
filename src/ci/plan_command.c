/* ci/plan_command.c: a job of the plan as a person would type it: variables, then each step's commands. */
#include "ci/plan_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
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
    for (;;) {
        size_t n = strcspn(text, "'");

        buf_append(b, text, n);
        if (text[n] == '\0')
            break;
        buf_puts(b, "'\\''");
        text += n + 1;
    }
    buf_putc(b, '\'');
}

static void append_export(struct buf *b, const char *name, const char *value)
{
    buf_puts(b, "export ");
    buf_puts(b, name);
    buf_putc(b, '=');
    append_quoted(b, value);
    buf_putc(b, '\n');
}

struct ci_commands {
    const struct ci_plan *plan;
    struct template_cache *expressions;
    const struct plan_job *job; /* that what follows is of */
    struct scope_state state;
    json_t *contexts;  /* what is known before the run */
    json_t *env;       /* its `env`: that of the workflow and of the job */
    struct buf values; /* the same as exports */
    const struct workflow_job *named_by;
    struct map named; /* GITHUB_... and RUNNER_... of the commands of named_by */
};

struct ci_commands *ci_commands_create(const struct ci_plan *plan)
{
    struct ci_commands *c = xcalloc(1, sizeof *c);

    c->plan = plan;
    c->expressions = template_cache_create();
    return c;
}

void ci_commands_destroy(struct ci_commands *c)
{
    if (c == NULL)
        return;
    template_cache_destroy(c->expressions);
    json_decref(c->contexts);
    buf_free(&c->values);
    map_finish(&c->named);
    free(c);
}

/* Adds NODE's values to ENV and, where OUT is given, prints them. */
static void add_values(struct ci_commands *c, const struct yaml_node *node, const struct expr_scope *scope,
                       json_t *env, struct buf *out)
{
    for (size_t i = 0; node != NULL && node->kind == YAML_MAPPING && i + 1 < node->len; i += 2) {
        const char *text = yaml_text(node->items[i + 1]);
        char *value = text != NULL ? template_expand_known(text, scope, c->expressions) : xstrdup("");
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

/* The words GITHUB_... and RUNNER_... of the job's commands. */
static void find_named(const struct workflow_job *job, struct map *names)
{
    static const char *const prefixes[] = {"GITHUB_", "RUNNER_"};

    for (size_t i = 0; i < job->step_count; i++) {
        const char *run = job->steps[i].satisfied_by == NULL ? job->steps[i].run : NULL;

        for (size_t k = 0; run != NULL && k < sizeof prefixes / sizeof *prefixes; k++) {
            for (const char *p = strstr(run, prefixes[k]); p != NULL; p = strstr(p, prefixes[k])) {
                const char *start = p;
                char *word;

                while (is_word(*p))
                    p++;
                if (start > run && is_word(start[-1]))
                    continue;
                word = xstrndup(start, (size_t)(p - start));
                map_set(names, word, NULL);
                free(word);
            }
        }
    }
}

/* GITHUB_... that some step reads; a file of its own for those that name one. */
static void github_exports(struct ci_commands *c, struct buf *out)
{
    static const char *const files[] = {"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE",
                                        "GITHUB_STEP_SUMMARY"};
    const char *key;
    json_t *value;

    if (c->named_by != c->job->job) {
        map_finish(&c->named);
        c->named_by = c->job->job;
        find_named(c->named_by, &c->named);
    }
    if (c->named.len == 0)
        return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (map_has(&c->named, files[i]))
            buf_printf(out, "export %s=$(mktemp)\n", files[i]);
    }
    json_object_foreach(json_object_get(c->contexts, "github"), key, value)
    {
        char *name = xasprintf("GITHUB_%s", key);
        for (char *p = name; *p != '\0'; p++)
            *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
        if (json_is_string(value) && map_has(&c->named, name))
            append_export(out, name, json_string_value(value));
        free(name);
    }
    if (map_has(&c->named, "RUNNER_TEMP"))
        append_export(out, "RUNNER_TEMP", "/tmp");
    if (map_has(&c->named, "RUNNER_OS"))
        append_export(out, "RUNNER_OS", "Linux");
}

/* Legs of a matrix and the steps of a job have most in common, so what a job's steps see is worked out once. */
static struct expr_scope open_job(struct ci_commands *c, const struct plan_job *pj)
{
    struct expr_scope scope;

    if (c->job == pj)
        return scope_make(c->contexts, &c->state);
    json_decref(c->contexts);
    buf_clear(&c->values);
    c->job = pj;
    c->contexts = known_contexts(c->plan, pj);
    c->env = json_object_get(c->contexts, "env");
    scope = scope_make(c->contexts, &c->state);
    add_values(c, pj->workflow->env, &scope, c->env, &c->values);
    add_values(c, pj->job->env, &scope, c->env, &c->values);
    return scope;
}

void ci_commands_exports(struct ci_commands *c, size_t index, struct buf *out)
{
    const struct plan_job *pj = c->plan->jobs.items[index];

    if (pj->workflow->is_gitlab) {
        gitlab_exports(c->plan, pj, out);
    } else if (!pj->workflow->is_literal) {
        (void)open_job(c, pj);
        github_exports(c, out);
        buf_append(out, buf_cstr(&c->values), c->values.len);
    }
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

void ci_commands_script(struct ci_commands *c, size_t job, size_t index, struct buf *out)
{
    const struct plan_job *pj = c->plan->jobs.items[job];
    const struct workflow_step *step = &pj->job->steps[index];
    const char *command = pj->pub.steps[index].command;
    struct expr_scope scope;
    const char *folder, *shell;
    char *script, *own_shell;
    bool has_env = step->env != NULL && step->env->kind == YAML_MAPPING && step->env->len > 0;

    if (command == NULL || pj->pub.steps[index].kind != CI_STEP_RUN)
        return;
    if (pj->workflow->is_literal) {
        append_script(out, NULL, command);
        return;
    }
    scope = open_job(c, pj);
    folder = default_text(pj, step->working_directory, "working-directory");
    shell = default_text(pj, step->shell, "shell");
    if (folder != NULL || has_env)
        buf_puts(out, "(\n");
    if (folder != NULL) {
        char *expanded = template_expand_known(folder, &scope, c->expressions);
        buf_puts(out, "cd ");
        append_quoted(out, expanded);
        buf_putc(out, '\n');
        free(expanded);
    }
    if (has_env) { /* for this step alone */
        json_t *own = json_copy(c->env);
        json_incref(c->env);
        json_object_set_new(c->contexts, "env", own);
        add_values(c, step->env, &scope, own, out);
    }
    script = template_expand_known(command, &scope, c->expressions);
    own_shell = shell != NULL ? template_expand_known(shell, &scope, c->expressions) : NULL;
    append_script(out, own_shell, script);
    if (folder != NULL || has_env)
        buf_puts(out, ")\n");
    if (has_env)
        json_object_set_new(c->contexts, "env", c->env);
    free(script);
    free(own_shell);
}

static bool is_plain_checkout(const struct workflow_step *step)
{
    return step->uses != NULL && strncmp(step->uses, "actions/checkout@", 17) == 0 && step->with == NULL && step->condition == NULL;
}

const char *ci_plan_only_command(const struct ci_plan *plan, const char *job_id)
{
    const struct plan_job *job = NULL;
    const char *command = NULL;

    for (size_t i = 0; i < plan->jobs.len && job == NULL; i++)
        if (strcmp(((const struct plan_job *)plan->jobs.items[i])->pub.id, job_id) == 0)
            job = plan->jobs.items[i];
    if (job == NULL || job->starts_empty || job->call != NULL || job->leg != NULL || job->pub.is_dynamic || job->workflow->is_gitlab || job->workflow->env != NULL ||
        job->workflow->defaults != NULL || job->job->env != NULL || job->job->defaults != NULL || job->job->container != NULL ||
        job->job->services != NULL || job->job->strategy != NULL || job->job->continue_on_error != NULL || job->job->needs.len > 0)
        return NULL;
    for (size_t i = 0; i < job->job->step_count; i++) {
        const struct workflow_step *step = &job->job->steps[i];

        if (is_plain_checkout(step))
            continue;
        if (command != NULL || step->run == NULL || step->condition != NULL || step->shell != NULL || step->working_directory != NULL ||
            step->env != NULL || step->continue_on_error != NULL || step->is_background)
            return NULL;
        command = step->run;
    }
    return command;
}
