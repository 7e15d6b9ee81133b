/* ci/report.c: the formats. */
#include "ci/report.h"

#include "base/json.h"
#include "base/utf8.h"
#include "ci/classify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void list(struct json_writer *w, const char *key, const struct str_list *items)
{
    jw_key(w, key);
    jw_array_begin(w);
    for (size_t i = 0; i < items->len; i++)
        jw_string(w, items->items[i]);
    jw_array_end(w);
}

static const char *kind_name(enum ci_step_kind kind)
{
    static const char *const names[] = {"run", "satisfied", "skipped", "unwanted"};

    return names[kind];
}

static void share(struct json_writer *w, const struct ci_share *s)
{
    jw_key(w, "steps");
    jw_object_begin(w);
    jw_pair_int(w, "run", (int64_t)s->run);
    jw_pair_int(w, "satisfied", (int64_t)s->satisfied);
    jw_pair_int(w, "skipped", (int64_t)s->skipped);
    jw_object_end(w);
}

void report_plan_json(struct buf *out, const struct ci_plan *plan)
{
    struct json_writer w = {.out = out};
    struct ci_share all = ci_plan_share(plan);
    struct ci_commands *commands = ci_commands_create(plan);

    jw_object_begin(&w);
    jw_pair_string(&w, "type", "plan");
    jw_pair_string(&w, "source", ci_source_name(ci_plan_source(plan)));
    jw_pair_int(&w, "planning_us", ci_plan_took_us(plan));
    share(&w, &all);
    jw_key(&w, "jobs");
    jw_array_begin(&w);
    for (size_t i = 0; i < ci_plan_job_count(plan); i++) {
        const struct ci_plan_job *job = ci_plan_job(plan, i);
        struct buf text = BUF_INIT;

        jw_object_begin(&w);
        jw_pair_string(&w, "id", job->id);
        jw_pair_string(&w, "name", job->name);
        jw_pair_string(&w, "key", job->key);
        jw_pair_string(&w, "file", job->file);
        jw_pair_int(&w, "line", job->line);
        jw_pair_string(&w, "state", job->reason != NULL ? "skipped" : "run");
        jw_pair_string(&w, "reason", job->reason);
        jw_pair_string(&w, "note", job->note);
        list(&w, "needs", &job->needs);
        if (job->reason == NULL)
            ci_commands_exports(commands, i, &text);
        jw_pair_string(&w, "exports", buf_cstr(&text));
        jw_key(&w, "steps");
        jw_array_begin(&w);
        for (size_t k = 0; k < job->step_count; k++) {
            const struct ci_plan_step *step = &job->steps[k];
            jw_object_begin(&w);
            jw_pair_string(&w, "name", step->name);
            jw_pair_string(&w, "kind", kind_name(step->kind));
            jw_pair_string(&w, "command", step->command);
            buf_clear(&text);
            if (job->reason == NULL)
                ci_commands_script(commands, i, k, &text);
            jw_pair_string(&w, "script", text.len > 0 ? buf_cstr(&text) : NULL);
            jw_pair_string(&w, "uses", step->uses);
            jw_pair_string(&w, "if", step->condition);
            jw_pair_string(&w, "reason", step->reason);
            jw_pair_bool(&w, "dependency", step->is_dependency);
            jw_pair_bool(&w, "network", step->is_dependency || step->needs_network);
            jw_pair_int(&w, "line", step->line);
            jw_object_end(&w);
        }
        jw_array_end(&w);
        jw_object_end(&w);
        buf_free(&text);
    }
    jw_array_end(&w);
    jw_object_end(&w);
    ci_commands_destroy(commands);
}

