/* team/task.c: see task.h. */
#include "team/task.h"

#include "base/alloc.h"
#include "base/glob.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {
    [TASK_READY] = "ready",   [TASK_WORKING] = "working", [TASK_COMMITTED] = "committed",
    [TASK_MERGED] = "merged", [TASK_BLOCKED] = "blocked", [TASK_DROPPED] = "dropped",
};

static const char *const reason_names[] = {
    [RETURN_CI] = "ci",             [RETURN_REVIEW] = "review", [RETURN_SECURITY] = "security",
    [RETURN_CONFLICT] = "conflict", [RETURN_DRIFT] = "drift",   [RETURN_MESSY] = "messy",
    [RETURN_EMPTY] = "empty",       [RETURN_BLOCKED] = "blocked",   [RETURN_ACCEPTANCE] = "acceptance", [RETURN_BUDGET] = "budget", [RETURN_ERROR] = "error",
};

struct task *task_create(const char *id)
{
    struct task *task = xcalloc(1, sizeof *task);

    task->id = xstrdup(id);
    return task;
}

void task_destroy(struct task *task)
{
    if (task == NULL)
        return;
    free(task->id);
    free(task->title);
    free(task->accept);
    free(task->role);
    str_list_finish(&task->files);
    str_list_finish(&task->needs);
    str_list_finish(&task->allow);
    str_list_finish(&task->changed);
    str_list_finish(&task->returns);
    free(task->commit);
    free(task->base);
    free(task->evidence);
    free(task->outcome);
    free(task);
}

const char *task_state_name(enum task_state state)
{
    return state_names[state];
}

bool task_state_from_name(const char *name, enum task_state *out)
{
    for (size_t i = 0; i < sizeof state_names / sizeof state_names[0]; i++) {
        if (strcmp(state_names[i], name) == 0) {
            *out = (enum task_state)i;
            return true;
        }
    }
    return false;
}

const char *return_reason_name(enum return_reason reason)
{
    return reason_names[reason];
}

static json_t *list_to_json(const struct str_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->len; i++)
        json_array_append_new(array, json_string(list->items[i]));
    return array;
}

static void list_from_json(struct str_list *list, const json_t *array)
{
    size_t i;
    json_t *item;

    json_array_foreach(array, i, item)
        if (json_is_string(item))
            str_list_add(list, json_string_value(item));
}

json_t *task_to_json(const struct task *task)
{
    enum task_state state = task->state == TASK_WORKING ? TASK_READY : task->state;
    /* A WORKING task is written before its attempt counts, so that a resumed run repeats the attempt. */
    int attempt = task->state == TASK_WORKING ? task->attempt - 1 : task->attempt;

    return json_pack("{s:s, s:s*, s:s*, s:s*, s:o, s:o, s:o, s:i, s:i, s:i, s:I, s:s*, s:s*, s:s*, s:s*, s:I, s:I, "
                     "s:o, s:o, s:b, s:i, s:I}",
                     "state", task_state_name(state), "title", task->title, "accept", task->accept, "role",
                     task->role, "files", list_to_json(&task->files), "needs", list_to_json(&task->needs), "allow",
                     list_to_json(&task->allow), "attempt", attempt, "gate_rounds", task->gate_rounds,
                     "same_failures", task->same_failures, "last_failure", (json_int_t)task->last_failure, "commit",
                     task->commit, "base", task->base, "evidence", task->evidence, "outcome", task->outcome,
                     "tokens", (json_int_t)task->tokens, "duration_ms", (json_int_t)task->duration_ms, "changed",
                     list_to_json(&task->changed), "returns", list_to_json(&task->returns), "engines", task->is_engines, "priority", task->priority, "budget_tokens",
                     (json_int_t)task->budget_tokens);
}

struct task *task_from_json(const char *id, const json_t *record)
{
    struct task *task = task_create(id);

    if (!task_state_from_name(json_get_string(record, "state", ""), &task->state)) {
        task_destroy(task);
        return NULL;
    }
    task->title = xstrdup(json_get_string(record, "title", ""));
    task->accept = xstrdup(json_get_string(record, "accept", ""));
    task->role = xstrdup(json_get_string(record, "role", "implementer"));
    list_from_json(&task->files, json_object_get(record, "files"));
    list_from_json(&task->needs, json_object_get(record, "needs"));
    list_from_json(&task->allow, json_object_get(record, "allow"));
    list_from_json(&task->changed, json_object_get(record, "changed"));
    list_from_json(&task->returns, json_object_get(record, "returns"));
    task->is_engines = json_get_bool(record, "engines", false);
    task->priority = (int)json_get_int(record, "priority", 0);
    task->budget_tokens = json_get_int(record, "budget_tokens", 0);
    task->attempt = (int)json_get_int(record, "attempt", 0);
    task->gate_rounds = (int)json_get_int(record, "gate_rounds", 0);
    task->same_failures = (int)json_get_int(record, "same_failures", 0);
    task->last_failure = (uint64_t)json_get_int(record, "last_failure", 0);
    task->commit = xstrdup(json_get_string(record, "commit", NULL));
    task->base = xstrdup(json_get_string(record, "base", NULL));
    task->evidence = xstrdup(json_get_string(record, "evidence", NULL));
    task->outcome = xstrdup(json_get_string(record, "outcome", NULL));
    task->tokens = json_get_int(record, "tokens", 0);
    task->duration_ms = json_get_int(record, "duration_ms", 0);
    return task;
}

bool task_owns_path(const struct task *task, const char *path)
{
    for (size_t i = 0; i < task->files.len; i++) {
        const char *pattern = task->files.items[i];
        size_t n = strlen(pattern);

        if (glob_match(pattern, path) || (strncmp(pattern, path, n) == 0 && n > 0 &&
                                          (path[n] == '\0' || path[n] == '/' || pattern[n - 1] == '/')))
            return true;
    }
    return false;
}
