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

void ci_result_count(struct ci_result *r)
{
    bool has_red = false;

    r->passed = r->failed = r->skipped = r->environment = r->cancelled = 0;
    for (size_t i = 0; i < r->job_count; i++) {
        const struct ci_job_result *job = &r->jobs[i];

        r->passed += job->state == CI_PASSED;
        r->failed += job->state == CI_FAILED;
        r->skipped += job->state == CI_SKIPPED;
        r->environment += job->state == CI_ENVIRONMENT;
        r->cancelled += job->state == CI_CANCELLED;
        has_red = has_red || (job->state == CI_FAILED && !job->allowed_to_fail);
    }
    r->verdict = r->was_stopped                  ? CI_STOPPED
                 : has_red || r->cancelled > 0 ? CI_RED
                 : r->environment > 0 ? CI_ENVIRONMENT_ONLY
                 : r->passed > 0      ? CI_GREEN
                                      : CI_NOTHING_RAN;
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
