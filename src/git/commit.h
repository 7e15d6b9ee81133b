/* git/commit.h: the engine's commit of what an agent left in a worktree. Waits. */
#ifndef CADRE_GIT_COMMIT_H
#define CADRE_GIT_COMMIT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct git_repo;

struct commit_change {
    char *path;
    char kind; /* 'A', 'M', 'D', 'T' (type change) */
    unsigned old_mode; /* as in git: 0100644, 0100755, 0120000, 0160000; 0 when not there */
    unsigned new_mode;
    int insertions; /* 0 for binary files */
    int deletions;
};

struct commit_result {
    char *id;   /* NULL: the tree is that of PARENT */
    char *tree;
    struct commit_change *changes;
    size_t change_count;
};
void commit_result_finish(struct commit_result *result);

/* Commits the worktree at PATH as one commit on PARENT, whatever HEAD or the index say there. What .gitignore excludes
 * stays out. ERROR_DENIED, with the path, for what may not enter: a nested repository (gitlink), a submodule that
 * changed, a symlink that leaves the tree, a name with a `.git` part or with control characters. */
int commit_worktree(struct git_repo *repo, const char *path, const char *parent, const char *message,
                    struct commit_result *result, struct error *err);

/* The same for a checkout that is not ours: the scratch index stands in SCRATCH, a folder of ours. Nothing in the
 * checkout changes, neither files nor index. */
int commit_snapshot(struct git_repo *repo, const char *path, const char *scratch, const char *parent, const char *message,
                    struct commit_result *result, struct error *err);

/* The changes between two commits or trees. */
int commit_changes(struct git_repo *repo, const char *from, const char *to, struct commit_result *result,
                   struct error *err);

#endif
