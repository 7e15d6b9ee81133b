/* team/run.c: see run.h. Opens or resumes a run, and goes through its phases. */
#include "team/run.h"

#include "agent/inbox.h"
#include "agent/slots.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/path.h"
#include "config/config.h"
#include "config/role.h"
#include "git/merge.h"
#include "git/recover.h"
#include "git/version.h"
#include "git/worktree.h"
#include "io/fiber.h"
#include "io/process.h"
#include "model/budget.h"
#include "model/mock_server.h"
#include "store/journal.h"
#include "store/run_dir.h"
#include "team/builtin_checks.h"
#include "team/control.h"
#include "team/run_internal.h"

#include <stdlib.h>
#include <string.h>

#define KILL_GRACE_MS   500
#define PLAN_KEPT_BYTES ((size_t)4 << 20)

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

static void apply_limits(struct run *run)
{
    const struct run_options *o = &run->options;
    struct run_settings *s = &run->settings;

    run_settings_init(s, o->config);
    if (o->max_batches > 0)
        s->max_batches = o->max_batches;
    if (o->batch_size > 0)
        s->batch_size = o->batch_size;
    if (o->max_tokens > 0)
        s->max_tokens = o->max_tokens;
    if (o->max_cost_usd > 0)
        s->max_cost_microusd = (int64_t)(o->max_cost_usd * 1e6);
    if (o->max_minutes > 0)
        s->max_minutes = o->max_minutes;
}

/* An allowance of a check that does not exist allows nothing, and its author thinks it does. */
static int check_allowances(const struct run *run, struct error *err)
{
    for (size_t i = 0; i < run->settings.allowance_count; i++) {
        const char *id = run->settings.allowances[i].check, *near = NULL;

        if (builtin_check_exists(id, &near))
            continue;
        error_set(err, ERROR_CONFIG, "cadre.toml: gates.allow: \"%s\" is no built-in check", id);
        return near != NULL ? error_hint(err, "did you mean \"%s\"?", near) : error_hint(err, "docs/checks.md lists them");
    }
    return 0;
}

static void on_thread_event(void *data, json_t *event)
{
    run_emit(data, json_incref(event));
}

static void on_thread_queued(void *data, const char *role, const char *task)
{
    run_emit(data, json_pack("{s:s, s:s, s:s*, s:s}", "type", "task.queued", "role", role, "task", task,
                             "reason", "max_threads"));
}

static void on_limiter(void *data, const char *provider, unsigned window, const char *reason)
{
    run_emit(data, json_pack("{s:s, s:s, s:i, s:s}", "type", "limiter.changed", "provider", provider, "window",
                             (int)window, "reason", reason));
    tuning_note_window(data, window);
}

static void on_budget_change(void *data, const struct budget *budget)
{
    struct usage spent = budget_spent(budget);

    run_emit(data, json_pack("{s:s, s:I, s:I, s:I}", "type", "budget.updated", "tokens",
                             (json_int_t)(spent.input_tokens + spent.output_tokens), "cost_microusd",
                             (json_int_t)spent.cost_microusd, "requests", (json_int_t)spent.requests));
}

static void on_approval(void *data, const char *id, const json_t *record)
{
    struct error err = {0};

    if (run_put_json(data, "approval", id, record, &err) < 0)
        log_warning("approval %s is not kept: %s", id, err.text);
}

static bool restore_approval(void *data, const char *id, const char *text)
{
    struct run *run = data;
    json_t *record = json_parse(text, strlen(text), "journal", NULL);

    if (record != NULL)
        inbox_restore(office_inbox(run->office), id, record);
    json_decref(record);
    return true;
}

static int open_office(struct run *run, struct error *err)
{
    struct budget_limits limits = {
        .max_tokens = run->settings.max_tokens,
        .max_cost_microusd = run->settings.max_cost_microusd,
        .max_requests = run->settings.max_requests,
    };
    struct office_options options = {
        .loop = run->loop,
        .config = run->options.config,
        .roles = run->options.roles,
        .state_dir = run->dir,
        .on_event = on_thread_event,
        .on_limiter = on_limiter,
        .on_queued = on_thread_queued,
        .data = run,
    };
    char *rollouts = path_join(run->dir, "rollouts");

    run->budget = budget_create("the run", NULL, &limits);
    budget_on_change(run->budget, on_budget_change, run);
    options.budget = run->budget;
    options.is_attended = run->options.is_attended;
    options.on_approval = on_approval;
    options.recorder = run->recorder;
    options.replay_url = run->replay == NULL ? NULL : mock_server_base_url(run->replay);
    options.rollout_dir = rollouts;
    run->office = office_create(&options, err);
    free(rollouts);
    if (run->office == NULL || journal_each(run->journal, "approval", restore_approval, run, err) < 0)
        return -1;
    if (run->options.on_inbox != NULL)
        run->options.on_inbox(run->options.data, office_inbox(run->office));
    return 0;
}

