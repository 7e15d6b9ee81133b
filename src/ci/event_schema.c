/* ci/event_schema.c: is `on` of a workflow what GitHub reads? Events, their activities and filters as a table.
 * (docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows) */
#include "ci/event_filter.h"

#include "base/str.h"
#include "ci/template.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct event_kind {
    const char *name;
    const char *filters;    /* words, or NULL: it takes none */
    const char *activities; /* of `types`: words; NULL: any */
};

#define PULL_REQUEST                                                                                         \
    "assigned unassigned labeled unlabeled opened edited closed reopened synchronize converted_to_draft "    \
    "locked "                                                                                                \
    "unlocked enqueued dequeued milestoned demilestoned ready_for_review review_requested "                  \
    "review_request_removed "                                                                                \
    "auto_merge_enabled auto_merge_disabled"

static const struct event_kind kinds[] = {
    {"branch_protection_rule", "types", "created edited deleted"},
    {"check_run", "types", "completed created rerequested requested_action"},
    {"check_suite", "types", "completed requested rerequested"},
    {"create", NULL, NULL},
    {"delete", NULL, NULL},
    {"deployment", NULL, NULL},
    {"deployment_status", NULL, NULL},
    {"discussion", "types",
     "created edited deleted transferred pinned unpinned labeled unlabeled locked unlocked category_changed "
     "answered "
     "unanswered"},
    {"discussion_comment", "types", "created edited deleted"},
    {"fork", NULL, NULL},
    {"gollum", NULL, NULL},
    {"image_version", "types names versions", NULL},
    {"issue_comment", "types", "created edited deleted"},
    {"issues", "types",
     "opened edited deleted transferred pinned unpinned closed reopened assigned unassigned labeled "
     "unlabeled locked "
     "unlocked milestoned demilestoned typed untyped"},
    {"label", "types", "created edited deleted"},
    {"merge_group", "types branches branches-ignore", "checks_requested"},
    {"milestone", "types", "created closed opened edited deleted"},
    {"page_build", NULL, NULL},
    {"project", "types", "created updated closed reopened edited deleted"},
    {"project_card", "types", "created moved converted edited deleted"},
    {"project_column", "types", "created updated moved deleted"},
    {"public", NULL, NULL},
    {"pull_request", "types branches branches-ignore paths paths-ignore", PULL_REQUEST},
    {"pull_request_comment", "types", "created edited deleted"},
    {"pull_request_review", "types", "submitted edited dismissed"},
    {"pull_request_review_comment", "types", "created edited deleted"},
    {"pull_request_target", "types branches branches-ignore paths paths-ignore", PULL_REQUEST},
    {"push", "branches branches-ignore tags tags-ignore paths paths-ignore", NULL},
    {"registry_package", "types", "published updated"},
    {"release", "types", "published unpublished created edited deleted prereleased released"},
    {"repository_dispatch", "types", NULL},
    {"schedule", NULL, NULL},
    {"status", NULL, NULL},
    {"watch", "types", "started"},
    {"workflow_call", "inputs outputs secrets", NULL},
    {"workflow_dispatch", "inputs", NULL},
    {"workflow_run", "types workflows branches branches-ignore", "completed requested in_progress"},
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

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);

    if (n == 0)
        return false;
    for (const char *p = words; p != NULL && (p = strstr(p, word)) != NULL; p++) {
        if ((p == words || p[-1] == ' ') && (p[n] == '\0' || p[n] == ' '))
            return true;
    }
    return false;
}

static int not_expected(const struct yaml_node *node, const char *file, struct error *err)
{
    return node->kind == YAML_SCALAR ? fail(node, file, err, "Unexpected value '%.300s'", node->text)
                                     : fail(node, file, err, "A %s was not expected",
                                            node->kind == YAML_MAPPING ? "mapping" : "sequence");
}

bool event_is_known(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return true;
    }
    return false;
}

static const struct event_kind *find_kind(const struct yaml_node *name)
{
    for (size_t i = 0; name->kind == YAML_SCALAR && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name->text) == 0)
            return &kinds[i];
    }
    return NULL;
}

