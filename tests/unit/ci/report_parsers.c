/* What test programs and compilers print: the failing tests with file and line, nothing else. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "ci/excerpt.h"
#include "ci/report_parsers.h"

#include <stdlib.h>
#include <string.h>

/* The failures as "tool|file:line: name" lines. */
static char *read_all(const char *output)
{
    struct report report = {0};
    struct buf b = BUF_INIT;

    report_read(&report, output, strlen(output));
    for (size_t i = 0; i < report.len; i++) {
        char *text = report_failure_text(&report.failures[i]);
        buf_printf(&b, "%s|%s\n", report.failures[i].tool, text);
        assert_true(report.failures[i].first < report.failures[i].end);
        assert_true(report.failures[i].end <= report.lines.len);
        free(text);
    }
    report_finish(&report);
    return buf_take(&b);
}

static void expect(const char *output, const char *failures)
{
    char *found = read_all(output);

    assert_string_equal(found, failures);
    free(found);
}

static void tap_names_tests_with_their_place(void **state)
{
    (void)state;
    expect("TAP version 13\n1..4\nok 1 - fine\nnot ok 2 - adds leap days\n  ---\n  at:\n    file: test/date.t\n    line: 12\n  ...\n"
           "not ok 3 - later # TODO not yet\nok 4 - x # SKIP none\n",
           "tap|test/date.t:12: adds leap days\n");
    expect("not ok 1 - perl one\n#   Failed test 'perl one'\n#   at t/a.t line 7.\n", "tap|t/a.t:7: perl one\n");
    expect("not ok 1 bats one\n# (in test file test/x.bats, line 3)\n#   `false' failed\n", "tap|test/x.bats:3: bats one\n");
    expect("# Subtest: suite\n    not ok 1 - inner\n      ---\n      location: '/w/test/a.test.js:5:3'\n      failureType: 'testCodeFailure'\n"
           "      ...\n    1..1\nnot ok 1 - suite\n  ---\n  location: '/w/test/a.test.js:3:1'\n  failureType: 'subtestsFailed'\n  ...\n",
           "tap|/w/test/a.test.js:5: inner\n");
    expect("not ok 1 - a\n# 0x1 != 0x2\n# tests/unit/a.c:33: error: Failure!\nok 2 - b\n", "tap|tests/unit/a.c:33: a\n");
}

static void pytest_names_tests_with_the_line_of_the_test(void **state)
{
    (void)state;
    expect("=================================== FAILURES ===================================\n"
           "______________________________ TestDate.test_leap[4] ______________________________\n\n"
           "    def test_leap(y):\n>       assert days(y) == 366\nE       assert 365 == 366\n\ntests/test_date.py:12: AssertionError\n"
           "____________________________________ test_deep ____________________________________\n\n"
           "tests/test_date.py:20: \n_ _ _ _ _\nsrc/date.py:3: ValueError\n"
           "=========================== short test summary info ============================\n"
           "FAILED tests/test_date.py::TestDate::test_leap[4] - assert 365 == 366\n"
           "FAILED tests/test_date.py::test_deep - ValueError: no\n"
           "ERROR tests/test_other.py - ImportError: cannot import name 'x'\n"
           "========================= 2 failed, 3 passed in 0.12s =========================\n",
           "pytest|tests/test_date.py:12: TestDate::test_leap[4]\npytest|tests/test_date.py:20: test_deep\n"
           "pytest|tests/test_other.py: ImportError: cannot import name 'x'\n");
}

static void unittest_and_tracebacks_name_the_frame(void **state)
{
    (void)state;
    expect("======================================================================\nFAIL: test_add (tests.test_a.T)\n"
           "----------------------------------------------------------------------\nTraceback (most recent call last):\n"
           "  File \"/w/tests/test_a.py\", line 8, in test_add\n    self.assertEqual(add(1, 2), 3)\nAssertionError: 4 != 3\n",
           "unittest|/w/tests/test_a.py:8: test_add (tests.test_a.T)\n");
    expect("Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\n  File \"b.py\", line 9, in f\n    x\n"
           "NameError: name 'x' is not defined\n",
           "python|b.py:9: NameError: name 'x' is not defined\n");
}

