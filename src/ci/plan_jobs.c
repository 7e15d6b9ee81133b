/* ci/plan_jobs.c: the jobs of a workflow, expanded as far as is known before anything ran. */
#include "ci/plan_jobs.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "ci/matrix.h"
#include "ci/template.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_PLAN_JOBS 5000
#define PLAN_PIECE_BYTES (32 * 1024)

struct frame { /* where jobs are added: the workflow itself, or one that it calls */
    struct ci_plan *plan;
    const struct workflow *workflow;
    const struct workflow *root; /* the outermost one */
    const char *prefix; /* "caller/" or NULL */
    json_t *inputs;     /* NULL: those of the plan */
    const char *reason; /* the caller is skipped */
    const struct plan_call *call;
    const struct str_list *caller_needs; /* what the calling jobs wait for */
    int depth;
};

json_t *plan_job_contexts(const struct ci_plan *plan, const struct workflow *workflow, const char *job_key,
                          json_t *leg, json_t *needs, json_t *inputs)
{
    json_t *contexts = json_copy(plan->contexts);
    json_t *github = json_copy(json_object_get(plan->contexts, "github"));
    json_t *runner = json_object(), *strategy = json_object();

    json_object_set_new(github, "workflow", json_string(workflow->name));
    json_object_set_new(github, "workflow_ref", json_string(workflow->file));
    json_object_set_new(github, "job", json_string(job_key));
    json_object_set_new(contexts, "github", github);
    json_object_set_new(runner, "os", json_string("Linux"));
    json_object_set_new(runner, "arch", json_string(plan->is_arm ? "ARM64" : "X64"));
    json_object_set_new(runner, "name", json_string("cadre"));
    json_object_set_new(runner, "environment", json_string("self-hosted"));
    json_object_set_new(runner, "debug", json_string(""));
    json_object_set_new(contexts, "runner", runner);
    json_object_set_new(strategy, "fail-fast", json_true());
    json_object_set_new(strategy, "job-index", json_integer(0));
    json_object_set_new(strategy, "job-total", json_integer(1));
    json_object_set_new(strategy, "max-parallel", json_integer(1));
    json_object_set_new(contexts, "strategy", strategy);
    json_object_set_new(contexts, "matrix", leg != NULL ? json_incref(leg) : json_null());
    json_object_set_new(contexts, "needs", needs != NULL ? json_incref(needs) : json_object());
    if (inputs != NULL)
        json_object_set(contexts, "inputs", inputs);
    return contexts;
}

/* Built legs hold texts. */
static json_t *gitlab_legs(const struct yaml_node *nodes)
{
    json_t *legs = json_array();

    for (size_t i = 0; i < nodes->len; i++) {
        json_t *leg = json_object();
        for (size_t k = 0; k + 1 < nodes->items[i]->len; k += 2)
            json_object_set_new(leg, nodes->items[i]->items[k]->text, json_string(nodes->items[i]->items[k + 1]->text));
        json_array_append_new(legs, leg);
    }
    return legs;
}

json_t *plan_job_legs(const struct workflow *workflow, const struct workflow_job *job, json_t *contexts,
                      struct error *err)
{
    struct scope_state state = {0};
    struct expr_scope scope = scope_make(contexts, &state);
    json_t *strategy, *legs;

    if (job->legs != NULL)
        return gitlab_legs(job->legs);
    if (job->strategy == NULL || workflow->is_literal)
        return json_null();
    strategy = template_expand_node(job->strategy, &scope, workflow->file, err);
    if (strategy == NULL)
        return NULL;
    if (json_object_get(strategy, "matrix") == NULL) {
        json_decref(strategy);
        return json_null();
    }
    legs = matrix_expand(json_object_get(strategy, "matrix"), err);
    if (legs == NULL && err->code == ERROR_LIMIT)
        error_set_at(err, ERROR_LIMIT, workflow->file, job->strategy->line, job->strategy->column,
                     "Strategy expansion exceeded %d results for job '%s'", MATRIX_MAX_LEGS, job->key);
    else if (legs == NULL)
        error_wrap(err, "%s:%d:%d", workflow->file, job->strategy->line, job->strategy->column);
    json_decref(strategy);
    return legs;
}

