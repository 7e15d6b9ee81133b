/* team/planning.c: explore, make the plan, read it again before each batch, have it amended.
 *
 * plan.md stands at the root of the integration worktree and is the source of truth for which tasks there
 * are; the journal is the source of truth for what became of them. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "git/worktree.h"
#include "store/journal.h"
#include "team/prompts.h"

#include <stdlib.h>
#include <string.h>

#define PLAN_MAX_BYTES ((size_t)1 << 20)

int run_explore(struct run *run, struct error *err)
{
    struct agent_spec spec = {.role = "explorer", .attempt = 1, .cwd = run->integration_dir, .read_only = true,
                              .owes = "submit_result"};
    struct agent_answer answer = {0};
    struct agent_session *session;
    char *prompt;
    int rc = -1;

    /* What CI says of the base is needed later to tell what was broken before. */
    if (!run->has_base_ci) {
        if (run_ci(run, run->base, NULL, &run->base_ci, err) < 0)
            return -1;
        run->has_base_ci = true;
        ci_summary_copy(&run->verified_ci, &run->base_ci);
        run->has_verified_ci = true;
    }
    if (!run->settings.has_explore)
        return 0;
    session = agent_session_open(run->office, &spec, err);
    if (session == NULL)
        return -1;
    prompt = prompt_explore(run);
    if (agent_session_ask(session, prompt, &answer, err) < 0)
        goto out;
    run->exploration = xstrdup(answer.submission != NULL ? json_get_string(answer.submission, "summary", "")
                                                         : answer.message);
    rc = 0;
out:
    free(prompt);
    agent_answer_finish(&answer);
    agent_session_close(session);
    return rc;
}

/* What CI is and says at the base, in words for the orchestrator. */
static char *ci_overview(const struct run *run)
{
    struct buf b = BUF_INIT;
    const struct ci_summary *ci = run->has_verified_ci ? &run->verified_ci : &run->base_ci;

    for (size_t i = 0; i < ci->count; i++) {
        const struct job_result *job = &ci->jobs[i];

        buf_printf(&b, "job %s: %s%s%s\n", job->name, job->state, str_is_empty(job->reason) ? "" : ": ",
                   str_is_empty(job->reason) ? "" : job->reason);
        if (strcmp(job->state, "failed") == 0 && !str_is_empty(job->excerpt))
            buf_printf(&b, "%s\n", job->excerpt);
    }
    return buf_take(&b);
}

static void diagnostics_text(const struct vec *diagnostics, struct buf *b, json_t *problems)
{
    for (size_t i = 0; i < diagnostics->len; i++) {
        buf_printf(b, "- %s\n", (const char *)diagnostics->items[i]);
        json_array_append_new(problems, json_string(diagnostics->items[i]));
    }
}

static void update_task(struct task *task, const struct plan_task *planned)
{
    free(task->title);
    free(task->accept);
    free(task->role);
    str_list_finish(&task->files);
    str_list_finish(&task->needs);
    str_list_finish(&task->allow);
    task->title = xstrdup(planned->title);
    task->accept = xstrdup(planned->accept);
    task->role = xstrdup(planned->role == NULL ? "implementer" : planned->role);
    str_list_copy(&task->files, &planned->files);
    str_list_copy(&task->needs, &planned->needs);
    str_list_copy(&task->allow, &planned->allow);
}

/* Brings the tasks in line with the plan: new ones are added, those no longer there are dropped, those that
 * changed after they were blocked may be tried again. */
static void take_plan(struct run *run, struct plan *plan)
{
    struct vec ordered = {0};

    for (size_t i = 0; i < plan_task_count(plan); i++) {
        const struct plan_task *planned = plan_task_at(plan, i);
        struct task *task = run_find_task(run, planned->id);

        if (task == NULL) {
            task = task_create(planned->id);
            update_task(task, planned);
        } else {
            (void)vec_remove_item(&run->tasks, task);
            if (task->state == TASK_BLOCKED || task->state == TASK_DROPPED) {
                bool changed = !str_eq(task->title, planned->title) || !str_eq(task->accept, planned->accept) ||
                               task->files.len != planned->files.len;

                if (changed) {
                    task->state = TASK_READY;
                    task->attempt = 0;
                    task->gate_rounds = 0;
                    task->same_failures = 0;
                }
            }
            if (task->state != TASK_MERGED)
                update_task(task, planned);
        }
        vec_push(&ordered, task);
    }
    for (size_t i = 0; i < run->tasks.len; i++) {
        struct task *task = run->tasks.items[i];

        if (task->state != TASK_MERGED)
            task->state = TASK_DROPPED;
        vec_push(&ordered, task);
    }
    vec_finish(&run->tasks);
    run->tasks = ordered;
    plan_destroy(run->plan);
    run->plan = plan;
}

