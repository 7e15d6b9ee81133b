/* team/builtin_checks.c: see builtin_checks.h. Reads the diff line by line; only added and removed lines and the headers
 * of files count. */
#include "team/builtin_checks.h"

#include "base/alloc.h"
#include "base/glob.h"
#include "base/str.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "base/secret_patterns.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const struct str_list *allowed;
    struct vec *findings;
    char *file;       /* of the current part */
    bool is_new_file;
    bool is_deleted;
    int line;         /* number of the next line in the new file */
    int tests_removed;
    int tests_added;
};

void check_finding_destroy(struct check_finding *finding)
{
    if (finding == NULL)
        return;
    free(finding->file);
    free(finding->title);
    free(finding->detail);
    free(finding);
}

static void add(struct scan *s, const char *check, const char *severity, int line, const char *title,
                const char *detail)
{
    struct check_finding *finding;

    if (str_list_has(s->allowed, check))
        return;
    finding = xcalloc(1, sizeof *finding);
    finding->check = check;
    finding->severity = severity;
    finding->file = xstrdup(s->file == NULL ? "" : s->file);
    finding->line = line;
    finding->title = xstrdup(title);
    finding->detail = xstrdup(detail);
    vec_push(s->findings, finding);
}

static bool matches_any(const char *path, const char *const *patterns)
{
    for (; *patterns != NULL; patterns++)
        if (glob_match(*patterns, path))
            return true;
    return false;
}

static const char *const test_files[] = {"tests/**", "test/**",     "**/tests/**", "**/test/**", "**/test_*", "**/*_test.*",
                                         "spec/**",  "**/*.test.*", "**/*.spec.*", NULL};
static const char *const ci_files[] = {".github/workflows/**", ".github/actions/**", ".gitlab-ci.yml", ".circleci/**",
                                       "azure-pipelines.yml",  "Jenkinsfile",        ".travis.yml",    NULL};
static const char *const lint_files[] = {".clang-tidy", "**/.eslintrc*", "**/eslint.config.*", "**/.pylintrc", "**/.flake8",
                                         "**/ruff.toml", ".golangci.y*ml", "**/.rubocop.yml", ".pre-commit-config.yaml",
                                         ".editorconfig", "**/.shellcheckrc", "codecov.yml", NULL};
static const char *const lock_files[] = {"**/package-lock.json", "**/yarn.lock", "**/pnpm-lock.yaml", "**/Cargo.lock",
                                         "**/poetry.lock", "**/uv.lock", "**/go.sum", "**/Gemfile.lock", "**/composer.lock",
                                         NULL};
static const char *const env_files[] = {"**/.env", "**/.env.*", "**/*.pem", "**/*.p12", "**/*.pfx", "**/id_rsa",
                                        "**/id_ed25519", "**/.npmrc", "**/.netrc", "**/.pypirc", NULL};

/* --- Files ----------------------------------------------------------------------------------------------------------- */

static void check_file(struct scan *s)
{
    if (s->is_deleted && matches_any(s->file, test_files))
        add(s, "tests-removed", "blocker", 0, "a test file is deleted", "Tests may only go with the plan's leave.");
    if (matches_any(s->file, ci_files))
        add(s, "ci-changed", "blocker", 0, "the CI definition is changed",
            "What judges the work may only change with the plan's leave (allow: ci-changed).");
    if (matches_any(s->file, lint_files))
        add(s, "lint-changed", "major", 0, "lint or coverage configuration is changed",
            "It may only change with the plan's leave (allow: lint-changed).");
    if (matches_any(s->file, lock_files))
        add(s, "lock-changed", "major", 0, "a dependency lock file is changed",
            "New dependencies need the plan's leave (allow: lock-changed).");
    if (s->is_new_file && matches_any(s->file, env_files) && !str_ends_with(s->file, ".example") &&
        !str_ends_with(s->file, ".sample"))
        add(s, "secret-file", "blocker", 0, "a file that usually holds secrets is added",
            "Keep it out of the repository and name it in .gitignore.");
}

