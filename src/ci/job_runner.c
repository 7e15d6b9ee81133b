/* ci/job_runner.c: the steps of a job in order: conditions, commands, actions, outputs. A composite action
 * is a frame of its own with its own `steps` and `inputs`. */
#include "ci/job_runner.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "ci/action_steps.h"
#include "ci/container.h"
#include "ci/excerpt.h"
#include "ci/gitlab.h"
#include "ci/script_action.h"
#include "ci/step_runner.h"
#include "ci/template.h"
#include "io/fiber.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COMPOSITE_DEPTH 10
#define DEFAULT_TIMEOUT_MS  ((int64_t)360 * 60 * 1000)

struct frame {
    const struct workflow_step *steps;
    size_t count;
    json_t *step_results; /* the `steps` context */
    json_t *inputs;       /* of a composite action, or NULL */
    const char *action_path;
    int depth;
};

static int run_frame(struct job_runner *r, struct frame *f, struct error *err);

static bool is_literal(const struct job_runner *r)
{
    return r->job->workflow->is_literal;
}

static struct expr_scope scope_of(struct job_runner *r)
{
    r->state.workspace = r->tree_dir;
    return scope_make(r->contexts, &r->state);
}

/* Text with its expressions filled in; a literal one as it is. */
static char *expand(struct job_runner *r, const char *text, struct error *err)
{
    struct expr_scope scope = scope_of(r);

    return is_literal(r) ? xstrdup(text) : template_expand_text(text, &scope, err);
}

static void refresh_contexts(struct job_runner *r, const struct frame *f, json_t *step_env)
{
    json_t *env = json_copy(r->env), *job = json_object(), *github = json_object_get(r->contexts, "github");

    if (step_env != NULL)
        json_object_update(env, step_env);
    json_object_set_new(r->contexts, "env", env);
    json_object_set(r->contexts, "steps", f->step_results);
    json_object_set_new(job, "status", json_string(r->state.is_cancelled ? "cancelled"
                                                   : r->state.is_failed  ? "failure"
                                                                         : "success"));
    json_object_set_new(r->contexts, "job", job);
    if (f->inputs != NULL)
        json_object_set(r->contexts, "inputs", f->inputs);
    json_object_set_new(github, "action_path", json_string(f->action_path != NULL ? f->action_path : ""));
}

void job_runner_log(struct job_runner *r, const char *text, size_t n)
{
    struct error err = {0};

    if (r->result->log_file != NULL)
        file_append(r->result->log_file, text, n, 0644, &err);
}

static void record(struct frame *f, const struct workflow_step *step, json_t *outputs, const char *outcome,
                   const char *conclusion)
{
    json_t *entry;

    if (step->id == NULL)
        return;
    entry = json_object();
    json_object_set(entry, "outputs", outputs);
    json_object_set_new(entry, "outcome", json_string(outcome));
    json_object_set_new(entry, "conclusion", json_string(conclusion));
    json_object_set_new(f->step_results, step->id, entry);
}

static const char *first_text(const char *a, const char *b, const char *c)
{
    return a != NULL ? a : b != NULL ? b : c;
}

static const char *defaults_text(const struct job_runner *r, const char *key)
{
    return first_text(yaml_get_text(yaml_get(r->job->job->defaults, "run"), key),
                      yaml_get_text(yaml_get(r->job->workflow->defaults, "run"), key), NULL);
}

/* Inputs as INPUT_NAME variables. */
void job_runner_inputs(json_t *env, const json_t *with)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)with, key, value) {
        struct expr_value v = expr_from_json(value);
        char *text = expr_to_string(&v);
        char *name = xasprintf("INPUT_%s", key);
        for (char *p = name; *p != '\0'; p++)
            *p = *p == ' ' || *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        json_object_set_new(env, name, json_string(text));
        free(name);
        free(text);
        expr_value_finish(&v);
    }
}

