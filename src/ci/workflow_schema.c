/* ci/workflow_schema.c: the keys that GitHub knows, what may stand there, and which contexts and functions
 * its expressions may use. Messages follow GitHub's wording, so that a search finds them.
 * (docs.github.com/actions/reference/workflows-and-actions/workflow-syntax and .../contexts) */
#include "ci/workflow_schema.h"

#include "ci/template.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum shape {
    TEXT = 1,     /* a scalar */
    LIST = 2,     /* a sequence */
    MAP = 4,      /* a mapping with the keys of `child` */
    FREE = 8,     /* a mapping with any keys, each value by `child` */
    EMPTY = 16,   /* null is allowed */
    ANY = 32,     /* anything; expressions in it are checked */
    FULL = 64,    /* an expression may stand for the whole */
    BOOLEAN = 128, /* a scalar that is a boolean or an expression */
    NUMBER = 256,
    CONDITION = 512,
    REQUIRED = 1024,
    ID_KEYS = 2048, /* the free keys are identifiers */
    NOT_BLANK = 4096,
};

struct place { /* where an expression stands: what it may name */
    const char *const *names;
    const struct expr_function *functions;
};

struct rule {
    const char *key; /* NULL ends a table */
    unsigned shape;
    const struct place *place; /* NULL: the parent's */
    const struct rule *child;  /* of mappings and of the items of lists */
};

static const struct expr_function hash_files[] = {{"hashFiles", 1, 255, NULL, false}, {0}};
static const struct expr_function status[] = {{"success", 0, 255, NULL, true},
                                              {"failure", 0, 255, NULL, true},
                                              {"always", 0, 0, NULL, true},
                                              {"cancelled", 0, 0, NULL, true},
                                              {0}};
static const struct expr_function status_and_hash[] = {{"success", 0, 0, NULL, true},
                                                       {"failure", 0, 0, NULL, true},
                                                       {"always", 0, 0, NULL, true},
                                                       {"cancelled", 0, 0, NULL, true},
                                                       {"hashFiles", 1, 255, NULL, false},
                                                       {0}};

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
static const struct place on_run_name = {NAMES("github", "inputs", "vars"), NULL};
static const struct place on_workflow_env = {NAMES("github", "inputs", "vars", "secrets"), NULL};
static const struct place on_job_if = {NAMES("github", "needs", "vars", "inputs"), status};
static const struct place on_strategy = {NAMES("github", "needs", "vars", "inputs"), NULL};
static const struct place on_job = {NAMES("github", "needs", "strategy", "matrix", "vars", "inputs"), NULL};
static const struct place on_job_env = {
    NAMES("github", "needs", "strategy", "matrix", "vars", "secrets", "inputs"), NULL};
static const struct place on_defaults = {
    NAMES("github", "needs", "strategy", "matrix", "env", "vars", "inputs"), NULL};
static const struct place on_container = {
    NAMES("github", "needs", "strategy", "matrix", "env", "vars", "secrets", "inputs"), NULL};
static const struct place on_outputs = {NAMES("github", "needs", "strategy", "matrix", "job", "runner", "env",
                                              "vars", "secrets", "steps", "inputs"), NULL};
static const struct place on_step = {NAMES("github", "needs", "strategy", "matrix", "job", "runner", "env",
                                           "vars", "secrets", "steps", "inputs"), hash_files};
static const struct place on_step_if = {NAMES("github", "needs", "strategy", "matrix", "job", "runner", "env",
                                              "vars", "steps", "inputs"), status_and_hash};
static const struct place on_call_output = {NAMES("github", "jobs", "vars", "inputs"), NULL};

static const struct rule text_items[] = {{"*", TEXT, NULL, NULL}, {0}};
static const struct rule any_value[] = {{"*", ANY, NULL, NULL}, {0}};
static const struct rule text_value[] = {{"*", TEXT | EMPTY, NULL, NULL}, {0}};

