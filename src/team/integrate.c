/* team/integrate.c: committed attempts become the next verified commit, or go back.
 *
 *   merge queue (one by one, in plan order; a conflict goes back to its author)
 *     -> CI on the candidate; worse than V: blame, take the culprits out, again
 *     -> checks, review, security on exactly the candidate; refused: take those tasks out, again
 *     -> V := candidate
 *
 * V moves only when CI and every gate passed on that very commit. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "ci/blame.h"
#include "git/merge.h"
#include "git/worktree.h"
#include "io/fiber.h"
#include "store/journal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_EVIDENCE_BYTES 16000

static void conflict_evidence(const struct merge_result *merged, struct buf *text)
{
    buf_puts(text, "Your change conflicts with what was merged while you worked. Both sides count: make your change "
                   "again so that both keep their meaning.\n");
    for (size_t i = 0; i < merged->conflict_count && text->len < MAX_EVIDENCE_BYTES; i++) {
        const struct merge_conflict *c = &merged->conflicts[i];

        buf_printf(text, "\n%s, merged side:\n%.4000s\n%s, your side:\n%.4000s\n", c->path,
                   c->ours == NULL ? "(not there)" : c->ours, c->path, c->theirs == NULL ? "(not there)" : c->theirs);
    }
}

static int return_conflict(struct run *run, struct task *task, const struct merge_result *merged, struct error *err)
{
    struct buf text = BUF_INIT;
    json_t *files = json_array();
    int rc;

    for (size_t i = 0; i < merged->conflict_count; i++)
        json_array_append_new(files, json_string(merged->conflicts[i].path));
    run_emit(run, json_pack("{s:s, s:s, s:i, s:o}", "type", "merge.conflict", "task", task->id, "attempt",
                            task->attempt, "files", files));
    conflict_evidence(merged, &text);
    rc = run_return_task(run, task, RETURN_CONFLICT, text.data, err);
    buf_free(&text);
    return rc;
}

/* Merges the commits of TASKS onto V in order; *CANDIDATE is fresh. With RETURN_CONFLICTS, tasks that conflict are
 * sent back and taken out of TASKS; else a conflict makes *CANDIDATE NULL. */
static int merge_all(struct run *run, struct vec *tasks, bool return_conflicts, char **candidate, struct error *err)
{
    char *tip = xstrdup(run->verified);

    *candidate = NULL;
    for (size_t i = 0; i < tasks->len;) {
        struct task *task = tasks->items[i];
        struct merge_result merged = {0};
        char *message = xasprintf("Merge %s: %s\n", task->id, task->title);
        char *next = NULL;
        int rc = merge_commits(run->repo, tip, task->commit, message, &merged, &next, err);

        free(message);
        if (rc == 0 && !merged.is_clean) {
            if (return_conflicts)
                rc = return_conflict(run, task, &merged, err);
            (void)vec_remove(tasks, i);
            if (!return_conflicts) {
                merge_result_finish(&merged);
                free(tip);
                return rc;
            }
        } else if (rc == 0) {
            free(tip);
            tip = next;
            i++;
        }
        merge_result_finish(&merged);
        if (rc < 0) {
            free(tip);
            return -1;
        }
    }
    *candidate = tip;
    return 0;
}

/* --- Blame -------------------------------------------------------------------------------------------- */

/* What one sub-set came to. */
struct probe_result {
    uint64_t set;
    char *job;     /* the first job that is worse; NULL when none is */
    char *excerpt; /* its failing part */
};

struct blame_probe {
    struct run *run;
    struct vec *tasks;
    const struct str_list *jobs; /* the failing ones: nothing else is run */
    struct vec results;          /* struct probe_result *, owned: those that fail */
    unsigned free_places;        /* sub-sets tested at once */
    struct vec waiting;          /* struct fiber * */
};

struct one_probe {
    struct blame_probe *all;
    struct fiber_group *group;
    struct fiber *fiber;
    uint64_t set;
    enum blame_outcome outcome;
    struct error err;
    int rc;
};

static void keep_failure(struct blame_probe *probe, uint64_t set, const struct ci_summary *ci, const char *worse)
{
    const struct job_result *job = ci_summary_find(ci, worse);
    struct probe_result *result = xcalloc(1, sizeof *result);

    result->set = set;
    result->job = xstrdup(worse);
    result->excerpt = xstrdup(job->excerpt);
    vec_push(&probe->results, result);
}