static char *display_name(struct job_runner *r, const struct workflow_step *step)
{
    struct error err = {0};
    char *name = NULL;

    if (step->name != NULL && *step->name != '\0')
        name = expand(r, step->name, &err);
    if (name == NULL)
        name = step->waits != NULL  ? xstrdup(step->waits)
               : step->uses != NULL ? xstrdup(step->uses)
                                    : xstrndup(step->run, strcspn(step->run, "\n"));
    return name;
}

/* Minutes as text, possibly an expression. 0 when there is none. */
static int64_t minutes_ms(struct job_runner *r, const char *text)
{
    struct error err = {0};
    char *expanded = text != NULL ? expand(r, text, &err) : NULL;
    double minutes = expanded != NULL ? strtod(expanded, NULL) : 0;

    free(expanded);
    return minutes > 0 && minutes < 1e6 ? (int64_t)(minutes * 60000) : 0;
}

static bool expands_true(struct job_runner *r, const char *text)
{
    struct error err = {0};
    char *expanded = text != NULL ? expand(r, text, &err) : NULL;
    bool is_true = expanded != NULL && strcmp(expanded, "true") == 0;

    free(expanded);
    return is_true;
}

void job_runner_blame_environment(struct job_runner *r, const char *reason)
{
    r->result->state = CI_ENVIRONMENT;
    free(r->result->reason);
    r->result->reason = xstrdup(reason);
    r->state.is_failed = true;
}

static void set_failure(struct job_runner *r, const char *name, const struct step_command *c,
                        const struct step_outcome *o, bool is_system_install)
{
    const char *relative = strncmp(c->cwd, r->tree_dir, strlen(r->tree_dir)) == 0 ? c->cwd + strlen(r->tree_dir) : "";
    char *script = xstrdup(c->script);
    struct excerpt excerpt = {0};

    r->state.is_failed = true;
    if (r->result->failing_step != NULL || r->result->state == CI_ENVIRONMENT) {
        free(script);
        return;
    }
    if (o->is_environment || is_system_install || r->lost_step || (o->exit_code == 127 && r->job->job->image != NULL)) {
        char *reason = o->reason != NULL      ? xstrdup(o->reason)
                       : o->exit_code == 127 && r->job->job->image != NULL && !is_system_install && !r->lost_step
                           ? xasprintf("'%s' has a command that is not on this machine; the job is written for the image %s",
                                       name, r->job->job->image)
                       : is_system_install ? xasprintf("'%s' could not install with the system's package manager", name)
                                           : xasprintf("%s; then '%s' failed", r->lost_reason, name);
        job_runner_blame_environment(r, reason);
        free(reason);
    }
    str_trim(script);
    r->result->failing_step = xstrdup(name);
    r->result->exit_code = o->exit_code;
    while (*relative == '/')
        relative++;
    r->result->command = *relative != '\0' ? xasprintf("cd %s && %s", relative, str_trim(script))
                                           : xstrdup(str_trim(script));
    excerpt_read(&excerpt, &(struct excerpt_source){.job = r->result->key, .step = name, .command = r->result->command,
                                                    .exit_code = o->exit_code, .tree_dir = r->tree_dir, .output = buf_cstr(&o->output),
                                                    .output_len = o->output.len, .max_bytes = CI_EXCERPT_MAX});
    r->result->excerpt = excerpt.text;
    r->result->failing_tests = excerpt.tests;
    r->result->fingerprint = excerpt.fingerprint;
    free(script);
}

int job_runner_command(struct job_runner *r, const struct workflow_step *step, const char *name, struct step_command *c,
                       struct error *err)
{
    struct step_outcome o;
    bool is_system = false, passed;
    char *head = xasprintf("== %s\n", name), *tail;

