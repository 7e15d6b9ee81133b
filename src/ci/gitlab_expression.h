/* ci/gitlab_expression.h: the conditions of `rules:if` and `only:variables`, and "$NAME" within values.
 *
 *     or := and ("||" and)*      and := compare ("&&" compare)*
 *     compare := operand (("==" | "!=" | "=~" | "!~") operand)?
 *     operand := $NAME | "text" | 'text' | null | /pattern/flags | "(" or ")"
 *
 * (docs.gitlab.com/ci/jobs/job_rules: CI/CD variable expressions.) Patterns are RE2 on GitLab; here they are
 * POSIX extended ones with \d, \w, \s, \b and (?:...); what that does not cover is an error, not a guess. */
#ifndef CADRE_CI_GITLAB_EXPRESSION_H
#define CADRE_CI_GITLAB_EXPRESSION_H

#include "base/error.h"
#include "ci/yaml_tree.h"

#include <jansson.h>
#include <stdbool.h>

/* Evaluates the scalar against VARIABLES (an object of strings). 0, or -1 with ERR at the place within it. */
int gitlab_condition(const struct yaml_node *scalar, const json_t *variables, bool *out, struct error *err);

/* Does TEXT match "/pattern/flags"? -1 with ERR set when the pattern is none. */
int gitlab_pattern_match(const char *pattern, const char *text, bool *out, struct error *err);

/* "$NAME" and "${NAME}" replaced, "$$" is one "$"; unknown names become nothing. Those in KEEP (ended by NULL)
 * stay as "${NAME}". Caller frees. */
char *gitlab_expand(const char *text, const json_t *variables, const char *const *keep);

#endif