static void check_mode(struct scan *s, const char *mode)
{
    if (strncmp(mode, "120000", 6) == 0)
        add(s, "symlink", "minor", 0, "a symlink is added", "Links that lead out of the tree are refused at commit.");
    if (strncmp(mode, "160000", 6) == 0)
        add(s, "submodule", "blocker", 0, "a submodule is added or moved", "Submodules may only change by hand.");
}

/* A file's end: tests that went without any that came. */
static void finish_file(struct scan *s)
{
    if (s->file != NULL && !s->is_deleted && s->tests_removed > s->tests_added && matches_any(s->file, test_files))
        add(s, "tests-removed", "major", 0, "test cases or assertions are removed",
            "More assertions go than come. Tests may only be weakened with the plan's leave (allow: tests-removed).");
    FREE_NULL(s->file);
    s->is_new_file = s->is_deleted = false;
    s->tests_removed = s->tests_added = 0;
}

/* --- Lines ----------------------------------------------------------------------------------------------------------- */

static bool is_assertion(const char *text)
{
    static const char *const words[] = {"assert", "expect(", "ASSERT_", "EXPECT_", "REQUIRE(", "CHECK(", "#[test]",
                                        "def test_", "func Test", "it(", "test(", "@Test"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(text, words[i]) != NULL)
            return true;
    return false;
}

static bool is_skip(const char *text)
{
    static const char *const words[] = {"@pytest.mark.skip", "@unittest.skip", "pytest.skip(", ".skip(", "xit(", "xdescribe(",
                                        "#[ignore]", "t.Skip(", "t.SkipNow(", "@Disabled", "@Ignore", "GTEST_SKIP"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(text, words[i]) != NULL)
            return true;
    return false;
}

static bool has_bidi(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        size_t len = utf8_decode(text + i, n - i, &cp);

        if ((cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || (cp >= 0x200b && cp <= 0x200f && cp != 0x200d))
            return true;
        i += len == 0 ? 1 : len;
    }
    return false;
}

static bool pipes_download_to_shell(const char *text)
{
    const char *fetch = strstr(text, "curl ");
    const char *pipe;

    if (fetch == NULL)
        fetch = strstr(text, "wget ");
    pipe = fetch == NULL ? NULL : strchr(fetch, '|');
    if (pipe == NULL)
        return false;
    do
        pipe++;
    while (*pipe == ' ' || *pipe == '\t');
    if (str_starts_with(pipe, "sudo "))
        pipe += 5;
    return str_starts_with(pipe, "sh") || str_starts_with(pipe, "bash") || str_starts_with(pipe, "zsh") ||
           str_starts_with(pipe, "python");
}

static bool disables_tls(const char *text)
{
    static const char *const words[] = {"verify=False", "rejectUnauthorized: false", "InsecureSkipVerify: true",
                                        "CURLOPT_SSL_VERIFYPEER, 0", "CURLOPT_SSL_VERIFYHOST, 0", "--insecure",
                                        "NODE_TLS_REJECT_UNAUTHORIZED", "--no-check-certificate", "sslVerify false",
                                        "danger_accept_invalid_certs(true)", "ssl._create_unverified_context"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(text, words[i]) != NULL)
            return true;
    return false;
}

static bool is_lifecycle_script(const char *file, const char *text)
{
    static const char *const keys[] = {"\"preinstall\"", "\"install\"", "\"postinstall\"", "\"prepare\"", "\"prepublish\""};

    if (!str_ends_with(file, "package.json"))
        return false;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strstr(text, keys[i]) != NULL)
            return true;
    return false;
}

