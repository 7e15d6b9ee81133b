/* ci/plan.c: finds the definition of the CI and lays out its jobs for one event. */
#include "ci/plan_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "ci/container.h"
#include "ci/detect.h"
#include "ci/event_filter.h"
#include "ci/github_context.h"
#include "ci/gitlab.h"
#include "ci/plan_jobs.h"
#include "ci/tree_store.h"
#include "config/run_settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#define MAX_WORKFLOWS 500

static const char *option_or(const char *value, const char *fallback)
{
    return value != NULL && *value != '\0' ? value : fallback;
}

/* TEXT is room for the file, so that a series of files shares it. */
static int read_workflow(struct workflow **out, const struct ci_plan *plan, const char *file, struct buf *text,
                         struct error *err)
{
    char *path = path_join(plan->root, file);
    int rc = -1;

    *out = NULL;
    buf_clear(text);
    if (file_read(path, text, YAML_MAX_BYTES, err) == 0) {
        *out = workflow_read(buf_cstr(text), text->len, file, plan->trees, err);
        rc = *out != NULL ? 0 : -1;
    }
    free(path);
    return rc;
}

struct workflow *plan_called_workflow(struct ci_plan *plan, const char *uses, struct error *err)
{
    char *file = path_normalize(uses);
    struct workflow *w = NULL;
    struct buf text = BUF_INIT;

    for (size_t i = 0; w == NULL && i < plan->called.len; i++) {
        struct workflow *known = plan->called.items[i];
        if (strcmp(known->file, file) == 0)
            w = known;
    }
    if (w == NULL && !path_is_plain_relative(file)) {
        error_set(err, ERROR_PARSE, "invalid value workflow reference: %s", uses);
    } else if (w == NULL && read_workflow(&w, plan, file, &text, err) == 0) {
        vec_push(&plan->called, w);
    }
    buf_free(&text);
    free(file);
    return w;
}

/* Is this the workflow that a person asked for: "ci", "ci.yml", ".github/workflows/ci.yml" or its name? */
static bool is_asked_for(const struct workflow *w, const char *wanted)
{
    const char *base = path_basename(w->file);
    size_t stem = strcspn(base, ".");

    return wanted == NULL || strcmp(w->file, wanted) == 0 || strcmp(base, wanted) == 0 ||
           strcasecmp(w->name, wanted) == 0 || (strlen(wanted) == stem && strncmp(base, wanted, stem) == 0);
}

static void add_unmatched(struct ci_plan *plan, struct workflow *w, const char *reason)
{
    for (size_t i = 0; i < w->jobs.len; i++) {
        const struct workflow_job *job = w->jobs.items[i];
        plan_add_skipped_job(plan, w, job, reason);
    }
}

static bool is_chosen(const struct workflow *w, const struct ci_options *options)
{
    bool chosen = options->workflows == NULL || options->workflows->len == 0;

    for (size_t i = 0; !chosen && i < options->workflows->len; i++)
        chosen = is_asked_for(w, options->workflows->items[i]);
    return chosen && is_asked_for(w, options->workflow);
}

static int plan_github_file(struct ci_plan *plan, const struct ci_options *options, const struct event *event,
                            const char *name, struct buf *text, struct error *err)
{
    char *file = path_join(".github/workflows", name);
    struct workflow *w;
    char reason[512];
    int rc = read_workflow(&w, plan, file, text, err);

    free(file);
    if (rc < 0)
        return -1;
    if (!is_chosen(w, options)) {
        workflow_destroy(w);
    } else if (event_filter_matches(w->on, event, reason, sizeof reason)) {
        vec_push(&plan->workflows, w);
        rc = plan_add_workflow(plan, w, err);
    } else if (options->include_unmatched) {
        vec_push(&plan->called, w); /* owned, never run */
        add_unmatched(plan, w, reason);
    } else {
        workflow_destroy(w);
    }
    return rc;
}

