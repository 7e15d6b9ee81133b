/* team/builtin_checks.c: see builtin_checks.h. The table of checks, and the walk over a diff that hands files and lines to
 * check_files.c, check_lines.c and check_manifests.c. */
#include "team/check_internal.h"

#include "base/alloc.h"
#include "base/glob.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

static const struct check_info checks[CHECK_COUNT + 1] = {
    [CHECK_CREDENTIAL] =
        {"credential", "blocker",
         "an added line with a credential: by its form, as a random value assigned to a secret's name, or a "
         "value this environment keeps secret; placeholders do not count"},
    [CHECK_PRIVATE_KEY] = {"private-key", "blocker", "an added private key"},
    [CHECK_SECRET_FILE] = {"secret-file", "blocker",
                           "a new file that usually holds secrets (`.env`, `*.pem`, `id_rsa`, `.npmrc`, …)"},
    [CHECK_CI_CHANGED] = {"ci-changed", "blocker", "a change of the CI definition or of code owners"},
    [CHECK_LINT_CHANGED] = {"lint-changed", "major",
                            "a change of lint, type-check, test or coverage configuration"},
    [CHECK_LINT_SUPPRESSED] = {"lint-suppressed", "minor",
                               "an added comment that switches a check off for a line or file"},
    [CHECK_BYPASSED] = {"checks-bypassed", "major",
                        "a test or lint command whose failure does not count (`|| true`) or that does nothing, or git's hooks "
                        "passed by (`--no-verify`)"},
    [CHECK_TESTS_REMOVED] = {"tests-removed", "blocker",
                             "a deleted test file; fewer assertions in one (major)"},
    [CHECK_TESTS_SKIPPED] = {"tests-skipped", "blocker",
                             "a test that is switched off, or the only one left on"},
    [CHECK_DEPENDENCY_ADDED] =
        {"dependency-added", "major",
         "a new dependency in a manifest (npm, Cargo, Go, Python, Maven, Gradle, Ruby, PHP, .NET), or "
         "another place to take them from"},
    [CHECK_LOCK_CHANGED] = {"lock-changed", "major", "a change of a dependency lock file"},
    [CHECK_LIFECYCLE_SCRIPT] =
        {"lifecycle-script", "major",
         "a script that runs at install or build: in `package.json`, `composer.json`; a new "
         "`binding.gyp`, `build.rs`, `extconf.rb`"},
    [CHECK_AUTO_RUN] =
        {"auto-run", "major",
         "a file that git or an editor acts on by itself: `.gitattributes`, hooks, `.envrc`, tasks of an "
         "editor, dev containers"},
    [CHECK_AGENT_INSTRUCTIONS] =
        {"agent-instructions", "major",
         "a change of what later agents take for instructions: `AGENTS.md`, `CLAUDE.md`, skills, "
         "rules, MCP settings"},
    [CHECK_PIPE_TO_SHELL] = {"pipe-to-shell", "major",
                             "a download that is piped into a shell or interpreter"},
    [CHECK_TLS_OFF] = {"tls-off", "major", "certificate checks switched off"},
    [CHECK_BIDI] =
        {"bidi", "blocker",
         "characters that are invisible or change the direction of text, also Unicode tags, also in a name"},
    [CHECK_HOMOGLYPH] =
        {"homoglyph", "blocker",
         "a word that mixes Latin letters with look-alikes of another script, also in a name"},
    [CHECK_SETUID] = {"setuid", "blocker",
                      "a file mode or a command that gives setuid, setgid or capabilities"},
    [CHECK_MODE_CHANGED] = {"mode-changed", "minor", "a file that becomes executable or no longer is"},
    [CHECK_BINARY] =
        {"binary", "major",
         "a new or changed binary, or a file that git is told to show as one; images and fonts are minor"},
    [CHECK_SUBMODULE] = {"submodule", "blocker",
                         "a submodule that is added or moved, a change of `.gitmodules`"},
    [CHECK_SYMLINK] = {"symlink", "minor", "a new symlink"},
    [CHECK_SYMLINK_ESCAPES] = {"symlink-escapes", "blocker",
                               "a symlink that leads out of the tree or into `.git`"},
};

const struct check_info *builtin_check_at(size_t index)
{
    return index < CHECK_COUNT ? &checks[index] : NULL;
}

bool builtin_check_exists(const char *id, const char **nearest)
{
    const char *ids[CHECK_COUNT + 1] = {NULL};

    for (size_t i = 0; i < CHECK_COUNT; i++) {
        ids[i] = checks[i].id;
        if (strcmp(ids[i], id) == 0)
            return true;
    }
    if (nearest != NULL)
        *nearest = str_nearest(id, ids);
    return false;
}

void check_finding_destroy(struct check_finding *finding)
{
    if (finding == NULL)
        return;
    free(finding->file);
    free(finding->title);
    free(finding->detail);
    free(finding);
}

void check_add_severity(struct check_scan *s, enum check_id check, const char *severity, int line,
                        const char *title, const char *detail)
{
    struct check_finding *finding;

    if (str_list_has(s->allowed, checks[check].id))
        return;
    finding = xcalloc(1, sizeof *finding);
    finding->check = checks[check].id;
    finding->severity = severity;
    finding->file = xstrdup(s->file == NULL ? "" : s->file);
    finding->line = line;
    finding->title = xstrdup(title);
    finding->detail = xstrdup(detail);
    vec_push(s->findings, finding);
}

void check_add(struct check_scan *s, enum check_id check, int line, const char *title, const char *detail)
{
    check_add_severity(s, check, checks[check].severity, line, title, detail);
}

void check_add_once(struct check_scan *s, enum check_id check, int line, const char *title,
                    const char *detail)
{
    if ((s->seen >> check & 1U) != 0)
        return;
    s->seen |= 1U << check;
    check_add(s, check, line, title, detail);
}