static json_t *tasks_json(const struct run *run)
{
    json_t *tasks = json_array();

    for (size_t i = 0; i < run->tasks.len; i++) {
        const struct task *task = run->tasks.items[i];
        json_t *row = task_to_json(task);

        json_object_set_new(row, "id", json_string(task->id));
        json_array_append_new(tasks, row);
    }
    return tasks;
}

/* Reads plan.md; diagnostics (owned strings) into PROBLEMS. NULL when it has problems. */
static struct plan *load_plan(const struct run *run, struct vec *problems, struct error *err)
{
    struct buf text = BUF_INIT;
    struct plan *plan = NULL;
    struct error missing = {0};

    if (file_read(run->plan_path, &text, PLAN_MAX_BYTES, &missing) < 0) {
        vec_push(problems, xasprintf("%s was not written: %s", path_basename(run->plan_path), missing.text));
        goto out;
    }
    plan = plan_load_text(text.data == NULL ? "" : text.data, text.len, path_basename(run->plan_path),
                          run->settings.max_task_files, problems);
    if (plan != NULL && plan_task_count(plan) == 0) {
        vec_push(problems, xasprintf("%s has no task; at least one is needed", path_basename(run->plan_path)));
        plan_destroy(plan);
        plan = NULL;
    }
out:
    (void)err;
    buf_free(&text);
    return plan;
}

static void free_problems(struct vec *problems)
{
    for (size_t i = 0; i < problems->len; i++)
        free(problems->items[i]);
    vec_finish(problems);
}

/* Asks until the plan is valid, at most max_plan_attempts times. */
static int ask_for_plan(struct run *run, char *prompt, struct error *err)
{
    struct agent_spec spec = {.role = "orchestrator", .attempt = run->amendments + 1, .cwd = run->integration_dir,
                              .owes = "submit_result"};
    struct agent_session *session = agent_session_open(run->office, &spec, err);
    int rc = -1;

    if (session == NULL) {
        free(prompt);
        return -1;
    }
    for (int try = 1;; try++) {
        struct agent_answer answer = {0};
        struct vec problems = {0};
        struct buf text = BUF_INIT;
        json_t *list = json_array();
        struct plan *plan;
        int asked = agent_session_ask(session, prompt, &answer, err);

        free(prompt);
        agent_answer_finish(&answer);
        /* Whatever else was written there is not part of the plan. */
        if (asked < 0 || worktree_reset(run->repo, run->integration_dir, run->verified, err) < 0) {
            json_decref(list);
            break;
        }
        plan = load_plan(run, &problems, err);
        diagnostics_text(&problems, &text, list);
        free_problems(&problems);
        if (plan != NULL) {
            json_decref(list);
            buf_free(&text);
            take_plan(run, plan);
            run_emit(run, json_pack("{s:s, s:o, s:i}", "type", "plan.accepted", "tasks", tasks_json(run), "version",
                                    run->amendments + 1));
            rc = 0;
            break;
        }
        run_emit(run, json_pack("{s:s, s:i, s:o}", "type", "plan.rejected", "try", try, "problems", list));
        if (try >= run->settings.max_plan_attempts) {
            error_set(err, ERROR_NOT_CONVERGED, "no valid plan after %d tries:\n%s", try, buf_cstr(&text));
            buf_free(&text);
            break;
        }
        prompt = prompt_plan_problems(buf_cstr(&text));
        buf_free(&text);
    }
    agent_session_close(session);
    return rc;
}

int run_make_plan(struct run *run, struct error *err)
{
    char *overview = ci_overview(run);
    int rc = ask_for_plan(run, prompt_plan(run, overview), err);

    free(overview);
    if (rc == 0)
        rc = run_save_all(run, err);
    return rc;
}

int run_amend_plan(struct run *run, const char *why, struct error *err)
{
    run->amendments++;
    if (run_save(run, err) < 0 || ask_for_plan(run, prompt_amend(run, why), err) < 0)
        return -1;
    return run_save_all(run, err);
}

int run_read_plan(struct run *run, struct error *err)
{
    struct vec problems = {0};
    struct buf text = BUF_INIT;
    json_t *list = json_array();
    struct plan *plan = load_plan(run, &problems, err);

    diagnostics_text(&problems, &text, list);
    free_problems(&problems);
    if (plan == NULL) {
        /* A bad edit by hand: said, and the last good plan stays in force. */
        run_emit(run, json_pack("{s:s, s:i, s:o}", "type", "plan.rejected", "try", 0, "problems", list));
        buf_free(&text);
        if (run->tasks.len == 0)
            return error_set(err, ERROR_CONFIG, "%s cannot be read and no earlier plan is known", run->plan_path);
        return 0;
    }
    json_decref(list);
    buf_free(&text);
    take_plan(run, plan);
    return run_save_all(run, err);
}
