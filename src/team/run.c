/* team/run.c: see run.h. Goes through a run's phases and ends it. */
#include "team/run.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "git/version.h"
#include "git/worktree.h"
#include "io/fiber.h"
#include "io/process.h"
#include "model/budget.h"
#include "store/journal.h"
#include "team/control.h"
#include "team/run_internal.h"

#include <stdlib.h>
#include <string.h>

void run_outcome_finish(struct run_outcome *outcome)
{
    if (outcome == NULL)
        return;
    free(outcome->run_id);
    free(outcome->run_dir);
    free(outcome->branch);
    free(outcome->commit);
    free(outcome->notes_path);
    free(outcome->pull_request);
    for (size_t i = 0; i < outcome->task_count; i++) {
        free(outcome->tasks[i].id);
        free(outcome->tasks[i].role);
        free(outcome->tasks[i].title);
        free(outcome->tasks[i].outcome);
    }
    free(outcome->tasks);
    *outcome = (struct run_outcome){0};
}

static void fill_outcome(const struct run *run, struct run_outcome *outcome)
{
    outcome->run_id = xstrdup(run->id);
    outcome->run_dir = xstrdup(run->dir);
    outcome->branch = xstrdup(run->branch);
    outcome->commit = xstrdup(run->verified);
    outcome->notes_path = xstrdup(run->notes_path);
    outcome->pull_request = xstrdup(run->pull_request);
    outcome->merged = run->merged;
    outcome->tasks = xcalloc(run->tasks.len, sizeof *outcome->tasks);
    for (size_t i = 0; i < run->tasks.len; i++) {
        const struct task *task = run->tasks.items[i];

        outcome->tasks[outcome->task_count++] = (struct run_task_row){
            .id = xstrdup(task->id),
            .role = xstrdup(task->role),
            .title = xstrdup(task->title),
            .outcome = xstrdup(task->outcome != NULL && task->state != TASK_MERGED ? task->outcome
                                                                                    : task_state_name(task->state)),
            .attempts = task->attempt,
            .tokens = task->tokens,
            .duration_ms = task->duration_ms,
        };
    }
}

static int enter_phase(struct run *run, enum run_phase phase, struct error *err)
{
    run->phase = phase;
    return run_save(run, err);
}

/* Why the orchestrator has to look at the plan again; empty when it need not. */
static void find_amendment(const struct run *run, struct buf *why)
{
    for (size_t i = 0; i < run->tasks.len; i++) {
        const struct task *task = run->tasks.items[i];

        if (task->state == TASK_BLOCKED)
        {
            buf_printf(why, "Task %s is blocked after %d attempts. What came back, without repeats:\n", task->id,
                       task->attempt);
            for (size_t k = 0; k < task->returns.len; k++)
                buf_printf(why, "- %s\n", task->returns.items[k]);
        }
    }
    if (why->len == 0 && run->has_verified_ci && !run->verified_ci.green) {
        buf_puts(why, "Every task is merged, but CI is still red:\n");
        for (size_t i = 0; i < run->verified_ci.count; i++) {
            const struct job_result *job = &run->verified_ci.jobs[i];

            if (strcmp(job->state, "failed") == 0)
                buf_printf(why, "Job %s fails:\n%s\n", job->name, job->excerpt == NULL ? "" : job->excerpt);
            else if (strcmp(job->state, "passed") != 0 && strcmp(job->state, "skipped") != 0)
                buf_printf(why, "Job %s was not judged (%s): %s\n", job->name, job->state,
                           job->reason == NULL ? "no reason is known" : job->reason);
        }
    }
}

/* Batches until every task is final and CI is green. */
static int work(struct run *run, struct error *err)
{
    for (;;) {
        struct vec batch = {0};
        struct buf why = BUF_INIT;
        int rc;

        if (run_wait_while_paused(run, err) < 0 || run_check_limits(run, err) < 0 || run_read_plan(run, err) < 0)
            return -1;
        batch_choose(run, &batch);
        if (batch.len > 0) {
            if (run->batch >= run->settings.max_batches) {
                vec_finish(&batch);
                return error_set(err, ERROR_NOT_CONVERGED,
                                 "not green after %d batches ([loop] max_batches); `cadre resume --max-batches %d` "
                                 "goes on",
                                 run->batch, run->settings.max_batches * 2);
            }
            rc = batch_run(run, &batch, err);
            vec_finish(&batch);
            if (rc < 0)
                return -1;
            continue;
        }
        find_amendment(run, &why);
        if (why.len == 0 && batch_open_tasks(run) == 0)
            return 0;
        if (why.len == 0)
            buf_puts(&why, "The remaining tasks wait for tasks that will not be merged.\n");
        if (run->amendments - run->remote_rounds >= run->settings.max_plan_attempts) {
            bool gate = false;

            for (size_t i = 0; i < run->tasks.len; i++)
                gate = gate || ((struct task *)run->tasks.items[i])->gate_rounds >= run->settings.max_review_rounds;
            error_set(err, gate ? ERROR_GATE : ERROR_NOT_CONVERGED, "the run does not converge: %.1500s", why.data);
            buf_free(&why);
            return -1;
        }
        rc = run_amend_plan(run, why.data, err);
        buf_free(&why);
        if (rc < 0)
            return -1;
    }
}

