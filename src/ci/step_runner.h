/* ci/step_runner.h: one command of a step: its script, shell, environment, and what it says back. */
#ifndef CADRE_CI_STEP_RUNNER_H
#define CADRE_CI_STEP_RUNNER_H

#include "ci/job_runner.h"

struct step_command {
    const char *name;
    const char *script;
    const char *shell;     /* NULL: the default */
    const char *cwd;       /* absolute */
    json_t *env;           /* object: what the step adds */
    json_t *outputs;       /* object: filled */
    json_t *state;         /* object: filled with what it saves for its post step; or NULL */
    int64_t timeout_ms;    /* 0: the job's */
    bool is_dependency;
    bool is_on_machine;    /* runs here even when the job is in a container */
    const char *writable;  /* another folder that the sandbox must let it write, or NULL */
};

struct step_outcome {
    int exit_code; /* -1 when killed */
    bool timed_out;
    bool is_environment;
    char *reason;      /* owned; of environment */
    struct buf output; /* masked */
};

/* Runs it and waits; the files and commands of the step take effect on RUNNER. -1 with ERR when it could not
 * be started (OUTCOME says "environment" for a missing shell instead) or was cancelled. */
int step_command_run(struct job_runner *runner, const struct step_command *command,
                     struct step_outcome *outcome, struct error *err);
void step_outcome_finish(struct step_outcome *outcome);

#endif
