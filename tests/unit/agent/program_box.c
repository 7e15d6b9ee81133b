/* Which box a program gets, what its folder and environment hold, and that nothing is left of them. */
#include "test.h"

#include "agent/program_box.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/path.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum runner_box choose(enum runner_protocol protocol, enum runner_box wanted, bool can_nest)
{
    struct runner_config rc = {.protocol = protocol, .box = wanted};
    const char *why = NULL;
    enum runner_box kind = program_box_choose(&rc, can_nest, &why);

    assert_non_null(why);
    return kind;
}

static void the_tightest_box_that_holds_is_taken(void **state)
{
    (void)state;
    assert_int_equal(choose(RUNNER_CODEX, RUNNER_BOX_AUTO, true), RUNNER_BOX_BOTH);
    assert_int_equal(choose(RUNNER_CODEX_APP_SERVER, RUNNER_BOX_AUTO, true), RUNNER_BOX_BOTH);
    assert_int_equal(choose(RUNNER_CODEX, RUNNER_BOX_AUTO, false), RUNNER_BOX_CADRE);
    assert_int_equal(choose(RUNNER_ACP, RUNNER_BOX_AUTO, true), RUNNER_BOX_CADRE);
    assert_int_equal(choose(RUNNER_ACP, RUNNER_BOX_BOTH, false), RUNNER_BOX_BOTH);
    assert_int_equal(choose(RUNNER_CODEX, RUNNER_BOX_OWN, true), RUNNER_BOX_OWN);
}

static bool has_pair(const struct str_list *env, const char *pair)
{
    return str_list_has(env, pair);
}

static void the_folder_holds_copies_and_links(void **state)
{
    char *home = file_make_temporary_directory("cadre-box-home", NULL);
    char *dir = path_join(home, "private");
    char *settings = path_join(home, ".prog-settings");
    char *sign_in = path_join(home, ".prog-auth");
    char *copy;
    char *link;
    struct runner_config rc = {.name = "prog", .protocol = RUNNER_ACP};
    struct sandbox_policy work;
    struct str_list extra = {0};
    struct program_box box;
    char target[4096] = {0};

    (void)state;
    setenv("HOME", home, 1);
    setenv("NAMED", "from outside", 1);
    assert_int_equal(file_write(settings, "a", 1, 0600, NULL), 0);
    assert_int_equal(file_write(sign_in, "b", 1, 0600, NULL), 0);
    str_list_add(&rc.home_files, ".prog-settings");
    str_list_add(&rc.home_files, ".prog-auth");
    str_list_add(&rc.home_files, ".not-there");
    str_list_add(&rc.writable_roots, sign_in);
    str_list_add(&rc.env, "A=runner");
    str_list_add(&rc.env, "B=runner");
    str_list_add(&rc.env_vars, "NAMED");
    str_list_add(&extra, "B=task");
    sandbox_policy_init(&work, SANDBOX_READ_ONLY, "/work-tree");
    assert_int_equal(program_box_init(&box, &rc, RUNNER_BOX_CADRE, dir, &work, &extra, NULL), 0);
    copy = path_join(box.home, ".prog-settings");
    link = path_join(box.home, ".prog-auth");
    assert_true(file_is_regular(copy));
    assert_int_equal(readlink(copy, target, sizeof target - 1), -1);
    assert_true(readlink(link, target, sizeof target - 1) > 0);
    assert_string_equal(target, sign_in);
    assert_true(has_pair(&box.env, "A=runner"));
    assert_true(has_pair(&box.env, "B=task"));
    assert_true(has_pair(&box.env, "NAMED=from outside"));
    /* A read-only role may write its own folder and what the user named, not the worktree. */
    assert_false(str_list_has(&box.policy.writable_roots, "/work-tree"));
    assert_true(str_list_has(&box.policy.writable_roots, sign_in));
    assert_string_equal(box.policy.cwd, dir);
    assert_true(box.policy.network_access);
    program_box_finish(&box);
    assert_false(file_exists(dir));
    assert_true(file_exists(sign_in)); /* the link goes, not what it names */
    sandbox_policy_finish(&work);
    str_list_finish(&extra);
    str_list_finish(&rc.home_files);
    str_list_finish(&rc.writable_roots);
    str_list_finish(&rc.env);
    str_list_finish(&rc.env_vars);
    assert_int_equal(file_remove_tree(home, NULL), 0);
    free(copy);
    free(link);
    free(settings);
    free(sign_in);
    free(dir);
    free(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tightest_box_that_holds_is_taken),
        cmocka_unit_test(the_folder_holds_copies_and_links),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