static const struct rule step_rules[] = {
    {"id", TEXT, NULL, NULL},
    {"name", TEXT | EMPTY, &on_step, NULL},
    {"if", CONDITION, &on_step_if, NULL},
    {"uses", TEXT | NOT_BLANK, NULL, NULL},
    {"run", TEXT, &on_step, NULL},
    {"shell", TEXT, &on_step, NULL},
    {"with", FREE | EMPTY, &on_step, any_value},
    {"env", FREE | EMPTY | FULL, &on_step, text_value},
    {"working-directory", TEXT, &on_step, NULL},
    {"continue-on-error", BOOLEAN, &on_step, NULL},
    {"timeout-minutes", NUMBER, &on_step, NULL},
    {0},
};

static const struct rule run_defaults[] = {{"shell", TEXT, NULL, NULL}, {"working-directory", TEXT, NULL, NULL}, {0}};
static const struct rule defaults_rules[] = {{"run", MAP | EMPTY, NULL, run_defaults}, {0}};

static const struct rule concurrency_rules[] = {{"group", TEXT | REQUIRED, NULL, NULL},
                                                {"cancel-in-progress", BOOLEAN, NULL, NULL},
                                                {"queue", TEXT, NULL, NULL},
                                                {0}};

static const struct rule strategy_rules[] = {{"matrix", FREE | FULL, NULL, any_value},
                                             {"fail-fast", BOOLEAN, NULL, NULL},
                                             {"max-parallel", NUMBER, NULL, NULL},
                                             {0}};

static const struct rule container_rules[] = {{"image", TEXT, NULL, NULL},
                                              {"credentials", FREE, NULL, text_value},
                                              {"env", FREE | FULL | EMPTY, NULL, text_value},
                                              {"ports", LIST | FULL, NULL, text_items},
                                              {"volumes", LIST | FULL, NULL, text_items},
                                              {"options", TEXT | EMPTY, NULL, NULL},
                                              {"command", TEXT, NULL, NULL},
                                              {"entrypoint", TEXT, NULL, NULL},
                                              {0}};

static const struct rule container_value[] = {{"*", TEXT | MAP | FULL, NULL, container_rules}, {0}};
static const struct rule runs_on_rules[] = {{"group", TEXT, NULL, NULL}, {"labels", TEXT | LIST, NULL, text_items}, {0}};
static const struct rule environment_rules[] = {{"name", TEXT | REQUIRED, NULL, NULL},
                                                {"url", TEXT, &on_outputs, NULL},
                                                {"deployment", BOOLEAN, NULL, NULL},
                                                {0}};

static const struct rule job_rules[] = {
    {"name", TEXT | EMPTY, &on_job, NULL},
    {"needs", TEXT | LIST, NULL, text_items},
    {"if", CONDITION, &on_job_if, NULL},
    {"runs-on", TEXT | LIST | MAP | FULL, &on_job, runs_on_rules},
    {"permissions", TEXT | FREE | EMPTY, NULL, text_value},
    {"environment", TEXT | MAP | EMPTY, &on_job, environment_rules},
    {"concurrency", TEXT | MAP, &on_job, concurrency_rules},
    {"outputs", FREE | EMPTY, &on_outputs, text_value},
    {"env", FREE | EMPTY | FULL, &on_job_env, text_value},
    {"defaults", MAP | EMPTY, &on_defaults, defaults_rules},
    {"strategy", MAP | EMPTY | FULL, &on_strategy, strategy_rules},
    {"timeout-minutes", NUMBER, &on_job, NULL},
    {"continue-on-error", BOOLEAN, &on_job, NULL},
    {"container", TEXT | MAP | EMPTY | FULL, &on_container, container_rules},
    {"services", FREE | EMPTY | FULL, &on_container, container_value},
    {"steps", LIST, &on_step, step_rules},
    {"uses", TEXT | NOT_BLANK, NULL, NULL},
    {"with", FREE | EMPTY, &on_job, any_value},
    {"secrets", TEXT | FREE | EMPTY, &on_job_env, text_value},
    {"snapshot", ANY, &on_job, NULL},
    {0},
};

static const struct rule job_value[] = {{"*", MAP, NULL, job_rules}, {0}};

