/* ci/expression.h: the expression language of GitHub workflows: parse and evaluate, with GitHub's coercion
 * and operator rules, error texts and positions.
 * (docs.github.com/actions/reference/workflows-and-actions/expressions; the behaviour where that is silent
 * is that of the public conformance cases of the runner.)
 *
 * An expression is parsed once against the names that are known where it stands, then evaluated against
 * contexts that are JSON objects. Nothing here runs a program or reads a file: status functions and
 * hashFiles are handed in. */
#ifndef CADRE_CI_EXPRESSION_H
#define CADRE_CI_EXPRESSION_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct buf;
struct expr;

enum expr_kind { EXPR_NULL, EXPR_BOOLEAN, EXPR_NUMBER, EXPR_STRING, EXPR_ARRAY, EXPR_OBJECT };

/* Zeroed memory is null. */
struct expr_value {
    enum expr_kind kind;
    bool boolean;
    bool is_filtered; /* the result of `.*`: further dereferences apply to each element */
    double number;
    char *string; /* owned */
    json_t *json; /* owned reference, of arrays and objects */
};

void expr_value_finish(struct expr_value *value);
struct expr_value expr_value_copy(const struct expr_value *value);
struct expr_value expr_null(void);
struct expr_value expr_boolean(bool b);
struct expr_value expr_number(double number);
struct expr_value expr_string(const char *text);      /* copies */
struct expr_value expr_string_taken(char *text);      /* takes ownership */
struct expr_value expr_from_json(const json_t *json); /* shares arrays and objects; NULL is null */

bool expr_is_truthy(const struct expr_value *value);
double expr_to_number(const struct expr_value *value);      /* NaN when it is none */
char *expr_to_string(const struct expr_value *value);       /* caller frees; "Array", "Object" for those */
json_t *expr_to_json(const struct expr_value *value);       /* new reference */
bool expr_equal(const struct expr_value *a, const struct expr_value *b); /* the == operator */
bool expr_greater(const struct expr_value *a, const struct expr_value *b);
bool expr_less(const struct expr_value *a, const struct expr_value *b);
double expr_parse_number(const char *text); /* NaN when it is none; "" is 0 */

/* Case-insensitive (ordinal, simple upper case) comparison and search of UTF-8 text. */
int expr_text_compare(const char *a, const char *b);
bool expr_text_starts_with(const char *text, const char *start);
bool expr_text_ends_with(const char *text, const char *end);
bool expr_text_contains(const char *text, const char *part);

/* Member of an object by name, ignoring case; borrowed, or NULL. */
json_t *expr_member(const json_t *object, const char *name);

/* A function that the place of the expression offers beside the built-in ones. */
struct expr_function {
    const char *name;
    size_t min_args, max_args;
    int (*call)(void *data, const struct expr_value *args, size_t n, struct expr_value *out,
                struct error *err);
    bool is_status; /* success, failure, always, cancelled: an `if` that has one is not wrapped in success() */
};

struct expr_scope {
    const char *const *names;              /* known contexts, NULL-terminated; NULL: the keys of `contexts` */
    const struct expr_function *functions; /* ended by a NULL name; NULL: none */
    void *data;                            /* of the functions */
    json_t *contexts;                      /* borrowed; may be NULL when only parsing */
    size_t max_memory;                     /* bytes of text made while evaluating; 0: 1 MiB */
};

#define EXPR_MAX_LENGTH 21000
#define EXPR_MAX_DEPTH  50

/* Parses. Errors are worded as GitHub's: "Unexpected symbol: 'x'. Located at position 3 within expression:
 * ...". NULL with ERR set on failure; the scope's names and functions must outlive the result. */
struct expr *expr_parse(const char *text, const struct expr_scope *scope, struct error *err);
void expr_destroy(struct expr *expr);
bool expr_has_status_function(const struct expr *expr);
/* Does it name this context ("needs")? */
bool expr_uses_context(const struct expr *expr, const char *name);

/* OUT is finished by the caller when 0 is returned. */
int expr_evaluate(const struct expr *expr, const struct expr_scope *scope, struct expr_value *out,
                  struct error *err);

/* Parse and evaluate. An empty text is null. */
int expr_evaluate_text(const char *text, const struct expr_scope *scope, struct expr_value *out,
                       struct error *err);

/* Appends JSON as toJSON() prints it: two spaces of indentation, numbers in their shortest form. */
void expr_print_json(struct buf *out, const json_t *value);
/* As %.15G, "-0" as "0", "NaN", "Infinity". */
void expr_print_number(struct buf *out, double number);

#endif
