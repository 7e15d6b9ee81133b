/* A thread carried by a program that claims to be Codex and is none: it hangs, dies, floods, lies. */
#include "test.h"

#include "agent/carried_thread.h"
#include "agent/runner.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "sandbox/exec_helper.h"
#include "sandbox/policy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
    struct loop *loop;
    char *dir;
    char *program;
    struct runner_config runner;
    struct sandbox_policy policy;
    json_t *events;
    uint64_t timeout_ms;
    const char *owes;
    const char *questions[2];
    struct agent_answer answer;
    struct error err;
    int rc;
    struct fiber *asking;
    uint64_t cancel_after_ms;
};

static void cancel_it(void *data);

static void on_event(void *data, const json_t *event)
{
    json_array_append_new(((struct world *)data)->events, json_copy((json_t *)event));
}

static void ask(void *arg)
{
    struct world *w = arg;
    char *private = path_join(w->dir, "private");
    struct carried_options options = {
        .loop = w->loop,
        .runner = &w->runner,
        .id = "t",
        .role = "implementer",
        .instructions = "Be good.",
        .owes = w->owes,
        .policy = &w->policy,
        .dir = private,
        .turn_timeout_ms = w->timeout_ms,
        .on_event = on_event,
        .data = w,
    };
    struct carried_thread *t = carried_thread_create(&options);

    w->asking = fiber_current();
    if (w->cancel_after_ms > 0)
        (void)timer_start(w->loop, w->cancel_after_ms, cancel_it, w);
    for (size_t i = 0; i < 2 && w->questions[i] != NULL; i++) {
        agent_answer_finish(&w->answer);
        w->rc = carried_thread_ask(t, w->questions[i], &w->answer, &w->err);
    }
    carried_thread_destroy(t);
    assert_false(file_exists(private));
    free(private);
}

/* Runs SCRIPT as the program `codex`. */
static void with_codex(struct world *w, const char *script)
{
    char *text = xasprintf("#!/bin/sh\n%s\n", script);
    char *work;

    w->loop = loop_create();
    w->dir = file_make_temporary_directory("cadre-codex", NULL);
    w->program = path_join(w->dir, "codex");
    assert_int_equal(file_write(w->program, text, strlen(text), 0755, NULL), 0);
    work = path_join(w->dir, "work");
    assert_int_equal(mkdir(work, 0700), 0);
    w->runner.name = "codex";
    w->runner.protocol = RUNNER_CODEX;
    w->runner.box = w->runner.box == RUNNER_BOX_AUTO ? RUNNER_BOX_CADRE : w->runner.box;
    str_list_add(&w->runner.argv, w->program);
    sandbox_policy_init(&w->policy, SANDBOX_WORKSPACE_WRITE, work);
    w->events = json_array();
    if (w->questions[0] == NULL)
        w->questions[0] = "do it";
    setenv("CODEX_HOME", w->dir, 1);
    fiber_run_to_end(w->loop, ask, w);
    free(work);
    free(text);
}

static void leave_world(struct world *w)
{
    assert_int_equal(file_remove_tree(w->dir, NULL), 0);
    agent_answer_finish(&w->answer);
    json_decref(w->events);
    sandbox_policy_finish(&w->policy);
    str_list_finish(&w->runner.argv);
    free(w->program);
    free(w->dir);
    loop_destroy(w->loop);
}

static size_t count_events(const struct world *w, const char *type)
{
    size_t count = 0;
    size_t i;
    json_t *event;

    json_array_foreach(w->events, i, event)
        count += strcmp(json_get_string(event, "type", ""), type) == 0;
    return count;
}

#define STARTED   "echo '{\"type\":\"thread.started\",\"thread_id\":\"s1\"}'\n"
#define MESSAGE(t) "echo '{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":\"agent_message\",\"text\":\"" t "\"}}'\n"
#define COMPLETED(n) "echo '{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":" n ",\"output_tokens\":1}}'\n"

static void a_second_turn_resumes_and_usage_is_counted_once(void **state)
{
    struct world w = {.questions = {"one", "two"}};

    (void)state;
    with_codex(&w, "echo \"$*\" >> args\ncat >> prompts\n" STARTED MESSAGE("hi")
                   "case \"$*\" in *resume*) " COMPLETED("150") ";; *) " COMPLETED("100") ";; esac");
    assert_int_equal(w.rc, 0);
    assert_string_equal(w.answer.message, "hi");
    assert_int_equal(w.answer.usage.input_tokens, 150);
    assert_int_equal(w.answer.usage.requests, 2);
    {
        struct buf text = BUF_INIT;
        char *path = path_join(w.dir, "work/args");

        assert_int_equal(file_read(path, &text, 100000, NULL), 0);
        assert_non_null(strstr(text.data, " resume s1 -\n"));
        assert_non_null(strstr(text.data, "developer_instructions=\"Be good.\""));
        assert_non_null(strstr(text.data, "-s danger-full-access")); /* ours is the only box */
        buf_free(&text);
        free(path);
    }
    leave_world(&w);
}

static void a_bad_answer_is_asked_for_again_once(void **state)
{
    struct world w = {.owes = "submit_result"};

    (void)state;
    with_codex(&w, "cat > /dev/null\n" STARTED MESSAGE("done!") COMPLETED("1"));
    assert_int_equal(w.rc, -1);
    assert_int_equal(w.err.code, ERROR_IO);
    assert_int_equal(count_events(&w, "turn.started"), 2);
    leave_world(&w);
}

