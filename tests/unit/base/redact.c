/* What is secret is taken out of text, JSON and streams; what is not stays as it is. The credentials here are made up
 * and put together at run time, so that no scanner takes this file for a leak. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/redact.h"
#include "base/secret_patterns.h"

#include <stdlib.h>
#include <string.h>

#define RANDOM40 "a8Kd02LmQ9xZ7bVn4TgY1hWc6RfE3jUs5PoI0qXy"

static int forget(void **state)
{
    (void)state;
    redact_clear();
    return 0;
}

static void expect(const char *text, const char *wanted)
{
    char *clean = redact_copy(text);

    assert_string_equal(clean, wanted);
    free(clean);
}

static void a_registered_value_is_taken_out_in_every_form(void **state)
{
    (void)state;
    redact_add("  s3cr\"t value/plus+ \n");
    redact_add("short");
    expect("x s3cr\"t value/plus+ y s3cr\"t value/plus+", "x [redacted] y [redacted]");
    expect("{\"a\":\"s3cr\\\"t value/plus+\"}", "{\"a\":\"[redacted]\"}");
    expect("?k=s3cr%22t%20value%2Fplus%2B&x", "?k=[redacted]&x");
    expect("a short word", "a short word");
    /* "user:s3cr\"t value/plus+\n" in base64: the inner part goes */
    expect("dXNlcjpzM2NyInQgdmFsdWUvcGx1cysK", "dXNlcjpz[redacted]cysK");
}

static void each_line_of_a_long_value_counts(void **state)
{
    (void)state;
    redact_add("first line of the value\nsecond line of the value\nshort\n");
    expect("x second line of the value y short", "x [redacted] y short");
}

static void the_longest_value_wins(void **state)
{
    (void)state;
    redact_add("prefix-1");
    redact_add("prefix-1-and-more");
    expect("prefix-1-and-more", "[redacted]");
    assert_true(redact_has_known("..prefix-1..", 12));
    assert_false(redact_has_known("..prefix-2..", 12));
}

static void credentials_are_known_by_their_form(void **state)
{
    (void)state;
    expect("token gh"
           "p_" RANDOM40 " ok",
           "token [redacted] ok");
    expect("https://user:"
           "hunter2z@example.org/x",
           "https://user:[redacted]@example.org/x");
    expect("postgres://app:"
           "Zx81pw@db/x",
           "postgres://app:[redacted]@db/x");
    expect("Authorization: Bearer " RANDOM40, "Authorization: Bearer [redacted]");
    expect("Authorization: Basic "
           "dXNlcjpwYXNzd29yZA==",
           "Authorization: Basic [redacted]");
    expect("eyJhbGciOiJIUzI1NiJ9"
           ".eyJzdWIiOiIxMjM0In0." RANDOM40,
           "[redacted]");
    expect("a\n-----BEGIN RSA "
           "PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nb",
           "a\n[redacted]\nb");
    expect("API_KEY=" RANDOM40, "API_KEY=[redacted]");
    expect("\"client_secret\": \"" RANDOM40 "\",", "\"client_secret\": \"[redacted]\",");
    assert_true(secret_kind_count() >= 40);
}

