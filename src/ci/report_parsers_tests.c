/* ci/report_parsers_tests.c: test programs: TAP, pytest, unittest, go test, cargo, node, jest, vitest, ctest, meson,
 * gtest, cmocka, Check, PHPUnit, surefire, rspec. */
#include "ci/report_parsers_internal.h"

#include "base/alloc.h"
#include "base/json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CROSS  "\xe2\x9c\x96 " /* ✖ */
#define BULLET "\xe2\x97\x8f " /* ● */

static const char *after_prefix(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

static struct report_failure *waiting_failure(struct parser *p, const char *tool)
{
    struct report_failure *last = parser_last(p);

    return p->waits_for_place && last != NULL && strcmp(last->tool, tool) == 0 ? last : NULL;
}

static void place_waiting(struct parser *p, struct report_failure *f, const struct place *place)
{
    parser_set_place(f, place);
    f->end = p->index + 6;
    p->waits_for_place = false;
}

/* --- TAP ---------------------------------------------------------------------------------------------- */

static bool is_tap_excused(const char *name)
{
    const char *mark = strstr(name, "# ");

    return mark != NULL && (strncasecmp(mark + 2, "TODO", 4) == 0 || strncasecmp(mark + 2, "SKIP", 4) == 0);
}

/* "# path/x.c:5: ...", "#   at t/x.t line 12.", "# (in test file test/x.bats, line 3)" */
static bool tap_comment_place(const char *text, struct place *place)
{
    const char *mark = strstr(text, " line "), *end, *start;

    if (place_find(text, place))
        return true;
    if (mark == NULL || !isdigit((unsigned char)mark[6]))
        return false;
    end = mark > text && mark[-1] == ',' ? mark - 1 : mark;
    for (start = end; start > text && !isspace((unsigned char)start[-1]); start--)
        ;
    *place = (struct place){.file = start, .file_len = (size_t)(end - start), .line = (int)strtol(mark + 6, NULL, 10)};
    return place->file_len > 0 && place->line > 0;
}

/* A line of the block between "---" and "...". */
static void tap_yaml_line(struct parser *p, struct report_failure *f, const char *trimmed)
{
    struct place place;
    const char *value;

    if (strcmp(trimmed, "...") == 0) {
        p->is_in_yaml = false;
        p->waits_for_place = false;
    } else if (strstr(trimmed, "subtestsFailed") != NULL) {
        parser_remove(p, f); /* the tests within it are named themselves */
        p->is_in_yaml = p->waits_for_place = false;
    } else if ((value = after_prefix(trimmed, "file: ")) != NULL && f->file == NULL) {
        value += *value == '\'' || *value == '"';
        place = (struct place){.file = value, .file_len = strcspn(value, "'\""), .line = f->line};
        parser_set_place(f, &place);
    } else if ((value = after_prefix(trimmed, "line: ")) != NULL && f->line == 0) {
        f->line = (int)strtol(value, NULL, 10);
    } else if ((strncmp(trimmed, "location: ", 10) == 0 || strncmp(trimmed, "at: ", 4) == 0) && place_find(trimmed, &place)) {
        parser_set_place(f, &place);
    }
}

static bool read_tap(struct parser *p, const char *line, const char *trimmed)
{
    const char *name = after_prefix(trimmed, "not ok ");
    struct report_failure *f = waiting_failure(p, "tap");
    struct place place;

    (void)line;
    if (name != NULL) {
        const char *dash = name + strspn(name, "0123456789");
        size_t n;
        dash += strspn(dash, " ");
        dash += strncmp(dash, "- ", 2) == 0 ? 2 : 0;
        p->is_in_yaml = p->waits_for_place = false;
        n = strlen(dash);
        if (!is_tap_excused(name))
            p->waits_for_place = parser_add(p, "tap", true, n > 0 ? dash : name, n > 0 ? n : strlen(name), NULL, 0, 0) != NULL;
        return true;
    }
    if (f == NULL)
        return false;
    if (p->is_in_yaml) {
        tap_yaml_line(p, f, trimmed);
        return true;
    }
    if (strcmp(trimmed, "---") == 0) {
        p->is_in_yaml = true;
        f->end = p->index + 12;
        return true;
    }
    if (*trimmed == '#' && tap_comment_place(trimmed, &place)) {
        place_waiting(p, f, &place);
        return true;
    }
    if (strncmp(trimmed, "ok ", 3) == 0)
        p->waits_for_place = false;
    return false;
}

/* --- Python ------------------------------------------------------------------------------------------- */

/* "____ TestA.test_x[1] ____" */
static bool pytest_section(struct parser *p, const char *line)
{
    const char *start = line + strspn(line, "_"), *end;

    if (start < line + 3 || *start != ' ')
        return false;
    start++;
    end = strchr(start, ' ');
    if (strncmp(start, "ERROR ", 6) == 0 || end == NULL || end[1] != '_')
        return false;
    free(p->section);
    p->section = xcalloc(1, 2 * (size_t)(end - start) + 1);
    for (char *to = p->section; start < end; start++) {
        if (*start == '[') {
            memcpy(to, start, (size_t)(end - start));
            break;
        }
        *to++ = *start == '.' ? ':' : *start;
        if (*start == '.')
            *to++ = ':';
    }
    return true;
}

/* "FAILED tests/test_a.py::TestA::test_x - assert 1 == 2" */
static bool pytest_summary(struct parser *p, const char *line)
{
    const char *path = after_prefix(line, "FAILED "), *end, *name, *close;
    struct report_failure *f;

    if (path == NULL)
        path = after_prefix(line, "ERROR ");
    if (path == NULL)
        return false;
    close = strchr(path, ']');
    end = strstr(close != NULL ? close : path, " - ");
    end = end != NULL ? end : path + strlen(path);
    name = strstr(path, "::");
    if (name == NULL || name > end) {
        if (strstr(path, ".py") == NULL || memchr(path, ' ', (size_t)(end - path)) != NULL)
            return false;
        parser_add(p, "pytest", true, *end != '\0' ? end + 3 : "does not load",
                   *end != '\0' ? strlen(end + 3) : strlen("does not load"), path, (size_t)(end - path), 0);
        return true;
    }
    f = parser_add(p, "pytest", true, name + 2, (size_t)(end - name - 2), NULL, 0, 0);
    if (f != NULL && f->file == NULL)
        f->file = xstrndup(path, (size_t)(name - path));
    return true;
}

static bool read_pytest(struct parser *p, const char *line, const char *trimmed)
{
    struct place place;
    const char *after;

    (void)trimmed;
    if (pytest_section(p, line) || pytest_summary(p, line))
        return true;
    if (p->section != NULL && place_read(line, &place, &after) && *after == ':' &&
        strncmp(place.file + place.file_len - (place.file_len > 3 ? 3 : 0), ".py", 3) == 0) {
        struct report_failure *f =
            parser_add(p, "pytest", true, p->section, strlen(p->section), place.file, place.file_len, place.line);
        if (f != NULL)
            f->first = p->index > 10 ? p->index - 10 : 0;
        FREE_NULL(p->section);
        return true;
    }
    return false;
}

/* "FAIL: test_x (tests.test_a.T)", then a traceback that the python row reads */
static bool read_unittest(struct parser *p, const char *line, const char *trimmed)
{
    const char *name = after_prefix(line, "FAIL: ");
    struct report_failure *f;

    (void)trimmed;
    if (name == NULL)
        name = after_prefix(line, "ERROR: ");
    if (name == NULL || strstr(name, " (") == NULL || strcspn(name, " ") != (size_t)(strstr(name, " (") - name))
        return false;
    f = parser_add(p, "unittest", true, name, strlen(name), NULL, 0, 0);
    p->waits_for_place = f != NULL;
    if (f != NULL)
        f->end = p->index + 12;
    return true;
}

/* --- Go ----------------------------------------------------------------------------------------------- */

/* A failing sub-test makes its parents fail: only the innermost is named. */
static void go_drop_parents(struct parser *p, const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct report_failure *parent = name[i] == '/' ? parser_find(p, "go", name, i) : NULL;
        if (parent != NULL)
            parser_remove(p, parent);
    }
}

