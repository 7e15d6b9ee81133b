/* ci/workflow.c: checked trees to workflows, jobs and steps; the checks that span jobs. */
#include "ci/workflow.h"

#include "base/alloc.h"
#include "base/map.h"
#include "ci/event_filter.h"
#include "ci/tree_store.h"
#include "ci/workflow_schema.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void read_step(const struct yaml_node *node, struct workflow_step *step)
{
    step->id = yaml_get_text(node, "id");
    step->name = yaml_get_text(node, "name");
    step->condition = yaml_get_text(node, "if");
    step->uses = yaml_get_text(node, "uses");
    step->run = yaml_get_text(node, "run");
    step->shell = yaml_get_text(node, "shell");
    step->working_directory = yaml_get_text(node, "working-directory");
    step->continue_on_error = yaml_get_text(node, "continue-on-error");
    step->timeout_minutes = yaml_get_text(node, "timeout-minutes");
    step->with = yaml_get(node, "with");
    step->env = yaml_get(node, "env");
    step->line = node->line;
    step->is_background = yaml_get(node, "background") != NULL && !str_eq(yaml_get_text(node, "background"), "false");
    step->waits = yaml_get(node, "wait") != NULL       ? "wait"
                  : yaml_get(node, "wait-all") != NULL ? "wait-all"
                  : yaml_get(node, "cancel") != NULL   ? "cancel"
                                                       : NULL;
}

static struct workflow_step *read_steps(struct arena *arena, const struct yaml_node *steps, size_t *count)
{
    struct workflow_step *list;

    *count = steps != NULL && steps->kind == YAML_SEQUENCE ? steps->len : 0;
    list = arena_alloc(arena, (*count + 1) * sizeof *list);
    for (size_t i = 0; i < *count; i++)
        read_step(steps->items[i], &list[i]);
    return list;
}

static void read_needs(struct workflow_job *job, const struct yaml_node *needs)
{
    if (needs == NULL)
        return;
    if (needs->kind == YAML_SCALAR) {
        str_list_add(&job->needs, needs->text);
        return;
    }
    for (size_t i = 0; i < needs->len; i++) {
        if (!str_list_has(&job->needs, needs->items[i]->text))
            str_list_add(&job->needs, needs->items[i]->text);
    }
}

static void read_job(struct workflow *w, const struct yaml_node *key, const struct yaml_node *node)
{
    struct workflow_job *job = arena_alloc(&w->arena, sizeof *job);

    job->key = key->text;
    job->line = key->line;
    job->name = yaml_get_text(node, "name");
    job->condition = yaml_get_text(node, "if");
    job->uses = yaml_get_text(node, "uses");
    job->timeout_minutes = yaml_get_text(node, "timeout-minutes");
    job->continue_on_error = yaml_get_text(node, "continue-on-error");
    job->runs_on = yaml_get(node, "runs-on");
    job->strategy = yaml_get(node, "strategy");
    job->env = yaml_get(node, "env");
    job->outputs = yaml_get(node, "outputs");
    job->defaults = yaml_get(node, "defaults");
    job->container = yaml_get(node, "container");
    job->services = yaml_get(node, "services");
    job->with = yaml_get(node, "with");
    job->secrets = yaml_get(node, "secrets");
    job->concurrency = yaml_get(node, "concurrency");
    job->steps = read_steps(&w->arena, yaml_get(node, "steps"), &job->step_count);
    read_needs(job, yaml_get(node, "needs"));
    vec_push(&w->jobs, job);
}

const struct workflow_job *workflow_job(const struct workflow *workflow, const char *key)
{
    for (size_t i = 0; i < workflow->jobs.len; i++) {
        const struct workflow_job *job = workflow->jobs.items[i];
        if (strcasecmp(job->key, key) == 0)
            return job;
    }
    return NULL;
}

/* Place of a `needs` entry, for errors. */
static const struct yaml_node *needs_node(const struct workflow *w, const char *job, const char *need)
{
    const struct yaml_node *needs = yaml_get(yaml_get(yaml_get(w->root, "jobs"), job), "needs");

    if (needs != NULL && needs->kind == YAML_SEQUENCE) {
        for (size_t i = 0; i < needs->len; i++) {
            if (strcmp(needs->items[i]->text, need) == 0)
                return needs->items[i];
        }
    }
    return needs;
}