/* What CI said of the base and of V: from the journal, or run again when a kill lost it. */
static int recall_ci(struct run *run, struct error *err)
{
    if (run->phase == PHASE_EXPLORING || run->phase == PHASE_DONE)
        return 0; /* the first phase begins with it */
    if (!run->has_base_ci && run_ci(run, run->base, NULL, NULL, &run->base_ci, err) < 0)
        return -1;
    run->has_base_ci = true;
    if (!run->has_verified_ci && run_ci(run, run->verified, NULL, NULL, &run->verified_ci, err) < 0)
        return -1;
    run->has_verified_ci = true;
    return 0;
}

/* The pull request takes the place of the merge back; what its checks find wrong is more work. */
static int ask_remote(struct run *run, struct error *err)
{
    struct buf why = BUF_INIT;
    int rc = run_remote(run, &why, err);

    if (rc == 0 && why.len == 0) {
        rc = enter_phase(run, PHASE_DONE, err);
    } else if (rc == 0) {
        run->remote_rounds++;
        run->phase = PHASE_WORKING;
        rc = run_amend_plan(run, buf_cstr(&why), err);
        if (rc == 0 && batch_open_tasks(run) == 0) {
            error_set(err, ERROR_NOT_CONVERGED, "the remote CI is red and the orchestrator planned nothing against it");
            rc = -1;
        }
        if (rc < 0) {
            run->phase = PHASE_MERGING; /* a resume asks the remote again */
            (void)run_save(run, NULL);
        }
    }
    buf_free(&why);
    return rc;
}

static int carry(struct run *run, struct error *err)
{
    if (recall_ci(run, err) < 0)
        return -1;
    for (;;) {
        if (run_wait_while_paused(run, err) < 0)
            return -1;
        switch (run->phase) {
        case PHASE_EXPLORING:
            if (run_explore(run, err) < 0 || enter_phase(run, PHASE_PLANNING, err) < 0)
                return -1;
            break;
        case PHASE_PLANNING:
            if (run_make_plan(run, err) < 0)
                return -1;
            if (run->options.dry_run)
                return 0;
            if (enter_phase(run, PHASE_WORKING, err) < 0)
                return -1;
            break;
        case PHASE_WORKING:
            if (work(run, err) < 0 ||
                enter_phase(run, run->settings.gate_qa ? PHASE_TESTING : PHASE_RELEASING, err) < 0)
                return -1;
            break;
        case PHASE_TESTING:
            if (run_quality_assurance(run, err) < 0 || enter_phase(run, PHASE_RELEASING, err) < 0)
                return -1;
            break;
        case PHASE_RELEASING:
            if (run_release_notes(run, err) < 0 || enter_phase(run, PHASE_MERGING, err) < 0)
                return -1;
            break;
        case PHASE_MERGING:
            if (run->settings.remote_enabled && !run->options.no_merge) {
                if (ask_remote(run, err) < 0)
                    return -1;
                break;
            }
            if (run_merge_back(run, err) < 0 || enter_phase(run, PHASE_DONE, err) < 0)
                return -1;
            break;
        case PHASE_DONE:
            return 0;
        }
    }
}

static void report_end(struct run *run, const struct error *err)
{
    const char *state = run->ending;
    int merged = 0;
    struct usage spent = {0};
    struct error failed = {0};
    bool is_open;

    for (size_t i = 0; i < run->tasks.len; i++)
        merged += ((struct task *)run->tasks.items[i])->state == TASK_MERGED;
    if (run->budget != NULL)
        spent = budget_spent(run->budget);
    is_open = journal_begin(run->journal, &failed) == 0; /* the state and the event that tells of it: both or none */
    if (is_open && journal_run_set_state(run->journal, state, &failed) < 0)
        log_warning("%s", failed.text);
    if (err == NULL)
        run_emit(run, json_pack("{s:s, s:s, s:b, s:s*, s:i, s:i, s:I, s:I, s:I}", "type", "run.completed", "commit",
                                run->verified, "merged", run->merged, "target", run->target, "tasks_merged", merged,
                                "batches", run->batch, "tokens", (json_int_t)(spent.input_tokens + spent.output_tokens), "cost_microusd",
                                (json_int_t)spent.cost_microusd, "duration_ms",
                                (json_int_t)(clock_monotonic_ms() - run->started_ms)));
    else if (err->code == ERROR_CANCELLED)
        run_emit(run, json_pack("{s:s, s:s}", "type", "run.interrupted", "message", err->text));
    else
        run_emit(run, json_pack("{s:s, s:s, s:s}", "type", "run.failed", "code", error_code_name(err->code),
                                "message", err->text));
    if (is_open && journal_commit(run->journal, &failed) < 0)
        log_warning("%s", failed.text);
}

