#include "test.h"

#include "sandbox/approval.h"
#include "sandbox/command_rules.h"

#include <stdlib.h>
#include <string.h>

static const char rules_text[] = "# the team's rules\n"
                                 "prefix_rule(\n"
                                 "    pattern = [\"git\", [\"push\", \"fetch\"]],\n"
                                 "    decision = \"prompt\",\n"
                                 "    justification = \"it leaves the machine\",\n"
                                 "    match = [\"git push origin main\", [\"git\", \"fetch\"]],\n"
                                 "    not_match = [\"git status\"],\n"
                                 ")\n"
                                 "prefix_rule(pattern=['rm', '-rf'], decision='forbidden', justification='use git clean -n')\n"
                                 "host_executable(name = \"git\", paths = [\"/usr/bin/git\"])\n"
                                 "prefix_rule(pattern = [\"make\"])  # allow is the default\n";

static struct command_rules *rules_of(const char *text, struct error *err)
{
    struct command_rules *rules = command_rules_create();

    if (command_rules_read(rules, text, strlen(text), "test.rules", err) < 0) {
        command_rules_destroy(rules);
        return NULL;
    }
    return rules;
}

static void bad_rules_name_line_and_column(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"prefix_rule(pattern = [])", "test.rules:1:23: `pattern` is a list with at least one word"},
        {"prefix_rule()", "test.rules:1:1: prefix_rule needs a `pattern`"},
        {"prefix_rule(pattern = [\"a\"], decision = \"maybe\")", "test.rules:1:41: `decision` is"},
        {"\n\nprefix_rule(pattern = [\"a\"], x = 1)", "test.rules:3:30: prefix_rule knows"},
        {"prefix_rule(pattern = [\"a", "test.rules:1:24: the string has no end"},
        {"prefix_rule(pattern = [\"a\" \"b\"])", "',' or the end of the list"},
        {"prefix_rule(pattern = [\"a\"], match = [\"b\"])", "test.rules:1:39: the rule does not match"},
        {"prefix_rule(pattern = [\"a\"], not_match = [\"a b\"])", "the rule matches this example"},
        {"prefix_rule(pattern = [[[\"a\"]]])", "an alternative in `pattern` is a string"},
        {"x = 3", "a call such as prefix_rule"},
        {"prefix_rule(pattern = [\"a\"]", "',' or ')' is expected"},
        {"prefix_rule(pattern = [\"a\"], justification = \"\")", "`justification` is a string with some text"},
        {"prefix_rule(pattern = [[[[[[\"a\"]]]]]])", "nested too deeply"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct command_rules *rules = rules_of(cases[i].text, &err);

        assert_null(rules);
        if (strstr(err.text, cases[i].expected) == NULL)
            fail_msg("%s: got \"%s\"", cases[i].text, err.text);
    }
}

static void a_bad_file_adds_nothing(void **state)
{
    struct error err = {0};
    struct command_rules *rules = command_rules_create();
    const char *text = "prefix_rule(pattern = [\"ls\"])\nprefix_rule(pattern = 3)\n";

    (void)state;
    assert_int_equal(command_rules_read(rules, text, strlen(text), "x", &err), -1);
    assert_int_equal(command_rules_count(rules), 0);
    command_rules_destroy(rules);
}

struct decision_case {
    const char *policy, *script;
    bool wants_out;
    enum sandbox_mode mode;
    enum approval_verdict expected;
};

