/* team/plan.h: plan.md, the source of truth for which tasks a run has (DESIGN.md, section 5).
 *
 *     # Plan: <goal in one line>
 *     ## Tasks
 *     - [ ] **T1** Title
 *       - files: `src/a.c`, `tests/a.c`, `docs`
 *       - needs: none
 *       - accept: `make check` passes
 *       - role: implementer           (optional, as the next three)
 *       - allow: ci-changed           ids of built-in checks that this task may trip
 *       - priority: 1                 higher goes first; 0 without
 *       - budget: 200k                tokens
 *     ## Decisions
 *     ## Log
 *
 * Written by a model and edited by hand, so it is hostile input: bounded, and every fault is reported with its
 * line, all at once. Text that means nothing here is left as it is. */
#ifndef CADRE_TEAM_PLAN_H
#define CADRE_TEAM_PLAN_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct vec;
struct plan;

#define PLAN_TEXT_MAX_BYTES ((size_t)1 << 20)
#define PLAN_MAX_TASKS      200

struct plan_task {
    char *id;
    char *title;
    char *accept;
    char *role;            /* NULL: not given */
    struct str_list files; /* plain relative paths, folders without their slash, or globs */
    struct str_list needs;
    struct str_list allow;
    int priority;
    int64_t budget_tokens; /* 0: none of its own */
    bool is_done;
    int line;           /* of its `- [ ]` */
    size_t mark_offset; /* of the character between the brackets, in the text that was read */
};

/* Reads and checks. Each problem is a fresh string "NAME:LINE: what, and what to do" in PROBLEMS (the caller
 * frees them); with one there, NULL is returned. A plan without tasks is a problem. MAX_TASK_FILES 0: no limit. */
struct plan *plan_load_text(const char *text, size_t n, const char *name, int max_task_files,
                            struct vec *problems);
void plan_destroy(struct plan *plan); /* NULL is fine */

/* The same from a file of at most PLAN_TEXT_MAX_BYTES. A file that cannot be read is a problem as well. */
struct plan *plan_load_file(const char *path, int max_task_files, struct vec *problems);

const char *plan_goal(const struct plan *plan);
const char *plan_decisions(const struct plan *plan); /* the section's text, trimmed; "" without one */
size_t plan_task_count(const struct plan *plan);
const struct plan_task *plan_task_at(const struct plan *plan, size_t index);
const struct plan_task *plan_find(const struct plan *plan, const char *id); /* NULL when not there */

/* Appends to READY the tasks (const struct plan_task *) that a batch of BATCH_SIZE could take now: not done, all
 * needs done, no overlap of files with one another; higher priority first, then the plan's order. IS_DONE may
 * replace what the checkboxes say (NULL: they count). */
void plan_ready_tasks(const struct plan *plan, size_t batch_size,
                      bool (*is_done)(void *data, const struct plan_task *task), void *data,
                      struct vec *ready);

/* Signs that a task is not one atomic change, or that tasks cannot run beside each other; same form as problems. */
void plan_lint(const struct plan *plan, const char *name, struct vec *warnings);

/* --- Edits; everything that a person wrote stays as it is (plan_edit.c) --- */

/* Ticks or clears the checkbox of task ID in TEXT. False when there is no such task. */
bool plan_text_set_done(struct buf *text, const char *id, bool is_done);

/* Appends "- LINE" to the Log section of TEXT, which is added at the end when missing. Control characters in LINE
 * become spaces. */
void plan_text_append_log(struct buf *text, const char *line);

/* The same on the file, which is replaced atomically. */
int plan_file_set_done(const char *path, const char *id, bool is_done, struct error *err);
int plan_file_append_log(const char *path, const char *line, struct error *err);

/* Adds a task behind the last one (plan_change.c). Its id is the next free "T<n>"; the caller frees it. Strings that a
 * line of the plan cannot hold are refused (ERROR_USAGE). */
struct plan_new_task {
    const char *title;
    const char *accept;
    const char *role;            /* NULL: not written */
    const struct str_list *files;
    const struct str_list *needs;
    const struct str_list *allow;
    int64_t priority;            /* 0: not written */
    int64_t budget_tokens;       /* 0: not written */
};
char *plan_text_add_task(struct buf *text, const struct plan_new_task *task, struct error *err);
/* Takes task ID with its fields out. False when there is no such task. */
bool plan_text_drop_task(struct buf *text, const char *id);

/* Joins two edits of BASE: PERSON's and ENGINE's (or the orchestrator's), task by task and section by section. Where
 * both changed the same one differently the person's stands and a line about it is added to CONFLICTS (fresh strings).
 * A checkbox that the engine ticked stays ticked, log lines of both are kept. The result is appended to OUT. */
void plan_text_merge(const char *base, const char *person, const char *engine, struct buf *out,
                     struct vec *conflicts);

#endif