static bool go_has_child(struct parser *p, const char *name, size_t n)
{
    for (size_t i = 0; i < p->report->len; i++) {
        const struct report_failure *f = &p->report->failures[i];
        if (strcmp(f->tool, "go") == 0 && strncmp(f->name, name, n) == 0 && f->name[n] == '/')
            return true;
    }
    return false;
}

static void go_add(struct parser *p, const char *name, size_t n)
{
    struct report_failure *f;

    if (go_has_child(p, name, n))
        return;
    go_drop_parents(p, name, n);
    f = parser_add(p, "go", true, name, n, p->file, p->file != NULL ? strlen(p->file) : 0, p->line);
    p->waits_for_place = f != NULL && f->file == NULL;
    if (f != NULL && p->file != NULL)
        f->first = p->place_index;
    parser_forget_place(p);
}

static bool go_line(struct parser *p, const char *line, const char *trimmed)
{
    const char *name = after_prefix(trimmed, "--- FAIL: "), *after;
    struct place place;
    struct report_failure *f = waiting_failure(p, "go");

    if (name != NULL) {
        go_add(p, name, strcspn(name, " "));
        return true;
    }
    if (strncmp(trimmed, "=== RUN", 7) == 0 || strncmp(trimmed, "--- PASS", 8) == 0) {
        p->waits_for_place = false;
        parser_forget_place(p);
        return true;
    }
    if (trimmed > line && place_find(trimmed, &place) && place.file == trimmed && place.file_len > 8 &&
        strncmp(place.file + place.file_len - 8, "_test.go", 8) == 0) {
        if (f != NULL)
            place_waiting(p, f, &place);
        else
            parser_remember_place(p, &place);
        return true;
    }
    trimmed = strncmp(trimmed, "vet: ", 5) == 0 ? trimmed + 5 : trimmed;
    if (place_read(trimmed, &place, &after) && place.file_len > 3 && strncmp(place.file + place.file_len - 3, ".go", 3) == 0 &&
        strncmp(after, ": ", 2) == 0 && trimmed == line) {
        parser_add(p, "go", false, after + 2, strlen(after + 2), place.file, place.file_len, place.line);
        return true;
    }
    return false;
}

