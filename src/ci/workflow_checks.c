/* ci/workflow_checks.c: GitHub's checks beyond the shape of a workflow, in its words. */
#include "ci/workflow_checks.h"

#include "base/str.h"
#include "ci/template.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int fail(const struct yaml_node *at, const char *file, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(const struct yaml_node *at, const char *file, struct error *err, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_set_at(err, ERROR_PARSE, file, at->line, at->column, "%s", text);
}

int workflow_check_identifier(const struct yaml_node *id, const char *file, struct error *err)
{
    size_t n = strlen(id->text);
    bool is_valid = n > 0 && n < 100 && (isalpha((unsigned char)*id->text) || *id->text == '_');

    for (const char *p = id->text; is_valid && *p != '\0'; p++)
        is_valid = isalnum((unsigned char)*p) || *p == '_' || *p == '-';
    if (!is_valid)
        return fail(
            id, file, err,
            "The identifier '%.200s' is invalid. IDs may only contain alphanumeric characters, '_', and '-'. "
            "IDs must start with a letter or '_' and must be less than 100 characters.",
            id->text);
    if (strncmp(id->text, "__", 2) == 0)
        return fail(id, file, err, "The identifier '%s' is invalid. IDs starting with '__' are reserved.",
                    id->text);
    return 0;
}

static int check_shell(const struct yaml_node *shell, const char *file, struct error *err)
{
    static const char *const built_in[] = {"bash", "sh", "cmd", "powershell", "pwsh", "python", "node"};

    if (shell == NULL || shell->kind != YAML_SCALAR || template_has_expression(shell->text) ||
        strstr(shell->text, "{0}") != NULL)
        return 0;
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
        if (strcasecmp(built_in[i], shell->text) == 0)
            return 0;
    }
    return fail(
        shell, file, err,
        "Invalid shell option. Shell must be a valid built-in (bash, sh, cmd, powershell, pwsh) or a format "
        "string containing '{0}'");
}

static bool is_remote_reference(const char *uses)
{
    const char *slash = strchr(uses, '/'), *at = strchr(uses, '@');

    return slash != NULL && slash != uses && at != NULL && at > slash + 1 && at[1] != '\0';
}

static int check_steps(const struct yaml_node *steps, bool is_composite, const char *file, struct error *err)
{
    for (size_t i = 0; steps != NULL && steps->kind == YAML_SEQUENCE && i < steps->len; i++) {
        const struct yaml_node *step = steps->items[i], *id = yaml_get(step, "id"),
                               *uses = yaml_get(step, "uses");

        if (uses != NULL && strncmp(uses->text, "./", 2) != 0 && strncmp(uses->text, ".\\", 2) != 0 &&
            strncmp(uses->text, "docker://", 9) != 0 && strncmp(uses->text, "../", 3) != 0 &&
            !is_remote_reference(uses->text))
            return fail(uses, file, err, "Expected format {owner}/{repo}[/path]@{ref}. Actual '%.300s'",
                        uses->text);
        if (is_composite && yaml_get(step, "run") != NULL && yaml_get(step, "shell") == NULL)
            return fail(step, file, err, "Required property is missing: shell");
        if (check_shell(yaml_get(step, "shell"), file, err) < 0)
            return -1;
        if (id == NULL)
            continue;
        if (workflow_check_identifier(id, file, err) < 0)
            return -1;
        for (size_t k = 0; k < i; k++) {
            const char *other = yaml_get_text(steps->items[k], "id");
            if (other != NULL && strcasecmp(other, id->text) == 0)
                return fail(id, file, err,
                            "The identifier '%s' may not be used more than once within the same scope.",
                            id->text);
        }
    }
    return 0;
}

/* Lists of mappings, whose keys are those of the matrix when MATRIX is given. */
static int check_filters(const struct yaml_node *filters, const struct yaml_node *matrix, const char *file,
                         struct error *err)
{
    if (filters == NULL || (filters->kind == YAML_SCALAR && template_has_expression(filters->text)))
        return 0;
    if (filters->kind == YAML_MAPPING)
        return fail(filters, file, err, "A mapping was not expected");
    if (filters->kind == YAML_SCALAR)
        return fail(filters, file, err, "Unexpected value '%s'", filters->text);
    for (size_t i = 0; i < filters->len; i++) {
        const struct yaml_node *entry = filters->items[i];
        if (entry->kind == YAML_SEQUENCE)
            return fail(entry, file, err, "A sequence was not expected");
        if (entry->kind == YAML_SCALAR && !template_has_expression(entry->text))
            return fail(entry, file, err, "Unexpected value '%s'", entry->text);
        for (size_t k = 0; matrix != NULL && entry->kind == YAML_MAPPING && k + 1 < entry->len; k += 2) {
            const struct yaml_node *key = entry->items[k];
            if (!template_has_expression(key->text) && yaml_get(matrix, key->text) == NULL)
                return fail(key, file, err,
                            "Matrix exclude key '%s' does not match any key within the matrix", key->text);
        }
    }
    return 0;
}

