/* ci/expression_eval.c: walks the tree of an expression. */
#include "ci/expression_internal.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX_MEMORY (1024 * 1024)

static int evaluate(struct evaluation *ev, const struct node *node, struct expr_value *out, struct error *err);

int evaluation_charge(struct evaluation *ev, size_t bytes, struct error *err)
{
    ev->memory += bytes + 26; /* what the reference counts for a string beside its text */
    if (ev->memory > ev->max_memory)
        return error_set(err, ERROR_LIMIT, "The maximum allowed memory size was exceeded");
    return 0;
}

static struct expr_value filtered(void)
{
    return (struct expr_value){.kind = EXPR_ARRAY, .is_filtered = true, .json = json_array()};
}

static void add_children(json_t *to, const json_t *from)
{
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_object(from)) {
        json_object_foreach((json_t *)(uintptr_t)from, key, item)
            json_array_append(to, item);
    } else if (json_is_array(from)) {
        json_array_foreach(from, i, item)
            json_array_append(to, item);
    }
}

static struct expr_value all_children(const struct expr_value *value)
{
    struct expr_value out = filtered();
    json_t *item;
    size_t i;

    if (value->is_filtered) {
        json_array_foreach(value->json, i, item)
            add_children(out.json, item);
    } else {
        add_children(out.json, value->json);
    }
    return out;
}

/* The element of an array at what KEY counts as, or NULL. */
static json_t *array_element(const json_t *array, const struct expr_value *key)
{
    double index = floor(expr_to_number(key));

    if (isnan(index) || index < 0 || index >= (double)json_array_size(array))
        return NULL;
    return json_array_get(array, (size_t)index);
}

static json_t *child(const json_t *parent, const struct expr_value *key)
{
    json_t *found = NULL;

    if (key->kind == EXPR_ARRAY || key->kind == EXPR_OBJECT)
        return NULL;
    if (json_is_object(parent)) {
        char *name = expr_to_string(key);
        found = expr_member(parent, name);
        free(name);
    } else if (json_is_array(parent)) {
        found = array_element(parent, key);
    }
    return found;
}

static int evaluate_index(struct evaluation *ev, const struct node *node, struct expr_value *out,
                          struct error *err)
{
    struct expr_value base, key;
    json_t *item;
    size_t i;

    if (evaluate(ev, node->args[0], &base, err) < 0)
        return -1;
    if (node->args[1]->kind == NODE_WILDCARD) {
        *out = all_children(&base);
        expr_value_finish(&base);
        return 0;
    }
    if (node->args[1]->kind == NODE_LITERAL && node->args[1]->literal.kind == EXPR_STRING && !base.is_filtered &&
        json_is_object(base.json)) { /* nearly all of them: "matrix.name" */
        *out = expr_from_json(expr_member(base.json, node->args[1]->literal.string));
        expr_value_finish(&base);
        return 0;
    }
    if (evaluate(ev, node->args[1], &key, err) < 0) {
        expr_value_finish(&base);
        return -1;
    }
    if (base.is_filtered) {
        *out = filtered();
        json_array_foreach(base.json, i, item) {
            json_t *found = child(item, &key);
            if (found != NULL)
                json_array_append(out->json, found);
        }
    } else {
        *out = expr_from_json(child(base.json, &key));
    }
    expr_value_finish(&base);
    expr_value_finish(&key);
    return 0;
}

static int evaluate_compare(struct evaluation *ev, const struct node *node, struct expr_value *out,
                            struct error *err)
{
    struct expr_value a, b;
    bool result = false;

    if (evaluate(ev, node->args[0], &a, err) < 0)
        return -1;
    if (evaluate(ev, node->args[1], &b, err) < 0) {
        expr_value_finish(&a);
        return -1;
    }
    switch (node->op) {
    case OP_EQ:
        result = expr_equal(&a, &b);
        break;
    case OP_NE:
        result = !expr_equal(&a, &b);
        break;
    case OP_GT:
        result = expr_greater(&a, &b);
        break;
    case OP_GE:
        result = expr_equal(&a, &b) || expr_greater(&a, &b);
        break;
    case OP_LT:
        result = expr_less(&a, &b);
        break;
    case OP_LE:
        result = expr_equal(&a, &b) || expr_less(&a, &b);
        break;
    default:
        break;
    }
    expr_value_finish(&a);
    expr_value_finish(&b);
    *out = expr_boolean(result);
    return 0;
}