/* go test -json: the text is in "Output"; "fail" names what no text named. */
static bool go_json(struct parser *p, const char *line)
{
    struct error err = {0};
    json_t *event = *line == '{' && strstr(line, "\"Action\":") != NULL ? json_parse(line, strlen(line), "event", &err) : NULL;
    const char *output = json_get_string(event, "Output", NULL), *test = json_get_string(event, "Test", NULL);
    bool is_mine = json_is_object(event);

    if (output != NULL) {
        char *text = xstrndup(output, strcspn(output, "\n"));
        (void)go_line(p, text, text + strspn(text, " \t"));
        free(text);
    } else if (test != NULL && strcmp(json_get_string(event, "Action", ""), "fail") == 0 &&
               parser_find(p, "go", test, strlen(test)) == NULL) {
        go_add(p, test, strlen(test));
    }
    json_decref(event);
    return is_mine;
}

static bool read_go(struct parser *p, const char *line, const char *trimmed)
{
    return go_json(p, line) || go_line(p, line, trimmed);
}

/* --- Rust --------------------------------------------------------------------------------------------- */

/* "thread 'tests::x' panicked at src/lib.rs:12:5:", before 1.73 "panicked at 'message', src/lib.rs:12:5" */
static bool cargo_panic(struct parser *p, const char *trimmed)
{
    const char *name = after_prefix(trimmed, "thread '"), *panicked = strstr(trimmed, "panicked at ");
    struct place place;
    struct report_failure *f;
    size_t n;

    if (name == NULL || panicked == NULL || !place_find(panicked, &place))
        return false;
    n = strcspn(name, "'");
    f = parser_find(p, "cargo", name, n);
    if (f == NULL)
        f = strncmp(name, "main'", 5) == 0 || strncmp(name, "<unnamed>", 9) == 0
                ? parser_add(p, "rust", false, panicked, strlen(panicked), place.file, place.file_len, place.line)
                : parser_add(p, "cargo", true, name, n, NULL, 0, 0);
    if (f != NULL) {
        parser_set_place(f, &place);
        f->first = p->index;
        f->end = p->index + 6;
    }
    return true;
}

static bool read_cargo(struct parser *p, const char *line, const char *trimmed)
{
    const char *name = after_prefix(line, "test "), *end;

    if (name != NULL && (end = strstr(name, " ... FAILED")) != NULL) {
        parser_add(p, "cargo", true, name, (size_t)(end - name), NULL, 0, 0);
        return true;
    }
    end = strncmp(trimmed, "FAIL [", 6) == 0 ? strstr(trimmed, "s] ") : NULL; /* cargo nextest */
    if (end != NULL) {
        const char *last = strrchr(end, ' ');
        parser_add(p, "cargo", true, last + 1, strlen(last + 1), NULL, 0, 0);
        return true;
    }
    return cargo_panic(p, trimmed);
}

