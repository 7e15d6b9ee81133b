/* cli/ci_repository.c: two questions to git at the same time: a start of git costs more than all else of a run
 * without a change. */
#include "cli/ci_repository.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "io/fiber.h"
#include "io/process.h"

#include <stdlib.h>
#include <string.h>

#define GIT_TIMEOUT_MS 30000

struct question {
    struct loop *loop;
    const char *const *argv;
    struct fiber_group *group;
    struct buf out;
    bool ok;
};

static void ask(void *arg)
{
    struct question *q = arg;
    struct process_run_options options = {.argv = q->argv, .timeout_ms = GIT_TIMEOUT_MS};
    struct process_result result = {0};
    struct error ignored = {0};

    q->ok = process_run(q->loop, &options, &result, &ignored) == 0 && result.exit.exit_code == 0;
    buf_append(&q->out, buf_cstr(&result.out), result.out.len);
    process_result_finish(&result);
    fiber_group_done(q->group);
}

/* A branch without a commit has a name all the same. */
static char *unborn_branch(struct loop *loop)
{
    const char *argv[] = {"git", "symbolic-ref", "--short", "-q", "HEAD", NULL};
    struct process_run_options options = {.argv = argv, .timeout_ms = GIT_TIMEOUT_MS};
    struct process_result result = {0};
    struct error ignored = {0};
    char *name = NULL;

    if (process_run(loop, &options, &result, &ignored) == 0 && result.exit.exit_code == 0)
        name = xstrndup(buf_cstr(&result.out), strcspn(buf_cstr(&result.out), "\n"));
    process_result_finish(&result);
    return name;
}

void ci_repository_read(struct loop *loop, bool wants_tree, struct ci_repository *r)
{
    const char *where[] = {"git", "rev-parse", "-q", "--show-toplevel", "HEAD", "HEAD^{tree}", "--symbolic-full-name", "HEAD", NULL};
    const char *what[] = {"git", "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=normal", NULL};
    struct fiber_group group = {0};
    struct question place = {.loop = loop, .argv = where, .group = &group}, dirt = {.loop = loop, .argv = what, .group = &group};
    struct str_list lines = {0};
    struct error ignored = {0};

    *r = (struct ci_repository){0};
    fiber_group_add(&group);
    fiber_start(loop, ask, &place);
    if (wants_tree) {
        fiber_group_add(&group);
        fiber_start(loop, ask, &dirt);
    }
    fiber_shield(true); /* the two use this stack; their time is bounded */
    (void)fiber_group_wait(&group, &ignored);
    fiber_shield(false);
    str_split(&lines, buf_cstr(&place.out), '\n');
    if (place.ok && lines.len >= 4) {
        r->top = xstrdup(lines.items[0]);
        r->sha = xstrdup(lines.items[1]);
        r->tree = wants_tree && dirt.ok && dirt.out.len == 0 ? xstrdup(lines.items[2]) : NULL;
        r->branch = str_starts_with(lines.items[3], "refs/heads/") ? xstrdup(lines.items[3] + 11) : NULL;
    } else {
        r->branch = unborn_branch(loop);
    }
    str_list_finish(&lines);
    buf_free(&place.out);
    buf_free(&dirt.out);
}

void ci_repository_finish(struct ci_repository *r)
{
    free(r->branch);
    free(r->sha);
    free(r->top);
    free(r->tree);
    *r = (struct ci_repository){0};
}
