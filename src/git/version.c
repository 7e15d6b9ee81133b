/* git/version.c: see version.h. */
#include "git/version.h"

#include "git/safe_git.h"
#include "io/process.h"

#include <stdio.h>

int git_check_version(struct loop *loop, int *major, int *minor, struct error *err)
{
    static const char *const args[] = {"--version", NULL};
    struct git_question question = {.args = args, .timeout_ms = 5000};
    struct process_result result = {0};
    struct error ignored = {0};
    int rc = -1;

    *major = *minor = 0;
    if (git_ask(loop, &question, &result, &ignored) < 0 || result.exit.exit_code != 0)
        (void)error_set(err, ERROR_REPOSITORY, "git does not run: install git %d.%d or newer", GIT_MIN_MAJOR, GIT_MIN_MINOR);
    else if (sscanf(buf_cstr(&result.out), "git version %d.%d", major, minor) != 2)
        (void)error_set(err, ERROR_REPOSITORY, "`git --version` says \"%.60s\": git %d.%d or newer is needed", buf_cstr(&result.out),
                        GIT_MIN_MAJOR, GIT_MIN_MINOR);
    else if (*major < GIT_MIN_MAJOR || (*major == GIT_MIN_MAJOR && *minor < GIT_MIN_MINOR))
        (void)error_set(err, ERROR_REPOSITORY, "git %d.%d is too old: install git %d.%d or newer (it merges without a checkout)",
                        *major, *minor, GIT_MIN_MAJOR, GIT_MIN_MINOR);
    else
        rc = 0;
    process_result_finish(&result);
    return rc;
}
