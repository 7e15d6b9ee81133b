/* cli/ci_repository.h: what `cadre ci` asks git of the folder it works on. */
#ifndef CADRE_CLI_CI_REPOSITORY_H
#define CADRE_CLI_CI_REPOSITORY_H

#include <stdbool.h>

struct loop;

/* Owned texts, NULL where there is none. */
struct ci_repository {
    char *branch, *sha;
    char *top;  /* its outermost folder */
    char *tree; /* id of HEAD's tree when nothing differs from it: only then are results kept */
};

/* Waits. WANTS_TREE: is it clean? A folder that is no repository gives nothing. */
void ci_repository_read(struct loop *loop, bool wants_tree, struct ci_repository *repository);
void ci_repository_finish(struct ci_repository *repository);

#endif
