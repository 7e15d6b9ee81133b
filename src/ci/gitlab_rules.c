/* ci/gitlab_rules.c: is a job in the pipeline of this event?
 * (docs.gitlab.com/ci/jobs/job_rules; only and except as of docs.gitlab.com/ci/yaml/deprecated_keywords) */
#include "ci/gitlab_internal.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/path.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WALKED_FILES 20000
#define MAX_PATTERNS     100

/* "a/{b,c}" to "a/b" and "a/c". */
static void expand_braces(const char *pattern, struct str_list *out)
{
    const char *open = strchr(pattern, '{'), *close = open != NULL ? strchr(open, '}') : NULL;
    struct str_list parts = {0};
    char *inner;

    if (close == NULL || out->len >= MAX_PATTERNS) {
        str_list_add(out, pattern);
        return;
    }
    inner = xstrndup(open + 1, (size_t)(close - open) - 1);
    str_split(&parts, inner, ',');
    free(inner);
    for (size_t i = 0; i < parts.len && out->len < MAX_PATTERNS; i++) {
        char *one = xasprintf("%.*s%s%s", (int)(open - pattern), pattern, parts.items[i], close + 1);
        expand_braces(one, out);
        free(one);
    }
    str_list_finish(&parts);
}

static void read_patterns(const struct yaml_node *node, const json_t *variables, struct str_list *out)
{
    const struct yaml_node *paths = node->kind == YAML_MAPPING ? yaml_get(node, "paths") : node;

    for (size_t i = 0; paths != NULL && i < (paths->kind == YAML_SCALAR ? 1 : paths->len); i++) {
        const char *text = yaml_text(paths->kind == YAML_SCALAR ? paths : paths->items[i]);
        char *expanded;
        if (text == NULL)
            continue;
        expanded = gitlab_expand(text, variables, NULL);
        expand_braces(strncmp(expanded, "./", 2) == 0 ? expanded + 2
                      : *expanded == '/'              ? expanded + 1
                                                      : expanded,
                      out);
        free(expanded);
    }
}

static bool matches_any(const struct str_list *patterns, const char *path)
{
    for (size_t i = 0; i < patterns->len; i++) {
        if (glob_match(patterns->items[i], path))
            return true;
    }
    return false;
}

/* Without a known diff every `changes` holds, as for a new branch on GitLab. */
static bool changes_hold(const struct gitlab_reader *r, const struct yaml_node *changes,
                         const json_t *variables)
{
    const struct str_list *paths = r->options->changed_paths;
    struct str_list patterns = {0};
    bool holds = paths == NULL || r->options->tag != NULL;

    read_patterns(changes, variables, &patterns);
    for (size_t i = 0; !holds && i < paths->len; i++)
        holds = matches_any(&patterns, paths->items[i]);
    str_list_finish(&patterns);
    return holds;
}

static bool exists_below(const char *root, const char *folder, const struct str_list *patterns,
                         unsigned depth, size_t *left)
{
    char *full = path_join(root, folder);
    struct str_list names = {0};
    struct error ignored = {0};
    bool found = false;

    if (depth <= 32 && file_list_directory(full, &names, &ignored) == 0) {
        for (size_t i = 0; !found && i<names.len && * left> 0; i++) {
            char *path = *folder != '\0' ? path_join(folder, names.items[i]) : xstrdup(names.items[i]);
            char *file = path_join(root, path);
            --*left;
            found = matches_any(patterns, path) ||
                    (strcmp(names.items[i], ".git") != 0 && file_is_directory(file) &&
                     exists_below(root, path, patterns, depth + 1, left));
            free(file);
            free(path);
        }
    }
    str_list_finish(&names);
    free(full);
    return found;
}

