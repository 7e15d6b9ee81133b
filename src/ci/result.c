/* ci/result.c: results: names, questions, clean-up. */
#include "ci/ci.h"

#include <stdlib.h>
#include <string.h>

void ci_result_finish(struct ci_result *result)
{
    for (size_t i = 0; i < result->job_count; i++) {
        struct ci_job_result *job = &result->jobs[i];
        free(job->id);
        free(job->name);
        free(job->key);
        free(job->reason);
        free(job->failing_step);
        free(job->command);
        free(job->log_file);
        free(job->excerpt);
        str_list_finish(&job->failing_tests);
        str_list_finish(&job->skipped_steps);
    }
    free(result->jobs);
    str_list_finish(&result->annotations);
    memset(result, 0, sizeof *result);
}

const char *ci_state_name(enum ci_state state)
{
    static const char *const names[] = {"passed", "failed", "skipped", "environment", "cancelled"};

    return names[state];
}

const char *ci_verdict_name(enum ci_verdict verdict)
{
    static const char *const names[] = {"green", "red", "nothing-ran", "environment", "stopped"};

    return names[verdict];
}

const struct ci_job_result *ci_result_job(const struct ci_result *result, const char *id)
{
    for (size_t i = 0; i < result->job_count; i++) {
        if (strcmp(result->jobs[i].id, id) == 0)
            return &result->jobs[i];
    }
    for (size_t i = 0; i < result->job_count; i++) {
        if (strcmp(result->jobs[i].key, id) == 0)
            return &result->jobs[i];
    }
    return NULL;
}
