/* team/check_commands.c: the built-in checks that look for a command or a setting with a trap: downloads that are run, certificate
 * checks that are off, rights that are given, judges that are passed by. */
#include "team/check_internal.h"

#include "base/alloc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_JOINED 4096

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

bool check_is_comment(const char *text)
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

static const char ends_word[] = " \t;|&<>)\"'`";

static bool is_name(const char *word, size_t n, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strlen(*names) == n && strncmp(*names, word, n) == 0)
            return true;
    return false;
}

/* "python3.11" is "python". */
static size_t without_version(const char *word, size_t n)
{
    while (n > 1 && (isdigit((unsigned char)word[n - 1]) || word[n - 1] == '.'))
        n--;
    return n;
}

/* What follows the interpreter that the command at P starts, behind sudo and the like; NULL when it starts none. */
static const char *after_interpreter(const char *p)
{
    static const char *const names[] = {"sh",   "bash", "zsh",  "dash", "ksh", "fish", "ash",  "python", "perl",
                                        "ruby", "node", "php",  "iex",  "deno", "bun", "pwsh", "powershell", "Invoke-Expression",
                                        NULL};
    static const char *const before[] = {"sudo", "doas", "env", "exec", "command", "nohup", "time", "busybox", "xargs", NULL};
    bool is_behind = false;

    for (;;) {
        const char *word;
        size_t n;

        p = skip_blanks(p);
        n = strcspn(p, ends_word);
        word = p;
        for (size_t i = 0; i < n; i++)
            if (p[i] == '/')
                word = p + i + 1;
        if (n == 0)
            return NULL;
        if (is_behind && *p == '-') {
            if (str_starts_with(p, "-u ") || str_starts_with(p, "-g ")) {
                p = skip_blanks(p + 3);
                n = strcspn(p, ends_word);
            }
        } else if (is_behind && memchr(p, '=', n) != NULL) {
            ; /* a variable */
        } else if (is_name(word, n - (size_t)(word - p), before)) {
            is_behind = true;
        } else {
            size_t length = n - (size_t)(word - p);

            return length > 0 && is_name(word, without_version(word, length), names) ? p + n : NULL;
        }
        p += n;
    }
}

/* "curl -o x URL && sh x", "wget URL/x; chmod +x x; ./x": what is run is named in what was fetched. */
static bool runs_what_was_fetched(const char *fetch)
{
    for (const char *p = strpbrk(fetch, ";&"); p != NULL; p = strpbrk(p, ";&")) {
        const char *fetch_end = p;
        const char *word;
        const char *found;
        size_t n;

        p += strspn(p, ";& \t");
        word = after_interpreter(p);
        word = word != NULL ? skip_blanks(word) : p;
        while (*word == '-' && word != p) {
            word += strcspn(word, ends_word);
            word = skip_blanks(word);
        }
        if (word == p && !str_starts_with(word, "./"))
            continue;
        if (str_starts_with(word, "./"))
            word += 2;
        n = strcspn(word, ends_word);
        if (n < 3)
            continue;
        found = memmem(fetch, (size_t)(fetch_end - fetch), word, n);
        if (found != NULL && !is_word_char(found[n]))
            return true;
    }
    return false;
}

static bool runs_download(const char *text)
{
    static const char *const fetchers[] = {"curl ", "wget ", "curl.exe ", "Invoke-WebRequest", "iwr ", "irm ", "fetch -o -", NULL};
    const char *fetch = NULL;

    for (size_t i = 0; fetchers[i] != NULL && fetch == NULL; i++)
        fetch = strstr(text, fetchers[i]);
    if (fetch == NULL || (fetch > text && is_word_char(fetch[-1])))
        return false;
    for (const char *pipe = strchr(fetch, '|'); pipe != NULL; pipe = strchr(pipe + 1, '|'))
        if (after_interpreter(pipe + 1 + (pipe[1] == '&')) != NULL)
            return true;
    /* sh -c "$(curl ...)", bash <(curl ...), eval "$(curl ...)", source <(wget ...) */
    for (const char *p = text; p < fetch; p++)
        if ((str_starts_with(p, "$(") || str_starts_with(p, "<(") || *p == '`') &&
            (skip_blanks(p + (*p == '`' ? 1 : 2)) == fetch)) {
            static const char *const runners[] = {"eval ", "source ", ". <", "sh -c", "sh <", "sh -s <", "python -c", "python3 -c",
                                                  "python <", "python3 <", "perl -e", "ruby -e", "node -e", "node <", NULL};
            char *head = xstrndup(text, (size_t)(p - text) + 1);
            bool runs = check_has_word(head, runners);

            free(head);
            if (runs)
                return true;
        }
    return runs_what_was_fetched(fetch);
}