static const struct rule workflow_rules[] = {
    {"name", TEXT | EMPTY, NULL, NULL},
    {"description", TEXT | EMPTY, NULL, NULL},
    {"run-name", TEXT | EMPTY, &on_run_name, NULL},
    {"on", TEXT | LIST | FREE | REQUIRED, &on_call_output, any_value},
    {"permissions", TEXT | FREE | EMPTY, NULL, text_value},
    {"env", FREE | EMPTY | FULL, &on_workflow_env, text_value},
    {"defaults", MAP | EMPTY, &on_run_name, defaults_rules},
    {"concurrency", TEXT | MAP, &on_run_name, concurrency_rules},
    {"jobs", FREE | REQUIRED | ID_KEYS, &on_job, job_value},
    {0},
};

static const struct rule action_runs[] = {
    {"using", TEXT | REQUIRED, NULL, NULL},
    {"steps", LIST, &on_step, step_rules},
    {"main", TEXT, NULL, NULL},
    {"pre", TEXT, NULL, NULL},
    {"pre-if", TEXT, NULL, NULL},
    {"post", TEXT, NULL, NULL},
    {"post-if", TEXT, NULL, NULL},
    {"image", TEXT, NULL, NULL},
    {"pre-entrypoint", TEXT, NULL, NULL},
    {"entrypoint", TEXT, NULL, NULL},
    {"post-entrypoint", TEXT, NULL, NULL},
    {"args", LIST, &on_step, text_items},
    {"env", FREE | EMPTY, &on_step, text_value},
    {"plugin", TEXT, NULL, NULL},
    {0},
};

static const struct rule action_rules[] = {
    {"name", TEXT | EMPTY, NULL, NULL},
    {"description", TEXT | EMPTY, NULL, NULL},
    {"author", TEXT | EMPTY, NULL, NULL},
    {"inputs", FREE | EMPTY, &on_step, any_value},
    {"outputs", FREE | EMPTY, &on_step, any_value},
    {"runs", MAP | REQUIRED, NULL, action_runs},
    {"branding", ANY, NULL, NULL},
    {0},
};

struct checker {
    const char *file;
    struct error *err;
};

static int check(const struct checker *c, const struct yaml_node *node, const struct rule *rule,
                 const struct place *place);

static int fail(const struct checker *c, const struct yaml_node *node, const char *what)
{
    return error_set_at(c->err, ERROR_PARSE, c->file, node->line, node->column, "%s", what);
}

static int unexpected(const struct checker *c, const struct yaml_node *node)
{
    return error_set_at(c->err, ERROR_PARSE, c->file, node->line, node->column, "Unexpected value '%s'",
                        node->kind == YAML_SCALAR ? node->text : "");
}

static struct expr_scope scope_of(const struct place *place)
{
    static const char *const none[] = {NULL};

    return (struct expr_scope){.names = place != NULL ? place->names : none,
                               .functions = place != NULL ? place->functions : NULL};
}

/* Whole-value expression: "${{ ... }}" and nothing around it. */
static bool is_expression(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && strncmp(node->text, "${{", 3) == 0;
}

static bool is_identifier(const char *text)
{
    size_t n = strlen(text);

    if (n == 0 || n >= 100 || !(isalpha((unsigned char)*text) || *text == '_'))
        return false;
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && *text != '_' && *text != '-')
            return false;
    }
    return true;
}

static int check_mapping(const struct checker *c, const struct yaml_node *node, const struct rule *rules,
                         const struct place *place)
{
    for (size_t i = 0; i + 1 < node->len; i += 2) {
        const struct rule *rule = rules;

        while (rule->key != NULL && strcmp(rule->key, node->items[i]->text) != 0)
            rule++;
        if (rule->key == NULL)
            return unexpected(c, node->items[i]);
        if (check(c, node->items[i + 1], rule, place) < 0)
            return -1;
    }
    for (const struct rule *rule = rules; rule->key != NULL; rule++) {
        if ((rule->shape & REQUIRED) != 0 && yaml_get(node, rule->key) == NULL)
            return error_set_at(c->err, ERROR_PARSE, c->file, node->line, node->column,
                                "Required property is missing: %s", rule->key);
    }
    return 0;
}

/* Every scalar below; keys too, since they may be expressions in `with` and `env`. */
static int check_any(const struct checker *c, const struct yaml_node *node, const struct place *place)
{
    if (node->kind == YAML_SCALAR) {
        struct expr_scope scope = scope_of(place);
        return place != NULL ? template_check(node, &scope, c->file, c->err) : 0;
    }
    for (size_t i = 0; i < node->len; i++) {
        if (check_any(c, node->items[i], place) < 0)
            return -1;
    }
    return 0;
}

