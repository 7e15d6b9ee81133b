/* team/prompts.c: see prompts.h. */
#include "team/prompts.h"

#include "base/fence.h"
#include "base/path.h"
#include "base/utf8.h"
#include "team/run_internal.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DIFF_BYTES     120000
#define MAX_EVIDENCE_BYTES 24000

void prompt_add_data(struct buf *b, const char *source, const char *text, size_t n, size_t max_bytes)
{
    struct buf cut = BUF_INIT;

    if (n > max_bytes) {
        size_t head = utf8_floor(text, n, max_bytes * 2 / 3);
        size_t tail = max_bytes / 3;

        utf8_append_repaired(&cut, text, head);
        buf_printf(&cut, "\n[... %zu bytes left out ...]\n", n - head - tail);
        utf8_append_repaired(&cut, text + n - tail, tail);
        text = cut.data;
        n = cut.len;
    }
    fence_append(b, source, text, n);
    buf_free(&cut);
}

static void add_data_string(struct buf *b, const char *source, const char *text, size_t max_bytes)
{
    if (!str_is_empty(text))
        prompt_add_data(b, source, text, strlen(text), max_bytes);
}

static void add_goal(struct buf *b, const struct run *run)
{
    buf_printf(b, "# Goal\n\n%s\n\n", run->goal);
}

static void add_list(struct buf *b, const char *label, const struct str_list *list)
{
    char *joined = str_list_join(list, ", ");

    if (list->len > 0)
        buf_printf(b, "%s: %s\n", label, joined);
    free(joined);
}

static void add_plan(struct buf *b, const struct run *run)
{
    buf_puts(b, "# Tasks of the plan\n\n");
    for (size_t i = 0; i < run->tasks.len; i++) {
        const struct task *task = run->tasks.items[i];

        buf_printf(b, "- %s [%s] %s\n", task->id, task_state_name(task->state), task->title);
    }
    buf_putc(b, '\n');
}

char *prompt_explore(const struct run *run)
{
    struct buf b = BUF_INIT;

    add_goal(&b, run);
    buf_puts(&b, "Map what matters for this goal: the code it touches, the tests, the CI jobs and the local "
                 "commands that equal them. You cannot change anything.\n");
    buf_puts(&b, "Answer with submit_result: `summary` is the map, at most 60 lines.\n");
    return buf_take(&b);
}

/* Drift so far makes the template stricter, step by step. */
static void add_strictness(struct buf *b, const struct run *run)
{
    static const char *const rules[] = {
        ("Tasks left their files before: list under `files` every file that a task needs, tests included, and make each "
         "task one change.\n"),
        "Write every path out: patterns are refused.\n",
        "Tasks are worked on one at a time from now on: order them with `needs`.\n",
    };

    for (int level = 0; level < tuning_strictness(run); level++)
        buf_puts(b, rules[level]);
}

char *prompt_plan(const struct run *run, const char *ci_overview)
{
    struct buf b = BUF_INIT;

    add_goal(&b, run);
    if (!str_is_empty(run->exploration)) {
        buf_puts(&b, "# What the explorer found\n\n");
        add_data_string(&b, "explorer", run->exploration, MAX_EVIDENCE_BYTES);
        buf_putc(&b, '\n');
    }
    if (!str_is_empty(ci_overview)) {
        buf_puts(&b, "# CI\n\n");
        add_data_string(&b, "CI mirror", ci_overview, MAX_EVIDENCE_BYTES);
        buf_putc(&b, '\n');
    }
    buf_printf(&b, "Write the plan to `%s` at the root of your working directory, and nothing else. Tasks that "
                   "run at the same time must not share files. At most %d files a task. One task is a good plan "
                   "for a small goal. Then call submit_result.\n",
               path_basename(run->plan_path), tuning_max_task_files(run));
    add_strictness(&b, run);
    return buf_take(&b);
}

char *prompt_plan_problems(const char *problems)
{
    struct buf b = BUF_INIT;

    buf_puts(&b, "The plan was refused. Mend these and call submit_result again:\n\n");
    add_data_string(&b, "engine's reading of the plan", problems, MAX_EVIDENCE_BYTES);
    return buf_take(&b);
}