char *plan_job_id(const struct workflow *workflow, const struct workflow_job *job, const json_t *leg,
                  const char *prefix)
{
    struct buf b = BUF_INIT;

    if (!workflow->is_literal)
        buf_printf(&b, "%s/", path_basename(workflow->file));
    buf_printf(&b, "%s%s", prefix != NULL ? prefix : "", job->key);
    if (leg != NULL) {
        char *label = matrix_leg_label(leg);
        buf_printf(&b, " (%s)", label);
        free(label);
    }
    return buf_take(&b);
}

char *plan_job_name(const struct workflow *workflow, const struct workflow_job *job, const json_t *leg,
                    json_t *contexts)
{
    struct scope_state state = {0};
    struct expr_scope scope = scope_make(contexts, &state);
    struct error err = {0};
    char *name = NULL, *label, *full;

    if (job->name != NULL && *job->name != '\0')
        name = workflow->is_literal ? xstrdup(job->name) : template_expand_text(job->name, &scope, &err);
    if (name == NULL)
        name = xstrdup(job->key);
    if (leg == NULL || template_has_expression(job->name))
        return name;
    label = matrix_leg_label(leg);
    full = xasprintf("%s (%s)", name, label);
    free(name);
    free(label);
    return full;
}

/* The condition TEXT as an expression, when it can be told before the run whether it holds; else NULL. */
static struct expr *early_condition(const char *text, bool is_literal, const struct expr_scope *scope)
{
    static const char *const later[] = {"steps", "env", "job", "secrets", "needs", "jobs"};
    const char *inner;
    char *copy;
    struct expr *expr;
    struct error err = {0};
    bool is_late;

    if (text == NULL || *text == '\0' || is_literal || strcasestr(text, "hashFiles") != NULL)
        return NULL;
    copy = xstrdup(text);
    inner = str_trim(copy);
    if (strncmp(inner, "${{", 3) == 0 && str_ends_with(inner, "}}") && strstr(inner + 3, "${{") == NULL) {
        copy[(inner - copy) + (ptrdiff_t)strlen(inner) - 2] = '\0';
        inner += 3;
    } else if (template_has_expression(inner)) {
        free(copy);
        return NULL;
    }
    expr = expr_parse(inner, scope, &err);
    free(copy);
    if (expr == NULL)
        return NULL;
    is_late = expr_has_status_function(expr);
    for (size_t i = 0; !is_late && i < sizeof later / sizeof *later; i++)
        is_late = expr_uses_context(expr, later[i]);
    if (is_late) {
        expr_destroy(expr);
        expr = NULL;
    }
    return expr;
}

/* Is it certain that the condition is false? */
static bool is_certainly_false(const struct expr *expr, const struct expr_scope *scope)
{
    struct error err = {0};
    struct expr_value value;
    bool is_false = false;

    if (expr != NULL && expr_evaluate(expr, scope, &value, &err) == 0) {
        is_false = !expr_is_truthy(&value);
        expr_value_finish(&value);
    }
    return is_false;
}

static bool condition_is_false(const char *text, bool is_literal, const struct expr_scope *scope)
{
    struct expr *expr = early_condition(text, is_literal, scope);
    bool is_false = is_certainly_false(expr, scope);

    expr_destroy(expr);
    return is_false;
}

static const char *step_name(struct ci_plan *plan, const struct workflow_step *step)
{
    if (step->name != NULL && *step->name != '\0')
        return step->name;
    if (step->uses != NULL)
        return step->uses;
    if (step->waits != NULL)
        return step->waits;
    return arena_strndup(&plan->arena, step->run, strcspn(step->run, "\n"));
}

static const char *default_shell(const struct workflow *w, const struct workflow_job *job)
{
    const char *shell = yaml_get_text(yaml_get(job->defaults, "run"), "shell");

    return shell != NULL ? shell : yaml_get_text(yaml_get(w->defaults, "run"), "shell");
}

/* What all legs of a job have in common about a step. A job's legs are laid out one after the other, so the
 * plan keeps this for the last job only. */
