/* tests/unit/git/hostile.c: what an agent may leave in its worktree, or a repository in its configuration, to reach
 * beyond them. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "git/commit.h"
#include "git/diff.h"
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

/* A program that a repository can name. SETTING puts it there ("$ran" is a command that leaves a mark), CONTROL is what git
 * does with it when nobody prevents that; without one, no command of git that a test can give runs it. */
struct named_program {
    const char *name, *setting, *control;
};

static const struct named_program named_programs[] = {
    {"hook", "for h in pre-commit prepare-commit-msg commit-msg post-commit post-checkout post-merge pre-merge-commit post-index-change "
             "reference-transaction post-rewrite pre-auto-gc; do printf '#!/bin/sh\\n%s\\n' \"$ran\" >.git/hooks/$h; chmod +x .git/hooks/$h; done",
     "git commit -q --allow-empty -m x"},
    {"core.hooksPath", "mkdir h; printf '#!/bin/sh\\n%s\\n' \"$ran\" >h/post-commit; cp h/post-commit h/reference-transaction; chmod +x h/*; "
                       "git config core.hooksPath \"$PWD/h\"",
     "git commit -q --allow-empty -m x"},
    {"core.fsmonitor", "git config core.fsmonitor \"$ran; false\"", "git status"},
    {"include.path", "printf '[core]\\n\\tfsmonitor = \"%s; false\"\\n' \"$ran\" >.git/more; git config include.path more", "git status"},
    {"includeIf", "printf '[core]\\n\\tfsmonitor = \"%s; false\"\\n' \"$ran\" >.git/more; git config includeIf.gitdir:/.path more", "git status"},
    {"filter.clean", "git config filter.x.clean \"$ran; cat\"", "echo 2 >>f; git add f"},
    {"filter.smudge", "git config filter.x.smudge \"$ran; cat\"", "rm f; git checkout f"},
    {"filter.process", "git config filter.x.process \"$ran; false\"", "echo 2 >>f; git add f"},
    {"diff.external", "git config diff.external \"$ran; true\"", "echo 2 >>f; git diff"},
    {"diff.command", "git config diff.x.command \"$ran; true\"", "echo 2 >>f; git diff"},
    {"diff.textconv", "git config diff.x.textconv \"$ran; cat\"", "echo 2 >>f; git diff"},
    {"merge.driver", "git config merge.x.driver \"$ran; false\"",
     "git branch b; echo 2 >f; git commit -qam 2; git checkout -q b; echo 3 >f; git commit -qam 3; git merge -q main"},
    {"core.editor", "git config core.editor \"$ran; true\"", "git commit --allow-empty --amend"},
    {"gpg.program", "printf '#!/bin/sh\\n%s\\n' \"$ran\" >.git/gpg; chmod +x .git/gpg; git config gpg.program \"$PWD/.git/gpg\"; git config commit.gpgSign true",
     "git commit -q --allow-empty -m x"},
    {"core.sshCommand", "git config core.sshCommand \"$ran; false\"", "git ls-remote ssh://127.0.0.1:1/x"},
    {"core.gitProxy", "printf '#!/bin/sh\\n%s\\n' \"$ran\" >.git/proxy; chmod +x .git/proxy; git config core.gitProxy \"$PWD/.git/proxy\"", "git ls-remote git://x/x"},
    {"remote helper", "git config protocol.ext.allow always; git remote add origin \"ext::sh -c ${ran// /% }\"", "git fetch -q origin"},
    {"core.pager", "git config core.pager \"$ran; cat\"", NULL},
    {"alias", "git config alias.diff-tree \"!$ran\"", NULL},
    {"credential.helper", "git config credential.helper \"!$ran\"", NULL},
    {"core.askPass", "git config core.askPass \"$ran\"", NULL},
};

static void in_repository(const char *script)
{
    sh("cat >script <<'END'\nran='touch %s/ran'\n%s\nEND\ncd repo; bash ../script >/dev/null 2>&1 </dev/null || true", root, script);
}

/* All that a task's way to main asks of git. */
static void carry_two_tasks(void)
{
    struct commit_result result = {0};
    struct merge_result merged = {0};
    struct error err = {0};
    char *one = add_tree("one"), *two = add_tree("two"), *first, *merge = NULL;
    struct buf diff = BUF_INIT;

    sh("echo 1 >>cadre/one/f; echo '* filter=x diff=x merge=x' >cadre/one/.gitattributes; cp cadre/one/.gitattributes cadre/two/; echo 2 >>cadre/two/f");
    must(commit_worktree(repo, one, head, "m", &result, &err), &err);
    first = xstrdup(result.id);
    commit_result_finish(&result);
    must(commit_worktree(repo, two, head, "m", &result, &err), &err);
    must(merge_commits(repo, first, result.id, "m\n", &merged, &merge, &err), &err);
    must(git_diff_text(repo, head, first, &diff, &err), &err);
    must(git_branch_set(repo, "other", first, NULL, &err), &err);
    must(worktree_reset(repo, two, first, &err), &err);
    must(worktree_remove(repo, one, &err), &err);
    must(worktree_remove(repo, two, &err), &err);
    must(git_branch_delete(repo, "other", first, &err), &err);
    commit_result_finish(&result);
    merge_result_finish(&merged);
    buf_free(&diff);
    free(merge);
    free(first);
    free(one);
    free(two);
}

static void no_program_that_a_repository_names_is_run(void **state)
{
    struct error err = {0};

    (void)state;
    sh("cd repo; echo '* filter=x diff=x merge=x' >.gitattributes; git add -A; git commit -qm attributes; cp -r . ../untouched");
    free(head);
    must(git_resolve(repo, "HEAD", &head, &err), &err);
    for (size_t i = 0; i < sizeof named_programs / sizeof named_programs[0]; i++) {
        const struct named_program *p = &named_programs[i];

        git_repo_close(repo);
        sh("rm -rf repo ran cadre; cp -r untouched repo");
        in_repository(p->setting);
        sh("rm -f ran"); /* what the setting's own commands ran */
        repo = git_repo_open(loop, top, &err);
        assert_non_null(repo);
        carry_two_tasks();
        sh("test ! -e ran || { echo '# run by the engine: %s' >&2; false; }", p->name);
        if (p->control == NULL)
            continue;
        in_repository(p->control);
        sh("test -e ran || { echo '# nothing runs it: %s' >&2; false; }", p->name);
    }
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
        TEST(no_program_that_a_repository_names_is_run),
        TEST(a_git_in_the_working_directory_is_not_run),
        TEST(included_files_are_ignored_ones_and_follow_no_link),
        TEST(only_worktrees_of_ours_are_forgotten_and_unsaved_ones_are_told),
        TEST(a_cancelled_writer_hands_its_turn_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
