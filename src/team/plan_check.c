/* team/plan_check.c: what a plan must keep to before a run works by it (DESIGN.md, section 5), and what it should. Every
 * message says what to do, since most of its readers are the model that wrote the plan. */
#include "team/plan_internal.h"
#include "team/builtin_checks.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/glob.h"
#include "base/path.h"
#include "base/utf8.h"
#include "base/vec.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ID_MAX_BYTES 32

static bool is_task_id(const char *id)
{
    size_t n = strlen(id);

    if (n == 0 || n > ID_MAX_BYTES || !isalpha((unsigned char)id[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)id[i]) && id[i] != '-' && id[i] != '_')
            return false;
    return true;
}

static void check_id(const struct plan *plan, size_t index, const char *name, struct vec *problems)
{
    const struct plan_task *task = &plan->tasks[index];

    if (*task->id == '\0') {
        plan_problem(problems, name, task->line, "the task has no id; write '- [ ] **T%zu** title'",
                     index + 1);
        return;
    }
    if (!is_task_id(task->id)) {
        plan_problem(
            problems, name, task->line,
            "'%.60s' is no task id; use a letter, then at most 31 letters, digits, '-' or '_' (T%zu)",
            task->id, index + 1);
        return;
    }
    for (size_t i = 0; i < index; i++)
        if (strcasecmp(plan->tasks[i].id, task->id) == 0) { /* ids become names of folders */
            plan_problem(problems, name, task->line,
                         "%s is the id of the task on line %d already; give it another", task->id,
                         plan->tasks[i].line);
            return;
        }
}

static void check_path(const struct plan_task *task, const char *path, const char *name, struct vec *problems)
{
    const char *why = NULL;

    if (path[0] == '/' || path[0] == '~')
        why = "is not relative to the repository; write it from the repository's root";
    else if (!path_is_plain_relative(path))
        why = "is no plain path below the repository's root; write it without '..' or empty parts";
    else if (strcmp(path, ".git") == 0 || str_starts_with(path, ".git/"))
        why = "belongs to git; a task must not write there";
    else if (strcmp(path, ".") == 0)
        why = "is the whole repository; name the files that this task changes";
    for (const char *c = path; why == NULL && *c != '\0'; c++)
        if (iscntrl((unsigned char)*c))
            why = "has a control character in it";
    if (why != NULL)
        plan_problem(problems, name, task->line, "%s: the file '%.200s' %s", task->id, path, why);
}

static void check_fields(const struct plan_task *task, const char *name, int max_task_files,
                         struct vec *problems)
{
    if (*task->title == '\0')
        plan_problem(problems, name, task->line, "%s has no title; say in one line what it changes",
                     task->id);
    if (task->files.len == 0)
        plan_problem(problems, name, task->line,
                     "%s names no files; add '- files: `path`, `path`' with all that it may change",
                     task->id);
    if (*task->accept == '\0')
        plan_problem(
            problems, name, task->line,
            "%s has no acceptance check; add '- accept: ...' with a command that passes when it is done",
            task->id);
    if (max_task_files > 0 && task->files.len > (size_t)max_task_files)
        plan_problem(problems, name, task->line, "%s names %zu files, and %d are the most; split it",
                     task->id, task->files.len, max_task_files);
    for (size_t i = 0; i < task->files.len; i++)
        check_path(task, task->files.items[i], name, problems);
    for (size_t i = 0; i < task->allow.len; i++) {
        const char *near = NULL;

        if (!builtin_check_exists(task->allow.items[i], &near))
            plan_problem(problems, name, task->line, "%s: 'allow: %.60s' names no built-in check%s%s", task->id,
                         task->allow.items[i], near == NULL ? " (docs/checks.md lists them)" : "; did you mean ",
                         near == NULL ? "" : near);
    }
}

static void check_needs(const struct plan *plan, const struct plan_task *task, const char *name,
                        struct vec *problems)
{
    const char **ids = xcalloc(plan->count + 1, sizeof *ids);

    for (size_t i = 0; i < plan->count; i++)
        ids[i] = plan->tasks[i].id;
    for (size_t i = 0; i < task->needs.len; i++) {
        const char *need = task->needs.items[i];
        const char *near;

        if (str_eq(need, task->id)) {
            plan_problem(problems, name, task->line, "%s needs itself; write 'needs: none'", task->id);
        } else if (plan_find(plan, need) == NULL) {
            near = str_nearest(need, ids);
            if (near != NULL && !str_eq(near, task->id))
                plan_problem(problems, name, task->line,
                             "%s needs %.60s, and there is no such task; did you mean %s?", task->id, need,
                             near);
            else
                plan_problem(problems, name, task->line,
                             "%s needs %.60s, and there is no such task; name ids of this plan, or 'none'",
                             task->id, need);
        }
    }
    free(ids);
}

