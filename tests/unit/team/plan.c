/* tests/unit/team/plan.c: what plan.md may hold, what is said of a bad one, what edits leave alone. */
#include "test.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/path.h"
#include "base/vec.h"
#include "team/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD                                                                                                 \
    "# Plan: Accept leap days\n\nSome words.\n\n## Tasks\n"                                                  \
    "- [ ] **T1** Accept leap days in `date_parse`\n"                                                        \
    "  - files: `src/date.c`, `tests/test_date.c`\n"                                                         \
    "  - needs: none\n"                                                                                      \
    "  - accept: `make check` passes `leap_day`\n"                                                           \
    "  - role: implementer\n"                                                                                \
    "- [x] **T2** Say so\n"                                                                                  \
    "  in the manual\n"                                                                                      \
    "  - files: docs/__init__.py, ./docs/, src/\\_x.c\n"                                                     \
    "  - accept: the manual says so\n"                                                                       \
    "  - allow: `ci-changed`\n"                                                                              \
    "  - priority: high\n"                                                                                   \
    "  - budget: 200k tokens\n"                                                                              \
    "  - a note: that means nothing\n"                                                                       \
    "- [ ] **T3** Third\n"                                                                                   \
    "  - files:\n    - `lib/**`\n    - `include/lib.h`\n"                                                    \
    "  - needs: T1, T2\n"                                                                                    \
    "  - accept: `make lib`\n\n"                                                                             \
    "## Decisions\n\nWe keep C.\n\n- [ ] **T9** not a task\n\n## Log\n- started\n"

static struct plan *load(const char *text, int max_files, struct vec *problems)
{
    return plan_load_text(text, strlen(text), "plan.md", max_files, problems);
}

static void free_strings(struct vec *v)
{
    for (size_t i = 0; i < v->len; i++)
        free(v->items[i]);
    vec_finish(v);
    *v = (struct vec){0};
}

static void expect_problem_within(const char *text, int max_files, const char *expected)
{
    struct vec problems = {0};
    struct plan *plan = load(text, max_files, &problems);

    assert_null(plan);
    for (size_t i = 0; i < problems.len; i++)
        if (strstr(problems.items[i], expected) != NULL) {
            free_strings(&problems);
            return;
        }
    for (size_t i = 0; i < problems.len; i++)
        print_message("# %s\n", (const char *)problems.items[i]);
    fail_msg("no problem says '%s'", expected);
}

static void expect_problem(const char *text, const char *expected)
{
    expect_problem_within(text, 0, expected);
}

#define HEAD      "# Plan: g\n\n## Tasks\n"
#define FIELDS(f) "  - files: `" f "`\n  - accept: `make`\n"

static void a_good_plan_is_read(void **state)
{
    struct vec problems = {0};
    struct plan *plan = load(GOOD, 3, &problems);
    const struct plan_task *t;

    (void)state;
    if (plan == NULL)
        fail_msg("%s", (const char *)problems.items[0]);
    assert_string_equal(plan_goal(plan), "Accept leap days");
    assert_int_equal(plan_task_count(plan), 3);
    t = plan_task_at(plan, 0);
    assert_string_equal(t->id, "T1");
    assert_string_equal(t->title, "Accept leap days in `date_parse`");
    assert_int_equal(t->files.len, 2);
    assert_string_equal(t->files.items[1], "tests/test_date.c");
    assert_int_equal(t->needs.len, 0);
    assert_string_equal(t->accept, "`make check` passes `leap_day`");
    assert_string_equal(t->role, "implementer");
    assert_false(t->is_done);
    assert_int_equal(t->line, 6);
    t = plan_find(plan, "T2");
    assert_string_equal(t->title, "Say so in the manual");
    assert_true(t->is_done);
    assert_int_equal(t->files.len, 3);
    assert_string_equal(t->files.items[0], "docs/__init__.py");
    assert_string_equal(t->files.items[1], "docs");
    assert_string_equal(t->files.items[2], "src/_x.c");
    assert_string_equal(t->allow.items[0], "ci-changed");
    assert_int_equal(t->priority, 1);
    assert_int_equal(t->budget_tokens, 200000);
    assert_null(t->role);
    t = plan_find(plan, "T3");
    assert_int_equal(t->files.len, 2);
    assert_string_equal(t->files.items[0], "lib/**");
    assert_int_equal(t->needs.len, 2);
    assert_string_equal(t->needs.items[1], "T2");
    assert_true(strncmp(plan_decisions(plan), "We keep C.", 10) == 0);
    plan_destroy(plan);
    free_strings(&problems);
}

