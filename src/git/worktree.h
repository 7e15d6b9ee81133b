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

/* The worktrees of this repository below FOLDER (NULL: below our state folder), appended; folders may be gone. */
struct str_list;
int worktree_list_below(struct git_repo *repo, const char *folder, struct str_list *paths, struct error *err);

/* Is all that is in the worktree committed (plan.md aside), and its commit held by a ref? If not, *WHY says what is
 * not (caller frees). */
int worktree_is_saved(struct git_repo *repo, const char *path, bool *is_saved, char **why, struct error *err);

/* Forgets worktrees below our state folder that are gone; never those of the user's. */
int worktree_prune(struct git_repo *repo, struct error *err);

/* Makes our worktree at PATH show COMMIT exactly: tracked files as there, untracked ones removed except `plan.md` and
 * `cadre-plan.md` at its root. */
int worktree_reset(struct git_repo *repo, const char *path, const char *commit, struct error *err);

/* Fills the worktree's files from TREE while HEAD stays: the difference shows as uncommitted changes. */
int worktree_show_tree(struct git_repo *repo, const char *path, const char *tree, struct error *err);

/* Copies the files that the user's `.worktreeinclude` names (patterns of .gitignore) and git ignores (others would be
 * committed) from the user's checkout. What is there is kept, links are not followed. Nothing to copy is no error. */
int worktree_copy_included(struct git_repo *repo, const char *path, struct error *err);

/* Writes the files of COMMIT to the new folder PATH, without any link to the repository. */
int worktree_export(struct git_repo *repo, const char *commit, const char *path, struct error *err);

#endif