struct plan_step_facts {
    struct expr *condition; /* owned; NULL when it is not known before the run, or not of the leg */
    const char *name;       /* the arena's, or the workflow's */
    struct step_plan plan;  /* when has_plan: the leg has no say in it */
    bool is_dependency, needs_network, has_plan, is_false;
};

static const char *raw_shell(const struct workflow *workflow, const struct workflow_job *job, const struct workflow_step *step)
{
    return step->shell != NULL ? step->shell : default_shell(workflow, job);
}

/* What the leg has no say in is worked out once. */
static void find_facts(struct ci_plan *plan, const struct workflow *workflow, const struct workflow_job *job,
                       const struct workflow_step *step, const struct expr_scope *scope, struct plan_step_facts *facts)
{
    const char *shell = raw_shell(workflow, job, step);
    bool is_system;

    facts->name = step_name(plan, step);
    facts->condition = early_condition(step->condition, workflow->is_literal, scope);
    if (facts->condition != NULL && !expr_uses_context(facts->condition, "matrix") &&
        !expr_uses_context(facts->condition, "strategy") && !expr_uses_context(facts->condition, "inputs")) {
        facts->is_false = is_certainly_false(facts->condition, scope);
        expr_destroy(facts->condition);
        facts->condition = NULL;
    }
    facts->has_plan = !template_has_expression(shell);
    if (facts->has_plan)
        plan_step(plan, step, shell, NULL, &facts->plan);
    facts->needs_network = plan_needs_network(step->run);
    facts->is_dependency = step->installs || (step->run != NULL && plan_is_dependency_step(step->run, &is_system));
}

static const struct plan_step_facts *step_facts(struct ci_plan *plan, const struct workflow *workflow,
                                                const struct workflow_job *job, const struct expr_scope *scope)
{
    if (plan->facts_job == job)
        return plan->facts;
    plan_forget_facts(plan);
    plan->facts_job = job;
    plan->facts_count = job->step_count;
    plan->facts = xcalloc(job->step_count + 1, sizeof *plan->facts);
    for (size_t i = 0; i < job->step_count; i++)
        find_facts(plan, workflow, job, &job->steps[i], scope, &plan->facts[i]);
    return plan->facts;
}

void plan_forget_facts(struct ci_plan *plan)
{
    for (size_t i = 0; i < plan->facts_count; i++)
        expr_destroy(plan->facts[i].condition);
    FREE_NULL(plan->facts);
    plan->facts_count = 0;
    plan->facts_job = NULL;
}

static char *in_arena(struct ci_plan *plan, char *taken)
{
    char *copy = arena_strdup(&plan->arena, taken);

    free(taken);
    return copy;
}

/* What a step comes to on this machine. */
static void plan_one_step(struct ci_plan *plan, const struct plan_job *pj, const struct workflow_step *step,
                          const struct plan_step_facts *facts, const struct expr_scope *scope,
                          struct ci_plan_step *out, bool *is_lost, bool *brings_tree)
{
    struct step_plan sp = facts->plan;

    if (!facts->has_plan) {
        struct error err = {0};
        char *shell = template_expand_text(raw_shell(pj->workflow, pj->job, step), scope, &err);
        plan_step(plan, step, shell, NULL, &sp);
        free(shell);
    }
    if (step->run == NULL) {
        out->command = sp.action.command;
        out->is_dependency = sp.action.kind == ACTION_SETUP;
    }
    out->kind = sp.kind;
    out->reason = sp.reason;
    *is_lost = sp.is_unknown;
    /* What is not known may be a checkout of another name; an action of the repository is read from the tree. */
    *brings_tree = sp.is_unknown || sp.action.kind == ACTION_CHECKOUT || (step->uses != NULL && strncmp(step->uses, "./", 2) == 0);
    if (facts->is_false || is_certainly_false(facts->condition, scope)) {
        out->kind = CI_STEP_UNWANTED;
        out->reason = "its `if` is false here";
        *is_lost = *brings_tree = false;
    }
}

