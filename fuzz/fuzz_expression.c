/* fuzz/fuzz_expression.c: an expression of a workflow: parsed and evaluated, alone and within text. */
#include "ci/expression.h"
#include "ci/scope.h"
#include "ci/template.h"

#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static json_t *contexts;
    char *text = xstrndup((const char *)data, size);
    struct scope_state state = {0};
    struct expr_scope scope;
    struct expr_value value;
    struct error err = {0};
    char *expanded;
    bool is_true;

    if (contexts == NULL)
        contexts = json_pack("{s:{s:s,s:[i,i,i],s:{s:b}},s:{s:s}}", "github", "ref", "refs/heads/main", "list", 1, 2, 3,
                             "event", "draft", 0, "env", "A", "b");
    scope = scope_make(contexts, &state);
    scope.max_memory = 1 << 16;
    if (expr_evaluate_text(text, &scope, &value, &err) == 0)
        expr_value_finish(&value);
    else if (!error_is_set(&err))
        abort(); /* a failure says why */
    expanded = template_expand_text(text, &scope, &err);
    free(expanded);
    (void)template_condition(text, &scope, &is_true, &err);
    free(text);
    return 0;
}
