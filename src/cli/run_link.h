/* cli/run_link.h: a connection to a run that is alive, for the commands that speak to it. */
#ifndef CADRE_CLI_RUN_LINK_H
#define CADRE_CLI_RUN_LINK_H

#include "base/error.h"

#include <jansson.h>

struct fiber;
struct loop;
struct run_link;

/* Finds the run that NAME means (NULL: the one alive of this repository, else the only one alive). Caller frees. */
char *run_link_find(const char *name, struct error *err);

/* Connects to run ID. ON_EVENT (may be NULL) gets the events after "attach". ERROR_NOT_FOUND when it is not alive. */
struct run_link *run_link_open(struct loop *loop, const char *id, void (*on_event)(void *data, const json_t *event),
                               void *data, struct error *err);
void run_link_close(struct run_link *link); /* NULL is fine */

/* One order; waits for its answer. PARAMS is JSON text or NULL; RESULT (may be NULL) is the caller's. */
int run_link_ask(struct run_link *link, const char *method, const char *params, json_t **result, struct error *err);

/* Waits until the run closes the connection. */
int run_link_wait(struct run_link *link, struct error *err);

#endif
