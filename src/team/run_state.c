/* team/run_state.c: the state of a run to and from the journal, and its events. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/redact.h"
#include "io/fiber.h"
#include "model/budget.h"
#include "store/journal.h"
#include "team/control.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const phase_names[] = {
    [PHASE_EXPLORING] = "exploring", [PHASE_PLANNING] = "planning",   [PHASE_WORKING] = "working",
    [PHASE_TESTING] = "testing",     [PHASE_RELEASING] = "releasing", [PHASE_MERGING] = "merging",
    [PHASE_DONE] = "done",
};

const char *run_phase_name(enum run_phase phase)
{
    return phase_names[phase];
}

static bool is_item_event(const char *type)
{
    return str_starts_with(type, "item.");
}

void run_emit(struct run *run, json_t *event)
{
    char ts[CLOCK_TEXT_BYTES];
    const char *type;
    struct buf line = BUF_INIT;
    struct error err = {0};

    if (event == NULL)
        return; /* json_pack refused text that is no UTF-8: sources repair theirs first */
    redact_json(event);
    type = json_get_string(event, "type", "");
    clock_format_utc(clock_wall_ms(), ts);
    json_object_set_new(event, "ts", json_string(ts));
    json_object_set_new(event, "run", json_string(run->id));
    if (!is_item_event(type) && run->journal != NULL) {
        int64_t seq;

        json_append_value(&line, event);
        seq = journal_event(run->journal, type, line.data, &err);
        if (seq < 0)
            log_warning("event %s is not in the journal: %s", type, err.text);
        else
            json_object_set_new(event, "seq", json_integer(seq));
        buf_free(&line);
    }
    run_control_event(run->control, event);
    if (run->options.on_event != NULL)
        run->options.on_event(run->options.data, event);
    json_decref(event);
}

int run_put_json(struct run *run, const char *kind, const char *key, const json_t *value, struct error *err)
{
    struct buf text = BUF_INIT;
    int rc;

    json_append_value(&text, value);
    rc = journal_put(run->journal, kind, key, text.data, err);
    buf_free(&text);
    return rc;
}

json_t *run_get_json(struct run *run, const char *kind, const char *key)
{
    char *text = journal_get(run->journal, kind, key, NULL);
    json_t *value = text == NULL ? NULL : json_parse(text, strlen(text), "journal", NULL);

    free(text);
    return value;
}

int run_save(struct run *run, struct error *err)
{
    struct usage spent = {0};
    json_t *meta;
    int rc;

    if (run->budget != NULL)
        spent = budget_spent(run->budget);
    meta = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:s*, s:s*, s:s*, s:b, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:s*}", "phase",
                     phase_names[run->phase], "verified", run->verified, "branch", run->branch, "batch", run->batch,
                     "amendments", run->amendments, "qa_attempts", run->qa_attempts, "plan_path", run->plan_path,
                     "exploration", run->exploration, "notes_path", run->notes_path, "merged", run->merged, "input_tokens",
                     (json_int_t)spent.input_tokens, "output_tokens", (json_int_t)spent.output_tokens, "cost_microusd", (json_int_t)spent.cost_microusd, "requests",
                     (json_int_t)spent.requests, "drifts", run->drifts, "messes", run->messes, "remote_rounds", run->remote_rounds, "pull_request", run->pull_request);
    rc = run_put_json(run, "meta", "run", meta, err);
    json_decref(meta);
    return rc;
}

int run_save_task(struct run *run, const struct task *task, struct error *err)
{
    json_t *record = task_to_json(task);
    int rc = run_put_json(run, "task", task->id, record, err);

    json_decref(record);
    return rc;
}

int run_save_all(struct run *run, struct error *err)
{
    json_t *order = json_array();
    int rc = -1;

    if (journal_begin(run->journal, err) < 0)
        goto out;
    for (size_t i = 0; i < run->tasks.len; i++) {
        const struct task *task = run->tasks.items[i];

        json_array_append_new(order, json_string(task->id));
        if (run_save_task(run, task, err) < 0)
            goto rollback;
    }
    if (run_put_json(run, "meta", "order", order, err) < 0 || run_save(run, err) < 0)
        goto rollback;
    rc = journal_commit(run->journal, err);
    goto out;
rollback:
    journal_rollback(run->journal);
out:
    json_decref(order);
    return rc;
}

static int load_tasks(struct run *run, struct error *err)
{
    json_t *order = run_get_json(run, "meta", "order");
    int rc = 0;
    size_t i;
    json_t *id;

    json_array_foreach(order, i, id) {
        json_t *record = run_get_json(run, "task", json_string_value(id));
        struct task *task = record == NULL ? NULL : task_from_json(json_string_value(id), record);

        json_decref(record);
        if (task == NULL) {
            rc = error_set(err, ERROR_INTERNAL, "the journal has no good record of task %s", json_string_value(id));
            break;
        }
        vec_push(&run->tasks, task);
    }
    json_decref(order);
    return rc;
}

