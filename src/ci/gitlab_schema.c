/* ci/gitlab_schema.c: GitLab's keywords as tables. Messages follow GitLab's wording, so that a search finds
 * them. (docs.gitlab.com/ci/yaml) */
#include "ci/gitlab_internal.h"

#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum shape {
    TEXT = 1,
    TEXTS = 2,  /* a list of texts */
    SCRIPT = 4, /* a list of texts and such lists */
    LIST = 8,
    MAP = 16,
    BOOLEAN = 32,
    NUMBER = 64,
    ANYTHING = 128,
    DURATION = 256,
    WHEN = 512,
};

struct keyword {
    const char *key;
    unsigned shape;
    const char *expected;
};

#define SCRIPT_EXPECTED "should be a string or a nested array of strings up to 10 levels deep"

static const struct keyword job_keywords[] = {
    {"script", TEXT | SCRIPT, SCRIPT_EXPECTED},
    {"before_script", TEXT | SCRIPT, SCRIPT_EXPECTED},
    {"after_script", TEXT | SCRIPT, SCRIPT_EXPECTED},
    {"stage", TEXT, "should be a string"},
    {"extends", TEXT | TEXTS, "should be an array of strings or a string"},
    {"needs", TEXT | LIST | MAP, "can only be a hash or an array"},
    {"dependencies", TEXTS, "should be an array of strings"},
    {"tags", TEXTS, "should be an array of strings"},
    {"when", WHEN, "should be one of: on_success, on_failure, always, manual, delayed, never"},
    {"start_in", TEXT, "should be a duration"},
    {"variables", MAP, "should be a hash"},
    {"rules", LIST | MAP, "should be an array"},
    {"only", LIST | MAP, "has to be either an array of conditions or a hash"},
    {"except", LIST | MAP, "has to be either an array of conditions or a hash"},
    {"allow_failure", BOOLEAN | MAP, "should be a hash or a boolean value"},
    {"timeout", DURATION, "should be a duration"},
    {"retry", NUMBER | MAP, "has to be either an integer or a hash"},
    {"parallel", NUMBER | MAP, "should be an integer or a hash"},
    {"artifacts", MAP, "should be a hash"},
    {"cache", MAP | LIST, "should be a hash or an array of hashes"},
    {"image", TEXT | MAP, "should be a hash or a string"},
    {"services", LIST, "config should be a array"},
    {"coverage", TEXT, "must be a regular expression"},
    {"environment", TEXT | MAP, "should be a hash or a string"},
    {"interruptible", BOOLEAN, "should be a boolean value"},
    {"resource_group", TEXT, "should be a string"},
    {"release", MAP, "should be a hash"},
    {"trigger", TEXT | MAP, "has to be either a string or a hash"},
    {"run", LIST, "should be an array"},
    {"secrets", MAP, "should be a hash"},
    {"id_tokens", MAP, "should be a hash"},
    {"inherit", MAP, "should be a hash"},
    {"hooks", MAP, "should be a hash"},
    {"inputs", MAP | LIST, "should be a hash"},
    {"pages", ANYTHING, ""},
    {"publish", TEXT, "should be a string"},
    {"identity", TEXT, "should be a string"},
    {"dast_configuration", MAP, "should be a hash"},
    {"manual_confirmation", TEXT, "should be a string"},
    {0},
};

static const struct keyword artifacts_keywords[] = {
    {"paths", TEXTS, "should be an array of strings"},
    {"exclude", TEXTS, "should be an array of strings"},
    {"name", TEXT, "should be a string"},
    {"untracked", BOOLEAN, "should be a boolean value"},
    {"reports", MAP, "should be a hash"},
    {"when", TEXT, "should be on_success, on_failure or always"},
    {"expire_in", TEXT, "should be a duration"},
    {"expose_as", TEXT, "should be a string"},
    {"public", BOOLEAN, "should be a boolean value"},
    {"access", TEXT, "should be a string"},
    {0},
};