/* Where the plan stands: plan.md, unless the repository itself has a file of that name. */
static char *choose_plan_path(const struct run *run)
{
    char *tracked = path_join(run->integration_dir, "plan.md");

    if (!file_exists(tracked) || run->phase != PHASE_EXPLORING)
        return tracked;
    free(tracked);
    return path_join(run->integration_dir, "cadre-plan.md");
}

/* The worktree of a run that goes on shows V again, whatever was being done to it; plan.md in it is kept. */
static int mend_integration(struct run *run, struct error *err)
{
    struct buf plan = BUF_INIT;
    bool has_plan;
    int rc;

    if (worktree_is_ours(run->repo, run->integration_dir))
        return worktree_reset(run->repo, run->integration_dir, run->verified, err);
    /* Half made, or its record in the repository is gone. */
    has_plan = run->plan_path != NULL && file_read(run->plan_path, &plan, PLAN_KEPT_BYTES, NULL) == 0;
    rc = file_remove_tree(run->integration_dir, err);
    if (rc == 0)
        rc = worktree_add(run->repo, run->integration_dir, run->verified, err);
    if (rc == 0 && has_plan)
        rc = file_write(run->plan_path, buf_cstr(&plan), plan.len, 0644, err);
    buf_free(&plan);
    return rc;
}

static int open_integration(struct run *run, struct error *err)
{
    run->integration_dir = path_join(run->dir, "worktrees/integration");
    if ((file_is_directory(run->integration_dir) ? mend_integration(run, err)
                                                 : worktree_add(run->repo, run->integration_dir, run->verified, err)) < 0)
        return -1;
    if (run->plan_path == NULL)
        run->plan_path = choose_plan_path(run);
    return 0;
}

static int begin_new(struct run *run, struct error *err)
{
    char *head = NULL;
    char *journal_path = NULL;
    char id[RUN_ID_BYTES];
    struct journal_run row;
    int rc = -1;

    if (git_head(run->repo, &head, &run->target, err) < 0)
        goto out;
    if (run->settings.merge_target != NULL) {
        free(run->target);
        run->target = xstrdup(run->settings.merge_target);
    }
    run_id_make(id);
    if (run_dir_create(id, err) < 0)
        goto out;
    run->id = xstrdup(id);
    run->dir = run_dir_path(id);
    run->base = xstrdup(head);
    run->verified = xstrdup(head);
    run->branch = xasprintf("cadre/%s", id);
    run->goal = xstrdup(run->options.goal);
    row = (struct journal_run){.id = run->id,
                               .goal = run->goal,
                               .repo = (char *)git_repo_toplevel(run->repo),
                               .base_commit = run->base,
                               .target_branch = run->target,
                               .state = "running",
                               .config = "{}",
                               .created_ms = clock_wall_ms()};
    journal_path = run_dir_journal(id);
    run->journal = journal_create(journal_path, &row, err);
    if (run->journal == NULL)
        goto out;
    process_set_mark(run->id);
    if (run_open_cassette(run, err) < 0 || open_office(run, err) < 0)
        goto out;
    run_emit(run, json_pack("{s:s, s:s, s:s, s:s, s:s*, s:i, s:i}", "type", "run.started", "goal", run->goal, "repo",
                            git_repo_toplevel(run->repo), "base", run->base, "target", run->target, "max_threads",
                            slots_limit(office_slots(run->office)), "batch_size", run->settings.batch_size));
    if (run_save(run, err) < 0 || git_branch_set(run->repo, run->branch, run->verified, NULL, err) < 0 ||
        open_integration(run, err) < 0)
        goto out;
    rc = run_save(run, err);
out:
    free(head);
    free(journal_path);
    return rc;
}

/* The latest run of this repository that is not finished; NULL with ERR set. */
static char *latest_run(const struct run *run, struct error *err)
{
    struct str_list ids = {0};
    char *found = NULL;

    if (run_dir_list(&ids, err) < 0)
        return NULL;
    for (size_t i = ids.len; i-- > 0 && found == NULL;) {
        char *path = run_dir_journal(ids.items[i]);
        struct journal *journal = journal_open_readonly(path, NULL);
        struct journal_run row = {0};

        if (journal != NULL && journal_run_get(journal, &row, NULL) == 0 &&
            str_eq(row.repo, git_repo_toplevel(run->repo)) && !str_eq(row.state, "completed"))
            found = xstrdup(ids.items[i]);
        journal_run_finish(&row);
        journal_close(journal);
        free(path);
    }
    str_list_finish(&ids);
    if (found == NULL)
        error_set(err, ERROR_USAGE, "no run of this repository is to be resumed");
    return found;
}