/* Depth-first walk with colours; PATH holds the way to the current task, so that a cycle can be named. */
static bool find_cycle(const struct plan *plan, size_t index, unsigned char *colour, struct vec *path,
                       const char *name, struct vec *problems)
{
    const struct plan_task *task = &plan->tasks[index];
    bool found = false;

    colour[index] = 1;
    vec_push(path, plan->tasks + index);
    for (size_t i = 0; i < task->needs.len && !found; i++) {
        const struct plan_task *need = plan_find(plan, task->needs.items[i]);

        if (need == NULL || need == task)
            continue;
        if (colour[need - plan->tasks] == 1) {
            struct buf way = BUF_INIT;
            size_t k = 0;

            while (path->items[k] != need)
                k++;
            for (; k < path->len; k++)
                buf_printf(&way, "%s -> ", ((const struct plan_task *)path->items[k])->id);
            buf_puts(&way, need->id);
            plan_problem(problems, name, task->line,
                         "the tasks need one another in a circle: %s; take one need out", way.data);
            buf_free(&way);
            found = true;
        } else if (colour[need - plan->tasks] == 0) {
            found = find_cycle(plan, (size_t)(need - plan->tasks), colour, path, name, problems);
        }
    }
    colour[index] = 2;
    vec_pop(path);
    return found;
}

void plan_check(const struct plan *plan, const char *name, int max_task_files, struct vec *problems)
{
    unsigned char *colour = xcalloc(plan->count + 1, 1);
    struct vec path = {0};

    if (!plan->has_title)
        plan_problem(problems, name, 1, "no goal; begin with '# Plan: ' and the goal in one line");
    if (!plan->has_tasks_section)
        plan_problem(problems, name, 1,
                     "no tasks; add a heading '## Tasks' and below it '- [ ] **T1** title'");
    else if (plan->count == 0)
        plan_problem(problems, name, plan->tasks_line,
                     "no task; at least one '- [ ] **T1** title' is needed");
    for (size_t i = 0; i < plan->count; i++) {
        check_id(plan, i, name, problems);
        check_fields(&plan->tasks[i], name, max_task_files, problems);
        check_needs(plan, &plan->tasks[i], name, problems);
    }
    for (size_t i = 0; i < plan->count; i++)
        if (colour[i] == 0 && find_cycle(plan, i, colour, &path, name, problems))
            break;
    vec_finish(&path);
    free(colour);
}

/* --- what a good plan is like --- */

static unsigned count_word(const char *text, const char *word)
{
    unsigned count = 0;

    for (const char *at = strcasestr(text, word); at != NULL; at = strcasestr(at + 1, word))
        count++;
    return count;
}

static void lint_task(const struct plan_task *task, const char *name, struct vec *warnings)
{
    struct str_list folders = {0};

    if (count_word(task->title, " and ") + count_word(task->title, "; ") >= 1)
        plan_problem(warnings, name, task->line,
                     "%s joins two changes by 'and'; make it two tasks if each can stand alone", task->id);
    if (strlen(task->title) > 100)
        plan_problem(warnings, name, task->line,
                     "%s has a title of %zu bytes; a change that needs so many is rarely one", task->id,
                     strlen(task->title));
    if (strchr(task->accept, '`') == NULL)
        plan_problem(warnings, name, task->line,
                     "%s has no command in its acceptance check; add one in backticks", task->id);
    for (size_t i = 0; i < task->files.len; i++) {
        const char *file = task->files.items[i];
        char *folder;

        if (glob_is_pattern(file) && strcspn(file, "*?[") == 0)
            plan_problem(warnings, name, task->line,
                         "%s may write '%s', which is nearly everything: nothing can run beside it", task->id,
                         file);
        folder = xstrndup(file, strcspn(file, "/"));
        if (!str_list_has(&folders, folder))
            str_list_add(&folders, folder);
        free(folder);
    }
    if (folders.len > 4)
        plan_problem(warnings, name, task->line, "%s reaches into %zu top-level folders; split it by part",
                     task->id, folders.len);
    str_list_finish(&folders);
}

static bool needs_directly(const struct plan_task *a, const struct plan_task *b)
{
    return str_list_has(&a->needs, b->id) || str_list_has(&b->needs, a->id);
}

void plan_lint(const struct plan *plan, const char *name, struct vec *warnings)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_task *task = &plan->tasks[i];

        if (task->is_done)
            continue;
        lint_task(task, name, warnings);
        for (size_t k = 0; k < i; k++) {
            const struct plan_task *other = &plan->tasks[k];
            const char *shared = NULL;

            if (other->is_done || needs_directly(task, other))
                continue;
            for (size_t f = 0; f < task->files.len && shared == NULL; f++)
                for (size_t g = 0; g < other->files.len && shared == NULL; g++)
                    if (glob_may_overlap(task->files.items[f], other->files.items[g]))
                        shared = task->files.items[f];
            if (shared != NULL)
                plan_problem(warnings, name, task->line,
                             "%s and %s both may write '%s', so they never run at the same time; part them "
                             "or let one need "
                             "the other",
                             other->id, task->id, shared);
        }
    }
}