static const struct keyword rule_keywords[] = {
    {"if", TEXT, "should be a string"},
    {"changes", TEXTS | MAP, "should be an array of strings or a hash"},
    {"exists", TEXTS | MAP, "should be an array of strings or a hash"},
    {"when", WHEN, "should be one of: on_success, on_failure, always, manual, delayed, never"},
    {"start_in", TEXT, "should be a duration"},
    {"allow_failure", BOOLEAN | MAP, "should be a boolean value"},
    {"variables", MAP, "should be a hash"},
    {"needs", TEXT | LIST, "can only be a hash or an array"},
    {"interruptible", BOOLEAN, "should be a boolean value"},
    {"auto_cancel", MAP, "should be a hash"},
    {0},
};

static const struct keyword default_keywords[] = {
    {"before_script", TEXT | SCRIPT, SCRIPT_EXPECTED},
    {"after_script", TEXT | SCRIPT, SCRIPT_EXPECTED},
    {"image", TEXT | MAP, "should be a hash or a string"},
    {"services", LIST, "config should be a array"},
    {"cache", MAP | LIST, "should be a hash or an array of hashes"},
    {"tags", TEXTS, "should be an array of strings"},
    {"artifacts", MAP, "should be a hash"},
    {"retry", NUMBER | MAP, "has to be either an integer or a hash"},
    {"timeout", DURATION, "should be a duration"},
    {"interruptible", BOOLEAN, "should be a boolean value"},
    {"id_tokens", MAP, "should be a hash"},
    {"hooks", MAP, "should be a hash"},
    {"identity", TEXT, "should be a string"},
    {0},
};

static const struct keyword workflow_keywords[] = {
    {"name", TEXT, "should be a string"},
    {"rules", LIST | MAP, "should be an array"},
    {"auto_cancel", MAP, "should be a hash"},
    {0},
};

static const struct keyword root_keywords[] = {
    {"default", MAP, "should be a hash"},
    {"include", TEXT | LIST | MAP, "should be an array or a hash"},
    {"stages", TEXTS | SCRIPT, "should be an array of strings"},
    {"types", TEXTS, "should be an array of strings"},
    {"variables", MAP, "should be a hash"},
    {"workflow", MAP, "should be a hash"},
    {"image", TEXT | MAP, "should be a hash or a string"},
    {"services", LIST, "config should be a array"},
    {"before_script", TEXT | SCRIPT, SCRIPT_EXPECTED},
    {"after_script", TEXT | SCRIPT, SCRIPT_EXPECTED},
    {"cache", MAP | LIST, "should be a hash or an array of hashes"},
    {"spec", MAP, "should be a hash"},
    {0},
};

static const struct keyword *find(const struct keyword *table, const char *key)
{
    for (; table->key != NULL; table++) {
        if (strcmp(table->key, key) == 0)
            return table;
    }
    return NULL;
}

bool gitlab_is_job_key(const char *key)
{
    return *key != '.' && find(root_keywords, key) == NULL;
}

bool gitlab_when_parse(const char *text, enum gitlab_when *out)
{
    static const char *const names[] = {"on_success", "on_failure", "always", "manual", "delayed", "never"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (enum gitlab_when)i;
            return true;
        }
    }
    return false;
}

static bool are_texts(const struct yaml_node *node, bool is_nested, int depth)
{
    if (node->kind == YAML_SCALAR)
        return true;
    if (node->kind != YAML_SEQUENCE || (depth > 0 && !is_nested) || depth > GITLAB_MAX_NESTING)
        return false;
    for (size_t i = 0; i < node->len; i++) {
        if (!are_texts(node->items[i], is_nested, depth + 1))
            return false;
    }
    return true;
}

/* "1h 30m", "90 minutes", "3600": a number, and a unit or none, as often as wanted. */
static bool is_duration(const char *text)
{
    bool any = false;

    if (strcmp(text, "never") == 0)
        return true;
    while (*text != '\0') {
        text += strspn(text, " ,");
        if (*text == '\0')
            break;
        if (strncmp(text, "and ", 4) == 0) {
            text += 4;
            continue;
        }
        if (!isdigit((unsigned char)*text))
            return false;
        text += strspn(text, "0123456789.");
        text += strspn(text, " ");
        while (isalpha((unsigned char)*text))
            text++;
        any = true;
    }
    return any;
}

