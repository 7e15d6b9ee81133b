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
                                    "[Ignore]",
                                    NULL};
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
static const char *const tls_words[] = {"verify=False",
                                        "verify = False",
                                        "verify_ssl=False",
                                        "rejectUnauthorized: false",
                                        "rejectUnauthorized:false",
                                        "rejectUnauthorized = false",
                                        "InsecureSkipVerify: true",
                                        "InsecureSkipVerify = true",
                                        "SSL_VERIFYPEER, 0",
                                        "SSL_VERIFYPEER, false",
                                        "SSL_VERIFYHOST, 0",
                                        "SSL_VERIFYPEER => false",
                                        "VERIFY_NONE",
                                        "SSL_VERIFY_NONE",
                                        "CERT_NONE",
                                        "check_hostname = False",
                                        "_create_unverified_context",
                                        "--no-check-certificate",
                                        "http.sslVerify false",
                                        "http.sslVerify=false",
                                        "sslVerify = false",
                                        "strict-ssl false",
                                        "strict-ssl=false",
                                        "GIT_SSL_NO_VERIFY",
                                        "danger_accept_invalid_certs(true)",
                                        "accept_invalid_hostnames(true)",
                                        "ServerCertificateValidationCallback",
                                        "DangerousAcceptAnyServerCertificate",
                                        "TrustAllCerts",
                                        "TrustAllStrategy",
                                        "NoopHostnameVerifier",
                                        "ALLOW_ALL_HOSTNAME_VERIFIER",
                                        "PYTHONHTTPSVERIFY=0",
                                        "--allow-unauthenticated",
                                        "--trusted-host",
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

/* A comment line only talks. */
static bool is_comment(const char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    return str_starts_with(text, "//") || str_starts_with(text, "# ") || str_starts_with(text, "* ") ||
           str_starts_with(text, "/*") || str_starts_with(text, "<!--");
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

/* --- pipe-to-shell -------------------------------------------------------------------------------------------------------- */

static bool names_interpreter(const char *p)
{
    static const char *const names[] = {"sh",      "bash", "zsh",  "dash", "ksh", "fish", "python",
                                        "python3", "perl", "ruby", "node", "php", "iex",  NULL};
    static const char *const before[] = {"sudo ", "env ", "exec ", "command ", "-E ", "-H ", NULL};
    const char *base;
    size_t n;

    p = skip_blanks(p);
    for (size_t i = 0; before[i] != NULL; i++)
        if (str_starts_with(p, before[i])) {
            p = skip_blanks(p + strlen(before[i]));
            i = (size_t)-1;
        }
    base = p;
    for (n = 0; base[n] != '\0' && strchr(" \t;|&<>)\"'`", base[n]) == NULL; n++)
        if (base[n] == '/') {
            base += n + 1;
            n = (size_t)-1;
        }
    for (size_t i = 0; names[i] != NULL; i++)
        if (strlen(names[i]) == n && strncmp(names[i], base, n) == 0)
            return true;
    return false;
}

static bool pipes_download_to_shell(const char *text)
{
    static const char *const fetchers[] = {"curl ", "wget ", "Invoke-WebRequest", "iwr ", "fetch -o -", NULL};
    const char *fetch = NULL;

    for (size_t i = 0; fetchers[i] != NULL && fetch == NULL; i++)
        fetch = strstr(text, fetchers[i]);
    if (fetch == NULL)
        return false;
    for (const char *pipe = strchr(fetch, '|'); pipe != NULL; pipe = strchr(pipe + 1, '|'))
        if (names_interpreter(pipe + 1 + (pipe[1] == '&')))
            return true;
    /* sh -c "$(curl ...)", bash <(curl ...), eval "$(curl ...)", source <(wget ...) */
    for (const char *p = text; p < fetch; p++)
        if ((str_starts_with(p, "$(") || str_starts_with(p, "<(") || *p == '`') &&
            (skip_blanks(p + (*p == '`' ? 1 : 2)) == fetch)) {
            static const char *const runners[] = {"sh -c",  "bash -c", "eval ", "source ",
                                                  "bash <", "sh <",    ". <",   NULL};
            char *head = xstrndup(text, (size_t)(p - text) + 1);
            bool runs = check_has_word(head, runners);

            free(head);
            if (runs)
                return true;
        }
    return false;
}

/* --- setuid ------------------------------------------------------------------------------------------------------------- */

/* "u+s", "+s", "g=rxs", "4755", "02755": modes with a set-id bit. */
static bool mode_sets_id(const char *p)
{
    size_t n = strspn(p, "01234567");

    if (*p == '0' && p[1] == 'o') /* Python */
        return mode_sets_id(p + 2);
    if (n >= 4 && n <= 5 && !is_word_char(p[n])) {
        char special = p[n - 4];

        return special >= '2'; /* 1 is the sticky bit of a shared folder */
    }
    n = strspn(p, "ugoa");
    if (p[n] != '+' && p[n] != '=')
        return false;
    for (p += n + 1; isalpha((unsigned char)*p); p++)
        if (*p == 's')
            return true;
    return false;
}

static bool gives_rights(const char *text)
{
    static const char *const commands[] = {"chmod",    "install -m", "install -D -m",
                                           "--chmod=", "mkdir -m",   NULL};

    if (strstr(text, "setcap ") != NULL && strstr(text, "cap_") != NULL)
        return true;
    if (strstr(text, "S_ISUID") != NULL || strstr(text, "S_ISGID") != NULL)
        return strstr(text, "chmod") != NULL;
    for (size_t i = 0; commands[i] != NULL; i++)
        for (const char *at = strstr(text, commands[i]); at != NULL; at = strstr(at + 1, commands[i])) {
            const char *p = at + strlen(commands[i]);

            /* the mode is one of the next words: chmod -R 4755 x; os.chmod(p, 0o4755) */
            for (int words = 0; *p != '\0' && words < 4; words++) {
                p += strspn(p, " \t(,\"'=");
                if (mode_sets_id(p))
                    return true;
                p += strcspn(p, " \t(,\"';|&");
                if (*p == ';' || *p == '|' || *p == '&')
                    break;
            }
        }
    return false;
}

/* --- tls-off ------------------------------------------------------------------------------------------------------------ */

/* "curl -fsSLk": a short option among the words of that command. */
static bool curl_is_insecure(const char *text)
{
    for (const char *at = strstr(text, "curl "); at != NULL; at = strstr(at + 1, "curl ")) {
        const char *p = at + 5;

        for (;;) {
            size_t n;

            p = skip_blanks(p);
            n = strcspn(p, " \t;|&");
            if (n > 1 && n < 10 && p[0] == '-' && isalpha((unsigned char)p[1]) && memchr(p, 'k', n) != NULL)
                return true;
            if (n == 10 && strncmp(p, "--insecure", n) == 0)
                return true;
            p += n;
            if (*p == '\0' || *p == ';' || *p == '|' || *p == '&')
                break;
        }
    }
    return false;
}

static bool disables_tls(const char *text)
{
    static const char *const node[] = {"NODE_TLS_REJECT_UNAUTHORIZED", NULL};

    if (check_has_word(text, tls_words))
        return true;
    if (check_has_word(text, node) && strpbrk(strstr(text, node[0]), "=:") != NULL &&
        strchr(strstr(text, node[0]), '0') != NULL)
        return true;
    return curl_is_insecure(text);
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
    if (pipes_download_to_shell(text))
        check_add(s, CHECK_PIPE_TO_SHELL, s->line, "a download is piped into a shell",
                  "Pin and check what is run.");
    if (!is_comment(text) && disables_tls(text))
        check_add(s, CHECK_TLS_OFF, s->line, "certificate checks are switched off", "Keep them on.");
    if (!is_comment(text) && gives_rights(text))
        check_add(s, CHECK_SETUID, s->line, "a command sets a setuid or setgid bit or capabilities",
                  "What is run that way has another's rights.");
    if (check_has_word(text, suppressions))
        check_add(s, CHECK_LINT_SUPPRESSED, s->line, "a check is switched off by a comment",
                  "Mend what it complains about.");
    if (s->is_test) {
        if (has_call(text, skips))
            check_add(s, CHECK_TESTS_SKIPPED, s->line, "a test is switched off",
                      "Mend what it tests, or get the plan's leave (allow: tests-skipped).");
        s->assertions_added += has_call(text, assertions);
    }
}

void check_line_removed(struct check_scan *s, const char *text)
{
    if (s->is_test)
        s->assertions_removed += has_call(text, assertions);
}
