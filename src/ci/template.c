/* ci/template.c: finds the expressions in text and puts their values in place. */
#include "ci/template.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The next "${{ ... }}" at or after P: its start, the expression in between, the place after it. A "}}"
 * within quotes does not end it. 1 found, 0 none, -1 not closed. */
struct span {
    const char *start, *inner, *inner_end, *end;
};

static int next_span(const char *p, struct span *span)
{
    bool is_quoted = false;

    span->start = strstr(p, "${{");
    if (span->start == NULL)
        return 0;
    span->inner = span->start + 3;
    for (const char *q = span->inner; *q != '\0'; q++) {
        if (*q == '\'') {
            is_quoted = !is_quoted;
        } else if (!is_quoted && q[0] == '}' && q[1] == '}') {
            span->inner_end = q;
            span->end = q + 2;
            return 1;
        }
    }
    return -1;
}

static int not_closed(const char *text, struct error *err)
{
    return error_set(err, ERROR_PARSE,
                     "The expression is not closed. An unescaped ${{ sequence was found, but the closing }} "
                     "sequence was not found: %.200s",
                     text);
}

bool template_has_expression(const char *text)
{
    return text != NULL && strstr(text, "${{") != NULL;
}

static char *span_expression(const struct span *span)
{
    char *text = xstrndup(span->inner, (size_t)(span->inner_end - span->inner));
    char *trimmed = xstrdup(str_trim(text));

    free(text);
    return trimmed;
}

static int evaluate_span(const struct span *span, const struct expr_scope *scope, struct expr_value *out,
                         struct error *err)
{
    char *text = span_expression(span);
    int rc = expr_evaluate_text(text, scope, out, err);

    free(text);
    return rc;
}

int template_expand(const char *text, const struct expr_scope *scope, struct expr_value *out,
                    struct error *err)
{
    struct span span;
    struct buf b = BUF_INIT;
    const char *p = text;
    int found = next_span(p, &span);

    *out = expr_null();
    if (found > 0 && span.start == text && *span.end == '\0')
        return evaluate_span(&span, scope, out, err);
    while (found > 0) {
        struct expr_value value;
        char *part;

        if (evaluate_span(&span, scope, &value, err) < 0) {
            buf_free(&b);
            return -1;
        }
        part = expr_to_string(&value);
        expr_value_finish(&value);
        buf_append(&b, p, (size_t)(span.start - p));
        buf_puts(&b, part);
        free(part);
        p = span.end;
        found = next_span(p, &span);
    }
    if (found < 0) {
        buf_free(&b);
        return not_closed(text, err);
    }
    buf_puts(&b, p);
    *out = expr_string_taken(buf_take(&b));
    return 0;
}

char *template_expand_text(const char *text, const struct expr_scope *scope, struct error *err)
{
    struct expr_value value;
    char *result;

    if (!template_has_expression(text))
        return xstrdup(text != NULL ? text : "");
    if (template_expand(text, scope, &value, err) < 0)
        return NULL;
    result = expr_to_string(&value);
    expr_value_finish(&value);
    return result;
}

static bool is_known_early(const struct expr *expr, const char *text)
{
    static const char *const later[] = {"steps", "needs", "job", "jobs"};

    if (expr_has_status_function(expr) || strcasestr(text, "hashFiles") != NULL)
        return false;
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        if (expr_uses_context(expr, later[i]))
            return false;
    }
    return true;
}

struct known_expression {
    struct expr *expr; /* NULL: it does not parse, or not all is known */
};

struct template_cache {
    struct map expressions; /* text between the braces -> struct known_expression */
};

static void free_known(void *value)
{
    struct known_expression *known = value;

    expr_destroy(known->expr);
    free(known);
}

struct template_cache *template_cache_create(void)
{
    struct template_cache *cache = xcalloc(1, sizeof *cache);

    cache->expressions.free_value = free_known;
    return cache;
}

