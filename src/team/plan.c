/* team/plan.c: a plan in memory: loading, questions, and which tasks are ready. See plan.h. */
#include "team/plan.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "team/plan_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEMS_MAX 50

void plan_problem(struct vec *problems, const char *name, int line, const char *fmt, ...)
{
    struct buf raw = BUF_INIT;
    struct buf shown = BUF_INIT;
    va_list ap;

    if (problems->len >= PROBLEMS_MAX)
        return;
    buf_printf(&raw, "%s:%d: ", name, line);
    va_start(ap, fmt);
    buf_vprintf(&raw, fmt, ap);
    va_end(ap);
    utf8_append_printable(&shown, raw.data, raw.len, false);
    vec_push(problems, buf_take(&shown));
    buf_free(&raw);
}

struct plan *plan_load_text(const char *text, size_t n, const char *name, int max_task_files,
                            struct vec *problems)
{
    size_t before = problems->len;
    struct plan *plan;

    if (n > PLAN_TEXT_MAX_BYTES) {
        plan_problem(problems, name, 1, "the plan has %zu bytes; at most %zu are read", n,
                     PLAN_TEXT_MAX_BYTES);
        return NULL;
    }
    if (!utf8_is_valid(text, n) || (n > 0 && memchr(text, '\0', n) != NULL)) {
        plan_problem(problems, name, 1, "the plan is not UTF-8 text; save it as UTF-8");
        return NULL;
    }
    plan = plan_parse_markdown(text, n, name, problems);
    if (plan != NULL)
        plan_check(plan, name, max_task_files, problems);
    if (problems->len > before) {
        plan_destroy(plan);
        return NULL;
    }
    return plan;
}

struct plan *plan_load_file(const char *path, int max_task_files, struct vec *problems)
{
    struct buf text = BUF_INIT;
    struct error err = {0};
    struct plan *plan = NULL;

    if (file_read(path, &text, PLAN_TEXT_MAX_BYTES, &err) < 0)
        vec_push(problems, xstrdup(err.text));
    else
        plan = plan_load_text(buf_cstr(&text), text.len, path, max_task_files, problems);
    buf_free(&text);
    return plan;
}

void plan_task_finish(struct plan_task *task)
{
    free(task->id);
    free(task->title);
    free(task->accept);
    free(task->role);
    str_list_finish(&task->files);
    str_list_finish(&task->needs);
    str_list_finish(&task->allow);
}

void plan_destroy(struct plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->count; i++)
        plan_task_finish(&plan->tasks[i]);
    free(plan->tasks);
    free(plan->goal);
    free(plan->decisions);
    free(plan);
}

const char *plan_goal(const struct plan *plan)
{
    return plan->goal ? plan->goal : "";
}

const char *plan_decisions(const struct plan *plan)
{
    return plan->decisions ? plan->decisions : "";
}

size_t plan_task_count(const struct plan *plan)
{
    return plan->count;
}

const struct plan_task *plan_task_at(const struct plan *plan, size_t index)
{
    return index < plan->count ? &plan->tasks[index] : NULL;
}

const struct plan_task *plan_find(const struct plan *plan, const char *id)
{
    for (size_t i = 0; i < plan->count; i++)
        if (str_eq(plan->tasks[i].id, id))
            return &plan->tasks[i];
    return NULL;
}

/* --- what can be worked on --- */

static bool files_overlap(const struct plan_task *a, const struct plan_task *b)
{
    for (size_t i = 0; i < a->files.len; i++)
        for (size_t k = 0; k < b->files.len; k++)
            if (glob_may_overlap(a->files.items[i], b->files.items[k]))
                return true;
    return false;
}

struct readiness {
    bool (*is_done)(void *data, const struct plan_task *task);
    void *data;
};

static bool task_is_done(const struct readiness *r, const struct plan_task *task)
{
    return r->is_done != NULL ? r->is_done(r->data, task) : task->is_done;
}

static bool task_is_ready(const struct plan *plan, const struct readiness *r, const struct plan_task *task)
{
    if (task_is_done(r, task))
        return false;
    for (size_t i = 0; i < task->needs.len; i++) {
        const struct plan_task *need = plan_find(plan, task->needs.items[i]);

        if (need == NULL || !task_is_done(r, need))
            return false;
    }
    return true;
}

/* The first by priority, then in plan order, that is neither taken nor passed over; NULL when all are seen. */
static const struct plan_task *best_unseen(const struct plan *plan, const struct vec *seen)
{
    const struct plan_task *best = NULL;

    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_task *task = &plan->tasks[i];

        if (!vec_has(seen, task) && (best == NULL || task->priority > best->priority))
            best = task;
    }
    return best;
}

void plan_ready_tasks(const struct plan *plan, size_t batch_size,
                      bool (*is_done)(void *data, const struct plan_task *task), void *data,
                      struct vec *ready)
{
    struct readiness r = {is_done, data};
    struct vec seen = {0};
    const struct plan_task *task;
    size_t taken = ready->len + batch_size;

    while (ready->len < taken && (task = best_unseen(plan, &seen)) != NULL) {
        bool fits = task_is_ready(plan, &r, task);

        vec_push(&seen, (void *)(uintptr_t)task);
        for (size_t i = 0; fits && i < ready->len; i++)
            fits = !files_overlap(task, ready->items[i]);
        if (fits)
            vec_push(ready, (void *)(uintptr_t)task);
    }
    vec_finish(&seen);
}