static void plan_rejects_what_is_no_plan(void **state)
{
    (void)state;
    expect_problem("", "plan.md:1: no goal");
    expect_problem("# Plan: g\n", "plan.md:1: no tasks; add a heading '## Tasks'");
    expect_problem("# Plan: g\n\n## Tasks\n\nnone yet\n", "plan.md:3: no task;");
    expect_problem("# Plan:\n## Tasks\n- [ ] **T1** t\n" FIELDS("a"), "no goal");
    expect_problem("# Plan: \xff\n", "not UTF-8");
}

static void plan_rejects_duplicate_and_bad_ids(void **state)
{
    (void)state;
    expect_problem(HEAD "- [ ] **T1** a\n" FIELDS("a") "- [ ] **t1** b\n" FIELDS("b"),
                   "plan.md:7: t1 is the id of the task on line 4 already");
    expect_problem(HEAD "- [ ] a **T1** b\n" FIELDS("a"), "plan.md:4: the task has no id");
    expect_problem(HEAD "- [ ] **../T1** b\n" FIELDS("a"), "'../T1' is no task id");
    expect_problem(HEAD "- **T1** b\n" FIELDS("a"), "plan.md:4: this is no task");
    expect_problem(HEAD "- [ ] **T1**\n" FIELDS("a"), "plan.md:4: T1 has no title");
}

static void plan_rejects_unknown_needs_and_cycles(void **state)
{
    (void)state;
    expect_problem(HEAD
                   "- [ ] **parse** a\n  - needs: prase, x\n" FIELDS("a") "- [ ] **prose1** b\n" FIELDS("b"),
                   "parse needs x, and there is no such task; name ids");
    expect_problem(HEAD "- [ ] **T1** a\n  - needs: lexr\n" FIELDS("a") "- [ ] **lexer** b\n" FIELDS("b"),
                   "did you mean lexer?");
    expect_problem(HEAD "- [ ] **T1** a\n  - needs: T1\n" FIELDS("a"), "T1 needs itself");
    expect_problem(HEAD
                   "- [ ] **T1** a\n  - needs: T3\n" FIELDS("a") "- [ ] **T2** b\n  - needs: T1\n" FIELDS(
                       "b") "- [ ] **T3** c\n  - needs: T2\n" FIELDS("c"),
                   "in a circle: T1 -> T3 -> T2 -> T1");
}

static void plan_rejects_files_outside_and_missing_fields(void **state)
{
    (void)state;
    expect_problem(HEAD "- [ ] **T1** a\n  - accept: x\n", "plan.md:4: T1 names no files");
    expect_problem(HEAD "- [ ] **T1** a\n  - files: none\n  - accept: x\n", "T1 names no files");
    expect_problem(HEAD "- [ ] **T1** a\n  - files: `a`\n", "T1 has no acceptance check");
    expect_problem(HEAD "- [ ] **T1** a\n" FIELDS("/etc/passwd"), "is not relative");
    expect_problem(HEAD "- [ ] **T1** a\n" FIELDS("a/../../b"), "'a/../../b' is no plain path");
    expect_problem(HEAD "- [ ] **T1** a\n" FIELDS(".git/hooks/x"), "belongs to git");
    expect_problem(HEAD "- [ ] **T1** a\n" FIELDS("."), "T1: the file '.'");
    expect_problem_within(HEAD "- [ ] **T1** a\n  - files: a, b, c\n  - accept: `x`\n", 2,
                          "names 3 files, and 2");
}

static void plan_points_at_misspelt_fields(void **state)
{
    (void)state;
    expect_problem(HEAD "- [ ] **T1** a\n  - file: `a`\n  - accept: `x`\n",
                   "plan.md:5: 'file' is no field of a task; did you mean 'files'?");
    expect_problem(HEAD "- [ ] **T1** a\n  - files: `a`\n  - accept `x`\n", "plan.md:6: write 'accept: ...'");
    expect_problem(HEAD "- [ ] **T1** a\n" FIELDS("a") "  - files: b\n", "plan.md:7: 'files' stands twice");
    expect_problem(HEAD "- [ ] **T1** a\n" FIELDS("a") "  - priority: soon\n", "plan.md:7: priority 'soon'");
    expect_problem(HEAD "- [ ] **T1** a\n" FIELDS("a") "  - budget: much\n", "plan.md:7: budget 'much'");
}

static void plan_reports_all_problems_at_once(void **state)
{
    struct vec problems = {0};

    (void)state;
    assert_null(load(HEAD "- [ ] **T1** a\n- [ ] **T1** b\n", 0, &problems));
    assert_int_equal(problems.len, 5); /* twice: no files, no accept; and the id */
    free_strings(&problems);
}

