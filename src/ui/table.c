/* ui/table.c: see table.h. */
#include "ui/table.h"

#include "base/buf.h"
#include "team/run.h"
#include "ui/text.h"

void run_table_print(FILE *out, const struct run_outcome *outcome)
{
    struct buf b = BUF_INIT;
    long long tokens = 0;
    int attempts = 0;

    fprintf(out, "\n%-6s %-16s %8s  %-28s %9s %8s\n", "task", "role", "attempts", "outcome", "tokens", "time");
    for (size_t i = 0; i < outcome->task_count; i++) {
        const struct run_task_row *row = &outcome->tasks[i];

        buf_clear(&b);
        text_append_cell(&b, row->id, 6);
        text_append_cell(&b, row->role, 16);
        buf_printf(&b, "%8d  ", row->attempts);
        text_append_cell(&b, row->outcome, 28);
        buf_printf(&b, "%9lld %6.1f s", (long long)row->tokens, (double)row->duration_ms / 1000.0);
        fprintf(out, "%s\n", b.data);
        tokens += row->tokens;
        attempts += row->attempts;
    }
    fprintf(out, "%zu tasks, %d attempts, %lld tokens of implementers\n\n", outcome->task_count, attempts, tokens);
    buf_free(&b);
}