/* The command that TEXT ends, with the lines before it that end in a backslash or a pipe; NULL when it goes on. Caller frees. */
static char *whole_command(struct check_scan *s, const char *text)
{
    size_t n = strlen(text);
    char *joined;
    bool goes_on;

    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    goes_on = n > 0 && (text[n - 1] == '\\' || text[n - 1] == '|');
    if (s->joined != NULL && s->line != s->joined_line + 1)
        FREE_NULL(s->joined); /* a line that was there already lies between */
    joined = xasprintf("%s%.*s%s", s->joined == NULL ? "" : s->joined,
                       (int)(goes_on && text[n - 1] == '\\' ? n - 1 : n), text, goes_on ? " " : "");
    FREE_NULL(s->joined);
    if (!goes_on || strlen(joined) > MAX_JOINED)
        return joined;
    s->joined = joined;
    s->joined_line = s->line;
    return NULL;
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
                                           "--chmod=", "mkdir -m", "mode:", NULL};

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

/* Settings by their name and the value that is wrong; how they are written differs from language to language. */
static const struct setting {
    const char *name;
    const char *values[6];
    bool has_case;
} tls_settings[] = {
    {"verify", {"False"}, true},
    {"verify_ssl", {"false", "0", "no"}, false},
    {"ssl_verify", {"false", "0", "no"}, false},
    {"ssl-verify", {"false", "0", "no"}, false},
    {"sslVerify", {"false", "0", "no", "off"}, false},
    {"verifySsl", {"false", "0"}, false},
    {"verify_certs", {"false"}, false},
    {"tls_verify", {"false", "0", "no"}, false},
    {"tlsVerify", {"false"}, false},
    {"validate_certs", {"false", "no"}, false},
    {"rejectUnauthorized", {"false", "0", "!1"}, false},
    {"InsecureSkipVerify", {"true"}, false},
    {"insecure_skip_verify", {"true"}, false},
    {"insecureSkipTLSVerify", {"true"}, false},
    {"insecure-skip-tls-verify", {"true"}, false},
    {"check_hostname", {"False"}, false},
    {"SSL_VERIFYPEER", {"0", "false", "0L"}, false},
    {"SSL_VERIFYHOST", {"0", "false", "0L"}, false},
    {"CURLOPT_SSL_VERIFYPEER", {"0", "false", "0L"}, false},
    {"CURLOPT_SSL_VERIFYHOST", {"0", "false", "0L"}, false},
    {"strict-ssl", {"false"}, false},
    {"strictSSL", {"false"}, false},
    {"npm_config_strict_ssl", {"false"}, false},
    {"PYTHONHTTPSVERIFY", {"0"}, false},
    {"NODE_TLS_REJECT_UNAUTHORIZED", {"0"}, false},
};
static const char *const tls_words[] = {"VERIFY_NONE",
                                        "CERT_NONE",
                                        "_create_unverified_context",
                                        "--no-check-certificate",
                                        "--insecure-skip-tls-verify",
                                        "--no-verify-ssl",
                                        "GIT_SSL_NO_VERIFY",
                                        "danger_accept_invalid_certs(true)",
                                        "accept_invalid_hostnames(true)",
                                        "ServerCertificateValidationCallback",
                                        "DangerousAcceptAnyServerCertificate",
                                        "TrustAllCerts",
                                        "TrustAllStrategy",
                                        "NoopHostnameVerifier",
                                        "ALLOW_ALL_HOSTNAME_VERIFIER",
                                        "--allow-unauthenticated",
                                        "--trusted-host",
                                        NULL};

/* The value at P, after what stands between a name and it ("=", ":", "=>", ",", quotes, brackets; not "=="). */
static bool is_value_after(const char *p, const struct setting *setting)
{
    bool is_assigned = false;

    p += strspn(p, "\"'`]) \t");
    if (p[0] == '=' && p[1] == '=')
        return false;
    if (strchr("=:,", *p) != NULL && *p != '\0') {
        is_assigned = true;
        p += 1 + (p[0] == '=' && p[1] == '>');
    }
    p += strspn(p, "\"'` \t");
    for (size_t i = 0; i < 6 && setting->values[i] != NULL; i++) {
        size_t n = strlen(setting->values[i]);

        if ((setting->has_case ? strncmp(p, setting->values[i], n) : strncasecmp(p, setting->values[i], n)) == 0 &&
            !is_word_char(p[n]) && p[n] != '.')
            return is_assigned || !setting->has_case;
    }
    return false;
}