static void plan_survives_hostile_text(void **state)
{
    struct vec problems = {0};
    struct buf deep = BUF_INIT;
    struct buf many = BUF_INIT;

    (void)state;
    buf_puts(&deep, HEAD);
    for (int i = 0; i < 20000; i++)
        buf_puts(&deep, i % 2 ? "> " : "- ");
    assert_null(load(deep.data, 0, &problems));
    assert_non_null(strstr(problems.items[0], "nested"));
    free_strings(&problems);
    buf_puts(&many, HEAD);
    for (int i = 0; i < PLAN_MAX_TASKS + 5; i++)
        buf_printf(&many, "- [ ] **T%d** a\n" FIELDS("a"), i);
    assert_null(load(many.data, 0, &problems));
    assert_non_null(strstr(problems.items[0], "more than 200 tasks"));
    free_strings(&problems);
    expect_problem(HEAD "- [ ] **T\x1b[31m1** a\n" FIELDS("a"), "is no task id");
    buf_free(&deep);
    buf_free(&many);
}

static void a_heading_inside_a_task_is_no_section(void **state)
{
    (void)state;
    expect_problem(HEAD
                   "- [x] **T1** a\n  - files: `a`\n  - \n    ## Decisions\n- [ ] **T2** b\n" FIELDS("b"),
                   "T1 has no acceptance check");
}

static bool first_is_done(void *data, const struct plan_task *task)
{
    return strcmp(task->id, data) == 0;
}

static void ready_tasks_have_their_needs_and_do_not_overlap(void **state)
{
    struct vec problems = {0};
    struct vec ready = {0};
    struct plan *plan = load(
        HEAD "- [ ] **A** a\n" FIELDS("src/**") "- [ ] **B** b\n" FIELDS(
            "src/x.c") "- [ ] **C** c\n  - needs: A\n" FIELDS("doc") "- [ ] **D** d\n" FIELDS("lib") "- [ ] "
                                                                                                     "**E** "
                                                                                                     "e\n  - "
                                                                                                     "priorit"
                                                                                                     "y: "
                                                                                                     "2"
                                                                                                     "\n" FIELDS("test"),
        0, &problems);

    (void)state;
    assert_non_null(plan);
    plan_ready_tasks(plan, 4, NULL, NULL, &ready);
    assert_int_equal(ready.len, 3);
    assert_string_equal(((struct plan_task *)ready.items[0])->id, "E");
    assert_string_equal(((struct plan_task *)ready.items[1])->id, "A");
    assert_string_equal(((struct plan_task *)ready.items[2])->id, "D");
    ready.len = 0;
    plan_ready_tasks(plan, 2, first_is_done, "A", &ready);
    assert_int_equal(ready.len, 2);
    assert_string_equal(((struct plan_task *)ready.items[1])->id, "B");
    vec_finish(&ready);
    plan_destroy(plan);
}

static void lint_says_when_a_task_is_not_atomic(void **state)
{
    struct vec problems = {0};
    struct vec warnings = {0};
    struct plan *plan =
        load(HEAD "- [ ] **A** Add the parser and rewrite the docs\n  - files: a/x, b/x, c/x, d/x, e/x\n"
                  "  - accept: it works\n- [ ] **B** b\n" FIELDS("a/x") "- [ ] **C** c\n" FIELDS("**"),
             0, &problems);
    static const char *const expected[] = {"A joins two changes", "A has no command",
                                           "A reaches into 5 top-level", "A and B both may write 'a/x'",
                                           "C may write '**'"};

    (void)state;
    assert_non_null(plan);
    plan_lint(plan, "plan.md", &warnings);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        bool found = false;

        for (size_t k = 0; k < warnings.len; k++)
            found = found || strstr(warnings.items[k], expected[i]) != NULL;
        if (!found)
            fail_msg("no warning says '%s'", expected[i]);
    }
    free_strings(&warnings);
    plan_destroy(plan);
    plan = load(GOOD, 0, &problems);
    plan_lint(plan, "plan.md", &warnings);
    assert_int_equal(warnings.len, 0);
    plan_destroy(plan);
}

