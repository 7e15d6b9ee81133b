/* ui/notify.h: tells a person who does something else that a run has ended or waits for an answer: the terminal's bell,
 * the command of `notify` (Codex's key: the event as JSON is its last argument), the shell command of
 * `notifications.command` (the event is in $CADRE_EVENT). */
#ifndef CADRE_UI_NOTIFY_H
#define CADRE_UI_NOTIFY_H

#include <jansson.h>
#include <stdbool.h>

struct config;
struct loop;
struct notifier;

/* CAN_RING: standard error is a terminal. */
struct notifier *notifier_create(struct loop *loop, const struct config *config, bool can_ring);

/* Looks at an event of docs/events.md; most are of no interest here. NULL is fine. */
void notifier_event(struct notifier *notifier, const json_t *event);

/* Waits for commands that still run (each has ten seconds), frees. NULL is fine. */
void notifier_finish(struct notifier *notifier);

#endif
