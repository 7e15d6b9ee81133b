/* ci/tree_copy.h: a copy of the tree under test for one job, as a fresh checkout would be: what git tracks
 * and what is new and not ignored, with the history at hand. */
#ifndef CADRE_CI_TREE_COPY_H
#define CADRE_CI_TREE_COPY_H

#include "base/error.h"

struct loop;

/* Fills TO (made here) from FROM; waits. Outside of git everything is copied. */
int tree_copy(struct loop *loop, const char *from, const char *to, struct error *err);

#endif
