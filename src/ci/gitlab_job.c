/* ci/gitlab_job.c: one GitLab job to one job of the common model. */
#include "ci/gitlab_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "ci/matrix.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_LEGS 200

/* --------------------------------------------------------------------------------------------- variables */

static void set_text(json_t *values, const char *key, const char *text)
{
    json_t *value = json_string(text);

    json_object_set_new(values, key, value != NULL ? value : json_string(""));
}

/* "$" doubled: the value means itself. */
static void set_plain(json_t *values, const char *key, const char *text)
{
    struct buf b = BUF_INIT;

    for (; *text != '\0'; text++)
        buf_puts(&b, *text == '$' ? "$$" : (char[]){*text, '\0'});
    set_text(values, key, buf_cstr(&b));
    buf_free(&b);
}

void gitlab_add_variables(json_t *values, const struct yaml_node *node)
{
    for (size_t i = 0; node != NULL && node->kind == YAML_MAPPING && i + 1 < node->len; i += 2) {
        const struct yaml_node *value = node->items[i + 1];
        const char *text = value->kind == YAML_MAPPING ? yaml_get_text(value, "value") : yaml_text(value);
        const char *expand = yaml_get_text(value, "expand");

        if (text == NULL || yaml_is_null(value))
            text = "";
        if (expand != NULL && strcmp(expand, "false") == 0)
            set_plain(values, node->items[i]->text, text);
        else
            set_text(values, node->items[i]->text, text);
    }
}

/* What `inherit:WHAT` lets through: all, none, or those that are listed. */
static bool inherits(const struct yaml_node *job, const char *what, const char *key)
{
    const struct yaml_node *rule = yaml_get(yaml_get(job, "inherit"), what);

    if (yaml_is_null(rule))
        return true;
    if (rule->kind == YAML_SCALAR)
        return strcmp(rule->text, "false") != 0;
    for (size_t i = 0; rule->kind == YAML_SEQUENCE && i < rule->len; i++) {
        if (str_eq(yaml_text(rule->items[i]), key))
            return true;
    }
    return false;
}

json_t *gitlab_job_variables(struct gitlab_reader *r, const struct yaml_node *key,
                             const struct yaml_node *node)
{
    json_t *values = json_copy(r->predefined), *value;
    const char *stage = yaml_get_text(node, "stage"), *name;
    struct buf slug = BUF_INIT;

    json_object_foreach(r->globals, name, value)
    {
        if (inherits(node, "variables", name))
            json_object_set(values, name, value);
    }
    set_plain(values, "CI_JOB_NAME", key->text);
    for (const char *p = key->text; *p != '\0' && slug.len < 63; p++)
        buf_putc(&slug, isalnum((unsigned char)*p) ? (char)tolower((unsigned char)*p) : '-');
    set_text(values, "CI_JOB_NAME_SLUG", buf_cstr(&slug));
    set_plain(values, "CI_JOB_STAGE", stage != NULL ? stage : "test");
    gitlab_add_variables(values, yaml_get(node, "variables"));
    buf_free(&slug);
    return values;
}

struct resolver {
    const json_t *raw;
    json_t *resolved; /* what is done */
    json_t *visiting; /* names on the way: a cycle ends there */
};

#define MAX_VALUE_BYTES ((size_t)64 * 1024)

static void resolve_one(struct resolver *r, const char *key, size_t depth);

static void resolve_names(struct resolver *r, const char *text, size_t depth)
{
    for (const char *p = text; (p = strchr(p, '$')) != NULL;) {
        char *name;
        size_t n;

        p += p[1] == '{' ? 2 : 1;
        if (*p == '$') { /* "$$" */
            p++;
            continue;
        }
        n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
        name = xstrndup(p, n);
        resolve_one(r, name, depth + 1);
        free(name);
        p += n;
    }
}

static void resolve_one(struct resolver *r, const char *key, size_t depth)
{
    const char *text = json_string_value(json_object_get(r->raw, key)), *path = getenv("PATH");
    bool lends_path;
    char *expanded;

    if (text == NULL || depth > GITLAB_MAX_NESTING || json_object_get(r->resolved, key) != NULL ||
        json_object_get(r->visiting, key) != NULL)
        return;
    json_object_set_new(r->visiting, key, json_true());
    resolve_names(r, text, depth);
    json_object_del(r->visiting, key);
    /* "PATH: /x:$PATH" goes on from the machine's. */
    lends_path = strcmp(key, "PATH") == 0 && path != NULL;
    if (lends_path)
        json_object_set_new(r->resolved, key, json_string(path));
    expanded = gitlab_expand(text, r->resolved, NULL);
    if (strlen(expanded) > MAX_VALUE_BYTES)
        expanded[0] = '\0';
    set_text(r->resolved, key, expanded);
    free(expanded);
}