    c->name = name;
    c->timeout_ms = minutes_ms(r, step->timeout_minutes);
    c->is_dependency = plan_is_dependency_step(c->script, &is_system) || step->installs;
    job_runner_log(r, head, strlen(head));
    free(head);
    if (step_command_run(r, c, &o, err) < 0) {
        step_outcome_finish(&o);
        return -1;
    }
    passed = o.exit_code == 0 && !o.is_environment;
    job_runner_log(r, buf_cstr(&o.output), o.output.len);
    tail = xasprintf("== exit code %d%s\n", o.exit_code, o.timed_out ? " (timed out)" : "");
    job_runner_log(r, tail, strlen(tail));
    free(tail);
    r->result->steps_run++;
    if (!passed && !expands_true(r, step->continue_on_error))
        set_failure(r, name, c, &o, is_system);
    step_outcome_finish(&o);
    return passed ? 1 : 0;
}

static int run_script_step(struct job_runner *r, struct frame *f, const struct workflow_step *step,
                           const char *name, json_t *env, json_t *outputs, struct error *err)
{
    const char *folder = first_text(step->working_directory, f->depth == 0 ? defaults_text(r, "working-directory") : NULL, NULL);
    const char *shell = first_text(step->shell, f->depth == 0 ? defaults_text(r, "shell") : NULL, NULL);
    char *script = expand(r, step->run, err), *relative = NULL, *cwd = NULL, *shell_text = NULL;
    int rc = -1;

    if (script == NULL)
        goto out;
    relative = folder != NULL ? expand(r, folder, err) : xstrdup("");
    shell_text = shell != NULL ? expand(r, shell, err) : NULL;
    if (relative == NULL || (shell != NULL && shell_text == NULL))
        goto out;
    cwd = *relative != '\0' ? path_join(r->tree_dir, relative) : xstrdup(r->tree_dir);
    struct step_command c = {.script = script, .shell = shell_text, .cwd = cwd, .env = env, .outputs = outputs};
    if (step->satisfied_by != NULL) { /* a store's own step: not one of the project's */
        c.writable = r->artifact_dir;
        json_object_set_new(env, "CADRE_ARTIFACT_DIR", json_string(r->artifact_dir));
        r->result->steps_run--;
        r->result->steps_satisfied++;
    }
    rc = job_runner_command(r, step, name, &c, err);
out:
    free(script);
    free(relative);
    free(cwd);
    free(shell_text);
    return rc;
}

static int run_remote_action(struct job_runner *r, const struct workflow_step *step, const char *name,
                             const struct step_plan *sp, json_t *with, json_t *env, json_t *outputs, struct error *err)
{
    struct action_step a = {.runner = r, .step = step, .mapping = &sp->action, .name = name, .with = with, .env = env,
                            .outputs = outputs};

    switch (sp->action.kind) {
    case ACTION_SETUP:
        return action_step_setup(&a, err);
    case ACTION_UPLOAD:
    case ACTION_DOWNLOAD:
        return action_step_artifact(&a, sp->action.kind == ACTION_UPLOAD, err);
    case ACTION_CACHE:
        return action_step_cache(&a, err);
    case ACTION_COMMAND: {
        struct step_command c = {.script = sp->action.command, .shell = "sh", .cwd = r->tree_dir, .env = env,
                                 .outputs = outputs};
        job_runner_inputs(env, with);
        return job_runner_command(r, step, name, &c, err);
    }
    default:
        r->result->steps_satisfied++;
        return 1;
    }
}

static json_t *composite_inputs(struct job_runner *r, const struct action *action, json_t *with, struct error *err)
{
    struct expr_scope scope = scope_of(r);
    json_t *inputs = json_object(), *value;
    const char *key;

    for (size_t i = 0; action->inputs != NULL && i + 1 < action->inputs->len; i += 2) {
        const struct yaml_node *fallback = yaml_get(action->inputs->items[i + 1], "default");
        value = fallback != NULL ? template_expand_node(fallback, &scope, action->file, err) : json_string("");
        if (value == NULL) {
            json_decref(inputs);
            return NULL;
        }
        json_object_set_new(inputs, action->inputs->items[i]->text, value);
    }
    json_object_foreach(with, key, value) {
        struct expr_value v = expr_from_json(value);
        char *text = expr_to_string(&v);
        json_object_set_new(inputs, key, json_string(text));
        free(text);
        expr_value_finish(&v);
    }
    return inputs;
}

