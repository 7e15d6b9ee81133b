/* team/dispatch.c: a task's way from a fresh worktree to a commit, several tasks at once.
 *
 *   worktree at V (+ the attempt before, where it still merges) -> agent -> engine's commit -> is it what the
 *   task asked for? -> COMMITTED, or sent back once in the same conversation, or a failed attempt.
 *
 * Done is what git shows, not what the agent says. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/path.h"
#include "base/utf8.h"
#include "git/commit.h"
#include "git/merge.h"
#include "git/worktree.h"
#include "io/fiber.h"
#include "model/budget.h"
#include "store/journal.h"
#include "team/prompts.h"

#include <stdlib.h>
#include <string.h>

struct attempt {
    struct run *run;
    struct task *task;
    struct fiber_group *group;
    struct fiber *fiber;
    char *dir;
    char *base;      /* V at its start */
    char *note;      /* what the agent should know of the tree it starts from */
    struct str_list env;
    struct budget *budget; /* of the task, or NULL */
    struct error err; /* fatal for the run: model, auth, journal, cancelled */
    bool failed;
};

/* Failures that say nothing about the task: the run stops (resumable) instead of counting an attempt. */
static bool is_fatal(const struct error *err)
{
    return err->code == ERROR_CANCELLED || err->code == ERROR_AUTH || err->code == ERROR_MODEL ||
           err->code == ERROR_CONFIG || err->code == ERROR_SANDBOX || model_error_is_budget(err) ||
           err->code == ERROR_NOT_FOUND || err->code == ERROR_REPOSITORY;
}

#define MAX_RETURNS      12
#define RETURN_MAX_BYTES 600

/* For the orchestrator, should the task end up blocked. */
static void note_return(struct task *task, enum return_reason reason, const char *evidence)
{
    size_t n = utf8_floor(evidence, strlen(evidence), RETURN_MAX_BYTES);
    char *text = xasprintf("%s: %.*s", return_reason_name(reason), (int)n, evidence);

    if (str_list_has(&task->returns, text)) {
        free(text);
        return;
    }
    if (task->returns.len >= MAX_RETURNS)
        str_list_remove(&task->returns, 0);
    str_list_take(&task->returns, text);
}

int run_return_task(struct run *run, struct task *task, enum return_reason reason, const char *evidence,
                    struct error *err)
{
    uint64_t failure = str_hash(evidence, strlen(evidence)) ^ (uint64_t)reason;
    bool blocked;

    task->same_failures = failure == task->last_failure ? task->same_failures + 1 : 1;
    task->last_failure = failure;
    if (reason == RETURN_REVIEW || reason == RETURN_SECURITY)
        task->gate_rounds++;
    free(task->evidence);
    task->evidence = xstrdup(evidence);
    free(task->outcome);
    task->outcome = xasprintf("%s: %.300s", return_reason_name(reason), evidence);
    note_return(task, reason, evidence);
    blocked = reason == RETURN_BUDGET || task->attempt >= run->settings.max_attempts || task->same_failures >= 3 ||
              task->gate_rounds > run->settings.max_review_rounds;
    task->state = blocked ? TASK_BLOCKED : TASK_READY;
    if (run_save_task(run, task, err) < 0)
        return -1;
    run_emit(run, json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "task.returned", "task", task->id, "attempt",
                            task->attempt, "reason", return_reason_name(reason), "detail", evidence));
    run_log_line(run, "%s attempt %d returned: %s", task->id, task->attempt, return_reason_name(reason));
    tuning_note_return(run, reason);
    if (blocked) {
        run_emit(run, json_pack("{s:s, s:s, s:s, s:s}", "type", "task.blocked", "task", task->id, "reason",
                                return_reason_name(reason), "detail", evidence));
        run_log_line(run, "%s blocked after %d attempts", task->id, task->attempt);
    }
    return 0;
}

static int run_setup(struct attempt *a, struct error *err)
{
    const struct run_settings *s = &a->run->settings;

    if (!str_is_empty(s->setup_command) &&
        run_user_command(a->run, "the setup command", s->setup_command, a->dir, &a->env, s->setup_timeout_seconds,
                         err) < 0)
        return -1;
    return run_hook(a->run, "after_worktree", s->hook_after_worktree, a->dir, a->task, err);
}

