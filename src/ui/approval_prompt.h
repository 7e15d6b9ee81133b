/* ui/approval_prompt.h: approvals asked and answered in the terminal of a run.
 *
 * A request is printed; a line on standard input answers: y, n, or a (yes, also for commands that begin alike in this run),
 * with the id in front when several wait ("a2 y"). */
#ifndef CADRE_UI_APPROVAL_PROMPT_H
#define CADRE_UI_APPROVAL_PROMPT_H

#include <jansson.h>

struct approval_prompt;
struct inbox;
struct loop;

/* Reads standard input while something waits. */
struct approval_prompt *approval_prompt_create(struct loop *loop, struct inbox *inbox);
/* Looks at an event; NULL is fine. */
void approval_prompt_event(struct approval_prompt *prompt, const json_t *event);
void approval_prompt_destroy(struct approval_prompt *prompt); /* NULL is fine */

#endif
