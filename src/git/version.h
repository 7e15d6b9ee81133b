/* git/version.h: is the git command new enough? */
#ifndef CADRE_GIT_VERSION_H
#define CADRE_GIT_VERSION_H

#include "base/error.h"

struct loop;

#define GIT_MIN_MAJOR 2
#define GIT_MIN_MINOR 38 /* `git merge-tree --write-tree` */

/* Asks git itself. 0 with the version, or -1 with ERROR_REPOSITORY: it does not run, or is older; the text says what to do. */
int git_check_version(struct loop *loop, int *major, int *minor, struct error *err);

#endif
