/* base/secret_patterns.c: see secret_patterns.h. A table of fixed beginnings with the alphabet and length of what
 * follows, and a few contexts with a function each. A match must stand alone. */
#include "base/secret_patterns.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum alphabet { UPPER_DIGITS, ALNUM, ALNUM_DASH, HEX, BASE64 };

static const struct pattern {
    const char *kind;
    const char *prefix;
    enum alphabet alphabet;
    size_t min, max; /* characters after the prefix */
} patterns[] = {
    {"AWS access key", "AKIA", UPPER_DIGITS, 16, 16},
    {"AWS temporary key", "ASIA", UPPER_DIGITS, 16, 16},
    {"GitHub token", "ghp_", ALNUM, 36, 255},
    {"GitHub OAuth token", "gho_", ALNUM, 36, 255},
    {"GitHub app token", "ghs_", ALNUM, 36, 255},
    {"GitHub user token", "ghu_", ALNUM, 36, 255},
    {"GitHub refresh token", "ghr_", ALNUM, 36, 255},
    {"GitHub fine-grained token", "github_pat_", ALNUM_DASH, 60, 255},
    {"GitLab token", "glpat-", ALNUM_DASH, 20, 64},
    {"GitLab runner token", "glrt-", ALNUM_DASH, 20, 64},
    {"GitLab deploy token", "gldt-", ALNUM_DASH, 20, 64},
    {"Slack bot token", "xoxb-", ALNUM_DASH, 20, 255},
    {"Slack user token", "xoxp-", ALNUM_DASH, 20, 255},
    {"Slack session token", "xoxs-", ALNUM_DASH, 20, 255},
    {"Slack app token", "xapp-", ALNUM_DASH, 20, 255},
    {"Stripe live key", "sk_live_", ALNUM, 20, 255},
    {"Stripe restricted key", "rk_live_", ALNUM, 20, 255},
    {"Stripe webhook secret", "whsec_", ALNUM, 32, 64},
    {"OpenAI project key", "sk-proj-", ALNUM_DASH, 20, 255},
    {"OpenAI service key", "sk-svcacct-", ALNUM_DASH, 20, 255},
    {"Anthropic key", "sk-ant-", ALNUM_DASH, 20, 255},
    {"OpenRouter key", "sk-or-v1-", HEX, 64, 64},
    {"xAI key", "xai-", ALNUM, 70, 100},
    {"Perplexity key", "pplx-", ALNUM, 40, 64},
    {"Replicate token", "r8_", ALNUM, 37, 40},
    {"LangSmith key", "lsv2_", ALNUM_DASH, 40, 64},
    {"Google API key", "AIza", ALNUM_DASH, 35, 35},
    {"Google OAuth secret", "GOCSPX-", ALNUM_DASH, 28, 28},
    {"Google access token", "ya29.", ALNUM_DASH, 40, 2048},
    {"npm token", "npm_", ALNUM, 36, 36},
    {"PyPI token", "pypi-AgEIcHlwaS5vcmc", ALNUM_DASH, 50, 500},
    {"RubyGems key", "rubygems_", HEX, 48, 48},
    {"Docker token", "dckr_pat_", ALNUM_DASH, 20, 64},
    {"Hugging Face token", "hf_", ALNUM, 34, 40},
    {"SendGrid key", "SG.", ALNUM_DASH, 60, 80},
    {"Mailgun key", "key-", HEX, 32, 32},
    {"DigitalOcean token", "dop_v1_", HEX, 64, 64},
    {"Shopify token", "shpat_", HEX, 32, 32},
    {"Shopify secret", "shpss_", HEX, 32, 32},
    {"Square token", "sq0atp-", ALNUM_DASH, 22, 22},
    {"Square secret", "sq0csp-", ALNUM_DASH, 43, 43},
    {"Databricks token", "dapi", HEX, 32, 34},
    {"Linear key", "lin_api_", ALNUM, 40, 40},
    {"Notion token", "ntn_", ALNUM, 40, 60},
    {"Figma token", "figd_", ALNUM_DASH, 38, 60},
    {"Postman key", "PMAK-", ALNUM_DASH, 59, 59},
    {"Doppler token", "dp.pt.", ALNUM, 43, 43},
    {"Vault token", "hvs.", ALNUM_DASH, 24, 255},
    {"Terraform token", "atlasv1.", ALNUM_DASH, 60, 70},
    {"Atlassian token", "ATATT3", ALNUM_DASH, 60, 255},
    {"New Relic key", "NRAK-", ALNUM, 27, 27},
    {"Sentry token", "sntrys_", BASE64, 60, 500},
    {"Grafana token", "glsa_", ALNUM_DASH, 32, 64},
    {"Grafana Cloud token", "glc_", BASE64, 32, 400},
    {"PlanetScale token", "pscale_tkn_", ALNUM_DASH, 32, 64},
    {"Supabase key", "sbp_", HEX, 40, 40},
    {"Tailscale key", "tskey-", ALNUM_DASH, 20, 80},
    {"Netlify token", "nfp_", ALNUM, 36, 40},
    {"Telegram bot token", "bot_token=", ALNUM_DASH, 40, 60},
    {"Slack webhook", "hooks.slack.com/services/T", BASE64, 30, 60},
    {"Discord webhook", "discord.com/api/webhooks/", BASE64, 60, 120},
    {"Azure account key", "AccountKey=", BASE64, 86, 88},
    {"Age secret key", "AGE-SECRET-KEY-1", UPPER_DIGITS, 58, 58},
    {"Fly token", "FlyV1 ", ALNUM_DASH, 40, 600},
    {"Groq key", "gsk_", ALNUM, 52, 52},
};
#define PATTERN_COUNT (sizeof patterns / sizeof patterns[0])