static void go_names_the_innermost_test(void **state)
{
    (void)state;
    expect("--- FAIL: TestDate (0.00s)\n    --- FAIL: TestDate/leap (0.00s)\n        date_test.go:14: got 365\n--- FAIL: TestOther (0.00s)\n"
           "    other_test.go:5: no\nFAIL\nFAIL\texample.com/date\t0.002s\nok  \texample.com/x\t0.001s\nFAIL\n",
           "go|date_test.go:14: TestDate/leap\ngo|other_test.go:5: TestOther\n");
    expect("=== RUN   TestA\n    a_test.go:9: bad\n--- FAIL: TestA (0.00s)\n=== RUN   TestB\n    b_test.go:3: only a note\n--- PASS: TestB (0.00s)\n",
           "go|a_test.go:9: TestA\n");
    expect("# example.com/x\n./x.go:3:5: undefined: y\nFAIL\texample.com/x [build failed]\n", "go|./x.go:3: undefined: y\n");
    expect("{\"Time\":\"2026-01-01T00:00:00Z\",\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"TestX\"}\n"
           "{\"Action\":\"output\",\"Package\":\"p\",\"Test\":\"TestX\",\"Output\":\"    x_test.go:4: no\\n\"}\n"
           "{\"Action\":\"output\",\"Package\":\"p\",\"Test\":\"TestX\",\"Output\":\"--- FAIL: TestX (0.00s)\\n\"}\n"
           "{\"Action\":\"fail\",\"Package\":\"p\",\"Test\":\"TestX\",\"Elapsed\":0}\n{\"Action\":\"fail\",\"Package\":\"p\",\"Test\":\"TestY\"}\n"
           "{\"Action\":\"fail\",\"Package\":\"p\"}\n",
           "go|x_test.go:4: TestX\ngo|TestY\n");
}

static void cargo_names_tests_with_the_place_of_the_panic(void **state)
{
    (void)state;
    expect("running 2 tests\ntest tests::ok ... ok\ntest tests::adds ... FAILED\n\nfailures:\n\n---- tests::adds stdout ----\n"
           "thread 'tests::adds' panicked at src/lib.rs:12:9:\nassertion `left == right` failed\n  left: 1\n right: 2\n\n\nfailures:\n    tests::adds\n"
           "test result: FAILED. 1 passed; 1 failed\nerror: test failed, to rerun pass `--lib`\n",
           "cargo|src/lib.rs:12: tests::adds\n");
    expect("thread 'tests::old' panicked at 'boom', src/old.rs:3:5\n", "cargo|src/old.rs:3: tests::old\n");
    expect("        FAIL [   0.004s] crate::bin tests::slow\n", "cargo|tests::slow\n");
    expect("error[E0308]: mismatched types\n --> src/lib.rs:3:5\n  |\n3 |     \"a\"\n\nerror: aborting due to 1 previous error\n",
           "rustc|src/lib.rs:3: mismatched types\n");
}

static void javascript_runners_name_the_tests(void **state)
{
    (void)state;
    expect("\xe2\x96\xb6 suite\n  \xe2\x9c\x96 adds (1.5ms)\n\xe2\x9c\x96 suite (2ms)\n\xe2\x84\xb9 fail 1\n\n\xe2\x9c\x96 failing tests:\n\n"
           "test at test/a.test.js:5:3\n\xe2\x9c\x96 adds (1.5ms)\n  AssertionError [ERR_ASSERTION]: 1 == 2\n",
           "node|test/a.test.js:5: adds\n");
    expect("FAIL src/sum.test.js\n  \xe2\x97\x8f sum \xe2\x80\xba adds\n\n    expect(received).toBe(expected)\n\n"
           "      at Object.<anonymous> (node_modules/x/y.js:1:1)\n      at Object.<anonymous> (src/sum.test.js:5:17)\n\n"
           "Test Suites: 1 failed, 1 total\n",
           "jest|src/sum.test.js:5: sum \xe2\x80\xba adds\n");
    expect(" FAIL  src/a.test.ts > math > adds\nAssertionError: expected 1 to be 2\n \xe2\x9d\xaf src/a.test.ts:5:21\n",
           "vitest|src/a.test.ts:5: math > adds\n");
    expect("src/a.ts(3,5): error TS2322: Type 'string' is not assignable to type 'number'.\n"
           "src/b.ts:4:1 - error TS2304: Cannot find name 'x'.\n",
           "tsc|src/a.ts:3: TS2322: Type 'string' is not assignable to type 'number'.\ntsc|src/b.ts:4: TS2304: Cannot find name 'x'.\n");
}