static bool exists_holds(const struct gitlab_reader *r, const struct yaml_node *exists,
                         const json_t *variables)
{
    struct str_list patterns = {0};
    size_t left = MAX_WALKED_FILES;
    bool holds = false, needs_walk = false;

    read_patterns(exists, variables, &patterns);
    for (size_t i = 0; !holds && r->tree.root_dir != NULL && i < patterns.len; i++) {
        if (glob_is_pattern(patterns.items[i])) {
            needs_walk = true;
        } else {
            char *file = path_join(r->tree.root_dir, patterns.items[i]);
            holds = path_is_plain_relative(patterns.items[i]) && file_exists(file);
            free(file);
        }
    }
    if (!holds && needs_walk)
        holds = exists_below(r->tree.root_dir, "", &patterns, 0, &left);
    str_list_finish(&patterns);
    return holds;
}

/* 1 holds, 0 does not, -1 with ERR. */
static int rule_holds(struct gitlab_reader *r, const struct yaml_node *rule, const json_t *variables,
                      struct error *err)
{
    const struct yaml_node *condition = yaml_get(rule, "if"), *changes = yaml_get(rule, "changes"),
                           *exists = yaml_get(rule, "exists");
    bool holds = true;

    if (!yaml_is_null(condition) && condition->kind == YAML_SCALAR &&
        gitlab_condition(condition, variables, &holds, err) < 0)
        return -1;
    holds = holds && (yaml_is_null(changes) || changes_hold(r, changes, variables));
    return holds && (yaml_is_null(exists) || exists_holds(r, exists, variables));
}

/* The first rule that holds; 1 found, 0 none, -1 with ERR. Every condition is read, so that each error shows. */
static int first_rule(struct gitlab_reader *r, const struct yaml_node *rules, const json_t *variables,
                      int depth, const struct yaml_node **found, struct error *err)
{
    int holds;

    if (yaml_is_null(rules))
        return 0;
    if (rules->kind == YAML_SEQUENCE && depth <= GITLAB_MAX_NESTING) {
        for (size_t i = 0; i < rules->len; i++) {
            const struct yaml_node *one = NULL;
            holds = first_rule(r, rules->items[i], variables, depth + 1, &one, err);
            if (holds < 0)
                return -1;
            if (holds > 0 && *found == NULL)
                *found = one;
        }
        return *found != NULL;
    }
    if (rules->kind != YAML_MAPPING)
        return 0;
    holds = rule_holds(r, rules, variables, err);
    if (holds > 0)
        *found = rules;
    return holds;
}

int gitlab_rules(struct gitlab_reader *r, const struct yaml_node *rules, enum gitlab_when when,
                 const json_t *variables, struct gitlab_outcome *out, struct error *err)
{
    const struct yaml_node *rule = NULL, *allow;
    const char *text;

    *out = (struct gitlab_outcome){.when = when, .allow_failure = -1};
    if (first_rule(r, rules, variables, 0, &rule, err) < 0)
        return -1;
    if (rule == NULL) {
        out->reason = "none of its `rules` holds";
        return 0;
    }
    text = yaml_get_text(rule, "when");
    if (text != NULL && !yaml_is_null(yaml_get(rule, "when")))
        (void)gitlab_when_parse(text, &out->when);
    allow = yaml_get(rule, "allow_failure");
    if (!yaml_is_null(allow) && allow->kind == YAML_SCALAR)
        out->allow_failure = strcmp(allow->text, "true") == 0;
    out->variables = yaml_get(rule, "variables");
    out->needs = yaml_get(rule, "needs");
    out->is_in = out->when != GITLAB_NEVER;
    if (!out->is_in)
        out->reason = "a rule says `when: never`";
    return 0;
}

/* ------------------------------------------------------------------------------------------ only, except */

