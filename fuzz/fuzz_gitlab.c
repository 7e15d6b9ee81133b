/* fuzz/fuzz_gitlab.c: a .gitlab-ci.yml as a repository may hold it, for several events. */
#include "ci/gitlab.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ci_options events[] = {
        {.branch = "main", .include_unmatched = true},
        {.branch = "topic", .event = "pull_request"},
        {.tag = "v1.0"},
    };

    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        struct error err = {0};
        struct workflow *workflow = gitlab_workflow((const char *)data, size, GITLAB_FILE, &events[i], &err);

        if ((workflow == NULL) != error_is_set(&err))
            abort(); /* a file that does not read says why */
        for (size_t k = 0; workflow != NULL && k < workflow->jobs.len; k++) {
            const struct workflow_job *job = workflow->jobs.items[k];
            json_t *raw = yaml_to_json_texts(job->env);
            json_decref(gitlab_resolve_variables(raw));
            json_decref(raw);
        }
        workflow_destroy(workflow);
    }
    return 0;
}
