/* ci/event_filter.c: `on` of a workflow.
 * (docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet) */
#include "ci/event_filter.h"

#include "ci/template.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const events[] = {
    "branch_protection_rule", "check_run", "check_suite", "create", "delete", "deployment",
    "deployment_status", "discussion", "discussion_comment", "fork", "gollum", "image_version",
    "issue_comment", "issues", "label", "merge_group", "milestone", "page_build", "project", "project_card",
    "project_column", "public", "pull_request", "pull_request_comment", "pull_request_review",
    "pull_request_review_comment", "pull_request_target", "push", "registry_package", "release",
    "repository_dispatch", "schedule", "status", "watch", "workflow_call", "workflow_dispatch",
    "workflow_run", NULL};

struct filters {
    const char *event;
    const char *keys[12];
};

static const struct filters known_filters[] = {
    {"push", {"branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore"}},
    {"pull_request", {"types", "branches", "branches-ignore", "paths", "paths-ignore"}},
    {"pull_request_target", {"types", "branches", "branches-ignore", "paths", "paths-ignore"}},
    {"workflow_run", {"types", "workflows", "branches", "branches-ignore"}},
    {"workflow_dispatch", {"inputs"}},
    {"workflow_call", {"inputs", "outputs", "secrets"}},
    {"merge_group", {"types", "branches", "branches-ignore"}},
    {"image_version", {"names", "versions"}},
};