static bool has_shape(const struct yaml_node *node, unsigned shape)
{
    json_t *value;
    enum gitlab_when when;
    bool fits;

    if ((shape & ANYTHING) != 0)
        return true;
    if (node->kind == YAML_MAPPING)
        return (shape & MAP) != 0;
    if (node->kind == YAML_SEQUENCE)
        return (shape & LIST) != 0 ||
               ((shape & (TEXTS | SCRIPT)) != 0 && are_texts(node, (shape & SCRIPT) != 0, 0));
    if ((shape & WHEN) != 0 && gitlab_when_parse(node->text, &when))
        return true;
    if ((shape & DURATION) != 0 && is_duration(node->text))
        return true;
    value = yaml_scalar_json(node);
    fits = ((shape & TEXT) != 0 && !json_is_boolean(value)) ||
           ((shape & BOOLEAN) != 0 && json_is_boolean(value)) ||
           ((shape & NUMBER) != 0 && json_is_integer(value));
    json_decref(value);
    return fits;
}

static int check_map(const char *owner, const struct yaml_node *map, const struct keyword *table,
                     struct error *err)
{
    for (size_t i = 0; i + 1 < map->len; i += 2) {
        const struct yaml_node *key = map->items[i], *value = map->items[i + 1];
        const struct keyword *known = find(table, key->text);

        if (known == NULL)
            return gitlab_fail(key, err, "%s config contains unknown keys: %s", owner, key->text);
        if (!yaml_is_null(value) && !has_shape(value, known->shape))
            return gitlab_fail(value, err, "%s:%s config %s", owner, key->text, known->expected);
    }
    return 0;
}

static int check_rules(const char *owner, const struct yaml_node *rules, int depth, struct error *err)
{
    if (yaml_is_null(rules))
        return 0;
    if (rules->kind == YAML_SEQUENCE && depth <= GITLAB_MAX_NESTING) {
        for (size_t i = 0; i < rules->len; i++) {
            if (check_rules(owner, rules->items[i], depth + 1, err) < 0)
                return -1;
        }
        return 0;
    }
    if (rules->kind != YAML_MAPPING)
        return gitlab_fail(rules, err, "%s:rules:rule config should be a hash", owner);
    {
        char name[300];
        snprintf(name, sizeof name, "%s:rules:rule", owner);
        return check_map(name, rules, rule_keywords, err);
    }
}

static int check_parallel(const char *owner, const struct yaml_node *parallel, struct error *err)
{
    const struct yaml_node *matrix = yaml_get(parallel, "matrix");
    int64_t count;

    if (yaml_is_null(parallel))
        return 0;
    if (parallel->kind == YAML_SCALAR)
        return str_to_int64(parallel->text, 1, 200, &count)
                   ? 0
                   : gitlab_fail(parallel, err, "%s:parallel must be between 1 and 200", owner);
    if (matrix == NULL || parallel->len != 2)
        return gitlab_fail(parallel, err, "%s:parallel config: matrix is missing, or there are other keys",
                           owner);
    if (matrix->kind != YAML_SEQUENCE)
        return gitlab_fail(matrix, err, "%s:parallel:matrix config should be an array of hashes", owner);
    for (size_t i = 0; i < matrix->len; i++) {
        const struct yaml_node *entry = matrix->items[i];
        if (entry->kind != YAML_MAPPING || entry->len == 0)
            return gitlab_fail(entry, err, "%s:parallel:matrix config should be an array of hashes", owner);
        for (size_t k = 0; k + 1 < entry->len; k += 2) {
            if (entry->items[k + 1]->kind == YAML_MAPPING || !are_texts(entry->items[k + 1], true, 0))
                return gitlab_fail(
                    entry->items[k + 1], err,
                    "%s:parallel:matrix: variable '%s' should be a string or an array of strings", owner,
                    entry->items[k]->text);
        }
    }
    return 0;
}

