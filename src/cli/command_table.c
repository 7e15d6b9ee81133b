/* cli/command_table.c: the subcommands, in the order of `cadre --help`. */
#include "cli/command.h"

#include <string.h>

/* One line a command, alphabetical. */
extern const struct command command_apply_patch;
extern const struct command command_completion;
extern const struct command command_demo;
extern const struct command command_exec;
extern const struct command command_resume;
extern const struct command command_run;
extern const struct command command_logs;
extern const struct command command_sandbox;
extern const struct command command_session;
extern const struct command command_status;
extern const struct command command_config;
extern const struct command command_doctor;
extern const struct command command_mock;
extern const struct command command_init;
extern const struct command command_trust;
extern const struct command command_plan;
extern const struct command command_clean;
extern const struct command command_ci;
extern const struct command command_approve;
extern const struct command command_attach;
extern const struct command command_deny;
extern const struct command command_pause;
extern const struct command command_continue;
extern const struct command command_stop;
extern const struct command command_retry;
extern const struct command command_drop;
extern const struct command command_say;
/* declarations */

const struct command *const command_table[] = {
    &command_demo,
    &command_run,
    &command_resume,
    &command_exec,
    &command_session,
    &command_status,
    &command_logs,
    &command_attach,
    &command_approve,
    &command_deny,
    &command_pause,
    &command_continue,
    &command_stop,
    &command_retry,
    &command_drop,
    &command_say,
    &command_sandbox,
    &command_apply_patch,
    &command_config,
    &command_doctor,
    &command_mock,
    &command_init,
    &command_trust,
    &command_plan,
    &command_clean,
    &command_ci,
    &command_completion,
    /* entries, in the order of the help */
    NULL,
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; command_table[i] != NULL; i++)
        if (strcmp(command_table[i]->name, name) == 0)
            return command_table[i];
    return NULL;
}
