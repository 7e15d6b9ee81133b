/* ci/gitlab_inputs.h: `spec: inputs:` in the first document of a GitLab file, and `$[[ inputs.NAME ]]` in the second.
 * (docs.gitlab.com/ci/inputs) */
#ifndef CADRE_CI_GITLAB_INPUTS_H
#define CADRE_CI_GITLAB_INPUTS_H

#include "ci/yaml_tree.h"

/* The length of the header of TEXT, a first document with `spec`, to the end of the line that parts it from the second; 0
 * when there is none. */
size_t gitlab_inputs_header(const char *text, size_t n);

/* The inputs that the header of LENGTH bytes declares, with what is GIVEN (a mapping or NULL) over their defaults, as a
 * mapping in ARENA. AT is where they are given, for errors. 0, or -1 with ERR in GitLab's words. */
int gitlab_inputs_read(struct arena *arena, const char *text, size_t length, const char *file, const struct yaml_node *given,
                       const struct yaml_node *at, struct yaml_node **values, struct error *err);

/* Puts VALUES in place in the tree NODE, keys too. A scalar that is one input and nothing else becomes its value, whatever
 * kind that is. */
int gitlab_inputs_apply(struct arena *arena, struct yaml_node *node, const struct yaml_node *values, struct error *err);

#endif