static int run_composite(struct job_runner *r, struct frame *f, const struct workflow_step *step,
                         const char *name, const struct step_plan *sp, json_t *with, json_t *env,
                         json_t *outputs, struct error *err)
{
    const struct action *action = sp->composite;
    char *folder = path_dirname(action->file), *path = path_join(r->tree_dir, folder);
    json_t *inputs = composite_inputs(r, action, with, err), *saved = json_incref(json_object_get(r->contexts, "inputs"));
    json_t *old_env = json_copy(r->env);
    bool was_failed = r->state.is_failed;
    struct frame inner = {.steps = action->steps, .count = action->step_count, .step_results = json_object(),
                          .inputs = inputs, .action_path = path, .depth = f->depth + 1};
    int rc = -1;

    if (inputs == NULL)
        goto out;
    if (inner.depth > MAX_COMPOSITE_DEPTH) {
        error_set(err, ERROR_LIMIT, "'%s': actions within actions deeper than %d", step->uses, MAX_COMPOSITE_DEPTH);
        goto out;
    }
    if (sp->is_container_action) {
        struct expr_scope scope = scope_of(r);
        json_t *args, *more;

        refresh_contexts(r, &inner, env);
        args = action->args != NULL ? template_expand_node(action->args, &scope, action->file, err) : json_array();
        more = action->env != NULL ? template_expand_node(action->env, &scope, action->file, err) : json_object();
        if (args != NULL && more != NULL) {
            json_object_update_missing(env, more);
            rc = container_action(r, step, name, action, path, inputs, args, env, outputs, err);
        }
        json_decref(args);
        json_decref(more);
    } else if (sp->is_script_action) {
        json_t *state = json_object(), *own = script_action_environment(env, inputs);
        char *script = script_action_command(path, action->main != NULL ? action->main : "index.js");
        /* bash hands on variables that are no names of a shell, dash does not. */
        struct step_command c = {.script = script, .shell = "bash", .cwd = r->tree_dir, .env = own, .outputs = outputs,
                                 .state = state};
        refresh_contexts(r, &inner, env);
        rc = job_runner_command(r, step, name, &c, err);
        script_action_add_post(r, action, name, path, own, state);
        free(script);
        json_decref(state);
        json_decref(own);
    } else {
        json_object_update(r->env, env);
        rc = run_frame(r, &inner, err) < 0 ? -1 : r->state.is_failed && !was_failed ? 0 : 1;
        for (size_t i = 0; rc >= 0 && action->outputs != NULL && i + 1 < action->outputs->len; i += 2) {
            struct expr_scope scope = scope_of(r);
            json_t *value;
            refresh_contexts(r, &inner, NULL);
            value = template_expand_node(yaml_get(action->outputs->items[i + 1], "value"), &scope, action->file, err);
            if (value != NULL)
                json_object_set_new(outputs, action->outputs->items[i]->text, value);
        }
        /* The step's own env does not outlive it; what inner steps exported does. */
        {
            const char *key;
            json_t *value;
            json_object_foreach(env, key, value) {
                if (json_equal(json_object_get(r->env, key), value)) {
                    if (json_object_get(old_env, key) != NULL)
                        json_object_set(r->env, key, json_object_get(old_env, key));
                    else
                        json_object_del(r->env, key);
                }
            }
        }
        if (rc == 0 && expands_true(r, step->continue_on_error)) {
            r->state.is_failed = was_failed;
            FREE_NULL(r->result->failing_step);
        }
    }
out:
    if (saved != NULL)
        json_object_set_new(r->contexts, "inputs", saved);
    json_decref(old_env);
    json_decref(inputs);
    json_decref(inner.step_results);
    free(folder);
    free(path);
    return rc;
}

