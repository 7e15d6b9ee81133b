/* tests/unit/mcp/client.c: a client against a server that speaks every revision, and does everything wrong. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "config/mcp_config.h"
#include "io/fiber.h"
#include "io/http_client.h"
#include "io/loop.h"
#include "mcp/mcp_client.h"
#include "mcp/mcp_pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct loop *loop;
static struct http_client *http;
static struct mcp_pool *pool;
static char *starts; /* one line a start of a server */

static int set_up(void **state)
{
    (void)state;
    loop = loop_create();
    http = http_client_create(loop);
    pool = mcp_pool_create(loop, http, 2);
    starts = xasprintf("/tmp/cadre-mcp-starts-%d", (int)getpid());
    unlink(starts);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mcp_pool_destroy(pool);
    http_client_destroy(http);
    loop_destroy(loop);
    unlink(starts);
    free(starts);
    return 0;
}

static unsigned start_count(void)
{
    struct buf text = BUF_INIT;
    unsigned n = 0;

    if (file_read(starts, &text, 1 << 20, NULL) == 0)
        for (size_t i = 0; i < text.len; i++)
            n += text.data[i] == '\n';
    buf_free(&text);
    return n;
}

static struct mcp_config server(const char *era)
{
    struct mcp_config config = {.id = xstrdup("test"),
                                .command = xstrdup("python3"),
                                .startup_timeout_ms = 10000,
                                .tool_timeout_ms = 10000,
                                .is_enabled = true};
    char *file = path_join(getenv("CADRE_SOURCE"), "tests/data/mcp/server.py");

    str_list_take(&config.args, file);
    str_list_add(&config.args, era);
    str_list_add(&config.args, starts);
    return config;
}

struct asked {
    char *text; /* of the result, or of the error */
    bool failed;
    bool is_over;
    struct fiber *fiber;
};

static void on_done(void *data, const json_t *result, const struct error *err)
{
    struct asked *asked = data;
    struct buf out = BUF_INIT;
    bool is_error = false;

    asked->failed = err != NULL;
    if (err == NULL)
        mcp_render_call(&out, result, NULL, &is_error);
    asked->text = err != NULL ? xstrdup(err->text) : buf_take(&out);
    asked->is_over = true;
}

static struct mcp_call *begin(struct mcp_lease *lease, const char *tool, uint64_t timeout_ms,
                              struct asked *asked)
{
    json_t *params = json_pack("{s:s, s:{s:s}}", "name", tool, "arguments", "text", "hello");
    struct mcp_call_options options = {.method = "tools/call",
                                       .params = params,
                                       .name = tool,
                                       .timeout_ms = timeout_ms,
                                       .on_done = on_done,
                                       .data = asked};
    struct mcp_call *call = mcp_client_call(mcp_lease_client(lease), &options);

    json_decref(params);
    return call;
}

static void finish(struct asked *asked)
{
    while (!asked->is_over)
        loop_run_once(loop, true);
}

/* Calls TOOL; the answer holds EXPECTED; failed or not. */
static void check_call(struct mcp_lease *lease, const char *tool, uint64_t timeout_ms, bool fails,
                       const char *expected)
{
    struct asked asked = {0};

    begin(lease, tool, timeout_ms, &asked);
    finish(&asked);
    if (asked.failed != fails || strstr(asked.text, expected) == NULL)
        fail_msg("%s: got \"%.300s\" (%s), expected \"%s\"", tool, asked.text,
                 asked.failed ? "failed" : "fine", expected);
    free(asked.text);
}

static struct mcp_lease *lease_of(const char *era, const char *cwd)
{
    struct mcp_config config = server(era);
    struct error err = {0};
    struct mcp_lease *lease = mcp_pool_acquire(pool, &config, cwd, &err);

    if (lease == NULL)
        fail_msg("%s", err.text);
    mcp_config_finish(&config);
    return lease;
}

