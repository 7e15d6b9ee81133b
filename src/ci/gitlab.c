/* ci/gitlab.c: stages, needs and order of a GitLab pipeline. */
#include "ci/gitlab_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_JOBS 500

/* -------------------------------------------------------------------------------------------- predefined */

static const char *or_else(const char *value, const char *fallback)
{
    return value != NULL && *value != '\0' ? value : fallback;
}

static void set(json_t *values, const char *key, const char *text)
{
    json_t *value = json_string(text);

    json_object_set_new(values, key, value != NULL ? value : json_string(""));
}

static void set_slug(json_t *values, const char *key, const char *text)
{
    struct buf b = BUF_INIT;

    for (; *text != '\0' && b.len < 63; text++)
        buf_putc(&b, isalnum((unsigned char)*text) ? (char)tolower((unsigned char)*text) : '-');
    while (b.len > 0 && b.data[b.len - 1] == '-')
        buf_truncate(&b, b.len - 1);
    set(values, key, buf_cstr(&b));
    buf_free(&b);
}

/* docs.gitlab.com/ci/variables/predefined_variables, as far as they are known without a server. CI_PROJECT_DIR is
 * set when the job runs. */
static json_t *predefined(const struct ci_options *o, bool *is_merge_request)
{
    const char *event = or_else(o->event, "push"), *branch = or_else(o->branch, "main");
    const char *base = or_else(o->base_branch, "main"),
               *sha = or_else(o->sha, "0000000000000000000000000000000000000000");
    char *root = path_normalize(or_else(o->definition_dir, "."));
    char *project =
        o->repository != NULL ? xstrdup(o->repository) : xasprintf("local/%s", path_basename(root));
    char *space = xstrndup(project, strcspn(project, "/")), *short_sha = xstrndup(sha, 8);
    const char *ref = o->tag != NULL ? o->tag : branch;
    json_t *v = json_object();

    *is_merge_request = strncmp(event, "pull_request", 12) == 0 || strncmp(event, "merge_request", 13) == 0;
    set(v, "CI", "true");
    set(v, "GITLAB_CI", "true");
    set(v, "CI_SERVER", "yes");
    set(v, "CI_SERVER_HOST", "gitlab.com");
    set(v, "CI_SERVER_URL", "https://gitlab.com");
    set(v, "CI_API_V4_URL", "https://gitlab.com/api/v4");
    set(v, "CI_CONFIG_PATH", GITLAB_FILE);
    set(v, "CI_PIPELINE_ID", "1");
    set(v, "CI_PIPELINE_IID", "1");
    set(v, "CI_JOB_ID", "1");
    set(v, "CI_PIPELINE_SOURCE",
        *is_merge_request                         ? "merge_request_event"
        : strcmp(event, "workflow_dispatch") == 0 ? "web"
                                                  : event);
    set(v, "CI_COMMIT_SHA", sha);
    set(v, "CI_COMMIT_SHORT_SHA", short_sha);
    set(v, "CI_COMMIT_BEFORE_SHA", "0000000000000000000000000000000000000000");
    set(v, "CI_COMMIT_REF_NAME", ref);
    set_slug(v, "CI_COMMIT_REF_SLUG", ref);
    set(v, "CI_COMMIT_REF_PROTECTED", "false");
    set(v, "CI_DEFAULT_BRANCH", base);
    set(v, "CI_PROJECT_PATH", project);
    set(v, "CI_PROJECT_NAME", path_basename(project));
    set(v, "CI_PROJECT_NAMESPACE", space);
    set_slug(v, "CI_PROJECT_PATH_SLUG", project);
    set(v, "CI_PROJECT_ID", "1");
    set(v, "GITLAB_USER_LOGIN", "cadre");
    if (o->tag != NULL)
        set(v, "CI_COMMIT_TAG", o->tag);
    else if (!*is_merge_request)
        set(v, "CI_COMMIT_BRANCH", branch);
    if (*is_merge_request) {
        set(v, "CI_MERGE_REQUEST_ID", "1");
        set(v, "CI_MERGE_REQUEST_IID", "1");
        set(v, "CI_MERGE_REQUEST_EVENT_TYPE", "detached");
        set(v, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", branch);
        set(v, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", base);
        set(v, "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", project);
        set(v, "CI_MERGE_REQUEST_PROJECT_PATH", project);
    }
    free(root);
    free(project);
    free(space);
    free(short_sha);
    return v;
}

static int include_holds(void *data, const struct yaml_node *rules, struct error *err)
{
    struct gitlab_reader *r = data;
    struct gitlab_outcome outcome;

    if (gitlab_rules(r, rules, GITLAB_ON_SUCCESS, r->predefined, &outcome, err) < 0)
        return -1;
    return outcome.is_in;
}

/* ------------------------------------------------------------------------------------------------ stages */

static void add_stages(struct gitlab_reader *r, const struct yaml_node *node, int depth)
{
    for (size_t i = 0; node != NULL && node->kind == YAML_SEQUENCE && i < node->len; i++) {
        const char *name = yaml_text(node->items[i]);
        if (name == NULL && depth < GITLAB_MAX_NESTING)
            add_stages(r, node->items[i], depth + 1);
        else if (name != NULL && !str_list_has(&r->stages, name) && strcmp(name, ".post") != 0)
            str_list_add(&r->stages, name);
    }
}

static void read_stages(struct gitlab_reader *r)
{
    static const char *const usual[] = {"build", "test", "deploy"};
    const struct yaml_node *stages = yaml_get(r->tree.config, "stages");

    if (yaml_is_null(stages))
        stages = yaml_get(r->tree.config, "types");
    str_list_add(&r->stages, ".pre");
    if (!yaml_is_null(stages) && stages->kind == YAML_SEQUENCE)
        add_stages(r, stages, 0);
    for (size_t i = 0; r->stages.len == 1 && i < 1; i++) {
        for (size_t k = 0; k < sizeof usual / sizeof *usual; k++)
            str_list_add(&r->stages, usual[k]);
    }
    str_list_add(&r->stages, ".post");
}

static int find_stage(struct gitlab_reader *r, struct gitlab_job *j, struct error *err)
{
    const struct yaml_node *stage = yaml_get(j->node, "stage");
    const char *name = !yaml_is_null(stage) ? stage->text : "test";
    char *known;
    int rc;

    for (j->stage = 0; j->stage < r->stages.len; j->stage++) {
        if (strcmp(r->stages.items[j->stage], name) == 0)
            return 0;
    }
    known = str_list_join(&r->stages, ", ");
    rc = gitlab_fail(!yaml_is_null(stage) ? stage : j->key, err,
                     "%s job: chosen stage %s does not exist; available stages are %s", j->key->text, name,
                     known);
    free(known);
    return rc;
}

/* ------------------------------------------------------------------------------------------------- needs */

static struct gitlab_job *find_job(const struct vec *jobs, const char *key)
{
    for (size_t i = 0; i < jobs->len; i++) {
        struct gitlab_job *job = jobs->items[i];
        if (strcmp(job->key->text, key) == 0)
            return job;
    }
    return NULL;
}

static void wait_for(struct gitlab_job *j, const struct gitlab_job *other, bool takes_artifacts)
{
    if (!str_list_has(&j->needs, other->key->text))
        str_list_add(&j->needs, other->key->text);
    if (takes_artifacts && other->job->saves_artifacts && !str_list_has(&j->sources, other->key->text))
        str_list_add(&j->sources, other->key->text);
}

static void skip(struct gitlab_reader *r, struct gitlab_job *j, const char *format, const char *name)
{
    char *text = xasprintf(strcmp(format, "manual") == 0 ? "waits for the manual job '%s'"
                                                         : "needs '%s', which is not in this pipeline",
                           name);

    if (j->job->skip_reason == NULL)
        j->job->skip_reason = arena_strdup(&r->w->arena, text);
    free(text);
}

static int add_need(struct gitlab_reader *r, const struct vec *jobs, struct gitlab_job *j,
                    const struct yaml_node *entry, struct error *err)
{
    const struct yaml_node *name = entry->kind == YAML_MAPPING ? yaml_get(entry, "job") : entry;
    const char *artifacts = yaml_get_text(entry, "artifacts"), *optional = yaml_get_text(entry, "optional");
    struct gitlab_job *other;

    if (entry->kind == YAML_SEQUENCE) { /* a reference that stands for a list */
        for (size_t i = 0; i < entry->len; i++) {
            if (entry->items[i]->kind == YAML_SEQUENCE || add_need(r, jobs, j, entry->items[i], err) < 0)
                return entry->items[i]->kind == YAML_SEQUENCE
                           ? gitlab_fail(entry->items[i], err, "jobs:%s:needs config: nested too deep",
                                         j->key->text)
                           : -1;
        }
        return 0;
    }
    if (entry->kind == YAML_MAPPING &&
        (yaml_get(entry, "pipeline") != NULL || yaml_get(entry, "project") != NULL)) {
        if (j->job->note == NULL)
            j->job->note = "needs artifacts of another pipeline, which are not here";
        return 0;
    }
    if (name == NULL || name->kind != YAML_SCALAR || *name->text == '\0')
        return gitlab_fail(entry, err, "jobs:%s:needs config has an unsupported type", j->key->text);
    other = find_job(jobs, name->text);
    if (other == NULL || (!other->is_in && r->tree.foreign.len > 0 && other == j)) {
        if (optional != NULL && strcmp(optional, "true") == 0)
            return 0;
        if (r->tree.foreign.len > 0) {
            skip(r, j, "absent", name->text);
            return 0;
        }
        return gitlab_fail(name, err, "%s job: undefined need: %s", j->key->text, name->text);
    }
    if (other->stage > j->stage)
        return gitlab_fail(name, err, "%s job: need %s is not defined in current or prior stages",
                           j->key->text, name->text);
    if (!other->is_in) {
        if (j->is_in && !(optional != NULL && strcmp(optional, "true") == 0))
            skip(r, j, "absent", name->text);
        return 0;
    }
    wait_for(j, other, artifacts == NULL || strcmp(artifacts, "false") != 0);
    return 0;
}

/* Without `needs`: all of the earlier stages that run. */
static void add_stage_needs(struct gitlab_reader *r, const struct vec *jobs, struct gitlab_job *j)
{
    for (size_t i = 0; i < jobs->len; i++) {
        struct gitlab_job *other = jobs->items[i];
        if (other->stage >= j->stage || !other->is_in || other->is_optional_manual)
            continue;
        if (other->outcome.when == GITLAB_MANUAL)
            skip(r, j, "manual", other->key->text);
        else if (other->job->when == WORKFLOW_ON_FAILURE && j->job->when == WORKFLOW_ON_SUCCESS)
            continue;
        else if (other->job->skip_reason == NULL || other->job->saves_artifacts)
            wait_for(j, other, true);
    }
}

static int read_dependencies(const struct vec *jobs, struct gitlab_job *j, struct error *err)
{
    const struct yaml_node *dependencies = yaml_get(j->node, "dependencies");

    if (yaml_is_null(dependencies) || dependencies->kind != YAML_SEQUENCE)
        return 0;
    str_list_finish(&j->sources);
    j->sources = (struct str_list){0};
    for (size_t i = 0; i < dependencies->len; i++) {
        const struct yaml_node *name = dependencies->items[i];
        const struct gitlab_job *other = find_job(jobs, name->text);
        if (other == NULL)
            return gitlab_fail(name, err, "%s job: undefined dependency: %s", j->key->text, name->text);
        if (other->stage >= j->stage && yaml_is_null(yaml_get(j->node, "needs")))
            return gitlab_fail(name, err, "%s job: dependency %s is not defined in current or prior stages",
                               j->key->text, name->text);
        if (other->is_in)
            wait_for(j, other, true);
    }
    return 0;
}

static int read_needs(struct gitlab_reader *r, const struct vec *jobs, struct gitlab_job *j,
                      struct error *err)
{
    const struct yaml_node *needs = j->outcome.needs != NULL ? j->outcome.needs : yaml_get(j->node, "needs");

    if (yaml_is_null(needs)) {
        add_stage_needs(r, jobs, j);
    } else if (needs->kind != YAML_SEQUENCE) {
        if (add_need(r, jobs, j, needs, err) < 0)
            return -1;
    } else {
        for (size_t i = 0; i < needs->len; i++) {
            if (add_need(r, jobs, j, needs->items[i], err) < 0)
                return -1;
        }
    }
    return read_dependencies(jobs, j, err);
}

/* Colours as in a depth-first search: 0 new, 1 on the way, 2 done. Only jobs of one stage can make a cycle. */
static int visit(const struct vec *jobs, size_t at, unsigned char *colours, struct error *err)
{
    const struct gitlab_job *j = jobs->items[at];

    colours[at] = 1;
    for (size_t i = 0; i < j->needs.len; i++) {
        for (size_t k = 0; k < jobs->len; k++) {
            const struct gitlab_job *other = jobs->items[k];
            if (strcmp(other->key->text, j->needs.items[i]) != 0)
                continue;
            if (colours[k] == 1)
                return gitlab_fail(yaml_get(j->node, "needs") != NULL ? yaml_get(j->node, "needs") : j->key,
                                   err, "The pipeline has circular dependencies: %s needs %s", j->key->text,
                                   other->key->text);
            if (colours[k] == 0 && visit(jobs, k, colours, err) < 0)
                return -1;
        }
    }
    colours[at] = 2;
    return 0;
}

static int check_cycles(const struct vec *jobs, struct error *err)
{
    unsigned char *colours = xcalloc(jobs->len + 1, 1);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < jobs->len; i++) {
        if (colours[i] == 0)
            rc = visit(jobs, i, colours, err);
    }
    free(colours);
    return rc;
}

/* -------------------------------------------------------------------------------------------------- jobs */

/* `default`, and its older place at the top, for what the job does not say itself. */
static struct yaml_node *with_defaults(struct gitlab_reader *r, struct yaml_node *job)
{
    static const char *const keys[] = {"before_script", "after_script", "image",   "services",      "cache",
                                       "tags",          "artifacts",    "timeout", "interruptible", "retry"};
    const struct yaml_node *rule = yaml_get(yaml_get(job, "inherit"), "default"), *root = r->tree.config;
    struct yaml_node *below = yaml_new_mapping(&r->w->arena);

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct yaml_node *value = yaml_get(yaml_get(root, "default"), keys[i]);
        bool is_inherited = rule == NULL || (rule->kind == YAML_SCALAR && strcmp(rule->text, "false") != 0);

        for (size_t k = 0; rule != NULL && rule->kind == YAML_SEQUENCE && k < rule->len; k++)
            is_inherited = is_inherited || str_eq(yaml_text(rule->items[k]), keys[i]);
        if (value == NULL && i < 5)
            value = yaml_get(root, keys[i]);
        if (value != NULL && is_inherited && yaml_get(job, keys[i]) == NULL)
            yaml_mapping_add(&r->w->arena, below, keys[i], value);
    }
    if (below->len == 0)
        return job;
    for (size_t i = 0; i + 1 < job->len; i += 2)
        yaml_mapping_add(&r->w->arena, below, job->items[i]->text, job->items[i + 1]);
    below->line = job->line;
    below->column = job->column;
    below->file = job->file;
    return below;
}