/* --- JavaScript --------------------------------------------------------------------------------------- */

/* node --test: "✖ name (1.2ms)"; at the end "test at test/a.test.js:3:1" and the name again */
static bool read_node(struct parser *p, const char *line, const char *trimmed)
{
    const char *name = after_prefix(trimmed, CROSS), *end;
    struct report_failure *f;
    struct place place;

    (void)line;
    if (strncmp(trimmed, "test at ", 8) == 0 && place_read(trimmed + 8, &place, NULL)) {
        parser_remember_place(p, &place);
        return true;
    }
    if (name == NULL)
        return false;
    if (strncmp(name, "failing tests:", 14) == 0) { /* all are named again, without the suites around them */
        for (size_t i = p->report->len; i > 0; i--)
            if (strcmp(p->report->failures[i - 1].tool, "node") == 0)
                parser_remove(p, &p->report->failures[i - 1]);
        return true;
    }
    end = strrchr(name, '(');
    end = end != NULL && strstr(end, "ms)") != NULL ? end : name + strlen(name);
    f = parser_add(p, "node", true, name, (size_t)(end - name), p->file, p->file != NULL ? strlen(p->file) : 0, p->line);
    if (f != NULL)
        f->end = p->index + 10;
    parser_forget_place(p);
    return true;
}

/* The file of a "FAIL src/a.test.js" line, and vitest's "FAIL  src/a.test.ts > suite > name". */
static bool javascript_fail(struct parser *p, const char *trimmed)
{
    const char *file = after_prefix(trimmed, "FAIL "), *name;
    size_t n;

    if (file == NULL)
        return false;
    file += strspn(file, " ");
    if (*file == '|') { /* vitest's project name */
        const char *close = strchr(file + 1, '|');
        file = close != NULL ? close + 1 + strspn(close + 1, " ") : file;
    }
    n = strcspn(file, " ");
    if (n < 4 || memchr(file, '.', n) == NULL)
        return false;
    name = strstr(file + n, "> ");
    if (name != NULL) {
        parser_add(p, "vitest", true, name + 2, strlen(name + 2), file, n, 0);
        p->waits_for_place = true;
    } else {
        free(p->section);
        p->section = xstrndup(file, n);
    }
    return true;
}

static bool read_jest(struct parser *p, const char *line, const char *trimmed)
{
    const char *name = after_prefix(trimmed, BULLET);
    struct report_failure *f = waiting_failure(p, "jest");
    struct place place;

    (void)line;
    if (name != NULL && p->section != NULL && strncmp(name, "Console", 7) != 0) {
        f = parser_add(p, "jest", true, name, strlen(name), p->section, strlen(p->section), 0);
        p->waits_for_place = f != NULL;
        if (f != NULL)
            f->end = p->index + 20;
        return true;
    }
    f = f != NULL ? f : waiting_failure(p, "vitest");
    if (f != NULL && f->line == 0 && place_find(trimmed, &place) && f->file != NULL) {
        size_t n = strlen(f->file);
        if (place.file_len >= n && memcmp(place.file + place.file_len - n, f->file, n) == 0) {
            f->line = place.line;
            f->end = p->index + 3;
            return true;
        }
    }
    return javascript_fail(p, trimmed);
}

/* --- C and C++ ---------------------------------------------------------------------------------------- */

/* " 1/3 Test  #1: name .......***Failed    0.00 sec" */
static bool read_ctest(struct parser *p, const char *line, const char *trimmed)
{
    const char *number = strstr(trimmed, "Test "), *name, *end = strstr(trimmed, "***");

    (void)line;
    if (number == NULL || end == NULL || (name = strchr(number, '#')) == NULL || (name = strstr(name, ": ")) == NULL || name > end)
        return false;
    name += 2;
    while (end > name && (end[-1] == '.' || end[-1] == ' '))
        end--;
    parser_add(p, "ctest", true, name, (size_t)(end - name), NULL, 0, 0);
    return true;
}