/* Does the candidate of the tasks in SET pass, compared with V? */
static int probe_one(struct blame_probe *probe, uint64_t set, enum blame_outcome *outcome, struct error *err)
{
    struct vec chosen = {0};
    struct ci_summary ci = {0};
    char *candidate = NULL;
    const char *worse;
    int rc = -1;

    for (size_t i = 0; i < probe->tasks->len; i++)
        if ((set >> i) & 1U)
            vec_push(&chosen, probe->tasks->items[i]);
    *outcome = BLAME_UNRESOLVED;
    if (merge_all(probe->run, &chosen, false, &candidate, err) < 0)
        goto out;
    if (candidate != NULL) {
        if (run_ci(probe->run, candidate, &chosen, probe->jobs, &ci, err) < 0)
            goto out;
        worse = ci_summary_worse_job(&probe->run->verified_ci, &ci);
        *outcome = worse == NULL ? BLAME_PASS : BLAME_FAIL;
        if (worse != NULL)
            keep_failure(probe, set, &ci, worse);
    }
    rc = 0;
out:
    free(candidate);
    ci_summary_finish(&ci);
    vec_finish(&chosen);
    return rc;
}

static void probe_fiber(void *arg)
{
    struct one_probe *one = arg;
    struct blame_probe *all = one->all;
    struct fiber *me = fiber_current();

    one->rc = 0;
    while (one->rc == 0 && all->free_places == 0) {
        vec_push(&all->waiting, me);
        one->rc = fiber_wait(&one->err);
        vec_remove_item(&all->waiting, me);
    }
    if (one->rc == 0) {
        all->free_places--;
        one->rc = probe_one(all, one->set, &one->outcome, &one->err);
        all->free_places++;
        if (all->waiting.len > 0)
            fiber_wake(vec_remove(&all->waiting, 0));
    }
    one->fiber = NULL;
    fiber_group_done(one->group);
}

/* The sub-sets of one round at the same time, as far as there are cores. */
static int probe_sets(void *data, const uint64_t *sets, size_t n, enum blame_outcome *outcomes, struct error *err)
{
    struct blame_probe *probe = data;
    struct one_probe *ones = xcalloc(n, sizeof *ones);
    struct fiber_group group = {0};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int rc = 0;

    probe->free_places = cores < 1 ? 1 : cores < (long)n ? (unsigned)cores : (unsigned)n;
    probe->run->ci_at_once = probe->free_places;
    for (size_t i = 0; i < n; i++) {
        ones[i] = (struct one_probe){.all = probe, .group = &group, .set = sets[i], .outcome = BLAME_UNRESOLVED};
        fiber_group_add(&group);
        ones[i].fiber = fiber_start(probe->run->loop, probe_fiber, &ones[i]);
    }
    if (fiber_group_wait(&group, err) < 0) {
        rc = -1;
        for (size_t i = 0; i < n; i++)
            if (ones[i].fiber != NULL)
                fiber_cancel(ones[i].fiber);
        fiber_shield(true);
        (void)fiber_group_wait(&group, NULL);
        fiber_shield(false);
    }
    for (size_t i = 0; i < n; i++) {
        outcomes[i] = ones[i].outcome;
        if (ones[i].rc < 0 && rc == 0) {
            *err = ones[i].err;
            rc = -1;
        }
    }
    probe->run->ci_at_once = 0;
    free(ones);
    return rc;
}

static void probe_finish(struct blame_probe *probe)
{
    for (size_t i = 0; i < probe->results.len; i++) {
        struct probe_result *result = probe->results.items[i];

        free(result->job);
        free(result->excerpt);
        free(result);
    }
    vec_finish(&probe->results);
    vec_finish(&probe->waiting);
}

/* What shows the fault of task INDEX best: the smallest failing sub-set with it. NULL when none was tested. */
static const struct probe_result *best_evidence(const struct blame_probe *probe, size_t index)
{
    const struct probe_result *best = NULL;

    for (size_t i = 0; i < probe->results.len; i++) {
        const struct probe_result *result = probe->results.items[i];

        if (((result->set >> index) & 1U) != 0 &&
            (best == NULL || __builtin_popcountll(result->set) < __builtin_popcountll(best->set)))
            best = result;
    }
    return best;
}