static void runners_for_c_and_cplusplus_name_the_tests(void **state)
{
    (void)state;
    expect("    Start 1: date\n1/2 Test #1: date .............................***Failed    0.01 sec\n2/2 Test #2: other ............   Passed    0.00 sec\n"
           "The following tests FAILED:\n\t  1 - date (Failed)\n",
           "ctest|date\n");
    expect(" 1/12 unit / base/text                 OK              0.02s\n 2/12 unit / ci/run                    FAIL            0.41s   exit status 1\n",
           "meson|unit / ci/run\n");
    expect("[ RUN      ] Date.Leap\ntest/date_test.cc:12: Failure\nExpected equality of these values:\n[  FAILED  ] Date.Leap (0 ms)\n"
           "[ RUN      ] Date.Ok\n[       OK ] Date.Ok (0 ms)\n[  FAILED  ] 1 test, listed below:\n[  FAILED  ] Date.Leap\n",
           "gtest|test/date_test.cc:12: Date.Leap\n");
    expect("[ RUN      ] test_leap\n[  ERROR   ] --- 0x1 != 0x2\n[   LINE   ] --- tests/date.c:9: error: Failure!\n[  FAILED  ] test_leap\n"
           "[  FAILED  ] tests: 1 test(s), listed below:\n[  FAILED  ] test_leap\n",
           "gtest|tests/date.c:9: test_leap\n");
    expect("50%: Checks: 2, Failures: 1, Errors: 0\ncheck_date.c:17:F:Core:test_leap:0: Assertion 'days == 366' failed: days == 365\n",
           "check|check_date.c:17: test_leap\n");
    expect("prog: src/a.c:12: main: Assertion `x == 1' failed.\nAborted\n", "assert|src/a.c:12: Assertion `x == 1' failed.\n");
}

static void compilers_name_the_line(void **state)
{
    (void)state;
    expect("\x1b[1msrc/a.c:3:9:\x1b[0m \x1b[31merror: \x1b[0mexpected ';' before 'return'\nsrc/a.c: In function 'main':\nsrc/b.h:1:10: fatal error: none.h: No such file\n"
           "src/a.c:9:1: warning: unused\n/usr/bin/ld: a.o: in function `main':\na.c:(.text+0x5): undefined reference to `g'\n"
           "make: *** [Makefile:3: all] Error 1\n",
           "gcc|src/a.c:3: expected ';' before 'return'\ngcc|src/b.h:1: none.h: No such file\nld|undefined reference to `g'\n");
    expect("[ERROR] /w/src/A.java:[12,5] cannot find symbol\n[ERROR]   ATest.adds:7 expected: <1> but was: <2>\n",
           "javac|/w/src/A.java:12: cannot find symbol\nsurefire|ATest.java:7: ATest.adds\n");
    expect("1) App\\DateTest::testLeap\nFailed asserting that 365 is identical to 366.\n\n/w/tests/DateTest.php:14\n",
           "phpunit|/w/tests/DateTest.php:14: App\\DateTest::testLeap\n");
    expect("rspec ./spec/date_spec.rb:3 # Date knows leap days\n", "rspec|./spec/date_spec.rb:3: Date knows leap days\n");
}

static void junit_xml_is_read_wherever_it_stands(void **state)
{
    (void)state;
    expect("<?xml version=\"1.0\"?><testsuite><testcase classname=\"pkg.T\" name=\"a &lt; b\" file=\"t.py\" line=\"4\"><failure message=\"no\">x</failure></testcase>"
           "<testcase name=\"fine\"/><testcase\n  name=\"errs\">\n<error/></testcase></testsuite>\n",
           "junit|t.py:4: pkg.T.a < b\njunit|errs\n");
}