static void plan_job_steps(struct ci_plan *plan, struct plan_job *pj, json_t *contexts)
{
    const struct workflow_job *job = pj->job;
    struct scope_state state = {0};
    struct expr_scope scope = scope_make(contexts, &state);
    const struct plan_step_facts *facts = step_facts(plan, pj->workflow, job, &scope);
    bool is_unwanted = pj->pub.reason != NULL && strncmp(pj->pub.reason, "its `if`", 8) == 0;
    const char *lost = NULL;
    bool has_tree = pj->pub.reason != NULL || pj->workflow->is_literal || job->step_count == 0;

    arena_reserve(&plan->arena, (job->step_count + 1) * sizeof *pj->pub.steps, PLAN_PIECE_BYTES);
    pj->pub.steps = arena_alloc(&plan->arena, (job->step_count + 1) * sizeof *pj->pub.steps);
    pj->pub.step_count = job->step_count;
    for (size_t i = 0; i < job->step_count; i++) {
        const struct workflow_step *step = &job->steps[i];
        struct ci_plan_step *out = &pj->pub.steps[i];
        bool is_lost = false, brings_tree = false;

        out->name = facts[i].name;
        out->command = step->satisfied_by != NULL ? NULL : step->run;
        out->uses = step->uses;
        out->condition = step->condition;
        out->line = step->line;
        out->is_dependency = facts[i].is_dependency;
        out->needs_network = facts[i].needs_network;
        if (pj->pub.reason != NULL) {
            out->kind = is_unwanted ? CI_STEP_UNWANTED : CI_STEP_SKIPPED;
            out->reason = pj->pub.reason;
        } else {
            plan_one_step(plan, pj, step, &facts[i], &scope, out, &is_lost, &brings_tree);
            has_tree = has_tree || brings_tree;
        }
        if (is_lost && lost == NULL && i + 1 < job->step_count)
            lost = out->name;
    }
    if (lost != NULL)
        pj->pub.note = arena_printf(&plan->arena, "step '%s' is not mirrored; later steps may need it", lost);
    pj->starts_empty = !has_tree;
    if (pj->starts_empty && pj->pub.note == NULL)
        pj->pub.note = "no step checks the tree out: its folder is empty, as on GitHub";
}

static const char *unique_id(struct ci_plan *plan, const char *id)
{
    const char *candidate = id;

    for (int n = 2; map_get(&plan->ids, candidate) != NULL; n++)
        candidate = arena_printf(&plan->arena, "%s #%d", id, n);
    map_set(&plan->ids, candidate, plan);
    return candidate;
}

static struct plan_job *add(const struct frame *f, const struct workflow_job *job, json_t *leg,
                            json_t *contexts, const char *reason)
{
    struct ci_plan *plan = f->plan;
    struct plan_job *pj = arena_alloc(&plan->arena, sizeof *pj);

    pj->workflow = f->workflow;
    pj->root = f->root;
    pj->call = f->call;
    pj->job = job;
    pj->leg = json_incref(leg);
    pj->pub.id = unique_id(plan, in_arena(plan, plan_job_id(f->workflow, job, leg, f->prefix)));
    pj->pub.name = in_arena(plan, plan_job_name(f->workflow, job, leg, contexts));
    pj->pub.key = f->prefix != NULL ? arena_printf(&plan->arena, "%s%s", f->prefix, job->key) : job->key;
    pj->pub.file = f->workflow->is_literal && !f->workflow->is_gitlab ? NULL : f->workflow->file;
    pj->pub.note = job->note;
    pj->pub.line = job->line;
    for (size_t i = 0; i < job->needs.len; i++) {
        char *need = xasprintf("%s%s", f->prefix != NULL ? f->prefix : "", job->needs.items[i]);
        str_list_take(&pj->pub.needs, need);
    }
    if (f->caller_needs != NULL)
        str_list_copy(&pj->pub.needs, f->caller_needs);
    pj->inputs = json_incref(f->inputs);
    if (reason == NULL && f->reason == NULL) {
        char *obstacle = plan_job_obstacle(f->plan, f->workflow, job, contexts);
        if (obstacle != NULL)
            reason = in_arena(plan, obstacle);
    }
    pj->pub.reason = f->reason != NULL ? f->reason : reason;
    plan_job_steps(plan, pj, contexts);
    vec_push(&plan->jobs, pj);
    return pj;
}