json_t *gitlab_resolve_variables(const json_t *raw)
{
    struct resolver r = {.raw = raw, .resolved = json_object(), .visiting = json_object()};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)raw, key, value) resolve_one(&r, key, 0);
    json_decref(r.visiting);
    return r.resolved;
}

static const struct yaml_node *variables_node(struct gitlab_reader *r, const json_t *raw)
{
    struct yaml_node *node = yaml_new_mapping(&r->w->arena);
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)raw, key, value)
        yaml_mapping_add(&r->w->arena, node, key, yaml_new_scalar(&r->w->arena, json_string_value(value)));
    return node;
}

/* -------------------------------------------------------------------------------------------------- legs */

static void add_leg(struct vec *legs, struct yaml_node *leg)
{
    if (legs->len < MAX_LEGS)
        vec_push(legs, leg);
}

/* The cross product of one entry of `parallel:matrix`. */
static void add_entry(struct gitlab_reader *r, struct vec *legs, const struct yaml_node *entry, size_t at,
                      struct yaml_node *leg)
{
    const struct yaml_node *value;

    if (at + 1 >= entry->len) {
        struct yaml_node *copy = yaml_new_mapping(&r->w->arena);
        for (size_t i = 0; i + 1 < leg->len; i += 2)
            yaml_mapping_add(&r->w->arena, copy, leg->items[i]->text, leg->items[i + 1]);
        add_leg(legs, copy);
        return;
    }
    value = entry->items[at + 1];
    for (size_t i = 0; i < (value->kind == YAML_SEQUENCE ? value->len : 1) && legs->len < MAX_LEGS; i++) {
        struct yaml_node *one =
            value->kind == YAML_SEQUENCE ? value->items[i] : (struct yaml_node *)(uintptr_t)value;
        if (one->kind == YAML_SEQUENCE) /* a reference that stands for a list */
            one = one->len > 0 && one->items[0]->kind == YAML_SCALAR ? one->items[0]
                                                                     : yaml_new_scalar(&r->w->arena, "");
        yaml_mapping_add(&r->w->arena, leg, entry->items[at]->text, one);
        add_entry(r, legs, entry, at + 2, leg);
    }
}

static void read_legs(struct gitlab_reader *r, const struct yaml_node *parallel, struct vec *legs)
{
    const struct yaml_node *matrix = yaml_get(parallel, "matrix");
    int64_t count = 0;

    if (yaml_is_null(parallel))
        return;
    if (parallel->kind == YAML_SCALAR && str_to_int64(parallel->text, 1, MAX_LEGS, &count)) {
        for (int64_t i = 1; i <= count; i++) {
            struct yaml_node *leg = yaml_new_mapping(&r->w->arena);
            char text[24];
            snprintf(text, sizeof text, "%lld", (long long)i);
            yaml_mapping_add(&r->w->arena, leg, "CI_NODE_INDEX", yaml_new_scalar(&r->w->arena, text));
            add_leg(legs, leg);
        }
    }
    for (size_t i = 0; matrix != NULL && i < matrix->len; i++)
        add_entry(r, legs, matrix->items[i], 0, yaml_new_mapping(&r->w->arena));
}

/* ----------------------------------------------------------------------------------------------- outcome */

static int decide(struct gitlab_reader *r, const struct gitlab_job *j, const json_t *raw,
                  struct gitlab_outcome *out, struct error *err)
{
    const struct yaml_node *rules = yaml_get(j->node, "rules"), *when = yaml_get(j->node, "when"),
                           *allow = yaml_get(j->node, "allow_failure");
    json_t *resolved = gitlab_resolve_variables(raw);
    enum gitlab_when own = GITLAB_ON_SUCCESS;
    int rc;

    if (!yaml_is_null(when))
        (void)gitlab_when_parse(when->text, &own);
    *out = (struct gitlab_outcome){.when = own, .allow_failure = -1};
    rc = !yaml_is_null(rules) ? gitlab_rules(r, rules, own, resolved, out, err)
                              : gitlab_only_except(r, j->node, resolved, out, err);
    json_decref(resolved);
    if (rc < 0)
        return -1;
    if (out->allow_failure < 0 && !yaml_is_null(allow) && allow->kind == YAML_SCALAR)
        out->allow_failure = strcmp(allow->text, "true") == 0;
    /* A manual job blocks only where it is told to, or where `rules` made it one. */
    if (out->allow_failure < 0)
        out->allow_failure = out->when == GITLAB_MANUAL && yaml_is_null(rules);
    return 0;
}

