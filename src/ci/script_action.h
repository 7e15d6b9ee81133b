/* ci/script_action.h: JavaScript actions of the repository (`runs.using: node20`): main when the step runs, post when
 * the job's steps are over, in reverse order. `pre` of an action of the repository is not run, as on GitHub, where
 * the tree is not there yet. */
#ifndef CADRE_CI_SCRIPT_ACTION_H
#define CADRE_CI_SCRIPT_ACTION_H

#include "ci/job_runner.h"

/* A post step that is due. */
struct script_post {
    char *name;
    char *script; /* the command */
    char *action_path;
    const char *condition; /* borrowed from the action; NULL: always */
    json_t *env;           /* owned: the inputs, and STATE_... */
};

/* ENV of the step with INPUT_NAME for each input, named as the toolkit asks for them. New reference. */
json_t *script_action_environment(const json_t *env, const json_t *inputs);

/* The command that runs FILE of the action in ACTION_PATH. Caller frees. */
char *script_action_command(const char *action_path, const char *file);

/* Remembers the post step of ACTION, if it has one. */
void script_action_add_post(struct job_runner *runner, const struct action *action, const char *name,
                            const char *action_path, const json_t *env, const json_t *state);
void script_post_destroy(struct script_post *post);

#endif