void plan_add_skipped_job(struct ci_plan *plan, const struct workflow *w, const struct workflow_job *job,
                          const char *reason)
{
    struct frame f = {.plan = plan, .workflow = w, .root = w, .reason = arena_strdup(&plan->arena, reason)};
    json_t *contexts = plan_job_contexts(plan, w, job->key, NULL, NULL, NULL);

    add(&f, job, NULL, contexts, NULL);
    json_decref(contexts);
}

/* The leg without the values that only choose the system. */
static json_t *leg_without_system(const struct workflow_job *job, json_t *leg)
{
    json_t *copy = json_copy(leg);
    json_t *value;
    const char *key;
    void *next;

    json_object_foreach_safe(copy, next, key, value) {
        char *reference = xasprintf("matrix.%s", key);
        if (job->runs_on != NULL && template_uses_context(job->runs_on, "matrix")) {
            const char *text = yaml_text(job->runs_on);
            const char *found = text != NULL ? strstr(text, reference) : NULL;
            char after = found != NULL ? found[strlen(reference)] : 'x';
            if (after == '\0' || strchr("_-abcdefghijklmnopqrstuvwxyz0123456789.", after) == NULL)
                json_object_del(copy, key);
        }
        free(reference);
    }
    return copy;
}

bool plan_leg_is_duplicate(const struct ci_plan *plan, const struct workflow *workflow, const struct workflow_job *job, json_t *legs,
                           size_t index, json_t *base_contexts, size_t *same)
{
    json_t *own = leg_without_system(job, json_array_get(legs, index));
    bool found = false;

    if (json_object_size(own) < json_object_size(json_array_get(legs, index))) {
        for (size_t i = 0; !found && i < index; i++) {
            json_t *other = leg_without_system(job, json_array_get(legs, i));
            if (json_equal(own, other)) {
                json_t *contexts = json_copy(base_contexts);
                char *obstacle;
                json_object_set(contexts, "matrix", json_array_get(legs, i));
                obstacle = plan_job_obstacle(plan, workflow, job, contexts);
                if (obstacle == NULL) {
                    found = true;
                    *same = i;
                }
                free(obstacle);
                json_decref(contexts);
            }
            json_decref(other);
        }
    }
    json_decref(own);
    return found;
}

static int add_job(const struct frame *f, const struct workflow_job *job, struct error *err);

/* What stands in front of the keys of the jobs that JOB (or LEG of its matrix) calls. */
static const char *call_prefix(const struct frame *f, const struct workflow_job *job, const json_t *leg)
{
    const char *outer = f->prefix != NULL ? f->prefix : "";
    char *label = leg != NULL ? matrix_leg_label(leg) : NULL;
    const char *prefix;

    for (char *p = label; p != NULL && *p != '\0'; p++)
        *p = *p == '/' ? '_' : *p; /* a slash parts the callers */
    prefix = label != NULL ? arena_printf(&f->plan->arena, "%s%s (%s)/", outer, job->key, label)
                           : arena_printf(&f->plan->arena, "%s%s/", outer, job->key);
    free(label);
    return prefix;
}

/* Keeps a reference as long as the plan lives. */
static json_t *keep(struct ci_plan *plan, json_t *value)
{
    if (plan->kept == NULL)
        plan->kept = json_array();
    if (value != NULL)
        json_array_append(plan->kept, value);
    return value;
}

static const struct plan_call *make_call(const struct frame *f, const struct workflow_job *job, json_t *leg)
{
    struct plan_call *call = arena_alloc(&f->plan->arena, sizeof *call);

    *call = (struct plan_call){.outer = f->call, .workflow = f->workflow, .job = job, .prefix = call_prefix(f, job, leg),
                               .leg = keep(f->plan, leg), .inputs = keep(f->plan, f->inputs)};
    return call;
}

