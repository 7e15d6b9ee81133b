/* model/retry.c: classification of failures and delays. No state. */
#include "model/retry.h"

#include "base/json.h"
#include "base/random.h"
#include "base/redact.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define RETRY_AFTER_MAX_MS (60 * 60 * 1000)
#define MESSAGE_MAX        600

bool failure_is_retryable(enum failure_kind kind)
{
    switch (kind) {
    case FAILURE_CONNECTION:
    case FAILURE_STREAM:
    case FAILURE_RATE_LIMIT:
    case FAILURE_OVERLOADED:
    case FAILURE_SERVER:
        return true;
    default:
        return false;
    }
}

bool failure_is_congestion(enum failure_kind kind)
{
    return kind == FAILURE_RATE_LIMIT || kind == FAILURE_OVERLOADED;
}

const char *failure_kind_name(enum failure_kind kind)
{
    static const char *const names[] = {
        [FAILURE_NONE] = "none",
        [FAILURE_CONNECTION] = "connection",
        [FAILURE_STREAM] = "stream",
        [FAILURE_RATE_LIMIT] = "rate_limit",
        [FAILURE_OVERLOADED] = "overloaded",
        [FAILURE_SERVER] = "server",
        [FAILURE_AUTH] = "auth",
        [FAILURE_CONTEXT_LENGTH] = "context_length",
        [FAILURE_QUOTA] = "quota",
        [FAILURE_POLICY] = "policy",
        [FAILURE_REQUEST] = "request",
    };
    return names[kind];
}

enum failure_kind failure_classify_code(const char *code, const char *type, const char *message,
                                        enum failure_kind fallback)
{
    static const struct {
        const char *word;
        enum failure_kind kind;
    } codes[] = {
        {"context_length_exceeded", FAILURE_CONTEXT_LENGTH},
        {"string_above_max_length", FAILURE_CONTEXT_LENGTH},
        {"request_too_large", FAILURE_CONTEXT_LENGTH},
        {"insufficient_quota", FAILURE_QUOTA},
        {"usage_not_included", FAILURE_QUOTA},
        {"usage_limit_reached", FAILURE_QUOTA},
        {"billing_error", FAILURE_QUOTA},
        {"billing_hard_limit_reached", FAILURE_QUOTA},
        {"invalid_prompt", FAILURE_POLICY},
        {"content_filter", FAILURE_POLICY},
        {"content_policy_violation", FAILURE_POLICY},
        {"cyber_policy", FAILURE_POLICY},
        {"bio_policy", FAILURE_POLICY},
        {"rate_limit_exceeded", FAILURE_RATE_LIMIT},
        {"rate_limit_error", FAILURE_RATE_LIMIT},
        {"too_many_requests", FAILURE_RATE_LIMIT},
        {"server_is_overloaded", FAILURE_OVERLOADED},
        {"slow_down", FAILURE_OVERLOADED},
        {"overloaded", FAILURE_OVERLOADED},
        {"overloaded_error", FAILURE_OVERLOADED},
        {"authentication_error", FAILURE_AUTH},
        {"permission_error", FAILURE_AUTH},
        {"invalid_api_key", FAILURE_AUTH},
        {"server_error", FAILURE_SERVER},
        {"api_error", FAILURE_SERVER},
        {"timeout_error", FAILURE_SERVER},
        {"invalid_request_error", FAILURE_REQUEST},
        {"not_found_error", FAILURE_REQUEST},
        {"model_not_found", FAILURE_REQUEST},
    };
    const char *words[] = {code, type};
    enum failure_kind kind = fallback;
    bool found = false;

    /* The code is the narrower word: it wins over the type. */
    for (size_t w = 0; w < 2 && !found; w++)
        for (size_t i = 0; words[w] != NULL && i < sizeof codes / sizeof codes[0]; i++)
            if (strcmp(words[w], codes[i].word) == 0) {
                kind = codes[i].kind;
                found = true;
                break;
            }
    /* Anthropic and local servers say it only in words, under a general type. */
    if ((!found || kind == FAILURE_REQUEST) && message != NULL) {
        static const char *const too_long[] = {"prompt is too long", "context length", "context window",
                                               "maximum context", "exceed_context_size"};

        for (size_t i = 0; i < sizeof too_long / sizeof too_long[0]; i++)
            if (strcasestr(message, too_long[i]) != NULL)
                return FAILURE_CONTEXT_LENGTH;
        if (strcasestr(message, "credit balance is too low") != NULL)
            return FAILURE_QUOTA;
        if (!found && strcasestr(message, "overloaded") != NULL)
            return FAILURE_OVERLOADED;
    }
    return kind;
}

