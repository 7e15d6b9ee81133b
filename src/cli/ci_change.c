/* cli/ci_change.c: asks git. */
#include "cli/ci_change.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "git/safe_git.h"
#include "io/process.h"

#include <stdlib.h>
#include <string.h>

#define GIT_TIMEOUT_MS 30000

/* 0 when git could be run; OUT is what it printed, *EXIT_CODE how it ended. */
static int git(struct loop *loop, const char *const *args, struct buf *out, int *exit_code, struct error *err)
{
    struct git_question question = {.args = args, .timeout_ms = GIT_TIMEOUT_MS};
    struct process_result result = {0};
    int rc = git_ask(loop, &question, &result, err);

    if (rc == 0) {
        *exit_code = result.exit.exit_code;
        buf_append(out, buf_cstr(&result.out), result.out.len);
    }
    process_result_finish(&result);
    return rc;
}

/* Entries that each end with a NUL byte. */
static void add_entries(const struct buf *text, struct str_list *paths)
{
    for (size_t at = 0; at < text->len; at += strlen(text->data + at) + 1) {
        if (text->data[at] != '\0' && !str_list_has(paths, text->data + at))
            str_list_add(paths, text->data + at);
    }
}

int ci_change_paths(struct loop *loop, const char *base, bool from_fork, struct str_list *paths,
                    struct error *err)
{
    char *commit = xasprintf("%s^{commit}", base);
    const char *verify[] = {"rev-parse", "--verify", "-q", commit, NULL};
    const char *fork[] = {"merge-base", base, "HEAD", NULL};
    const char *others[] = {"ls-files", "-z", "--others", "--exclude-standard", "--full-name", NULL};
    struct buf out = BUF_INIT;
    char *from = NULL;
    int exit_code = 0, rc = -1;

    if (*base == '-' || git(loop, verify, &out, &exit_code, err) < 0 || exit_code != 0) {
        error_set(err, ERROR_USAGE,
                  "--base '%s': git knows no such commit; a branch, tag or commit is expected", base);
        goto out;
    }
    if (from_fork) {
        buf_clear(&out);
        if (git(loop, fork, &out, &exit_code, err) < 0)
            goto out;
        if (exit_code == 0)
            from = xstrndup(buf_cstr(&out), strcspn(buf_cstr(&out), "\n"));
    }
    const char *diff[] = {"diff", "--name-only", "-z", "--no-ext-diff", "--no-renames", from != NULL ? from : base, "--", NULL};
    buf_clear(&out);
    if (git(loop, diff, &out, &exit_code, err) < 0)
        goto out;
    add_entries(&out, paths);
    buf_clear(&out);
    if (git(loop, others, &out, &exit_code, err) < 0)
        goto out;
    add_entries(&out, paths);
    rc = 0;
out:
    buf_free(&out);
    free(from);
    free(commit);
    return rc;
}

const char *ci_change_branch(const char *ref)
{
    static const char *const prefixes[] = {"refs/heads/", "refs/remotes/origin/", "origin/"};

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (str_starts_with(ref, prefixes[i]))
            return ref + strlen(prefixes[i]);
    }
    return ref;
}