static bool names_other_system(const char *tag)
{
    static const char *const systems[] = {"windows", "macos", "osx", "darwin", "freebsd"};

    for (size_t i = 0; i < sizeof systems / sizeof *systems; i++) {
        if (strcasestr(tag, systems[i]) != NULL)
            return true;
    }
    return false;
}

static const char *image_name(const struct yaml_node *image)
{
    const char *name = yaml_is_null(image)           ? NULL
                       : image->kind == YAML_MAPPING ? yaml_get_text(image, "name")
                                                     : yaml_text(image);

    return name != NULL && *name != '\0' ? name : NULL;
}

/* With the job's variables put in. */
static const char *expanded_image(struct gitlab_reader *r, const char *image, const json_t *raw)
{
    json_t *variables;
    char *expanded, *copy;

    if (image == NULL || strchr(image, '$') == NULL)
        return image;
    variables = gitlab_resolve_variables(raw);
    expanded = gitlab_expand(image, variables, NULL);
    copy = arena_strdup(&r->w->arena, *expanded != '\0' ? expanded : image);
    free(expanded);
    json_decref(variables);
    return copy;
}

/* Why this machine does not run it, or NULL. */
static const char *obstacle(struct gitlab_reader *r, const struct gitlab_job *j)
{
    struct arena *arena = &r->w->arena;
    const struct yaml_node *services = yaml_get(j->node, "services"), *tags = yaml_get(j->node, "tags"),
                           *environment = yaml_get(j->node, "environment");
    const char *action = yaml_get_text(environment, "action");

    for (size_t i = 0; tags != NULL && tags->kind == YAML_SEQUENCE && i < tags->len; i++) {
        const char *tag = yaml_text(tags->items[i]);
        if (tag != NULL && names_other_system(tag))
            return arena_printf(arena, "needs a runner tagged '%s'; this machine is Linux", tag);
    }
    if (!yaml_is_null(yaml_get(j->node, "trigger")))
        return "starts another pipeline";
    if (!yaml_is_null(yaml_get(j->node, "run")))
        return "is made of `run:` steps, which are not mirrored";
    if (!yaml_is_null(yaml_get(j->node, "release")))
        return "makes a release";
    if (!yaml_is_null(environment) &&
        (action == NULL || strcmp(action, "start") == 0 || strcmp(action, "stop") == 0)) {
        const char *name =
            environment->kind == YAML_MAPPING ? yaml_get_text(environment, "name") : environment->text;
        return arena_printf(arena, "deploys to the environment %s", name != NULL ? name : "");
    }
    if (j->outcome.when == GITLAB_MANUAL)
        return "manual: a person starts it";
    if (!yaml_is_null(services) && services->kind == YAML_SEQUENCE && services->len > 0) {
        const struct yaml_node *first = services->items[0];
        const char *name = first->kind == YAML_MAPPING ? yaml_get_text(first, "name") : yaml_text(first);
        return arena_printf(arena, "needs the service %s; no container engine is used",
                            name != NULL ? name : "");
    }
    return NULL;
}

/* "1h 30m" in minutes as text; NULL when it says nothing. */
static const char *timeout_minutes(struct arena *arena, const struct yaml_node *timeout)
{
    const char *p = yaml_text(timeout);
    double seconds = 0;

    while (p != NULL && *p != '\0') {
        char *end;
        double number = strtod(p, &end);
        if (end == p) {
            p++;
            continue;
        }
        p = end + strspn(end, " ");
        seconds += number * (*p == 'h'                  ? 3600
                             : *p == 'm' && p[1] != 'o' ? 60
                             : *p == 'd'                ? 86400
                             : *p == 'w'                ? 604800
                                                        : 1);
        while (isalpha((unsigned char)*p))
            p++;
    }
    return seconds > 0 && seconds < 1e8 ? arena_printf(arena, "%.2f", seconds / 60) : NULL;
}

static const int *exit_codes(struct arena *arena, const struct yaml_node *allow)
{
    const struct yaml_node *codes = yaml_get(allow, "exit_codes");
    size_t n = codes == NULL ? 0 : codes->kind == YAML_SEQUENCE ? codes->len : 1, used = 0;
    int *list;

    if (codes == NULL || codes->kind == YAML_MAPPING)
        return NULL;
    list = arena_alloc(arena, (n + 1) * sizeof *list);
    for (size_t i = 0; i < n; i++) {
        const char *text = yaml_text(codes->kind == YAML_SEQUENCE ? codes->items[i] : codes);
        int64_t code;
        if (text != NULL && str_to_int64(text, 1, 255, &code))
            list[used++] = (int)code;
    }
    return list;
}

