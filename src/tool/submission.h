/* tool/submission.h: what submit_result and submit_review have to hold, for whoever brings it: our own tool, or the last
 * message of an agent of another program. */
#ifndef CADRE_TOOL_SUBMISSION_H
#define CADRE_TOOL_SUBMISSION_H

#include "base/error.h"

#include <jansson.h>

/* 0, or -1 with ERR (ERROR_PARSE) naming what is wrong with ARGS as an argument of TOOL; an unknown TOOL is wrong too. */
int submission_check(const char *tool, const json_t *args, struct error *err);

/* The JSON schema in the strict form (every member required, what may be left out is null), or NULL for an unknown TOOL.
 * Static. */
const char *submission_schema(const char *tool);

#endif
