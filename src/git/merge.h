/* git/merge.h: merges without a checkout, and the merge back into the user's branch. All functions wait. */
#ifndef CADRE_GIT_MERGE_H
#define CADRE_GIT_MERGE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct git_repo;

struct merge_conflict {
    char *path;
    char *ours;   /* the merged side's text, or NULL when it has no such file; bounded */
    char *theirs; /* the task's side */
};

struct merge_result {
    bool is_clean;
    char *tree; /* of a clean merge */
    struct merge_conflict *conflicts;
    size_t conflict_count;
};
void merge_result_finish(struct merge_result *result);

/* Merges THEIRS into OURS as trees (three-way, by git merge-tree); changes nothing. */
int merge_trees(struct git_repo *repo, const char *ours, const char *theirs, struct merge_result *result,
                struct error *err);

/* The same, and makes the merge commit with both parents: *COMMIT is fresh when clean, else NULL. A THEIRS that stands
 * directly on OURS is merged with a merge commit as well, so that every task shows in the history. */
int merge_commits(struct git_repo *repo, const char *ours, const char *theirs, const char *message,
                  struct merge_result *result, char **commit, struct error *err);

enum merge_back_strategy { MERGE_BACK_FF, MERGE_BACK_MERGE, MERGE_BACK_SQUASH };

struct merge_back_options {
    const char *branch;  /* the user's branch */
    const char *commit;  /* what CI and the gates let pass */
    const char *base;    /* where the branch was at the run's start */
    enum merge_back_strategy strategy;
    const char *message; /* for merge and squash */
    bool is_retried;     /* an engine that was killed had begun with it */
};

/* Moves the user's branch to (a commit with exactly the tree of) COMMIT. ERROR_REPOSITORY, and nothing changed, when
 * the branch has moved since BASE (what was tested would not be what is merged), when it is checked out with changes,
 * or when an untracked file stands in the way. Already done is no error. With IS_RETRIED, a merge that was killed in the
 * middle is undone first: files that it wrote, whole or in part, get BASE's content again; anything else counts as a change
 * of the user's. */
int merge_back(struct git_repo *repo, const struct merge_back_options *options, struct error *err);

#endif
