/* What a model gets wrong is answered once, with words that it can act on, and goes no further. */
#include "test.h"

#include "base/alloc.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "tool/agents.h"
#include "tool/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
    struct loop *loop;
    struct tool_set *sets[2]; /* the agent tools of both forms */
    int answers;
    bool is_error;
    bool reached_host;
    char text[600];
};

static void host_start(void *data, const struct agent_request *request, struct tool_call *call)
{
    (void)request;
    ((struct world *)data)->reached_host = true;
    agent_call_refuse(call, "reached");
}

static void host_cancel(void *data, struct tool_call *call)
{
    (void)data;
    (void)call;
}

static void on_done(void *data, const struct tool_result *result)
{
    struct world *w = data;

    w->answers++;
    w->is_error = result->is_error;
    (void)snprintf(w->text, sizeof w->text, "%.*s", (int)result->output_len, result->output);
}

static int set_up(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);

    w->loop = loop_create();
    for (int i = 0; i < 2; i++) {
        w->sets[i] = tool_set_create(NULL, false);
        tool_set_add_agents(w->sets[i], i == 0 ? AGENT_FORM_V1 : AGENT_FORM_V2, "roles", true, true);
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 2; i++)
        tool_set_destroy(w->sets[i]);
    loop_destroy(w->loop);
    free(w);
    return 0;
}

static void a_moment(void *data)
{
    (void)data;
    (void)fiber_sleep(1, NULL);
}

static void call(struct world *w, int form, const char *name, const char *arguments, bool custom)
{
    struct agent_host host = {.start = host_start, .cancel = host_cancel, .data = w};
    struct tool_call_context ctx = {.loop = w->loop, .thread_id = "t", .role = "default", .cwd = "/", .agents = &host};

    w->answers = 0;
    w->is_error = w->reached_host = false;
    w->text[0] = '\0';
    (void)tool_call_start(w->sets[form], &ctx, name, arguments, custom, on_done, w);
    assert_int_equal(w->answers, 0); /* never within the call */
    fiber_run_to_end(w->loop, a_moment, NULL);
    if (w->answers != 1)
        fail_msg("%s %s: %d answers", name, arguments, w->answers);
}

static void wrong_arguments_of_agent_tools_are_answered(void **state)
{
    static const struct {
        int form; /* 0 or 1: which of both */
        const char *name, *arguments, *expected;
    } cases[] = {
        {0, "spawn_agent", "{}", "`message` is missing or empty"},
        {0, "spawn_agent", "", "`message` is missing or empty"},
        {0, "spawn_agent", "{\"message\": \" \\n\"}", "`message` is missing or empty"},
        {0, "spawn_agent", "{\"message\": 7}", "message"},
        {0, "spawn_agent", "{\"message\": \"x\", \"items\": [{\"text\": \"y\"}]}", "not both"},
        {0, "spawn_agent", "{\"items\": [3, null, {}]}", "`message` is missing or empty"},
        {0, "spawn_agent", "{\"message\": \"x\", \"agent_type\": []}", "agent_type"},
        {0, "spawn_agent", "{\"message\": \"x\", \"model\": {}}", "model"},
        {0, "spawn_agent", "[1]", "have to be a JSON object"},
        {0, "spawn_agent", "{\"message\": ", "spawn_agent: "},
        {0, "send_input", "{\"message\": \"x\"}", "`target` is missing"},
        {0, "send_input", "{\"target\": \"a\"}", "`message` is missing or empty"},
        {0, "send_input", "{\"target\": 1, \"message\": \"x\"}", "target"},
        {0, "wait_agent", "{}", "`targets` has to be a list"},
        {0, "wait_agent", "{\"targets\": []}", "`targets` has to be a list"},
        {0, "wait_agent", "{\"targets\": \"a\"}", "`targets` has to be a list"},
        {0, "wait_agent", "{\"targets\": [\"a\", 2]}", "targets[1] is no string"},
        {0, "wait_agent", "{\"targets\": [\"a\"], \"timeout_ms\": 0}", "`timeout_ms` has to be a number"},
        {0, "wait_agent", "{\"targets\": [\"a\"], \"timeout_ms\": \"1\"}", "`timeout_ms` has to be a number"},
        {0, "close_agent", "{}", "`target` is missing"},
        {0, "resume_agent", "{}", "`id` is missing"},
        {0, "merge_agent", "{\"target\": false}", "target"},
        {1, "spawn_agent", "{\"message\": \"x\"}", "`task_name` is missing"},
        {1, "spawn_agent", "{\"message\": \"x\", \"task_name\": \"Two Words\"}", "small letters, digits and '_'"},
        {1, "spawn_agent", "{\"message\": \"x\", \"task_name\": \"../up\"}", "small letters, digits and '_'"},
        {1, "spawn_agent", "{\"message\": \"x\", \"task_name\": \"root\"}", "the main thread's name"},
        {1, "spawn_agent", "{\"message\": \"x\", \"task_name\": \"a\", \"fork_turns\": \"some\"}", "`fork_turns` is"},
        {1, "send_message", "{\"target\": \"/root/a\"}", "`message` is missing or empty"},
        {1, "followup_task", "{\"message\": \"x\"}", "`target` is missing"},
        {1, "wait_agent", "{\"timeout_ms\": -5}", "`timeout_ms` has to be a number"},
        {1, "interrupt_agent", "{}", "`target` is missing"},
        {1, "list_agents", "{\"path_prefix\": 4}", "path_prefix"},
        {1, "no_such_tool", "{}", "there is no tool `no_such_tool`; the tools are: "},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        call(w, cases[i].form, cases[i].name, cases[i].arguments, false);
        if (!w->is_error || w->reached_host || strstr(w->text, cases[i].expected) == NULL)
            fail_msg("%s %s: got \"%s\"", cases[i].name, cases[i].arguments, w->text);
    }
    call(w, 0, "spawn_agent", "{\"message\": \"x\"}", false);
    assert_true(w->reached_host);
    call(w, 1, "wait_agent", "{\"timeout_ms\": 1e300}", false); /* clamped */
    assert_true(w->reached_host);
}

static void a_message_that_is_too_long_is_refused(void **state)
{
    size_t n = (size_t)2 << 20;
    char *arguments = xcalloc(1, n + 64);

    (void)snprintf(arguments, 64, "{\"message\": \"");
    memset(arguments + strlen(arguments), 'a', n);
    strcat(arguments, "\"}");
    call(*state, 0, "spawn_agent", arguments, false);
    assert_true(((struct world *)*state)->is_error);
    assert_false(((struct world *)*state)->reached_host);
    free(arguments);
}

static void input_that_is_no_utf8_is_answered(void **state)
{
    struct world *w = *state;

    call(w, 0, "apply_patch", "*** Begin Patch\n\xff\xfe\n", true);
    assert_true(w->is_error);
    assert_string_equal(w->text, "apply_patch: the input is no UTF-8 text");
}

int main(void)
{
#define WITH_WORLD(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(wrong_arguments_of_agent_tools_are_answered),
        WITH_WORLD(a_message_that_is_too_long_is_refused),
        WITH_WORLD(input_that_is_no_utf8_is_answered),
    };

    return cmocka_run_group_tests_name("tool/registry", tests, NULL, NULL);
}