static char *lower(const char *text)
{
    char *copy = xstrdup(text);

    for (char *p = copy; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return copy;
}

/* A need as two places in the list of jobs; `on` is -1 for a job that is not there. */
struct edge {
    int job, on;
    const char *need;
};

static struct edge *read_edges(const struct workflow *w, size_t *count)
{
    struct map places = {0};
    struct edge *edges;
    size_t n = 0;

    for (size_t i = 0; i < w->jobs.len; i++) {
        const struct workflow_job *job = w->jobs.items[i];
        char *key = lower(job->key);
        map_set(&places, key, (void *)(uintptr_t)(i + 1));
        free(key);
        n += job->needs.len;
    }
    edges = xcalloc(n + 1, sizeof *edges);
    *count = 0;
    for (size_t i = 0; i < w->jobs.len; i++) {
        const struct workflow_job *job = w->jobs.items[i];
        for (size_t k = 0; k < job->needs.len; k++) {
            char *key = lower(job->needs.items[k]);
            edges[(*count)++] = (struct edge){(int)i, (int)(uintptr_t)map_get(&places, key) - 1, job->needs.items[k]};
            free(key);
        }
    }
    map_finish(&places);
    return edges;
}

/* The first need of the first job that can never start. */
static int report_stuck(const struct workflow *w, const struct edge *edges, size_t n, const bool *done,
                        struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct workflow_job *job = w->jobs.items[edges[i].job];
        const struct yaml_node *at;

        if (done[edges[i].job] || (edges[i].on >= 0 && done[edges[i].on]))
            continue;
        at = needs_node(w, job->key, edges[i].need);
        return error_set_at(err, ERROR_PARSE, w->file, at->line, at->column,
                            edges[i].on < 0
                                ? "Job '%s' depends on unknown job '%s'."
                                : "Job '%s' depends on job '%s' which creates a cycle in the dependency graph.",
                            job->key, edges[i].need);
    }
    return 0;
}

static int check_graph(const struct workflow *w, struct error *err)
{
    size_t n = 0, ready = 0, finished = 0;
    struct edge *edges = read_edges(w, &n);
    bool *done = xcalloc(w->jobs.len + 1, sizeof *done);
    size_t *open = xcalloc(w->jobs.len + 1, sizeof *open), *queue = xcalloc(w->jobs.len + 1, sizeof *queue);
    int rc;

    for (size_t i = 0; i < n; i++)
        open[edges[i].job]++;
    for (size_t i = 0; i < w->jobs.len; i++) {
        if (open[i] == 0)
            queue[ready++] = i;
    }
    for (; finished < ready; finished++) {
        done[queue[finished]] = true;
        for (size_t i = 0; i < n; i++) {
            if (edges[i].on == (int)queue[finished] && --open[edges[i].job] == 0)
                queue[ready++] = (size_t)edges[i].job;
        }
    }
    if (ready == 0) {
        const struct yaml_node *jobs = yaml_get(w->root, "jobs");
        rc = error_set_at(err, ERROR_PARSE, w->file, jobs->line, jobs->column,
                          "The workflow must contain at least one job with no dependencies.");
    } else {
        rc = report_stuck(w, edges, n, done, err);
    }
    free(edges);
    free(done);
    free(open);
    free(queue);
    return rc;
}

#define MAX_JOBS 1000
#define TREE_BYTES_PER_BYTE 4 /* what a workflow's tree takes for each byte of its text, as a rule */

/* The tree of the text, checked for all that does not span jobs. */
static int read_root(struct workflow *w, const char *text, size_t n, struct tree_store *store, bool *is_new,
                     struct yaml_node **root, struct error *err)
{
    *root = store != NULL ? tree_store_find(store, &w->arena, w->file, text, n) : NULL;
    *is_new = *root == NULL;
    if (*is_new && (yaml_tree_read(&w->arena, text, n, w->file, false, root, err) < 0 ||
                    workflow_schema_check(*root, w->file, err) < 0 ||
                    event_filter_check(yaml_get(*root, "on"), w->file, err) < 0))
        return -1;
    return 0;
}

struct workflow *workflow_read(const char *text, size_t n, const char *file, struct tree_store *store, struct error *err)
{
    struct workflow *w = xcalloc(1, sizeof *w);
    struct yaml_node *root;
    const struct yaml_node *jobs;
    bool is_new;

