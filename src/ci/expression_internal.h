/* ci/expression_internal.h: what lexer, parser, evaluator and functions share. Only expression*.c include it. */
#ifndef CADRE_CI_EXPRESSION_INTERNAL_H
#define CADRE_CI_EXPRESSION_INTERNAL_H

#include "base/arena.h"
#include "ci/expression.h"

enum token_kind {
    TOKEN_END,
    TOKEN_START_GROUP,
    TOKEN_START_INDEX,
    TOKEN_START_PARAMETERS,
    TOKEN_END_GROUP,
    TOKEN_END_INDEX,
    TOKEN_END_PARAMETERS,
    TOKEN_SEPARATOR,
    TOKEN_DEREFERENCE,
    TOKEN_WILDCARD,
    TOKEN_OPERATOR,
    TOKEN_NULL,
    TOKEN_BOOLEAN,
    TOKEN_NUMBER,
    TOKEN_STRING,
    TOKEN_PROPERTY,
    TOKEN_FUNCTION,
    TOKEN_NAMED_VALUE,
    TOKEN_UNEXPECTED,
};

enum operator_kind { OP_NONE, OP_NOT, OP_NE, OP_GT, OP_GE, OP_LT, OP_LE, OP_EQ, OP_AND, OP_OR };

struct token {
    enum token_kind kind;
    enum operator_kind op;
    const char *start; /* in the expression's text */
    size_t len;
    size_t position; /* 1-based, in characters */
    double number;
    bool boolean;
};

struct lexer {
    const char *text;
    size_t index;
    size_t counted_index, counted; /* characters in front of that index */
    struct token last; /* TOKEN_END at the start */
    enum token_kind unclosed[EXPR_MAX_LENGTH / 64];
    size_t unclosed_len;
};

/* The next token in NEXT (TOKEN_END at the end, TOKEN_UNEXPECTED for what is not legal there). */
void lexer_next(struct lexer *lexer, struct token *next);

enum node_kind { NODE_LITERAL, NODE_CONTEXT, NODE_INDEX, NODE_WILDCARD, NODE_NOT, NODE_COMPARE, NODE_AND, NODE_OR,
                 NODE_CALL };

struct builtin;

struct node {
    enum node_kind kind;
    enum operator_kind op;
    struct expr_value literal; /* a string in it is the arena's */
    const char *name;          /* of contexts and functions */
    const struct builtin *builtin;
    const struct expr_function *function;
    struct node **args;
    size_t arg_count, arg_cap;
};

struct expr {
    struct arena arena;
    const char *text;
    struct node *root; /* NULL: empty expression */
};

struct evaluation {
    const struct expr_scope *scope;
    size_t memory;
    size_t max_memory;
};

/* A built-in function; ARGS are evaluated. */
struct builtin {
    const char *name;
    size_t min_args, max_args;
    int (*call)(struct evaluation *ev, const struct expr_value *args, size_t n, struct expr_value *out,
                struct error *err);
};

const struct builtin *builtin_find(const char *name, size_t len);

/* Counts text that was made; -1 when it is too much. */
int evaluation_charge(struct evaluation *ev, size_t bytes, struct error *err);

#endif
