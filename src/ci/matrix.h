/* ci/matrix.h: the combinations of a `strategy.matrix`, with `include` and `exclude` as on GitHub. */
#ifndef CADRE_CI_MATRIX_H
#define CADRE_CI_MATRIX_H

#include "base/error.h"

#include <jansson.h>

#define MATRIX_MAX_LEGS 256

/* MATRIX is expanded already (no expressions). Returns an array of objects, at least one unless everything
 * is excluded; NULL with ERR set when it is not a matrix or has more than MATRIX_MAX_LEGS. */
json_t *matrix_expand(const json_t *matrix, struct error *err);

/* "ubuntu-latest, 12": the values of a leg in a line; caller frees. */
char *matrix_leg_label(const json_t *leg);

#endif
