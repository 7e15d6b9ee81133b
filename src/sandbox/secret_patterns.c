/* sandbox/secret_patterns.c: see secret_patterns.h. A table of prefixes with the alphabet and length of what follows;
 * a match must stand alone, and placeholders (all one character, "example", "xxxx") do not count. */
#include "sandbox/secret_patterns.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum alphabet { UPPER_DIGITS, ALNUM, ALNUM_DASH, HEX };

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
    {"Slack bot token", "xoxb-", ALNUM_DASH, 20, 255},
    {"Slack user token", "xoxp-", ALNUM_DASH, 20, 255},
    {"Slack app token", "xapp-", ALNUM_DASH, 20, 255},
    {"Stripe live key", "sk_live_", ALNUM, 20, 255},
    {"Stripe restricted key", "rk_live_", ALNUM, 20, 255},
    {"OpenAI project key", "sk-proj-", ALNUM_DASH, 20, 255},
    {"OpenAI service key", "sk-svcacct-", ALNUM_DASH, 20, 255},
    {"Anthropic key", "sk-ant-", ALNUM_DASH, 20, 255},
    {"Google API key", "AIza", ALNUM_DASH, 35, 35},
    {"Google OAuth secret", "GOCSPX-", ALNUM_DASH, 28, 28},
    {"npm token", "npm_", ALNUM, 36, 36},
    {"PyPI token", "pypi-AgEIcHlwaS5vcmc", ALNUM_DASH, 50, 500},
    {"Hugging Face token", "hf_", ALNUM, 34, 40},
    {"SendGrid key", "SG.", ALNUM_DASH, 20, 255},
    {"Mailgun key", "key-", HEX, 32, 32},
    {"DigitalOcean token", "dop_v1_", HEX, 64, 64},
    {"Shopify token", "shpat_", HEX, 32, 32},
    {"Shopify secret", "shpss_", HEX, 32, 32},
    {"Square token", "sq0atp-", ALNUM_DASH, 22, 22},
    {"Square secret", "sq0csp-", ALNUM_DASH, 43, 43},
    {"Databricks token", "dapi", HEX, 32, 34},
    {"Linear key", "lin_api_", ALNUM, 40, 40},
    {"Postman key", "PMAK-", ALNUM_DASH, 59, 59},
    {"Doppler token", "dp.pt.", ALNUM, 43, 43},
    {"Vault token", "hvs.", ALNUM_DASH, 24, 255},
    {"Terraform token", "atlasv1.", ALNUM_DASH, 60, 70},
    {"New Relic key", "NRAK-", ALNUM, 27, 27},
    {"Grafana token", "glsa_", ALNUM_DASH, 32, 64},
    {"Telegram bot token", "bot_token=", ALNUM_DASH, 40, 60},
    {"Age secret key", "AGE-SECRET-KEY-1", UPPER_DIGITS, 58, 58},
    {"Fly token", "FlyV1 ", ALNUM_DASH, 40, 600},
    {"Groq key", "gsk_", ALNUM, 52, 52},
};

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
    }
    return false;
}

static bool is_placeholder(const char *p, size_t n)
{
    bool varied = false;

    for (size_t i = 1; i < n && !varied; i++)
        varied = p[i] != p[0];
    if (!varied)
        return true;
    for (size_t i = 0; i + 4 <= n; i++)
        if (strncasecmp(p + i, "xxxx", 4) == 0 || (i + 7 <= n && strncasecmp(p + i, "example", 7) == 0))
            return true;
    return false;
}

static bool matches(const struct pattern *p, const char *text, size_t n, size_t at)
{
    size_t prefix = strlen(p->prefix);
    size_t len = 0;

    if (at + prefix > n || memcmp(text + at, p->prefix, prefix) != 0)
        return false;
    if (at > 0 && isalnum((unsigned char)text[at - 1]))
        return false;
    while (at + prefix + len < n && in_alphabet(text[at + prefix + len], p->alphabet))
        len++;
    if (len < p->min || len > p->max)
        return false;
    return !is_placeholder(text + at + prefix, len);
}

static bool is_private_key(const char *text, size_t n)
{
    const char *begin = memmem(text, n, "-----BEGIN ", 11);

    return begin != NULL && memmem(begin, n - (size_t)(begin - text), "PRIVATE KEY", 11) != NULL;
}

const char *secret_find(const char *text, size_t n)
{
    if (is_private_key(text, n))
        return "private key";
    for (size_t at = 0; at < n; at++)
        for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
            if (patterns[i].prefix[0] == text[at] && matches(&patterns[i], text, n, at))
                return patterns[i].kind;
    return NULL;
}
