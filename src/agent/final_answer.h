/* agent/final_answer.h: how an agent of another program, which has none of our tools, ends its work: its last message
 * holds the JSON that our submit tool would take. */
#ifndef CADRE_AGENT_FINAL_ANSWER_H
#define CADRE_AGENT_FINAL_ANSWER_H

#include "base/error.h"

#include <jansson.h>

struct buf;

/* Appends what the agent is told: the form of the last message in place of the tool OWES. */
void final_answer_describe(struct buf *b, const char *owes);

/* Appends the one question that a bad answer gets. WHY is what was wrong. */
void final_answer_ask_again(struct buf *b, const char *owes, const char *why);

/* The submission in MESSAGE: the whole message, else its last fenced block, else its last JSON object that is no part of
 * another. Members that are null are left out. A new reference; NULL with ERR (ERROR_PARSE) when there is none or
 * submission_check() refuses it. */
json_t *final_answer_read(const char *owes, const char *message, struct error *err);

#endif
