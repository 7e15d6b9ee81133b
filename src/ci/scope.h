/* ci/scope.h: the contexts and functions that expressions of a job or step see while it is planned or run. */
#ifndef CADRE_CI_SCOPE_H
#define CADRE_CI_SCOPE_H

#include "ci/expression.h"

#include <stdbool.h>

/* What status functions and hashFiles answer from. */
struct scope_state {
    bool is_failed;    /* an earlier step, or a needed job */
    bool is_cancelled;
    bool is_skipped;   /* a needed job was skipped: neither success() nor failure() */
    const char *workspace; /* for hashFiles; NULL: no files */
};

/* All contexts are known by name; those that are missing in CONTEXTS are null. */
struct expr_scope scope_make(json_t *contexts, struct scope_state *state);

/* Hash over the files below ROOT that match the patterns ("!x" takes away), 64 hex digits; "" for none.
 * Caller frees. */
char *scope_hash_files(const char *root, const char *const *patterns, size_t n);

#endif
