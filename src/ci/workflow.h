/* ci/workflow.h: a workflow as GitHub reads it: checked against the syntax, with the place of everything.
 *
 * Values that may hold expressions stay text or trees; they are expanded when their contexts are known.
 * Jobs from other sources (explicit commands, GitLab, detection) are built in the same form, so that one
 * planner and one runner serve all; their texts are `is_literal`: "${{" means nothing in them. */
#ifndef CADRE_CI_WORKFLOW_H
#define CADRE_CI_WORKFLOW_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "base/vec.h"
#include "ci/yaml_tree.h"

#include <stdbool.h>
#include <stddef.h>

struct workflow_step {
    const char *id; /* NULL when it has none */
    const char *name;
    const char *condition; /* `if` */
    const char *uses;
    const char *run;
    const char *shell;
    const char *working_directory;
    const char *continue_on_error;
    const char *timeout_minutes;
    const struct yaml_node *with, *env;
    int line;
    const char *waits;        /* "wait", "wait-all" or "cancel" of background steps; then neither run nor uses */
    bool is_background;
    const char *satisfied_by; /* of built steps: the command only stands for something else, and for what */
    bool is_always;           /* of built steps: runs after a failure too, and never fails the job */
    bool installs;            /* of built steps: what later steps need */
    bool is_after_failure;    /* of built steps: runs after a failure only */
};

enum workflow_when { WORKFLOW_ON_SUCCESS, WORKFLOW_ON_FAILURE, WORKFLOW_ALWAYS };

struct workflow_job {
    const char *key;
    const char *name;
    const char *condition;
    const char *uses; /* a reusable workflow; then there are no steps */
    const char *timeout_minutes;
    const char *continue_on_error;
    struct str_list needs;
    const struct yaml_node *runs_on, *strategy, *env, *outputs, *defaults, *container, *services, *with,
        *secrets, *concurrency;
    struct workflow_step *steps;
    size_t step_count;
    int line;
    const char *skip_reason; /* of built jobs: why it does not run */
    /* GitLab's, of built jobs: */
    bool allow_failure;
    const int *allow_exit_codes; /* ended by 0: only a failure with one of these is allowed */
    enum workflow_when when;
    const char *image;             /* the job is written for; it runs on this machine */
    int retries;                   /* times that it is run again when it failed */
    const int *retry_exit_codes;   /* ended by 0: only after one of these; or NULL */
    const char *note;              /* what a reader should know, or NULL */
    const struct yaml_node *legs;  /* a sequence of mappings from variables to values: one leg each; or NULL */
    bool saves_artifacts;          /* other jobs may need them: its result alone is not enough */
};

struct workflow {
    struct arena arena;
    const char *file; /* relative to the definition's root */
    const char *name; /* `name`, or the file */
    bool is_literal;
    bool is_gitlab; /* literal, from a .gitlab-ci.yml */
    const struct yaml_node *root, *on, *env, *defaults, *concurrency;
    struct vec jobs; /* struct workflow_job *, in the order of the file */
};

/* Parses and checks N bytes. FILE is copied. NULL with ERR ("FILE:LINE:COLUMN: ...") on failure. */
struct workflow *workflow_parse(const char *text, size_t n, const char *file, struct error *err);

/* The same; what STORE (or NULL) has of this very text is not read and checked again, else it gets it. The workflow must
 * not outlive the store. */
struct tree_store;
struct workflow *workflow_read(const char *text, size_t n, const char *file, struct tree_store *store, struct error *err);
void workflow_destroy(struct workflow *workflow);

const struct workflow_job *workflow_job(const struct workflow *workflow, const char *key);

/* For builders: an empty literal workflow, its jobs and steps. Texts are copied into its arena. */
struct workflow *workflow_create_literal(const char *file, const char *name);
struct workflow_job *workflow_add_job(struct workflow *workflow, const char *key);
struct workflow_step *workflow_add_step(struct workflow *workflow, struct workflow_job *job, const char *name,
                                        const char *run);

/* An action's file (action.yml): what a composite action does. */
struct action {
    struct arena arena;
    const char *file;
    const char *name;
    const char *using; /* "composite", "node20", "docker" */
    const char *main, *post, *post_if; /* of a JavaScript one */
    const char *image, *entrypoint;    /* of one in a container: "Dockerfile" or "docker://IMAGE" */
    const struct yaml_node *args, *env; /* likewise */
    bool is_from_tree; /* read from the tree of one job, where an earlier step may have made it */
    const struct yaml_node *inputs, *outputs;
    struct workflow_step *steps; /* of a composite one */
    size_t step_count;
};

struct action *action_parse(const char *text, size_t n, const char *file, struct error *err);
void action_destroy(struct action *action);

#endif
