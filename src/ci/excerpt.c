/* ci/excerpt.c: the failing part of a step's output, from what the report parsers find in it. */
#include "ci/excerpt.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "ci/report_parsers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TESTS       50
#define MAX_LISTED      12 /* names at the head of an excerpt */
#define MAX_COMMAND     800
#define MAX_LISTED_NAME 160
#define MAX_HEAD_BYTES  ((size_t)256 << 10)
#define MAX_TAIL_BYTES  ((size_t)768 << 10)

/* exit code, the command to repeat it, and what failed */
static void write_head(struct buf *b, const char *command, int exit_code, const struct report *report)
{
    if (exit_code >= 0)
        buf_printf(b, "exit code %d\n", exit_code);
    else
        buf_puts(b, "killed\n");
    buf_printf(b, "repeat with: %.*s\n", MAX_COMMAND, command != NULL ? command : "");
    for (size_t i = 0; i < report->len && i < MAX_LISTED; i++) {
        char *text = report_failure_text(&report->failures[i]);
        buf_printf(b, "%s%.*s\n", i == 0 ? "failing:\n  " : "  ", MAX_LISTED_NAME, text);
        free(text);
    }
    if (report->len > MAX_LISTED)
        buf_printf(b, "  and %zu more\n", report->len - MAX_LISTED);
    buf_putc(b, '\n');
}

/* The lines of the failures' parts in front of line TAIL, until the room is used up; true when all went in. */
static void write_parts(struct buf *b, const struct report *report, size_t tail, size_t room)
{
    char *wanted = xcalloc(report->lines.len + 1, 1);
    size_t last = (size_t)-1;

    for (size_t i = 0; i < report->len; i++)
        memset(wanted + report->failures[i].first, 1, report->failures[i].end - report->failures[i].first);
    for (size_t i = 0; i < tail; i++) {
        const char *line = report->lines.items[i];
        if (!wanted[i])
            continue;
        if (b->len + strlen(line) + 16 > room) {
            last = (size_t)-1;
            break;
        }
        if (last + 1 != i)
            buf_puts(b, "[...]\n");
        buf_printf(b, "%s\n", line);
        last = i;
    }
    if (tail > 0 && tail < report->lines.len && last + 1 != tail)
        buf_puts(b, "[...]\n");
    free(wanted);
}

static char *make_text(const struct report *report, const struct excerpt_source *from)
{
    struct buf head = BUF_INIT, body = BUF_INIT, clean = BUF_INIT;
    size_t max = from->max_bytes, tail, used = 0;

    write_head(&head, from->command, from->exit_code, report);

    /* The end always belongs to it: a third of the room; the failing parts get the rest. */
    for (tail = report->lines.len; tail > 0 && used + strlen(report->lines.items[tail - 1]) + 1 < max / 3; tail--)
        used += strlen(report->lines.items[tail - 1]) + 1;
    if (head.len + used < max)
        write_parts(&body, report, tail, max - head.len - used);
    for (size_t i = tail; i < report->lines.len; i++)
        buf_printf(&body, "%s\n", report->lines.items[i]);
    buf_puts(&head, buf_cstr(&body));
    utf8_append_repaired(&clean, buf_cstr(&head), head.len);
    if (clean.len > max)
        buf_truncate(&clean, utf8_floor(clean.data, clean.len, max));
    buf_free(&body);
    buf_free(&head);
    return buf_take(&clean);
}

/* Digits become "#", "/folder/of/file.c" becomes "file.c", 0x1f becomes "#". */
static void normalize(struct buf *b, const char *line)
{
    for (const char *p = line; *p != '\0'; p++) {
        if (p[0] == '0' && p[1] == 'x' && isxdigit((unsigned char)p[2])) {
            p += 2;
            while (isxdigit((unsigned char)p[1]))
                p++;
            buf_putc(b, '#');
        } else if (isdigit((unsigned char)*p)) {
            while (isdigit((unsigned char)p[1]) || p[1] == '.')
                p++;
            buf_putc(b, '#');
        } else if (*p == '/') {
            while (b->len > 0 && !isspace((unsigned char)b->data[b->len - 1]) &&
                   strchr("'\"(=:<", b->data[b->len - 1]) == NULL)
                buf_truncate(b, b->len - 1);
        } else {
            buf_putc(b, *p);
        }
    }
    buf_putc(b, '\n');
}

static uint64_t make_fingerprint(const struct report *report, const struct str_list *tests, const char *job,
                                 const char *step)
{
    struct buf b = BUF_INIT;
    uint64_t hash;

    buf_printf(&b, "%s\n%s\n", job, step != NULL ? step : "");
    for (size_t i = 0; i < tests->len; i++)
        normalize(&b, tests->items[i]);
    for (size_t i = report->lines.len < 5 ? 0 : report->lines.len - 5; tests->len == 0 && i < report->lines.len; i++)
        normalize(&b, report->lines.items[i]);
    hash = str_hash(b.data, b.len);
    buf_free(&b);
    return hash != 0 ? hash : 1;
}

/* "TREE/src/a.c" becomes "src/a.c": each run has another copy. */
static void append_without_tree(struct buf *b, const char *text, size_t n, const char *tree)
{
    size_t len = tree != NULL ? strlen(tree) : 0;
    const char *end = text + n;

    while (len > 0 && text < end) {
        const char *found = memmem(text, (size_t)(end - text), tree, len);
        if (found == NULL)
            break;
        buf_append(b, text, (size_t)(found - text));
        text = found + len;
        if (text < end && *text == '/')
            text++;
        else
            buf_putc(b, '.');
    }
    buf_append(b, text, (size_t)(end - text));
}

void excerpt_read(struct excerpt *out, const struct excerpt_source *from)
{
    struct report report = {0};
    struct buf text = BUF_INIT;
    const char *output = from->output;
    size_t n = from->output_len;

    if (n > MAX_HEAD_BYTES + MAX_TAIL_BYTES) { /* the first errors and the last words of a very long output */
        append_without_tree(&text, output, MAX_HEAD_BYTES, from->tree_dir);
        buf_puts(&text, "\n[...]\n");
        append_without_tree(&text, output + n - MAX_TAIL_BYTES, MAX_TAIL_BYTES, from->tree_dir);
    } else {
        append_without_tree(&text, output, n, from->tree_dir);
    }
    report_read(&report, buf_cstr(&text), text.len);
    for (size_t i = 0; i < report.len && out->tests.len < MAX_TESTS; i++) {
        char *failure = report_failure_text(&report.failures[i]);
        if (str_list_has(&out->tests, failure))
            free(failure);
        else
            str_list_take(&out->tests, failure);
    }
    out->text = make_text(&report, from);
    out->fingerprint = make_fingerprint(&report, &out->tests, from->job, from->step);
    report_finish(&report);
    buf_free(&text);
}

void excerpt_finish(struct excerpt *excerpt)
{
    free(excerpt->text);
    str_list_finish(&excerpt->tests);
    *excerpt = (struct excerpt){0};
}