/* Scratch files and exported trees in FOLDER, which git does not know: all that is there is the engine's. */
static int remove_scratch(const char *folder, struct error *err)
{
    struct str_list names = {0};
    int rc = file_is_directory(folder) ? file_list_directory(folder, &names, err) : 0;

    for (size_t i = 0; i < names.len && rc == 0; i++) {
        char *path = path_join(folder, names.items[i]);

        if (strcmp(names.items[i], "integration") != 0)
            rc = file_remove_tree(path, err);
        free(path);
    }
    str_list_finish(&names);
    return rc;
}

/* Removes what worktrees the run has; what was committed in them is in git. The plan is kept. */
static int remove_worktrees(struct run *run, struct error *err)
{
    char *folder = path_join(run->dir, "worktrees");
    struct str_list paths = {0};
    int rc = worktree_prune(run->repo, err);

    if (rc == 0)
        rc = worktree_list_below(run->repo, folder, &paths, err);
    for (size_t i = 0; i < paths.len && rc == 0; i++)
        if (strcmp(path_basename(paths.items[i]), "integration") != 0)
            rc = worktree_remove(run->repo, paths.items[i], err);
    if (rc == 0)
        rc = remove_scratch(folder, err);
    str_list_finish(&paths);
    free(folder);
    return rc;
}

/* A killed run leaves processes, locks of git commands and worktrees of its attempts. */
static int clear_remains(struct run *run, struct error *err)
{
    char *folder = path_join(run->dir, "worktrees");
    struct str_list locks = {0};
    int rc;

    process_end_marked(run->id, KILL_GRACE_MS);
    rc = git_recover_locks(run->repo, run->id, folder, run->target, run->created_ms, &locks, err);
    for (size_t i = 0; i < locks.len; i++)
        log_info("removed %s, which a killed git left", locks.items[i]);
    str_list_finish(&locks);
    free(folder);
    return rc < 0 ? -1 : remove_worktrees(run, err);
}

/* The branch may lag behind the journal, or a person moved it: what is not in V is kept under another name. */
static int set_branch(struct run *run, struct error *err)
{
    char *ref = xasprintf("refs/heads/%s", run->branch);
    char *kept = xasprintf("%s-by-hand", run->branch);
    struct error missing = {0};
    char *tip = NULL;
    bool is_old = true;
    int rc = 0;

    if (git_resolve(run->repo, ref, &tip, &missing) == 0)
        rc = git_is_ancestor(run->repo, tip, run->verified, &is_old, err);
    else if (missing.code != ERROR_NOT_FOUND)
        rc = error_set(err, missing.code, "%s", missing.text);
    if (rc == 0 && !is_old) {
        rc = git_branch_set(run->repo, kept, tip, NULL, err);
        log_warning("%s was moved by hand to %.12s: the run goes on from %.12s, the other is kept as %s", run->branch, tip,
                    run->verified, kept);
    }
    if (rc == 0)
        rc = git_branch_set(run->repo, run->branch, run->verified, NULL, err);
    free(ref);
    free(kept);
    free(tip);
    return rc;
}

static int resume(struct run *run, struct error *err)
{
    char *id = run->options.run_id != NULL ? run_dir_find(run->options.run_id, err) : latest_run(run, err);
    char *path;

    if (id == NULL)
        return error_hint(err, "`cadre status` lists the runs; start one with `cadre run GOAL`");
    run->id = id;
    run->dir = run_dir_path(id);
    run->branch = xasprintf("cadre/%s", id);
    path = run_dir_journal(id);
    run->journal = journal_open(path, err);
    free(path);
    if (run->journal == NULL)
        return -1;
    process_set_mark(run->id);
    if (run_load(run, err) < 0)
        return error_wrap(err, "resuming run %s", id);
    if (run->phase == PHASE_DONE && run->was_completed)
        return error_set(err, ERROR_USAGE, "run %s is finished", id);
    if (journal_run_set_state(run->journal, "running", err) < 0)
        return error_wrap(err, "resuming run %s", id);
    if (run_reopen_cassette(run, err) < 0 || open_office(run, err) < 0)
        return -1;
    budget_restore(run->budget, &run->spent);
    run_emit(run, json_pack("{s:s, s:s}", "type", "run.resumed", "state", run_phase_name(run->phase)));
    if (clear_remains(run, err) < 0)
        return -1;
    if (run->phase == PHASE_DONE) { /* only what is left of it has to go */
        run->integration_dir = path_join(run->dir, "worktrees/integration");
        return 0;
    }
    if (set_branch(run, err) < 0)
        return -1;
    return open_integration(run, err);
}

static int enter_phase(struct run *run, enum run_phase phase, struct error *err)
{
    run->phase = phase;
    return run_save(run, err);
}

