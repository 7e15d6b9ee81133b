/* ci/container.h: jobs in a container, services and docker:// actions, through the `docker` command (or one that takes
 * the same words). Everything started here is removed with the job. Containers get no new privileges, a bound on
 * processes and the tree and scratch folder of their job alone. */
#ifndef CADRE_CI_CONTAINER_H
#define CADRE_CI_CONTAINER_H

#include "ci/job_runner.h"
#include "ci/step_runner.h"

/* SETTING is [ci] container_engine: "none", a program's name, or "auto": docker, when its socket answers. The program,
 * or NULL. */
const char *container_engine(const char *setting);

/* Starts the job's container and services. 0; -1 with ERR: the machine could not (no image, no engine) or cancelled. */
int containers_start(struct job_runner *runner, struct error *err);
/* Removes what was started. Waits, also when the fiber is cancelled. */
void containers_stop(struct job_runner *runner);

/* The argv that runs ARGV in the job's container; the environment is the client's, of which what is the machine's own
 * stays outside. */
void containers_exec(const struct job_runner *runner, const struct step_command *command, const struct str_list *argv,
                     struct str_list *out);

/* A step that is an image: `uses: docker://IMAGE` with `args` and `entrypoint`. 1, 0, -1 as job_runner_command(). */
int container_step(struct job_runner *runner, const struct workflow_step *step, const char *name, json_t *with,
                   json_t *env, json_t *outputs, struct error *err);

/* An action of the repository that runs in a container: its Dockerfile is built (FOLDER holds it), or its image taken. INPUTS
 * are its inputs, ARGS its arguments with expressions filled in. 1, 0, -1 as job_runner_command(). */
int container_action(struct job_runner *runner, const struct workflow_step *step, const char *name, const struct action *action,
                     const char *folder, const json_t *inputs, const json_t *args, json_t *env, json_t *outputs, struct error *err);

#endif
