/* ci/event_filter.c: `on` of a workflow.
 * (docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet) */
#include "ci/event_filter.h"

#include "ci/template.h"

#include <stdio.h>
#include <string.h>

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

const struct yaml_node *event_path_filters(const struct yaml_node *on, const char *event)
{
    const struct yaml_node *filters = yaml_get(on, event);

    return yaml_get(filters, "paths") != NULL || yaml_get(filters, "paths-ignore") != NULL ? filters : NULL;
}

bool event_path_counts(const struct yaml_node *filters, const char *path)
{
    const struct yaml_node *paths = yaml_get(filters, "paths"), *ignored = yaml_get(filters, "paths-ignore");

    return paths != NULL ? list_matches(paths, path) : !list_matches(ignored, path);
}

static bool paths_match(const struct yaml_node *filters, const struct event *event)
{
    const struct yaml_node *paths = yaml_get(filters, "paths"), *ignored = yaml_get(filters, "paths-ignore");

    if (event->changed_paths == NULL || (paths == NULL && ignored == NULL))
        return true;
    for (size_t i = 0; i < event->changed_paths->len; i++) {
        if (event_path_counts(filters, event->changed_paths->items[i]))
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