static int read_job(struct gitlab_reader *r, struct vec *jobs, const struct yaml_node *key, struct error *err)
{
    struct gitlab_job *j = arena_alloc(&r->w->arena, sizeof *j);
    bool is_foreign;
    struct yaml_node *node = gitlab_tree_job(&r->tree, key->text, &is_foreign, err);

    if (node == NULL)
        return -1;
    j->key = key;
    if (is_foreign && yaml_get(node, "script") == NULL && yaml_get(node, "trigger") == NULL)
        node = gitlab_merge(&r->w->arena, yaml_new_mapping(&r->w->arena), node);
    else if (gitlab_check_job(key->text, node, err) < 0)
        return -1;
    j->node = with_defaults(r, node);
    if (is_foreign && find_stage(r, j, &(struct error){0}) < 0)
        j->stage = 0; /* its stage may come from elsewhere */
    else if (!is_foreign && find_stage(r, j, err) < 0)
        return -1;
    if (gitlab_job_build(r, j, err) < 0)
        return -1;
    if (is_foreign && j->job->skip_reason == NULL)
        j->job->skip_reason = "extends a job from an include that is not in this repository";
    vec_push(jobs, j);
    return 0;
}

static int read_jobs(struct gitlab_reader *r, struct vec *jobs, struct error *err)
{
    const struct yaml_node *root = r->tree.config;

    for (size_t i = 0; i + 1 < root->len; i += 2) {
        if (!gitlab_is_job_key(root->items[i]->text))
            continue;
        if (jobs->len >= MAX_JOBS)
            return gitlab_fail(root->items[i], err, "more than %d jobs", MAX_JOBS);
        if (read_job(r, jobs, root->items[i], err) < 0)
            return -1;
    }
    for (size_t i = 0; i < jobs->len; i++) {
        if (read_needs(r, jobs, jobs->items[i], err) < 0)
            return -1;
    }
    return check_cycles(jobs, err);
}