static int plan_github(struct ci_plan *plan, const struct ci_options *options, const struct str_list *files,
                       struct error *err)
{
    const char *name = option_or(options->event, "push");
    bool is_push = strcmp(name, "push") == 0;
    struct event event = {
        .name = name,
        .branch = is_push ? option_or(options->branch, "main") : option_or(options->base_branch, "main"),
        .tag = is_push ? options->tag : NULL,
        .changed_paths = options->changed_paths,
    };
    struct buf text = BUF_INIT;
    int rc = 0;

    plan->source = CI_SOURCE_GITHUB;
    for (size_t i = 0; rc == 0 && i < files->len && i < MAX_WORKFLOWS; i++)
        rc = plan_github_file(plan, options, &event, files->items[i], &text, err);
    if (rc == 0 && plan->trees != NULL)
        tree_store_save(plan->trees);
    buf_free(&text);
    return rc;
}

static int plan_literal(struct ci_plan *plan, struct workflow *w, enum ci_source source, struct error *err)
{
    plan->source = source;
    vec_push(&plan->workflows, w);
    return plan_add_workflow(plan, w, err);
}

static int plan_gitlab(struct ci_plan *plan, const struct ci_options *options, struct error *err)
{
    char *path = path_join(plan->root, GITLAB_FILE);
    struct buf text = BUF_INIT;
    struct workflow *w = NULL;

    if (file_read(path, &text, YAML_MAX_BYTES, err) == 0)
        w = gitlab_workflow(buf_cstr(&text), text.len, GITLAB_FILE, options, err);
    buf_free(&text);
    free(path);
    return w != NULL ? plan_literal(plan, w, CI_SOURCE_GITLAB, err) : -1;
}

static bool has_gitlab(const struct ci_plan *plan)
{
    char *path = path_join(plan->root, GITLAB_FILE);
    bool found = file_is_regular(path);

    free(path);
    return found;
}

static struct workflow *commands_workflow(const struct str_list *commands)
{
    struct workflow *w = workflow_create_literal("cadre.toml", "commands");
    struct workflow_job *job = workflow_add_job(w, "commands");

    for (size_t i = 0; i < commands->len; i++) {
        char *name = xstrndup(commands->items[i], strcspn(commands->items[i], "\n"));
        workflow_add_step(w, job, name, commands->items[i]);
        free(name);
    }
    return w;
}

static void list_workflow_files(const char *root, struct str_list *files)
{
    char *folder = path_join(root, ".github/workflows");
    struct str_list names = {0};
    struct error err = {0};

    if (file_is_directory(folder) && file_list_directory(folder, &names, &err) == 0) {
        for (size_t i = 0; i < names.len; i++) {
            if (str_ends_with(names.items[i], ".yml") || str_ends_with(names.items[i], ".yaml"))
                str_list_add(files, names.items[i]);
        }
    }
    str_list_finish(&names);
    free(folder);
}

/* The user's mappings, as rows like those of actions.h. */
static void take_user_actions(struct ci_plan *plan, const struct ci_options *options)
{
    plan->user_actions = arena_alloc(&plan->arena, (options->action_count + 1) * sizeof *plan->user_actions);
    for (size_t i = 0; i < options->action_count; i++) {
        const struct action_setting *from = &options->actions[i];
        struct action_mapping *to = &plan->user_actions[plan->user_action_count++];

        *to = (struct action_mapping){.kind = ACTION_SATISFIED, .reason = "the mapping in cadre.toml"};
        if (from->skip != NULL) {
            to->kind = ACTION_SKIP;
            to->reason = arena_strdup(&plan->arena, from->skip);
        } else if (from->uses != NULL) {
            action_map_find(from->uses, NULL, 0, to);
        } else if (from->run != NULL) {
            to->kind = ACTION_COMMAND;
            to->command = arena_strdup(&plan->arena, from->run);
        } else if (from->satisfied != NULL) {
            to->reason = arena_strdup(&plan->arena, from->satisfied);
        }
        to->action = arena_strdup(&plan->arena, from->action);
    }
}

struct ci_plan *ci_plan_create(const struct ci_options *options, struct error *err)
{
    struct ci_plan *plan = xcalloc(1, sizeof *plan);
    struct str_list files = {0};
    struct workflow *detected;
    int64_t start_us = clock_monotonic_us();
    struct utsname host;
    int rc = 0;

