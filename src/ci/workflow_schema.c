/* ci/workflow_schema.c: the keys that GitHub knows, what may stand there, and which contexts and functions
 * its expressions may use. Messages follow GitHub's wording, so that a search finds them.
 * (docs.github.com/actions/reference/workflows-and-actions/workflow-syntax and .../contexts) */
#include "ci/workflow_schema.h"

#include "base/buf.h"
#include "ci/template.h"
#include "ci/workflow_checks.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum shape {
    TEXT = 1,      /* a scalar */
    LIST = 2,      /* a sequence */
    MAP = 4,       /* a mapping with the keys of `child` */
    FREE = 8,      /* a mapping with any keys, each value by `child` */
    EMPTY = 16,    /* null is allowed */
    ANY = 32,      /* anything; expressions in it are checked */
    FULL = 64,     /* an expression may stand for the whole */
    BOOLEAN = 128, /* a scalar that is a boolean or an expression */
    NUMBER = 256,
    CONDITION = 512,
    REQUIRED = 1024,
    ID_KEYS = 2048, /* the free keys are identifiers */
    NOT_BLANK = 4096,
    STEP = 8192, /* the mapping is one of the kinds of steps */
    JOB = 16384, /* ... of jobs */
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
static const struct expr_function status_and_hash[] = {
    {"success", 0, 0, NULL, true},   {"failure", 0, 0, NULL, true},      {"always", 0, 0, NULL, true},
    {"cancelled", 0, 0, NULL, true}, {"hashFiles", 1, 255, NULL, false}, {0}};

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
static const struct place on_credentials = {
    NAMES("github", "inputs", "vars", "secrets", "env", "needs", "strategy", "matrix"), NULL};
static const struct place on_outputs = {NAMES("github", "needs", "strategy", "matrix", "job", "runner", "env",
                                              "vars", "secrets", "steps", "inputs"),
                                        NULL};
static const struct place on_step = {NAMES("github", "needs", "strategy", "matrix", "job", "runner", "env",
                                           "vars", "secrets", "steps", "inputs"),
                                     hash_files};
static const struct place on_step_if = {
    NAMES("github", "needs", "strategy", "matrix", "job", "runner", "env", "vars", "steps", "inputs"),
    status_and_hash};
static const struct place on_call_output = {NAMES("github", "jobs", "vars", "inputs"), NULL};

/* Expressions are not allowed here. */
static const struct place nowhere = {NULL, NULL};

static const struct rule text_items[] = {{"*", TEXT, NULL, NULL}, {0}};
static const struct rule any_value[] = {{"*", ANY, NULL, NULL}, {0}};
static const struct rule text_value[] = {{"*", TEXT | EMPTY, NULL, NULL}, {0}};

static const struct rule step_rules[] = {
    {"id", TEXT, &nowhere, NULL},
    {"name", TEXT | EMPTY, &on_step, NULL},
    {"if", CONDITION, &on_step_if, NULL},
    {"uses", TEXT | NOT_BLANK, &nowhere, NULL},
    {"run", TEXT | EMPTY, &on_step, NULL},
    {"shell", TEXT | NOT_BLANK, &on_step, NULL},
    {"with", FREE | EMPTY, &on_step, any_value},
    {"env", FREE | EMPTY | FULL, &on_step, text_value},
    {"working-directory", TEXT | EMPTY, &on_step, NULL},
    {"continue-on-error", BOOLEAN, &on_step, NULL},
    {"timeout-minutes", NUMBER, &on_step, NULL},
    {"background", BOOLEAN, &on_step, NULL},
    {"wait", TEXT | LIST, &nowhere, text_items},
    {"wait-all", BOOLEAN | EMPTY, &nowhere, NULL},
    {"cancel", TEXT, &nowhere, NULL},
    {0},
};

/* Keys that not every kind of step or job has; the first that stands there decides. */
struct kind_key {
    const char *key;
    unsigned kinds, required;
};

static const struct kind_key step_kinds[] = {
    {"background", 3, 0},
    {"cancel", 16, 16},
    {"env", 3, 0},
    {"if", 3, 0},
    {"run", 1, 1},
    {"shell", 1, 0},
    {"timeout-minutes", 3, 0},
    {"uses", 2, 2},
    {"wait", 4, 4},
    {"wait-all", 8, 8},
    {"with", 2, 0},
    {"working-directory", 1, 0},
    {0},
};