/* 1, 0, or -1 with ERR for a pattern that is none. */
static int ref_matches(const struct gitlab_reader *r, const struct yaml_node *entry, struct error *err)
{
    const char *text = yaml_text(entry), *tag = r->options->tag;
    const char *branch = r->options->branch != NULL ? r->options->branch : "main";
    bool matches = false;
    struct error why = {0};

    if (text == NULL)
        return 0;
    if (strcmp(text, "branches") == 0)
        return tag == NULL && !r->is_merge_request;
    if (strcmp(text, "tags") == 0)
        return tag != NULL;
    if (strcmp(text, "merge_requests") == 0)
        return r->is_merge_request;
    if (strcmp(text, "pushes") == 0)
        return !r->is_merge_request &&
               strcmp(json_string_value(json_object_get(r->predefined, "CI_PIPELINE_SOURCE")), "push") == 0;
    if (strcmp(text, "schedules") == 0 || strcmp(text, "web") == 0 || strcmp(text, "api") == 0) {
        const char *source = json_string_value(json_object_get(r->predefined, "CI_PIPELINE_SOURCE"));
        return strcmp(source, strcmp(text, "schedules") == 0 ? "schedule" : text) == 0;
    }
    if (*text == '/') {
        if (gitlab_pattern_match(text, tag != NULL ? tag : branch, &matches, &why) < 0)
            return gitlab_fail(entry, err, "%s", why.text);
        return matches;
    }
    return !r->is_merge_request && strcmp(text, tag != NULL ? tag : branch) == 0;
}

/* A policy as a whole. ALL: each part must hold (only); else one is enough (except). */
static int policy_holds(struct gitlab_reader *r, const struct yaml_node *policy, const json_t *variables,
                        bool all, struct error *err)
{
    const struct yaml_node *refs = policy->kind == YAML_MAPPING ? yaml_get(policy, "refs") : policy;
    const struct yaml_node *conditions = yaml_get(policy, "variables"),
                           *changes = yaml_get(policy, "changes");
    int results[3] = {-1, -1, -1}; /* refs, variables, changes; -1: not there */

    if (!yaml_is_null(refs) && refs->kind == YAML_SEQUENCE) {
        results[0] = 0;
        for (size_t i = 0; i < refs->len; i++) {
            int matches = ref_matches(r, refs->items[i], err);
            if (matches < 0)
                return -1;
            results[0] |= matches;
        }
    }
    if (!yaml_is_null(conditions) && conditions->kind == YAML_SEQUENCE) {
        results[1] = 0;
        for (size_t i = 0; i < conditions->len; i++) {
            bool holds = false;
            if (conditions->items[i]->kind == YAML_SCALAR &&
                gitlab_condition(conditions->items[i], variables, &holds, err) < 0)
                return -1;
            results[1] |= holds;
        }
    }
    if (!yaml_is_null(changes))
        results[2] = changes_hold(r, changes, variables);
    for (size_t i = 0; i < 3; i++) {
        if (results[i] == (all ? 0 : 1))
            return !all;
    }
    return all;
}

int gitlab_only_except(struct gitlab_reader *r, const struct yaml_node *job, const json_t *variables,
                       struct gitlab_outcome *out, struct error *err)
{
    const struct yaml_node *only = yaml_get(job, "only"), *except = yaml_get(job, "except");
    int holds = 1;

    if (!yaml_is_null(only)) {
        /* `only` without `refs` still means branches and tags. */
        if (only->kind == YAML_MAPPING && yaml_is_null(yaml_get(only, "refs")) && r->is_merge_request)
            holds = 0;
        else
            holds = policy_holds(r, only, variables, true, err);
        out->reason = "`only` is for other pipelines";
    } else if (!r->has_workflow_rules && r->is_merge_request) {
        holds = 0;
        out->reason = "without `rules` a job runs for branches and tags only";
    }
    if (holds > 0 && !yaml_is_null(except)) {
        holds = policy_holds(r, except, variables, false, err);
        out->reason = "`except` leaves it out";
        holds = holds < 0 ? -1 : !holds;
    }
    if (holds < 0)
        return -1;
    out->is_in = holds > 0 && out->when != GITLAB_NEVER;
    if (out->is_in)
        out->reason = NULL;
    else if (holds > 0)
        out->reason = "it says `when: never`";
    return 0;
}
