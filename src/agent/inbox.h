/* agent/inbox.h: the one place where all threads of a process ask for approval, and where a person answers.
 *
 * A request has an id ("a1"), a deadline and a default answer. It waits without holding anybody else up and costs no turn
 * of a model. What was asked and answered is handed to the owner to be kept, so that the same request of a resumed run has
 * the same id, and an answer given while nobody ran is found. */
#ifndef CADRE_AGENT_INBOX_H
#define CADRE_AGENT_INBOX_H

#include "base/error.h"
#include "sandbox/approval.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct inbox;
struct loop;

struct inbox_options {
    struct loop *loop;
    int64_t deadline_ms;  /* 0: the default answers at once (nobody is there to ask) */
    bool default_allows;
    /* approval.requested and approval.resolved, without ts and run. Borrowed for the call. */
    void (*on_event)(void *data, json_t *event);
    /* Keep RECORD under ID. May be NULL. */
    void (*on_save)(void *data, const char *id, const json_t *record);
    void *data;
};

struct inbox *inbox_create(const struct inbox_options *options);
void inbox_destroy(struct inbox *inbox); /* every wait is cancelled before; NULL is fine */

/* The function table for tools; policy and rules are the caller's to fill in. */
struct approval_desk inbox_desk(struct inbox *inbox);

/* What was kept (the RECORD of on_save), before anything is asked. */
void inbox_restore(struct inbox *inbox, const char *id, const json_t *record);

/* What waits: an array of {approval, thread, role, task, command, cwd, reason, outside, deadline}. The caller's. */
json_t *inbox_list(const struct inbox *inbox);

/* Answers ID. FOR_RUN: the command's prefix is allowed for the rest of the run. BY says who ("terminal", ...); WHY is told to
 * the model (may be NULL). ERROR_NOT_FOUND when nothing of that id waits; the ids that do are named. */
int inbox_answer(struct inbox *inbox, const char *id, bool is_allowed, bool for_run, const char *by, const char *why,
                 struct error *err);

/* The record of an answer that is given while no run is alive; RECORD is changed. -1 when it waits for none. */
int inbox_record_answer(json_t *record, bool is_allowed, const char *by, const char *why, struct error *err);

#endif
