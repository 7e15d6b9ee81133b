/* git/recover.h: what a git command that was killed in the middle leaves behind. All functions wait. */
#ifndef CADRE_GIT_RECOVER_H
#define CADRE_GIT_RECOVER_H

#include "base/error.h"

#include <stdint.h>

struct git_repo;
struct str_list;

/* Removes lock files that killed git commands of ours left: those of refs below `refs/cadre/RUN/` and of the branch
 * `cadre/RUN`, those of worktrees below FOLDER, and, of what the user's git uses as well (index, HEAD, packed-refs, the branch
 * TARGET, which may be NULL), those made since SINCE_MS, two seconds old or older (younger ones are waited for), while no git
 * process works in the repository. The paths are appended to REMOVED. Call it when no engine and none of its processes
 * lives any more. */
int git_recover_locks(struct git_repo *repo, const char *run, const char *folder, const char *target,
                      int64_t since_ms, struct str_list *removed, struct error *err);

#endif