/* case(condition, value, ..., default): only the chosen value is evaluated. */
static int evaluate_case(struct evaluation *ev, const struct node *node, struct expr_value *out,
                         struct error *err)
{
    size_t i;

    for (i = 0; i + 1 < node->arg_count; i += 2) {
        struct expr_value condition;
        bool is_true;

        if (evaluate(ev, node->args[i], &condition, err) < 0)
            return -1;
        if (condition.kind != EXPR_BOOLEAN) {
            expr_value_finish(&condition);
            return error_set(err, ERROR_PARSE, "The condition of 'case' must be a boolean");
        }
        is_true = condition.boolean;
        expr_value_finish(&condition);
        if (is_true)
            return evaluate(ev, node->args[i + 1], out, err);
    }
    return evaluate(ev, node->args[node->arg_count - 1], out, err);
}

static int evaluate_call(struct evaluation *ev, const struct node *node, struct expr_value *out,
                         struct error *err)
{
    struct expr_value *args;
    size_t n = 0;
    int rc = -1;

    if (node->builtin != NULL && node->builtin->call == NULL)
        return evaluate_case(ev, node, out, err);
    args = xcalloc(node->arg_count + 1, sizeof *args);
    for (; n < node->arg_count; n++) {
        if (evaluate(ev, node->args[n], &args[n], err) < 0)
            goto out;
    }
    *out = expr_null();
    if (node->builtin != NULL)
        rc = node->builtin->call(ev, args, n, out, err);
    else if (node->function->call != NULL)
        rc = node->function->call(ev->scope->data, args, n, out, err);
    else
        rc = 0;
    if (rc < 0)
        expr_value_finish(out);
    else if (out->kind == EXPR_STRING && evaluation_charge(ev, 2 * strlen(out->string), err) < 0) {
        expr_value_finish(out);
        rc = -1;
    }
out:
    while (n > 0)
        expr_value_finish(&args[--n]);
    free(args);
    return rc;
}

static int evaluate(struct evaluation *ev, const struct node *node, struct expr_value *out, struct error *err)
{
    bool is_true;

    switch (node->kind) {
    case NODE_LITERAL:
        *out = expr_value_copy(&node->literal);
        return 0;
    case NODE_CONTEXT:
        *out = expr_from_json(expr_member(ev->scope->contexts, node->name));
        return 0;
    case NODE_INDEX:
        return evaluate_index(ev, node, out, err);
    case NODE_NOT:
        if (evaluate(ev, node->args[0], out, err) < 0)
            return -1;
        is_true = expr_is_truthy(out);
        expr_value_finish(out);
        *out = expr_boolean(!is_true);
        return 0;
    case NODE_COMPARE:
        return evaluate_compare(ev, node, out, err);
    case NODE_AND:
    case NODE_OR:
        for (size_t i = 0;; i++) {
            if (evaluate(ev, node->args[i], out, err) < 0)
                return -1;
            if (i + 1 == node->arg_count || expr_is_truthy(out) == (node->kind == NODE_OR))
                return 0;
            expr_value_finish(out);
        }
    case NODE_CALL:
        return evaluate_call(ev, node, out, err);
    case NODE_WILDCARD:
    default:
        *out = expr_null();
        return 0;
    }
}

int expr_evaluate(const struct expr *expr, const struct expr_scope *scope, struct expr_value *out,
                  struct error *err)
{
    struct evaluation ev = {.scope = scope,
                            .max_memory = scope->max_memory > 0 ? scope->max_memory : DEFAULT_MAX_MEMORY};

    *out = expr_null();
    if (expr->root == NULL)
        return 0;
    return evaluate(&ev, expr->root, out, err);
}

int expr_evaluate_text(const char *text, const struct expr_scope *scope, struct expr_value *out,
                       struct error *err)
{
    struct expr *expr = expr_parse(text, scope, err);
    int rc;

    *out = expr_null();
    if (expr == NULL)
        return -1;
    rc = expr_evaluate(expr, scope, out, err);
    expr_destroy(expr);
    return rc;
}