static struct mcp_lease *ready(const char *era)
{
    struct mcp_lease *lease = lease_of(era, "/tmp/a b");
    struct error err = {0};

    if (mcp_client_connect(mcp_lease_client(lease), &err) < 0)
        fail_msg("%s", err.text);
    return lease;
}

static void check_version(const char *era, const char *version, unsigned starts_expected)
{
    struct mcp_lease *lease = ready(era);
    struct mcp_client *client = mcp_lease_client(lease);

    assert_string_equal(mcp_client_version(client), version);
    assert_int_equal(mcp_client_tools(client)->len, 24);
    assert_string_equal(mcp_client_tools(client)->items[0].name, "a b/c"); /* sorted, and from three pages */
    assert_true(mcp_client_offers(client, "resources"));
    assert_false(mcp_client_offers(client, "completions"));
    check_call(lease, "echo", 5000, false, "hello");
    assert_int_equal(start_count(), starts_expected);
    mcp_lease_release(lease);
}

static void agrees_on_the_newest_revision_of_both(void **state)
{
    (void)state;
    check_version("stateless", "2026-07-28", 1);
}

static void falls_back_to_sessions(void **state)
{
    (void)state;
    check_version("session", "2025-11-25", 1);
}

static void takes_the_older_revision_that_a_server_answers(void **state)
{
    (void)state;
    check_version("old", "2025-06-18", 1);
}

static void prefers_stateless_where_both_are_spoken(void **state)
{
    (void)state;
    check_version("both", "2026-07-28", 1);
}

static void survives_a_server_that_dies_of_the_probe(void **state)
{
    (void)state;
    check_version("dies-on-probe", "2025-11-25", 2);
}

static void survives_a_server_that_ignores_the_probe(void **state)
{
    struct mcp_config config = server("silent-on-probe");
    struct error err = {0};
    struct mcp_lease *lease;

    (void)state;
    config.startup_timeout_ms = 2000;
    lease = mcp_pool_acquire(pool, &config, NULL, &err);
    assert_int_equal(mcp_client_connect(mcp_lease_client(lease), &err), 0);
    assert_string_equal(mcp_client_version(mcp_lease_client(lease)), "2025-11-25");
    mcp_lease_release(lease);
    mcp_config_finish(&config);
}

static void check_start_fails(const char *era, int64_t startup_ms, const char *expected)
{
    struct mcp_config config = server(era);
    struct error err = {0};
    struct mcp_lease *lease;

    config.startup_timeout_ms = startup_ms;
    lease = mcp_pool_acquire(pool, &config, NULL, &err);
    assert_int_equal(mcp_client_connect(mcp_lease_client(lease), &err), -1);
    if (strstr(err.text, expected) == NULL)
        fail_msg("got \"%s\", expected \"%s\"", err.text, expected);
    /* The next one does not wait for it again. */
    assert_int_equal(mcp_client_connect(mcp_lease_client(lease), &err), -1);
    assert_non_null(strstr(err.text, "it is started again in"));
    check_call(lease, "echo", 5000, true, "MCP server test: ");
    mcp_lease_release(lease);
    mcp_config_finish(&config);
}

static void says_why_a_server_does_not_start(void **state)
{
    (void)state;
    check_start_fails("exits", 5000, "it wrote: cannot open the vault");
    check_start_fails("never", 400, "initialize: no answer within");
    check_start_fails("garbage", 400, "initialize: no answer within");
    check_start_fails("alien", 5000, "the revision \"1999-01-01\"");
}

static void says_that_a_program_is_not_there(void **state)
{
    struct mcp_config config = {
        .id = xstrdup("x"), .command = xstrdup("no-such-program"), .startup_timeout_ms = 1000};
    struct error err = {0};
    struct mcp_lease *lease = mcp_pool_acquire(pool, &config, NULL, &err);

    (void)state;
    assert_int_equal(mcp_client_connect(mcp_lease_client(lease), &err), -1);
    assert_non_null(strstr(err.text, "no-such-program"));
    mcp_lease_release(lease);
    mcp_config_finish(&config);
}