bool check_path_matches(const char *path, const char *const *patterns)
{
    for (; *patterns != NULL; patterns++)
        if (glob_match(*patterns, path))
            return true;
    return false;
}

bool check_has_word(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strstr(text, *words) != NULL)
            return true;
    return false;
}

/* --- The walk --------------------------------------------------------------------------------------------------------- */

/* git's quoting: "a\303\244\t\"" without the quotes. */
static char *unquote(const char *text, size_t n)
{
    char *out = xcalloc(1, n + 1);
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] != '\\' || i + 1 >= n) {
            out[len++] = text[i];
        } else if (text[i + 1] >= '0' && text[i + 1] <= '3' && i + 3 < n) {
            out[len++] =
                (char)((text[i + 1] - '0') << 6 | ((text[i + 2] - '0') & 7) << 3 | ((text[i + 3] - '0') & 7));
            i += 3;
        } else {
            static const char names[] = "abtnvfr", codes[] = "\a\b\t\n\v\f\r";
            const char *at = strchr(names, text[++i]);

            out[len++] = at == NULL ? text[i] : codes[at - names];
        }
    }
    return out;
}

/* "diff --git a/P b/P": without renames both sides are the same path. */
static char *path_of(const char *line)
{
    const char *rest = line + strlen("diff --git ");
    size_t n = strlen(rest);
    const char *b;

    if (n < 5)
        return xstrdup("");
    b = rest + n / 2 + 1;
    if (rest[0] == '"') /* "a/P" "b/P" */
        return strlen(b) > 4 ? unquote(b + 3, strlen(b) - 4) : xstrdup("");
    return xstrdup(str_starts_with(b, "b/") ? b + 2 : b);
}

static void end_file(struct check_scan *s)
{
    if (s->file != NULL) {
        check_file_end(s);
        check_manifest_end(s);
    }
    FREE_NULL(s->file);
    FREE_NULL(s->section);
    FREE_NULL(s->joined);
    s->is_new_file = s->is_deleted = s->is_symlink = s->is_test = s->was_file_checked = false;
    s->assertions_removed = s->assertions_added = 0;
    s->seen = 0;
}

static void begin_file(struct check_scan *s, const char *line)
{
    end_file(s);
    s->file = path_of(line);
    s->is_test = check_is_test_file(s->file);
}

/* A line of a file's header; OLD_MODE is kept between two of them. */
static void read_header(struct check_scan *s, const char *line, char old_mode[8])
{
    if (str_starts_with(line, "diff --git ")) {
        begin_file(s, line);
        old_mode[0] = '\0';
        return;
    }
    if (s->file == NULL)
        return;
    if (str_starts_with(line, "new file mode ")) {
        s->is_new_file = true;
        check_file_mode(s, NULL, line + strlen("new file mode "));
    } else if (str_starts_with(line, "deleted file mode ")) {
        s->is_deleted = true;
    } else if (str_starts_with(line, "old mode ")) {
        (void)strncpy(old_mode, line + strlen("old mode "), 7);
        old_mode[7] = '\0';
    } else if (str_starts_with(line, "new mode ")) {
        check_file_mode(s, old_mode, line + strlen("new mode "));
    } else if (str_starts_with(line, "index ") && str_ends_with(line, " 120000")) {
        s->is_symlink = true; /* one that leads elsewhere now */
    } else if (str_starts_with(line, "Binary files ") || str_starts_with(line, "GIT binary patch")) {
        check_file_binary(s);
    }
    /* An empty new file has no "index" line with a hunk; modes and kind come first in any case. */
    if (!s->was_file_checked && !str_starts_with(line, "old mode ")) {
        s->was_file_checked = true;
        check_file(s);
    }
}

static void read_hunk_line(struct check_scan *s, const char *line, size_t n)
{
    if (s->file == NULL || n == 0)
        return;
    switch (line[0]) {
    case '+':
        if (s->is_symlink)
            check_symlink_target(s, line + 1);
        else
            check_line_added(s, line + 1, n - 1);
        check_manifest_line(s, '+', line + 1);
        s->line++;
        break;
    case '-':
        check_line_removed(s, line + 1);
        check_manifest_line(s, '-', line + 1);
        break;
    case ' ':
        check_manifest_line(s, ' ', line + 1);
        s->line++;
        break;
    default:
        break; /* "\ No newline at end of file" */
    }
}

int builtin_checks_run(const char *diff, size_t n, const struct str_list *allowed, struct vec *findings,
                       struct error *err)
{
    struct check_scan s = {.allowed = allowed, .findings = findings};
    char old_mode[8] = "";
    bool in_hunk = false;

    (void)err;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(diff + at, '\n', n - at);
        size_t len = end == NULL ? n - at : (size_t)(end - (diff + at));
        char *line = xcalloc(1, len + 1);

        memcpy(line, diff + at, len);
        if (in_hunk && len > 1 && line[len - 1] == '\r')
            line[len - 1] = '\0'; /* a file with the line ends of Windows */
        for (size_t i = 0; i < len; i++) /* the checks look at C strings: nothing hides behind a NUL */
            if (line[i] == '\0')
                line[i] = ' ';
        if (str_starts_with(line, "diff --git "))
            in_hunk = false;
        if (str_starts_with(line, "@@ ")) {
            const char *plus = strchr(line, '+');

            in_hunk = true;
            s.line = plus == NULL ? 0 : atoi(plus + 1);
        } else if (in_hunk) {
            read_hunk_line(&s, line, len);
        } else {
            read_header(&s, line, old_mode);
        }
        free(line);
        at += len + 1;
    }
    end_file(&s);
    return 0;
}
