/* ci/report_parsers.h: reads what test programs and compilers print and names what failed, with file and line.
 *
 * One pass over the lines. Each tool is a row of a table (report_parsers_tests.c, report_parsers_compilers.c);
 * what a tool says over several lines is kept in a small state. Output is a stranger's: nothing in it is
 * trusted, lines and findings are bounded, and text that no tool would print is passed over. */
#ifndef CADRE_CI_REPORT_PARSERS_H
#define CADRE_CI_REPORT_PARSERS_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define REPORT_MAX_FAILURES   200
#define REPORT_MAX_LINE_BYTES 400

struct report_failure {
    const char *tool; /* static: "pytest", "gcc", ... */
    char *name;       /* the test, or the compiler's message */
    char *file;       /* NULL when it is not known */
    int line;         /* 0 when it is not known */
    size_t first, end; /* lines of the output that are about it: [first, end) */
    bool is_test;      /* else a diagnostic */
};

struct report { /* zeroed memory is an empty report */
    struct str_list lines; /* without colours and control characters, bounded */
    struct report_failure *failures;
    size_t len, cap;
};

/* Reads N bytes. */
void report_read(struct report *report, const char *output, size_t n);
void report_finish(struct report *report);

/* "file:line: name", "file: name" or "name"; caller frees. */
char *report_failure_text(const struct report_failure *failure);

/* The same failure in another tree may stand in another line: the text without ":12" and ":12:5". */
char *report_failure_identity(const char *text);

/* How many of NOW (texts of failures) are not in BEFORE, whatever their lines. */
size_t report_count_new(const struct str_list *before, const struct str_list *now);

#endif
