/* cli/ci_change.h: what differs from a ref, for the path filters of `cadre ci --base REF`. */
#ifndef CADRE_CLI_CI_CHANGE_H
#define CADRE_CLI_CI_CHANGE_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

struct loop;

/* Adds the paths in which the working tree (new files too) differs from BASE, or from where it left BASE when
 * FROM_FORK is set, as GitHub compares a pull request. -1 with ERR when git does not know BASE. */
int ci_change_paths(struct loop *loop, const char *base, bool from_fork, struct str_list *paths,
                    struct error *err);

/* The branch that REF names: "origin/main" and "refs/heads/main" are "main". Points into REF. */
const char *ci_change_branch(const char *ref);

#endif
