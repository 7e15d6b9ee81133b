/* sandbox/box_jobs.h: job control for `cadre sandbox` in a terminal: the helper, which the user's shell knows, stops when the command
 * has stopped, and goes on with it. Without this a command that leads a process group of its own (an interactive shell) would
 * stop alone, and the user's shell would wait for ever. */
#ifndef CADRE_SANDBOX_BOX_JOBS_H
#define CADRE_SANDBOX_BOX_JOBS_H

#include <sys/types.h>

/* In the helper, once the command's side is cloned: the terminal's stop is the command's to obey or not. */
void box_leave_stops_to_command(void);

/* The first child of PID, as numbered here; 0 when there is none. */
pid_t box_first_child(pid_t pid);

/* COMMAND has stopped: so does the caller; when it is continued, the command is too, with the terminal if the caller has it. */
void box_stop_with(pid_t command);

#endif