static bool in_alphabet(char c, enum alphabet alphabet)
{
    unsigned char u = (unsigned char)c;

    switch (alphabet) {
    case UPPER_DIGITS:
        return isupper(u) || isdigit(u);
    case ALNUM:
        return isalnum(u);
    case ALNUM_DASH:
        return isalnum(u) || c == '-' || c == '_' || c == '.' || c == '=';
    case HEX:
        return isdigit(u) || (c >= 'a' && c <= 'f');
    case BASE64:
        return isalnum(u) || c == '+' || c == '/' || c == '=' || c == '-' || c == '_';
    }
    return false;
}

static size_t run_length(const char *text, size_t n, size_t at, enum alphabet alphabet)
{
    size_t len = 0;

    while (at + len < n && in_alphabet(text[at + len], alphabet))
        len++;
    return len;
}

static bool holds_word(const char *p, size_t n, const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i + len <= n; i++)
        if (strncasecmp(p + i, word, len) == 0)
            return true;
    return false;
}

static bool is_placeholder(const char *p, size_t n)
{
    static const char *const words[] = {"xxxx",     "example", "placeholder", "redacted",
                                        "changeme", "your-",   "your_"};
    bool varied = false;

    for (size_t i = 1; i < n && !varied; i++)
        varied = p[i] != p[0];
    if (!varied)
        return true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (holds_word(p, n, words[i]))
            return true;
    return false;
}

static bool found(struct secret_match *m, const char *kind, size_t start, size_t end)
{
    *m = (struct secret_match){kind, start, end};
    return true;
}

/* Does a word end before AT? The letter of an escape (\n in JSON within JSON) is part of none. */
static bool stands_alone(const char *text, size_t at)
{
    if (at == 0 || !isalnum((unsigned char)text[at - 1]))
        return true;
    return at > 1 && text[at - 2] == '\\' && strchr("nrt", text[at - 1]) != NULL;
}

static bool match_pattern(const struct pattern *p, const char *text, size_t n, size_t at, bool loose,
                          struct secret_match *m)
{
    size_t prefix = strlen(p->prefix);
    size_t len;

    if (at + prefix > n || memcmp(text + at, p->prefix, prefix) != 0)
        return false;
    if (!loose && !stands_alone(text, at))
        return false;
    len = run_length(text, n, at + prefix, p->alphabet);
    while (len > p->min && text[at + prefix + len - 1] == '.') /* the end of a sentence */
        len--;
    if (len < p->min || len > p->max || is_placeholder(text + at + prefix, len))
        return false;
    return found(m, p->kind, at, at + prefix + len);
}

/* --- Contexts --------------------------------------------------------------------------------------------------------- */

