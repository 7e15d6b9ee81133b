/* model/retry.h: what kind of failure it is, whether to try again, and when.
 *
 * Sources: reference behaviour of the Responses API (rate limits may say "try again in 1.5s"), RFC 9110
 * (Retry-After in seconds or as a date), both vendors' header names. Full jitter: an even draw over
 * [0, min(cap, base * 2^attempt)], so that threads that failed together do not come back together. */
#ifndef CADRE_MODEL_RETRY_H
#define CADRE_MODEL_RETRY_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum failure_kind {
    FAILURE_NONE,
    FAILURE_CONNECTION,     /* no answer at all: retried */
    FAILURE_STREAM,         /* the answer broke off or fell silent: retried */
    FAILURE_RATE_LIMIT,     /* 429: retried with its delay; the limiter slows down */
    FAILURE_OVERLOADED,     /* 503, 529, "overloaded": retried; the limiter slows down */
    FAILURE_SERVER,         /* 408, 409, other 5xx: retried */
    FAILURE_AUTH,           /* 401, 403: final */
    FAILURE_CONTEXT_LENGTH, /* the prompt does not fit: final here, the caller may compact */
    FAILURE_QUOTA,          /* no credit left: final */
    FAILURE_POLICY,         /* refused for its content: final */
    FAILURE_REQUEST,        /* other 4xx: final */
};

struct failure {
    enum failure_kind kind;
    int64_t retry_after_ms; /* what the service asked for; -1: nothing */
    struct error err;       /* without secrets: the service's message and our hint */
};

bool failure_is_retryable(enum failure_kind kind);
/* Does it say that the service has too much to do? */
bool failure_is_congestion(enum failure_kind kind);
const char *failure_kind_name(enum failure_kind kind);

/* The kind that an error object's code and type stand for ("insufficient_quota", "rate_limit_exceeded",
 * "overloaded_error", ...); FALLBACK when unknown. Both strings may be NULL. */
enum failure_kind failure_classify_code(const char *code, const char *type, const char *message,
                                        enum failure_kind fallback);

/* Fills FAILURE from an HTTP answer that is not 2xx. BODY may be any bytes. PROVIDER names it in the error;
 * HINT (may be NULL) says what to do on a refused key. */
void failure_from_status(struct failure *failure, int status, const char *body, size_t n,
                         const char *provider, const char *hint);

/* Fills FAILURE from an error object inside a stream: {"code", "type", "message"}. */
void failure_from_object(struct failure *failure, const json_t *object, const char *provider);

/* Retry-After: seconds (also fractions) or an HTTP date, against NOW_WALL_MS. -1 when it is neither. */
int64_t retry_parse_after(const char *value, int64_t now_wall_ms);
/* A duration as rate-limit headers write it: "1s", "6m0s", "120ms", "1.5s", or an ISO time. -1 else. */
int64_t retry_parse_duration(const char *value, int64_t now_wall_ms);
/* "... try again in 1.5s", "in 20 seconds", "in 350ms", "in 1m30s". -1 when the text names none. */
int64_t retry_delay_from_text(const char *text);

/* The delay that an answer's headers ask for: retry-after-ms, then retry-after. -1: none. GET gives a
 * header's value or NULL. Values over an hour are taken as an hour. */
int64_t retry_delay_from_headers(const char *(*get)(const void *data, const char *name), const void *data,
                                 int64_t now_wall_ms);

/* Full jitter for the ATTEMPTth retry (from 0). */
uint64_t retry_backoff_ms(unsigned attempt, uint64_t base_ms, uint64_t cap_ms);

#endif