static void decisions_follow_rules_policy_and_syntax(void **state)
{
    static const struct decision_case cases[] = {
        /* no rule: the policy */
        {"never", "touch x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        {"never", "touch x", true, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"on-request", "touch x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        {"on-request", "touch x", true, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        {"on-failure", "touch x", true, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        {"on-request", "touch x", true, SANDBOX_DANGER_FULL_ACCESS, APPROVAL_RUN},
        {"untrusted", "ls -l", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        {"untrusted", "ls -l && cat x | wc", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        {"untrusted", "ls -l && touch x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        {"untrusted", "ls $(touch x)", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        {"untrusted", "ls > x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        /* rules */
        {"on-request", "git push origin main", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        {"on-request", "ls && /usr/bin/git fetch", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        {"never", "git push", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"on-request", "rm -rf x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"on-request", "make && rm -rf x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"never", "make check", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN_OUTSIDE},
        {"never", "make check", false, SANDBOX_READ_ONLY, APPROVAL_RUN},
        {"never", "make && touch x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        {"untrusted", "make; ls", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN}, /* allowed, and safe: in the box */
        {"untrusted", "make; touch x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        {"never", "make $(touch x)", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        /* a program of that name elsewhere: not what is allowed, but still what is forbidden */
        {"never", "./make check", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        {"never", "/tmp/make check", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        {"never", "/usr/bin/../../tmp/make", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        {"never", "/usr/bin/make", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN_OUTSIDE},
        {"never", "../x/rm -rf x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"untrusted", "./ls", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        {"untrusted", "/bin/../tmp/ls", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        /* what is forbidden does not hide in a script that is not plain, or behind another program */
        {"never", "rm -rf \"$X\"", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"never", "X=1 /bin/rm -rf y", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"never", "for i in a; do rm -rf $i; done", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"never", "echo $(rm -rf x)", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"never", "env A=1 rm -rf x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"never", "find . -exec rm -rf '{}' ';'", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"never", "bash -c 'ls; rm -rf x'", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"never", "r''m -rf \"$X\"", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"never", "r\\m -r\"f\" $X", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"never", "r\\\nm -rf $X", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"on-request", "timeout 5 git push", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
        {"on-request", "echo git push", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        {"on-request", "grep -r 'rm -rf' .", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN},
        {"on-request", "r''m -rf x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_REFUSE},
        {"on-request", "/bin/r? -rf x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_RUN}, /* in the box: what it is nobody knows */
        {"untrusted", "/bin/l? x", false, SANDBOX_WORKSPACE_WRITE, APPROVAL_ASK},
    };
    struct error err = {0};
    struct command_rules *rules = rules_of(rules_text, &err);

    (void)state;
    assert_non_null(rules);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const argv[] = {"/bin/bash", "-c", cases[i].script, NULL};
        struct approval_question question = {.argv = argv, .wants_out = cases[i].wants_out, .mode = cases[i].mode};
        struct approval_policy policy;
        char *reason = NULL;
        enum approval_verdict verdict;

        assert_int_equal(approval_policy_parse(cases[i].policy, &policy, &err), 0);
        verdict = approval_decide(&policy, rules, &question, &reason);
        if (verdict != cases[i].expected)
            fail_msg("%s under %s: got %d, expected %d (%s)", cases[i].script, cases[i].policy, (int)verdict,
                     (int)cases[i].expected, reason);
        if (verdict == APPROVAL_REFUSE || verdict == APPROVAL_ASK)
            assert_true(reason[0] != '\0' || cases[i].wants_out);
        free(reason);
    }
    command_rules_destroy(rules);
}

static void granular_refuses_what_may_not_be_asked(void **state)
{
    const char *const out[] = {"/bin/bash", "-c", "touch x", NULL};
    const char *const push[] = {"/bin/bash", "-c", "git push", NULL};
    struct approval_question wants_out = {.argv = out, .wants_out = true, .mode = SANDBOX_WORKSPACE_WRITE};
    struct approval_question by_rule = {.argv = push, .mode = SANDBOX_WORKSPACE_WRITE};
    struct approval_policy policy = {.kind = APPROVAL_GRANULAR, .may_ask_sandbox = true, .may_ask_rules = false};
    struct error err = {0};
    struct command_rules *rules = rules_of(rules_text, &err);
    char *reason;

    (void)state;
    assert_int_equal(approval_decide(&policy, rules, &wants_out, &reason), APPROVAL_ASK);
    free(reason);
    assert_int_equal(approval_decide(&policy, rules, &by_rule, &reason), APPROVAL_REFUSE);
    free(reason);
    policy.may_ask_sandbox = false;
    assert_int_equal(approval_decide(&policy, rules, &wants_out, &reason), APPROVAL_REFUSE);
    free(reason);
    command_rules_destroy(rules);
}

static void the_tightest_policy_wins(void **state)
{
    struct approval_policy never, untrusted, on_request, tightest;
    struct error err = {0};

    (void)state;
    assert_int_equal(approval_policy_parse("never", &never, &err), 0);
    assert_int_equal(approval_policy_parse("untrusted", &untrusted, &err), 0);
    assert_int_equal(approval_policy_parse("on-request", &on_request, &err), 0);
    assert_int_equal(approval_policy_parse("sometimes", &tightest, &err), -1);
    tightest = approval_policy_tightest(&on_request, &untrusted);
    assert_int_equal(tightest.kind, APPROVAL_UNTRUSTED);
    tightest = approval_policy_tightest(&untrusted, &never);
    assert_int_equal(tightest.kind, APPROVAL_NEVER);
    assert_int_equal(sandbox_mode_tightest(SANDBOX_WORKSPACE_WRITE, SANDBOX_READ_ONLY), SANDBOX_READ_ONLY);
}

static enum approval_verdict decide(const char *policy_name, const struct command_rules *rules, const char *script)
{
    const char *const argv[] = {"/bin/bash", "-c", script, NULL};
    struct approval_question question = {.argv = argv, .mode = SANDBOX_WORKSPACE_WRITE};
    struct approval_policy policy;
    struct error err = {0};
    char *reason = NULL;
    enum approval_verdict verdict;

    assert_int_equal(approval_policy_parse(policy_name, &policy, &err), 0);
    verdict = approval_decide(&policy, rules, &question, &reason);
    free(reason);
    return verdict;
}

static void a_shell_of_the_worktree_is_no_shell(void **state)
{
    static const char *const shells[] = {"./bash", "/tmp/x/bash", "/bin/../tmp/bash", "tools/sh"};
    struct error err = {0};
    struct command_rules *rules = rules_of(rules_text, &err);

    (void)state;
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        const char *const argv[] = {shells[i], "-c", "make check", NULL};
        struct approval_question question = {.argv = argv, .mode = SANDBOX_WORKSPACE_WRITE};
        struct approval_policy policy = {.kind = APPROVAL_UNTRUSTED, .may_ask_sandbox = true, .may_ask_rules = true};
        char *reason = NULL;

        assert_int_equal(approval_decide(&policy, rules, &question, &reason), APPROVAL_ASK);
        free(reason);
        policy.kind = APPROVAL_ON_REQUEST;
        assert_int_equal(approval_decide(&policy, rules, &question, &reason), APPROVAL_RUN);
        free(reason);
    }
    command_rules_destroy(rules);
}

static void a_model_proposes_only_rules_that_mean_something(void **state)
{
    static const struct {
        const char *prefix, *script;
        bool expected;
    } cases[] = {
        {"npm install", "npm install left-pad", true}, {"npm", "npm install", true},        {"npm test", "npm install", false},
        {"", "npm install", false},                    {"bash", "bash x.sh", false},        {"python3 -c", "python3 -c 'x'", false},
        {"git push", "git push origin", true},         {"git", "git push", false},          {"git -c", "git -c a=b push", false},
        {"npm install", "npm install; ls", false},     {"npm install", "npm install $X", false}, {"env npm", "env npm install", false},
        {"/usr/bin/env npm", "/usr/bin/env npm install", false}, {"npm install left-pad x", "npm install left-pad", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const argv[] = {"/bin/bash", "-c", cases[i].script, NULL};
        struct str_list words = {0};

        if (cases[i].prefix[0] != '\0')
            str_split(&words, cases[i].prefix, ' ');
        if (command_rules_is_prefix(&words, argv) != cases[i].expected)
            fail_msg("'%s' for '%s'", cases[i].prefix, cases[i].script);
        str_list_finish(&words);
    }
}

static void an_answer_for_the_run_allows_the_prefix(void **state)
{
    struct command_rules *rules = command_rules_create();
    struct str_list prefix = {0};
    struct str_list command = {0};
    const char *why;

    (void)state;
    str_split(&prefix, "npm install", ' ');
    str_split(&command, "npm install left-pad", ' ');
    assert_int_equal(command_rules_judge(rules, &command, &why), RULE_NONE);
    command_rules_allow(rules, &prefix, false);
    assert_int_equal(command_rules_judge(rules, &command, &why), RULE_ALLOW_INSIDE);
    assert_int_equal(decide("untrusted", rules, "npm install left-pad && ls"), APPROVAL_RUN);
    assert_int_equal(decide("untrusted", rules, "npm run x"), APPROVAL_ASK);
    command_rules_allow(rules, &prefix, true);
    assert_int_equal(command_rules_judge(rules, &command, &why), RULE_ALLOW);
    assert_int_equal(command_rules_judge(rules, &prefix, &why), RULE_ALLOW);
    assert_int_equal(decide("untrusted", rules, "npm install left-pad"), APPROVAL_RUN_OUTSIDE);
    str_list_finish(&prefix);
    str_list_finish(&command);
    command_rules_destroy(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_rules_name_line_and_column),
        cmocka_unit_test(a_bad_file_adds_nothing),
        cmocka_unit_test(decisions_follow_rules_policy_and_syntax),
        cmocka_unit_test(granular_refuses_what_may_not_be_asked),
        cmocka_unit_test(the_tightest_policy_wins),
        cmocka_unit_test(a_shell_of_the_worktree_is_no_shell),
        cmocka_unit_test(a_model_proposes_only_rules_that_mean_something),
        cmocka_unit_test(an_answer_for_the_run_allows_the_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