/* A text, or a list of texts; of WORDS when those are given. */
static int check_texts(const struct yaml_node *node, const char *words, const char *file, struct error *err)
{
    size_t n = node->kind == YAML_SCALAR ? 1 : node->len;

    if (node->kind == YAML_MAPPING)
        return not_expected(node, file, err);
    for (size_t i = 0; i < n; i++) {
        const struct yaml_node *item = node->kind == YAML_SCALAR ? node : node->items[i];
        if (item->kind != YAML_SCALAR || yaml_is_null(item))
            return not_expected(item, file, err);
        if (template_has_expression(item->text))
            return fail(item, file, err, "A template expression is not allowed in this context");
        if (words != NULL && !has_word(words, item->text))
            return not_expected(item, file, err);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ inputs */

static int check_keys(const struct yaml_node *map, const char *words, const char *file, struct error *err)
{
    if (map->kind != YAML_MAPPING)
        return not_expected(map, file, err);
    for (size_t i = 0; i + 1 < map->len; i += 2) {
        if (!has_word(words, map->items[i]->text))
            return not_expected(map->items[i], file, err);
    }
    return 0;
}

static int check_inputs(const struct yaml_node *inputs, bool is_call, const char *file, struct error *err)
{
    const char *types = is_call ? "string boolean number" : "string boolean number choice environment";

    if (yaml_is_null(inputs))
        return 0;
    if (inputs->kind != YAML_MAPPING)
        return not_expected(inputs, file, err);
    for (size_t i = 0; i + 1 < inputs->len; i += 2) {
        const struct yaml_node *input = inputs->items[i + 1], *type = yaml_get(input, "type"),
                               *required = yaml_get(input, "required");
        json_t *value;
        bool is_boolean;

        if (yaml_is_null(input))
            continue;
        if (check_keys(input,
                       is_call ? "description type required default deprecationMessage"
                               : "description type required default options deprecationMessage",
                       file, err) < 0)
            return -1;
        /* GitHub asks for a type in workflow_call; without one an input is text, as in workflow_dispatch. */
        if (type != NULL && (type->kind != YAML_SCALAR || !has_word(types, type->text)))
            return not_expected(type, file, err);
        value = required != NULL ? yaml_scalar_json(required) : json_true();
        is_boolean = json_is_boolean(value);
        json_decref(value);
        if (required != NULL && (required->kind != YAML_SCALAR || !is_boolean))
            return not_expected(required, file, err);
    }
    return 0;
}

static int check_secrets(const struct yaml_node *secrets, const char *file, struct error *err)
{
    if (yaml_is_null(secrets))
        return 0;
    if (secrets->kind != YAML_MAPPING)
        return not_expected(secrets, file, err);
    for (size_t i = 0; i + 1 < secrets->len; i += 2) {
        if (!yaml_is_null(secrets->items[i + 1]) &&
            check_keys(secrets->items[i + 1], "description required", file, err) < 0)
            return -1;
    }
    return 0;
}

static int check_outputs(const struct yaml_node *outputs, const char *file, struct error *err)
{
    if (yaml_is_null(outputs))
        return 0;
    if (outputs->kind != YAML_MAPPING)
        return not_expected(outputs, file, err);
    for (size_t i = 0; i + 1 < outputs->len; i += 2) {
        const struct yaml_node *output = outputs->items[i + 1];
        if (check_keys(output, "description value", file, err) < 0)
            return -1;
        if (yaml_get(output, "value") == NULL)
            return fail(output, file, err, "Required property is missing: value");
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------- schedule */

struct cron_field {
    int min, max;
    const char *names; /* three letters each, from MIN_NAME on */
    int first_name;
};

/* A number or a name; -1 when it is none in range. */
static int cron_number(const char *text, size_t n, const struct cron_field *f)
{
    int value = 0;

    for (size_t i = 0; n == 3 && f->names != NULL && f->names[i * 3] != '\0'; i++) {
        if (strncasecmp(f->names + i * 3, text, 3) == 0)
            return f->first_name + (int)i;
    }
    if (n == 0 || n > 3)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)text[i]))
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value >= f->min && value <= f->max ? value : -1;
}

/* "*", "5", "MON-FRI", each perhaps "/3". */
static bool cron_item(const char *text, size_t n, const struct cron_field *f)
{
    const char *slash = memchr(text, '/', n), *dash;
    size_t length = slash != NULL ? (size_t)(slash - text) : n;

    if (slash != NULL && cron_number(slash + 1, n - length - 1, f) < 1)
        return false;
    if (length == 1 && *text == '*')
        return true;
    dash = memchr(text, '-', length);
    if (dash != NULL) {
        int from = cron_number(text, (size_t)(dash - text), f);
        int to = cron_number(dash + 1, length - (size_t)(dash - text) - 1, f);
        return from >= 0 && to >= from;
    }
    return cron_number(text, length, f) >= 0;
}

static bool is_cron(const char *text)
{
    static const struct cron_field fields[] = {{0, 59, NULL, 0},
                                               {0, 23, NULL, 0},
                                               {1, 31, NULL, 0},
                                               {1, 12, "janfebmaraprmayjunjulaugsepoctnovdec", 1},
                                               {0, 6, "sunmontuewedthufrisat", 0}};
    size_t field = 0;

    for (const char *p = text; field < 5; field++) {
        size_t n = strcspn(p, " ");
        const char *end = p + n;

        for (const char *item = p; item <= end;) {
            size_t length = strcspn(item, ", ");
            if (length == 0 || !cron_item(item, length, &fields[field]))
                return false;
            item += length + 1;
        }
        p = end + strspn(end, " ");
        if (*p == '\0')
            return field == 4 && *end == '\0';
    }
    return false;
}

static int check_schedule(const struct yaml_node *schedule, const char *file, struct error *err)
{
    if (schedule->kind != YAML_SEQUENCE)
        return not_expected(schedule, file, err);
    for (size_t i = 0; i < schedule->len; i++) {
        const struct yaml_node *entry = schedule->items[i], *cron;

        if (check_keys(entry, "cron timezone", file, err) < 0)
            return -1;
        cron = yaml_get(entry, "cron");
        if (cron == NULL)
            return fail(entry, file, err, "Required property is missing: cron");
        if (cron->kind != YAML_SCALAR)
            return not_expected(cron, file, err);
        if (!is_cron(cron->text))
            return fail(
                cron, file, err,
                "Invalid cron expression. Expected format: '* * * * *' (minute hour day month weekday)");
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- on */

static int check_exclusive(const struct yaml_node *filters, const char *file, struct error *err)
{
    static const char *const names[] = {"branches", "tags", "paths"};

    for (size_t i = 0; i + 1 < filters->len; i += 2) {
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            const char *own = filters->items[i]->text;
            size_t n = strlen(names[k]);
            bool is_ignore;
            char other[32];

            if (strncmp(own, names[k], n) != 0 || (own[n] != '\0' && strcmp(own + n, "-ignore") != 0))
                continue;
            is_ignore = own[n] != '\0';
            snprintf(other, sizeof other, "%s%s", names[k], is_ignore ? "" : "-ignore");
            for (size_t j = 0; j < i; j += 2) {
                if (strcmp(filters->items[j]->text, other) == 0)
                    return fail(filters->items[i], file, err,
                                "you may only define one of `%s` and `%s-ignore` for a single event",
                                names[k], names[k]);
            }
        }
    }
    return 0;
}

static int check_event(const struct event_kind *kind, const struct yaml_node *filters, const char *file,
                       struct error *err)
{
    if (strcmp(kind->name, "schedule") == 0)
        return check_schedule(filters, file, err);
    if (yaml_is_null(filters))
        return 0;
    if (filters->kind != YAML_MAPPING)
        return not_expected(filters, file, err);
    for (size_t i = 0; i + 1 < filters->len; i += 2) {
        const struct yaml_node *key = filters->items[i], *value = filters->items[i + 1];
        int rc;

        if (!has_word(kind->filters, key->text))
            return not_expected(key, file, err);
        if (strcmp(key->text, "inputs") == 0)
            rc = check_inputs(value, strcmp(kind->name, "workflow_call") == 0, file, err);
        else if (strcmp(key->text, "outputs") == 0)
            rc = check_outputs(value, file, err);
        else if (strcmp(key->text, "secrets") == 0)
            rc = check_secrets(value, file, err);
        else
            rc = check_texts(value, strcmp(key->text, "types") == 0 ? kind->activities : NULL, file, err);
        if (rc < 0)
            return -1;
    }
    return check_exclusive(filters, file, err);
}

int event_filter_check(const struct yaml_node *on, const char *file, struct error *err)
{
    const struct event_kind *kind;

    if (on->kind == YAML_SCALAR)
        return find_kind(on) != NULL ? 0 : not_expected(on, file, err);
    if (on->len == 0)
        return fail(on, file, err, "No event triggers defined in `on`");
    for (size_t i = 0; i < on->len; i += on->kind == YAML_MAPPING ? 2 : 1) {
        kind = find_kind(on->items[i]);
        if (kind == NULL)
            return not_expected(on->items[i], file, err);
        if (on->kind == YAML_MAPPING && check_event(kind, on->items[i + 1], file, err) < 0)
            return -1;
    }
    return 0;
}