/* " 2/31 suite / name        FAIL     0.01s   exit status 1" */
static bool read_meson(struct parser *p, const char *line, const char *trimmed)
{
    static const char *const words[] = {" FAIL ", " TIMEOUT ", " ERROR "};
    const char *name = trimmed + strspn(trimmed, "0123456789"), *end = NULL;

    (void)line;
    if (name == trimmed || *name != '/')
        return false;
    name += 1 + strspn(name + 1, "0123456789");
    for (size_t i = 0; end == NULL && i < sizeof words / sizeof *words; i++)
        end = strstr(name, words[i]);
    if (*name != ' ' || end == NULL || strstr(end, "s") == NULL)
        return false;
    parser_add(p, "meson", true, name, (size_t)(end - name), NULL, 0, 0);
    return true;
}

/* gtest and cmocka share the brackets: "[  FAILED  ] Suite.Name (0 ms)". */
static bool read_brackets(struct parser *p, const char *line, const char *trimmed)
{
    const char *name = after_prefix(trimmed, "[  FAILED  ] "), *after;
    struct place place;

    (void)line;
    if (strncmp(trimmed, "[ RUN      ]", 12) == 0 || strncmp(trimmed, "[       OK ]", 12) == 0) {
        parser_forget_place(p);
        return true;
    }
    if ((place_read(trimmed, &place, &after) && strncmp(after, ": Failure", 9) == 0) ||
        (strstr(trimmed, ": error: Failure!") != NULL && place_find(trimmed, &place))) {
        if (p->file == NULL)
            parser_remember_place(p, &place);
        if (waiting_failure(p, "tap") != NULL) {
            place_waiting(p, parser_last(p), &place);
            parser_forget_place(p);
        }
        return true;
    }
    if (name == NULL)
        return strncmp(trimmed, "[  ERROR   ]", 12) == 0;
    if (strstr(name, "listed below") == NULL && !isdigit((unsigned char)*name)) {
        bool is_new = parser_find(p, "gtest", name, strcspn(name, " ,")) == NULL;
        struct report_failure *f = parser_add(p, "gtest", true, name, strcspn(name, " ,"), p->file,
                                              p->file != NULL ? strlen(p->file) : 0, p->line);
        if (f != NULL && is_new && p->file != NULL)
            f->first = p->place_index > 2 ? p->place_index - 2 : 0;
    }
    parser_forget_place(p);
    return true;
}

/* "x_test.c:12:F:Core:test_name:0: Assertion 'a == b' failed" */
static bool read_check(struct parser *p, const char *line, const char *trimmed)
{
    struct place place;
    const char *after, *name;

    (void)line;
    if (!place_read(trimmed, &place, &after) || (strncmp(after, ":F:", 3) != 0 && strncmp(after, ":E:", 3) != 0))
        return false;
    name = strchr(after + 3, ':');
    if (name == NULL || strchr(name + 1, ':') == NULL)
        return false;
    parser_add(p, "check", true, name + 1, strcspn(name + 1, ":"), place.file, place.file_len, place.line);
    return true;
}

/* --- PHP, Java, Ruby ---------------------------------------------------------------------------------- */

static bool read_phpunit(struct parser *p, const char *line, const char *trimmed)
{
    size_t digits = strspn(line, "0123456789");
    struct report_failure *f = waiting_failure(p, "phpunit");
    struct place place;

    (void)trimmed;
    if (digits > 0 && strncmp(line + digits, ") ", 2) == 0 && strstr(line, "::") != NULL) {
        const char *name = line + digits + 2;
        f = parser_add(p, "phpunit", true, name, strlen(name), NULL, 0, 0);
        p->waits_for_place = f != NULL;
        return true;
    }
    if (f != NULL && place_read(line, &place, NULL) && strstr(line, ".php:") != NULL) {
        place_waiting(p, f, &place);
        return true;
    }
    return false;
}

/* "[ERROR]   ATest.testX:12 expected: <1> but was: <2>" */
static bool read_surefire(struct parser *p, const char *line, const char *trimmed)
{
    const char *name = after_prefix(trimmed, "[ERROR]   "), *colon, *dot;
    char *file;

    (void)line;
    if (name == NULL)
        return false;
    colon = name + strcspn(name, ": ");
    dot = memchr(name, '.', (size_t)(colon - name));
    if (*colon != ':' || !isdigit((unsigned char)colon[1]) || dot == NULL)
        return false;
    file = xasprintf("%.*s.java", (int)(dot - name), name);
    parser_add(p, "surefire", true, name, (size_t)(colon - name), file, strlen(file), (int)strtol(colon + 1, NULL, 10));
    free(file);
    return true;
}

