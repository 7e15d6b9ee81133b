/* ci/gitlab_internal.h: what the parts of the GitLab reader share. */
#ifndef CADRE_CI_GITLAB_INTERNAL_H
#define CADRE_CI_GITLAB_INTERNAL_H

#include "ci/gitlab.h"
#include "ci/gitlab_expression.h"
#include "ci/gitlab_tree.h"

#include <jansson.h>

enum gitlab_when {
    GITLAB_ON_SUCCESS,
    GITLAB_ON_FAILURE,
    GITLAB_ALWAYS,
    GITLAB_MANUAL,
    GITLAB_DELAYED,
    GITLAB_NEVER
};

struct gitlab_reader {
    struct workflow *w;
    const struct ci_options *options;
    struct gitlab_tree tree;
    json_t *predefined; /* CI_... */
    json_t *globals;    /* `variables` and those of workflow:rules, raw */
    struct str_list stages;
    bool is_merge_request;
    bool has_workflow_rules;
};

/* Whether and how a job is in the pipeline. */
struct gitlab_outcome {
    bool is_in;
    enum gitlab_when when;
    int allow_failure;                 /* -1: not said */
    const struct yaml_node *variables; /* of the rule, or NULL */
    const struct yaml_node *needs;     /* of the rule, or NULL */
    const char *reason;                /* static: why it is not in */
};

/* A job on its way to the workflow. */
struct gitlab_job {
    const struct yaml_node *key, *node; /* node: extends resolved, defaults filled in */
    struct workflow_job *job;
    size_t stage;
    struct gitlab_outcome outcome;
    bool is_in;
    bool is_optional_manual;
    struct str_list needs;   /* keys of jobs that are waited for */
    struct str_list sources; /* keys of jobs whose artifacts are taken */
};

/* gitlab_schema.c */
int gitlab_check_root(const struct gitlab_tree *tree, struct error *err);
int gitlab_check_job(const char *key, const struct yaml_node *job, struct error *err);
bool gitlab_is_job_key(const char *key); /* a top-level key that is neither a keyword nor hidden */
bool gitlab_when_parse(const char *text, enum gitlab_when *out);

/* gitlab_rules.c. VARIABLES are resolved. WHEN is what holds where a rule does not say. */
int gitlab_rules(struct gitlab_reader *r, const struct yaml_node *rules, enum gitlab_when when,
                 const json_t *variables, struct gitlab_outcome *out, struct error *err);
int gitlab_only_except(struct gitlab_reader *r, const struct yaml_node *job, const json_t *variables,
                       struct gitlab_outcome *out, struct error *err);

/* gitlab_job.c */
/* `variables` of NODE over VALUES, raw; "$" of those with `expand: false` doubled. */
void gitlab_add_variables(json_t *values, const struct yaml_node *node);
/* What `rules` of the job see: predefined, global and own variables. Raw; new reference. */
json_t *gitlab_job_variables(struct gitlab_reader *r, const struct yaml_node *key,
                             const struct yaml_node *node);
/* Decides whether the job is in the pipeline (and which legs), and makes its workflow_job except needs and
 * artifacts. */
int gitlab_job_build(struct gitlab_reader *r, struct gitlab_job *job, struct error *err);
/* gitlab_steps.c: adds the steps, now that it is known whose artifacts are taken. */
void gitlab_job_add_steps(struct gitlab_reader *r, struct gitlab_job *job);
bool gitlab_saves_artifacts(const struct yaml_node *job);

#endif
