/* ci/report_parsers.c: the pass over the lines and what the tables share. */
#include "ci/report_parsers.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "ci/report_parsers_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINES     200000
#define MAX_NAME      300
#define MAX_FILE      300
#define CONTEXT_LINES 3
#define MAX_PART      30 /* lines that belong to one failure, at most */

/* --- Lines ------------------------------------------------------------------------------------------ */

/* After an escape: the index of the sequence's last byte. */
static size_t skip_escape(const char *output, size_t n, size_t i)
{
    if (i + 1 < n && output[i + 1] == '[') {
        for (i += 2; i < n && !(output[i] >= '@' && output[i] <= '~') && output[i] != '\n'; i++)
            ;
        return i < n && output[i] == '\n' ? i - 1 : i;
    }
    return i;
}

static void split_lines(const char *output, size_t n, struct str_list *lines)
{
    struct buf line = BUF_INIT;

    for (size_t i = 0; i <= n && lines->len < MAX_LINES; i++) {
        if (i == n || output[i] == '\n') {
            if (i < n || line.len > 0)
                str_list_add(lines, buf_cstr(&line));
            buf_clear(&line);
        } else if (output[i] == '\x1b') {
            i = skip_escape(output, n, i);
        } else if (line.len < REPORT_MAX_LINE_BYTES && output[i] != '\r') {
            bool is_control = (unsigned char)output[i] < ' ' && output[i] != '\t';
            buf_putc(&line, is_control || output[i] == '\x7f' ? '?' : output[i]);
        }
    }
    buf_free(&line);
}

/* --- Places ----------------------------------------------------------------------------------------- */

static bool is_file_byte(char c)
{
    return c != '\0' && c != ':' && !isspace((unsigned char)c) && strchr("\"'`()[]<>{},;|", c) == NULL;
}

static int read_number(const char **p)
{
    long value = 0;

    while (isdigit((unsigned char)**p)) {
        value = value < 100000000 ? value * 10 + (**p - '0') : value;
        (*p)++;
    }
    return (int)value;
}

bool place_read(const char *text, struct place *place, const char **end)
{
    const char *p = text;
    bool has_mark = false;

    while (is_file_byte(*p)) {
        has_mark = has_mark || *p == '.' || *p == '/';
        p++;
    }
    if (p == text || !has_mark || p - text > MAX_FILE || *p != ':' || !isdigit((unsigned char)p[1]) ||
        strncmp(text, "http", 4) == 0)
        return false;
    place->file = text;
    place->file_len = (size_t)(p - text);
    p++;
    place->line = read_number(&p);
    if (*p == ':' && isdigit((unsigned char)p[1])) {
        p++;
        (void)read_number(&p);
    }
    if (end != NULL)
        *end = p;
    return place->line > 0;
}

bool place_find(const char *text, struct place *place)
{
    for (const char *p = text; *p != '\0';) {
        while (*p != '\0' && !is_file_byte(*p))
            p++;
        if (*p == '\0')
            return false;
        if (place_read(p, place, NULL))
            return true;
        while (is_file_byte(*p))
            p++;
    }
    return false;
}

void parser_remember_place(struct parser *p, const struct place *place)
{
    free(p->file);
    p->file = xstrndup(place->file, place->file_len);
    p->line = place->line;
    p->place_index = p->index;
}

void parser_forget_place(struct parser *p)
{
    FREE_NULL(p->file);
    p->line = 0;
}

/* --- Failures --------------------------------------------------------------------------------------- */

struct report_failure *parser_find(struct parser *p, const char *tool, const char *name, size_t name_len)
{
    for (size_t i = 0; i < p->report->len; i++) {
        struct report_failure *f = &p->report->failures[i];
        if ((tool == NULL || strcmp(f->tool, tool) == 0) && strlen(f->name) == name_len &&
            memcmp(f->name, name, name_len) == 0)
            return f;
    }
    return NULL;
}

struct report_failure *parser_last(struct parser *p)
{
    return p->report->len > 0 ? &p->report->failures[p->report->len - 1] : NULL;
}

static void failure_free(struct report_failure *f)
{
    free(f->name);
    free(f->file);
}

void parser_remove(struct parser *p, struct report_failure *failure)
{
    struct report *r = p->report;
    size_t index = (size_t)(failure - r->failures);

    failure_free(failure);
    memmove(failure, failure + 1, (r->len - index - 1) * sizeof *failure);
    r->len--;
}

void parser_set_place(struct report_failure *failure, const struct place *place)
{
    if (failure == NULL || failure->file != NULL)
        return;
    failure->file = xstrndup(place->file, place->file_len);
    failure->line = place->line;
}

