/* ci/job_inputs.h: the part of the tree that a job's result depends on, for the cache of results.
 *
 * A command may read any file, and nothing short of tracing each of its calls (a look at whether a file is there is enough to
 * depend on it) would tell which it did. So the whole tree is a job's input, but where the project itself says what
 * matters: a workflow with `paths` or `paths-ignore` for the event is not run by GitHub for a change outside of them. Its jobs
 * depend on the files that these let through. A job that uses an action of the repository depends on the whole tree. */
#ifndef CADRE_CI_JOB_INPUTS_H
#define CADRE_CI_JOB_INPUTS_H

#include "ci/plan_internal.h"

struct job_inputs;
struct loop;

/* Waits: asks git for the files of TREE_ID when some job of PLAN depends on a part of them. */
struct job_inputs *job_inputs_read(struct loop *loop, const struct ci_plan *plan, const char *work_dir, const char *tree_id);
void job_inputs_destroy(struct job_inputs *inputs);

/* What stands for the inputs of JOB: the tree's id, or a digest of the files of it that count. Caller frees. */
char *job_inputs_id(const struct job_inputs *inputs, const struct ci_plan *plan, const struct plan_job *job);

#endif
