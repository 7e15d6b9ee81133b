/* Failure classes and delays. */
#include "test.h"

#include "base/random.h"
#include "model/retry.h"

#include <string.h>

/* 2026-11-23 16:00:00 UTC */
#define NOW_MS 1795449600000LL

static void retry_after_reads_seconds_and_dates(void **state)
{
    (void)state;
    assert_int_equal(retry_parse_after("2", NOW_MS), 2000);
    assert_int_equal(retry_parse_after("0.5", NOW_MS), 500);
    assert_int_equal(retry_parse_after("Mon, 23 Nov 2026 16:00:30 GMT", NOW_MS), 30000);
    assert_int_equal(retry_parse_after("Mon, 23 Nov 2026 15:00:00 GMT", NOW_MS), 0);
    assert_int_equal(retry_parse_after("soon", NOW_MS), -1);
    assert_int_equal(retry_parse_after("-3", NOW_MS), -1);
    assert_int_equal(retry_parse_after(NULL, NOW_MS), -1);
    assert_int_equal(retry_parse_after("99999999999999", NOW_MS), 3600000);
}

static void durations_of_rate_limit_headers_are_read(void **state)
{
    (void)state;
    assert_int_equal(retry_parse_duration("1s", NOW_MS), 1000);
    assert_int_equal(retry_parse_duration("6m0s", NOW_MS), 360000);
    assert_int_equal(retry_parse_duration("120ms", NOW_MS), 120);
    assert_int_equal(retry_parse_duration("1.5s", NOW_MS), 1500);
    assert_int_equal(retry_parse_duration("2026-11-23T16:00:10Z", NOW_MS), 10000);
    assert_int_equal(retry_parse_duration("x", NOW_MS), -1);
}

static void delay_is_found_in_the_message(void **state)
{
    (void)state;
    assert_int_equal(retry_delay_from_text("Rate limit reached. Please try again in 1.5s. Visit"), 1500);
    assert_int_equal(retry_delay_from_text("Try again in 20 seconds."), 20000);
    assert_int_equal(retry_delay_from_text("try again in 350ms"), 350);
    assert_int_equal(retry_delay_from_text("try again in 1m30s"), 90000);
    assert_int_equal(retry_delay_from_text("try again later"), -1);
    assert_int_equal(retry_delay_from_text(NULL), -1);
}

static enum failure_kind status_kind(int status, const char *body)
{
    struct failure failure;

    failure_from_status(&failure, status, body, strlen(body), "p", "set P_KEY");
    return failure.kind;
}

static void status_and_body_give_the_class(void **state)
{
    (void)state;
    assert_int_equal(status_kind(401, "{}"), FAILURE_AUTH);
    assert_int_equal(status_kind(403, ""), FAILURE_AUTH);
    assert_int_equal(status_kind(408, ""), FAILURE_SERVER);
    assert_int_equal(status_kind(409, ""), FAILURE_SERVER);
    assert_int_equal(status_kind(429, ""), FAILURE_RATE_LIMIT);
    assert_int_equal(status_kind(429, "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"m\"}}"),
                     FAILURE_QUOTA);
    assert_int_equal(status_kind(500, "<html>"), FAILURE_SERVER);
    assert_int_equal(status_kind(503, ""), FAILURE_OVERLOADED);
    assert_int_equal(status_kind(529, ""), FAILURE_OVERLOADED);
    assert_int_equal(status_kind(400, "{\"error\":{\"message\":\"bad\"}}"), FAILURE_REQUEST);
    /* A 400 is never retried, whatever its words. */
    assert_int_equal(status_kind(400, "{\"error\":{\"code\":\"server_error\",\"message\":\"x\"}}"),
                     FAILURE_REQUEST);
    assert_int_equal(status_kind(400, "{\"error\":{\"code\":\"context_length_exceeded\"}}"),
                     FAILURE_CONTEXT_LENGTH);
    assert_int_equal(status_kind(400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\","
                                      "\"message\":\"prompt is too long: 210000 tokens > 200000\"}}"),
                     FAILURE_CONTEXT_LENGTH);
    assert_int_equal(status_kind(404, "{\"error\":\"model not found\"}"), FAILURE_REQUEST);
}

static void errors_show_the_message_and_the_hint(void **state)
{
    struct failure failure;
    const char *body = "{\"error\":{\"message\":\"Unknown parameter: 'x'.\"}}";

    (void)state;
    failure_from_status(&failure, 400, body, strlen(body), "acme", NULL);
    assert_non_null(strstr(failure.err.text, "Unknown parameter: 'x'."));
    assert_non_null(strstr(failure.err.text, "acme"));
    assert_int_equal(failure.err.code, ERROR_MODEL);
    failure_from_status(&failure, 401, "", 0, "acme", "set ACME_KEY");
    assert_int_equal(failure.err.code, ERROR_AUTH);
    assert_non_null(strstr(failure.err.text, "set ACME_KEY"));
}

static void backoff_is_drawn_from_the_whole_span(void **state)
{
    uint64_t low = UINT64_MAX, high = 0;

    (void)state;
    random_seed(7);
    for (int i = 0; i < 2000; i++) {
        uint64_t ms = retry_backoff_ms(3, 100, 10000);

        assert_true(ms <= 800);
        low = ms < low ? ms : low;
        high = ms > high ? ms : high;
        assert_true(retry_backoff_ms(63, 100, 5000) <= 5000);
    }
    assert_true(low < 40 && high > 760); /* full jitter */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after_reads_seconds_and_dates),
        cmocka_unit_test(durations_of_rate_limit_headers_are_read),
        cmocka_unit_test(delay_is_found_in_the_message),
        cmocka_unit_test(status_and_body_give_the_class),
        cmocka_unit_test(errors_show_the_message_and_the_hint),
        cmocka_unit_test(backoff_is_drawn_from_the_whole_span),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
