/* team/control.h: a running run takes orders from other terminals over a Unix socket in its folder.
 *
 * JSON-RPC, one object a line, for the same user only (`<run>/control.sock`). Methods:
 *
 *   status                 {run, phase, batch, paused, threads: [{thread, role, task}], tasks: [{task, state}]}
 *   attach                 from now on every event comes as the notification `event`
 *   pause, continue        no new request to a model and no new step begins; commands that run go on
 *   stop                   as Ctrl-C: ends in a resumable state
 *   retry {task}           a blocked or dropped task may be tried again, its attempts counted anew
 *   drop {task}            the task is given up; what it works on is stopped
 *   approvals              what waits for a person (agent/inbox.h)
 *   answer {approval, allow, for_run, reason}
 *   say {thread, text}     a message for a thread, named by the start of its id, by its task or by its role
 *
 * A run that is not alive takes retry and drop from its journal when it is resumed (control_leave_order). */
#ifndef CADRE_TEAM_CONTROL_H
#define CADRE_TEAM_CONTROL_H

#include "base/error.h"

#include <jansson.h>

struct run;
struct run_control;

/* Never fails a run: where no socket can be made, a warning says so and NULL comes back. */
struct run_control *run_control_open(struct run *run);
void run_control_close(struct run_control *control); /* NULL is fine */

/* Hands EVENT to all that are attached. NULL is fine. */
void run_control_event(struct run_control *control, const json_t *event);

/* Carries out one order ("retry", "drop", ...); -1 with ERR says why not. */
int run_control_order(struct run *run, const char *method, const json_t *params, struct error *err);

/* The socket of run ID; the caller frees. */
char *run_control_path(const char *id);

/* For a run that is not alive: METHOD (retry, drop) with TASK is carried out when it is resumed. */
int control_leave_order(const char *run_id, const char *method, const char *task, struct error *err);
/* Carries out what was left, at resume. */
int run_control_take_orders(struct run *run, struct error *err);

#endif