/* Sets FAILURE's error after its kind is known. */
static void set_text(struct failure *failure, const char *provider, int status, const char *message,
                     const char *hint)
{
    struct error *err = &failure->err;
    char http[32] = "";
    char *clean = redact_copy(message); /* a service may repeat the key; it must not be cut in two */
    int n = (int)strnlen(clean, MESSAGE_MAX);

    message = clean;

    if (status > 0)
        snprintf(http, sizeof http, " (HTTP %d)", status);
    switch (failure->kind) {
    case FAILURE_AUTH:
        error_set(err, ERROR_AUTH, "provider %s refused the key%s: %.*s", provider, http, n, message);
        if (hint != NULL)
            error_hint(err, "%s", hint);
        break;
    case FAILURE_CONTEXT_LENGTH:
        error_set(err, ERROR_LIMIT, "the conversation does not fit the model's context window%s: %.*s", http,
                  n, message);
        err->os_errno = EMSGSIZE; /* see model_error_is_context_length() */
        break;
    case FAILURE_QUOTA:
        error_set(err, ERROR_MODEL, "provider %s: the account's quota is used up%s: %.*s", provider, http, n,
                  message);
        error_hint(err, "check the plan and billing of that account, or choose another provider");
        break;
    case FAILURE_POLICY:
        error_set(err, ERROR_MODEL, "provider %s refused the request for its content%s: %.*s", provider, http,
                  n, message);
        break;
    case FAILURE_RATE_LIMIT:
        error_set(err, ERROR_MODEL, "provider %s: too many requests%s: %.*s", provider, http, n, message);
        break;
    case FAILURE_OVERLOADED:
        error_set(err, ERROR_MODEL, "provider %s is overloaded%s: %.*s", provider, http, n, message);
        break;
    default:
        error_set(err, ERROR_MODEL, "provider %s answered with an error%s: %.*s", provider, http, n, message);
        break;
    }
    free(clean);
}

static const char *string_or_null(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

void failure_from_object(struct failure *failure, const json_t *object, const char *provider)
{
    const char *message = string_or_null(object, "message");
    const char *code = string_or_null(object, "code");
    const char *type = string_or_null(object, "type");

    *failure = (struct failure){.retry_after_ms = -1};
    failure->kind = failure_classify_code(code, type, message, FAILURE_SERVER);
    if (failure_is_retryable(failure->kind))
        failure->retry_after_ms = retry_delay_from_text(message);
    if (message == NULL)
        message = code != NULL ? code : type != NULL ? type : "no message";
    set_text(failure, provider, 0, message, NULL);
}

static enum failure_kind kind_of_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return FAILURE_AUTH;
    case 429:
        return FAILURE_RATE_LIMIT;
    case 503:
    case 529:
        return FAILURE_OVERLOADED;
    case 408:
    case 409:
        return FAILURE_SERVER;
    case 413:
        return FAILURE_CONTEXT_LENGTH;
    case 402:
        return FAILURE_QUOTA;
    default:
        return status >= 500 ? FAILURE_SERVER : FAILURE_REQUEST;
    }
}

void failure_from_status(struct failure *failure, int status, const char *body, size_t n,
                         const char *provider, const char *hint)
{
    json_t *root = n > 0 ? json_parse(body, n, "error answer", NULL) : NULL;
    const json_t *object = json_object_get(root, "error");
    const char *code, *type, *message;
    char *plain = NULL;

    *failure = (struct failure){.retry_after_ms = -1};
    if (!json_is_object(object))
        object = root;
    message = string_or_null(object, "message");
    if (message == NULL)
        message = string_or_null(object, "detail");
    if (message == NULL)
        message = string_or_null(root, "error"); /* Ollama: {"error": "text"} */
    code = string_or_null(object, "code");
    type = string_or_null(object, "type");
    failure->kind = kind_of_status(status);
    /* The body may make a status more precise, but never turns a 4xx into something to retry. */
    if (failure->kind == FAILURE_RATE_LIMIT || failure->kind == FAILURE_REQUEST) {
        enum failure_kind told = failure_classify_code(code, type, message, failure->kind);

        if (!failure_is_retryable(told) || failure_is_retryable(failure->kind))
            failure->kind = told == FAILURE_REQUEST ? failure->kind : told;
    }
    if (failure_is_retryable(failure->kind) && message != NULL)
        failure->retry_after_ms = retry_delay_from_text(message);
    if (message == NULL) {
        /* No JSON we know: the first line of what came, if it is text at all. */
        size_t len = root != NULL ? 0 : strnlen(n > 0 ? body : "", n < 200 ? n : 200);

        for (size_t i = 0; i < len; i++)
            if ((unsigned char)body[i] < 0x20)
                len = i;
        if (len > 0 && body[0] != '<')
            plain = strndup(body, len);
        message = plain != NULL ? plain : "no message in the answer";
    }
    set_text(failure, provider, status, message, hint);
    free(plain);
    json_decref(root);
}

