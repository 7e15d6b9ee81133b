/* Keys, headers, addresses and auth commands of providers; what a service may repeat of a key. */
#include "test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "config/config.h"
#include "config/provider_config.h"
#include "io/loop.h"
#include "model/provider.h"

#include <stdlib.h>
#include <string.h>

#define KEY "sk-test-0123456789abcdef"

static struct loop *loop;

static int set_up(void **state)
{
    (void)state;
    loop = loop_create();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_destroy(loop);
    return 0;
}

static char *headers_of(const struct provider *provider)
{
    struct str_list headers = {0};
    struct error err = {0};
    char *joined;

    assert_int_equal(provider_headers(provider, NULL, &headers, &err), 0);
    joined = str_list_join(&headers, "\n");
    str_list_finish(&headers);
    return joined;
}

static void each_wire_has_its_headers(void **state)
{
    struct provider *p;
    char *headers;

    (void)state;
    setenv("CADRE_TEST_KEY", "  " KEY "\n", 1);
    p = provider_create_simple(loop, "a", "https://a.example/v1/", WIRE_RESPONSES, "CADRE_TEST_KEY");
    headers = headers_of(p);
    assert_string_equal(headers, "Authorization: Bearer " KEY);
    assert_string_equal(provider_base_url(p), "https://a.example/v1");
    free(headers);
    provider_destroy(p);
    p = provider_create_simple(loop, "b", "https://b.example/v1", WIRE_MESSAGES, "CADRE_TEST_KEY");
    headers = headers_of(p);
    assert_string_equal(headers, "x-api-key: " KEY "\nanthropic-version: 2023-06-01");
    free(headers);
    provider_destroy(p);
}

static void a_key_that_breaks_the_header_is_refused(void **state)
{
    struct provider *p =
        provider_create_simple(loop, "a", "https://a.example/v1", WIRE_CHAT, "CADRE_TEST_KEY");
    struct str_list headers = {0};
    struct error err = {0};

    (void)state;
    setenv("CADRE_TEST_KEY", "abc\r\nX-Evil: 1", 1);
    assert_int_equal(provider_headers(p, NULL, &headers, &err), -1);
    assert_int_equal(err.code, ERROR_AUTH);
    assert_null(strstr(err.text, "Evil"));
    assert_int_equal(provider_check_auth(p, &err), -1);
    str_list_finish(&headers);
    provider_destroy(p);
}

