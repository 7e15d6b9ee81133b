/* git/diff.c: see diff.h. */
#include "git/diff.h"

#include "git/git.h"

#include <stddef.h>

int git_diff_text(struct git_repo *repo, const char *from, const char *to, struct buf *out, struct error *err)
{
    return git_run(repo, 0, NULL, out, err, "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index",
                   "--no-renames", "--src-prefix=a/", "--dst-prefix=b/", from, to, "--", NULL);
}

int git_diff_stat(struct git_repo *repo, const char *from, const char *to, struct buf *out, struct error *err)
{
    return git_run(repo, 0, NULL, out, err, "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--stat=100",
                   "--no-renames", from, to, "--", NULL);
}
