/* ci/plan_internal.h: a plan from inside, for the planner (plan.c, plan_jobs.c) and the runner. */
#ifndef CADRE_CI_PLAN_INTERNAL_H
#define CADRE_CI_PLAN_INTERNAL_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "ci/action_map.h"
#include "ci/ci.h"
#include "ci/scope.h"
#include "ci/workflow.h"

#define PLAN_MAX_CALL_DEPTH 4 /* reusable workflows within one another, as on GitHub */

/* The job that calls a reusable workflow, on the way from the outermost workflow to a job. In the plan's arena. */
struct plan_call {
    const struct plan_call *outer;   /* NULL: the event's workflow calls */
    const struct workflow *workflow; /* of the calling job */
    const struct workflow_job *job;
    const char *prefix;              /* "caller/" or "caller (leg)/", with those further out: before the called jobs' keys */
    json_t *leg;                     /* of the caller's matrix, owned by the plan's jobs; or NULL */
    json_t *inputs;                  /* of the caller's own workflow, when that is called itself */
};

/* A job of a workflow, or one leg of its matrix. */
struct plan_job {
    struct ci_plan_job pub;
    const struct workflow *workflow;
    const struct workflow_job *job;
    const struct workflow *root; /* the workflow that the event runs, when this one is called by it */
    const struct plan_call *call; /* NULL when the event runs the workflow itself */
    json_t *leg;    /* owned; NULL without a matrix */
    json_t *inputs; /* owned; of a called workflow */
    bool starts_empty; /* no step of it fetches the tree: its folder is empty, as on GitHub */
};

/* Does JOB wait for OTHER? */
bool plan_job_needs(const struct plan_job *job, const struct plan_job *other);

struct ci_plan {
    struct arena arena;
    enum ci_source source;
    char *root;            /* definition_dir */
    char *job_filter;      /* or NULL */
    struct vec workflows;  /* struct workflow *, owned: those that run for the event */
    struct vec called;     /* struct workflow *, owned: reusable ones, read when first needed */
    struct tree_store *trees; /* what workflows were read to the last time; or NULL */
    struct vec actions;    /* struct action *, owned: composite ones of the repository */
    struct vec jobs;       /* struct plan_job * (arena), in order of their needs */
    struct vec expanded;   /* struct plan_job * (arena): those of calls that are only known in a run */
    json_t *contexts;      /* github, vars, secrets, inputs */
    struct action_mapping *user_actions; /* the arena's */
    size_t user_action_count;
    bool is_arm;           /* this machine */
    const char *container_engine; /* the program, or NULL: none is used */
    int64_t took_us;       /* to make the plan */
    struct map ids;        /* of the jobs */
    json_t *kept;          /* array: values that live as long as the plan */
    const struct workflow_job *facts_job; /* plan_jobs.c: the job that `facts` are of */
    struct plan_step_facts *facts;
    size_t facts_count;
};

/* Contexts for a job: those of the plan with matrix, strategy, needs and inputs (each may be NULL). New
 * reference. */
json_t *plan_job_contexts(const struct ci_plan *plan, const struct workflow *workflow, const char *job_key,
                          json_t *leg, json_t *needs, json_t *inputs);

/* The job's matrix legs for these contexts: an array of objects, or JSON null when it has no matrix. NULL
 * with ERR set on failure. */
json_t *plan_job_legs(const struct workflow *workflow, const struct workflow_job *job, json_t *contexts,
                      struct error *err);

/* "ci.yml/build (12)": PREFIX is that of the calling job or NULL. Caller frees. */
char *plan_job_id(const struct workflow *workflow, const struct workflow_job *job, const json_t *leg,
                  const char *prefix);
char *plan_job_name(const struct workflow *workflow, const struct workflow_job *job, const json_t *leg,
                    json_t *contexts);

/* The jobs that CALLER, a call with a matrix from `needs`, comes to for LEGS (an array that is not empty), under its
 * CONTEXTS and the INPUTS of its own workflow. Pushes struct plan_job * to JOBS; they live as long as the plan. */
int plan_expand_call(struct ci_plan *plan, const struct plan_job *caller, json_t *legs, json_t *contexts, json_t *inputs,
                     struct vec *jobs, struct error *err);

/* Why this machine cannot run the job (other system, container ...), or NULL. Caller frees. */
char *plan_job_obstacle(const struct ci_plan *plan, const struct workflow *workflow, const struct workflow_job *job, json_t *contexts);

/* Why the leg is the same as an earlier one of LEGS but for the system, or NULL; *SAME is that one's index. */
bool plan_leg_is_duplicate(const struct ci_plan *plan, const struct workflow *workflow, const struct workflow_job *job, json_t *legs,
                           size_t index, json_t *base_contexts, size_t *same);

/* How a step is carried out. */
struct step_plan {
    enum ci_step_kind kind;
    const char *reason; /* static, or the arena's */
    struct action_mapping action; /* of `uses` by others */
    struct action *composite;     /* an action of the repository; borrowed from the plan */
    bool is_script_action;        /* JavaScript action of the repository, run with node */
    bool is_container_action;     /* of the repository, built or pulled and run by the container engine */
    bool is_image;                /* docker://, run by the container engine */
    bool is_unknown;              /* skipped though later steps may need it */
};
/* TREE: the job's tree while it runs, where an action that the definition lacks may be; NULL while planning. */
void plan_step(struct ci_plan *plan, const struct workflow_step *step, const char *shell, const char *tree,
               struct step_plan *out);

/* Can JOB (whose `uses` is the node USES) call it: is it made to be called, and are inputs and secrets given as it
 * declares them? */
int plan_check_call(const struct workflow *called, const struct workflow *caller, const struct workflow_job *job,
                    const struct yaml_node *uses, struct error *err);
/* The `inputs` of a called workflow: `with` of the caller over the defaults that it declares. NULL with ERR. */
json_t *plan_called_inputs(const struct workflow *called, const struct workflow *caller,
                           const struct workflow_job *job, json_t *contexts, struct error *err);
/* The `inputs` of a workflow that the event itself runs (workflow_dispatch, workflow_call): what the event gives over
 * the defaults, in the declared types. NULL when it declares none. */
json_t *plan_event_inputs(const struct ci_plan *plan, const struct workflow *w);

/* The reusable workflow of the repository that USES ("./.github/workflows/x.yml") names, or NULL with ERR. */
struct workflow *plan_called_workflow(struct ci_plan *plan, const char *uses, struct error *err);

/* `with` of the calling JOB over the defaults that CALLED declares. New reference, or NULL with ERR. */
json_t *plan_called_inputs(const struct workflow *called, const struct workflow *caller, const struct workflow_job *job,
                           json_t *contexts, struct error *err);

/* "owner/name" of what is planned. */
const char *ci_plan_repository(const struct ci_plan *plan);

/* Drops what plan_jobs.c keeps while it lays jobs out. */
void plan_forget_facts(struct ci_plan *plan);

/* Does the script call a program that is there to reach other machines? */
bool plan_needs_network(const char *script);

/* Does the script install what later steps need? *IS_SYSTEM: by the system's package manager. */
bool plan_is_dependency_step(const char *script, bool *is_system);

#endif