static void skip_step(struct job_runner *r, const char *name, const struct step_plan *sp)
{
    char *line = xasprintf("%s: %s", name, sp->reason);
    char *log = xasprintf("== %s\n== skipped: %s\n", name, sp->reason);

    str_list_take(&r->result->skipped_steps, line);
    job_runner_log(r, log, strlen(log));
    free(log);
    r->result->steps_skipped++;
    if (sp->is_unknown && !r->lost_step) {
        r->lost_step = true;
        r->lost_reason = xasprintf("step '%s' is not mirrored (%s)", name, sp->reason);
    }
}

void job_runner_fail(struct job_runner *r, const char *name, const char *text)
{
    struct step_outcome o = {.exit_code = 1};
    struct step_command c = {.script = "", .cwd = r->tree_dir};

    buf_puts(&o.output, text);
    set_failure(r, name, &c, &o, false);
    step_outcome_finish(&o);
}

bool job_runner_forgives(struct job_runner *r, const struct workflow_step *step)
{
    return expands_true(r, step->continue_on_error);
}

/* A step that cannot even be evaluated fails the job. */
static int fail_step(struct job_runner *r, const char *name, struct error *err)
{
    struct step_outcome o = {.exit_code = 1};
    struct step_command c = {.script = "", .cwd = r->tree_dir};

    if (err->code == ERROR_CANCELLED)
        return -1;
    buf_puts(&o.output, err->text);
    buf_putc(&o.output, '\n');
    job_runner_log(r, buf_cstr(&o.output), o.output.len);
    set_failure(r, name, &c, &o, false);
    step_outcome_finish(&o);
    error_clear(err);
    return 0;
}

static int run_step(struct job_runner *r, struct frame *f, const struct workflow_step *step, struct error *err)
{
    struct expr_scope scope = scope_of(r);
    const char *file = r->job->workflow->file;
    json_t *env = NULL, *with = NULL, *outputs = json_object();
    const char *raw_shell = first_text(step->shell, f->depth == 0 ? defaults_text(r, "shell") : NULL, NULL);
    char *name, *shell = NULL;
    struct step_plan sp;
    bool wanted = !r->state.is_failed;
    int rc = -1;

    refresh_contexts(r, f, NULL);
    name = display_name(r, step);
    if (!is_literal(r)) {
        env = step->env != NULL && !yaml_is_null(step->env) ? template_expand_node(step->env, &scope, file, err) : json_object();
        if (env == NULL)
            goto evaluated;
        refresh_contexts(r, f, env);
        if (template_condition(step->condition, &scope, &wanted, err) < 0)
            goto evaluated;
    } else {
        env = json_object();
        wanted = step->is_always || (step->is_after_failure ? r->state.is_failed : wanted);
        if (r->job->workflow->is_gitlab)
            json_object_set_new(env, "CI_JOB_STATUS", json_string(r->state.is_failed ? "failed" : "success"));
    }
    if (!wanted) {
        record(f, step, outputs, "skipped", "skipped");
        rc = 1;
        goto out;
    }
    with = step->with != NULL && !yaml_is_null(step->with) ? template_expand_node(step->with, &scope, file, err) : json_object();
    shell = raw_shell != NULL ? expand(r, raw_shell, err) : NULL;
    if (with == NULL || (raw_shell != NULL && shell == NULL))
        goto evaluated;
    plan_step(r->plan, step, shell, r->tree_dir, &sp);
    if (sp.kind == CI_STEP_SKIPPED) {
        skip_step(r, name, &sp);
        record(f, step, outputs, "skipped", "skipped");
        rc = 1;
        goto out;
    }
    if (step->run != NULL)
        rc = run_script_step(r, f, step, name, env, outputs, err);
    else if (sp.is_image)
        rc = container_step(r, step, name, with, env, outputs, err);
    else if (sp.composite != NULL)
        rc = run_composite(r, f, step, name, &sp, with, env, outputs, err);
    else
        rc = run_remote_action(r, step, name, &sp, with, env, outputs, err);
evaluated:
    if (rc < 0)
        rc = fail_step(r, name, err);
    if (rc >= 0) {
        bool is_forgiven = rc == 0 && expands_true(r, step->continue_on_error);
        record(f, step, outputs, rc == 1 ? "success" : "failure", rc == 1 || is_forgiven ? "success" : "failure");
    }
out:
    free(name);
    free(shell);
    json_decref(env);
    json_decref(with);
    json_decref(outputs);
    return rc < 0 ? -1 : 0;
}

