/* ci/gitlab.h: a .gitlab-ci.yml as a literal workflow: jobs in the order of their stages, each with its needs,
 * variables, steps and the reason why it does not run, for the planner and runner that GitHub's jobs use too.
 *
 *     gitlab_tree.c        files to one tree: include, !reference, extends
 *     gitlab_schema.c      the keys, and what may stand there
 *     gitlab_rules.c       rules, only, except, workflow:rules for the event
 *     gitlab_expression.c  conditions and variables
 *     gitlab_job.c         one job: variables, legs, obstacles
 *     gitlab_steps.c       its scripts and artifacts as steps
 *     gitlab.c             all jobs: stages, needs, order
 */
#ifndef CADRE_CI_GITLAB_H
#define CADRE_CI_GITLAB_H

#include "ci/ci.h"
#include "ci/workflow.h"

#define GITLAB_FILE ".gitlab-ci.yml"

/* Reads TEXT as FILE for the event of OPTIONS. Local includes are read below options->definition_dir (NULL: there are
 * none). Jobs that are not in the event's pipeline are left out, or with options->include_unmatched kept with a
 * skip_reason. NULL with ERR ("FILE:LINE:COLUMN: ...") on failure. */
struct workflow *gitlab_workflow(const char *text, size_t n, const char *file,
                                 const struct ci_options *options, struct error *err);

/* VARIABLES with "$NAME" in their values replaced by one another's values; at most ten deep. New reference. */
json_t *gitlab_resolve_variables(const json_t *variables);

#endif