void template_cache_destroy(struct template_cache *cache)
{
    if (cache == NULL)
        return;
    map_finish(&cache->expressions);
    free(cache);
}

static const struct expr *known_expression(struct template_cache *cache, const struct span *span,
                                           const struct expr_scope *scope)
{
    char *inner = span_expression(span);
    struct known_expression *known = map_get(&cache->expressions, inner);

    if (known == NULL) {
        struct error ignored = {0};

        known = xcalloc(1, sizeof *known);
        known->expr = expr_parse(inner, scope, &ignored);
        if (known->expr != NULL && !is_known_early(known->expr, inner)) {
            expr_destroy(known->expr);
            known->expr = NULL;
        }
        map_set(&cache->expressions, inner, known);
    }
    free(inner);
    return known->expr;
}

char *template_expand_known(const char *text, const struct expr_scope *scope, struct template_cache *cache)
{
    struct buf b = BUF_INIT;
    struct span span;
    const char *p = text;

    while (next_span(p, &span) > 0) {
        const struct expr *expr = known_expression(cache, &span, scope);
        struct error ignored = {0};
        struct expr_value value;

        buf_append(&b, p, (size_t)(span.start - p));
        if (expr != NULL && expr_evaluate(expr, scope, &value, &ignored) == 0) {
            char *part = expr_to_string(&value);

            buf_puts(&b, part);
            free(part);
            expr_value_finish(&value);
        } else {
            buf_append(&b, span.start, (size_t)(span.end - span.start));
        }
        p = span.end;
    }
    buf_puts(&b, p);
    return buf_take(&b);
}

static json_t *expand_scalar(const struct yaml_node *node, const struct expr_scope *scope, const char *file,
                             struct error *err)
{
    struct expr_value value;
    json_t *json;

    if (!template_has_expression(node->text))
        return yaml_scalar_json(node);
    if (template_expand(node->text, scope, &value, err) < 0) {
        error_wrap(err, "%s:%d:%d", file, node->line, node->column);
        return NULL;
    }
    json = expr_to_json(&value);
    expr_value_finish(&value);
    return json;
}

json_t *template_expand_node(const struct yaml_node *node, const struct expr_scope *scope, const char *file,
                             struct error *err)
{
    json_t *json, *item;