static bool is_same_place(const struct report_failure *f, const char *file, size_t file_len, int line)
{
    return f->is_test || (file != NULL && f->file != NULL && f->line == line && strlen(f->file) == file_len &&
                          memcmp(f->file, file, file_len) == 0);
}

struct report_failure *parser_add(struct parser *p, const char *tool, bool is_test, const char *name, size_t name_len,
                                  const char *file, size_t file_len, int line)
{
    struct report *r = p->report;
    struct report_failure *f;

    while (name_len > 0 && isspace((unsigned char)name[name_len - 1]))
        name_len--;
    while (name_len > 0 && isspace((unsigned char)*name))
        name++, name_len--;
    if (name_len > MAX_NAME)
        name_len = MAX_NAME;
    if (name_len == 0)
        return NULL;
    f = parser_find(p, tool, name, name_len);
    if (f != NULL && is_same_place(f, file, file_len, line)) {
        if (file != NULL && f->file == NULL) {
            f->file = xstrndup(file, file_len);
            f->line = line;
        }
        return f;
    }
    if (r->len >= REPORT_MAX_FAILURES)
        return NULL;
    if (r->len == r->cap) {
        r->cap = r->cap > 0 ? r->cap * 2 : 16;
        r->failures = xrealloc(r->failures, r->cap * sizeof *r->failures);
    }
    f = &r->failures[r->len++];
    *f = (struct report_failure){.tool = tool, .is_test = is_test, .line = line};
    f->name = xstrndup(name, name_len);
    f->file = file != NULL ? xstrndup(file, file_len) : NULL;
    f->first = p->index > CONTEXT_LINES ? p->index - CONTEXT_LINES : 0;
    f->end = p->index + 1 + CONTEXT_LINES;
    return f;
}

/* --- The pass --------------------------------------------------------------------------------------- */

static bool try_rows(struct parser *p, const struct line_reader_row *rows, const char *line, const char *trimmed)
{
    for (; rows->tool != NULL; rows++) {
        if (rows->read(p, line, trimmed))
            return true;
    }
    return false;
}

void report_read(struct report *report, const char *output, size_t n)
{
    struct parser p = {.report = report};

    split_lines(output, n, &report->lines);
    for (p.index = 0; p.index < report->lines.len; p.index++) {
        const char *line = report->lines.items[p.index];
        const char *trimmed = line + strspn(line, " \t");

        if (*trimmed == '\0')
            continue;
        if (!try_rows(&p, report_test_rows, line, trimmed))
            (void)try_rows(&p, report_compiler_rows, line, trimmed);
    }
    report_read_junit(&p, output, n);
    for (size_t i = 0; i < report->len; i++) {
        struct report_failure *f = &report->failures[i];
        if (f->first >= report->lines.len)
            f->first = report->lines.len - 1;
        if (f->end <= f->first) /* named again further down */
            f->end = f->first + 1;
        if (f->end > report->lines.len)
            f->end = report->lines.len;
        if (f->end > f->first + MAX_PART)
            f->end = f->first + MAX_PART;
    }
    free(p.file);
    free(p.section);
    free(p.pending);
}

void report_finish(struct report *report)
{
    for (size_t i = 0; i < report->len; i++)
        failure_free(&report->failures[i]);
    free(report->failures);
    str_list_finish(&report->lines);
    *report = (struct report){0};
}

char *report_failure_text(const struct report_failure *f)
{
    if (f->file == NULL)
        return xstrdup(f->name);
    return f->line > 0 ? xasprintf("%s:%d: %s", f->file, f->line, f->name) : xasprintf("%s: %s", f->file, f->name);
}

char *report_failure_identity(const char *text)
{
    struct buf b = BUF_INIT;

    for (const char *p = text; *p != '\0';) {
        size_t digits = *p == ':' ? strspn(p + 1, "0123456789") : 0;
        if (digits > 0 && (p[1 + digits] == ':' || p[1 + digits] == '\0' || p[1 + digits] == ' '))
            p += 1 + digits;
        else
            buf_putc(&b, *p++);
    }
    return buf_take(&b);
}

size_t report_count_new(const struct str_list *before, const struct str_list *now)
{
    struct str_list known = {0};
    size_t count = 0;

    for (size_t i = 0; i < before->len; i++)
        str_list_take(&known, report_failure_identity(before->items[i]));
    for (size_t i = 0; i < now->len; i++) {
        char *identity = report_failure_identity(now->items[i]);
        count += !str_list_has(&known, identity);
        free(identity);
    }
    str_list_finish(&known);
    return count;
}