    arena_reserve(&w->arena, n * TREE_BYTES_PER_BYTE, 4096);
    w->file = arena_strdup(&w->arena, file);
    if (read_root(w, text, n, store, &is_new, &root, err) < 0)
        goto fail;
    w->root = root;
    w->name = yaml_get_text(root, "name");
    if (w->name == NULL || *w->name == '\0')
        w->name = w->file;
    w->on = yaml_get(root, "on");
    w->env = yaml_get(root, "env");
    w->defaults = yaml_get(root, "defaults");
    w->concurrency = yaml_get(root, "concurrency");
    jobs = yaml_get(root, "jobs");
    if (jobs->len / 2 > MAX_JOBS) {
        error_set_at(err, ERROR_LIMIT, file, jobs->line, jobs->column, "more than %d jobs", MAX_JOBS);
        goto fail;
    }
    for (size_t i = 0; i + 1 < jobs->len; i += 2)
        read_job(w, jobs->items[i], jobs->items[i + 1]);
    if (check_graph(w, err) < 0)
        goto fail;
    if (is_new && store != NULL)
        tree_store_keep(store, file, text, n, root);
    return w;
fail:
    workflow_destroy(w);
    return NULL;
}

struct workflow *workflow_parse(const char *text, size_t n, const char *file, struct error *err)
{
    return workflow_read(text, n, file, NULL, err);
}

void workflow_destroy(struct workflow *workflow)
{
    if (workflow == NULL)
        return;
    for (size_t i = 0; i < workflow->jobs.len; i++) {
        struct workflow_job *job = workflow->jobs.items[i];
        str_list_finish(&job->needs);
    }
    vec_finish(&workflow->jobs);
    arena_finish(&workflow->arena);
    free(workflow);
}

struct workflow *workflow_create_literal(const char *file, const char *name)
{
    struct workflow *w = xcalloc(1, sizeof *w);

    w->file = arena_strdup(&w->arena, file);
    w->name = arena_strdup(&w->arena, name);
    w->is_literal = true;
    return w;
}

struct workflow_job *workflow_add_job(struct workflow *workflow, const char *key)
{
    struct workflow_job *job = arena_alloc(&workflow->arena, sizeof *job);

    job->key = arena_strdup(&workflow->arena, key);
    vec_push(&workflow->jobs, job);
    return job;
}

struct workflow_step *workflow_add_step(struct workflow *workflow, struct workflow_job *job, const char *name,
                                        const char *run)
{
    struct workflow_step *steps = arena_alloc(&workflow->arena, (job->step_count + 1) * sizeof *steps);
    struct workflow_step *step = &steps[job->step_count];

    if (job->step_count > 0)
        memcpy(steps, job->steps, job->step_count * sizeof *steps);
    step->name = arena_strdup(&workflow->arena, name);
    step->run = arena_strdup(&workflow->arena, run);
    job->steps = steps;
    job->step_count++;
    return step;
}

struct action *action_parse(const char *text, size_t n, const char *file, struct error *err)
{
    struct action *action = xcalloc(1, sizeof *action);
    struct yaml_node *root;
    const struct yaml_node *runs;

    action->file = arena_strdup(&action->arena, file);
    if (yaml_tree_read(&action->arena, text, n, file, false, &root, err) < 0 ||
        action_schema_check(root, file, err) < 0) {
        action_destroy(action);
        return NULL;
    }
    runs = yaml_get(root, "runs");
    action->name = yaml_get_text(root, "name");
    action->using = yaml_get_text(runs, "using");
    action->main = yaml_get_text(runs, "main");
    action->post = yaml_get_text(runs, "post");
    action->post_if = yaml_get_text(runs, "post-if");
    action->image = yaml_get_text(runs, "image");
    action->entrypoint = yaml_get_text(runs, "entrypoint");
    action->args = yaml_get(runs, "args");
    action->env = yaml_get(runs, "env");
    action->inputs = yaml_get(root, "inputs");
    action->outputs = yaml_get(root, "outputs");
    action->steps = read_steps(&action->arena, yaml_get(runs, "steps"), &action->step_count);
    return action;
}

void action_destroy(struct action *action)
{
    if (action == NULL)
        return;
    arena_finish(&action->arena);
    free(action);
}
