/* ci/workflow_schema.h: the syntax of workflow and action files as one table; checks a tree against it. */
#ifndef CADRE_CI_WORKFLOW_SCHEMA_H
#define CADRE_CI_WORKFLOW_SCHEMA_H

#include "ci/yaml_tree.h"

/* 0, or -1 with ERR ("FILE:LINE:COLUMN: Unexpected value 'x'"). */
int workflow_schema_check(const struct yaml_node *root, const char *file, struct error *err);
int action_schema_check(const struct yaml_node *root, const char *file, struct error *err);

#endif
