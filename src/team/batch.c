/* team/batch.c: which tasks go together, and one batch from dispatch to merge. */
#include "team/run_internal.h"

#include "base/glob.h"

/* Tasks that are neither merged nor dropped nor blocked. */
size_t batch_open_tasks(const struct run *run)
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
void batch_choose(struct run *run, struct vec *batch)
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

int batch_run(struct run *run, struct vec *batch, struct error *err)
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
