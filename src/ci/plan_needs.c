/* ci/plan_needs.c: who waits for whom: skips that spread along `needs`, and the choice of one job with what it needs. */
#include "ci/plan_jobs.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The key is as long as N, or JOB is called by the job with the key of that length. */
static bool is_key_or_call(const struct plan_job *job, size_t n)
{
    char next = job->pub.key[n];

    return next == '\0' || (job->call != NULL && (next == '/' || next == ' '));
}

bool plan_job_needs(const struct plan_job *job, const struct plan_job *other)
{
    for (size_t i = 0; job->root == other->root && i < job->pub.needs.len; i++) {
        const char *need = job->pub.needs.items[i];
        size_t n = strlen(need);
        if (strncmp(other->pub.key, need, n) == 0 && is_key_or_call(other, n))
            return true;
    }
    return false;
}

/* Is every leg of the job with this key (or every job that it calls) skipped? */
static bool is_skipped(const struct ci_plan *plan, const struct plan_job *from, const char *key)
{
    bool found = false;
    size_t n = strlen(key);

    for (size_t i = 0; i < plan->jobs.len; i++) {
        const struct plan_job *job = plan->jobs.items[i];
        bool is_it = strncmp(job->pub.key, key, n) == 0 && is_key_or_call(job, n);
        if (!is_it || job->root != from->root)
            continue;
        found = true;
        if (job->pub.reason == NULL)
            return false;
    }
    return found;
}

/* A job that needs a skipped one is skipped, unless its `if` asks for the state itself. */
void plan_spread_skips(struct ci_plan *plan, size_t first)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = first; i < plan->jobs.len; i++) {
            struct plan_job *job = plan->jobs.items[i];
            const char *condition = job->job->condition;
            bool asks = job->job->when != WORKFLOW_ON_SUCCESS ||
                        (condition != NULL &&
                         (strstr(condition, "always(") != NULL || strstr(condition, "cancelled(") != NULL ||
                          strstr(condition, "failure(") != NULL));
            if (job->pub.reason != NULL || asks)
                continue;
            for (size_t k = 0; k < job->pub.needs.len; k++) {
                if (!is_skipped(plan, job, job->pub.needs.items[k]))
                    continue;
                job->pub.reason =
                    arena_printf(&plan->arena, "needs '%s', which is skipped", job->pub.needs.items[k]);
                for (size_t s = 0; s < job->pub.step_count; s++) {
                    job->pub.steps[s].kind = CI_STEP_SKIPPED;
                    job->pub.steps[s].reason = job->pub.reason;
                }
                changed = true;
                break;
            }
        }
    }
}

void plan_apply_job_filter(struct ci_plan *plan)
{
    bool *keep;
    size_t n = 0;

    if (plan->job_filter == NULL)
        return;
    keep = xcalloc(plan->jobs.len + 1, sizeof *keep);
    for (size_t i = 0; i < plan->jobs.len; i++) {
        const struct plan_job *job = plan->jobs.items[i];
        keep[i] = strcmp(job->pub.id, plan->job_filter) == 0 || strcmp(job->pub.key, plan->job_filter) == 0 ||
                  strcasecmp(job->pub.name, plan->job_filter) == 0;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < plan->jobs.len; i++) {
            const struct plan_job *job = plan->jobs.items[i];
            for (size_t k = 0; keep[i] && k < plan->jobs.len; k++) {
                const struct plan_job *other = plan->jobs.items[k];
                if (!keep[k] && plan_job_needs(job, other))
                    keep[k] = changed = true;
            }
        }
    }
    for (size_t i = 0; i < plan->jobs.len; i++) {
        struct plan_job *job = plan->jobs.items[i];
        if (keep[i]) {
            plan->jobs.items[n++] = job;
        } else {
            str_list_finish(&job->pub.needs);
            json_decref(job->leg);
            json_decref(job->inputs);
        }
    }
    plan->jobs.len = n;
    free(keep);
}
