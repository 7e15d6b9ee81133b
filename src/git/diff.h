/* git/diff.h: differences between commits as text. All functions wait. */
#ifndef CADRE_GIT_DIFF_H
#define CADRE_GIT_DIFF_H

#include "base/error.h"

struct buf;
struct git_repo;

/* Unified diff with full object ids, without colours, external programs or rename detection; appended to OUT. */
int git_diff_text(struct git_repo *repo, const char *from, const char *to, struct buf *out, struct error *err);

/* `--stat` of the same. */
int git_diff_stat(struct git_repo *repo, const char *from, const char *to, struct buf *out, struct error *err);

#endif