/* The workflow that JOB calls, read and found to be callable so; NULL with ERR. */
static struct workflow *called_workflow(const struct frame *f, const struct workflow_job *job, struct error *err)
{
    const struct yaml_node *uses = yaml_get(yaml_get(yaml_get(f->workflow->root, "jobs"), job->key), "uses");
    struct workflow *called;

    if (f->depth >= PLAN_MAX_CALL_DEPTH) {
        error_set_at(err, ERROR_LIMIT, f->workflow->file, uses->line, uses->column,
                     "job '%s' calls workflows more than %d deep", job->key, PLAN_MAX_CALL_DEPTH);
        return NULL;
    }
    called = plan_called_workflow(f->plan, job->uses, err);
    if (called == NULL && err->code != ERROR_PARSE && err->code != ERROR_LIMIT)
        error_set_at(err, ERROR_PARSE, f->workflow->file, uses->line, uses->column,
                     "error parsing called workflow \"%s\": workflow was not found.", job->uses);
    return called == NULL || plan_check_call(called, f->workflow, job, uses, err) < 0 ? NULL : called;
}

static int add_called(const struct frame *f, const struct workflow_job *job, json_t *leg, json_t *contexts,
                      const char *reason, struct error *err)
{
    struct workflow *called = called_workflow(f, job, err);
    struct frame inner = *f;
    struct str_list needs = {0};
    int rc = 0;

    if (called == NULL)
        return -1;
    inner.call = make_call(f, job, leg);
    inner.prefix = inner.call->prefix;
    inner.workflow = called;
    inner.depth++;
    if (reason != NULL)
        inner.reason = reason;
    inner.inputs = plan_called_inputs(called, f->workflow, job, contexts, err);
    if (inner.inputs == NULL)
        return -1;
    if (f->caller_needs != NULL)
        str_list_copy(&needs, f->caller_needs);
    for (size_t i = 0; i < job->needs.len; i++)
        str_list_take(&needs, xasprintf("%s%s", f->prefix != NULL ? f->prefix : "", job->needs.items[i]));
    inner.caller_needs = &needs;
    for (size_t i = 0; rc == 0 && i < called->jobs.len; i++)
        rc = add_job(&inner, called->jobs.items[i], err);
    str_list_finish(&needs);
    json_decref(inner.inputs);
    return rc;
}

static bool is_local_call(const struct workflow_job *job)
{
    return job->uses != NULL && strncmp(job->uses, "./", 2) == 0;
}

static int add_legs(const struct frame *f, const struct workflow_job *job, json_t *contexts, json_t *legs,
                    const char *reason, struct error *err)
{
    size_t first = f->plan->jobs.len;
    json_t *leg;
    size_t i;
    int rc = 0;

    if (json_array_size(legs) == 0) {
        add(f, job, NULL, contexts, "its matrix is empty");
        return 0;
    }
    json_array_foreach(legs, i, leg) {
        json_t *own = json_copy(contexts);
        const char *why = reason;
        size_t same;

        json_object_set(own, "matrix", leg);
        if (why == NULL && job->uses == NULL && plan_leg_is_duplicate(f->plan, f->workflow, job, legs, i, contexts, &same)) {
            struct plan_job *other = f->plan->jobs.items[first + same];
            other->pub.duplicates++;
            why = arena_printf(&f->plan->arena, "the same as '%s' but for the system", other->pub.id);
        }
        if (is_local_call(job))
            rc = add_called(f, job, leg, own, why, err);
        else
            add(f, job, leg, own, why);
        json_decref(own);
        if (rc < 0)
            break;
    }
    return rc;
}

/* Its matrix comes from jobs that it needs: the run makes its legs. */
static void add_dynamic(const struct frame *f, const struct workflow_job *job, json_t *contexts, const char *reason)
{
    struct plan_job *pj = add(f, job, NULL, contexts, reason);
    const char *why = is_local_call(job)
                          ? arena_printf(&f->plan->arena, "calls %s for each leg of a matrix that is known once its needs have run", job->uses)
                          : "its matrix is known once its needs have run; commands are shown without values from it";

    pj->pub.is_dynamic = true;
    pj->pub.note = pj->pub.note == NULL || pj->starts_empty ? why : arena_printf(&f->plan->arena, "%s; %s", pj->pub.note, why);
}