int64_t retry_parse_after(const char *value, int64_t now_wall_ms)
{
    double seconds;
    struct tm tm = {0};
    const char *end;

    if (value == NULL)
        return -1;
    while (*value == ' ')
        value++;
    if (isdigit((unsigned char)*value) && str_to_double(value, &seconds))
        return seconds * 1000 > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : (int64_t)(seconds * 1000);
    end = strptime(value, "%a, %d %b %Y %H:%M:%S", &tm);
    if (end != NULL) {
        int64_t at_ms = (int64_t)timegm(&tm) * 1000;

        if (at_ms <= now_wall_ms)
            return 0;
        return at_ms - now_wall_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : at_ms - now_wall_ms;
    }
    return -1;
}

/* Reads one "NUMBER UNIT" at *P; false when there is none. */
static bool read_span(const char **p, double *ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"milliseconds", 1}, {"millisecond", 1}, {"ms", 1},         {"seconds", 1000},
                 {"second", 1000},    {"secs", 1000},     {"sec", 1000},     {"minutes", 60000},
                 {"minute", 60000},   {"mins", 60000},    {"min", 60000},    {"hours", 3600000},
                 {"hour", 3600000},   {"days", 86400000}, {"day", 86400000}, {"s", 1000},
                 {"m", 60000},        {"h", 3600000},     {"d", 86400000}};
    const char *s = *p;
    double number = 0, scale = 1;
    bool has_digit = false;

    while (*s == ' ')
        s++;
    /* By hand: strtod would take "1e9", "inf" and the locale's comma. */
    for (; isdigit((unsigned char)*s); s++, has_digit = true)
        number = number * 10 + (*s - '0');
    if (*s == '.')
        for (s++; isdigit((unsigned char)*s); s++, has_digit = true)
            number += (*s - '0') * (scale /= 10);
    if (!has_digit)
        return false;
    while (*s == ' ')
        s++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t n = strlen(units[i].unit);

        if (strncasecmp(s, units[i].unit, n) == 0 && !isalpha((unsigned char)s[n])) {
            *ms = number * units[i].ms;
            *p = s + n;
            return true;
        }
    }
    return false;
}

static int64_t read_spans(const char *text)
{
    double total = 0, ms;
    bool any = false;

    while (read_span(&text, &ms)) {
        total += ms;
        any = true;
    }
    if (!any)
        return -1;
    return total > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : (int64_t)(total + 0.5);
}

int64_t retry_parse_duration(const char *value, int64_t now_wall_ms)
{
    struct tm tm = {0};
    int64_t spans;

    if (value == NULL)
        return -1;
    spans = read_spans(value);
    if (spans >= 0)
        return spans;
    if (strptime(value, "%Y-%m-%dT%H:%M:%S", &tm) != NULL) {
        int64_t delta = (int64_t)timegm(&tm) * 1000 - now_wall_ms;

        return delta < 0 ? 0 : delta > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : delta;
    }
    return retry_parse_after(value, now_wall_ms);
}

int64_t retry_delay_from_text(const char *text)
{
    static const char *const leads[] = {"try again in", "retry after", "retry in", "again in"};

    for (size_t i = 0; text != NULL && i < sizeof leads / sizeof leads[0]; i++) {
        const char *at = strcasestr(text, leads[i]);

        if (at != NULL)
            return read_spans(at + strlen(leads[i]));
    }
    return -1;
}

int64_t retry_delay_from_headers(const char *(*get)(const void *data, const char *name), const void *data,
                                 int64_t now_wall_ms)
{
    const char *ms_text = get(data, "retry-after-ms");
    double ms;

    if (ms_text != NULL && str_to_double(ms_text, &ms) && ms >= 0)
        return ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : (int64_t)ms;
    return retry_parse_after(get(data, "retry-after"), now_wall_ms);
}

uint64_t retry_backoff_ms(unsigned attempt, uint64_t base_ms, uint64_t cap_ms)
{
    uint64_t top = attempt >= 20 ? cap_ms : base_ms << attempt;

    if (top > cap_ms)
        top = cap_ms;
    return random_below(top + 1);
}