    plan->is_arm = uname(&host) == 0 && strcmp(host.machine, "aarch64") == 0;
    plan->root = xstrdup(options->definition_dir);
    plan->job_filter = xstrdup(options->job);
    take_user_actions(plan, options);
    plan->container_engine = arena_strdup(&plan->arena, container_engine(options->container_engine));
    plan->contexts = github_contexts(options);
    list_workflow_files(plan->root, &files);

    if (options->cache_dir != NULL && files.len > 0)
        plan->trees = tree_store_open(options->cache_dir, plan->root);
    if (options->commands != NULL && options->commands->len > 0)
        rc = plan_literal(plan, commands_workflow(options->commands), CI_SOURCE_COMMANDS, err);
    else if (files.len > 0)
        rc = plan_github(plan, options, &files, err);
    else if (has_gitlab(plan))
        rc = plan_gitlab(plan, options, err);
    else if ((detected = detect_workflow(plan->root)) != NULL)
        rc = plan_literal(plan, detected, CI_SOURCE_DETECTED, err);

    plan_forget_facts(plan);
    str_list_finish(&files);
    if (rc < 0) {
        ci_plan_destroy(plan);
        return NULL;
    }
    plan_apply_job_filter(plan);
    plan->took_us = clock_monotonic_us() - start_us;
    return plan;
}

static void free_jobs(struct vec *jobs)
{
    for (size_t i = 0; i < jobs->len; i++) {
        struct plan_job *job = jobs->items[i];
        str_list_finish(&job->pub.needs);
        json_decref(job->leg);
        json_decref(job->inputs);
    }
    vec_finish(jobs);
}

void ci_plan_destroy(struct ci_plan *plan)
{
    if (plan == NULL)
        return;
    free_jobs(&plan->jobs);
    free_jobs(&plan->expanded);
    for (size_t i = 0; i < plan->workflows.len; i++)
        workflow_destroy(plan->workflows.items[i]);
    for (size_t i = 0; i < plan->called.len; i++)
        workflow_destroy(plan->called.items[i]);
    for (size_t i = 0; i < plan->actions.len; i++)
        action_destroy(plan->actions.items[i]);
    vec_finish(&plan->workflows);
    vec_finish(&plan->called);
    vec_finish(&plan->actions);
    tree_store_close(plan->trees);
    json_decref(plan->contexts);
    json_decref(plan->kept);
    map_finish(&plan->ids);
    arena_finish(&plan->arena);
    free(plan->root);
    free(plan->job_filter);
    free(plan);
}

enum ci_source ci_plan_source(const struct ci_plan *plan)
{
    return plan->source;
}

const char *ci_source_name(enum ci_source source)
{
    static const char *const names[] = {"none", "commands", "github", "gitlab", "detected"};

    return names[source];
}

size_t ci_plan_job_count(const struct ci_plan *plan)
{
    return plan->jobs.len;
}

const struct ci_plan_job *ci_plan_job(const struct ci_plan *plan, size_t index)
{
    const struct plan_job *job = plan->jobs.items[index];

    return &job->pub;
}

struct ci_share ci_plan_share(const struct ci_plan *plan)
{
    struct ci_share share = {0};

    for (size_t i = 0; i < plan->jobs.len; i++) {
        const struct ci_plan_job *job = ci_plan_job(plan, i);
        for (size_t k = 0; k < job->step_count; k++) {
            share.run += job->steps[k].kind == CI_STEP_RUN;
            share.satisfied += job->steps[k].kind == CI_STEP_SATISFIED;
            share.skipped += job->steps[k].kind == CI_STEP_SKIPPED;
        }
    }
    return share;
}

const char *ci_plan_repository(const struct ci_plan *plan)
{
    const char *name = json_string_value(json_object_get(json_object_get(plan->contexts, "github"), "repository"));

    return name != NULL ? name : "";
}

int64_t ci_plan_took_us(const struct ci_plan *plan)
{
    return plan->took_us;
}