static void what_is_wrong_costs_its_own_call(void **state)
{
    struct mcp_lease *lease = ready("session");

    (void)state;
    check_call(lease, "refuses", 5000, true, "MCP server test: tools/call: not today (code -32000)");
    check_call(lease, "fails", 5000, false, "it went wrong");
    check_call(lease, "garbage", 5000, false, "after garbage");
    check_call(lease, "hang", 200, true, "no answer within 0.2 s");
    check_call(lease, "progress_then_hang", 400, true, "it last said: 3 of 10 digging");
    check_call(lease, "wrong_id", 300, true, "no answer within");
    check_call(lease, "deep", 300, true, "no answer within");
    check_call(lease, "no_such", 5000, true, "Unknown tool: no_such");
    check_call(lease, "echo", 5000, false, "hello");
    assert_int_equal(start_count(), 1);
    mcp_lease_release(lease);
}

static void a_server_that_died_is_started_again(void **state)
{
    struct mcp_lease *lease = ready("session");
    struct asked hanging = {0};

    (void)state;
    begin(lease, "hang", 20000, &hanging);
    check_call(lease, "die", 5000, true, "out of luck");
    finish(&hanging);
    assert_true(hanging.failed);
    free(hanging.text);
    check_call(lease, "echo", 5000, false, "hello"); /* starts it */
    assert_int_equal(start_count(), 2);
    check_call(lease, "die", 5000, true, "exited with code 3");
    check_call(lease, "echo", 5000, true, "it is started again in 1 s"); /* not in a tight loop */
    assert_int_equal(start_count(), 2);
    mcp_lease_release(lease);
}

static void a_flood_ends_the_server(void **state)
{
    static const char *const floods[] = {"flood", "call_flood", "huge"};

    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        struct mcp_lease *lease = ready("session");

        check_call(lease, floods[i], 20000, true, "MCP server test: ");
        mcp_lease_release(lease);
        mcp_pool_destroy(pool);
        pool = mcp_pool_create(loop, http, 2);
    }
    assert_int_equal(start_count(), 3);
}

static void a_call_can_be_cancelled(void **state)
{
    struct mcp_lease *lease = ready("session");
    struct asked asked = {0};

    (void)state;
    mcp_call_cancel(begin(lease, "hang", 20000, &asked));
    check_call(lease, "echo", 5000, false, "hello");
    assert_false(asked.is_over);
    mcp_lease_release(lease);
}

static void requests_of_the_server_are_answered_by_policy(void **state)
{
    static const char *const eras[] = {"session", "stateless"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct mcp_lease *lease = ready(eras[i]);

        check_call(lease, "ask", 5000, false, "\"decline\"");
        check_call(lease, "roots", 5000, false, "file:///tmp/a%20b");
        if (i == 0)
            check_call(lease, "sample", 5000, false, "cadre does not offer this");
        else
            check_call(lease, "sample", 5000, true, "asks for input that cadre does not offer");
        mcp_lease_release(lease);
    }
}

static void only_named_variables_reach_the_server(void **state)
{
    struct mcp_config config = server("session");
    struct error err = {0};
    struct asked asked = {0};
    struct mcp_lease *lease;

    (void)state;
    setenv("OPENAI_API_KEY", "sk-not-for-servers", 1);
    setenv("NAMED_VARIABLE", "yes", 1);
    str_list_add(&config.env_vars, "NAMED_VARIABLE");
    str_list_add(&config.env_vars, "NOT_SET_ANYWHERE");
    config.env = xcalloc(1, sizeof *config.env);
    config.env[0] = (struct name_value){xstrdup("SET_VARIABLE"), xstrdup("1")};
    config.env_count = 1;
    lease = mcp_pool_acquire(pool, &config, NULL, &err);
    begin(lease, "env", 5000, &asked); /* starts it */
    finish(&asked);
    assert_non_null(strstr(asked.text, "NAMED_VARIABLE"));
    assert_non_null(strstr(asked.text, "SET_VARIABLE"));
    assert_non_null(strstr(asked.text, "PATH"));
    assert_null(strstr(asked.text, "OPENAI_API_KEY"));
    assert_null(strstr(asked.text, "CADRE_SOURCE"));
    assert_null(strstr(asked.text, "NOT_SET_ANYWHERE"));
    free(asked.text);
    mcp_lease_release(lease);
    mcp_config_finish(&config);
    unsetenv("OPENAI_API_KEY");
}