static int check_scalar(const struct checker *c, const struct yaml_node *node, const struct rule *rule,
                        const struct place *place)
{
    struct expr_scope scope = scope_of(place);
    int rc = 0;

    if ((rule->shape & CONDITION) != 0)
        return template_check_condition(node, &scope, c->file, c->err);
    if ((rule->shape & NOT_BLANK) != 0 && node->text[strspn(node->text, " \t\n")] == '\0')
        return unexpected(c, node);
    if (place != NULL && template_has_expression(node->text))
        return template_check(node, &scope, c->file, c->err);
    if ((rule->shape & (BOOLEAN | NUMBER)) != 0) {
        json_t *value = yaml_scalar_json(node);
        if ((rule->shape & BOOLEAN) != 0 ? !json_is_boolean(value) : !json_is_number(value))
            rc = unexpected(c, node);
        json_decref(value);
    }
    return rc;
}

static int check(const struct checker *c, const struct yaml_node *node, const struct rule *rule,
                 const struct place *place)
{
    const unsigned scalar = TEXT | BOOLEAN | NUMBER | CONDITION | FULL;

    place = rule->place != NULL ? rule->place : place;
    if ((rule->shape & ANY) != 0)
        return check_any(c, node, place);
    if (yaml_is_null(node) && (rule->shape & EMPTY) != 0)
        return 0;
    switch (node->kind) {
    case YAML_SCALAR:
        if ((rule->shape & scalar) == 0 || (yaml_is_null(node) && (rule->shape & CONDITION) == 0))
            return unexpected(c, node);
        if ((rule->shape & (scalar & ~(unsigned)FULL)) == 0 && !is_expression(node))
            return unexpected(c, node);
        return check_scalar(c, node, rule, place);
    case YAML_SEQUENCE:
        if ((rule->shape & LIST) == 0)
            return fail(c, node, "A sequence was not expected");
        for (size_t i = 0; i < node->len; i++) {
            const struct yaml_node *item = node->items[i];
            if (rule->child[0].key[0] == '*' || (rule->shape & MAP) != 0) {
                if (check(c, item, rule->child[0].key[0] == '*' ? rule->child : text_items, place) < 0)
                    return -1;
            } else if (item->kind != YAML_MAPPING) {
                return item->kind == YAML_SCALAR ? unexpected(c, item)
                                                 : fail(c, item, "A sequence was not expected");
            } else if (check_mapping(c, item, rule->child, place) < 0) {
                return -1;
            }
        }
        return 0;
    case YAML_MAPPING:
    default:
        if ((rule->shape & MAP) != 0)
            return check_mapping(c, node, rule->child, place);
        if ((rule->shape & FREE) == 0)
            return fail(c, node, "A mapping was not expected");
        for (size_t i = 0; i + 1 < node->len; i += 2) {
            if ((rule->shape & ID_KEYS) != 0 && !is_identifier(node->items[i]->text))
                return error_set_at(c->err, ERROR_PARSE, c->file, node->items[i]->line, node->items[i]->column,
                                    "The identifier '%s' is invalid. IDs may only contain alphanumeric "
                                    "characters, '_', and '-'. IDs must start with a letter or '_' and must "
                                    "be less than 100 characters.",
                                    node->items[i]->text);
            if (check(c, node->items[i + 1], rule->child, place) < 0)
                return -1;
        }
        return 0;
    }
}