/* Tasks that are neither merged nor dropped nor blocked. */
static size_t open_tasks(const struct run *run)
{
    size_t n = 0;

    for (size_t i = 0; i < run->tasks.len; i++) {
        enum task_state state = ((const struct task *)run->tasks.items[i])->state;

        n += state == TASK_READY || state == TASK_WORKING || state == TASK_COMMITTED;
    }
    return n;
}

static bool needs_met(const struct run *run, const struct task *task)
{
    for (size_t i = 0; i < task->needs.len; i++) {
        const struct task *need = run_find_task(run, task->needs.items[i]);

        if (need != NULL && need->state != TASK_MERGED && need->state != TASK_DROPPED)
            return false;
    }
    return true;
}

static bool overlaps(const struct task *a, const struct task *b)
{
    for (size_t i = 0; i < a->files.len; i++)
        for (size_t k = 0; k < b->files.len; k++)
            if (glob_may_overlap(a->files.items[i], b->files.items[k]))
                return true;
    return false;
}

/* The next batch: committed attempts that a stop left behind, then ready tasks by priority, then in plan order. */
static void choose_batch(struct run *run, struct vec *batch)
{
    for (size_t i = 0; i < run->tasks.len; i++)
        if (((struct task *)run->tasks.items[i])->state == TASK_COMMITTED)
            vec_push(batch, run->tasks.items[i]);
    while (batch->len < (size_t)tuning_batch_size(run)) {
        struct task *best = NULL;

        for (size_t i = 0; i < run->tasks.len; i++) {
            struct task *task = run->tasks.items[i];
            bool fits = task->state == TASK_READY && needs_met(run, task) && !vec_has(batch, task);

            for (size_t k = 0; k < batch->len && fits; k++)
                fits = !overlaps(task, batch->items[k]);
            if (fits && (best == NULL || task->priority > best->priority))
                best = task;
        }
        if (best == NULL)
            break;
        vec_push(batch, best);
    }
}

static json_t *ids_of(const struct vec *tasks, enum task_state state, bool any)
{
    json_t *ids = json_array();

    for (size_t i = 0; i < tasks->len; i++) {
        const struct task *task = tasks->items[i];

        if (any || task->state == state)
            json_array_append_new(ids, json_string(task->id));
    }
    return ids;
}

static int do_batch(struct run *run, struct vec *batch, struct error *err)
{
    struct vec ready = {0};
    json_t *merged;
    json_t *returned;
    int rc = -1;

    run->batch++;
    if (run_save(run, err) < 0)
        return -1;
    run_emit(run, json_pack("{s:s, s:i, s:o}", "type", "batch.started", "batch", run->batch, "tasks",
                            ids_of(batch, TASK_READY, true)));
    for (size_t i = 0; i < batch->len; i++)
        if (((struct task *)batch->items[i])->state == TASK_READY)
            vec_push(&ready, batch->items[i]);
    if (ready.len > 0 && run_dispatch(run, &ready, err) < 0)
        goto out;
    if (run_integrate(run, batch, err) < 0)
        goto out;
    merged = ids_of(batch, TASK_MERGED, false);
    returned = ids_of(batch, TASK_READY, false);
    run_emit(run, json_pack("{s:s, s:i, s:o, s:o, s:s}", "type", "batch.completed", "batch", run->batch, "merged",
                            merged, "returned", returned, "commit", run->verified));
    rc = 0;
out:
    vec_finish(&ready);
    return rc;
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
        choose_batch(run, &batch);
        if (batch.len > 0) {
            if (run->batch >= run->settings.max_batches) {
                vec_finish(&batch);
                return error_set(err, ERROR_NOT_CONVERGED,
                                 "not green after %d batches ([loop] max_batches); `cadre resume --max-batches %d` "
                                 "goes on",
                                 run->batch, run->settings.max_batches * 2);
            }
            rc = do_batch(run, &batch, err);
            vec_finish(&batch);
            if (rc < 0)
                return -1;
            continue;
        }
        find_amendment(run, &why);
        if (why.len == 0 && open_tasks(run) == 0)
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
        if (rc == 0 && open_tasks(run) == 0) {
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
    if (run->integration_dir != NULL && worktree_remove(run->repo, run->integration_dir, &err) < 0)
        log_warning("%s\n  `cadre clean` removes what is left over", err.text);
    if (run->merged || run->options.dry_run || !is_over || str_eq(run->verified, run->base))
        (void)git_branch_delete(run->repo, run->branch, run->verified, NULL);
    (void)git_refs_delete(run->repo, "refs/cadre/", run->id, NULL);
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
    apply_limits(run);
    if (check_allowances(run, err) < 0)
        goto out;
    run->repo = git_repo_open(run->loop, options->directory, err);
    if (run->repo == NULL || git_check_version(run->loop, &major, &minor, err) < 0)
        goto out;
    if ((options->goal != NULL ? begin_new(run, err) : resume(run, err)) < 0)
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