static const struct kind_key job_kinds[] = {
    {"cancel-timeout-minutes", 1, 0},
    {"container", 1, 0},
    {"continue-on-error", 1, 0},
    {"defaults", 1, 0},
    {"env", 1, 0},
    {"environment", 1, 0},
    {"outputs", 1, 0},
    {"runs-on", 1, 1},
    {"secrets", 2, 0},
    {"services", 1, 0},
    {"snapshot", 1, 0},
    {"steps", 1, 1},
    {"timeout-minutes", 1, 0},
    {"uses", 2, 2},
    {"with", 2, 0},
    {0},
};

static const struct rule run_defaults[] = {
    {"shell", TEXT, NULL, NULL}, {"working-directory", TEXT, NULL, NULL}, {0}};
static const struct rule defaults_rules[] = {{"run", MAP | EMPTY, NULL, run_defaults}, {0}};

static const struct rule concurrency_rules[] = {{"group", TEXT | REQUIRED, NULL, NULL},
                                                {"cancel-in-progress", BOOLEAN, NULL, NULL},
                                                {"queue", TEXT, NULL, NULL},
                                                {0}};

static const struct rule strategy_rules[] = {{"matrix", FREE | FULL, NULL, any_value},
                                             {"fail-fast", BOOLEAN, NULL, NULL},
                                             {"max-parallel", NUMBER, NULL, NULL},
                                             {0}};

static const struct rule credentials_rules[] = {
    {"username", TEXT | NOT_BLANK, NULL, NULL}, {"password", TEXT | NOT_BLANK, NULL, NULL}, {0}};
static const struct rule container_rules[] = {{"image", TEXT | NOT_BLANK, NULL, NULL},
                                              {"credentials", MAP | FULL, &on_credentials, credentials_rules},
                                              {"env", FREE | FULL | EMPTY, &on_outputs, text_value},
                                              {"ports", LIST | FULL, NULL, text_items},
                                              {"volumes", LIST | FULL, NULL, text_items},
                                              {"options", TEXT | EMPTY, NULL, NULL},
                                              {"command", TEXT, NULL, NULL},
                                              {"entrypoint", TEXT, NULL, NULL},
                                              {0}};

static const struct rule container_value[] = {{"*", TEXT | MAP | FULL, NULL, container_rules}, {0}};
static const struct rule runs_on_rules[] = {
    {"group", TEXT, NULL, NULL}, {"labels", TEXT | LIST, NULL, text_items}, {0}};
static const struct rule environment_rules[] = {{"name", TEXT | REQUIRED, NULL, NULL},
                                                {"url", TEXT, &on_outputs, NULL},
                                                {"deployment", BOOLEAN, NULL, NULL},
                                                {0}};

/* What the token may be allowed: the level is checked with the words below. */
static const struct rule level[] = {{"*", TEXT, NULL, NULL}, {0}};
static const struct rule permission_rules[] = {
    {"actions", TEXT, NULL, level},
    {"artifact-metadata", TEXT, NULL, level},
    {"attestations", TEXT, NULL, level},
    {"checks", TEXT, NULL, level},
    {"contents", TEXT, NULL, level},
    {"copilot-requests", TEXT, NULL, level},
    {"deployments", TEXT, NULL, level},
    {"discussions", TEXT, NULL, level},
    {"id-token", TEXT, NULL, level},
    {"issues", TEXT, NULL, level},
    {"models", TEXT, NULL, level},
    {"packages", TEXT, NULL, level},
    {"pages", TEXT, NULL, level},
    {"pull-requests", TEXT, NULL, level},
    {"repository-projects", TEXT, NULL, level},
    {"security-events", TEXT, NULL, level},
    {"statuses", TEXT, NULL, level},
    {"vulnerability-alerts", TEXT, NULL, level},
    {0},
};

