/* store/rollout.h: a thread's items as JSON lines, for people and for replay.
 *
 * `rollouts/<thread>.jsonl`: {"timestamp":…,"type":…,"payload":…} a line. Lines are buffered and
 * reach the file at rollout_flush(), which the turn loop calls at the end of each turn: from then on a kill -9
 * loses nothing. rollout_close() also waits for the disk. A torn last line (a kill in the midst of a write)
 * is cut off when the file is opened again. */
#ifndef CADRE_STORE_ROLLOUT_H
#define CADRE_STORE_ROLLOUT_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct rollout;

/* Opens PATH for appending, making it (mode 0600) and its folder. */
struct rollout *rollout_open(const char *path, struct error *err);

/* PAYLOAD is JSON text of N bytes. Secrets are taken out of it (base/redact.h). */
void rollout_add(struct rollout *rollout, const char *type, const char *payload, size_t n);

/* Writes what is buffered. */
int rollout_flush(struct rollout *rollout, struct error *err);
/* Flushes, syncs (errors go to the log) and frees. NULL is fine. */
void rollout_close(struct rollout *rollout);

/* Calls CB for each line of PATH; a torn last line is skipped, another bad line is an error with its
 * number. CB returns false to stop. */
int rollout_read(const char *path,
                 bool (*cb)(void *data, const char *timestamp, const char *type, const json_t *payload),
                 void *data, struct error *err);

#endif