/* From "-----BEGIN ... PRIVATE KEY" to its end line, or to the end of the text. */
static bool match_private_key(const char *text, size_t n, size_t at, struct secret_match *m)
{
    const char *head = text + at, *end;
    size_t line = n - at < 80 ? n - at : 80;

    if (line < 11 || memcmp(head, "-----BEGIN ", 11) != 0 || !holds_word(head, line, "PRIVATE KEY"))
        return false;
    end = memmem(head, n - at, "-----END ", 9);
    if (end != NULL) {
        size_t left = n - (size_t)(end - text);
        const char *tail = memmem(end + 9, left - 9, "-----", 5);

        return found(m, "private key", at, tail == NULL ? n : (size_t)(tail - text) + 5);
    }
    return found(m, "private key", at, n);
}

/* "scheme://user:password@host": the password. */
static bool match_url(const char *text, size_t n, size_t at, struct secret_match *m)
{
    size_t i = at + 3, colon = 0;

    if (n - at < 3 || memcmp(text + at, "://", 3) != 0 || at == 0 || !isalnum((unsigned char)text[at - 1]))
        return false;
    for (; i < n && i - at < 512; i++) {
        char c = text[i];

        if (c == '@')
            break;
        if (c == ':' && colon == 0)
            colon = i;
        else if (strchr("/?# \t\r\n\"'<>`|\\{}$()[]*,", c) != NULL || (unsigned char)c < 0x20)
            return false; /* a path, a template, the end of the address */
    }
    if (i >= n || text[i] != '@' || colon == 0 || i - colon - 1 < 3)
        return false;
    if (is_placeholder(text + colon + 1, i - colon - 1) || strncasecmp(text + colon + 1, "pass", 4) == 0 ||
        strncasecmp(text + colon + 1, "secret@", 7) == 0)
        return false;
    return found(m, "password in a URL", colon + 1, i);
}

/* "Authorization: Bearer TOKEN", also Basic; without the header's name for Bearer. */
static bool match_bearer(const char *text, size_t n, size_t at, struct secret_match *m)
{
    static const char *const schemes[] = {"Bearer ", "bearer ", "Basic ", "basic "};

    for (size_t i = 0; i < 4; i++) {
        size_t prefix = strlen(schemes[i]);
        size_t len;
        bool has_digit = false;

        if (n - at <= prefix || memcmp(text + at, schemes[i], prefix) != 0)
            continue;
        len = run_length(text, n, at + prefix, BASE64);
        while (at + prefix + len < n && (text[at + prefix + len] == '.' || text[at + prefix + len] == '~'))
            len += 1 + run_length(text, n, at + prefix + len + 1, BASE64);
        for (size_t k = 0; k < len; k++)
            has_digit = has_digit || isdigit((unsigned char)text[at + prefix + k]);
        /* "Basic" is a word of English too: only after a header's name */
        if (i >= 2 && (at < 15 || strncasecmp(text + at - 15, "Authorization: ", 15) != 0))
            return false;
        if (len < (i >= 2 ? 12 : 20) || (i < 2 && !has_digit) || is_placeholder(text + at + prefix, len))
            return false;
        return found(m, i < 2 ? "bearer token" : "basic authentication", at + prefix, at + prefix + len);
    }
    return false;
}

/* A signed JSON web token: three parts, the first two begin as objects do. */
static bool match_jwt(const char *text, size_t n, size_t at, bool loose, struct secret_match *m)
{
    size_t first, second, third, p;

    if (n - at < 40 || memcmp(text + at, "eyJ", 3) != 0 || (!loose && !stands_alone(text, at)))
        return false;
    first = run_length(text, n, at, BASE64);
    p = at + first + 1;
    if (first < 16 || p + 3 >= n || memcmp(text + p - 1, ".eyJ", 4) != 0)
        return false;
    second = run_length(text, n, p, BASE64);
    p += second + 1;
    if (second < 8 || p >= n || text[p - 1] != '.')
        return false;
    third = run_length(text, n, p, BASE64);
    if (third < 20)
        return false;
    return found(m, "JSON web token", at, p + third);
}

