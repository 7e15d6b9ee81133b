/* ci/workflow_checks.h: what a table cannot say of a workflow: identifiers, references, shells, the matrix. */
#ifndef CADRE_CI_WORKFLOW_CHECKS_H
#define CADRE_CI_WORKFLOW_CHECKS_H

#include "ci/yaml_tree.h"

/* Each 0, or -1 with ERR ("FILE:LINE:COLUMN: ..."). The nodes passed the table's checks. */
int workflow_check_jobs(const struct yaml_node *jobs, const char *file, struct error *err);
/* `runs` of an action's file. */
int workflow_check_action(const struct yaml_node *runs, const char *file, struct error *err);
int workflow_check_identifier(const struct yaml_node *id, const char *file, struct error *err);

#endif
