/* team/plan_internal.h: shared by plan.c, plan_markdown.c and plan_check.c only. */
#ifndef CADRE_TEAM_PLAN_INTERNAL_H
#define CADRE_TEAM_PLAN_INTERNAL_H

#include "team/plan.h"

struct plan {
    char *goal;
    char *decisions;
    struct plan_task *tasks;
    size_t count;
    bool has_title;
    bool has_tasks_section;
    int tasks_line; /* of the section's heading, or 1 */
};

/* "NAME:LINE: ..." into PROBLEMS, at most 50 of them. */
void plan_problem(struct vec *problems, const char *name, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The form only; what does not parse is a problem. NULL when it is no Markdown text at all. */
struct plan *plan_parse_markdown(const char *text, size_t n, const char *name, struct vec *problems);

/* The meaning: ids, needs, cycles, files, accept, limits. */
void plan_check(const struct plan *plan, const char *name, int max_task_files, struct vec *problems);

/* Where the text of the last section NAME begins and ends; false when there is none. */
bool plan_find_section(const char *text, const char *name, size_t *begin, size_t *end);

void plan_task_finish(struct plan_task *task);

#endif