static void ordinary_text_stays(void **state)
{
    static const char *const texts[] = {
        "",
        "ab",
        "https://example.org:8080/path@2",
        "git@github.com:owner/name.git",
        "https://user:${PASSWORD}@host/",
        "https://user:password@host/",
        "token = get_token(name)",
        "const key = 'some-long-name-of-a-setting-2';",
        "secret_name: my-application-secret-name-for-tests",
        "apiKey: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
        "cacheKey = d41d8cd98f00b204e9800998ecf8427e",
        "AKIAIOSFODNN7EXAMPLE",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "\"integrity\": "
        "\"sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg==\"",
        "The bearer of this letter",
        "Basic understanding of things",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        expect(texts[i], texts[i]);
}

static void json_stays_json(void **state)
{
    struct buf out = BUF_INIT;
    const char *text = "{\"n\":12345678,\"12345678\":\"x 12345678\",\"l\":[\"\\ngh"
                       "p_" RANDOM40 "\",{\"k\":\"a\\n12345678\"}]}";

    (void)state;
    redact_add("12345678");
    redact_append_json(&out, text, strlen(text));
    assert_string_equal(out.data, "{\"n\":12345678,\"l\":[\"\\n[redacted]\",{\"k\":\"a\\n[redacted]\"}],\"["
                                  "redacted]\":\"x [redacted]\"}");
    buf_clear(&out);
    redact_append_json(&out, "{\"a\":\"b\"}", 9);
    assert_string_equal(out.data, "{\"a\":\"b\"}");
    buf_clear(&out);
    redact_append_json(&out, "no json 12345678", 16);
    assert_string_equal(out.data, "no json [redacted]");
    buf_free(&out);
}

/* However the text is cut, what comes out is what comes out of the whole. */
static void a_stream_hides_what_is_cut_anywhere(void **state)
{
    static const char text[] = "start known-value-one then https://u:"
                               "Zx81pw@h/x and gh"
                               "p_" RANDOM40 " and\nAPI_KEY = " RANDOM40
                               "\nkey keys known-value- Authorization: Bearer " RANDOM40 "\n-----BEGIN EC "
                               "PRIVATE KEY-----\nabc def\nghi\n-----END EC PRIVATE KEY-----\nend tok";
    char *wanted;
    size_t n = strlen(text);

    (void)state;
    redact_add("known-value-one");
    wanted = redact_copy(text);
    for (size_t step = 1; step < 40; step++) {
        struct redact_stream stream;
        struct buf out = BUF_INIT;

        redact_stream_init(&stream, REDACT_ALL);
        for (size_t at = 0; at < n; at += step)
            redact_stream_feed(&stream, text + at, at + step > n ? n - at : step, &out);
        redact_stream_end(&stream, &out);
        assert_string_equal(out.data, wanted);
        buf_free(&out);
    }
    free(wanted);
}

static void a_stream_holds_back_no_more_than_it_must(void **state)
{
    struct redact_stream stream;
    struct buf out = BUF_INIT;

    (void)state;
    redact_add("known-value-one");
    redact_stream_init(&stream, REDACT_ALL);
    redact_stream_feed(&stream, "The tokens are fine. The key is here. Now ", 42, &out);
    assert_int_equal(out.len, 42);
    redact_stream_feed(&stream, "known", 5, &out);
    assert_int_equal(out.len, 42);
    redact_stream_feed(&stream, " things.", 8, &out);
    assert_string_equal(out.data, "The tokens are fine. The key is here. Now known things.");
    redact_stream_end(&stream, &out);
    buf_free(&out);
}

static void names_say_what_is_secret(void **state)
{
    (void)state;
    assert_true(redact_is_secret_name("OPENAI_API_KEY", 14));
    assert_true(redact_is_secret_name("db_Password", 11));
    assert_true(redact_is_secret_name("Authorization", 13));
    assert_false(redact_is_secret_name("PATH", 4));
    assert_false(redact_is_secret_name("HOME", 4));
    assert_true(redact_is_secret_name("GITHUB_PAT", 10));
    assert_true(redact_is_secret_name("BASIC_AUTH", 10));
    assert_false(redact_is_secret_name("LD_LIBRARY_PATH", 15));
    assert_false(redact_is_secret_name("SSH_AUTH_SOCK", 13));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_registered_value_is_taken_out_in_every_form, forget),
        cmocka_unit_test_teardown(each_line_of_a_long_value_counts, forget),
        cmocka_unit_test_teardown(the_longest_value_wins, forget),
        cmocka_unit_test_teardown(credentials_are_known_by_their_form, forget),
        cmocka_unit_test_teardown(ordinary_text_stays, forget),
        cmocka_unit_test_teardown(json_stays_json, forget),
        cmocka_unit_test_teardown(a_stream_hides_what_is_cut_anywhere, forget),
        cmocka_unit_test_teardown(a_stream_holds_back_no_more_than_it_must, forget),
        cmocka_unit_test_teardown(names_say_what_is_secret, forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
