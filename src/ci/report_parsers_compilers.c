/* ci/report_parsers_compilers.c: diagnostics: gcc, clang, linker, rustc, tsc, javac, Python's tracebacks, sanitizers. */
#include "ci/report_parsers_internal.h"

#include "base/alloc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* "src/a.c:3:1: error: message", "fatal error:", also from ld and go vet ("x.go:3:1: message" has no word: go row) */
static bool read_gcc(struct parser *p, const char *line, const char *trimmed)
{
    struct place place;
    const char *after;

    (void)line;
    if (!place_read(trimmed, &place, &after) || *after != ':')
        return false;
    after += strspn(after, ": ");
    if (strncmp(after, "error: ", 7) == 0)
        after += 7;
    else if (strncmp(after, "fatal error: ", 13) == 0)
        after += 13;
    else if (strncmp(after, "undefined reference to", 22) != 0 && strncmp(after, "runtime error: ", 15) != 0)
        return false;
    if (strncmp(after, "Failure!", 8) == 0)
        return false; /* cmocka's place of a failure */
    parser_add(p, "gcc", false, after, strlen(after), place.file, place.file_len, place.line);
    return true;
}

/* "a.c:(.text+0x5): undefined reference to `f'" */
static bool read_linker(struct parser *p, const char *line, const char *trimmed)
{
    const char *found = strstr(line, "undefined reference to");

    (void)trimmed;
    if (found == NULL)
        return false;
    parser_add(p, "ld", false, found, strlen(found), NULL, 0, 0);
    return true;
}

/* The head of an error; those that only sum up have no place and are left out. */
static bool is_rust_error(const char *line)
{
    static const char *const sums[] = {"test failed", "could not compile", "aborting due to"};
    const char *message = strstr(line, ": ");

    if (message == NULL || (strncmp(line, "error[E", 7) != 0 && strncmp(line, "error: ", 7) != 0))
        return false;
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        if (strncmp(message + 2, sums[i], strlen(sums[i])) == 0)
            return false;
    }
    return true;
}

/* "error[E0308]: mismatched types", then "  --> src/lib.rs:3:5" */
static bool read_rustc(struct parser *p, const char *line, const char *trimmed)
{
    struct place place;

    if (is_rust_error(line)) {
        const char *message = strstr(line, ": ") + 2;
        free(p->pending);
        p->pending = xstrdup(message);
        p->pending_index = p->index;
        return false; /* without a place it may be another tool's */
    }
    if (p->pending != NULL && strncmp(trimmed, "--> ", 4) == 0 && p->index <= p->pending_index + 3 &&
        place_read(trimmed + 4, &place, NULL)) {
        struct report_failure *f =
            parser_add(p, "rustc", false, p->pending, strlen(p->pending), place.file, place.file_len, place.line);
        if (f != NULL)
            f->end = p->index + 8;
        FREE_NULL(p->pending);
        return true;
    }
    return false;
}

/* "src/a.ts(3,5): error TS2322: message" and "src/a.ts:3:5 - error TS2322: message" */
static bool read_tsc(struct parser *p, const char *line, const char *trimmed)
{
    const char *found = strstr(trimmed, "error TS"), *open = strchr(trimmed, '(');
    struct place place;

    (void)line;
    if (found == NULL || !isdigit((unsigned char)found[8]))
        return false;
    if (open != NULL && open < found && open > trimmed && isdigit((unsigned char)open[1])) {
        place = (struct place){.file = trimmed, .file_len = (size_t)(open - trimmed), .line = (int)strtol(open + 1, NULL, 10)};
    } else if (!place_read(trimmed, &place, NULL)) {
        return false;
    }
    found += 6;
    parser_add(p, "tsc", false, found, strlen(found), place.file, place.file_len, place.line);
    return true;
}

/* "[ERROR] /path/A.java:[12,5] message" and "A.java:12: error: message" (that one is gcc's form) */
static bool read_javac(struct parser *p, const char *line, const char *trimmed)
{
    const char *mark = strstr(trimmed, ":["), *file, *close;

    (void)line;
    if (strncmp(trimmed, "[ERROR] ", 8) != 0 || mark == NULL || !isdigit((unsigned char)mark[2]))
        return false;
    file = trimmed + 8;
    close = strchr(mark, ']');
    if (close == NULL || mark <= file || memchr(file, ' ', (size_t)(mark - file)) != NULL)
        return false;
    parser_add(p, "javac", false, close + 1, strlen(close + 1), file, (size_t)(mark - file), (int)strtol(mark + 2, NULL, 10));
    return true;
}

/* `  File "x.py", line 3, in f` ... `ValueError: message` */
static bool read_python(struct parser *p, const char *line, const char *trimmed)
{
    if (strncmp(trimmed, "File \"", 6) == 0) {
        const char *quote = strchr(trimmed + 6, '"');
        if (quote != NULL && strncmp(quote, "\", line ", 8) == 0) {
            struct place place = {.file = trimmed + 6, .file_len = (size_t)(quote - trimmed - 6), .line = (int)strtol(quote + 8, NULL, 10)};
            parser_remember_place(p, &place);
            if (p->waits_for_place && parser_last(p) != NULL && strcmp(parser_last(p)->tool, "unittest") == 0) {
                parser_set_place(parser_last(p), &place); /* the first frame is the test's */
                parser_last(p)->end = p->index + 6;
            }
            return true;
        }
    }
    if (p->file != NULL && p->index <= p->place_index + 4 && isupper((unsigned char)*line)) {
        size_t n = strcspn(line, ": ");
        if (n > 5 && (strncmp(line + n - 5, "Error", 5) == 0 || (n > 9 && strncmp(line + n - 9, "Exception", 9) == 0)) &&
            (line[n] == ':' || line[n] == '\0')) {
            if (!p->waits_for_place)
                parser_add(p, "python", false, line, strlen(line), p->file, strlen(p->file), p->line);
            p->waits_for_place = false;
            parser_forget_place(p);
            return true;
        }
    }
    return false;
}

/* "prog: src/a.c:12: main: Assertion `x' failed." and sanitizers */
static bool read_abort(struct parser *p, const char *line, const char *trimmed)
{
    const char *found = strstr(line, "Assertion `");
    struct place place;

    if (found != NULL && place_find(trimmed, &place) && place.file < found) {
        parser_add(p, "assert", false, found, strlen(found), place.file, place.file_len, place.line);
        return true;
    }
    found = strstr(line, "Sanitizer: ");
    if (found != NULL && strstr(line, "ERROR: ") != NULL) {
        found = strstr(line, "ERROR: ") + 7;
        parser_add(p, "sanitizer", false, found, strlen(found), NULL, 0, 0);
        return true;
    }
    return false;
}

/* "make: *** [Makefile:3: check] Error 2" and "sh: 1: foo: not found" say where, not what: kept out of the names. */
static bool read_shell(struct parser *p, const char *line, const char *trimmed)
{
    const char *found = strstr(line, ": command not found");

    if (found == NULL)
        found = strncmp(trimmed, "sh: ", 4) == 0 || strncmp(trimmed, "/bin/sh: ", 9) == 0 ? strstr(line, ": not found") : NULL;
    if (found == NULL)
        return false;
    parser_add(p, "shell", false, trimmed, strlen(trimmed), NULL, 0, 0);
    return true;
}

const struct line_reader_row report_compiler_rows[] = {
    {"tsc", read_tsc},       {"gcc", read_gcc},       {"rustc", read_rustc}, {"javac", read_javac},
    {"python", read_python}, {"assert", read_abort},  {"ld", read_linker},   {"shell", read_shell},
    {NULL, NULL},
};
