/* team/check_internal.h: the walk over a diff, shared by the files that hold the checks (builtin_checks.c, check_*.c).
 * Not for other folders. */
#ifndef CADRE_TEAM_CHECK_INTERNAL_H
#define CADRE_TEAM_CHECK_INTERNAL_H

#include "base/str.h"
#include "team/builtin_checks.h"

#include <stdbool.h>
#include <stddef.h>

enum check_id {
    CHECK_CREDENTIAL,
    CHECK_PRIVATE_KEY,
    CHECK_SECRET_FILE,
    CHECK_CI_CHANGED,
    CHECK_LINT_CHANGED,
    CHECK_LINT_SUPPRESSED,
    CHECK_BYPASSED,
    CHECK_TESTS_REMOVED,
    CHECK_TESTS_SKIPPED,
    CHECK_DEPENDENCY_ADDED,
    CHECK_LOCK_CHANGED,
    CHECK_LIFECYCLE_SCRIPT,
    CHECK_AUTO_RUN,
    CHECK_AGENT_INSTRUCTIONS,
    CHECK_PIPE_TO_SHELL,
    CHECK_TLS_OFF,
    CHECK_BIDI,
    CHECK_HOMOGLYPH,
    CHECK_SETUID,
    CHECK_MODE_CHANGED,
    CHECK_BINARY,
    CHECK_SUBMODULE,
    CHECK_SYMLINK,
    CHECK_SYMLINK_ESCAPES,
    CHECK_COUNT,
};

/* A dependency that a manifest names, until the file's end tells whether it was there before. */
struct check_name {
    char *name;
    int line;
};

struct check_scan {
    const struct str_list *allowed;
    struct vec *findings;
    char *file;    /* of the current part; "" when its header is not understood */
    char *section; /* of a TOML or INI file, or the key of an open list */
    bool is_new_file;
    bool is_deleted;
    bool is_symlink;
    bool is_test;
    bool was_file_checked;
    char *joined;    /* a command whose lines go on */
    int joined_line; /* the last of them */
    int line; /* number of the next line in the new file */
    int assertions_removed;
    int assertions_added;
    struct check_name *added; /* dependencies */
    size_t added_count;
    struct str_list removed;
    unsigned seen; /* a bit for each check that one finding a file is enough for */
};

/* Adds a finding of CHECK at LINE (0: the file), of the table's severity or SEVERITY. */
void check_add(struct check_scan *s, enum check_id check, int line, const char *title, const char *detail);
void check_add_severity(struct check_scan *s, enum check_id check, const char *severity, int line,
                        const char *title, const char *detail);
/* The same, at most once a file. */
void check_add_once(struct check_scan *s, enum check_id check, int line, const char *title,
                    const char *detail);

bool check_path_matches(const char *path, const char *const *patterns);
bool check_has_word(const char *text, const char *const *words);

/* --- check_commands.c: commands and settings in an added line --------------------------------------------------------- */

void check_commands(struct check_scan *s, const char *text);
/* A comment line only talks. */
bool check_is_comment(const char *text);

/* --- check_files.c: what a path, a mode or a header says ----------------------------------------------------------- */

bool check_is_test_file(const char *path);
void check_file(struct check_scan *s);
void check_file_mode(struct check_scan *s, const char *before, const char *mode);
void check_file_binary(struct check_scan *s);
void check_symlink_target(struct check_scan *s, const char *target);
void check_file_end(struct check_scan *s);

/* --- check_lines.c: an added or removed line ------------------------------------------------------------------------ */

void check_line_added(struct check_scan *s, const char *text, size_t n);
void check_line_removed(struct check_scan *s, const char *text);

/* --- check_unicode.c -------------------------------------------------------------------------------------------------- */

/* Characters that cannot be seen or that change the direction of text. */
bool check_is_deceptive(const char *text, size_t n);
/* A word that mixes Latin letters with look-alikes of another script. */
bool check_has_homoglyph(const char *text, size_t n);

/* --- check_manifests.c: what a package depends on and runs ------------------------------------------------------------ */

/* KIND is '+', '-' or ' '. */
void check_manifest_line(struct check_scan *s, char kind, const char *text);
void check_manifest_end(struct check_scan *s);

#endif