/* "rspec ./spec/a_spec.rb:3 # A does b" */
static bool read_rspec(struct parser *p, const char *line, const char *trimmed)
{
    const char *name = strstr(line, " # ");
    struct place place;

    (void)trimmed;
    if (strncmp(line, "rspec ", 6) != 0 || name == NULL || !place_read(line + 6, &place, NULL))
        return false;
    parser_add(p, "rspec", true, name + 3, strlen(name + 3), place.file, place.file_len, place.line);
    return true;
}

const struct line_reader_row report_test_rows[] = {
    {"tap", read_tap},         {"pytest", read_pytest}, {"unittest", read_unittest}, {"go", read_go},
    {"cargo", read_cargo},     {"check", read_check},   {"gtest", read_brackets},    {"node", read_node},
    {"jest", read_jest},       {"ctest", read_ctest},   {"meson", read_meson},       {"phpunit", read_phpunit},
    {"surefire", read_surefire}, {"rspec", read_rspec}, {NULL, NULL},
};

/* --- JUnit -------------------------------------------------------------------------------------------- */

/* The value of the attribute within the tag [START, END), unescaped; NULL when it is not there. Caller frees. */
static char *attribute(const char *start, const char *end, const char *name)
{
    static const char *const entities[][2] = {{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}, {"&amp;", "&"}};
    size_t n = strlen(name);

    for (const char *p = start; p + n + 2 < end; p++) {
        const char *value = p + n + 2, *close;
        char *text, *to;
        if (!isspace((unsigned char)p[-1]) || memcmp(p, name, n) != 0 || p[n] != '=' || (p[n + 1] != '"' && p[n + 1] != '\''))
            continue;
        close = memchr(value, p[n + 1], (size_t)(end - value));
        if (close == NULL)
            return NULL;
        text = to = xcalloc(1, (size_t)(close - value) + 1);
        while (value < close) {
            bool found = false;
            for (size_t i = 0; !found && *value == '&' && i < sizeof entities / sizeof *entities; i++) {
                size_t k = strlen(entities[i][0]);
                if ((size_t)(close - value) >= k && memcmp(value, entities[i][0], k) == 0) {
                    *to++ = *entities[i][1];
                    value += k;
                    found = true;
                }
            }
            if (!found) {
                *to++ = (unsigned char)*value < ' ' ? ' ' : *value;
                value++;
            }
        }
        return text;
    }
    return NULL;
}

static bool starts_tag(const char *p, const char *end, const char *name)
{
    size_t n = strlen(name);

    return (size_t)(end - p) > n && memcmp(p, name, n) == 0 && (isspace((unsigned char)p[n]) || p[n] == '>' || p[n] == '/');
}

void report_read_junit(struct parser *p, const char *output, size_t n)
{
    const char *end = output + n, *counted = output;
    const char *name_tag = NULL, *name_end = NULL;

    if (output == NULL || n == 0 || memmem(output, n, "<testcase", 9) == NULL)
        return;
    p->index = 0;
    for (const char *tag = memchr(output, '<', n); tag != NULL; tag = memchr(tag + 1, '<', (size_t)(end - tag - 1))) {
        const char *close = memchr(tag, '>', (size_t)(end - tag));

        if (close == NULL)
            return;
        if (starts_tag(tag, end, "<testcase")) {
            name_tag = tag + 9;
            name_end = close;
        } else if (starts_tag(tag, end, "</testcase")) {
            name_tag = NULL;
        } else if (name_tag != NULL && (starts_tag(tag, end, "<failure") || starts_tag(tag, end, "<error"))) {
            char *name = attribute(name_tag, name_end, "name"), *class = attribute(name_tag, name_end, "classname");
            char *file = attribute(name_tag, name_end, "file"), *line = attribute(name_tag, name_end, "line");
            char *full = class != NULL && *class != '\0' ? xasprintf("%s.%s", class, name != NULL ? name : "") : xstrdup(name);
            for (; counted < tag; counted++)
                p->index += *counted == '\n';
            if (full != NULL)
                parser_add(p, "junit", true, full, strlen(full), file, file != NULL ? strlen(file) : 0,
                           line != NULL ? (int)strtol(line, NULL, 10) : 0);
            free(name);
            free(class);
            free(file);
            free(line);
            free(full);
            name_tag = NULL;
        }
    }
}