/* Into the workflow, in the order of the stages. REASON: why the pipeline as a whole does not run, or NULL. */
static void add_jobs(struct gitlab_reader *r, const struct vec *jobs, const char *reason)
{
    for (size_t stage = 0; stage < r->stages.len; stage++) {
        for (size_t i = 0; i < jobs->len; i++) {
            struct gitlab_job *j = jobs->items[i];
            if (j->stage != stage || ((reason != NULL || !j->is_in) && !r->options->include_unmatched))
                continue;
            if (reason != NULL)
                j->job->skip_reason = reason;
            str_list_copy(&j->job->needs, &j->needs);
            gitlab_job_add_steps(r, j);
            vec_push(&r->w->jobs, j->job);
        }
    }
    for (size_t i = 0; i < r->tree.foreign.len; i++) {
        char *key = xasprintf("include: %s", r->tree.foreign.items[i]);
        struct workflow_job *job = workflow_add_job(r->w, key);
        const struct yaml_node *at = r->tree.foreign_nodes.items[i];
        job->line = at->line;
        job->skip_reason = "its jobs are not in this repository";
        free(key);
    }
}

static int workflow_rules(struct gitlab_reader *r, const char **reason, struct error *err)
{
    const struct yaml_node *rules = yaml_get(yaml_get(r->tree.config, "workflow"), "rules");
    struct gitlab_outcome outcome;
    json_t *raw, *resolved;
    int rc;

    if (yaml_is_null(rules))
        return 0;
    r->has_workflow_rules = true;
    raw = json_copy(r->predefined);
    json_object_update(raw, r->globals);
    resolved = gitlab_resolve_variables(raw);
    rc = gitlab_rules(r, rules, GITLAB_ON_SUCCESS, resolved, &outcome, err);
    json_decref(raw);
    json_decref(resolved);
    if (rc == 0 && !outcome.is_in)
        *reason = "`workflow:rules` starts no pipeline for this event";
    if (rc == 0)
        gitlab_add_variables(r->globals, outcome.variables);
    return rc;
}

