/* team/finish.c: what comes after the last task: QA, release notes, merge back. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/redact.h"
#include "git/diff.h"
#include "git/merge.h"
#include "team/prompts.h"

#include <stdlib.h>
#include <string.h>

#define QA_TASK_ID      "QA1"
#define MAX_QA_ATTEMPTS 2

/* Tests are QA's to write, wherever projects keep them. */
static const char *const test_paths[] = {"tests/**", "test/**",      "**/tests/**",  "**/test/**", "**/test_*",
                                         "**/*_test.*", "**/*.test.*", "**/*.spec.*", "spec/**",    NULL};

static struct task *qa_task(struct run *run)
{
    struct task *task = run_find_task(run, QA_TASK_ID);

    if (task != NULL)
        return task;
    task = task_create(QA_TASK_ID);
    task->title = xstrdup("Add tests for changed lines that have none");
    task->accept = xstrdup("every changed line is covered by a test that passes");
    task->role = xstrdup("qa_test_author");
    task->is_engines = true;
    for (size_t i = 0; test_paths[i] != NULL; i++)
        str_list_add(&task->files, test_paths[i]);
    vec_push(&run->tasks, task);
    return task;
}

int run_quality_assurance(struct run *run, struct error *err)
{
    struct task *task = qa_task(run);

    while (task->state == TASK_READY || task->state == TASK_COMMITTED) {
        struct vec batch = {0};
        int rc = 0;

        if (task->state == TASK_READY && task->attempt >= MAX_QA_ATTEMPTS) {
            /* The work itself is green and gated: tests that QA could not bring through do not hold it up. */
            task->state = TASK_DROPPED;
            log_warning("QA's tests did not pass the gates after %d attempts; they are left out", task->attempt);
            return run_save_all(run, err);
        }
        vec_push(&batch, task);
        run->batch++;
        run_emit(run, json_pack("{s:s, s:i, s:[s]}", "type", "batch.started", "batch", run->batch, "tasks", task->id));
        if (run_save_all(run, err) < 0 || (task->state == TASK_READY && run_dispatch(run, &batch, err) < 0))
            rc = -1;
        if (rc == 0 && task->state == TASK_COMMITTED)
            rc = run_integrate(run, &batch, err);
        vec_finish(&batch);
        if (rc < 0)
            return -1;
        run_emit(run, json_pack("{s:s, s:i, s:s}", "type", "batch.completed", "batch", run->batch, "commit",
                                run->verified));
    }
    return 0;
}

/* Notes from what the engine knows, when the release manager is of no help. */
static void plain_notes(const struct run *run, struct buf *b)
{
    buf_printf(b, "# %s\n\n## Changes\n\n", run->goal);
    for (size_t i = 0; i < run->tasks.len; i++) {
        const struct task *task = run->tasks.items[i];

        if (task->state == TASK_MERGED)
            buf_printf(b, "- %s (%s)\n", task->title, task->id);
    }
    buf_printf(b,
               "\n## Rollout\n\n- [ ] CI of %s is green\n\n## Rollback\n\n- [ ] `git revert` the commits %.12s..%.12s\n",
               run->target == NULL ? "the branch" : run->target, run->base, run->verified);
}

int run_release_notes(struct run *run, struct error *err)
{
    struct agent_spec spec = {
        .role = "release_manager", .attempt = 1, .cwd = run->integration_dir, .read_only = true, .owes = "submit_result"};
    struct agent_session *session = NULL;
    struct agent_answer answer = {0};
    struct buf notes = BUF_INIT;
    struct buf stat = BUF_INIT;
    char *prompt = NULL;
    int rc = -1;

    if (strcmp(run->verified, run->base) == 0)
        return 0; /* nothing changed: nothing to tell */
    if (git_diff_stat(run->repo, run->base, run->verified, &stat, err) < 0)
        goto out;
    session = agent_session_open(run->office, &spec, err);
    if (session == NULL)
        goto out;
    prompt = prompt_release(run, buf_cstr(&stat));
    if (agent_session_ask(session, prompt, &answer, err) < 0)
        goto out;
    if (answer.submission != NULL && !str_is_empty(json_get_string(answer.submission, "notes", NULL)))
        buf_puts(&notes, json_get_string(answer.submission, "notes", ""));
    else
        plain_notes(run, &notes);
    if (notes.data[notes.len - 1] != '\n')
        buf_putc(&notes, '\n');
    free(run->notes_path);
    run->notes_path = path_join(run->dir, "release-notes.md");
    redact_buf(&notes, 0, REDACT_ALL);
    rc = file_write_atomic(run->notes_path, notes.data, notes.len, 0644, err);
out:
    free(prompt);
    buf_free(&notes);
    buf_free(&stat);
    agent_answer_finish(&answer);
    agent_session_close(session);
    return rc;
}

int run_merge_back(struct run *run, struct error *err)
{
    static const enum merge_back_strategy strategies[] = {[MERGE_STRATEGY_FF] = MERGE_BACK_FF,
                                                          [MERGE_STRATEGY_MERGE] = MERGE_BACK_MERGE,
                                                          [MERGE_STRATEGY_SQUASH] = MERGE_BACK_SQUASH};
    struct merge_back_options options = {
        .branch = run->target,
        .commit = run->verified,
        .base = run->base,
        .strategy = strategies[run->settings.merge_strategy],
    };
    struct str_list unjudged = {0};
    char *message = NULL;
    json_t *begun;
    int rc;

    /* The invariant of a merge back, checked once more where it matters. */
    if (!run->has_verified_ci || !run->verified_ci.green)
        return error_set(err, ERROR_NOT_CONVERGED, "CI is not green on %.12s: nothing is merged back", run->verified);
    if (!run->merged)
        ci_summary_unjudged(&run->verified_ci, &unjudged);
    for (size_t i = 0; i < unjudged.len; i++) {
        run_log_line(run, "not judged by CI on this machine, at the base neither: %s", unjudged.items[i]);
        log_warning("not judged by CI on this machine, at the base neither: %s", unjudged.items[i]);
    }
    str_list_finish(&unjudged);
    if (run->options.no_merge || run->merged)
        return 0;
    if (run->target == NULL) {
        error_set(err, ERROR_REPOSITORY, "no branch is checked out to merge into");
        return error_hint(err, "merge %s yourself, or check a branch out and run `cadre resume %s`", run->branch, run->id);
    }
    if (run_hook(run, "before_merge", run->settings.hook_before_merge, run->integration_dir, NULL, err) < 0) {
        err->code = ERROR_GATE;
        return error_hint(err, "the result is green on branch %s; `cadre resume %s` tries the merge again",
                          run->branch, run->id);
    }
    /* What is written down before it begins can be told from the user's own changes when it is killed in the middle. */
    begun = run_get_json(run, "merge", "begun");
    options.is_retried = begun != NULL && str_eq(json_get_string(begun, "commit", NULL), run->verified);
    json_decref(begun);
    begun = json_pack("{s:s, s:s}", "commit", run->verified, "base", run->base);
    rc = run_put_json(run, "merge", "begun", begun, err);
    json_decref(begun);
    if (rc < 0)
        return -1;
    message = xasprintf("%s\n\nRun %s.\n", run->goal, run->label);
    options.message = message;
    rc = merge_back(run->repo, &options, err);
    free(message);
    if (rc < 0)
        return error_hint(err, "the result is green on branch %s; `cadre resume %s` tries the merge again",
                          run->branch, run->id);
    run->merged = true;
    run_log_line(run, "merged back into %s", run->target);
    return 0;
}
