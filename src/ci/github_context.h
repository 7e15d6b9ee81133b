/* ci/github_context.h: the contexts github, vars, secrets and inputs for an event that is made up here. */
#ifndef CADRE_CI_GITHUB_CONTEXT_H
#define CADRE_CI_GITHUB_CONTEXT_H

#include "ci/ci.h"

#include <jansson.h>

/* An object with those four. New reference. */
json_t *github_contexts(const struct ci_options *options);

#endif