/* "NAME=VALUE" of the command line; NULL when there are none. */
static const struct yaml_node *given_inputs(struct arena *arena, const struct str_list *inputs)
{
    struct yaml_node *mapping = inputs != NULL && inputs->len > 0 ? yaml_new_mapping(arena) : NULL;

    for (size_t i = 0; mapping != NULL && i < inputs->len; i++) {
        const char *entry = inputs->items[i], *equals = strchr(entry, '=');
        struct yaml_node *value = yaml_new_scalar(arena, equals + 1);
        char *key = xstrndup(entry, (size_t)(equals - entry));
        value->is_plain = true;
        yaml_mapping_add(arena, mapping, key, value);
        free(key);
    }
    return mapping;
}

struct workflow *gitlab_workflow(const char *text, size_t n, const char *file,
                                 const struct ci_options *options, struct error *err)
{
    struct workflow *w = workflow_create_literal(file, file);
    struct gitlab_reader r = {.w = w, .options = options};
    struct vec jobs = {0};
    const char *reason = NULL;
    int rc = -1;

    w->is_gitlab = true;
    r.tree = (struct gitlab_tree){
        .arena = &w->arena, .root_dir = options->definition_dir, .include_holds = include_holds, .data = &r};
    r.tree.inputs = given_inputs(&w->arena, options->inputs);
    r.predefined = predefined(options, &r.is_merge_request);
    r.globals = json_object();
    if (gitlab_tree_load(&r.tree, text, n, file, err) < 0 || gitlab_check_root(&r.tree, err) < 0)
        goto out;
    gitlab_add_variables(r.globals, yaml_get(r.tree.config, "variables"));
    read_stages(&r);
    if (workflow_rules(&r, &reason, err) < 0 || read_jobs(&r, &jobs, err) < 0)
        goto out;
    add_jobs(&r, &jobs, reason);
    rc = 0;
out:
    for (size_t i = 0; i < jobs.len; i++) {
        struct gitlab_job *j = jobs.items[i];
        str_list_finish(&j->needs);
        str_list_finish(&j->sources);
        if (rc < 0 && j->job != NULL)
            str_list_finish(&j->job->needs);
    }
    vec_finish(&jobs);
    gitlab_tree_finish(&r.tree);
    str_list_finish(&r.stages);
    json_decref(r.predefined);
    json_decref(r.globals);
    if (rc < 0) {
        workflow_destroy(w);
        return NULL;
    }
    return w;
}