int run_load(struct run *run, struct error *err)
{
    struct journal_run row = {0};
    json_t *meta = NULL;
    const char *phase;
    int rc = -1;

    if (journal_run_get(run->journal, &row, err) < 0)
        goto out;
    run->goal = xstrdup(row.goal);
    run->base = xstrdup(row.base_commit);
    run->target = xstrdup(row.target_branch);
    run->created_ms = row.created_ms;
    run->was_completed = str_eq(row.state, "completed");
    run->limits = run_get_json(run, "meta", "limits");
    if (run->limits == NULL && row.config != NULL)
        run->limits = json_parse(row.config, strlen(row.config), "limits", NULL);
    meta = run_get_json(run, "meta", "run");
    if (meta == NULL) {
        /* Killed before the first step was written: everything starts from the base. */
        run->verified = xstrdup(run->base);
        rc = 0;
        goto out;
    }
    phase = json_get_string(meta, "phase", "");
    for (size_t i = 0; i < sizeof phase_names / sizeof phase_names[0]; i++)
        if (strcmp(phase_names[i], phase) == 0)
            run->phase = (enum run_phase)i;
    run->verified = xstrdup(json_get_string(meta, "verified", run->base));
    run->batch = (int)json_get_int(meta, "batch", 0);
    run->amendments = (int)json_get_int(meta, "amendments", 0);
    run->qa_attempts = (int)json_get_int(meta, "qa_attempts", 0);
    run->plan_path = xstrdup(json_get_string(meta, "plan_path", NULL));
    run->exploration = xstrdup(json_get_string(meta, "exploration", NULL));
    run->notes_path = xstrdup(json_get_string(meta, "notes_path", NULL));
    run->remote_rounds = (int)json_get_int(meta, "remote_rounds", 0);
    run->pull_request = xstrdup(json_get_string(meta, "pull_request", NULL));
    run->drifts = (int)json_get_int(meta, "drifts", 0);
    run->messes = (int)json_get_int(meta, "messes", 0);
    run->merged = json_get_bool(meta, "merged", false);
    run->spent.input_tokens = json_get_int(meta, "input_tokens", 0);
    run->spent.output_tokens = json_get_int(meta, "output_tokens", 0);
    run->spent.cost_microusd = json_get_int(meta, "cost_microusd", 0);
    run->spent.requests = json_get_int(meta, "requests", 0);
    rc = load_tasks(run, err);
out:
    json_decref(meta);
    journal_run_finish(&row);
    return rc;
}

struct task *run_find_task(const struct run *run, const char *id)
{
    for (size_t i = 0; i < run->tasks.len; i++)
        if (strcmp(((struct task *)run->tasks.items[i])->id, id) == 0)
            return run->tasks.items[i];
    return NULL;
}

int run_wait_while_paused(struct run *run, struct error *err)
{
    while (run->is_paused)
        if (fiber_wait(err) < 0)
            return -1;
    return 0;
}

int run_check_limits(struct run *run, struct error *err)
{
    if (run->settings.max_minutes > 0 &&
        clock_monotonic_ms() - run->started_ms > run->settings.max_minutes * 60000) {
        error_set(err, ERROR_NOT_CONVERGED, "not green after %lld minutes ([loop] max_minutes)",
                  (long long)run->settings.max_minutes);
        return error_hint(err, "`cadre resume --max-minutes %lld` goes on", (long long)run->settings.max_minutes * 2);
    }
    if (fiber_is_cancelled(fiber_current()))
        return error_set(err, ERROR_CANCELLED, "interrupted");
    return 0;
}

void run_log_line(struct run *run, const char *fmt, ...)
{
    struct buf line = BUF_INIT;
    struct error err = {0};
    char ts[CLOCK_TEXT_BYTES];
    va_list ap;

    clock_format_utc(clock_wall_ms(), ts);
    buf_printf(&line, "%s ", ts);
    va_start(ap, fmt);
    buf_vprintf(&line, fmt, ap);
    va_end(ap);
    if (plan_file_append_log(run->plan_path, line.data, &err) < 0)
        log_info("plan.md: %s", err.text);
    if (run->plan_written != NULL) { /* what the engine wrote, whatever becomes of the file */
        struct buf text = BUF_INIT;

        buf_puts(&text, run->plan_written);
        plan_text_append_log(&text, line.data);
        free(run->plan_written);
        run->plan_written = buf_take(&text);
    }
    buf_free(&line);
}
