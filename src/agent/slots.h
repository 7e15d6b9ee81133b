/* agent/slots.h: at most max_threads threads are open; the rest wait in a FIFO queue, never an error.
 * A slot is free when its thread ends. */
#ifndef CADRE_AGENT_SLOTS_H
#define CADRE_AGENT_SLOTS_H

#include "base/error.h"

#include <stdbool.h>

struct slots;

struct slots *slots_create(int max_threads);
void slots_destroy(struct slots *slots);

bool slots_is_full(const struct slots *slots);
int slots_in_use(const struct slots *slots);
int slots_limit(const struct slots *slots);
void slots_set_limit(struct slots *slots, int max_threads); /* takes effect as slots become free */

/* Waits in the current fiber for a slot. -1 (ERROR_CANCELLED) when the fiber is cancelled. */
int slots_acquire(struct slots *slots, struct error *err);
void slots_release(struct slots *slots);

#endif
