/* agent/agent_job_text.c: the texts of a job: what a row's agent is asked, and the output file. */
#include "agent/agent_job.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fence.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#define PROMPT_MAX_BYTES ((size_t)1 << 20)

/* The column that is named at P, behind a '{', or -1. *LENGTH is that of the name. */
static int named_column(const struct agent_job *job, const char *p, size_t *length)
{
    const char *end = strchr(p, '}');

    if (end == NULL)
        return -1;
    *length = (size_t)(end - p);
    for (size_t i = 0; i < job->table.header.len; i++) {
        const char *name = job->table.header.items[i];

        if (strlen(name) == *length && memcmp(name, p, *length) == 0)
            return (int)i;
    }
    return -1;
}

/* In one pass: what a value holds is never read as a placeholder. A name that is no column stays as it is: instructions
 * may hold code. */
int agent_job_render(const struct agent_job *job, size_t row, struct buf *out, struct error *err)
{
    const struct csv_row *values = &job->table.rows[row];

    for (const char *p = job->instruction; *p != '\0'; p++) {
        size_t length = 0;
        int column = -1;

        if ((*p == '{' || *p == '}') && p[1] == *p)
            p++;
        else if (*p == '{')
            column = named_column(job, p + 1, &length);
        if (column >= 0) {
            buf_puts(out, values->fields.items[column]);
            p += length + 1;
        } else {
            buf_putc(out, *p);
        }
        if (out->len > PROMPT_MAX_BYTES)
            return error_set(err, ERROR_LIMIT, "the instruction with the values of line %d is larger than %zu bytes",
                             values->line, PROMPT_MAX_BYTES);
    }
    return 0;
}

static void append_row_json(const struct agent_job *job, size_t row, struct buf *out)
{
    struct buf json = BUF_INIT;
    struct json_writer w = {.out = &json};

    jw_object_begin(&w);
    for (size_t i = 0; i < job->table.header.len; i++)
        jw_pair_string(&w, job->table.header.items[i], job->table.rows[row].fields.items[i]);
    jw_object_end(&w);
    fence_append(out, "row", json.data, json.len);
    buf_free(&json);
}

char *agent_job_prompt(const struct agent_job *job, size_t row, struct error *err)
{
    const struct agent_row *r = &job->rows[row];
    struct buf b = BUF_INIT;

    buf_puts(&b, "You do one row of a job; other agents do the other rows.\n\nTask:\n");
    if (agent_job_render(job, row, &b, err) < 0) {
        buf_free(&b);
        return NULL;
    }
    buf_puts(&b, "\n\nThe row:\n");
    append_row_json(job, row, &b);
    if (job->schema_text != NULL)
        buf_printf(&b, "\nThe result has to follow this JSON schema:\n%s\n", job->schema_text);
    if (r->attempts > 0 && r->last_error != NULL)
        buf_printf(&b, "\nAn earlier attempt at this row ended without a result: %s\n", r->last_error);
    buf_printf(&b, "\nCall the tool " AGENT_REPORT_TOOL " exactly once, with job_id \"%s\", item_id ", job->id);
    json_append_string(&b, r->item_id);
    buf_puts(&b, " and the result, a JSON object. That ends your work. With stop = true no further rows are done.");
    return buf_take(&b);
}

static void append_cell(struct buf *out, const char *text)
{
    buf_putc(out, ',');
    csv_append_field(out, text == NULL ? "" : text);
}

void agent_job_write_csv(const struct agent_job *job, struct buf *out)
{
    for (size_t i = 0; i < job->table.header.len; i++) {
        if (i > 0)
            buf_putc(out, ',');
        csv_append_field(out, job->table.header.items[i]);
    }
    buf_puts(out, ",job_id,item_id,row_index,source_id,status,attempt_count,last_error,result_json,reported_at\n");
    for (size_t row = 0; row < job->table.row_count; row++) {
        const struct agent_row *r = &job->rows[row];
        struct buf result = BUF_INIT;

        if (r->result != NULL)
            json_append_value(&result, r->result);
        for (size_t i = 0; i < job->table.header.len; i++) {
            if (i > 0)
                buf_putc(out, ',');
            csv_append_field(out, job->table.rows[row].fields.items[i]);
        }
        append_cell(out, job->id);
        append_cell(out, r->item_id);
        buf_printf(out, ",%zu", row);
        append_cell(out, r->source_id);
        append_cell(out, agent_row_state_name(r->state == ROW_RUNNING ? ROW_PENDING : r->state));
        buf_printf(out, ",%d", r->attempts);
        append_cell(out, r->last_error);
        append_cell(out, buf_cstr(&result));
        append_cell(out, r->reported_at);
        buf_putc(out, '\n');
        buf_free(&result);
    }
}
