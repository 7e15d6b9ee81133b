/* ci/classify.c: runs failed jobs again and says what that shows. */
#include "ci/classify.h"

#include "base/alloc.h"
#include "base/path.h"
#include "ci/report_parsers.h"

#include <stdlib.h>
#include <string.h>

const char *ci_fault_name(enum ci_fault fault)
{
    static const char *const names[] = {"none", "broken", "flaky", "environment", "base"};

    return names[fault];
}

/* One job (and what it needs, mostly from the cache) in DIR. *STATE is the job's. */
static int run_again(const struct ci_plan *plan, const struct ci_classify_options *options, const char *id,
                     const char *dir, const char *tree_id, struct ci_result *result, struct error *err)
{
    struct ci_run_options run = *options->run;
    struct str_list only = {0};
    char *logs = path_join(run.log_dir, "again");
    int rc;

    if (options->on_rerun != NULL)
        options->on_rerun(options->data, id);
    str_list_add(&only, id);
    run.jobs = &only;
    run.work_dir = dir;
    run.tree_id = tree_id;
    run.log_dir = logs;
    run.on_job_started = NULL;
    run.on_job_finished = NULL;
    rc = ci_run(plan, &run, result, err);
    free(logs);
    str_list_finish(&only);
    return rc;
}

static int retry(const struct ci_plan *plan, const struct ci_classify_options *options, struct ci_job_result *job,
                 struct error *err)
{
    for (unsigned i = 0; i < options->retries && job->fault == CI_FAULT_BROKEN; i++) {
        struct ci_result again = {0};
        const struct ci_job_result *now;
        int rc = run_again(plan, options, job->id, options->run->work_dir, options->run->tree_id, &again, err);

        now = rc == 0 ? ci_result_job(&again, job->id) : NULL;
        if (now != NULL && now->state != CI_CANCELLED) {
            job->runs++;
            job->failures += now->state != CI_PASSED;
            if (now->state == CI_PASSED)
                job->fault = CI_FAULT_FLAKY;
            else if (now->state == CI_ENVIRONMENT)
                job->fault = CI_FAULT_ENVIRONMENT;
        }
        ci_result_finish(&again);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* Does every test that fails now fail on the base too? Where no test is named the fingerprint decides. */
static bool fails_the_same(const struct ci_job_result *now, const struct ci_job_result *base)
{
    if (base == NULL || base->state != CI_FAILED || !str_eq(now->failing_step, base->failing_step))
        return false;
    if (now->failing_tests.len == 0)
        return now->fingerprint == base->fingerprint;
    return report_count_new(&base->failing_tests, &now->failing_tests) == 0;
}

static int compare_with_base(const struct ci_plan *plan, const struct ci_classify_options *options,
                             struct ci_job_result *job, struct error *err)
{
    struct ci_result base = {0};
    int rc = run_again(plan, options, job->id, options->base_dir, options->base_tree_id, &base, err);

    if (rc == 0 && fails_the_same(job, ci_result_job(&base, job->id)))
        job->fault = CI_FAULT_AT_BASE;
    ci_result_finish(&base);
    return rc;
}

/* What the finding means for the job's state. */
static void conclude(struct ci_job_result *job)
{
    char *reason = NULL;

    switch (job->fault) {
    case CI_FAULT_FLAKY:
        reason = xasprintf("flaky: %u of %u runs failed", job->failures, job->runs);
        job->state = CI_PASSED;
        break;
    case CI_FAULT_ENVIRONMENT:
        reason = xstrdup("run again, it was the machine's fault");
        job->state = CI_ENVIRONMENT;
        break;
    case CI_FAULT_AT_BASE:
        reason = xstrdup("it fails the same way on the base");
        break;
    case CI_FAULT_NONE:
    case CI_FAULT_BROKEN:
    default:
        break;
    }
    if (reason != NULL) {
        free(job->reason);
        job->reason = reason;
    }
}

int ci_classify(const struct ci_plan *plan, const struct ci_classify_options *options, struct ci_result *result,
                struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < result->job_count; i++) {
        struct ci_job_result *job = &result->jobs[i];

        if (job->state == CI_ENVIRONMENT)
            job->fault = CI_FAULT_ENVIRONMENT;
        if (job->state != CI_FAILED || (options->jobs != NULL && !str_list_has(options->jobs, job->id)))
            continue;
        job->fault = CI_FAULT_BROKEN;
        job->runs = job->failures = 1;
        rc = retry(plan, options, job, err);
        if (rc == 0 && job->fault == CI_FAULT_BROKEN && options->base_dir != NULL)
            rc = compare_with_base(plan, options, job, err);
        conclude(job);
    }
    ci_result_count(result);
    return rc;
}
