/* ci/expression_parse.c: tokens to a tree, by precedence: || && (== !=) (< <= > >=) ! and dereference.
 * The lexer has already refused what cannot follow; here names and functions are looked up, depth and
 * length are bounded. */
#include "ci/expression_internal.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct parser {
    struct expr *expr;
    const struct expr_scope *scope;
    struct lexer lexer;
    struct token current;
    struct token previous; /* last token before the end, for "unexpected end" */
    unsigned depth;        /* of the parser's own recursion */
    struct error *err;
};

static struct node *parse_or(struct parser *p);

static int fail_at(struct parser *p, const char *what, const struct token *t)
{
    return error_set(p->err, ERROR_PARSE, "%s: '%.*s'. Located at position %zu within expression: %s", what,
                     (int)(t->len > 200 ? 200 : t->len), t->start, t->position, p->lexer.text);
}

static int advance(struct parser *p)
{
    p->previous = p->current;
    lexer_next(&p->lexer, &p->current);
    if (p->current.kind == TOKEN_UNEXPECTED)
        return fail_at(p, "Unexpected symbol", &p->current);
    return 0;
}

static struct node *node_create(struct parser *p, enum node_kind kind)
{
    struct node *node = arena_alloc(&p->expr->arena, sizeof *node);

    node->kind = kind;
    return node;
}

static void node_add(struct parser *p, struct node *node, struct node *arg)
{
    if (node->arg_count == node->arg_cap) {
        size_t cap = node->arg_cap > 0 ? node->arg_cap * 2 : 2;
        struct node **args = arena_alloc(&p->expr->arena, cap * sizeof *args);
        if (node->arg_count > 0)
            memcpy(args, node->args, node->arg_count * sizeof *args);
        node->args = args;
        node->arg_cap = cap;
    }
    node->args[node->arg_count++] = arg;
}

static struct node *end_of_expression(struct parser *p)
{
    fail_at(p, "Unexpected end of expression", &p->previous);
    return NULL;
}

static bool is_known_name(const struct parser *p, const struct token *t)
{
    if (p->scope->names != NULL) {
        for (size_t i = 0; p->scope->names[i] != NULL; i++) {
            if (strlen(p->scope->names[i]) == t->len && strncasecmp(p->scope->names[i], t->start, t->len) == 0)
                return true;
        }
        return false;
    }
    if (json_is_object(p->scope->contexts)) {
        const char *key;
        json_t *value;
        json_object_foreach(p->scope->contexts, key, value) {
            if (strlen(key) == t->len && strncasecmp(key, t->start, t->len) == 0)
                return true;
        }
    }
    return false;
}

static const struct expr_function *scope_function(const struct expr_scope *scope, const struct token *t)
{
    for (const struct expr_function *f = scope->functions; f != NULL && f->name != NULL; f++) {
        if (strlen(f->name) == t->len && strncasecmp(f->name, t->start, t->len) == 0)
            return f;
    }
    return NULL;
}

static struct node *parse_call(struct parser *p)
{
    struct token name = p->current;
    struct node *node = node_create(p, NODE_CALL);
    size_t min_args, max_args;

    node->builtin = builtin_find(name.start, name.len);
    node->function = node->builtin == NULL ? scope_function(p->scope, &name) : NULL;
    if (node->builtin == NULL && node->function == NULL) {
        fail_at(p, "Unrecognized function", &name);
        return NULL;
    }
    node->name = arena_strndup(&p->expr->arena, name.start, name.len);
    if (advance(p) < 0)
        return NULL;
    if (p->current.kind != TOKEN_START_PARAMETERS)
        return end_of_expression(p);
    if (advance(p) < 0)
        return NULL;
    while (p->current.kind != TOKEN_END_PARAMETERS) {
        struct node *arg = parse_or(p);
        if (arg == NULL)
            return NULL;
        node_add(p, node, arg);
        if (p->current.kind == TOKEN_SEPARATOR) {
            if (advance(p) < 0)
                return NULL;
            if (p->current.kind == TOKEN_END)
                return end_of_expression(p);
        } else if (p->current.kind != TOKEN_END_PARAMETERS) {
            return end_of_expression(p);
        }
    }
    min_args = node->builtin != NULL ? node->builtin->min_args : node->function->min_args;
    max_args = node->builtin != NULL ? node->builtin->max_args : node->function->max_args;
    if (node->arg_count < min_args) {
        fail_at(p, "Too few parameters supplied", &name);
        return NULL;
    }
    if (node->arg_count > max_args) {
        fail_at(p, "Too many parameters supplied", &name);
        return NULL;
    }
    return advance(p) < 0 ? NULL : node;
}