static void check_added(struct scan *s, const char *text, size_t n)
{
    const char *kind = secret_find(text, n);

    if (kind != NULL) {
        char *title = xasprintf("a credential is added (%s)", kind);

        add(s, "credential", "blocker", s->line, title,
            "Take it out, read it from the environment, and treat it as leaked where it is real.");
        free(title);
    }
    if (has_bidi(text, n))
        add(s, "bidi", "blocker", s->line, "invisible or direction-changing characters are added",
            "They make code read differently from what it does.");
    if (pipes_download_to_shell(text))
        add(s, "pipe-to-shell", "major", s->line, "a download is piped into a shell", "Pin and check what is run.");
    if (disables_tls(text))
        add(s, "tls-off", "major", s->line, "certificate checks are switched off", "Keep them on.");
    if (is_lifecycle_script(s->file, text))
        add(s, "lifecycle-script", "major", s->line, "a script that runs at install is added or changed",
            "It runs on every machine that installs the package (allow: lifecycle-script).");
    if (matches_any(s->file, test_files)) {
        if (is_skip(text))
            add(s, "tests-skipped", "blocker", s->line, "a test is switched off",
                "Mend what it tests, or get the plan's leave (allow: tests-skipped).");
        s->tests_added += is_assertion(text);
    }
}

/* --- The diff --------------------------------------------------------------------------------------------------------- */

/* "diff --git a/P b/P": without renames both sides are the same path. */
static char *path_of(const char *line)
{
    const char *rest = line + strlen("diff --git ");
    size_t n = strlen(rest);
    const char *b;

    if (n < 5)
        return xstrdup("");
    b = rest + n / 2 + 1;
    if (rest[0] == '"') /* a quoted name: git's escapes stay as they are */
        return xstrndup(b + 3, strlen(b + 3) > 0 ? strlen(b + 3) - 1 : 0);
    return xstrdup(str_starts_with(b, "b/") ? b + 2 : b);
}

static void read_header(struct scan *s, char *line)
{
    if (str_starts_with(line, "diff --git ")) {
        finish_file(s);
        s->file = path_of(line);
    } else if (str_starts_with(line, "new file mode ")) {
        s->is_new_file = true;
        check_mode(s, line + strlen("new file mode "));
    } else if (str_starts_with(line, "deleted file mode ")) {
        s->is_deleted = true;
    } else if (str_starts_with(line, "new mode ")) {
        check_mode(s, line + strlen("new mode "));
    } else if (str_starts_with(line, "Binary files ") && s->is_new_file) {
        add(s, "binary", "major", 0, "a binary file is added", "Binaries cannot be reviewed (allow: binary).");
    }
}

int builtin_checks_run(const char *diff, size_t n, const struct str_list *allowed, struct vec *findings,
                       struct error *err)
{
    struct scan s = {.allowed = allowed, .findings = findings};
    bool in_hunk = false;

    (void)err;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(diff + at, '\n', n - at);
        size_t len = end == NULL ? n - at : (size_t)(end - (diff + at));
        char *line = xstrndup(diff + at, len);

        if (str_starts_with(line, "diff --git "))
            in_hunk = false;
        if (!in_hunk && str_starts_with(line, "diff --git ")) {
            read_header(&s, line);
        } else if (!in_hunk && !str_starts_with(line, "@@ ")) {
            bool was_known = s.is_new_file || s.is_deleted;

            read_header(&s, line);
            if (!was_known && s.file != NULL && str_starts_with(line, "index "))
                check_file(&s);
            else if (s.file != NULL && (s.is_new_file || s.is_deleted) && !was_known)
                check_file(&s);
        } else if (str_starts_with(line, "@@ ")) {
            const char *plus = strchr(line, '+');

            in_hunk = true;
            s.line = plus == NULL ? 0 : atoi(plus + 1);
        } else if (line[0] == '+') {
            check_added(&s, line + 1, len > 0 ? strlen(line + 1) : 0);
            s.line++;
        } else if (line[0] == '-') {
            if (s.file != NULL && matches_any(s.file, test_files))
                s.tests_removed += is_assertion(line + 1);
        } else if (line[0] == ' ') {
            s.line++;
        }
        free(line);
        at += len + 1;
    }
    finish_file(&s);
    return 0;
}