void report_job_json(struct buf *out, const struct ci_job_result *job)
{
    struct json_writer w = {.out = out};
    char fingerprint[17];

    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, job->fingerprint);
    jw_object_begin(&w);
    jw_pair_string(&w, "type", "job");
    jw_pair_string(&w, "id", job->id);
    jw_pair_string(&w, "name", job->name);
    jw_pair_string(&w, "state", ci_state_name(job->state));
    jw_pair_string(&w, "reason", job->reason);
    jw_pair_bool(&w, "allowed_to_fail", job->allowed_to_fail);
    jw_pair_bool(&w, "cached", job->from_cache);
    jw_pair_int(&w, "duration_ms", job->duration_ms);
    if (job->runs > 0) {
        jw_pair_string(&w, "fault", ci_fault_name(job->fault));
        jw_pair_int(&w, "runs", (int64_t)job->runs);
        jw_pair_int(&w, "failures", (int64_t)job->failures);
    }
    if (job->failing_step != NULL) {
        jw_pair_string(&w, "failing_step", job->failing_step);
        jw_pair_int(&w, "exit_code", job->exit_code);
        jw_pair_string(&w, "command", job->command);
        jw_pair_string(&w, "excerpt", job->excerpt);
        jw_pair_string(&w, "fingerprint", fingerprint);
        list(&w, "failing_tests", &job->failing_tests);
    }
    jw_pair_string(&w, "log", job->log_file);
    list(&w, "skipped_steps", &job->skipped_steps);
    jw_object_end(&w);
}

void report_result_json(struct buf *out, const struct ci_result *result)
{
    struct json_writer w = {.out = out};

    jw_object_begin(&w);
    jw_pair_string(&w, "type", "summary");
    jw_pair_string(&w, "verdict", ci_verdict_name(result->verdict));
    jw_pair_int(&w, "passed", (int64_t)result->passed);
    jw_pair_int(&w, "failed", (int64_t)result->failed);
    jw_pair_int(&w, "skipped", (int64_t)result->skipped);
    jw_pair_int(&w, "environment", (int64_t)result->environment);
    jw_pair_int(&w, "cancelled", (int64_t)result->cancelled);
    share(&w, &result->share);
    jw_pair_int(&w, "duration_ms", result->duration_ms);
    list(&w, "annotations", &result->annotations);
    jw_object_end(&w);
}

/* Text for XML 1.0: what it cannot hold becomes U+FFFD. */
static void xml(struct buf *out, const char *text)
{
    for (const char *p = text != NULL ? text : ""; *p != '\0';) {
        uint32_t c;
        size_t n = utf8_decode(p, strlen(p), &c);

        if (n == 0 || (c < ' ' && c != '\n' && c != '\t') || c == 0xfffe || c == 0xffff)
            buf_puts(out, "\xef\xbf\xbd");
        else if (c == '<')
            buf_puts(out, "&lt;");
        else if (c == '>')
            buf_puts(out, "&gt;");
        else if (c == '&')
            buf_puts(out, "&amp;");
        else if (c == '"')
            buf_puts(out, "&quot;");
        else
            buf_append(out, p, n);
        p += n > 0 ? n : 1;
    }
}

void report_junit(struct buf *out, const struct ci_result *result)
{
    buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    buf_printf(out, "<testsuite name=\"cadre ci\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n",
               result->job_count, result->failed, result->environment, result->skipped + result->cancelled,
               (double)result->duration_ms / 1000);
    for (size_t i = 0; i < result->job_count; i++) {
        const struct ci_job_result *job = &result->jobs[i];
        const char *element = job->state == CI_FAILED        ? "failure"
                              : job->state == CI_ENVIRONMENT ? "error"
                              : job->state == CI_PASSED      ? NULL
                                                             : "skipped";
        buf_puts(out, "  <testcase name=\"");
        xml(out, job->id);
        buf_printf(out, "\" classname=\"ci\" time=\"%.3f\"", (double)job->duration_ms / 1000);
        if (element == NULL) {
            buf_puts(out, "/>\n");
            continue;
        }
        buf_printf(out, ">\n    <%s message=\"", element);
        xml(out, job->reason != NULL ? job->reason : job->failing_step);
        buf_puts(out, "\">");
        xml(out, job->excerpt);
        buf_printf(out, "</%s>\n  </testcase>\n", element);
    }
    buf_puts(out, "</testsuite>\n");
}