static int make_worktree(struct attempt *a, struct error *err)
{
    struct run *run = a->run;
    struct task *task = a->task;
    struct merge_result merged = {0};
    int rc = -1;

    a->base = xstrdup(run->verified);
    if (worktree_is_ours(run->repo, a->dir) && worktree_remove(run->repo, a->dir, err) < 0)
        return -1;
    if (worktree_add(run->repo, a->dir, a->base, err) < 0)
        return -1;
    if (worktree_copy_included(run->repo, a->dir, err) < 0)
        return -1;
    if (task->commit != NULL) {
        if (merge_trees(run->repo, a->base, task->commit, &merged, err) < 0)
            goto out;
        if (merged.is_clean) {
            if (worktree_show_tree(run->repo, a->dir, merged.tree, err) < 0)
                goto out;
            a->note = xstrdup("Your working directory holds the attempt before, on top of what was merged "
                              "meanwhile. Keep what is good in it.");
        } else {
            a->note = xstrdup("Your working directory is the merged state without the attempt before, because the "
                              "two conflict. Make your change again so that both sides keep their meaning.");
        }
    }
    rc = run_setup(a, err);
out:
    merge_result_finish(&merged);
    return rc;
}

/* Why the change cannot be taken; false when it can. TEXT gets the detail. */
static bool find_objection(const struct attempt *a, const struct commit_result *commit, enum return_reason *reason,
                           struct buf *text)
{
    const struct run *run = a->run;
    int lines = 0;

    if (commit->id == NULL) {
        *reason = RETURN_EMPTY;
        buf_puts(text, "The working directory has no change.");
        return true;
    }
    for (size_t i = 0; i < commit->change_count; i++) {
        const struct commit_change *change = &commit->changes[i];
        bool shared = false;

        lines += change->insertions + change->deletions;
        for (size_t k = 0; k < run->settings.shared_files.len; k++)
            shared = shared || glob_match(run->settings.shared_files.items[k], change->path);
        if (!shared && !task_owns_path(a->task, change->path))
            buf_printf(text, "`%s` is outside the task's files.\n", change->path);
    }
    if (text->len > 0) {
        *reason = RETURN_DRIFT;
        buf_puts(text, "Undo these changes; when the task cannot be done without them, say so with status "
                       "\"blocked\".");
        return true;
    }
    if (lines > run->settings.max_diff_lines) {
        *reason = RETURN_MESSY;
        buf_printf(text, "The change has %d lines, more than the %d allowed. Do only what the task asks for.", lines,
                   run->settings.max_diff_lines);
        return true;
    }
    return false;
}

/* Runs the task's own acceptance command on what was committed; TEXT and REASON are set when it fails. */
static int check_acceptance(const struct attempt *a, const struct commit_result *commit, enum return_reason *reason,
                            struct buf *text, struct error *err)
{
    char *command = acceptance_command(a->task->accept);
    struct buf excerpt = BUF_INIT;
    bool passed = true;
    int rc = 0;

    (void)commit;
    if (command != NULL)
        rc = acceptance_run(a->run, a->dir, command, &passed, &excerpt, err);
    if (rc == 0 && !passed) {
        *reason = RETURN_ACCEPTANCE;
        buf_printf(text, "The acceptance command of the task fails.\n%s", buf_cstr(&excerpt));
    }
    buf_free(&excerpt);
    free(command);
    return rc;
}

/* Is it the task's own budget, and not the run's, that is used up? */
static bool is_over_own_budget(const struct attempt *a, const struct error *err)
{
    struct usage spent;

    if (a->budget == NULL || !model_error_is_budget(err))
        return false;
    spent = budget_spent(a->budget);
    return a->task->budget_tokens - spent.input_tokens - spent.output_tokens < budget_tokens_left(a->run->budget);
}

