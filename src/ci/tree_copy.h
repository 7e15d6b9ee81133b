/* ci/tree_copy.h: copies of the tree under test, one for each job, as a fresh checkout would be: what git tracks
 * and what is new and not ignored, with the history at hand. */
#ifndef CADRE_CI_TREE_COPY_H
#define CADRE_CI_TREE_COPY_H

#include "base/error.h"

struct loop;
struct tree_source;

/* The tree in folder FROM (copied). Nothing is read yet. */
struct tree_source *tree_source_create(struct loop *loop, const char *from);
void tree_source_destroy(struct tree_source *source); /* NULL is fine */

/* Fills TO (made here); waits. The first call asks git what is there, for all that follow. Outside of git everything is copied. */
int tree_source_copy(struct tree_source *source, const char *to, struct error *err);

#endif
