/* team/planning.c: explore, make the plan, read it again before each batch, have it amended.
 *
 * plan.md stands at the root of the integration worktree and is the source of truth for which tasks there
 * are; the journal is the source of truth for what became of them. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/log.h"
#include "git/worktree.h"
#include "io/fiber.h"
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
        if (run_ci(run, run->base, NULL, NULL, &run->base_ci, err) < 0)
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
    task->priority = planned->priority;
    task->budget_tokens = planned->budget_tokens;
}

/* Brings the tasks in line with the plan: new ones are added, those no longer there are dropped, those that
 * changed after they were blocked may be tried again. */
static void take_plan(struct run *run, struct plan *plan)
{
    struct vec ordered = {0};

    for (size_t i = 0; i < run->tasks.len; i++)
        ((struct task *)run->tasks.items[i])->is_planned = false;
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
        task->is_planned = true;
        vec_push(&ordered, task);
    }
    for (size_t i = 0; i < run->tasks.len; i++) {
        struct task *task = run->tasks.items[i];

        /* QA's task is the engine's own and stands in no plan. */
        if (task->state != TASK_MERGED && !task->is_engines)
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

/* Checks TEXT as plan.md; diagnostics (owned strings) into PROBLEMS. NULL when it has problems. With strictness, globs and
 * what the linter finds are problems too. */
static struct plan *parse_plan(const struct run *run, const char *text, size_t n, struct vec *problems)
{
    const char *name = path_basename(run->plan_path);
    int strictness = tuning_strictness(run);
    struct plan *plan = plan_load_text(text, n, name, tuning_max_task_files(run), problems);

    if (plan != NULL && plan_task_count(plan) == 0)
        vec_push(problems, xasprintf("%s has no task; at least one is needed", name));
    for (size_t i = 0; plan != NULL && strictness >= 2 && i < plan_task_count(plan); i++) {
        const struct plan_task *task = plan_task_at(plan, i);
        const struct task *known = run_find_task(run, task->id);

        for (size_t k = 0; k < task->files.len; k++)
            if (strpbrk(task->files.items[k], "*?[") != NULL && (known == NULL || known->state != TASK_MERGED))
                vec_push(problems, xasprintf("%s:%d: %s: name the files one by one: '%s' is a pattern, and tasks left "
                                             "their files too often",
                                             name, task->line, task->id, task->files.items[k]));
    }
    if (plan != NULL && strictness >= 1)
        plan_lint(plan, name, problems);
    if (problems->len > 0) {
        plan_destroy(plan);
        plan = NULL;
    }
    return plan;
}

/* The text of plan.md at PATH into TEXT; what prevents it is a problem. */
static bool read_plan_text(const char *path, struct buf *text, struct vec *problems)
{
    struct error missing = {0};

    if (file_read(path, text, PLAN_MAX_BYTES, &missing) == 0) {
        (void)buf_cstr(text);
        return true;
    }
    vec_push(problems, xasprintf("%s was not written: %s", path_basename(path), missing.text));
    return false;
}

/* Joins what a person wrote since BASE with what the engine or the orchestrator made of it. Where both changed the same
 * thing the person's words stand, and that is said. */
static void join_plans(struct run *run, const char *base, const char *person, const char *engine, struct buf *joined)
{
    struct vec conflicts = {0};

    plan_text_merge(base, person, engine, joined, &conflicts);
    for (size_t i = 0; i < conflicts.len; i++) {
        run_emit(run, json_pack("{s:s, s:s}", "type", "plan.conflict", "message", (char *)conflicts.items[i]));
        plan_text_append_log(joined, conflicts.items[i]);
        log_warning("%s: %s", path_basename(run->plan_path), (char *)conflicts.items[i]);
        free(conflicts.items[i]);
    }
    vec_finish(&conflicts);
}

static void free_problems(struct vec *problems)
{
    for (size_t i = 0; i < problems->len; i++)
        free(problems->items[i]);
    vec_finish(problems);
}

/* The orchestrator works in a worktree of its own, on a copy of the plan: a person may edit the plan meanwhile. */
static int open_planning(struct run *run, char **dir, char **file, struct buf *base, struct error *err)
{
    struct error none = {0};

    *dir = path_join(run->dir, "worktrees/planning");
    *file = path_join(*dir, path_basename(run->plan_path));
    if (worktree_is_ours(run->repo, *dir) && worktree_remove(run->repo, *dir, err) < 0)
        return -1;
    if (worktree_add(run->repo, *dir, run->verified, err) < 0)
        return -1;
    if (!file_exists(run->plan_path))
        return 0;
    if (file_read(run->plan_path, base, PLAN_MAX_BYTES, &none) < 0)
        return 0; /* unreadable: the orchestrator writes a new one */
    return file_write(*file, buf_cstr(base), base->len, 0644, err);
}

/* What the orchestrator wrote becomes plan.md, joined with what a person wrote meanwhile. NULL with PROBLEMS. */
static struct plan *take_proposal(struct run *run, const char *file, const struct buf *base, struct vec *problems,
                                  struct error *err)
{
    struct buf proposal = BUF_INIT;
    struct buf person = BUF_INIT;
    struct buf joined = BUF_INIT;
    struct error none = {0};
    struct plan *plan = NULL;

    if (!read_plan_text(file, &proposal, problems))
        goto out;
    if (file_exists(run->plan_path) && file_read(run->plan_path, &person, PLAN_MAX_BYTES, &none) == 0 &&
        strcmp(buf_cstr(&person), buf_cstr(base)) != 0)
        join_plans(run, buf_cstr(base), buf_cstr(&person), buf_cstr(&proposal), &joined);
    else
        buf_append(&joined, buf_cstr(&proposal), proposal.len);
    plan = parse_plan(run, buf_cstr(&joined), joined.len, problems);
    if (plan != NULL && file_write_atomic(run->plan_path, joined.data, joined.len, 0644, err) < 0) {
        plan_destroy(plan);
        plan = NULL;
        vec_push(problems, xasprintf("%s", err->text));
    }
    if (plan != NULL) {
        free(run->plan_seen);
        run->plan_seen = xstrdup(joined.data);
        free(run->plan_written);
        run->plan_written = xstrdup(joined.data);
    }
out:
    buf_free(&proposal);
    buf_free(&person);
    buf_free(&joined);
    return plan;
}

/* Asks until the plan is valid, at most max_plan_attempts times. */
static int ask_for_plan(struct run *run, char *prompt, struct error *err)
{
    struct agent_spec spec = {.role = "orchestrator", .attempt = run->amendments + 1, .owes = "submit_result"};
    struct agent_session *session = NULL;
    struct buf base = BUF_INIT;
    char *dir = NULL;
    char *file = NULL;
    int rc = -1;

    if (open_planning(run, &dir, &file, &base, err) < 0)
        goto out;
    spec.cwd = dir;
    session = agent_session_open(run->office, &spec, err);
    if (session == NULL)
        goto out;
    for (int try = 1;; try++) {
        struct agent_answer answer = {0};
        struct vec problems = {0};
        struct buf text = BUF_INIT;
        json_t *list = json_array();
        struct plan *plan;
        int asked = agent_session_ask(session, prompt, &answer, err);

        free(prompt);
        prompt = NULL;
        agent_answer_finish(&answer);
        if (asked < 0) {
            json_decref(list);
            break;
        }
        plan = take_proposal(run, file, &base, &problems, err);
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
out:
    agent_session_close(session);
    fiber_shield(true);
    if (dir != NULL && file_is_directory(dir))
        (void)worktree_remove(run->repo, dir, NULL);
    fiber_shield(false);
    free(prompt);
    free(dir);
    free(file);
    buf_free(&base);
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

/* What the engine wrote is put back where a person's editor saved an older text over it. */
static void settle_edit(struct run *run, struct buf *text)
{
    struct buf joined = BUF_INIT;

    if (run->plan_written == NULL || run->plan_seen == NULL || strcmp(buf_cstr(text), run->plan_written) == 0)
        return;
    join_plans(run, run->plan_seen, buf_cstr(text), run->plan_written, &joined);
    (void)buf_cstr(&joined);
    for (size_t i = 0; i < run->tasks.len; i++) {
        const struct task *task = run->tasks.items[i];

        if (task->state == TASK_MERGED)
            (void)plan_text_set_done(&joined, task->id, true); /* what is merged is done, whoever unticks it */
    }
    if (strcmp(buf_cstr(&joined), buf_cstr(text)) != 0) {
        struct error err = {0};

        if (file_write_atomic(run->plan_path, joined.data, joined.len, 0644, &err) < 0)
            log_warning("%s", err.text);
    }
    buf_free(text);
    *text = joined;
}

int run_read_plan(struct run *run, struct error *err)
{
    struct vec problems = {0};
    struct buf text = BUF_INIT;
    struct plan *plan = NULL;

    if (read_plan_text(run->plan_path, &text, &problems)) {
        settle_edit(run, &text);
        if (run->plan != NULL && str_eq(run->plan_seen, text.data)) {
            buf_free(&text);
            return 0; /* nobody touched it */
        }
        plan = parse_plan(run, buf_cstr(&text), text.len, &problems);
    }
    if (plan == NULL) {
        /* A bad edit by hand: said once, and the last good plan stays in force. */
        struct buf words = BUF_INIT;
        json_t *list = json_array();

        diagnostics_text(&problems, &words, list);
        free_problems(&problems);
        buf_free(&words);
        if (!str_eq(run->plan_refused, text.data))
            run_emit(run, json_pack("{s:s, s:i, s:o}", "type", "plan.rejected", "try", 0, "problems", list));
        else
            json_decref(list);
        free(run->plan_refused);
        run->plan_refused = buf_take(&text);
        if (run->tasks.len == 0)
            return error_set(err, ERROR_CONFIG, "%s cannot be read and no earlier plan is known", run->plan_path);
        return 0;
    }
    free(run->plan_seen);
    run->plan_seen = xstrdup(text.data);
    free(run->plan_written);
    run->plan_written = buf_take(&text);
    take_plan(run, plan);
    return run_save_all(run, err);
}