static int record_commit(struct attempt *a, const struct commit_result *commit, struct error *err)
{
    struct run *run = a->run;
    struct task *task = a->task;
    char *ref = xasprintf("refs/cadre/%s/%s/%d", run->id, task->id, task->attempt);
    int insertions = 0;
    int deletions = 0;
    int rc;

    str_list_finish(&task->changed);
    for (size_t i = 0; i < commit->change_count; i++) {
        str_list_add(&task->changed, commit->changes[i].path);
        insertions += commit->changes[i].insertions;
        deletions += commit->changes[i].deletions;
    }
    free(task->commit);
    task->commit = xstrdup(commit->id);
    free(task->base);
    task->base = xstrdup(a->base);
    task->state = TASK_COMMITTED;
    rc = git_ref_set(run->repo, ref, commit->id, err);
    if (rc == 0)
        rc = journal_begin(run->journal, err);
    if (rc == 0 && run_save_task(run, task, err) < 0) {
        journal_rollback(run->journal);
        rc = -1;
    } else if (rc == 0) {
        run_emit(run, json_pack("{s:s, s:s, s:i, s:s, s:i, s:i, s:i}", "type", "task.committed", "task", task->id,
                                "attempt", task->attempt, "commit", commit->id, "files", (int)commit->change_count,
                                "insertions", insertions, "deletions", deletions));
        rc = journal_commit(run->journal, err);
    }
    if (rc == 0) {
        run_log_line(run, "%s attempt %d committed %.12s", task->id, task->attempt, commit->id);
    }
    free(ref);
    return rc;
}

/* The conversation: the task, then at most one round of mending. 0 with the task in its new state; -1 when the
 * run must stop. */
static int work_on(struct attempt *a, struct agent_session *session, struct error *err)
{
    struct run *run = a->run;
    struct task *task = a->task;
    char *prompt = prompt_task(run, task, a->note);
    int rc = -1;

    for (int round = 0;; round++) {
        struct agent_answer answer = {0};
        struct commit_result commit = {0};
        struct error turn_err = {0};
        struct buf text = BUF_INIT;
        enum return_reason reason = RETURN_ERROR;
        bool again = false;
        char *message;
        int asked = agent_session_ask(session, prompt, &answer, &turn_err);

        free(prompt);
        prompt = NULL;
        task->tokens += answer.usage.input_tokens + answer.usage.output_tokens;
        if (asked < 0 && is_over_own_budget(a, &turn_err)) {
            rc = run_return_task(run, task, RETURN_BUDGET, turn_err.text, err);
        } else if (asked < 0 && is_fatal(&turn_err)) {
            *err = turn_err;
        } else if (asked < 0) {
            rc = run_return_task(run, task, RETURN_ERROR, turn_err.text, err);
        } else if (answer.submission != NULL &&
                   strcmp(json_get_string(answer.submission, "status", "done"), "blocked") == 0) {
            rc = run_return_task(run, task, RETURN_BLOCKED, json_get_string(answer.submission, "summary", "blocked"),
                                 err);
        } else {
            message = xasprintf("%s: %s\n\nTask %s of run %s, attempt %d.\n", task->id, task->title, task->id, run->label,
                                task->attempt);
            if (commit_worktree(run->repo, a->dir, a->base, message, &commit, &turn_err) < 0) {
                if (turn_err.code == ERROR_DENIED)
                    rc = run_return_task(run, task, RETURN_SECURITY, turn_err.text, err);
                else
                    *err = turn_err;
            } else if (commit.id == NULL && strcmp(task->role, "qa_test_author") == 0) {
                /* QA that finds nothing to add is done. */
                task->state = TASK_DROPPED;
                free(task->outcome);
                task->outcome = xstrdup("nothing to add");
                rc = run_save_task(run, task, err);
            } else if (!find_objection(a, &commit, &reason, &text) &&
                       check_acceptance(a, &commit, &reason, &text, err) < 0) {
                rc = -1;
            } else if (text.len == 0) {
                rc = record_commit(a, &commit, err);
            } else if (round == 0) {
                again = true;
                run_emit(run, json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "task.returned", "task", task->id,
                                        "attempt", task->attempt, "reason", return_reason_name(reason), "detail",
                                        text.data));
                tuning_note_return(run, reason);
                prompt = prompt_task_again(return_reason_name(reason), text.data);
            } else {
                rc = run_return_task(run, task, reason, text.data, err);
            }
            free(message);
        }
        agent_answer_finish(&answer);
        commit_result_finish(&commit);
        buf_free(&text);
        if (!again)
            return rc;
    }
}

