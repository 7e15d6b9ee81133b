/* ci/template.h: text with "${{ expression }}" in it, and YAML trees of such text. */
#ifndef CADRE_CI_TEMPLATE_H
#define CADRE_CI_TEMPLATE_H

#include "ci/expression.h"
#include "ci/yaml_tree.h"

struct arena;

bool template_has_expression(const char *text);

/* A text that is one expression and nothing else keeps the value's kind; else the parts are joined as text.
 * OUT is the caller's to finish when 0 is returned. */
int template_expand(const char *text, const struct expr_scope *scope, struct expr_value *out,
                    struct error *err);

/* The same as text; caller frees. NULL with ERR set on failure. */
char *template_expand_text(const char *text, const struct expr_scope *scope, struct error *err);

/* Expressions that were parsed once, for texts that are expanded again and again. */
struct template_cache;
struct template_cache *template_cache_create(void);
void template_cache_destroy(struct template_cache *cache);

/* As template_expand_text(), but an expression that does not parse, or that needs what is only known while the job runs
 * (steps, needs, job, status functions, hashFiles), stays as it is. All scopes used with one CACHE know the same names and
 * functions. Caller frees. */
char *template_expand_known(const char *text, const struct expr_scope *scope, struct template_cache *cache);

/* The tree with every scalar (and key) expanded, as JSON. FILE names it in errors. New reference. */
json_t *template_expand_node(const struct yaml_node *node, const struct expr_scope *scope, const char *file,
                             struct error *err);

/* Parses all expressions of the scalar without evaluating. ERR gets "FILE:LINE:COLUMN: ...". */
int template_check(const struct yaml_node *scalar, const struct expr_scope *scope, const char *file,
                   struct error *err);

/* `if`: with or without "${{ }}"; without a status function it is "success() && (...)". An empty text is
 * success(). */
int template_condition(const char *text, const struct expr_scope *scope, bool *out, struct error *err);
int template_check_condition(const struct yaml_node *scalar, const struct expr_scope *scope, const char *file,
                             struct error *err);

/* Does some expression of the tree name this context? Unparsable ones do not. */
bool template_uses_context(const struct yaml_node *node, const char *context);

#endif
