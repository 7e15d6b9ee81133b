/* cli/ci_repository.h: what `cadre ci` asks git of the folder it works on. */
#ifndef CADRE_CLI_CI_REPOSITORY_H
#define CADRE_CLI_CI_REPOSITORY_H

#include <stdbool.h>

struct ci_repository;
struct loop;

/* Starts to ask; the answers come while the caller reads its configuration and lays out the plan. WANTS_TREE: is it clean?
 * The caller's to close. */
struct ci_repository *ci_repository_open(struct loop *loop, bool wants_tree);
/* Waits for what is still asked. */
void ci_repository_close(struct ci_repository *repository);

/* Each waits for its answer. Borrowed; NULL where there is none, as in a folder that is no repository. */
const char *ci_repository_branch(struct ci_repository *repository);
const char *ci_repository_commit(struct ci_repository *repository);
const char *ci_repository_top(struct ci_repository *repository); /* its outermost folder */
/* Id of HEAD's tree when nothing differs from it: only then are results kept. */
const char *ci_repository_clean_tree(struct ci_repository *repository);

#endif
