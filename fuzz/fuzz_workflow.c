/* fuzz/fuzz_workflow.c: workflow and action files as a repository may hold them. */
#include "ci/workflow.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct workflow *workflow = workflow_parse((const char *)data, size, "w.yml", &err);
    struct action *action;

    if ((workflow == NULL) != error_is_set(&err))
        abort(); /* a file that does not read says why */
    workflow_destroy(workflow);
    error_clear(&err);
    action = action_parse((const char *)data, size, "action.yml", &err);
    action_destroy(action);
    return 0;
}
