/* git/worktree.h: detached worktrees of ours, outside of the user's checkout. All functions wait. */
#ifndef CADRE_GIT_WORKTREE_H
#define CADRE_GIT_WORKTREE_H

#include "base/error.h"

#include <stdbool.h>

struct git_repo;

/* Adds a detached worktree of COMMIT at PATH (absolute, must not exist). A repository's submodules are not filled. */
int worktree_add(struct git_repo *repo, const char *path, const char *commit, struct error *err);

/* Does git know PATH as a linked worktree of this repository? */
bool worktree_is_ours(struct git_repo *repo, const char *path);

/* Removes a worktree that worktree_add() made, with all that is in it. What is not in git is lost: call it when the
 * engine has committed what it wants. A path that is no linked worktree of this repository is refused. */
int worktree_remove(struct git_repo *repo, const char *path, struct error *err);

/* Forgets worktrees whose folders are gone. */
int worktree_prune(struct git_repo *repo, struct error *err);

/* Makes our worktree at PATH show COMMIT exactly: tracked files as there, untracked ones removed except `plan.md` and
 * `cadre-plan.md` at its root. */
int worktree_reset(struct git_repo *repo, const char *path, const char *commit, struct error *err);

/* Fills the worktree's files from TREE while HEAD stays: the difference shows as uncommitted changes. */
int worktree_show_tree(struct git_repo *repo, const char *path, const char *tree, struct error *err);

/* Copies the files that the user's `.worktreeinclude` names (patterns of .gitignore) and git does not track from the
 * user's checkout. Nothing to copy is no error; links are not followed. */
int worktree_copy_included(struct git_repo *repo, const char *path, struct error *err);

/* Writes the files of COMMIT to the new folder PATH, without any link to the repository. */
int worktree_export(struct git_repo *repo, const char *commit, const char *path, struct error *err);

#endif
