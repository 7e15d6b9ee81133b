/* cli/ci_repository.c: two questions to git at the same time, asked before anything else: a start of git costs more than
 * all else of a run without a change. */
#include "cli/ci_repository.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "git/safe_git.h"
#include "io/fiber.h"
#include "io/process.h"

#include <stdlib.h>
#include <string.h>

#define GIT_TIMEOUT_MS 30000

struct question {
    struct loop *loop;
    const char *const *args;
    struct fiber_group group;
    struct buf out;
    bool ok;
};

struct ci_repository {
    struct question place, dirt;
    char *branch, *sha, *top, *tree;
    bool has_place, has_dirt;
};

static void ask(void *arg)
{
    struct question *q = arg;
    struct git_question question = {.args = q->args, .timeout_ms = GIT_TIMEOUT_MS};
    struct process_result result = {0};
    struct error ignored = {0};

    q->ok = git_ask(q->loop, &question, &result, &ignored) == 0 && result.exit.exit_code == 0;
    buf_append(&q->out, buf_cstr(&result.out), result.out.len);
    process_result_finish(&result);
    fiber_group_done(&q->group);
}

static void start(struct question *q, struct loop *loop, const char *const *args)
{
    q->loop = loop;
    q->args = args;
    fiber_group_add(&q->group);
    fiber_start(loop, ask, q);
}

/* The fiber that asks uses Q, so the wait is not cut short; its time is bounded. */
static void await(struct question *q)
{
    struct error ignored = {0};

    fiber_shield(true);
    (void)fiber_group_wait(&q->group, &ignored);
    fiber_shield(false);
}

/* A branch without a commit has a name all the same. */
static char *unborn_branch(struct loop *loop)
{
    const char *args[] = {"symbolic-ref", "--short", "-q", "HEAD", NULL};
    struct git_question question = {.args = args, .timeout_ms = GIT_TIMEOUT_MS};
    struct process_result result = {0};
    struct error ignored = {0};
    char *name = NULL;

    if (git_ask(loop, &question, &result, &ignored) == 0 && result.exit.exit_code == 0)
        name = xstrndup(buf_cstr(&result.out), strcspn(buf_cstr(&result.out), "\n"));
    process_result_finish(&result);
    return name;
}

static void await_place(struct ci_repository *r)
{
    struct str_list lines = {0};

    if (r->has_place)
        return;
    await(&r->place);
    r->has_place = true;
    str_split(&lines, buf_cstr(&r->place.out), '\n');
    if (r->place.ok && lines.len >= 4) {
        r->top = xstrdup(lines.items[0]);
        r->sha = xstrdup(lines.items[1]);
        r->tree = xstrdup(lines.items[2]);
        r->branch = str_starts_with(lines.items[3], "refs/heads/") ? xstrdup(lines.items[3] + 11) : NULL;
    } else {
        r->branch = unborn_branch(r->place.loop);
    }
    str_list_finish(&lines);
}

struct ci_repository *ci_repository_open(struct loop *loop, bool wants_tree)
{
    static const char *const where[] = {"rev-parse", "-q", "--show-toplevel", "HEAD", "HEAD^{tree}", "--symbolic-full-name", "HEAD", NULL};
    static const char *const what[] = {"status", "--porcelain", "--untracked-files=normal", NULL};
    struct ci_repository *r = xcalloc(1, sizeof *r);

    start(&r->place, loop, where);
    if (wants_tree)
        start(&r->dirt, loop, what);
    r->has_dirt = !wants_tree;
    (void)fiber_sleep(0, NULL); /* both are started in it */
    return r;
}

void ci_repository_close(struct ci_repository *r)
{
    if (r == NULL)
        return;
    await_place(r);
    (void)ci_repository_clean_tree(r);
    buf_free(&r->place.out);
    buf_free(&r->dirt.out);
    free(r->branch);
    free(r->sha);
    free(r->top);
    free(r->tree);
    free(r);
}

const char *ci_repository_branch(struct ci_repository *r)
{
    await_place(r);
    return r->branch;
}

const char *ci_repository_commit(struct ci_repository *r)
{
    await_place(r);
    return r->sha;
}

const char *ci_repository_top(struct ci_repository *r)
{
    await_place(r);
    return r->top;
}

const char *ci_repository_clean_tree(struct ci_repository *r)
{
    await_place(r);
    if (!r->has_dirt) {
        await(&r->dirt);
        r->has_dirt = true;
    }
    return r->dirt.ok && r->dirt.out.len == 0 ? r->tree : NULL;
}
