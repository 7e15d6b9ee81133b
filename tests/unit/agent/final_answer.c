/* The last message of an agent without our tools: what is taken from it, and what is refused. */
#include "test.h"

#include "agent/final_answer.h"
#include "base/buf.h"
#include "base/json.h"
#include "tool/submission.h"

#include <stdlib.h>
#include <string.h>

static void takes(const char *owes, const char *message, const char *key, const char *value)
{
    struct error err = {0};
    json_t *answer = final_answer_read(owes, message, &err);

    if (answer == NULL)
        fail_msg("refused: %s: %s", message, err.text);
    assert_string_equal(json_get_string(answer, key, ""), value);
    json_decref(answer);
}

static void refuses(const char *owes, const char *message, const char *because)
{
    struct error err = {0};

    assert_null(final_answer_read(owes, message, &err));
    if (strstr(err.text, because) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", err.text, because);
}

static void takes_an_answer_in_any_dress(void **state)
{
    (void)state;
    takes("submit_result", "{\"status\":\"done\",\"summary\":\"s\",\"notes\":null}", "summary", "s");
    takes("submit_result", "All fine.\n```json\n{\"status\":\"done\",\"summary\":\"fenced\"}\n```\n", "summary", "fenced");
    takes("submit_result", "```\n{\"status\":\"done\",\"summary\":\"no language\"}\n```", "summary", "no language");
    takes("submit_result", "I looked at {a} and \"{\" here. {\"status\":\"blocked\",\"summary\":\"a } in it\"} Bye.",
          "summary", "a } in it");
    takes("submit_result", "{\"status\":\"done\",\"summary\":\"first\"} {\"status\":\"done\",\"summary\":\"last\"}", "summary",
          "last");
    takes("submit_review",
          "{\"verdict\":\"request_changes\",\"summary\":\"s\",\"findings\":[{\"severity\":\"major\",\"file\":null,\"line\":"
          "null,\"title\":\"t\",\"detail\":null,\"fix\":null}]}",
          "verdict", "request_changes");
}

static void null_members_are_left_out(void **state)
{
    json_t *answer = final_answer_read("submit_result", "{\"status\":\"done\",\"summary\":\"s\",\"notes\":null}", NULL);

    (void)state;
    assert_non_null(answer);
    assert_null(json_object_get(answer, "notes"));
    json_decref(answer);
}

static void refuses_what_the_tool_would_refuse(void **state)
{
    (void)state;
    refuses("submit_result", NULL, "no last message");
    refuses("submit_result", "", "no last message");
    refuses("submit_result", "Looks good to me.", "last message");
    refuses("submit_result", "[1,2]", "last message");
    refuses("submit_result", "{\"status\":\"perfect\",\"summary\":\"s\"}", "status");
    refuses("submit_result", "{\"status\":\"done\"}", "summary");
    refuses("submit_review", "{\"status\":\"done\",\"summary\":\"s\"}", "verdict");
    refuses("submit_review", "{\"verdict\":\"request_changes\",\"summary\":\"s\",\"findings\":[]}", "finding");
    refuses("submit_review", "{\"verdict\":\"approve\",\"summary\":\"s\",\"findings\":[{\"severity\":\"bad\",\"title\":\"t\"}]}",
            "severity");
    refuses("no_such_tool", "{\"status\":\"done\",\"summary\":\"s\"}", "no_such_tool");
}

static void a_huge_message_is_refused_and_many_braces_end(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < (size_t)2 << 20; i++)
        buf_putc(&b, '{');
    refuses("submit_result", b.data, "larger");
    buf_truncate(&b, 500000);
    refuses("submit_result", b.data, "last message");
    buf_free(&b);
}

static void the_agent_is_told_the_schema(void **state)
{
    struct buf b = BUF_INIT;
    json_t *schema = json_parse(submission_schema("submit_review"), strlen(submission_schema("submit_review")), "s", NULL);

    (void)state;
    /* The strict form: every member is required. */
    assert_int_equal(json_object_size(json_object_get(schema, "properties")),
                     json_array_size(json_object_get(schema, "required")));
    final_answer_describe(&b, "submit_review");
    assert_non_null(strstr(b.data, submission_schema("submit_review")));
    buf_clear(&b);
    final_answer_ask_again(&b, "submit_result", "it was blue");
    assert_non_null(strstr(b.data, "it was blue"));
    assert_non_null(strstr(b.data, submission_schema("submit_result")));
    json_decref(schema);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_an_answer_in_any_dress),
        cmocka_unit_test(null_members_are_left_out),
        cmocka_unit_test(refuses_what_the_tool_would_refuse),
        cmocka_unit_test(a_huge_message_is_refused_and_many_braces_end),
        cmocka_unit_test(the_agent_is_told_the_schema),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