/* What the run made and nobody needs any more: after its end, and after a failure before there was any work to keep
 * (a resume makes it again). */
static void tidy(struct run *run, bool is_over)
{
    struct error err = {0};

    fiber_shield(true);
    /* Each is tried once more: git may have been killed. */
    if (run->integration_dir != NULL && worktree_remove(run->repo, run->integration_dir, &err) < 0 &&
        worktree_remove(run->repo, run->integration_dir, &err) < 0)
        log_warning("%s\n  `cadre clean` removes what is left over", err.text);
    if (run->merged || run->options.dry_run || !is_over || str_eq(run->verified, run->base))
        for (int tries = 0; tries < 2 && git_branch_delete(run->repo, run->branch, run->verified, NULL) < 0; tries++)
            continue;
    for (int tries = 0; tries < 2 && git_refs_delete(run->repo, "refs/cadre/", run->id, NULL) < 0; tries++)
        continue;
    fiber_shield(false);
}

static void run_free(struct run *run)
{
    if (run->options.on_inbox != NULL)
        run->options.on_inbox(run->options.data, NULL);
    office_destroy(run->office);
    (void)run_close_cassette(run, NULL);
    budget_destroy(run->budget);
    journal_close(run->journal);
    git_repo_close(run->repo);
    for (size_t i = 0; i < run->tasks.len; i++)
        task_destroy(run->tasks.items[i]);
    vec_finish(&run->tasks);
    plan_destroy(run->plan);
    ci_summary_finish(&run->base_ci);
    ci_summary_finish(&run->verified_ci);
    run_settings_finish(&run->settings);
    free(run->id);
    free(run->label);
    free(run->dir);
    free(run->goal);
    free(run->base);
    free(run->target);
    free(run->branch);
    free(run->verified);
    free(run->integration_dir);
    free(run->plan_path);
    free(run->plan_seen);
    free(run->plan_written);
    free(run->plan_refused);
    free(run->exploration);
    free(run->notes_path);
    free(run->pull_request);
    json_decref(run->limits);
    free(run);
}

int run_execute(const struct run_options *options, struct run_outcome *outcome, struct error *err)
{
    struct run *run = xcalloc(1, sizeof *run);
    struct error hook_err = {0};
    bool opened = false;
    int major, minor;
    int rc = -1;

    run->options = *options;
    run->loop = options->loop;
    run->started_ms = clock_monotonic_ms();
    run_apply_limits(run);
    if (run_check_allowances(run, err) < 0)
        goto out;
    run->repo = git_repo_open(run->loop, options->directory, err);
    if (run->repo == NULL || git_check_version(run->loop, &major, &minor, err) < 0)
        goto out;
    if ((options->goal != NULL ? run_begin(run, err) : run_resume(run, err)) < 0)
        goto out;
    opened = true;
    run->fiber = fiber_current();
    run->control = run_control_open(run);
    rc = options->goal == NULL ? run_control_take_orders(run, err) : 0;
    if (rc == 0)
        rc = carry(run, err);
    run->fiber = NULL;
    if (run->recorder != NULL && run_close_cassette(run, rc == 0 ? err : NULL) < 0 && rc == 0)
        rc = -1;
    fiber_shield(true);
    tuning_propose(run);
    run->ending = rc == 0 ? "completed" : err->code == ERROR_CANCELLED ? "interrupted" : "failed";
    if (run_hook(run, "after_run", run->settings.hook_after_run, git_repo_toplevel(run->repo), NULL, &hook_err) < 0)
        log_warning("%s", hook_err.text);
    /* Before the end is written down: who is killed here is resumed, and does it again. */
    if (rc == 0 || run->phase <= PHASE_PLANNING)
        tidy(run, rc == 0);
    fiber_shield(true);
    report_end(run, rc == 0 ? NULL : err);
    run_control_close(run->control);
    run->control = NULL;
    fiber_shield(false);
out:
    if (opened || run->id != NULL)
        fill_outcome(run, outcome);
    process_set_mark(NULL);
    run_free(run);
    return rc;
}