static void a_program_that_dies_fails_the_turn(void **state)
{
    struct world w = {0};

    (void)state;
    with_codex(&w, STARTED "echo out of cheese >&2; kill -9 $$");
    assert_int_equal(w.rc, -1);
    assert_int_equal(w.err.code, ERROR_IO);
    assert_int_equal(count_events(&w, "turn.failed"), 1);
    leave_world(&w);
}

static void a_program_that_does_not_start_is_a_configuration_error(void **state)
{
    struct world w = {0};

    (void)state;
    with_codex(&w, "echo 'Error loading config.toml: bad key' >&2; exit 1");
    assert_int_equal(w.rc, -1);
    assert_int_equal(w.err.code, ERROR_CONFIG);
    assert_non_null(strstr(w.err.text, "bad key"));
    leave_world(&w);
}

static void a_hanging_program_is_stopped_with_its_children(void **state)
{
    struct world w = {.timeout_ms = 300};

    (void)state;
    with_codex(&w, STARTED "trap '' TERM; sleep 1000 & sleep 1000; sleep 1000");
    assert_int_equal(w.rc, -1);
    assert_int_equal(w.err.code, ERROR_TIMEOUT);
    leave_world(&w);
}

static void notices_alone_are_no_progress(void **state)
{
    struct world w = {.runner = {.idle_timeout_seconds = 1}};

    (void)state;
    with_codex(&w, STARTED "while :; do echo '{\"type\":\"error\",\"message\":\"waiting for network\"}'; sleep 0.1; done");
    assert_int_equal(w.rc, -1);
    assert_int_equal(w.err.code, ERROR_TIMEOUT);
    assert_non_null(strstr(w.err.text, "no progress"));
    leave_world(&w);
}

static void an_endless_line_is_refused(void **state)
{
    struct world w = {0};

    (void)state;
    with_codex(&w, STARTED "head -c 20000000 /dev/zero | tr '\\0' x; sleep 100");
    assert_int_equal(w.rc, -1);
    assert_int_equal(w.err.code, ERROR_LIMIT);
    leave_world(&w);
}

static void a_flood_of_events_is_cut(void **state)
{
    struct world w = {0};

    (void)state;
    with_codex(&w, STARTED
               "yes '{\"type\":\"item.completed\",\"item\":{\"id\":\"x\",\"type\":\"reasoning\",\"text\":\"y\"}}' | head -n 60000\n"
               "echo garbage\n" MESSAGE("end") COMPLETED("1"));
    assert_int_equal(w.rc, 0);
    assert_true(json_array_size(w.events) < 20100);
    assert_string_equal(w.answer.message, "end");
    leave_world(&w);
}

static void it_writes_in_its_worktree_alone(void **state)
{
    struct world w = {0};
    char *inside;
    char *outside;

    (void)state;
    with_codex(&w, "echo a > inside; echo a > ../outside; echo a > $HOME/own\n" STARTED MESSAGE("x") COMPLETED("1"));
    inside = path_join(w.dir, "work/inside");
    outside = path_join(w.dir, "outside");
    assert_int_equal(w.rc, 0);
    assert_true(file_exists(inside));
    assert_false(file_exists(outside));
    free(inside);
    free(outside);
    leave_world(&w);
}

static void only_named_variables_reach_it(void **state)
{
    struct world w = {0};
    struct buf text = BUF_INIT;
    char *path;

    (void)state;
    setenv("CADRE_TEST_NAMED", "yes", 1);
    setenv("CADRE_TEST_OTHER", "yes", 1);
    str_list_add(&w.runner.env_vars, "CADRE_TEST_NAMED");
    with_codex(&w, "env > env.txt; echo \"$*\" >> env.txt\n" STARTED MESSAGE("x") COMPLETED("1"));
    path = path_join(w.dir, "work/env.txt");
    assert_int_equal(file_read(path, &text, 1000000, NULL), 0);
    assert_non_null(strstr(text.data, "CADRE_TEST_NAMED=yes"));
    assert_null(strstr(text.data, "CADRE_TEST_OTHER"));
    /* Codex is told to keep it from the commands of the model. */
    assert_non_null(strstr(text.data, "shell_environment_policy.exclude=[\"CADRE_TEST_NAMED\"]"));
    free(path);
    buf_free(&text);
    str_list_finish(&w.runner.env_vars);
    leave_world(&w);
}

static void cancel_it(void *data)
{
    fiber_cancel(((struct world *)data)->asking);
}

static void cancelling_ends_the_turn(void **state)
{
    struct world w = {.cancel_after_ms = 200};

    (void)state;
    with_codex(&w, STARTED "sleep 1000");
    assert_int_equal(w.rc, -1);
    assert_int_equal(w.err.code, ERROR_CANCELLED);
    leave_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_turn_resumes_and_usage_is_counted_once),
        cmocka_unit_test(a_bad_answer_is_asked_for_again_once),
        cmocka_unit_test(a_program_that_dies_fails_the_turn),
        cmocka_unit_test(a_program_that_does_not_start_is_a_configuration_error),
        cmocka_unit_test(a_hanging_program_is_stopped_with_its_children),
        cmocka_unit_test(notices_alone_are_no_progress),
        cmocka_unit_test(an_endless_line_is_refused),
        cmocka_unit_test(a_flood_of_events_is_cut),
        cmocka_unit_test(it_writes_in_its_worktree_alone),
        cmocka_unit_test(only_named_variables_reach_it),
        cmocka_unit_test(cancelling_ends_the_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