static void only_this_machine_is_loopback(void **state)
{
    static const struct {
        const char *url;
        bool is_loopback;
    } cases[] = {
        {"http://127.0.0.1:8080/v1", true},
        {"http://localhost/v1", true},
        {"http://[::1]:1/v1", true},
        {"http://localhost.example.org/v1", false},
        {"http://127.0.0.1.example.org/v1", false},
        {"http://127.0.0.1:80@example.org/v1", false},
        {"https://api.openai.com/v1", false},
        {"http://10.0.0.1/v1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct provider *p = provider_create_simple(loop, "x", cases[i].url, WIRE_RESPONSES, NULL);

        assert_int_equal(provider_is_loopback(p), cases[i].is_loopback);
        provider_destroy(p);
    }
}

/* The built-in provider ID as a thread gets it: from the one table, in config/provider_config.c. */
static struct provider *built_in(const char *id)
{
    static const struct config_options options = {.cwd = "/nowhere", .codex_home = "/nowhere"};
    struct error err = {0};
    struct config *c = config_load(&options, &err);
    struct provider_config *pc;
    struct provider *p;

    assert_non_null(c);
    pc = provider_config_get(c, id, &err);
    assert_non_null(pc);
    p = provider_create(loop, pc);
    provider_config_destroy(pc);
    config_destroy(c);
    return p;
}

static void expect_built_in(const char *id, enum wire_api wire, const char *base_url)
{
    struct provider *p = built_in(id);

    assert_int_equal(provider_wire(p), wire);
    assert_string_equal(provider_base_url(p), base_url);
    provider_destroy(p);
}

static void built_in_providers_have_their_wire_and_address(void **state)
{
    (void)state;
    expect_built_in("openai", WIRE_RESPONSES, "https://api.openai.com/v1");
    expect_built_in("anthropic", WIRE_MESSAGES, "https://api.anthropic.com/v1");
    expect_built_in("ollama", WIRE_RESPONSES, "http://localhost:11434/v1");
    expect_built_in("lmstudio", WIRE_RESPONSES, "http://localhost:1234/v1");
}

static void the_vendors_variables_move_the_built_in_ones(void **state)
{
    (void)state;
    setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v9/", 1);
    setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:8", 1);
    setenv("CODEX_OSS_PORT", "7", 1);
    expect_built_in("openai", WIRE_RESPONSES, "http://127.0.0.1:9/v9");
    expect_built_in("anthropic", WIRE_MESSAGES, "http://127.0.0.1:8/v1");
    expect_built_in("lmstudio", WIRE_RESPONSES, "http://localhost:7/v1");
    setenv("CODEX_OSS_BASE_URL", "http://10.0.0.1:6/v1/", 1);
    expect_built_in("ollama", WIRE_RESPONSES, "http://10.0.0.1:6/v1");
    unsetenv("OPENAI_BASE_URL");
    unsetenv("ANTHROPIC_BASE_URL");
    unsetenv("CODEX_OSS_BASE_URL");
    setenv("CODEX_OSS_PORT", "70000", 1); /* no port */
    expect_built_in("ollama", WIRE_RESPONSES, "http://localhost:11434/v1");
    unsetenv("CODEX_OSS_PORT");
}

static void values_of_the_configuration_are_used(void **state)
{
    struct name_value query[] = {{(char *)"api-version", (char *)"2025 01"}};
    struct name_value fixed[] = {{(char *)"X-Team", (char *)"blue"}};
    struct name_value from_env[] = {{(char *)"X-Env", (char *)"CADRE_TEST_VALUE"}};
    struct provider_config config = {.id = (char *)"acme",
                                     .base_url = (char *)"https://user:secret@acme.example/v1",
                                     .wire = PROVIDER_WIRE_CHAT,
                                     .bearer_token = (char *)KEY,
                                     .query_params = query,
                                     .query_param_count = 1,
                                     .http_headers = fixed,
                                     .http_header_count = 1,
                                     .env_http_headers = from_env,
                                     .env_http_header_count = 1,
                                     .request_max_retries = 9,
                                     .stream_max_retries = 1000,
                                     .stream_idle_timeout_ms = 77};
    struct provider *p = provider_create(loop, &config);
    char *url = provider_url(p, "/chat/completions"), *headers;
    struct error err = {0};

    (void)state;
    setenv("CADRE_TEST_VALUE", "from\nenv", 1);
    headers = headers_of(p);
    assert_string_equal(url, "https://user:secret@acme.example/v1/chat/completions?api-version=2025%2001");
    assert_string_equal(provider_shown_url(p), "https://acme.example/v1");
    assert_string_equal(headers, "Authorization: Bearer " KEY "\nX-Team: blue\nX-Env: from env");
    assert_int_equal(provider_request_max_retries(p), 9);
    assert_int_equal(provider_stream_max_retries(p), 100); /* bounded */
    assert_int_equal(provider_stream_idle_timeout_ms(p), 77);
    error_set(&err, ERROR_AUTH, "Incorrect API key provided: " KEY ".");
    provider_scrub(p, NULL, &err);
    assert_string_equal(err.text, "Incorrect API key provided: [key].");
    free(url);
    free(headers);
    provider_destroy(p);
}

/* --- Auth commands ------------------------------------------------------------------------------------ */

struct answer {
    int count;
    char *token;
    struct error err;
};

static void on_token(void *data, const char *token, const struct error *err)
{
    struct answer *a = data;

    a->count++;
    free(a->token);
    a->token = xstrdup(token);
    if (err != NULL)
        a->err = *err;
}

static struct provider *with_command(const char *script)
{
    struct provider_config config = {.id = (char *)"acme",
                                     .base_url = (char *)"https://acme.example/v1",
                                     .auth_command = (char *)"sh",
                                     .auth_timeout_ms = 300,
                                     .auth_refresh_interval_ms = 0};
    struct provider *p;

    str_list_add(&config.auth_args, "-c");
    str_list_add(&config.auth_args, script);
    p = provider_create(loop, &config);
    str_list_finish(&config.auth_args);
    return p;
}

static void wait_for(struct answer *a, int count)
{
    while (a->count < count && loop_run_once(loop, true))
        ;
}

static void an_auth_command_runs_once_for_all_and_again_when_refused(void **state)
{
    char *folder = file_make_temporary_directory("cadre-auth", NULL);
    char *script = xasprintf("echo x >> %s/runs; printf '  token-%%s\\n' $(wc -l < %s/runs)", folder, folder);
    struct provider *p = with_command(script);
    struct answer a = {0};

    (void)state;
    provider_token_get(p, on_token, &a);
    provider_token_get(p, on_token, &a);
    wait_for(&a, 2);
    assert_string_equal(a.token, "token-1");
    provider_token_get(p, on_token, &a);
    wait_for(&a, 3);
    assert_string_equal(a.token, "token-1"); /* kept */
    assert_true(provider_token_expire(p));
    provider_wait_cancel(provider_token_get(p, on_token, &a));
    provider_token_get(p, on_token, &a);
    wait_for(&a, 4);
    assert_string_equal(a.token, "token-2");
    assert_false(error_is_set(&a.err));
    provider_destroy(p);
    free(a.token);
    file_remove_tree(folder, NULL);
    free(folder);
    free(script);
}

static void a_failing_auth_command_is_an_auth_error(void **state)
{
    static const char *const scripts[] = {"echo " KEY " >&2; exit 3", "sleep 5", "true"};
    static const char *const words[] = {"exit code 3", "longer than 300 ms", "printed no token"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct provider *p = with_command(scripts[i]);
        struct answer a = {0};

        provider_token_get(p, on_token, &a);
        wait_for(&a, 1);
        assert_null(a.token);
        assert_int_equal(a.err.code, ERROR_AUTH);
        assert_non_null(strstr(a.err.text, words[i]));
        assert_null(strstr(a.err.text, KEY));
        provider_destroy(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wire_has_its_headers),
        cmocka_unit_test(a_key_that_breaks_the_header_is_refused),
        cmocka_unit_test(only_this_machine_is_loopback),
        cmocka_unit_test(built_in_providers_have_their_wire_and_address),
        cmocka_unit_test(the_vendors_variables_move_the_built_in_ones),
        cmocka_unit_test(values_of_the_configuration_are_used),
        cmocka_unit_test(an_auth_command_runs_once_for_all_and_again_when_refused),
        cmocka_unit_test(a_failing_auth_command_is_an_auth_error),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