/* Bits a character of P, by how often each occurs. */
static double entropy(const char *p, size_t n)
{
    unsigned counts[256] = {0};
    double bits = 0;

    for (size_t i = 0; i < n; i++)
        counts[(unsigned char)p[i]]++;
    for (size_t i = 0; i < 256; i++)
        if (counts[i] > 0) {
            double share = (double)counts[i] / (double)n;

            bits -= share * log2(share);
        }
    return bits;
}

static bool is_uuid(const char *p, size_t n)
{
    if (n != 36)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((i == 8 || i == 13 || i == 18 || i == 23) ? p[i] != '-' : !isxdigit((unsigned char)p[i]))
            return false;
    return true;
}

/* Letters and digits that alternate without a rule: no words, no numbers, no identifiers. */
static bool looks_random(const char *p, size_t n)
{
    unsigned changes = 0;

    if (n < 20 || n > 512 || is_uuid(p, n) || is_placeholder(p, n) || entropy(p, n) < 3.6)
        return false;
    for (size_t i = 1; i < n; i++) {
        unsigned char a = (unsigned char)p[i - 1], b = (unsigned char)p[i];

        changes += (isdigit(a) && isalpha(b)) || (isalpha(a) && isdigit(b));
    }
    return changes >= n / 8 + 2;
}

/* Does a name of a secret end before AT: for "key" it needs one of these in front. */
static bool has_qualifier(const char *text, size_t at)
{
    static const char *const words[] = {"api",    "access",  "auth",       "private", "secret", "signing",
                                        "client", "account", "encryption", "master",  "deploy", "service"};
    char before[25];
    size_t n = at < 24 ? at : 24;

    memcpy(before, text + at - n, n);
    before[n] = '\0';
    for (size_t i = n; i > 0; i--)
        if (!isalnum((unsigned char)before[i - 1]) && before[i - 1] != '_' && before[i - 1] != '-') {
            memmove(before, before + i, n - i + 1);
            break;
        }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (holds_word(before, strlen(before), words[i]))
            return true;
    return false;
}

/* NAME = VALUE, "name": "value", where the name says that it is secret and the value is random. */
static bool match_assignment(const char *text, size_t n, size_t at, struct secret_match *m)
{
    static const char *const names[] = {"key", "secret", "token", "password", "passwd", "credential"};
    size_t i = 0, p, len;
    bool has_sign = false;

    while (i < 6 && (n - at < strlen(names[i]) || strncasecmp(text + at, names[i], strlen(names[i])) != 0))
        i++;
    if (i == 6 || (i == 0 && !has_qualifier(text, at)))
        return false;
    p = at + strlen(names[i]);
    while (p < n && p - at < 40 && (isalnum((unsigned char)text[p]) || text[p] == '_'))
        p++;
    for (size_t k = 0; k < 8 && p < n && strchr("\"'\\ \t:=>", text[p]) != NULL && text[p] != '\0'; k++, p++)
        has_sign = has_sign || text[p] == ':' || text[p] == '=';
    if (!has_sign)
        return false;
    len = run_length(text, n, p, BASE64);
    if (p + len < n && strchr(".([{$:<@", text[p + len]) != NULL && text[p + len] != '\0')
        return false; /* code that computes it */
    return looks_random(text + p, len) ? found(m, "secret value", p, p + len) : false;
}

static const char *const contexts[] = {"-----BEGIN ", "://", "Bearer ", "bearer ", "Basic ", "basic ", "eyJ",
                                       "KEY",         "key", "Key",     "SEC",     "sec",    "Sec",    "TOK",
                                       "tok",         "Tok", "PAS",     "pas",     "Pas",    "CRE",    "cre"};
#define CONTEXT_COUNT (sizeof contexts / sizeof contexts[0])

static bool match_context(const char *text, size_t n, size_t at, bool loose, struct secret_match *m)
{
    switch (text[at]) {
    case '-':
        return match_private_key(text, n, at, m);
    case ':':
        return match_url(text, n, at, m);
    case 'B':
    case 'b':
        return match_bearer(text, n, at, m);
    case 'e':
        return match_jwt(text, n, at, loose, m);
    case 'K':
    case 'k':
    case 'S':
    case 's':
    case 'T':
    case 't':
    case 'P':
    case 'p':
    case 'C':
    case 'c':
        return match_assignment(text, n, at, m);
    default:
        return false;
    }
}

/* --- Searching -------------------------------------------------------------------------------------------------------- */

