/* ci/report_parsers_internal.h: what the rows of the tables share. Not for other modules. */
#ifndef CADRE_CI_REPORT_PARSERS_INTERNAL_H
#define CADRE_CI_REPORT_PARSERS_INTERNAL_H

#include "ci/report_parsers.h"

/* A place in a source file; FILE points into the line it was found in. */
struct place {
    const char *file;
    size_t file_len;
    int line;
};

struct parser {
    struct report *report;
    size_t index; /* of the line that is read */
    /* The last place that was named, for tools that name it before or after the test. */
    char *file;
    int line;
    size_t place_index; /* line of the output that named it */
    /* The last failure waits for its place: tools that name it after the test. */
    bool waits_for_place;
    char *section;      /* pytest: the test whose failure is shown; cargo: the same; jest: the file */
    char *pending;      /* rustc: the message whose place comes next */
    size_t pending_index;
    bool is_in_yaml;    /* TAP: between "---" and "..." */
};

/* Adds a failure, once for each name. Returns it, or NULL when there are too many. FILE may be NULL. */
struct report_failure *parser_add(struct parser *p, const char *tool, bool is_test, const char *name, size_t name_len,
                                  const char *file, size_t file_len, int line);
struct report_failure *parser_last(struct parser *p);
struct report_failure *parser_find(struct parser *p, const char *tool, const char *name, size_t name_len);
void parser_remove(struct parser *p, struct report_failure *failure);

/* Gives FAILURE its place when it has none. */
void parser_set_place(struct report_failure *failure, const struct place *place);
void parser_remember_place(struct parser *p, const struct place *place);
void parser_forget_place(struct parser *p);

/* "path/x.c:12" or "path/x.c:12:5" at TEXT; *END is what follows. The file must look like one: no white space, with a
 * dot or a slash. */
bool place_read(const char *text, struct place *place, const char **end);
/* The first such place in the line. */
bool place_find(const char *text, struct place *place);

/* JUnit's XML, wherever it stands in the output: lines mean nothing to it. */
void report_read_junit(struct parser *p, const char *output, size_t n);

/* One tool: looks at LINE (TRIMMED is without leading white space); true when the line was its. */
struct line_reader_row {
    const char *tool;
    bool (*read)(struct parser *p, const char *line, const char *trimmed);
};
extern const struct line_reader_row report_test_rows[];
extern const struct line_reader_row report_compiler_rows[];

#endif