static void the_same_definition_is_one_server(void **state)
{
    struct mcp_lease *one = ready("session");
    struct mcp_lease *two = ready("session");
    struct mcp_lease *other = lease_of("old", NULL);
    struct mcp_config config = server("both");
    struct error err = {0};

    (void)state;
    assert_ptr_equal(mcp_lease_client(one), mcp_lease_client(two));
    assert_ptr_not_equal(mcp_lease_client(one), mcp_lease_client(other));
    check_call(one, "echo", 5000, false, "hello");
    check_call(two, "echo", 5000, false, "hello");
    assert_int_equal(start_count(), 1); /* `other` was not asked for anything yet */
    assert_null(mcp_pool_acquire(pool, &config, NULL, &err));
    assert_non_null(strstr(err.text, "2 MCP servers are in use, which is the limit"));
    mcp_lease_release(one);
    assert_null(mcp_pool_acquire(pool, &config, NULL, &err));
    mcp_lease_release(two);
    one = mcp_pool_acquire(pool, &config, NULL, &err); /* takes the place of the idle one */
    assert_non_null(one);
    assert_int_equal(mcp_pool_server_count(pool), 2);
    mcp_lease_release(one);
    mcp_lease_release(other);
    mcp_config_finish(&config);
}

static bool has_tool(const struct mcp_client *client, const char *name)
{
    for (size_t i = 0; i < mcp_client_tools(client)->len; i++)
        if (strcmp(mcp_client_tools(client)->items[i].name, name) == 0)
            return true;
    return false;
}

static void a_changed_list_is_read_again(void **state)
{
    struct mcp_lease *lease = ready("session");
    struct mcp_client *client = mcp_lease_client(lease);

    (void)state;
    assert_false(has_tool(client, "later"));
    check_call(lease, "change", 5000, false, "changed");
    for (int i = 0; i < 1000 && !has_tool(client, "later"); i++)
        loop_run_once(loop, true);
    assert_true(has_tool(client, "later"));
    mcp_lease_release(lease);
}

/* Destroyed with everything under way: nothing leaks, nothing calls back. */
static void can_be_destroyed_at_any_time(void **state)
{
    struct mcp_lease *connecting = lease_of("never", NULL);
    struct mcp_lease *lease = ready("session");
    struct asked asked[2] = {{0}, {0}};

    (void)state;
    begin(lease, "hang", 20000, &asked[0]);
    begin(connecting, "echo", 20000, &asked[1]);
    loop_run_once(loop, false);
    mcp_lease_release(lease);
    mcp_lease_release(connecting);
    mcp_pool_destroy(pool);
    pool = NULL;
    assert_false(asked[0].is_over || asked[1].is_over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agrees_on_the_newest_revision_of_both, set_up, tear_down),
        cmocka_unit_test_setup_teardown(falls_back_to_sessions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_the_older_revision_that_a_server_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(prefers_stateless_where_both_are_spoken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_a_server_that_dies_of_the_probe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_a_server_that_ignores_the_probe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_why_a_server_does_not_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_that_a_program_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_costs_its_own_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_died_is_started_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_ends_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_can_be_cancelled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_of_the_server_are_answered_by_policy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_named_variables_reach_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_definition_is_one_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_list_is_read_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(can_be_destroyed_at_any_time, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
