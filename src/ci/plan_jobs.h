/* ci/plan_jobs.h: jobs of a workflow to jobs of the plan: matrix legs, order, reasons. */
#ifndef CADRE_CI_PLAN_JOBS_H
#define CADRE_CI_PLAN_JOBS_H

#include "ci/plan_internal.h"

/* Adds the jobs of W in the order of their needs. 0, or -1 with ERR (a matrix that is none). */
int plan_add_workflow(struct ci_plan *plan, struct workflow *w, struct error *err);

/* Adds JOB as skipped for REASON (copied). */
void plan_add_skipped_job(struct ci_plan *plan, const struct workflow *w, const struct workflow_job *job,
                          const char *reason);

/* Skips the jobs from FIRST on that need a skipped one, unless their `if` asks for the state itself. */
void plan_spread_skips(struct ci_plan *plan, size_t first);

/* Leaves only the job that was asked for and what it needs. */
void plan_apply_job_filter(struct ci_plan *plan);

#endif