char *prompt_amend(const struct run *run, const char *why)
{
    struct buf b = BUF_INIT;

    add_goal(&b, run);
    add_plan(&b, run);
    buf_puts(&b, "# Why the plan needs a change\n\n");
    add_data_string(&b, "state of the run", why, MAX_EVIDENCE_BYTES);
    buf_printf(&b, "\nAmend `%s` (it is in your working directory): split, replace or drop tasks that are not done, "
                   "or add tasks. Never change a task that is marked done. Then call submit_result.\n",
               path_basename(run->plan_path));
    add_strictness(&b, run);
    return buf_take(&b);
}

char *prompt_task(const struct run *run, const struct task *task, const char *start_note)
{
    struct buf b = BUF_INIT;

    buf_printf(&b, "# Task %s: %s\n\n", task->id, task->title);
    add_list(&b, "Files you may change", &task->files);
    add_list(&b, "Files that every task may add to", &run->settings.shared_files);
    buf_printf(&b, "Accepted when: %s\n\nThe task is part of this goal: %s\n\n", task->accept, run->goal);
    if (task->evidence != NULL) {
        buf_printf(&b, "# This is attempt %d. What came of the one before\n\n", task->attempt);
        add_data_string(&b, "evidence of the attempt before", task->evidence, MAX_EVIDENCE_BYTES);
        buf_putc(&b, '\n');
    }
    if (start_note != NULL)
        buf_printf(&b, "%s\n\n", start_note);
    buf_puts(&b, "Change only what the task needs. Do not commit: the engine commits your working directory. "
                 "When the acceptance check holds, call submit_result.\n");
    return buf_take(&b);
}

char *prompt_task_again(const char *reason, const char *detail)
{
    struct buf b = BUF_INIT;

    buf_printf(&b, "Your change was not taken: %s.\n\n", reason);
    add_data_string(&b, "engine's reading of your change", detail, MAX_EVIDENCE_BYTES);
    buf_puts(&b, "\nMend this in your working directory, then call submit_result again.\n");
    return buf_take(&b);
}

char *prompt_review(const struct run *run, const struct vec *tasks, const char *commit, const char *diff,
                    size_t diff_len, bool is_security)
{
    struct buf b = BUF_INIT;

    buf_printf(&b, "# %s of commit %.12s\n\nGoal of the run: %s\n\nTasks in this batch:\n",
               is_security ? "Security audit" : "Review", commit, run->goal);
    for (size_t i = 0; i < tasks->len; i++) {
        const struct task *task = tasks->items[i];
        char *files = str_list_join(&task->files, ", ");

        buf_printf(&b, "- %s (attempt %d): %s. Files: %s. Accepted when: %s\n", task->id, task->attempt,
                   task->title, files, task->accept);
        free(files);
    }
    buf_puts(&b, "\n# Diff of the batch\n\n");
    prompt_add_data(&b, "git diff", diff, diff_len, MAX_DIFF_BYTES);
    buf_puts(&b, "CI is run by the engine: do not repeat it. The tree is in your working directory, read-only. "
                 "Answer with submit_review; only `blocker` and `major` findings send a task back, each with file "
                 "and line.\n");
    return buf_take(&b);
}

char *prompt_qa(const struct run *run, const char *diff, size_t diff_len, const char *evidence)
{
    struct buf b = BUF_INIT;

    add_goal(&b, run);
    buf_puts(&b, "# All changes of the run\n\n");
    prompt_add_data(&b, "git diff", diff, diff_len, MAX_DIFF_BYTES);
    if (evidence != NULL)
        add_data_string(&b, "evidence of the attempt before", evidence, MAX_EVIDENCE_BYTES);
    buf_puts(&b, "Add tests for changed lines that no test covers; change tests only. When every changed line has a "
                 "test, change nothing. For a bug that was mended, put the steps to reproduce it into `notes`. Then "
                 "call submit_result.\n");
    return buf_take(&b);
}

char *prompt_release(const struct run *run, const char *diff_stat)
{
    struct buf b = BUF_INIT;

    add_goal(&b, run);
    add_plan(&b, run);
    buf_puts(&b, "# Changed files\n\n");
    add_data_string(&b, "git diff --stat", diff_stat, MAX_EVIDENCE_BYTES);
    buf_puts(&b, "Write the release notes in Markdown: what changes for users, then a rollout and a rollback "
                 "checklist. Answer with submit_result: the notes in `notes`, one line in `summary`.\n");
    return buf_take(&b);
}