/* 'it''s' without its quotes. */
static char *unquote(struct parser *p, const struct token *t)
{
    char *text = arena_alloc(&p->expr->arena, t->len + 1);
    size_t n = 0;

    for (size_t i = 1; i + 1 < t->len; i++) {
        text[n++] = t->start[i];
        if (t->start[i] == '\'')
            i++;
    }
    text[n] = '\0';
    return text;
}

static struct node *parse_primary(struct parser *p)
{
    const struct token t = p->current;
    struct node *node;

    switch (t.kind) {
    case TOKEN_START_GROUP:
        if (advance(p) < 0)
            return NULL;
        node = parse_or(p);
        if (node == NULL)
            return NULL;
        if (p->current.kind != TOKEN_END_GROUP)
            return end_of_expression(p);
        break;
    case TOKEN_FUNCTION:
        return parse_call(p);
    case TOKEN_NAMED_VALUE:
        if (!is_known_name(p, &t)) {
            fail_at(p, "Unrecognized named-value", &t);
            return NULL;
        }
        node = node_create(p, NODE_CONTEXT);
        node->name = arena_strndup(&p->expr->arena, t.start, t.len);
        break;
    case TOKEN_NULL:
        node = node_create(p, NODE_LITERAL);
        break;
    case TOKEN_BOOLEAN:
        node = node_create(p, NODE_LITERAL);
        node->literal = expr_boolean(t.boolean);
        break;
    case TOKEN_NUMBER:
        node = node_create(p, NODE_LITERAL);
        node->literal = expr_number(t.number);
        break;
    case TOKEN_STRING:
        node = node_create(p, NODE_LITERAL);
        node->literal.kind = EXPR_STRING;
        node->literal.string = unquote(p, &t);
        break;
    case TOKEN_END:
        return end_of_expression(p);
    default:
        fail_at(p, "Unexpected symbol", &t);
        return NULL;
    }
    return advance(p) < 0 ? NULL : node;
}

static struct node *parse_postfix(struct parser *p)
{
    struct node *node = parse_primary(p);

    while (node != NULL && (p->current.kind == TOKEN_DEREFERENCE || p->current.kind == TOKEN_START_INDEX)) {
        bool is_index = p->current.kind == TOKEN_START_INDEX;
        struct node *index = node_create(p, NODE_INDEX);
        struct node *key;

        if (advance(p) < 0)
            return NULL;
        if (p->current.kind == TOKEN_WILDCARD) {
            key = node_create(p, NODE_WILDCARD);
            if (advance(p) < 0)
                return NULL;
        } else if (is_index) {
            key = parse_or(p);
            if (key == NULL)
                return NULL;
        } else if (p->current.kind == TOKEN_PROPERTY) {
            key = node_create(p, NODE_LITERAL);
            key->literal.kind = EXPR_STRING;
            key->literal.string = arena_strndup(&p->expr->arena, p->current.start, p->current.len);
            if (advance(p) < 0)
                return NULL;
        } else {
            return end_of_expression(p);
        }
        if (is_index) {
            if (p->current.kind != TOKEN_END_INDEX)
                return end_of_expression(p);
            if (advance(p) < 0)
                return NULL;
        }
        node_add(p, index, node);
        node_add(p, index, key);
        node = index;
    }
    return node;
}

static struct node *parse_not(struct parser *p)
{
    struct node *node, *operand;

    if (p->current.kind != TOKEN_OPERATOR || p->current.op != OP_NOT)
        return parse_postfix(p);
    if (++p->depth > 4 * EXPR_MAX_DEPTH) {
        error_set(p->err, ERROR_PARSE, "Exceeded max expression depth %d", EXPR_MAX_DEPTH);
        return NULL;
    }
    node = node_create(p, NODE_NOT);
    if (advance(p) < 0)
        return NULL;
    operand = parse_not(p);
    p->depth--;
    if (operand == NULL)
        return NULL;
    node_add(p, node, operand);
    return node;
}

static struct node *parse_comparison(struct parser *p, bool is_equality)
{
    struct node *left = is_equality ? parse_comparison(p, false) : parse_not(p);