void report_summary_line(struct buf *out, const struct ci_result *r)
{
    size_t mirrored = r->share.run + r->share.satisfied, all = mirrored + r->share.skipped;

    buf_printf(out, "%s: %zu passed, %zu failed, %zu skipped", ci_verdict_name(r->verdict), r->passed, r->failed,
               r->skipped);
    if (r->environment > 0)
        buf_printf(out, ", %zu not possible on this machine", r->environment);
    if (r->cancelled > 0)
        buf_printf(out, ", %zu cancelled", r->cancelled);
    if (all > 0)
        buf_printf(out, "; %zu of %zu steps of the real CI are mirrored (%zu %%)", mirrored, all,
                   100 * mirrored / all);
}

/* One cell of a table. */
static void cell(struct buf *out, const char *text)
{
    for (const char *p = text != NULL ? text : ""; *p != '\0'; p++) {
        if (*p == '|' || *p == '<' || *p == '`' || *p == '*' || *p == '_' || *p == '[')
            buf_putc(out, '\\');
        buf_putc(out, *p == '\n' || *p == '\r' ? ' ' : *p);
    }
}

void report_markdown(struct buf *out, const struct ci_result *result)
{
    buf_puts(out, "## cadre ci\n\n");
    report_summary_line(out, result);
    buf_puts(out, "\n\n| job | state | time | why |\n| --- | --- | ---: | --- |\n");
    for (size_t i = 0; i < result->job_count; i++) {
        const struct ci_job_result *job = &result->jobs[i];
        buf_puts(out, "| ");
        cell(out, job->id);
        buf_printf(out, " | %s%s | %.1f s | ", ci_state_name(job->state), job->from_cache ? " (cached)" : "",
                   (double)job->duration_ms / 1000);
        cell(out, job->reason != NULL ? job->reason : job->failing_step);
        buf_puts(out, " |\n");
    }
}

/* Message text of a workflow command. */
static void command_text(struct buf *out, const char *text, bool is_property)
{
    for (const char *p = text != NULL ? text : ""; *p != '\0'; p++) {
        if (*p == '%')
            buf_puts(out, "%25");
        else if (*p == '\n')
            buf_puts(out, "%0A");
        else if (*p == '\r')
            buf_puts(out, "%0D");
        else if (is_property && *p == ':')
            buf_puts(out, "%3A");
        else if (is_property && *p == ',')
            buf_puts(out, "%2C");
        else
            buf_putc(out, *p);
    }
}

/* "src/a.c:3: text" as file, line and the text after them; false when it names no place. */
static bool split_place(const char *text, size_t *file_len, const char **line, const char **rest)
{
    const char *colon = strchr(text, ':');
    size_t digits = colon != NULL ? strspn(colon + 1, "0123456789") : 0;

    if (digits == 0 || colon == text || strncmp(colon + 1 + digits, ": ", 2) != 0)
        return false;
    *file_len = (size_t)(colon - text);
    *line = colon + 1;
    *rest = colon + digits + 3;
    return true;
}

static void annotate_test(struct buf *out, const struct ci_job_result *job, const char *text)
{
    const char *line, *rest;
    size_t n;
    struct buf file = BUF_INIT;

    if (!split_place(text, &n, &line, &rest))
        return;
    buf_append(&file, text, n);
    buf_puts(out, "::error file=");
    command_text(out, buf_cstr(&file), true);
    buf_printf(out, ",line=%.*s,title=", (int)strspn(line, "0123456789"), line);
    command_text(out, job->id, true);
    buf_puts(out, "::");
    command_text(out, rest, false);
    buf_putc(out, '\n');
    buf_free(&file);
}

void report_annotations(struct buf *out, const struct ci_result *result)
{
    for (size_t i = 0; i < result->job_count; i++) {
        const struct ci_job_result *job = &result->jobs[i];
        if (job->state != CI_FAILED)
            continue;
        for (size_t k = 0; k < job->failing_tests.len && k < 10; k++) /* GitHub shows ten a step */
            annotate_test(out, job, job->failing_tests.items[k]);
        buf_puts(out, "::error title=");
        command_text(out, job->id, true);
        buf_puts(out, "::");
        command_text(out, job->excerpt != NULL ? job->excerpt : job->failing_step, false);
        buf_putc(out, '\n');
    }
}