static int fail(const struct yaml_node *at, const char *file, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(const struct yaml_node *at, const char *file, struct error *err, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_set_at(err, ERROR_PARSE, file, at->line, at->column, "%s", text);
}

static int check_event_name(const struct yaml_node *name, const char *file, struct error *err)
{
    if (name->kind != YAML_SCALAR)
        return fail(name, file, err, "A %s was not expected",
                    name->kind == YAML_MAPPING ? "mapping" : "sequence");
    for (size_t i = 0; events[i] != NULL; i++) {
        if (strcmp(events[i], name->text) == 0)
            return 0;
    }
    return fail(name, file, err, "Unexpected value '%s'", name->text);
}

static bool is_known_filter(const char *event, const char *key)
{
    for (size_t i = 0; i < sizeof known_filters / sizeof *known_filters; i++) {
        if (strcmp(known_filters[i].event, event) != 0)
            continue;
        for (size_t k = 0; known_filters[i].keys[k] != NULL; k++) {
            if (strcmp(known_filters[i].keys[k], key) == 0)
                return true;
        }
        return false;
    }
    return strcmp(key, "types") == 0;
}

static int check_patterns(const struct yaml_node *node, const char *file, struct error *err)
{
    if (node->kind == YAML_MAPPING)
        return fail(node, file, err, "A %s was not expected", "mapping");
    if (node->kind == YAML_SCALAR)
        return yaml_is_null(node) ? fail(node, file, err, "Unexpected value '%s'", node->text) : 0;
    for (size_t i = 0; i < node->len; i++) {
        if (node->items[i]->kind != YAML_SCALAR)
            return fail(node->items[i], file, err, "A %s was not expected",
                        node->items[i]->kind == YAML_MAPPING ? "mapping" : "sequence");
    }
    return 0;
}

static int check_inputs(const struct yaml_node *inputs, bool is_call, const char *file, struct error *err)
{
    static const char *const dispatch_types[] = {"string", "boolean", "choice", "environment", "number", NULL};
    static const char *const call_types[] = {"string", "boolean", "number", NULL};

    if (yaml_is_null(inputs))
        return 0;
    if (inputs->kind != YAML_MAPPING)
        return fail(inputs, file, err, "A %s was not expected", "sequence");
    for (size_t i = 0; i + 1 < inputs->len; i += 2) {
        const struct yaml_node *type = yaml_get(inputs->items[i + 1], "type");
        const char *const *types = is_call ? call_types : dispatch_types;
        bool is_known = false;

        /* GitHub asks for a type in workflow_call; without one an input is text, as in workflow_dispatch. */
        if (type == NULL)
            continue;
        for (; *types != NULL; types++)
            is_known = is_known || (type->kind == YAML_SCALAR && strcmp(type->text, *types) == 0);
        if (!is_known)
            return fail(type, file, err, "Unexpected value '%s'", yaml_text(type) != NULL ? type->text : "");
    }
    return 0;
}

static int check_event(const struct yaml_node *name, const struct yaml_node *filters, const char *file,
                       struct error *err)
{
    static const char *const kinds[] = {"branches", "tags", "paths"};

    if (strcmp(name->text, "schedule") == 0) {
        if (filters->kind != YAML_SEQUENCE)
            return fail(filters, file, err, "Unexpected value '%s'",
                        yaml_text(filters) != NULL ? filters->text : "");
        for (size_t i = 0; i < filters->len; i++) {
            if (yaml_get(filters->items[i], "cron") == NULL)
                return fail(filters->items[i], file, err, "Required property is missing: %s", "cron");
        }
        return 0;
    }
    if (yaml_is_null(filters))
        return 0;
    if (filters->kind == YAML_SCALAR)
        return fail(filters, file, err, "Unexpected value '%s'", filters->text);
    if (filters->kind == YAML_SEQUENCE)
        return fail(filters, file, err, "A %s was not expected", "sequence");
    for (size_t i = 0; i + 1 < filters->len; i += 2) {
        const struct yaml_node *key = filters->items[i], *value = filters->items[i + 1];

        if (!is_known_filter(name->text, key->text))
            return fail(key, file, err, "Unexpected value '%s'", key->text);
        if (strcmp(key->text, "inputs") == 0) {
            if (check_inputs(value, strcmp(name->text, "workflow_call") == 0, file, err) < 0)
                return -1;
        } else if (strcmp(key->text, "outputs") != 0 && strcmp(key->text, "secrets") != 0 &&
                   check_patterns(value, file, err) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char ignore[32];
        const struct yaml_node *ignored;

        snprintf(ignore, sizeof ignore, "%s-ignore", kinds[i]);
        ignored = yaml_get(filters, ignore);
        if (ignored != NULL && yaml_get(filters, kinds[i]) != NULL)
            return error_set_at(err, ERROR_PARSE, file, ignored->line, ignored->column,
                                "you may only define one of `%s` and `%s` for a single event", kinds[i],
                                ignore);
    }
    return 0;
}

int event_filter_check(const struct yaml_node *on, const char *file, struct error *err)
{
    if (on->kind == YAML_SCALAR)
        return check_event_name(on, file, err);
    if (on->len == 0)
        return fail(on, file, err, "No events are defined in `%s`", "on");
    for (size_t i = 0; i < on->len; i += on->kind == YAML_MAPPING ? 2 : 1) {
        if (check_event_name(on->items[i], file, err) < 0)
            return -1;
        if (on->kind == YAML_MAPPING && check_event(on->items[i], on->items[i + 1], file, err) < 0)
            return -1;
    }
    return 0;
}

static bool class_matches(const char *p, const char *end, char c)
{
    for (; p < end; p++) {
        if (p + 2 < end && p[1] == '-') {
            if (c >= p[0] && c <= p[2])
                return true;
            p += 2;
        } else if (*p == c) {
            return true;
        }
    }
    return false;
}

/* STEPS bounds the work on patterns like "a*a*a*b" (they come from the repository). */
static bool glob_here(const char *p, const char *t, int *steps)
{
    while (*p != '\0') {
        const char *next, *class_end = NULL;
        size_t min = 1, max = 1;

        if (--*steps < 0)
            return false;
        if (*p == '*') {
            bool spans = p[1] == '*';
            /* Between parts, "**" and its slash may also stand for nothing. */
            if (spans && p[2] == '/' && glob_here(p + 3, t, steps))
                return true;
            next = p + (spans ? 2 : 1);
            for (;; t++) {
                if (glob_here(next, t, steps))
                    return true;
                if (*t == '\0' || (!spans && *t == '/') || *steps < 0)
                    return false;
            }
        }
        if (*p == '[')
            class_end = strchr(p + 1, ']');
        if (p[0] == '\\' && p[1] != '\0')
            next = p + 2;
        else
            next = class_end != NULL ? class_end + 1 : p + 1;
        if (*next == '?') {
            min = 0;
            next++;
        } else if (*next == '+') {
            max = (size_t)-1;
            next++;
        }
        for (size_t count = 0; count < max; count++, t++) {
            char c = p[0] == '\\' && p[1] != '\0' ? p[1] : *p;
            bool is_same = *t != '\0' && (class_end != NULL ? class_matches(p + 1, class_end, *t) : *t == c);

            if (min != max && count >= min && glob_here(next, t, steps))
                return true;
            if (!is_same)
                return false;
        }
        p = next;
    }
    return *t == '\0';
}

bool event_glob_match(const char *pattern, const char *text)
{
    int steps = 100000;

    return glob_here(pattern, text, &steps);
}

/* Patterns in order; "!x" takes back what matched before. */
static bool list_matches(const struct yaml_node *patterns, const char *text)
{
    bool matches = false;

    if (patterns->kind == YAML_SCALAR)
        return event_glob_match(patterns->text, text);
    for (size_t i = 0; i < patterns->len; i++) {
        const char *p = patterns->items[i]->text;
        if (p[0] == '!' && event_glob_match(p + 1, text))
            matches = false;
        else if (p[0] != '!' && event_glob_match(p, text))
            matches = true;
    }
    return matches;
}

static bool paths_match(const struct yaml_node *filters, const struct event *event)
{
    const struct yaml_node *paths = yaml_get(filters, "paths"), *ignored = yaml_get(filters, "paths-ignore");

    if (event->changed_paths == NULL || (paths == NULL && ignored == NULL))
        return true;
    for (size_t i = 0; i < event->changed_paths->len; i++) {
        const char *path = event->changed_paths->items[i];
        if (paths != NULL ? list_matches(paths, path) : !list_matches(ignored, path))
            return true;
    }
    return false;
}

static bool refs_match(const struct yaml_node *filters, const struct event *event, char *reason, size_t n)
{
    bool is_tag = event->tag != NULL;
    const char *ref = is_tag ? event->tag : event->branch != NULL ? event->branch : "";
    const struct yaml_node *wanted = yaml_get(filters, is_tag ? "tags" : "branches");
    const struct yaml_node *ignored = yaml_get(filters, is_tag ? "tags-ignore" : "branches-ignore");
    bool has_branches = yaml_get(filters, "branches") != NULL || yaml_get(filters, "branches-ignore") != NULL;
    bool has_tags = yaml_get(filters, "tags") != NULL || yaml_get(filters, "tags-ignore") != NULL;

    if (wanted != NULL ? !list_matches(wanted, ref) : ignored != NULL && list_matches(ignored, ref)) {
        snprintf(reason, n, "`on.%s.%s` does not match %s '%s'", event->name,
                 is_tag ? (wanted != NULL ? "tags" : "tags-ignore")
                        : (wanted != NULL ? "branches" : "branches-ignore"),
                 is_tag ? "tag" : "branch", ref);
        return false;
    }
    if (wanted == NULL && ignored == NULL && (is_tag ? has_branches : has_tags)) {
        snprintf(reason, n, "`on.%s` is for %s only", event->name, is_tag ? "branches" : "tags");
        return false;
    }
    return true;
}

bool event_filter_matches(const struct yaml_node *on, const struct event *event, char *reason, size_t n)
{
    const struct yaml_node *filters, *types;
    bool is_listed = false;

    reason[0] = '\0';
    if (on->kind == YAML_SCALAR)
        is_listed = strcmp(on->text, event->name) == 0;
    for (size_t i = 0; on->kind != YAML_SCALAR && i < on->len; i += on->kind == YAML_MAPPING ? 2 : 1)
        is_listed = is_listed || strcmp(on->items[i]->text, event->name) == 0;
    if (!is_listed) {
        snprintf(reason, n, "not run on %s", event->name);
        return false;
    }
    filters = yaml_get(on, event->name);
    if (filters == NULL || filters->kind != YAML_MAPPING)
        return true;
    types = yaml_get(filters, "types");
    if (types != NULL && strncmp(event->name, "pull_request", 12) == 0) {
        bool wanted = event->activity != NULL
                          ? list_matches(types, event->activity)
                          : list_matches(types, "opened") || list_matches(types, "synchronize") ||
                                list_matches(types, "reopened");
        if (!wanted) {
            snprintf(reason, n, "`on.%s.types` is for other activities", event->name);
            return false;
        }
    }
    if (!refs_match(filters, event, reason, n))
        return false;
    if (event->tag == NULL && !paths_match(filters, event)) {
        snprintf(reason, n, "no changed path matches `on.%s.paths`", event->name);
        return false;
    }
    return true;
}
