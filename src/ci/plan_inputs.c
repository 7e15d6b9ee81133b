/* ci/plan_inputs.c: the `inputs` context of a workflow that is called, or that an event with inputs runs. */
#include "ci/plan_internal.h"

#include "ci/template.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_type(const char *type, const char *wanted)
{
    return type != NULL && strcmp(type, wanted) == 0;
}

static json_t *empty_of(const char *type)
{
    return is_type(type, "boolean")  ? json_false()
           : is_type(type, "number") ? json_integer(0)
                                     : json_string("");
}

/* What an event gives is text; `inputs` has it in the declared type. New reference. */
static json_t *as_type(json_t *given, const char *type)
{
    const char *text = json_string_value(given);

    if (text != NULL && is_type(type, "boolean"))
        return json_boolean(strcmp(text, "true") == 0);
    if (text != NULL && is_type(type, "number"))
        return json_real(expr_parse_number(text));
    return json_incref(given);
}

/* What is given is declared, and what is required is given. */
static int check_given(const struct yaml_node *declared, const struct yaml_node *given, const char *what,
                       const char *title, const char *file, const struct yaml_node *uses, struct error *err)
{
    for (size_t i = 0; given != NULL && given->kind == YAML_MAPPING && i + 1 < given->len; i += 2) {
        const struct yaml_node *key = given->items[i];
        bool is_known = template_has_expression(key->text);
        for (size_t k = 0; declared != NULL && k + 1 < declared->len; k += 2)
            is_known = is_known || strcasecmp(declared->items[k]->text, key->text) == 0;
        if (!is_known)
            return error_set_at(err, ERROR_PARSE, file, key->line, key->column,
                                "Invalid %s, %s is not defined in the referenced workflow.", what, key->text);
    }
    for (size_t k = 0; declared != NULL && k + 1 < declared->len; k += 2) {
        const char *required = yaml_get_text(declared->items[k + 1], "required");
        bool is_given = yaml_get(declared->items[k + 1], "default") != NULL;
        for (size_t i = 0; given != NULL && given->kind == YAML_MAPPING && i + 1 < given->len; i += 2)
            is_given = is_given || strcasecmp(declared->items[k]->text, given->items[i]->text) == 0 ||
                       template_has_expression(given->items[i]->text);
        if (required != NULL && strcmp(required, "true") == 0 && !is_given)
            return error_set_at(err, ERROR_PARSE, file, uses->line, uses->column,
                                "%s %s is required, but not provided while calling.", title,
                                declared->items[k]->text);
    }
    return 0;
}

int plan_check_call(const struct workflow *called, const struct workflow *caller,
                    const struct workflow_job *job, const struct yaml_node *uses, struct error *err)
{
    const struct yaml_node *call = yaml_get(called->on, "workflow_call"), *on = called->on;
    bool is_callable = call != NULL || (on->kind == YAML_SCALAR && strcmp(on->text, "workflow_call") == 0);

    for (size_t i = 0; on->kind == YAML_SEQUENCE && i < on->len; i++)
        is_callable = is_callable || strcmp(on->items[i]->text, "workflow_call") == 0;
    if (!is_callable)
        return error_set_at(
            err, ERROR_PARSE, caller->file, uses->line, uses->column,
            "error parsing called workflow \"%s\": workflow is not reusable as it is missing a "
            "`on.workflow_call` trigger",
            job->uses);
    if (check_given(yaml_get(call, "inputs"), job->with, "input", "Input", caller->file, uses, err) < 0)
        return -1;
    if (job->secrets != NULL && job->secrets->kind == YAML_SCALAR &&
        strcmp(job->secrets->text, "inherit") == 0)
        return 0;
    return check_given(yaml_get(call, "secrets"), job->secrets, "secret", "Secret", caller->file, uses, err);
}

json_t *plan_called_inputs(const struct workflow *called, const struct workflow *caller,
                           const struct workflow_job *job, json_t *contexts, struct error *err)
{
    struct scope_state state = {0};
    struct expr_scope scope = scope_make(contexts, &state);
    const struct yaml_node *declared = yaml_get(yaml_get(called->on, "workflow_call"), "inputs");
    json_t *given =
        job->with != NULL ? template_expand_node(job->with, &scope, caller->file, err) : json_object();
    json_t *inputs = json_object();

    if (given == NULL) {
        json_decref(inputs);
        return NULL;
    }
    for (size_t i = 0; declared != NULL && i + 1 < declared->len; i += 2) {
        const char *name = declared->items[i]->text;
        const struct yaml_node *fallback = yaml_get(declared->items[i + 1], "default");
        const char *type = yaml_get_text(declared->items[i + 1], "type");
        json_t *value = fallback != NULL ? template_expand_node(fallback, &scope, called->file, err) : NULL;

        if (value == NULL)
            value = empty_of(type);
        json_object_set_new(inputs, name, value);
    }
    if (json_is_object(given))
        json_object_update(inputs, given);
    json_decref(given);
    return inputs;
}

json_t *plan_event_inputs(const struct ci_plan *plan, const struct workflow *w)
{
    const json_t *github = json_object_get(plan->contexts, "github");
    const char *event = json_string_value(json_object_get(github, "event_name"));
    const json_t *given = json_object_get(json_object_get(github, "event"), "inputs");
    const struct yaml_node *declared;
    json_t *inputs;

    if (event == NULL || (strcmp(event, "workflow_dispatch") != 0 && strcmp(event, "workflow_call") != 0))
        return NULL;
    declared = yaml_get(yaml_get(w->on, event), "inputs");
    if (declared == NULL || declared->kind != YAML_MAPPING)
        return NULL;
    inputs = json_object();
    for (size_t i = 0; i + 1 < declared->len; i += 2) {
        const char *name = declared->items[i]->text, *type = yaml_get_text(declared->items[i + 1], "type");
        const struct yaml_node *fallback = yaml_get(declared->items[i + 1], "default");
        json_t *own = expr_member(given, name);

        json_object_set_new(inputs, name,
                            own != NULL        ? as_type(own, type)
                            : fallback != NULL ? yaml_to_json(fallback)
                                               : empty_of(type));
    }
    return inputs;
}