static int run_frame(struct job_runner *r, struct frame *f, struct error *err)
{
    for (size_t i = 0; i < f->count; i++) {
        if (run_step(r, f, &f->steps[i], err) < 0)
            return -1;
    }
    return 0;
}

/* Post steps of actions, the last one first. */
static int run_posts(struct job_runner *r, struct frame *f, struct error *err)
{
    static const struct workflow_step none = {0};
    int rc = 0;

    while (rc >= 0 && r->posts.len > 0) {
        struct script_post *post = vec_pop(&r->posts);
        struct expr_scope scope = scope_of(r);
        json_t *outputs = json_object();
        bool wanted = false;

        f->action_path = post->action_path;
        refresh_contexts(r, f, post->env);
        if (template_condition(post->condition != NULL ? post->condition : "always()", &scope, &wanted, err) < 0) {
            rc = fail_step(r, post->name, err);
        } else if (wanted) {
            struct step_command c = {.script = post->script, .shell = "bash", .cwd = r->tree_dir, .env = post->env,
                                     .outputs = outputs};
            rc = job_runner_command(r, &none, post->name, &c, err);
            if (rc < 0)
                rc = fail_step(r, post->name, err);
        }
        json_decref(outputs);
        f->action_path = NULL;
        script_post_destroy(post);
    }
    return rc < 0 ? -1 : 0;
}

/* The variables of a GitLab job, with those that are only known here. */
static void start_gitlab_environment(struct job_runner *r)
{
    json_t *raw = yaml_to_json_texts(r->job->job->env), *value;
    const char *key;

    json_object_set_new(raw, "CI_PROJECT_DIR", json_string(r->tree_dir));
    json_object_set_new(raw, "CI_BUILDS_DIR", json_string(r->tree_dir));
    json_object_set_new(raw, "CI_JOB_NAME", json_string(r->job->pub.name));
    json_object_foreach(r->job->leg, key, value)
        json_object_set(raw, key, value);
    r->env = gitlab_resolve_variables(raw);
    json_decref(raw);
    json_object_set(r->contexts, "env", r->env);
}

/* env of workflow and job; later ones see earlier ones. */
static int start_environment(struct job_runner *r, struct error *err)
{
    const struct yaml_node *nodes[] = {r->job->workflow->env, r->job->job->env};
    struct expr_scope scope = scope_of(r);

    if (r->job->workflow->is_gitlab) {
        start_gitlab_environment(r);
        return 0;
    }
    r->env = json_object();
    for (size_t i = 0; r->options->env != NULL && i < r->options->env->len; i++) {
        const char *entry = r->options->env->items[i], *equals = strchr(entry, '=');
        if (equals != NULL) {
            char *key = xstrndup(entry, (size_t)(equals - entry));
            json_object_set_new(r->env, key, json_string(equals + 1));
            free(key);
        }
    }
    json_object_set(r->contexts, "env", r->env);
    for (size_t i = 0; i < 2; i++) {
        json_t *values;
        if (nodes[i] == NULL || yaml_is_null(nodes[i]))
            continue;
        values = is_literal(r) ? yaml_to_json(nodes[i]) : template_expand_node(nodes[i], &scope, r->job->workflow->file, err);
        if (values == NULL)
            return -1;
        if (json_is_object(values))
            json_object_update(r->env, values);
        json_decref(values);
        json_object_set(r->contexts, "env", r->env);
    }
    return 0;
}

static int write_event(struct job_runner *r, struct error *err)
{
    json_t *github = json_object_get(r->contexts, "github");
    struct buf b = BUF_INIT;
    char *path = path_join(r->scratch_dir, "event.json");
    int rc;

    expr_print_json(&b, json_object_get(github, "event"));
    rc = file_write(path, b.data, b.len, 0644, err);
    json_object_set_new(github, "event_path", json_string(path));
    json_object_set_new(github, "workspace", json_string(r->tree_dir));
    buf_free(&b);
    free(path);
    return rc;
}