static int do_attempt(struct attempt *a, struct error *err)
{
    struct run *run = a->run;
    struct task *task = a->task;
    struct agent_spec spec = {
        .role = task->role,
        .task = task->id,
        .attempt = task->attempt,
        .cwd = a->dir,
        .owes = "submit_result",
        .docs_for = &task->files,
        .extra_env = &a->env,
        .budget = a->budget,
        .timeout_ms = (uint64_t)run->settings.task_minutes * 60000,
    };
    struct agent_session *session;
    int rc = -1;

    if (task->budget_tokens > 0) {
        struct budget_limits limits = {.max_tokens = task->budget_tokens};
        struct usage before = {.input_tokens = task->tokens};
        char *name = xasprintf("task %s", task->id);

        a->budget = spec.budget = budget_create(name, run->budget, &limits);
        budget_restore(a->budget, &before);
        free(name);
    }
    session = agent_session_open(run->office, &spec, err); /* waits for a slot */
    if (session == NULL)
        return -1;
    if (make_worktree(a, err) == 0) {
        run_emit(run, json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "task.started", "task", task->id, "attempt",
                                task->attempt, "role", task->role, "worktree", a->dir));
        rc = run_hook(run, "before_task", run->settings.hook_before_task, a->dir, task, err);
        if (rc == 0)
            rc = work_on(a, session, err);
    }
    agent_session_close(session);
    return rc;
}

static void attempt_fiber(void *arg)
{
    struct attempt *a = arg;
    struct task *task = a->task;
    int64_t began = clock_monotonic_ms();
    struct error cleanup = {0};

    task->state = TASK_WORKING;
    task->attempt++;
    task->worker = a->fiber;
    if (do_attempt(a, &a->err) < 0) {
        a->failed = !task->is_given_up;
        if (task->state == TASK_WORKING) { /* not its fault: the attempt does not count */
            task->state = TASK_READY;
            task->attempt--;
        }
    }
    task->worker = NULL;
    task->duration_ms += clock_monotonic_ms() - began;
    fiber_shield(true);
    if (task->is_given_up) {
        task->is_given_up = false;
        task->state = TASK_DROPPED;
        (void)run_save_task(a->run, task, NULL);
    }
    if (file_is_directory(a->dir) &&
        run_hook(a->run, "after_task", a->run->settings.hook_after_task, a->dir, task, &cleanup) < 0)
        log_warning("%s", cleanup.text);
    if (file_is_directory(a->dir) && worktree_remove(a->run->repo, a->dir, &cleanup) < 0)
        log_warning("%s", cleanup.text);
    fiber_shield(false);
    a->fiber = NULL;
    fiber_group_done(a->group);
}

static void add_environment(struct attempt *a, size_t index)
{
    const struct run_settings *s = &a->run->settings;

    str_list_take(&a->env, xasprintf("CADRE_RUN=%s", a->run->id));
    str_list_take(&a->env, xasprintf("CADRE_TASK=%s", a->task->id));
    str_list_take(&a->env, xasprintf("PORT=%d", s->port_base + (int)index * s->port_step));
}

int run_dispatch(struct run *run, const struct vec *tasks, struct error *err)
{
    struct attempt *attempts = xcalloc(tasks->len, sizeof *attempts);
    struct fiber_group group = {0};
    int rc = 0;

    for (size_t i = 0; i < tasks->len; i++) {
        struct attempt *a = &attempts[i];
        char *name;

        a->run = run;
        a->task = tasks->items[i];
        a->group = &group;
        name = xasprintf("worktrees/%s", a->task->id);
        a->dir = path_join(run->dir, name);
        free(name);
        add_environment(a, i);
        fiber_group_add(&group);
        a->fiber = fiber_start(run->loop, attempt_fiber, a);
    }
    if (fiber_group_wait(&group, err) < 0) {
        rc = -1;
        for (size_t i = 0; i < tasks->len; i++)
            if (attempts[i].fiber != NULL)
                fiber_cancel(attempts[i].fiber);
        fiber_shield(true);
        (void)fiber_group_wait(&group, NULL);
        fiber_shield(false);
    }
    for (size_t i = 0; i < tasks->len; i++) {
        if (attempts[i].failed && rc == 0) {
            *err = attempts[i].err;
            rc = -1;
        }
        free(attempts[i].dir);
        free(attempts[i].base);
        free(attempts[i].note);
        budget_destroy(attempts[i].budget);
        str_list_finish(&attempts[i].env);
    }
    free(attempts);
    return rc;
}
