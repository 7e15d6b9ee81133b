/* What waits for a person: kept answers hold for exactly what was shown, and an answer for the run only for its prefix. */
#include "test.h"

#include "agent/inbox.h"
#include "base/alloc.h"
#include "base/json.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "sandbox/command_rules.h"

#include <stdlib.h>
#include <string.h>

struct world {
    struct loop *loop;
    struct inbox *inbox;
    struct approval_desk desk;
    json_t *saved; /* id -> record */
    int answers;
    bool is_allowed;
    char why[200];
};

static void on_save(void *data, const char *id, const json_t *record)
{
    json_object_set_new(((struct world *)data)->saved, id, json_deep_copy(record));
}

static void on_answer(void *data, bool is_allowed, const char *why)
{
    struct world *w = data;

    w->answers++;
    w->is_allowed = is_allowed;
    (void)snprintf(w->why, sizeof w->why, "%s", why == NULL ? "" : why);
}

static void open_inbox(struct world *w, int64_t deadline_ms)
{
    struct inbox_options options = {.loop = w->loop, .deadline_ms = deadline_ms, .on_save = on_save, .data = w};

    w->inbox = inbox_create(&options);
    w->desk = inbox_desk(w->inbox);
}

static int set_up(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);

    w->loop = loop_create();
    w->saved = json_object();
    open_inbox(w, 600000);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    inbox_destroy(w->inbox);
    loop_destroy(w->loop);
    json_decref(w->saved);
    free(w);
    return 0;
}

static struct approval_request request_of(const char *command, bool outside)
{
    return (struct approval_request){.thread = "t", .role = "implementer", .task = "T1", .command = command, .cwd = "/work",
                                     .reason = "because", .outside = outside};
}

static void a_moment(void *data)
{
    (void)data;
    (void)fiber_sleep(20, NULL);
}

/* The inbox of the next process, which finds what the last one kept. */
static void start_again(struct world *w)
{
    const char *id;
    json_t *record;

    open_inbox(w, 600000);
    json_object_foreach(w->saved, id, record)
        inbox_restore(w->inbox, id, record);
}

/* TAMPER changes what is asked for after the answer was left. */
static void expect_kept(struct world *w, void (*tamper)(struct approval_request *), bool expected)
{
    struct approval_request request = request_of("npm test", false);
    struct approval_wait *wait = w->desk.ask(w->desk.data, &request, on_answer, w);
    struct error err = {0};
    json_t *record;

    w->desk.cancel(w->desk.data, wait); /* the process is killed */
    inbox_destroy(w->inbox);
    record = json_object_get(w->saved, "a1");
    assert_int_equal(inbox_record_answer(record, true, "terminal", NULL, &err), 0);
    start_again(w);
    if (tamper != NULL)
        tamper(&request);
    wait = w->desk.ask(w->desk.data, &request, on_answer, w);
    fiber_run_to_end(w->loop, a_moment, NULL);
    assert_int_equal(w->answers, expected);
    if (expected)
        assert_true(w->is_allowed);
    else
        w->desk.cancel(w->desk.data, wait);
}

static void go_outside(struct approval_request *request)
{
    request->outside = true;
}

static void go_elsewhere(struct approval_request *request)
{
    request->cwd = "/other";
}

static void an_answer_left_for_a_dead_run_is_found(void **state)
{
    expect_kept(*state, NULL, true);
}

static void an_answer_for_the_box_is_none_for_outside(void **state)
{
    expect_kept(*state, go_outside, false);
}

static void an_answer_for_one_folder_is_none_for_another(void **state)
{
    expect_kept(*state, go_elsewhere, false);
}

static void an_answer_for_the_run_becomes_a_rule(void **state)
{
    struct world *w = *state;
    struct command_rules *rules = command_rules_create();
    struct str_list prefix = {0}, words = {0};
    struct approval_request request = request_of("npm test", true);
    struct error err = {0};
    const char *why;
    json_t *list;

    str_split(&prefix, "npm test", ' ');
    str_split(&words, "npm test -- x", ' ');
    request.prefix = &prefix;
    request.rules = rules;
    (void)w->desk.ask(w->desk.data, &request, on_answer, w);
    list = inbox_list(w->inbox);
    assert_string_equal(json_get_string(json_array_get(list, 0), "prefix", ""), "npm test");
    json_decref(list);
    assert_int_equal(inbox_answer(w->inbox, "a1", true, true, "terminal", NULL, &err), 0);
    assert_int_equal(command_rules_judge(rules, &words, &why), RULE_ALLOW);
    assert_int_equal(inbox_answer(w->inbox, "a1", true, false, "terminal", NULL, &err), -1); /* answered already */
    assert_string_equal(err.text, "no approval 'a1' is waited for; waiting: none");
    str_list_finish(&prefix);
    str_list_finish(&words);
    command_rules_destroy(rules);
}

static void without_a_prefix_nothing_is_allowed_for_the_run(void **state)
{
    struct world *w = *state;
    struct command_rules *rules = command_rules_create();
    struct str_list none = {0};
    struct approval_request request = request_of("npm test", true);
    struct error err = {0};

    request.prefix = &none;
    request.rules = rules;
    (void)w->desk.ask(w->desk.data, &request, on_answer, w);
    assert_int_equal(inbox_answer(w->inbox, "a1", true, true, "terminal", NULL, &err), -1);
    assert_non_null(strstr(err.text, "answer for this command alone"));
    assert_int_equal(w->answers, 0); /* it still waits */
    assert_int_equal(inbox_answer(w->inbox, "a1", true, false, "terminal", NULL, &err), 0);
    assert_int_equal(command_rules_count(rules), 0);
    command_rules_destroy(rules);
}

static void what_cannot_be_shown_is_refused(void **state)
{
    struct world *w = *state;
    struct approval_request request = request_of("npm test", true);

    request.cwd = "/work/\xff";
    (void)w->desk.ask(w->desk.data, &request, on_answer, w);
    assert_int_equal(w->answers, 0); /* never within the call */
    fiber_run_to_end(w->loop, a_moment, NULL);
    assert_int_equal(w->answers, 1);
    assert_false(w->is_allowed);
    assert_non_null(strstr(w->why, "no UTF-8"));
}

int main(void)
{
#define WITH_WORLD(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(an_answer_left_for_a_dead_run_is_found),
        WITH_WORLD(an_answer_for_the_box_is_none_for_outside),
        WITH_WORLD(an_answer_for_one_folder_is_none_for_another),
        WITH_WORLD(an_answer_for_the_run_becomes_a_rule),
        WITH_WORLD(without_a_prefix_nothing_is_allowed_for_the_run),
        WITH_WORLD(what_cannot_be_shown_is_refused),
    };

    return cmocka_run_group_tests_name("agent/inbox", tests, NULL, NULL);
}