/* Sends the tasks of the set CULPRITS back for what their sub-set said, or JOB; they leave the probe's tasks. */
static int return_culprits(struct blame_probe *probe, const struct job_result *job, uint64_t culprits, unsigned rounds,
                           struct error *err)
{
    struct run *run = probe->run;
    struct vec *tasks = probe->tasks;
    json_t *ids = json_array();
    int rc = 0;

    for (size_t i = 0; i < tasks->len; i++)
        if ((culprits >> i) & 1U)
            json_array_append_new(ids, json_string(((struct task *)tasks->items[i])->id));
    run_emit(run, json_pack("{s:s, s:i, s:o, s:s, s:i}", "type", "ci.blame", "batch", run->batch, "tasks", ids, "job",
                            job->name, "rounds", (int)rounds));
    for (size_t i = tasks->len; i-- > 0 && rc == 0;) {
        struct task *task = tasks->items[i];
        const struct probe_result *own = best_evidence(probe, i);
        const char *excerpt = own != NULL ? own->excerpt : job->excerpt;
        struct buf text = BUF_INIT;

        if (((culprits >> i) & 1U) == 0)
            continue;
        buf_printf(&text, "CI job \"%s\" fails with your change merged and does not fail without it.\n%s",
                   own != NULL ? own->job : job->name, excerpt == NULL ? "" : excerpt);
        (void)vec_remove(tasks, i);
        rc = run_return_task(run, task, RETURN_CI, text.data, err);
        buf_free(&text);
    }
    return rc;
}

/* Finds the tasks that made the jobs of CI worse and sends them back; the rest stay in TASKS. */
static int blame_tasks(struct run *run, struct vec *tasks, const struct ci_summary *ci, struct error *err)
{
    struct str_list jobs = {0};
    struct blame_probe probe = {.run = run, .tasks = tasks, .jobs = &jobs};
    struct blame_options options = {.count = tasks->len, .test = probe_sets, .data = &probe};
    struct blame_result found = {.culprits = 1};
    const char *worse = ci_summary_worse_job(&run->verified_ci, ci);
    int rc = 0;

    ci_summary_worse_jobs(&run->verified_ci, ci, &jobs);
    if (tasks->len > 1)
        rc = blame_find(&options, &found, err);
    if (rc == 0)
        rc = return_culprits(&probe, ci_summary_find(ci, worse), found.culprits, found.rounds, err);
    probe_finish(&probe);
    str_list_finish(&jobs);
    return rc;
}

/* JOB is unclear: a task that makes it worse on its own is to blame. *FOUND says whether there was one. */
static int blame_alone(struct run *run, struct vec *tasks, const struct job_result *job, bool *found, struct error *err)
{
    struct str_list jobs = {0};
    struct blame_probe probe = {.run = run, .tasks = tasks, .jobs = &jobs};
    uint64_t *sets = xcalloc(tasks->len, sizeof *sets);
    enum blame_outcome *outcomes = xcalloc(tasks->len, sizeof *outcomes);
    uint64_t culprits = 0;
    int rc = 0;

    str_list_add(&jobs, job->name);
    for (size_t i = 0; i < tasks->len; i++)
        sets[i] = 1ULL << i;
    if (tasks->len > 1)
        rc = probe_sets(&probe, sets, tasks->len, outcomes, err);
    for (size_t i = 0; rc == 0 && tasks->len > 1 && i < tasks->len; i++)
        if (outcomes[i] == BLAME_FAIL)
            culprits |= sets[i];
    *found = culprits != 0;
    if (rc == 0 && *found)
        rc = return_culprits(&probe, job, culprits, 1, err);
    probe_finish(&probe);
    str_list_finish(&jobs);
    free(outcomes);
    free(sets);
    return rc;
}

/* --- The way of a batch --------------------------------------------------------------------------------- */

