/* team/prompts.h: what the engine tells each role for a piece of work. The fixed prompt of a role stands in
 * its role file; here is what differs from task to task. All results are the caller's to free.
 *
 * Text that comes from the repository, from tools or from other agents is framed as data with its source
 * (prompt_add_data), so that an instruction inside it is not taken for one of ours. */
#ifndef CADRE_TEAM_PROMPTS_H
#define CADRE_TEAM_PROMPTS_H

#include "base/buf.h"

#include <stdbool.h>

struct run;
struct task;
struct vec;

/* Appends TEXT (N bytes, cut in the middle to MAX_BYTES) as base/fence.h marks it. */
void prompt_add_data(struct buf *b, const char *source, const char *text, size_t n, size_t max_bytes);

char *prompt_explore(const struct run *run);
char *prompt_plan(const struct run *run, const char *ci_overview);
char *prompt_plan_problems(const char *problems);
char *prompt_amend(const struct run *run, const char *why);
char *prompt_task(const struct run *run, const struct task *task, const char *start_note);
char *prompt_task_again(const char *reason, const char *detail);
char *prompt_review(const struct run *run, const struct vec *tasks, const char *commit, const char *diff,
                    size_t diff_len, bool is_security);
char *prompt_qa(const struct run *run, const char *diff, size_t diff_len, const char *evidence);
char *prompt_release(const struct run *run, const char *diff_stat);

#endif