static void what_is_no_failure_names_nothing(void **state)
{
    (void)state;
    expect("", "");
    expect("ok 1 - a\nnot okay\nERROR: nothing to see\nFAIL\ntest a ... ok\nhttp://x.y:80/: error: no\n0 errors\n[  FAILED  ] 0 tests\n", "");
}

static void findings_and_lines_are_bounded(void **state)
{
    struct buf b = BUF_INIT;
    struct report report = {0};

    (void)state;
    for (int i = 0; i < 5000; i++)
        buf_printf(&b, "src/a.c:%d:1: error: e%d\n", i + 1, i);
    for (int i = 0; i < 3000; i++)
        buf_putc(&b, 'x');
    report_read(&report, b.data, b.len);
    assert_int_equal(report.len, REPORT_MAX_FAILURES);
    assert_true(strlen(report.lines.items[report.lines.len - 1]) <= REPORT_MAX_LINE_BYTES);
    report_finish(&report);
    buf_free(&b);
}

static void an_identity_does_not_depend_on_the_line(void **state)
{
    char *a = report_failure_identity("src/a.c:12:5: x 3:4"), *b = report_failure_identity("src/a.c:99: x 3:4");

    (void)state;
    assert_string_equal(a, b);
    assert_string_equal(a, "src/a.c: x 3");
    free(a);
    free(b);
}

static void the_excerpt_is_the_failing_part_with_the_command(void **state)
{
    struct buf b = BUF_INIT;
    struct excerpt e = {0}, same = {0};
    const char *again = "--- FAIL: TestLeap (1.23s)\n    /copy/7/date_test.go:99: got 1\n", *excerpt;

    (void)state;
    for (int i = 0; i < 2000; i++)
        buf_printf(&b, "noise %d\n", i);
    buf_puts(&b, "--- FAIL: TestLeap (0.00s)\n    date_test.go:14: got 365\n");
    for (int i = 0; i < 2000; i++)
        buf_printf(&b, "more %d\n", i);
    excerpt_read(&e, &(struct excerpt_source){.job = "j", .step = "s", .command = "go test ./...", .exit_code = 1, .output = b.data,
                                              .output_len = b.len, .max_bytes = 4096});
    excerpt = e.text;
    assert_true(strlen(excerpt) <= 4096);
    assert_non_null(strstr(excerpt, "exit code 1"));
    assert_non_null(strstr(excerpt, "repeat with: go test ./..."));
    assert_non_null(strstr(excerpt, "date_test.go:14: TestLeap"));
    assert_non_null(strstr(excerpt, "    date_test.go:14: got 365"));
    assert_non_null(strstr(excerpt, "more 1999"));
    assert_null(strstr(excerpt, "noise 100\n"));
    assert_int_equal(e.tests.len, 1);
    assert_string_equal(e.tests.items[0], "date_test.go:14: TestLeap");
    excerpt_read(&same, &(struct excerpt_source){.job = "j", .step = "s", .tree_dir = "/copy/7", .output = again,
                                                 .output_len = strlen(again), .max_bytes = 100});
    assert_string_equal(same.tests.items[0], "date_test.go:99: TestLeap");
    assert_true(same.fingerprint == e.fingerprint);
    assert_true(strlen(same.text) <= 100);
    excerpt_finish(&same);
    excerpt_finish(&e);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tap_names_tests_with_their_place),
        cmocka_unit_test(pytest_names_tests_with_the_line_of_the_test),
        cmocka_unit_test(unittest_and_tracebacks_name_the_frame),
        cmocka_unit_test(go_names_the_innermost_test),
        cmocka_unit_test(cargo_names_tests_with_the_place_of_the_panic),
        cmocka_unit_test(javascript_runners_name_the_tests),
        cmocka_unit_test(runners_for_c_and_cplusplus_name_the_tests),
        cmocka_unit_test(compilers_name_the_line),
        cmocka_unit_test(junit_xml_is_read_wherever_it_stands),
        cmocka_unit_test(what_is_no_failure_names_nothing),
        cmocka_unit_test(findings_and_lines_are_bounded),
        cmocka_unit_test(an_identity_does_not_depend_on_the_line),
        cmocka_unit_test(the_excerpt_is_the_failing_part_with_the_command),
    };

    return cmocka_run_group_tests_name("ci/report_parsers", tests, NULL, NULL);
}
