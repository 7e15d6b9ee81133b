/* team/check_lines.c: the built-in checks that look at one added or removed line. They see a form, not a meaning: what they
 * find is shown to people and sent back to the author, and can be allowed. */
#include "team/check_internal.h"

#include "base/alloc.h"
#include "base/redact.h"
#include "base/secret_patterns.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const assertions[] = {"assert",  "expect(",   "ASSERT_",   "EXPECT_", "REQUIRE(", "CHECK(",
                                         "#[test]", "def test_", "func Test", "it(",     "test(",    "@Test",
                                         "t.Error", "t.Fatal",   ".should",   NULL};
static const char *const skips[] = {"@pytest.mark.skip",
                                    "@pytest.mark.xfail",
                                    "@unittest.skip",
                                    "pytest.skip(",
                                    "self.skipTest(",
                                    ".skip(",
                                    ".only(",
                                    "xit(",
                                    "xdescribe(",
                                    "xtest(",
                                    "fit(",
                                    "fdescribe(",
                                    "test.todo(",
                                    "it.todo(",
                                    "#[ignore",
                                    "t.Skip(",
                                    "t.Skipf(",
                                    "t.SkipNow(",
                                    "@Disabled",
                                    "@Ignore",
                                    "GTEST_SKIP",
                                    "XCTSkip",
                                    "markTestSkipped(",
                                    "[Ignore",
                                    "Ignore(\"",
                                    "Skip = \"",
                                    "pytest.mark.skip",
                                    "pytest.importorskip(",
                                    "@skip",
                                    "SkipTest(",
                                    ".skip.each",
                                    ".only.each",
                                    ".fixme(",
                                    "it.fails(",
                                    "test.failing(",
                                    "describe.todo(",
                                    "skip: true",
                                    "xit ",
                                    "xdescribe ",
                                    "xcontext ",
                                    "skip \"",
                                    "skip '",
                                    "skip(\"",
                                    "skip('",
                                    "skip();",
                                    "pending(",
                                    "DISABLED_",
                                    "enabled = false",
                                    "cfg_attr(all(), ignore",
                                    NULL};
/* What means nothing else in any file: tests can stand beside the code. */
static const char *const plain_skips[] = {"@pytest.mark.skip", "@unittest.skip", "#[ignore",  "it.skip(",       "describe.skip(",
                                          "test.skip(",        "it.only(",       "test.only(", "describe.only(", "t.SkipNow(",
                                          "GTEST_SKIP",        NULL};
static const char *const prose[] = {"**/*.md", "**/*.rst", "**/*.txt", "**/*.adoc", NULL};
static const char *const suppressions[] = {"eslint-disable",
                                           "@ts-ignore",
                                           "@ts-nocheck",
                                           "@ts-expect-error",
                                           "# noqa",
                                           "# type: ignore",
                                           "# pylint: disable",
                                           "# mypy: ignore",
                                           "# ruff: noqa",
                                           "# pragma: no cover",
                                           "istanbul ignore",
                                           "c8 ignore",
                                           "v8 ignore",
                                           "//nolint",
                                           "// nolint",
                                           "NOLINT",
                                           "LCOV_EXCL",
                                           "#[allow(",
                                           "#![allow(",
                                           "@SuppressWarnings",
                                           "rubocop:disable",
                                           "phpcs:ignore",
                                           "@phpstan-ignore",
                                           "shellcheck disable=",
                                           "biome-ignore",
                                           "#pragma GCC diagnostic ignored",
                                           "# nosec",
                                           "nosemgrep",
                                           "gitleaks:allow",
                                           NULL};
/* --- Words at a place --------------------------------------------------------------------------------------------------- */

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* One of WORDS, not as the end of a longer name ("unit(" is no "it("). */
static bool has_call(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        for (const char *at = strstr(text, *words); at != NULL; at = strstr(at + 1, *words))
            if (at == text || !is_word_char(at[-1]) || !is_word_char((*words)[0]))
                return true;
    return false;
}

/* A line that is commented out asserts nothing. */
static bool is_silenced(const char *text)
{
    text += strspn(text, " \t");
    return check_is_comment(text) || (text[0] == '#' && text[1] != '[') || str_starts_with(text, "--");
}

/* --- Lines --------------------------------------------------------------------------------------------------------------- */

static void check_secrets(struct check_scan *s, const char *text, size_t n)
{
    const char *kind =
        redact_has_known(text, n) ? "a value this environment keeps secret" : secret_find(text, n);
    char *title;

    if (kind == NULL)
        return;
    if (strcmp(kind, "private key") == 0) {
        check_add(
            s, CHECK_PRIVATE_KEY, s->line, "a private key is added",
            "Take it out, read it from outside the repository, and treat it as leaked where it is real.");
        return;
    }
    title = xasprintf("a credential is added (%s)", kind);
    check_add(s, CHECK_CREDENTIAL, s->line, title,
              "Take it out, read it from the environment, and treat it as leaked where it is real.");
    free(title);
}

void check_line_added(struct check_scan *s, const char *text, size_t n)
{
    check_secrets(s, text, n);
    if (check_is_deceptive(text, n))
        check_add(s, CHECK_BIDI, s->line, "invisible or direction-changing characters are added",
                  "They make code read differently from what it does.");
    if (check_has_homoglyph(text, n))
        check_add(s, CHECK_HOMOGLYPH, s->line, "a word mixes letters of several scripts that look alike",
                  "It is another name than the one it looks like.");
    check_commands(s, text);
    if (check_has_word(text, suppressions))
        check_add(s, CHECK_LINT_SUPPRESSED, s->line, "a check is switched off by a comment",
                  "Mend what it complains about.");
    if (s->is_test) {
        if (has_call(text, skips))
            check_add(s, CHECK_TESTS_SKIPPED, s->line, "a test is switched off",
                      "Mend what it tests, or get the plan's leave (allow: tests-skipped).");
        s->assertions_added += !is_silenced(text) && has_call(text, assertions);
    } else if (has_call(text, plain_skips) && !check_path_matches(s->file, prose)) {
        check_add(s, CHECK_TESTS_SKIPPED, s->line, "a test is switched off",
                  "Mend what it tests, or get the plan's leave (allow: tests-skipped).");
    }
}

void check_line_removed(struct check_scan *s, const char *text)
{
    if (s->is_test)
        s->assertions_removed += !is_silenced(text) && has_call(text, assertions);
}