/* `retry: 2`, or a mapping: which failures count and after which exit codes. The runner's own failures do not happen here. */
static void read_retry(struct arena *arena, const struct yaml_node *retry, struct workflow_job *job)
{
    const char *max = retry != NULL && retry->kind == YAML_MAPPING ? yaml_get_text(retry, "max") : yaml_text(retry);
    const struct yaml_node *when = yaml_get(retry, "when");
    bool counts = when == NULL;
    int64_t n;

    for (size_t i = 0; when != NULL && i < (when->kind == YAML_SEQUENCE ? when->len : 1); i++) {
        const char *kind = yaml_text(when->kind == YAML_SEQUENCE ? when->items[i] : when);
        counts = counts || str_eq(kind, "always") || str_eq(kind, "script_failure");
    }
    job->retry_exit_codes = retry != NULL && retry->kind == YAML_MAPPING ? exit_codes(arena, retry) : NULL;
    if (max == NULL && retry != NULL && retry->kind == YAML_MAPPING)
        max = "2"; /* GitLab's bound, which is also what it takes when only `when` or `exit_codes` stands there */
    if ((counts || job->retry_exit_codes != NULL) && max != NULL && str_to_int64(max, 0, 2, &n))
        job->retries = (int)n;
}

int gitlab_job_build(struct gitlab_reader *r, struct gitlab_job *j, struct error *err)
{
    struct arena *arena = &r->w->arena;
    const struct yaml_node *parallel = yaml_get(j->node, "parallel"),
                           *allow = yaml_get(j->node, "allow_failure");
    json_t *raw = gitlab_job_variables(r, j->key, j->node);
    struct vec legs = {0}, kept = {0};
    struct gitlab_outcome outcome;
    struct workflow_job *job = arena_alloc(arena, sizeof *job);
    int rc = -1;

    job->key = j->key->text;
    job->line = j->key->line;
    j->job = job;
    read_legs(r, parallel, &legs);
    if (legs.len > 0) {
        char text[24];
        snprintf(text, sizeof text, "%zu", legs.len);
        set_text(raw, "CI_NODE_TOTAL", text);
    }
    if (legs.len == 0 && decide(r, j, raw, &j->outcome, err) < 0)
        goto out;
    for (size_t i = 0; i < legs.len; i++) {
        json_t *own = json_copy(raw);
        gitlab_add_variables(own, legs.items[i]);
        rc = decide(r, j, own, &outcome, err);
        json_decref(own);
        if (rc < 0)
            goto out;
        if (!j->outcome.is_in)
            j->outcome = outcome;
        if (outcome.is_in)
            vec_push(&kept, legs.items[i]);
    }
    j->is_in = j->outcome.is_in;
    if (kept.len > 0)
        job->legs = yaml_new_sequence(arena, (struct yaml_node *const *)kept.items, kept.len);
    gitlab_add_variables(raw, j->outcome.variables);
    job->env = variables_node(r, raw);
    job->timeout_minutes = timeout_minutes(arena, yaml_get(j->node, "timeout"));
    job->allow_failure = j->outcome.allow_failure > 0;
    job->allow_exit_codes = allow != NULL && allow->kind == YAML_MAPPING ? exit_codes(arena, allow) : NULL;
    read_retry(arena, yaml_get(j->node, "retry"), job);
    job->when = j->outcome.when == GITLAB_ON_FAILURE ? WORKFLOW_ON_FAILURE
                : j->outcome.when == GITLAB_ALWAYS   ? WORKFLOW_ALWAYS
                                                     : WORKFLOW_ON_SUCCESS;
    job->image = expanded_image(r, image_name(yaml_get(j->node, "image")), raw);
    if (job->image != NULL)
        job->note = arena_printf(arena, "written for the image %s; it runs on this machine", job->image);
    else if (j->outcome.when == GITLAB_DELAYED)
        job->note = "delayed on GitLab; runs at once here";
    job->skip_reason = !j->is_in ? j->outcome.reason : obstacle(r, j);
    j->is_optional_manual = j->is_in && j->outcome.when == GITLAB_MANUAL && job->allow_failure;
    job->saves_artifacts = j->is_in && gitlab_saves_artifacts(j->node);
    rc = 0;
out:
    json_decref(raw);
    vec_finish(&legs);
    vec_finish(&kept);
    return rc;
}
