/* tests/unit/git/hostile.c: what an agent may leave in its worktree, or a repository in its configuration, to reach
 * beyond them. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "git/commit.h"
#include "git/git.h"
#include "git/merge.h"
#include "git/worktree.h"
#include "io/fiber.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static char *root; /* state folder, repository and what a hostile program would touch */
static char *top;
static struct git_repo *repo;
static char *head;

static void __attribute__((format(printf, 1, 2))) sh(const char *fmt, ...)
{
    struct buf script = BUF_INIT;
    va_list ap;

    buf_printf(&script, "set -e; cd '%s'; ", root);
    va_start(ap, fmt);
    buf_vprintf(&script, fmt, ap);
    va_end(ap);
    if (system(script.data) != 0)
        fail_msg("script failed: %s", script.data);
    buf_free(&script);
}

static void must(int rc, const struct error *err)
{
    if (rc < 0)
        fail_msg("%s", err->text);
}

static int set_up(void **state)
{
    char *made = file_make_temporary_directory("cadre-git", NULL);
    struct error err = {0};
    char *branch;

    (void)state;
    root = realpath(made, NULL);
    free(made);
    top = path_join(root, "repo");
    setenv("XDG_STATE_HOME", root, 1);
    sh("git init -q -b main repo; cd repo; git config user.name U; git config user.email u@x;"
       "printf '.env\\n' > .gitignore; echo a > f; mkdir sub; echo b > sub/g; git add -A; git commit -qm "
       "one");
    loop = loop_create();
    repo = git_repo_open(loop, top, &err);
    if (repo == NULL)
        fail_msg("%s", err.text);
    must(git_head(repo, &head, &branch, &err), &err);
    free(branch);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    git_repo_close(repo);
    loop_destroy(loop);
    assert_int_equal(file_remove_tree(root, NULL), 0);
    free(root);
    free(top);
    free(head);
    return 0;
}

static char *add_tree(const char *name)
{
    char *path = xasprintf("%s/cadre/%s", root, name);
    struct error err = {0};

    must(worktree_add(repo, path, head, &err), &err);
    return path;
}

static void expect_denied(const char *script, const char *words)
{
    struct commit_result result = {0};
    struct error err = {0};
    char *path = add_tree("bad");

    sh("cd cadre/bad; %s", script);
    assert_int_equal(commit_worktree(repo, path, head, "m", &result, &err), -1);
    if (err.code != ERROR_DENIED || strstr(err.text, words) == NULL)
        fail_msg("%s: code %d, %s", script, (int)err.code, err.text);
    commit_result_finish(&result);
    must(worktree_remove(repo, path, &err), &err);
    free(path);
}

static void what_git_refuses_to_add_goes_back_to_the_author(void **state)
{
    (void)state;
    expect_denied("mkdir empty; git init -q empty", "empty");
    expect_denied("mkdir -p x/.GIT; echo evil > x/.GIT/config", ".GIT");
    expect_denied("echo x > \"$(printf 'a\\nb')\"", "control characters");
    expect_denied("echo x > \"$(printf 'a\\377b')\"", "control characters or invalid UTF-8");
}

static void a_submodule_stays_as_it_is(void **state)
{
    struct error err = {0};
    char *branch;

    (void)state;
    sh("git init -q lib; cd lib; git config user.name U; git config user.email u@x; echo l > l; git add l;"
       "git commit -qm l; cd ../repo; git -c protocol.file.allow=always submodule --quiet add ../lib lib "
       "2>/dev/null;"
       "git commit -qm sub");
    free(head);
    must(git_head(repo, &head, &branch, &err), &err);
    free(branch);
    expect_denied("rm -rf lib; git init -q lib; cd lib; git config core.fsmonitor 'touch ../../../ran';"
                  "git -c user.name=a -c user.email=b -c core.fsmonitor=false commit -q --allow-empty -m x",
                  "submodule");
    sh("! ls ran 2>/dev/null");
}

static void a_turned_pointer_file_has_no_effect(void **state)
{
    struct commit_result result = {0};
    struct error err = {0};
    char *one = add_tree("one");
    char *two = add_tree("two");

    (void)state;
    sh("git init -q evil; git -C evil config core.fsmonitor 'touch %s/ran; false';"
       "cp cadre/two/.git cadre/one/.git; echo new > cadre/one/new; echo precious > cadre/two/f",
       root);
    must(commit_worktree(repo, one, head, "m", &result, &err), &err);
    assert_int_equal(result.change_count, 1);
    assert_string_equal(result.changes[0].path, "new");
    must(worktree_reset(repo, one, head, &err), &err);
    sh("grep -q precious cadre/two/f; ! test -e cadre/one/new");
    sh("echo 'gitdir: %s/evil/.git' > cadre/one/.git; echo new > cadre/one/new", root);
    commit_result_finish(&result);
    must(commit_worktree(repo, one, head, "m", &result, &err), &err);
    assert_int_equal(result.change_count, 1);
    must(worktree_remove(repo, one, &err), &err);
    sh("test -d repo/.git/worktrees/two; test -d evil/.git; ! ls ran 2>/dev/null");
    commit_result_finish(&result);
    must(worktree_remove(repo, two, &err), &err);
    free(one);
    free(two);
}