/* Secrets never show in what steps print; of one with several lines each line counts. */
static void mask_secrets(struct job_runner *r)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(r->contexts, "secrets"), key, value) {
        struct str_list lines = {0};
        str_split(&lines, json_string_value(value) != NULL ? json_string_value(value) : "", '\n');
        for (size_t i = 0; i < lines.len; i++) {
            char *line = str_trim(lines.items[i]);
            if (*line != '\0')
                str_list_add(&r->masks, line);
        }
        str_list_finish(&lines);
    }
}

int job_runner_run(struct job_runner *r, struct error *err)
{
    struct frame f = {.steps = r->job->job->steps, .count = r->job->job->step_count, .step_results = json_object()};
    struct expr_scope scope = scope_of(r);
    json_t *runner = json_object_get(r->contexts, "runner");
    char *temp = path_join(r->scratch_dir, "temp");
    int64_t timeout = r->options->timeout_ms > 0 ? r->options->timeout_ms : minutes_ms(r, r->job->job->timeout_minutes);
    int rc = -1;

    json_object_set_new(runner, "temp", json_string(temp));
    json_object_set_new(runner, "tool_cache", json_string(temp));
    r->deadline_ms = clock_monotonic_ms() + (timeout > 0 ? timeout : DEFAULT_TIMEOUT_MS);
    r->result->state = CI_PASSED;
    mask_secrets(r);
    if (r->job->job->image != NULL) {
        struct step_plan image = {.reason = "no container engine is used for it; the commands run on this machine"};
        char *name = xasprintf("image %s", r->job->job->image);
        skip_step(r, name, &image);
        free(name);
    }
    if (write_event(r, err) < 0)
        goto out;
    if (containers_start(r, err) < 0) {
        if (err->code == ERROR_CANCELLED)
            goto out;
        job_runner_blame_environment(r, err->text);
        error_clear(err);
    } else if (start_environment(r, err) < 0) {
        if (fail_step(r, "env", err) < 0)
            goto out;
    } else if (run_frame(r, &f, err) < 0 || action_steps_save_caches(r, err) < 0 || run_posts(r, &f, err) < 0) {
        goto out;
    }
    refresh_contexts(r, &f, NULL);
    if (r->job->job->outputs != NULL && !is_literal(r)) {
        struct error ignored = {0};
        r->outputs = template_expand_node(r->job->job->outputs, &scope, r->job->workflow->file, &ignored);
    }
    if (r->state.is_failed && r->result->state != CI_ENVIRONMENT) {
        r->result->state = CI_FAILED;
        for (const int *code = r->job->job->allow_exit_codes; code != NULL && *code != 0; code++)
            r->result->allowed_to_fail = r->result->allowed_to_fail || *code == r->result->exit_code;
    } else if (r->result->state == CI_PASSED && r->result->steps_run == 0) {
        /* Nothing of it was run: that is no pass. */
        r->result->state = CI_SKIPPED;
        r->result->reason = xstrdup(r->result->steps_skipped > 0 ? "none of its commands could be mirrored"
                                                                 : "it has no command to run here");
    }
    rc = 0;
out:
    containers_stop(r);
    json_decref(f.step_results);
    free(temp);
    return rc;
}

void job_runner_finish(struct job_runner *r)
{
    json_decref(r->env);
    json_decref(r->outputs);
    json_decref(r->contexts);
    for (size_t i = 0; i < r->posts.len; i++)
        script_post_destroy(r->posts.items[i]);
    vec_finish(&r->posts);
    for (size_t i = 0; i < r->cache_saves.len; i++)
        cache_save_destroy(r->cache_saves.items[i]);
    vec_finish(&r->cache_saves);
    str_list_finish(&r->uploaded);
    str_list_finish(&r->path);
    str_list_finish(&r->masks);
    buf_free(&r->log);
    free(r->lost_reason);
}
