/* ui/table.h: the table at the end of a run. */
#ifndef CADRE_UI_TABLE_H
#define CADRE_UI_TABLE_H

#include <stdio.h>

struct run_outcome;

/* Task, role, attempts, outcome, tokens, time; then the totals. */
void run_table_print(FILE *out, const struct run_outcome *outcome);

#endif