static int check_variables(const char *owner, const struct yaml_node *variables, struct error *err)
{
    for (size_t i = 0; variables != NULL && variables->kind == YAML_MAPPING && i + 1 < variables->len;
         i += 2) {
        const struct yaml_node *value = variables->items[i + 1];
        if (value->kind == YAML_SEQUENCE)
            return gitlab_fail(value, err,
                               "%s:variables config should be a hash of key value pairs: '%s' is an array",
                               owner, variables->items[i]->text);
    }
    return 0;
}

int gitlab_check_job(const char *key, const struct yaml_node *job, struct error *err)
{
    const struct yaml_node *artifacts = yaml_get(job, "artifacts"), *when;
    char owner[300];

    snprintf(owner, sizeof owner, "jobs:%.255s", key);
    if (strlen(key) > 255)
        return gitlab_fail(job, err, "%s: a job's name is at most 255 characters long", owner);
    if (check_map(owner, job, job_keywords, err) < 0 ||
        check_rules(owner, yaml_get(job, "rules"), 0, err) < 0 ||
        check_parallel(owner, yaml_get(job, "parallel"), err) < 0 ||
        check_variables(owner, yaml_get(job, "variables"), err) < 0)
        return -1;
    if (!yaml_is_null(yaml_get(job, "rules")) &&
        (!yaml_is_null(yaml_get(job, "only")) || !yaml_is_null(yaml_get(job, "except")))) {
        const char *other = !yaml_is_null(yaml_get(job, "only")) ? "only" : "except";
        return gitlab_fail(yaml_get(job, other), err, "%s config key may not be used with `rules`: %s", owner,
                           other);
    }
    if (!yaml_is_null(artifacts)) {
        char name[320];
        snprintf(name, sizeof name, "%s:artifacts", owner);
        if (check_map(name, artifacts, artifacts_keywords, err) < 0)
            return -1;
        when = yaml_get(artifacts, "when");
        if (!yaml_is_null(when) && strcmp(when->text, "on_success") != 0 &&
            strcmp(when->text, "on_failure") != 0 && strcmp(when->text, "always") != 0)
            return gitlab_fail(when, err, "%s:when config should be one of: on_success, on_failure, always",
                               name);
    }
    if (yaml_is_null(yaml_get(job, "script")) && yaml_is_null(yaml_get(job, "trigger")) &&
        yaml_is_null(yaml_get(job, "run")))
        return gitlab_fail(job, err, "%s config should implement the script:, run:, or trigger: keyword",
                           owner);
    return 0;
}

int gitlab_check_root(const struct gitlab_tree *tree, struct error *err)
{
    const struct yaml_node *root = tree->config, *def = yaml_get(root, "default"),
                           *flow = yaml_get(root, "workflow");
    bool has_job = false;

    for (size_t i = 0; i + 1 < root->len; i += 2) {
        const struct yaml_node *key = root->items[i], *value = root->items[i + 1];
        const struct keyword *known = find(root_keywords, key->text);

        if (*key->text == '.')
            continue;
        if (known != NULL && !yaml_is_null(value) && !has_shape(value, known->shape))
            return gitlab_fail(value, err, "%s config %s", key->text, known->expected);
        if (known == NULL && value->kind != YAML_MAPPING)
            return gitlab_fail(value->line > 0 ? value : key, err, "jobs:%s config should be a hash",
                               key->text);
        has_job = has_job || known == NULL;
    }
    if (def != NULL && def->kind == YAML_MAPPING && check_map("default", def, default_keywords, err) < 0)
        return -1;
    if (flow != NULL && flow->kind == YAML_MAPPING &&
        (check_map("workflow", flow, workflow_keywords, err) < 0 ||
         check_rules("workflow", yaml_get(flow, "rules"), 0, err) < 0))
        return -1;
    if (check_variables("global", yaml_get(root, "variables"), err) < 0)
        return -1;
    if (!has_job && tree->foreign.len == 0)
        return gitlab_fail(root, err, "jobs config should contain at least one visible job");
    return 0;
}
