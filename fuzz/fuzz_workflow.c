/* fuzz/fuzz_workflow.c: workflow and action files as a repository may hold them. */
#include "ci/event_filter.h"
#include "ci/workflow.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Its filters, for several events. */
static void match(const struct workflow *workflow)
{
    static char *paths[] = {"src/a.c", "docs/b/c.md", NULL};
    static const struct str_list changed = {.items = paths, .len = 2};
    static const struct event events[] = {
        {.name = "push", .branch = "releases/1.x-alpha", .changed_paths = &changed},
        {.name = "push", .tag = "v1.20.3"},
        {.name = "pull_request", .branch = "main", .changed_paths = &changed},
    };
    char reason[256];

    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        (void)event_filter_matches(workflow->on, &events[i], reason, sizeof reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct workflow *workflow = workflow_parse((const char *)data, size, "w.yml", &err);
    struct action *action;

    if ((workflow == NULL) != error_is_set(&err))
        abort(); /* a file that does not read says why */
    if (workflow != NULL)
        match(workflow);
    workflow_destroy(workflow);
    error_clear(&err);
    action = action_parse((const char *)data, size, "action.yml", &err);
    action_destroy(action);
    return 0;
}