static void a_filter_that_is_configured_later_does_not_run(void **state)
{
    struct commit_result result = {0};
    struct error err = {0};
    char *path = add_tree("one");

    (void)state;
    sh("cd repo; git config filter.late.clean 'touch %s/ran; cat'; cd ../cadre/one;"
       "echo '* filter=late' > .gitattributes; echo x > new",
       root);
    must(commit_worktree(repo, path, head, "m", &result, &err), &err);
    assert_int_equal(result.change_count, 2);
    sh("! ls ran 2>/dev/null");
    commit_result_finish(&result);
    free(path);
}

static void a_git_in_the_working_directory_is_not_run(void **state)
{
    struct commit_result result = {0};
    struct error err = {0};
    char *path = add_tree("one");
    char *before = xstrdup(getenv("PATH"));
    char *changed = xasprintf(".:%s", before);

    (void)state;
    sh("cd cadre/one; printf '#!/bin/sh\\ntouch %s/ran\\n' > git; chmod +x git", root);
    setenv("PATH", changed, 1);
    must(commit_worktree(repo, path, head, "m", &result, &err), &err);
    setenv("PATH", before, 1);
    sh("! ls ran 2>/dev/null");
    commit_result_finish(&result);
    free(before);
    free(changed);
    free(path);
}

static void included_files_are_ignored_ones_and_follow_no_link(void **state)
{
    struct commit_result result = {0};
    struct error err = {0};
    char *path;

    (void)state;
    sh("mkdir outside; cd repo; printf '.env\\nplain.txt\\n' > .worktreeinclude; git add .worktreeinclude;"
       "rm -r sub; ln -s ../outside sub; git add -A; git commit -qm link; rm sub; mkdir sub;"
       "echo K=1 > .env; echo K=2 > sub/.env; echo p > plain.txt");
    free(head);
    must(git_resolve(repo, "HEAD", &head, &err), &err);
    path = add_tree("one");
    must(worktree_copy_included(repo, path, &err), &err);
    sh("grep -q K=1 cadre/one/.env; ! test -e outside/.env; ! test -e cadre/one/plain.txt");
    must(commit_worktree(repo, path, head, "m", &result, &err), &err);
    assert_null(result.id);
    commit_result_finish(&result);
    free(path);
}

static void only_worktrees_of_ours_are_forgotten_and_unsaved_ones_are_told(void **state)
{
    struct error err = {0};
    struct str_list paths = {0};
    struct commit_result result = {0};
    char *one = add_tree("one");
    char *two = add_tree("two");
    char *why;
    bool saved;

    (void)state;
    sh("git -C repo worktree add -q --detach ../users; rm -rf users cadre/two; echo x > cadre/one/plan.md");
    must(worktree_prune(repo, &err), &err);
    sh("test -d repo/.git/worktrees/users; ! test -d repo/.git/worktrees/two");
    must(worktree_list_below(repo, NULL, &paths, &err), &err);
    assert_int_equal(paths.len, 1);
    assert_string_equal(paths.items[0], one);
    must(worktree_is_saved(repo, one, &saved, &why, &err), &err);
    assert_true(saved);
    sh("echo x > cadre/one/new");
    must(worktree_is_saved(repo, one, &saved, &why, &err), &err);
    assert_false(saved);
    assert_non_null(strstr(why, "new"));
    free(why);
    must(commit_worktree(repo, one, head, "m", &result, &err), &err);
    must(worktree_reset(repo, one, result.id, &err), &err);
    must(worktree_is_saved(repo, one, &saved, &why, &err), &err);
    assert_false(saved);
    assert_non_null(strstr(why, "no branch or ref"));
    free(why);
    commit_result_finish(&result);
    str_list_finish(&paths);
    free(one);
    free(two);
}

/* --- the writers' turn --- */

static void write_and_wait(void *arg)
{
    struct fiber_group *group = arg;

    (void)git_ref_set(repo, "refs/cadre/x/y/1", head, NULL);
    fiber_group_done(group);
}

static void cancel_in_the_middle(void *arg)
{
    struct fiber_group group = {0};
    struct fiber *fibers[3];

    for (size_t i = 0; i < 3; i++) {
        fiber_group_add(&group);
        fibers[i] = fiber_start(loop, write_and_wait, &group);
    }
    fiber_sleep(0, NULL);
    fiber_cancel(fibers[1]); /* the second waits for the first; the third must still get its turn */
    fiber_group_wait(&group, NULL);
    *(bool *)arg = true;
}

static void a_cancelled_writer_hands_its_turn_on(void **state)
{
    bool done = false;

    (void)state;
    fiber_run_to_end(loop, cancel_in_the_middle, &done);
    assert_true(done);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_git_refuses_to_add_goes_back_to_the_author),
        TEST(a_submodule_stays_as_it_is),
        TEST(a_turned_pointer_file_has_no_effect),
        TEST(a_filter_that_is_configured_later_does_not_run),
        TEST(a_git_in_the_working_directory_is_not_run),
        TEST(included_files_are_ignored_ones_and_follow_no_link),
        TEST(only_worktrees_of_ours_are_forgotten_and_unsaved_ones_are_told),
        TEST(a_cancelled_writer_hands_its_turn_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