static int check_steps(const struct checker *c, const struct yaml_node *steps, bool is_composite)
{
    if (steps == NULL || steps->kind != YAML_SEQUENCE)
        return 0;
    for (size_t i = 0; i < steps->len; i++) {
        const struct yaml_node *step = steps->items[i];
        const struct yaml_node *id = yaml_get(step, "id");
        const char *uses = yaml_get_text(step, "uses");

        if (uses == NULL && yaml_get(step, "run") == NULL)
            return fail(c, step, "Required property is missing: run (or uses)");
        if (uses != NULL && yaml_get(step, "run") != NULL)
            return fail(c, yaml_get(step, "run"), "Unexpected value 'run': a step has either run or uses");
        if (uses != NULL && strncmp(uses, "./", 2) != 0 && strncmp(uses, "docker://", 9) != 0 &&
            strncmp(uses, "../", 3) != 0 && (strchr(uses, '/') == NULL || strchr(uses, '@') == NULL))
            return error_set_at(c->err, ERROR_PARSE, c->file, yaml_get(step, "uses")->line,
                                yaml_get(step, "uses")->column,
                                "Expected format {owner}/{repo}[/path]@{ref}. Actual '%s'", uses);
        if (is_composite && yaml_get(step, "run") != NULL && yaml_get(step, "shell") == NULL)
            return fail(c, step, "Required property is missing: shell");
        if (id == NULL)
            continue;
        if (!is_identifier(id->text))
            return error_set_at(c->err, ERROR_PARSE, c->file, id->line, id->column,
                                "The identifier '%s' is invalid. IDs may only contain alphanumeric characters, "
                                "'_', and '-'. IDs must start with a letter or '_' and must be less than 100 "
                                "characters.",
                                id->text);
        for (size_t k = 0; k < i; k++) {
            const char *other = yaml_get_text(steps->items[k], "id");
            if (other != NULL && strcasecmp(other, id->text) == 0)
                return error_set_at(c->err, ERROR_PARSE, c->file, id->line, id->column,
                                    "The identifier '%s' may not be used more than once within the same scope.",
                                    id->text);
        }
    }
    return 0;
}

static int check_job(const struct checker *c, const struct yaml_node *job)
{
    const struct yaml_node *uses = yaml_get(job, "uses"), *steps = yaml_get(job, "steps");
    static const char *const not_with_uses[] = {"steps", "runs-on", "env", "container", "services",
                                                "defaults", "timeout-minutes", "outputs", "continue-on-error"};

    if (uses != NULL) {
        for (size_t i = 0; i < sizeof not_with_uses / sizeof *not_with_uses; i++) {
            for (size_t k = 0; k + 1 < job->len; k += 2) {
                if (strcmp(job->items[k]->text, not_with_uses[i]) == 0)
                    return unexpected(c, job->items[k]);
            }
        }
        return 0;
    }
    if (yaml_get(job, "runs-on") == NULL)
        return fail(c, job, "Required property is missing: runs-on");
    if (steps == NULL)
        return fail(c, job, "Required property is missing: steps");
    if (steps->len == 0)
        return fail(c, steps, "A job has at least one step");
    for (size_t k = 0; k + 1 < job->len; k += 2) {
        if (strcmp(job->items[k]->text, "with") == 0 || strcmp(job->items[k]->text, "secrets") == 0)
            return unexpected(c, job->items[k]);
    }
    return check_steps(c, steps, false);
}

int workflow_schema_check(const struct yaml_node *root, const char *file, struct error *err)
{
    struct checker c = {file, err};
    const struct yaml_node *jobs;

    if (root == NULL)
        return error_set_at(err, ERROR_PARSE, file, 1, 1, "No jobs are defined: the file is empty");
    if (root->kind != YAML_MAPPING)
        return root->kind == YAML_SCALAR ? unexpected(&c, root) : fail(&c, root, "A sequence was not expected");
    if (check_mapping(&c, root, workflow_rules, NULL) < 0)
        return -1;
    jobs = yaml_get(root, "jobs");
    if (jobs->len == 0)
        return fail(&c, jobs, "No jobs are defined");
    for (size_t i = 0; i + 1 < jobs->len; i += 2) {
        if (check_job(&c, jobs->items[i + 1]) < 0)
            return -1;
    }
    return 0;
}

int action_schema_check(const struct yaml_node *root, const char *file, struct error *err)
{
    struct checker c = {file, err};

    if (root == NULL || root->kind != YAML_MAPPING)
        return error_set_at(err, ERROR_PARSE, file, 1, 1, "An action's file is a mapping");
    if (check_mapping(&c, root, action_rules, NULL) < 0)
        return -1;
    return check_steps(&c, yaml_get(yaml_get(root, "runs"), "steps"), true);
}