static void edits_change_nothing_else(void **state)
{
    struct buf text = BUF_INIT;
    char *expected;

    (void)state;
    buf_puts(&text, GOOD);
    assert_true(plan_text_set_done(&text, "T1", true));
    assert_false(plan_text_set_done(&text, "T9", true));
    assert_int_equal(text.len, strlen(GOOD));
    assert_non_null(strstr(text.data, "- [x] **T1**"));
    plan_text_append_log(&text, "two\nlines");
    expected = strstr(text.data, "- started\n- two lines\n");
    assert_non_null(expected);
    buf_clear(&text);
    buf_puts(&text, "# Plan: g\n\n## Log\n\n## Decisions\nd\n");
    plan_text_append_log(&text, "one");
    plan_text_append_log(&text, "two");
    assert_string_equal(text.data, "# Plan: g\n\n## Log\n\n- one\n- two\n\n## Decisions\nd\n");
    buf_clear(&text);
    buf_puts(&text, "# Plan: g");
    plan_text_append_log(&text, "one");
    assert_string_equal(text.data, "# Plan: g\n\n## Log\n\n- one\n");
    buf_free(&text);
}

static void edits_of_a_file_are_kept(void **state)
{
    struct error err = {0};
    char *folder = file_make_temporary_directory("cadre-plan", &err);
    char *path = path_join(folder, "plan.md");
    struct vec problems = {0};
    struct plan *plan;

    (void)state;
    assert_int_equal(plan_file_append_log(path, "x", &err), -1);
    assert_int_equal(file_write(path, GOOD, strlen(GOOD), 0644, &err), 0);
    assert_int_equal(plan_file_append_log(path, "x", &err), 0);
    assert_int_equal(plan_file_set_done(path, "T3", true, &err), 0);
    assert_int_equal(plan_file_set_done(path, "T4", true, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    plan = plan_load_file(path, 0, &problems);
    assert_non_null(plan);
    assert_true(plan_find(plan, "T3")->is_done);
    plan_destroy(plan);
    file_remove_tree(folder, &err);
    free(folder);
    free(path);
}

#define T1 "- [ ] **T1** one\n" FIELDS("a")
#define T2 "- [ ] **T2** two\n" FIELDS("b")

static void joining_keeps_both_sides_and_the_person_wins(void **state)
{
    struct buf out = BUF_INIT;
    struct vec conflicts = {0};
    const char *base = HEAD T1 T2 "## Decisions\nd\n## Log\n- a\n";

    (void)state;
    /* The engine ticks T1 and logs; the person rewords T1, adds T3 and a decision. */
    plan_text_merge(base,
                    HEAD "- [ ] **T1** one, better\n" FIELDS("a") T2
                    "- [ ] **T3** three\n" FIELDS("c") "## Decisions\nd\ne\n## Log\n- a\n- by hand\n",
                    HEAD "- [x] **T1** one\n" FIELDS("a") T2 "## Decisions\nd\n## Log\n- a\n- merged T1\n",
                    &out, &conflicts);
    assert_string_equal(
        out.data, HEAD "- [x] **T1** one, better\n" FIELDS("a") T2
        "- [ ] **T3** three\n" FIELDS("c") "## Decisions\nd\ne\n## Log\n- a\n- by hand\n- merged T1\n");
    assert_int_equal(conflicts.len, 0);
    buf_clear(&out);
    /* Both reword T2; the engine adds T4; the person drops T1. */
    plan_text_merge(base, HEAD "- [ ] **T2** by hand\n" FIELDS("b") "## Decisions\nd\n## Log\n- a\n",
                    HEAD T1 "- [ ] **T2** by run\n" FIELDS("b") "- [ ] **T4** four\n" FIELDS(
                        "d") "## Decisions\nd\n## Log\n- a\n",
                    &out, &conflicts);
    assert_string_equal(out.data, HEAD "- [ ] **T2** by hand\n" FIELDS("b") "- [ ] **T4** four\n" FIELDS(
                                      "d") "## Decisions\nd\n## Log\n- a\n");
    assert_int_equal(conflicts.len, 1);
    assert_non_null(strstr(conflicts.items[0], "task T2: changed by hand and by the run"));
    free_strings(&conflicts);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_plan_is_read),
        cmocka_unit_test(plan_rejects_what_is_no_plan),
        cmocka_unit_test(plan_rejects_duplicate_and_bad_ids),
        cmocka_unit_test(plan_rejects_unknown_needs_and_cycles),
        cmocka_unit_test(plan_rejects_files_outside_and_missing_fields),
        cmocka_unit_test(plan_points_at_misspelt_fields),
        cmocka_unit_test(plan_reports_all_problems_at_once),
        cmocka_unit_test(plan_survives_hostile_text),
        cmocka_unit_test(a_heading_inside_a_task_is_no_section),
        cmocka_unit_test(ready_tasks_have_their_needs_and_do_not_overlap),
        cmocka_unit_test(lint_says_when_a_task_is_not_atomic),
        cmocka_unit_test(edits_change_nothing_else),
        cmocka_unit_test(edits_of_a_file_are_kept),
        cmocka_unit_test(joining_keeps_both_sides_and_the_person_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