static const struct rule job_rules[] = {
    {"name", TEXT | EMPTY, &on_job, NULL},
    {"needs", TEXT | LIST, &nowhere, text_items},
    {"if", CONDITION, &on_job_if, NULL},
    {"runs-on", TEXT | LIST | MAP | FULL, &on_job, runs_on_rules},
    {"permissions", TEXT | MAP | EMPTY, &nowhere, permission_rules},
    {"environment", TEXT | MAP | EMPTY, &on_job, environment_rules},
    {"concurrency", TEXT | MAP, &on_job, concurrency_rules},
    {"outputs", FREE | EMPTY, &on_outputs, text_value},
    {"env", FREE | EMPTY | FULL, &on_job_env, text_value},
    {"defaults", MAP | EMPTY, &on_defaults, defaults_rules},
    {"strategy", MAP | EMPTY | FULL, &on_strategy, strategy_rules},
    {"timeout-minutes", NUMBER, &on_job, NULL},
    {"cancel-timeout-minutes", NUMBER, &on_job, NULL},
    {"continue-on-error", BOOLEAN, &on_job, NULL},
    {"container", TEXT | MAP | EMPTY | FULL, &on_job, container_rules},
    {"services", FREE | EMPTY | FULL, &on_job, container_value},
    {"steps", LIST | STEP, &on_step, step_rules},
    {"uses", TEXT | NOT_BLANK, &nowhere, NULL},
    {"with", FREE | EMPTY, &on_job, any_value},
    {"secrets", TEXT | FREE | EMPTY, &on_job_env, text_value},
    {"snapshot", ANY, &on_job, NULL},
    {0},
};

static const struct rule job_value[] = {{"*", MAP | JOB, NULL, job_rules}, {0}};

static const struct rule workflow_rules[] = {
    {"name", TEXT | EMPTY, &nowhere, NULL},
    {"description", TEXT | EMPTY, &nowhere, NULL},
    {"run-name", TEXT | EMPTY, &on_run_name, NULL},
    {"on", TEXT | LIST | FREE, &on_call_output, any_value},
    {"permissions", TEXT | MAP | EMPTY, &nowhere, permission_rules},
    {"env", FREE | EMPTY | FULL, &on_workflow_env, text_value},
    {"defaults", MAP | EMPTY, &on_run_name, defaults_rules},
    {"concurrency", TEXT | MAP, &on_run_name, concurrency_rules},
    {"jobs", FREE | REQUIRED | ID_KEYS, &nowhere, job_value},
    {0},
};

static const struct rule action_runs[] = {
    {"using", TEXT | REQUIRED, NULL, NULL},
    {"steps", LIST | STEP, &on_step, step_rules},
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

    return (struct expr_scope){.names = place != NULL && place->names != NULL ? place->names : none,
                               .functions = place != NULL ? place->functions : NULL};
}

/* Whole-value expression: "${{ ... }}" and nothing around it. */
static bool is_expression(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && strncmp(node->text, "${{", 3) == 0;
}

static unsigned kinds_with(const struct kind_key *table, const char *key)
{
    for (; table->key != NULL; table++) {
        if (strcmp(table->key, key) == 0)
            return table->kinds;
    }
    return ~0u;
}

/* Which kind it is must be plain, and what that kind needs must be there. */
static int check_kind(const struct checker *c, const struct yaml_node *node, const struct kind_key *table,
                      unsigned kinds)
{
    bool is_one = (kinds & (kinds - 1)) == 0;
    struct buf b = BUF_INIT;
    int rc = 0;

    for (; table->key != NULL; table++) {
        unsigned own = table->kinds & kinds;
        if (is_one && (table->required & kinds) != 0 && yaml_get(node, table->key) == NULL) {
            buf_free(&b);
            return error_set_at(c->err, ERROR_PARSE, c->file, node->line, node->column,
                                "Required property is missing: %s", table->key);
        }
        if (!is_one && own != 0 && (own & (own - 1)) == 0)
            buf_printf(&b, "%s%s", b.len > 0 ? ", " : "", table->key);
    }
    if (!is_one)
        rc = error_set_at(
            c->err, ERROR_PARSE, c->file, node->line, node->column,
            "There's not enough info to determine what you meant. Add one of these properties: %s",
            buf_cstr(&b));
    buf_free(&b);
    return rc;
}