static bool has_setting(const char *text, const struct setting *setting)
{
    size_t n = strlen(setting->name);

    for (const char *at = strcasestr(text, setting->name); at != NULL; at = strcasestr(at + 1, setting->name)) {
        if (at > text && (is_word_char(at[-1]) || (at[-1] == '-' && strchr(setting->name, '-') == NULL && at - 1 > text &&
                                                   is_word_char(at[-2]))))
            continue;
        if (setting->has_case && strncmp(at, setting->name, n) != 0)
            continue;
        if (is_value_after(at + n, setting))
            return true;
    }
    return false;
}

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
    if (check_has_word(text, tls_words))
        return true;
    for (size_t i = 0; i < sizeof tls_settings / sizeof tls_settings[0]; i++)
        if (has_setting(text, &tls_settings[i]))
            return true;
    return curl_is_insecure(text);
}

/* --- checks-bypassed ------------------------------------------------------------------------------------------------------ */

static const char *const judges[] = {"npm test",   "npm run test", "npm run lint", "yarn test", "yarn lint",  "pnpm test",
                                     "pnpm lint",  "make check",   "make test",    "make lint", "pytest",     "cargo test",
                                     "cargo clippy", "go test",    "go vet",       "eslint",    "ruff",       "mypy",
                                     "jest",       "vitest",       "mocha",        "tsc",       "clang-tidy", "cppcheck",
                                     "shellcheck", "ctest",        "meson test",   "mvn test",  "mvn verify", "gradle test",
                                     "gradlew test", "flake8",     "pylint",       "rubocop",   "rspec",      "phpunit",
                                     "npm audit",  "gitleaks",     "golangci-lint", "prettier --check", "tox", NULL};

/* A word of JUDGES as a command, before what makes its failure not count. */
static bool forgives_judge(const char *text)
{
    static const char *const forgiving[] = {"|| true", "||true", "|| :", "|| exit 0", "|| echo", "; true", "; exit 0", NULL};
    static const char *const asking[] = {"command -v", "which ", "--version", "type ", "hash ", NULL};

    for (size_t i = 0; forgiving[i] != NULL; i++) {
        const char *at = strstr(text, forgiving[i]);
        char *head = at == NULL ? NULL : xstrndup(text, (size_t)(at - text));
        bool found = false;

        for (size_t k = 0; head != NULL && judges[k] != NULL && !found; k++) {
            const char *word = strstr(head, judges[k]);

            found = word != NULL && (word == head || strchr(" \t\"'/(;&|:", word[-1]) != NULL) &&
                    strchr(" \t\"'`;|&)", word[strlen(judges[k])]) != NULL && !check_has_word(head, asking);
        }
        free(head);
        if (found)
            return true;
    }
    return false;
}

/* "test": "exit 0" in a package.json. */
static bool empties_script(const char *file, const char *text)
{
    static const char *const names[] = {"\"test\"", "\"lint\"", "\"check\"", "\"typecheck\"", "\"ci\"", NULL};
    static const char *const nothing[] = {"exit 0", "true\"", ":\"", "echo ", NULL};
    const char *p = skip_blanks(text);

    if (!str_ends_with(file, "package.json"))
        return false;
    for (size_t i = 0; names[i] != NULL; i++) {
        if (!str_starts_with(p, names[i]))
            continue;
        p += strlen(names[i]);
        p += strspn(p, " \t:\"");
        for (size_t k = 0; nothing[k] != NULL; k++)
            if (str_starts_with(p, nothing[k]))
                return strstr(p, "&&") == NULL && strchr(p, ';') == NULL;
        return false;
    }
    return false;
}

static bool bypasses_checks(const char *text)
{
    static const char *const words[] = {"HUSKY=0", "HUSKY_SKIP_HOOKS=1", "SKIP=pre-commit", NULL};

    return (strstr(text, "git ") != NULL && strstr(text, "--no-verify") != NULL) || check_has_word(text, words) ||
           forgives_judge(text);
}

/* --- A line ---------------------------------------------------------------------------------------------------------------- */

void check_commands(struct check_scan *s, const char *text)
{
    static const char *const prose[] = {"**/*.md", "**/*.rst", "**/*.txt", "**/*.adoc", NULL};
    char *command = whole_command(s, text);

    if (command != NULL && runs_download(command))
        check_add(s, CHECK_PIPE_TO_SHELL, s->line, "a download is piped into a shell", "Pin and check what is run.");
    free(command);
    if (check_is_comment(text))
        return;
    if (disables_tls(text))
        check_add(s, CHECK_TLS_OFF, s->line, "certificate checks are switched off", "Keep them on.");
    if (gives_rights(text))
        check_add(s, CHECK_SETUID, s->line, "a command sets a setuid or setgid bit or capabilities",
                  "What is run that way has another's rights.");
    if (!check_path_matches(s->file, prose) && (bypasses_checks(text) || empties_script(s->file, text)))
        check_add(s, CHECK_BYPASSED, s->line, "a check's failure no longer counts, or hooks are passed by",
                  "Let it fail (allow: checks-bypassed).");
}
