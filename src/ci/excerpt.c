/* ci/excerpt.c: reads test and compiler output by the marks that its tools leave. One table of marks. */
#include "ci/excerpt.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TESTS      50
#define MAX_LINE_BYTES 400
#define CONTEXT_LINES  3

struct mark {
    const char *tool;
    const char *start;  /* the line (after white space) starts so, or NULL */
    const char *within; /* the line has this, or NULL */
};

static const struct mark marks[] = {
    {"tap", "not ok ", NULL},
    {"pytest", "FAILED ", NULL},
    {"pytest", "ERROR ", "::"},
    {"go", "--- FAIL: ", NULL},
    {"cargo", "test ", "... FAILED"},
    {"cargo", "thread '", "panicked at"},
    {"rustc", "error[E", NULL},
    {"rustc", "--> ", ".rs:"},
    {"jest", "\xe2\x97\x8f ", NULL},
    {"vitest", "FAIL ", NULL},
    {"node", "\xe2\x9c\x96 ", NULL},
    {"ctest", NULL, "***Failed"},
    {"ctest", NULL, "***Exception"},
    {"gtest", "[  FAILED  ] ", NULL},
    {"gtest", NULL, ": Failure"},
    {"cmocka", "[  ERROR   ]", NULL},
    {"check", NULL, ":F:"},
    {"meson", NULL, " FAIL "},
    {"junit", NULL, "<failure"},
    {"gcc", NULL, ": error: "},
    {"gcc", NULL, ": fatal error: "},
    {"tsc", NULL, ": error TS"},
    {"ld", NULL, "undefined reference to"},
    {"assert", NULL, "Assertion `"},
    {"python", NULL, "AssertionError"},
    {"sanitizer", NULL, "ERROR: AddressSanitizer"},
    {"sanitizer", NULL, ": runtime error: "},
    {"make", "make", "*** ["},
    {"shell", NULL, ": command not found"},
};

static const struct mark *find_mark(const char *line)
{
    line += strspn(line, " \t");
    /* TAP: what is expected to fail is no failure. */
    if (strncmp(line, "not ok ", 7) == 0 && (strstr(line, "# TODO") != NULL || strstr(line, "# SKIP") != NULL))
        return NULL;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const struct mark *m = &marks[i];
        if ((m->start == NULL || strncmp(line, m->start, strlen(m->start)) == 0) &&
            (m->within == NULL || strstr(line, m->within) != NULL))
            return m;
    }
    return NULL;
}

/* Lines without colour sequences, bounded in length. */
static void split_lines(const char *output, size_t n, struct str_list *lines)
{
    struct buf line = BUF_INIT;

    for (size_t i = 0; i <= n; i++) {
        if (i == n || output[i] == '\n') {
            if (i < n || line.len > 0)
                str_list_add(lines, buf_cstr(&line));
            buf_clear(&line);
        } else if (output[i] == '\x1b' && i + 1 < n && output[i + 1] == '[') {
            for (i += 2; i < n && !isalpha((unsigned char)output[i]); i++)
                ;
        } else if (line.len < MAX_LINE_BYTES && output[i] != '\r') {
            if (output[i] == '\0' || ((unsigned char)output[i] < ' ' && output[i] != '\t'))
                buf_putc(&line, '?');
            else
                buf_putc(&line, output[i]);
        }
    }
    buf_free(&line);
}

char *excerpt_make(const char *command, int exit_code, const char *output, size_t n, size_t max)
{
    struct str_list lines = {0};
    struct buf head = BUF_INIT, b = BUF_INIT;
    char *wanted;
    size_t tail_start, used, last = (size_t)-1;

    split_lines(output, n, &lines);
    wanted = xcalloc(lines.len + 1, 1);
    for (size_t i = 0; i < lines.len; i++) {
        if (find_mark(lines.items[i]) != NULL) {
            size_t from = i > CONTEXT_LINES ? i - CONTEXT_LINES : 0;
            for (size_t k = from; k < lines.len && k <= i + CONTEXT_LINES; k++)
                wanted[k] = 1;
        }
    }
    if (exit_code >= 0)
        buf_printf(&head, "exit code %d\n", exit_code);
    else
        buf_puts(&head, "killed\n");
    buf_printf(&head, "repeat with: %.*s%s\n\n", 800, command != NULL ? command : "", "");

    /* The end always belongs to it: a third of the room; the marked lines get the rest. */
    tail_start = lines.len;
    used = 0;
    while (tail_start > 0 && used + strlen(lines.items[tail_start - 1]) + 1 < max / 3) {
        tail_start--;
        used += strlen(lines.items[tail_start]) + 1;
    }
    for (size_t i = 0; i < tail_start; i++) {
        if (!wanted[i])
            continue;
        if (head.len + b.len + strlen(lines.items[i]) + used + 16 > max) {
            buf_puts(&b, "[...]\n");
            last = tail_start;
            break;
        }
        if (last != (size_t)-1 && last + 1 != i)
            buf_puts(&b, "[...]\n");
        buf_printf(&b, "%s\n", lines.items[i]);
        last = i;
    }
    if (tail_start > 0 && tail_start < lines.len && last + 1 != tail_start)
        buf_puts(&b, "[...]\n");
    for (size_t i = tail_start; i < lines.len; i++)
        buf_printf(&b, "%s\n", lines.items[i]);
    if (head.len + b.len > max)
        buf_truncate(&b, max > head.len ? utf8_floor(b.data, b.len, max - head.len) : 0);
    buf_puts(&head, buf_cstr(&b));
    {
        struct buf clean = BUF_INIT;
        utf8_append_repaired(&clean, buf_cstr(&head), head.len);
        buf_free(&head);
        if (clean.len > max)
            buf_truncate(&clean, utf8_floor(clean.data, clean.len, max));
        head = clean;
    }
    buf_free(&b);
    free(wanted);
    str_list_finish(&lines);
    return buf_take(&head);
}

void excerpt_failing_tests(const char *output, size_t n, struct str_list *tests)
{
    struct str_list lines = {0};

    split_lines(output, n, &lines);
    for (size_t i = 0; i < lines.len && tests->len < MAX_TESTS; i++) {
        char *line = str_trim(lines.items[i]);
        const struct mark *m = find_mark(line);
        if (m != NULL && strcmp(m->tool, "make") != 0 && !str_list_has(tests, line))
            str_list_add(tests, line);
    }
    str_list_finish(&lines);
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

uint64_t excerpt_fingerprint(const char *job, const char *step, const char *output, size_t n)
{
    struct str_list tests = {0};
    struct buf b = BUF_INIT;
    uint64_t hash;

    buf_printf(&b, "%s\n%s\n", job, step != NULL ? step : "");
    excerpt_failing_tests(output, n, &tests);
    if (tests.len == 0) {
        struct str_list lines = {0};
        split_lines(output, n, &lines);
        for (size_t i = lines.len > 5 ? lines.len - 5 : 0; i < lines.len; i++)
            normalize(&b, lines.items[i]);
        str_list_finish(&lines);
    }
    for (size_t i = 0; i < tests.len; i++)
        normalize(&b, tests.items[i]);
    str_list_finish(&tests);
    hash = str_hash(b.data, b.len);
    buf_free(&b);
    return hash != 0 ? hash : 1;
}