bool secret_match_at(const char *text, size_t n, size_t at, bool loose, struct secret_match *m)
{
    for (size_t i = 0; i < PATTERN_COUNT; i++)
        if (patterns[i].prefix[0] == text[at] && match_pattern(&patterns[i], text, n, at, loose, m))
            return true;
    return match_context(text, n, at, loose, m);
}

/* Is TEXT from AT on a part of WORD, or WORD itself? *PAST is the place behind it, 0 when only a part is there. */
static bool begins(const char *text, size_t n, size_t at, const char *word, size_t *past)
{
    size_t len = strlen(word);

    *past = n - at < len ? 0 : at + len;
    return memcmp(text + at, word, n - at < len ? n - at : len) == 0;
}

static bool is_open_context(const char *text, size_t n, size_t at, const char *word, size_t p)
{
    const char *end;
    bool has_sign = false;

    switch (word[0]) {
    case '-':
        end = memmem(text + at, n - at, "-----END ", 9);
        if (end != NULL) /* its end line may be cut */
            return memmem(end + 9, n - (size_t)(end + 9 - text), "-----", 5) == NULL;
        return memmem(text + at, n - at < 80 ? n - at : 80, "PRIVATE KEY", 11) != NULL ||
               (n - at < 80 && memchr(text + at, '\n', n - at) == NULL);
    case ':':
        while (p < n && !isspace((unsigned char)text[p]) && strchr("/?#\"'<>@", text[p]) == NULL)
            p++;
        return p == n && n - at < 512;
    case 'B':
    case 'b':
    case 'e':
        while (p < n && (in_alphabet(text[p], BASE64) || text[p] == '.' || text[p] == '~'))
            p++;
        return p == n;
    default: /* the first letters of a name: the rest of it, a sign, a value */
        while (p < n && (isalnum((unsigned char)text[p]) || text[p] == '_'))
            p++;
        while (p < n && text[p] != '\0' && strchr("\"'\\ \t:=>", text[p]) != NULL) {
            has_sign = has_sign || text[p] == ':' || text[p] == '=';
            p++;
        }
        if (has_sign)
            p += run_length(text, n, p, BASE64);
        return p == n && n - at < 600;
    }
}

bool secret_is_open(const char *text, size_t n, size_t at)
{
    size_t past;

    for (size_t i = 0; i < PATTERN_COUNT; i++)
        if (begins(text, n, at, patterns[i].prefix, &past) &&
            (past == 0 || past + run_length(text, n, past, patterns[i].alphabet) == n))
            return true;
    for (size_t i = 0; i < CONTEXT_COUNT; i++)
        if (begins(text, n, at, contexts[i], &past) &&
            (past == 0 || is_open_context(text, n, at, contexts[i], past)))
            return true;
    return false;
}

const char *secret_beginning(size_t index)
{
    if (index < PATTERN_COUNT)
        return patterns[index].prefix;
    return index - PATTERN_COUNT < CONTEXT_COUNT ? contexts[index - PATTERN_COUNT] : NULL;
}

size_t secret_kind_count(void)
{
    return PATTERN_COUNT + 6; /* private key, URL, bearer, basic, web token, random value */
}

/* One bit for each hash of three bytes that a beginning starts with; made once, the same for everyone. */
static uint64_t beginnings[1024];

static unsigned hash_of(const char *p)
{
    uint32_t gram = (uint32_t)(unsigned char)p[0] | (uint32_t)(unsigned char)p[1] << 8 |
                    (uint32_t)(unsigned char)p[2] << 16;

    return gram * 2654435761U >> 16;
}

static void make_beginnings(void)
{
    const char *text;

    for (size_t i = 0; (text = secret_beginning(i)) != NULL; i++)
        beginnings[hash_of(text) / 64] |= 1ULL << hash_of(text) % 64;
}

const char *secret_find(const char *text, size_t n)
{
    static bool is_made;
    struct secret_match m;

    if (!is_made) {
        make_beginnings();
        is_made = true;
    }
    for (size_t at = 0; at + 3 <= n; at++) {
        unsigned h = hash_of(text + at);

        if ((beginnings[h / 64] >> h % 64 & 1) != 0 && secret_match_at(text, n, at, false, &m))
            return m.kind;
    }
    return NULL;
}