static int check_matrix(const struct yaml_node *matrix, const char *file, struct error *err)
{
    bool has_expression_key = false;

    for (size_t i = 0; matrix != NULL && matrix->kind == YAML_MAPPING && i + 1 < matrix->len; i += 2) {
        const struct yaml_node *key = matrix->items[i], *vector = matrix->items[i + 1];

        has_expression_key = has_expression_key || template_has_expression(key->text);
        if (strcmp(key->text, "include") == 0 || strcmp(key->text, "exclude") == 0)
            continue;
        if (vector->kind == YAML_MAPPING)
            return fail(vector, file, err, "A mapping was not expected");
        if (vector->kind == YAML_SCALAR && !template_has_expression(vector->text))
            return fail(vector, file, err, "Unexpected value '%s'", vector->text);
        if (vector->kind == YAML_SEQUENCE && vector->len == 0)
            return fail(vector, file, err, "Matrix vector '%s' does not contain any values", key->text);
    }
    if (check_filters(yaml_get(matrix, "include"), NULL, file, err) < 0)
        return -1;
    return check_filters(yaml_get(matrix, "exclude"), has_expression_key ? NULL : matrix, file, err);
}

/* `uses` of a job. */
static int check_workflow_reference(const struct yaml_node *uses, const char *file, struct error *err)
{
    static const char folder[] = ".github/workflows/";
    const char *text = uses->text, *at = strrchr(text, '@');
    bool is_local = strncmp(text, "./", 2) == 0;
    const char *inner = is_local ? text + 2 : strstr(text, folder);

    if (!is_local && at == NULL)
        return fail(uses, file, err, "invalid value workflow reference: no version specified");
    if (is_local && at != NULL)
        return fail(uses, file, err,
                    "invalid value workflow reference: cannot specify version when calling local workflows");
    if (inner == NULL || strncmp(inner, folder, sizeof folder - 1) != 0)
        return fail(uses, file, err,
                    "invalid value workflow reference: references to workflows must be rooted in "
                    "'.github/workflows'");
    inner += sizeof folder - 1;
    if (memchr(inner, '/', is_local ? strlen(inner) : (size_t)(at > inner ? at - inner : 0)) != NULL)
        return fail(uses, file, err,
                    "invalid value workflow reference: workflows must be defined at the top level of the "
                    ".github/workflows/ directory");
    return 0;
}

static int check_containers(const struct yaml_node *job, const char *file, struct error *err)
{
    const struct yaml_node *container = yaml_get(job, "container"), *services = yaml_get(job, "services");

    if (container != NULL && container->kind == YAML_MAPPING && yaml_get(container, "image") == NULL)
        return fail(container, file, err, "Container image cannot be empty");
    for (size_t i = 0; services != NULL && services->kind == YAML_MAPPING && i + 1 < services->len; i += 2) {
        const struct yaml_node *service = services->items[i + 1];
        if (service->kind == YAML_MAPPING && yaml_get(service, "image") == NULL)
            return fail(service, file, err, "Required property is missing: image");
    }
    return 0;
}

static int check_job(const struct yaml_node *key, const struct yaml_node *job, const char *file,
                     struct error *err)
{
    const struct yaml_node *uses = yaml_get(job, "uses"), *steps = yaml_get(job, "steps"),
                           *secrets = yaml_get(job, "secrets");

    if (check_matrix(yaml_get(yaml_get(job, "strategy"), "matrix"), file, err) < 0)
        return -1;
    if (uses != NULL) {
        if (secrets != NULL && secrets->kind == YAML_SCALAR && !yaml_is_null(secrets) &&
            strcmp(secrets->text, "inherit") != 0)
            return fail(secrets, file, err, "Unexpected value '%s'", secrets->text);
        return check_workflow_reference(uses, file, err);
    }
    if (steps != NULL && steps->len == 0)
        return fail(key, file, err,
                    "No steps defined in `steps` and no workflow called in `uses` for the following jobs: %s",
                    key->text);
    if (check_containers(job, file, err) < 0 ||
        check_shell(yaml_get(yaml_get(yaml_get(job, "defaults"), "run"), "shell"), file, err) < 0)
        return -1;
    return check_steps(steps, false, file, err);
}

int workflow_check_jobs(const struct yaml_node *jobs, const char *file, struct error *err)
{
    if (jobs->len == 0)
        return fail(jobs, file, err, "The workflow must contain at least one job with no dependencies.");
    for (size_t i = 0; i + 1 < jobs->len; i += 2) {
        for (size_t k = 0; k < i; k += 2) {
            if (strcasecmp(jobs->items[k]->text, jobs->items[i]->text) == 0)
                return fail(jobs->items[i], file, err, "'%s' is already defined", jobs->items[i]->text);
        }
    }
    for (size_t i = 0; i + 1 < jobs->len; i += 2) {
        if (check_job(jobs->items[i], jobs->items[i + 1], file, err) < 0)
            return -1;
    }
    return 0;
}

int workflow_check_action(const struct yaml_node *runs, const char *file, struct error *err)
{
    const char *using = yaml_get_text(runs, "using");
    const char *needed = strcmp(using, "composite") == 0  ? "steps"
                         : strcmp(using, "docker") == 0   ? "image"
                         : strncmp(using, "node", 4) == 0 ? "main"
                                                          : NULL;

    if (needed != NULL && yaml_get(runs, needed) == NULL)
        return fail(runs, file, err, "Required property is missing: %s", needed);
    return check_steps(yaml_get(runs, "steps"), true, file, err);
}