    if (node == NULL)
        return json_null();
    if (node->kind == YAML_SCALAR)
        return expand_scalar(node, scope, file, err);
    json = node->kind == YAML_SEQUENCE ? json_array() : json_object();
    for (size_t i = 0; i < node->len; i += node->kind == YAML_SEQUENCE ? 1 : 2) {
        if (node->kind == YAML_SEQUENCE) {
            const struct yaml_node *from = node->items[i];
            item = template_expand_node(from, scope, file, err);
            /* An expression that comes to a list adds its items, not itself. */
            if (json_is_array(item) && from->kind == YAML_SCALAR) {
                json_array_extend(json, item);
                json_decref(item);
            } else if (item != NULL) {
                json_array_append_new(json, item);
            }
        } else {
            char *key = template_expand_text(node->items[i]->text, scope, err);
            item = key != NULL ? template_expand_node(node->items[i + 1], scope, file, err) : NULL;
            if (item != NULL)
                json_object_set_new(json, key, item);
            free(key);
        }
        if (item == NULL) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static int check_at(const struct yaml_node *scalar, const char *file, struct error *err)
{
    return error_wrap(err, "%s:%d:%d", file, scalar->line, scalar->column);
}

int template_check(const struct yaml_node *scalar, const struct expr_scope *scope, const char *file,
                   struct error *err)
{
    struct span span;
    const char *p = scalar->text;
    int found;

    while ((found = next_span(p, &span)) > 0) {
        char *text = span_expression(&span);
        struct expr *expr;

        if (*text == '\0') {
            free(text);
            return error_set_at(err, ERROR_PARSE, file, scalar->line, scalar->column,
                                "An expression was expected");
        }
        expr = expr_parse(text, scope, err);
        free(text);
        if (expr == NULL)
            return check_at(scalar, file, err);
        expr_destroy(expr);
        p = span.end;
    }
    if (found < 0) {
        not_closed(scalar->text, err);
        return check_at(scalar, file, err);
    }
    return 0;
}

/* The expression of an `if`: without the "${{ }}" around it when that is all there is. With text around
 * "${{ }}" the whole is a text and therefore true unless empty; NULL then. */
static char *condition_expression(const char *text)
{
    char *copy = xstrdup(text);
    char *trimmed = str_trim(copy);
    char *result = NULL;
    struct span span;

    if (!template_has_expression(trimmed))
        result = xstrdup(trimmed);
    else if (next_span(trimmed, &span) > 0 && span.start == trimmed && *span.end == '\0')
        result = span_expression(&span);
    free(copy);
    return result;
}

int template_check_condition(const struct yaml_node *scalar, const struct expr_scope *scope, const char *file,
                             struct error *err)
{
    char *text = condition_expression(scalar->text);
    struct expr *expr;

    if (text == NULL)
        return template_check(scalar, scope, file, err);
    expr = expr_parse(text, scope, err);
    free(text);
    if (expr == NULL)
        return check_at(scalar, file, err);
    expr_destroy(expr);
    return 0;
}

static int call_success(const struct expr_scope *scope, bool *out, struct error *err)
{
    struct expr_value value;

    if (expr_evaluate_text("success()", scope, &value, err) < 0)
        return -1;
    *out = expr_is_truthy(&value);
    expr_value_finish(&value);
    return 0;
}

int template_condition(const char *text, const struct expr_scope *scope, bool *out, struct error *err)
{
    char *expression = text != NULL ? condition_expression(text) : xstrdup("");
    struct expr *expr = NULL;
    struct expr_value value;
    int rc = -1;

    *out = false;
    if (expression == NULL) { /* text around expressions */
        char *expanded = template_expand_text(text, scope, err);
        if (expanded == NULL)
            return -1;
        rc = call_success(scope, out, err);
        *out = *out && *expanded != '\0';
        free(expanded);
        return rc;
    }
    if (*expression == '\0') {
        rc = call_success(scope, out, err);
        goto out;
    }
    expr = expr_parse(expression, scope, err);
    if (expr == NULL)
        goto out;
    if (!expr_has_status_function(expr)) {
        bool is_success;
        if (call_success(scope, &is_success, err) < 0)
            goto out;
        if (!is_success) {
            rc = 0;
            goto out;
        }
    }
    if (expr_evaluate(expr, scope, &value, err) < 0)
        goto out;
    *out = expr_is_truthy(&value);
    expr_value_finish(&value);
    rc = 0;
out:
    expr_destroy(expr);
    free(expression);
    return rc;
}

/* By text: "needs." or "needs[" as a word within an expression. */
static bool text_uses(const char *text, const char *context)
{
    struct span span;
    size_t n = strlen(context);

    while (text != NULL && next_span(text, &span) > 0) {
        for (const char *p = span.inner; p + n <= span.inner_end; p++) {
            bool starts_word = p == span.inner || !(isalnum((unsigned char)p[-1]) || strchr("_-.'", p[-1]));
            if (starts_word && strncasecmp(p, context, n) == 0 &&
                !(isalnum((unsigned char)p[n]) || p[n] == '_' || p[n] == '-'))
                return true;
        }
        text = span.end;
    }
    return false;
}

bool template_uses_context(const struct yaml_node *node, const char *context)
{
    if (node == NULL)
        return false;
    if (node->kind == YAML_SCALAR)
        return text_uses(node->text, context);
    for (size_t i = 0; i < node->len; i++) {
        if (template_uses_context(node->items[i], context))
            return true;
    }
    return false;
}