static int add_job(const struct frame *f, const struct workflow_job *job, struct error *err)
{
    json_t *contexts, *legs;
    struct scope_state state = {0};
    struct expr_scope scope;
    const char *reason = NULL;
    int rc = 0;

    if (f->plan->jobs.len > MAX_PLAN_JOBS)
        return error_set_at(err, ERROR_LIMIT, f->workflow->file, job->line, 0, "more than %d jobs", MAX_PLAN_JOBS);
    contexts = plan_job_contexts(f->plan, f->workflow, job->key, NULL, NULL, f->inputs);
    scope = scope_make(contexts, &state);
    if (condition_is_false(job->condition, f->workflow->is_literal, &scope))
        reason = arena_printf(&f->plan->arena, "its `if` is false: %s", job->condition);

    if (is_local_call(job) && job->strategy == NULL) {
        rc = add_called(f, job, NULL, contexts, reason, err);
    } else if (job->strategy != NULL && template_uses_context(job->strategy, "needs")) {
        if (is_local_call(job) && called_workflow(f, job, err) == NULL)
            rc = -1;
        else
            add_dynamic(f, job, contexts, reason);
    } else {
        legs = plan_job_legs(f->workflow, job, contexts, err);
        if (legs == NULL)
            rc = -1;
        else if (json_is_null(legs) && is_local_call(job))
            rc = add_called(f, job, NULL, contexts, reason, err);
        else if (json_is_null(legs))
            add(f, job, NULL, contexts, reason);
        else
            rc = add_legs(f, job, contexts, legs, reason, err);
        json_decref(legs);
    }
    json_decref(contexts);
    return rc;
}

int plan_expand_call(struct ci_plan *plan, const struct plan_job *caller, json_t *legs, json_t *contexts, json_t *inputs,
                     struct vec *jobs, struct error *err)
{
    struct frame f = {.plan = plan, .workflow = caller->workflow, .root = caller->root, .inputs = inputs, .call = caller->call,
                      .prefix = caller->call != NULL ? caller->call->prefix : NULL};
    struct vec planned = plan->jobs;
    struct map ids = plan->ids;
    int rc;

    for (const struct plan_call *call = caller->call; call != NULL; call = call->outer)
        f.depth++;
    plan->jobs = (struct vec){0}; /* the new ones only; the legs' labels part their ids from all others */
    plan->ids = (struct map){0};
    rc = add_legs(&f, caller->job, contexts, legs, NULL, err);
    plan_spread_skips(plan, 0);
    plan_forget_facts(plan);
    for (size_t i = 0; i < plan->jobs.len; i++) {
        vec_push(&plan->expanded, plan->jobs.items[i]);
        if (rc == 0)
            vec_push(jobs, plan->jobs.items[i]);
    }
    vec_finish(&plan->jobs);
    map_finish(&plan->ids);
    plan->jobs = planned;
    plan->ids = ids;
    return rc;
}

int plan_add_workflow(struct ci_plan *plan, struct workflow *w, struct error *err)
{
    struct frame f = {.plan = plan, .workflow = w, .root = w, .inputs = plan_event_inputs(plan, w)};
    struct str_list done = {0};
    size_t first = plan->jobs.len;
    int rc = 0;

    /* In the order of needs, the file's order among equals. The graph has no cycle. */
    while (rc == 0 && done.len < w->jobs.len) {
        for (size_t i = 0; rc == 0 && i < w->jobs.len; i++) {
            const struct workflow_job *job = w->jobs.items[i];
            bool is_ready = !str_list_has(&done, job->key);
            for (size_t k = 0; k < job->needs.len; k++) {
                const struct workflow_job *need = workflow_job(w, job->needs.items[k]);
                is_ready = is_ready && (need == NULL || str_list_has(&done, need->key));
            }
            if (is_ready) {
                rc = add_job(&f, job, err);
                str_list_add(&done, job->key);
            }
        }
    }
    str_list_finish(&done);
    json_decref(f.inputs);
    plan_spread_skips(plan, first);
    return rc;
}