static int accept_candidate(struct run *run, const struct vec *tasks, const char *candidate,
                            const struct ci_summary *ci, struct error *err)
{
    char *before = run->verified;

    run->verified = xstrdup(candidate);
    ci_summary_copy(&run->verified_ci, ci);
    run->has_verified_ci = true;
    for (size_t i = 0; i < tasks->len; i++) {
        struct task *task = tasks->items[i];

        task->state = TASK_MERGED;
        free(task->evidence);
        task->evidence = NULL;
    }
    /* The journal first, with the events in the same transaction: a branch that lags behind is set again when the run goes
     * on. */
    free(before);
    if (journal_begin(run->journal, err) < 0)
        return -1;
    if (run_save_all(run, err) < 0) {
        journal_rollback(run->journal);
        return -1;
    }
    for (size_t i = 0; i < tasks->len; i++) {
        const struct task *task = tasks->items[i];

        run_emit(run, json_pack("{s:s, s:s, s:i, s:s}", "type", "task.merged", "task", task->id, "attempt",
                                task->attempt, "commit", run->verified));
    }
    if (journal_commit(run->journal, err) < 0)
        return -1;
    if (git_branch_set(run->repo, run->branch, run->verified, NULL, err) < 0 ||
        worktree_reset(run->repo, run->integration_dir, run->verified, err) < 0)
        return -1;
    for (size_t i = 0; i < tasks->len; i++) {
        const struct task *task = tasks->items[i];
        struct error untold = {0};

        /* For its readers only: what counts is the journal, so a plan that was edited away is no fault. */
        if (plan_file_set_done(run->plan_path, task->id, true, &untold) < 0)
            log_info("plan.md: %s", untold.text);
        if (run->plan_written != NULL) {
            struct buf text = BUF_INIT;

            buf_puts(&text, run->plan_written);
            (void)plan_text_set_done(&text, task->id, true);
            free(run->plan_written);
            run->plan_written = buf_take(&text);
        }
        run_log_line(run, "%s merged as %.12s", task->id, run->verified);
    }
    return 0;
}

/* Sends back what the gates refused; takes it out of TASKS. */
static int return_refused(struct run *run, struct vec *tasks, const struct gate_verdict *verdict, struct error *err)
{
    for (size_t i = tasks->len; i-- > 0;) {
        struct task *task = tasks->items[i];
        const char *evidence = map_get(&verdict->evidence, task->id);
        enum return_reason reason = (enum return_reason)(intptr_t)map_get(&verdict->reasons, task->id);

        if (evidence == NULL)
            continue;
        (void)vec_remove(tasks, i);
        if (run_return_task(run, task, reason, evidence, err) < 0)
            return -1;
    }
    return 0;
}

/* One pass over the tasks that are left. *DONE when V moved or nothing is left. */
static int pass_once(struct run *run, struct vec *tasks, int round, bool *done, struct error *err)
{
    struct ci_summary ci = {0};
    struct gate_verdict verdict = {0};
    char *candidate = NULL;
    const char *worse;
    const char *unclear;
    int rc = -1;

    *done = true;
    if (merge_all(run, tasks, true, &candidate, err) < 0)
        return -1;
    if (tasks->len == 0) {
        free(candidate);
        return 0;
    }
    if (run_ci(run, candidate, tasks, NULL, &ci, err) < 0)
        goto out;
    worse = ci_summary_worse_job(&run->verified_ci, &ci);
    if (worse != NULL) {
        *done = false;
        rc = blame_tasks(run, tasks, &ci, err);
        goto out;
    }
    unclear = worse == NULL ? ci_summary_unclear_job(&run->verified_ci, &ci) : NULL;
    if (unclear != NULL) {
        bool found;

        if (blame_alone(run, tasks, ci_summary_find(&ci, unclear), &found, err) < 0)
            goto out;
        if (found) {
            *done = false;
            rc = 0;
            goto out;
        }
    }
    if (run_gates(run, candidate, tasks, round, &verdict, err) < 0)
        goto out;
    if (!verdict.passed) {
        *done = false;
        rc = return_refused(run, tasks, &verdict, err);
        goto out;
    }
    rc = accept_candidate(run, tasks, candidate, &ci, err);
out:
    gate_verdict_finish(&verdict);
    ci_summary_finish(&ci);
    free(candidate);
    return rc;
}

int run_integrate(struct run *run, const struct vec *tasks, struct error *err)
{
    struct vec left = {0};
    bool done = false;
    int rc = 0;

    for (size_t i = 0; i < run->tasks.len; i++) /* plan order */
        if (vec_has(tasks, run->tasks.items[i]) &&
            ((struct task *)run->tasks.items[i])->state == TASK_COMMITTED)
            vec_push(&left, run->tasks.items[i]);
    run->is_integrating = true;
    for (int round = 1; rc == 0 && !done && left.len > 0; round++) {
        rc = run_check_limits(run, err);
        if (rc == 0)
            rc = pass_once(run, &left, round, &done, err);
    }
    run->is_integrating = false;
    vec_finish(&left);
    return rc;
}