    while (left != NULL && p->current.kind == TOKEN_OPERATOR) {
        enum operator_kind op = p->current.op;
        struct node *node, *right;

        if (is_equality ? op != OP_EQ && op != OP_NE : op != OP_LT && op != OP_LE && op != OP_GT && op != OP_GE)
            break;
        if (advance(p) < 0)
            return NULL;
        right = is_equality ? parse_comparison(p, false) : parse_not(p);
        if (right == NULL)
            return NULL;
        node = node_create(p, NODE_COMPARE);
        node->op = op;
        node_add(p, node, left);
        node_add(p, node, right);
        left = node;
    }
    return left;
}

/* a && b && c is one node with three operands, so that long chains are not deep. */
static struct node *parse_chain(struct parser *p, enum operator_kind op)
{
    struct node *left = op == OP_OR ? parse_chain(p, OP_AND) : parse_comparison(p, true);
    struct node *chain = NULL;

    while (left != NULL && p->current.kind == TOKEN_OPERATOR && p->current.op == op) {
        struct node *right;

        if (advance(p) < 0)
            return NULL;
        right = op == OP_OR ? parse_chain(p, OP_AND) : parse_comparison(p, true);
        if (right == NULL)
            return NULL;
        if (chain == NULL) {
            chain = node_create(p, op == OP_OR ? NODE_OR : NODE_AND);
            node_add(p, chain, left);
            left = chain;
        }
        node_add(p, chain, right);
    }
    return left;
}

static struct node *parse_or(struct parser *p)
{
    struct node *node;

    if (++p->depth > 4 * EXPR_MAX_DEPTH) {
        error_set(p->err, ERROR_PARSE, "Exceeded max expression depth %d", EXPR_MAX_DEPTH);
        return NULL;
    }
    node = parse_chain(p, OP_OR);
    p->depth--;
    return node;
}

/* Depth of the tree; dereference chains are walked without recursion, since they may be long. */
static bool is_too_deep(const struct node *node, unsigned depth)
{
    for (;;) {
        if (depth > EXPR_MAX_DEPTH)
            return true;
        if (node->arg_count == 0)
            return false;
        for (size_t i = 1; i < node->arg_count; i++) {
            if (is_too_deep(node->args[i], depth + 1))
                return true;
        }
        node = node->args[0];
        depth++;
    }
}

struct expr *expr_parse(const char *text, const struct expr_scope *scope, struct error *err)
{
    struct expr *expr;
    struct parser *p;
    bool ok = false;

    if (strlen(text) > EXPR_MAX_LENGTH) {
        error_set(err, ERROR_PARSE, "Exceeded max expression length %d", EXPR_MAX_LENGTH);
        return NULL;
    }
    expr = xcalloc(1, sizeof *expr);
    expr->text = arena_strdup(&expr->arena, text);
    p = xcalloc(1, sizeof *p);
    p->expr = expr;
    p->scope = scope;
    p->err = err;
    p->lexer.text = expr->text;
    if (advance(p) < 0)
        goto out;
    if (p->current.kind == TOKEN_END) {
        ok = true;
        goto out;
    }
    expr->root = parse_or(p);
    if (expr->root == NULL)
        goto out;
    if (p->current.kind != TOKEN_END) {
        fail_at(p, "Unexpected symbol", &p->current);
        goto out;
    }
    if (is_too_deep(expr->root, 1)) {
        error_set(err, ERROR_PARSE, "Exceeded max expression depth %d", EXPR_MAX_DEPTH);
        goto out;
    }
    ok = true;
out:
    free(p);
    if (!ok) {
        expr_destroy(expr);
        return NULL;
    }
    return expr;
}

void expr_destroy(struct expr *expr)
{
    if (expr == NULL)
        return;
    arena_finish(&expr->arena);
    free(expr);
}

static bool has_status(const struct node *node)
{
    if (node == NULL)
        return false;
    if (node->kind == NODE_CALL && node->function != NULL && node->function->is_status)
        return true;
    for (size_t i = 0; i < node->arg_count; i++) {
        if (has_status(node->args[i]))
            return true;
    }
    return false;
}

bool expr_has_status_function(const struct expr *expr)
{
    return has_status(expr->root);
}

static bool uses_context(const struct node *node, const char *name)
{
    if (node == NULL)
        return false;
    if (node->kind == NODE_CONTEXT && strcasecmp(node->name, name) == 0)
        return true;
    for (size_t i = 0; i < node->arg_count; i++) {
        if (uses_context(node->args[i], name))
            return true;
    }
    return false;
}

bool expr_uses_context(const struct expr *expr, const char *name)
{
    return uses_context(expr->root, name);
}