static int check_mapping(const struct checker *c, const struct yaml_node *node, const struct rule *rules,
                         const struct place *place, const struct kind_key *table)
{
    unsigned kinds = table == job_kinds ? 3 : 31;

    for (size_t i = 0; i + 1 < node->len; i += 2) {
        const struct rule *rule = rules;

        while (rule->key != NULL && strcmp(rule->key, node->items[i]->text) != 0)
            rule++;
        if (rule->key == NULL)
            return unexpected(c, node->items[i]);
        if (table != NULL && (kinds & kinds_with(table, rule->key)) == 0)
            return unexpected(c, node->items[i]);
        kinds &= table != NULL ? kinds_with(table, rule->key) : ~0u;
        if (check(c, node->items[i + 1], rule, place) < 0)
            return -1;
    }
    for (const struct rule *rule = rules; rule->key != NULL; rule++) {
        if ((rule->shape & REQUIRED) != 0 && yaml_get(node, rule->key) == NULL)
            return error_set_at(c->err, ERROR_PARSE, c->file, node->line, node->column,
                                "Required property is missing: %s", rule->key);
    }
    return table != NULL ? check_kind(c, node, table, kinds) : 0;
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

static int check_level(const struct checker *c, const struct yaml_node *node, const char *scope)
{
    bool only_read = strcmp(scope, "models") == 0 || strcmp(scope, "vulnerability-alerts") == 0;
    bool only_write = strcmp(scope, "id-token") == 0 || strcmp(scope, "copilot-requests") == 0;
    bool is_known = strcmp(node->text, "none") == 0 || (!only_write && strcmp(node->text, "read") == 0) ||
                    (!only_read && strcmp(node->text, "write") == 0);

    return is_known ? 0 : unexpected(c, node);
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
    if (place == &nowhere && template_has_expression(node->text))
        return fail(c, node, "A template expression is not allowed in this context");
    if (place != NULL && template_has_expression(node->text))
        return template_check(node, &scope, c->file, c->err);
    if (rule->child == permission_rules && strcmp(node->text, "read-all") != 0 &&
        strcmp(node->text, "write-all") != 0)
        return unexpected(c, node);
    if (rule->child == level)
        return check_level(c, node, rule->key);
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
            } else if (check_mapping(c, item, rule->child, place,
                                     (rule->shape & STEP) != 0 ? step_kinds : NULL) < 0) {
                return -1;
            }
        }
        return 0;
    case YAML_MAPPING:
    default:
        if ((rule->shape & MAP) != 0)
            return check_mapping(c, node, rule->child, place, (rule->shape & JOB) != 0 ? job_kinds : NULL);
        if ((rule->shape & FREE) == 0)
            return fail(c, node, "A mapping was not expected");
        for (size_t i = 0; i + 1 < node->len; i += 2) {
            if ((rule->shape & ID_KEYS) != 0 &&
                workflow_check_identifier(node->items[i], c->file, c->err) < 0)
                return -1;
            if (check(c, node->items[i + 1], rule->child, place) < 0)
                return -1;
        }
        return 0;
    }
}

int workflow_schema_check(const struct yaml_node *root, const char *file, struct error *err)
{
    struct checker c = {file, err};

    if (root == NULL)
        return error_set_at(err, ERROR_PARSE, file, 1, 1, "Unexpected value '': the file is empty");
    if (root->kind != YAML_MAPPING)
        return root->kind == YAML_SCALAR ? unexpected(&c, root)
                                         : fail(&c, root, "A sequence was not expected");
    if (check_mapping(&c, root, workflow_rules, NULL, NULL) < 0)
        return -1;
    if (yaml_get(root, "on") == NULL)
        return error_set_at(err, ERROR_PARSE, file, root->line, root->column,
                            "No event triggers defined in `on`");
    return workflow_check_jobs(yaml_get(root, "jobs"), file, err);
}

int action_schema_check(const struct yaml_node *root, const char *file, struct error *err)
{
    struct checker c = {file, err};

    if (root == NULL || root->kind != YAML_MAPPING)
        return error_set_at(err, ERROR_PARSE, file, 1, 1, "An action's file is a mapping");
    if (check_mapping(&c, root, action_rules, NULL, NULL) < 0)
        return -1;
    return workflow_check_action(yaml_get(root, "runs"), file, err);
}
