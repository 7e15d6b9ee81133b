/* Worktrees, the engine's commit, merges without a checkout, the merge back: on real repositories. */
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
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
    struct loop *loop;
    char *dir;
    char *repo_dir;
    struct git_repo *repo;
    char *head;
};

static void shell(const char *dir, const char *command)
{
    char *line = xasprintf("cd '%s' && { %s; } >/dev/null 2>&1", dir, command);

    assert_int_equal(system(line), 0);
    free(line);
}

static int set_up(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);
    char *branch = NULL;

    p->loop = loop_create();
    p->dir = file_make_temporary_directory("cadre-git", NULL);
    p->repo_dir = path_join(p->dir, "repo");
    assert_int_equal(file_make_directories(p->repo_dir, 0755, NULL), 0);
    shell(p->repo_dir, "git init -q -b main && git config user.name U && git config user.email u@x && "
                       "printf 'a\\nb\\nc\\n' > f && echo x > g && git add -A && git commit -qm one");
    p->repo = git_repo_open(p->loop, p->repo_dir, NULL);
    assert_non_null(p->repo);
    assert_int_equal(git_head(p->repo, &p->head, &branch, NULL), 0);
    assert_string_equal(branch, "main");
    free(branch);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;

    git_repo_close(p->repo);
    loop_destroy(p->loop);
    assert_int_equal(file_remove_tree(p->dir, NULL), 0);
    free(p->dir);
    free(p->repo_dir);
    free(p->head);
    free(p);
    return 0;
}

/* A commit on HEAD that COMMAND makes in a worktree called NAME. */
static char *commit_by(struct place *p, const char *name, const char *command, struct error *err)
{
    char *path = path_join(p->dir, name);
    struct commit_result result = {0};
    char *id = NULL;

    assert_int_equal(worktree_add(p->repo, path, p->head, NULL), 0);
    shell(path, command);
    if (commit_worktree(p->repo, path, p->head, "change\n", &result, err) == 0)
        id = xstrdup(result.id);
    commit_result_finish(&result);
    assert_int_equal(worktree_remove(p->repo, path, NULL), 0);
    assert_false(file_exists(path));
    free(path);
    return id;
}

static void disjoint_changes_merge_without_a_checkout(void **state)
{
    struct place *p = *state;
    char *one = commit_by(p, "one", "echo 1 >> f", NULL);
    char *two = commit_by(p, "two", "echo 2 > new.txt", NULL);
    struct merge_result merged = {0};
    char *merge = NULL;
    struct buf diff = BUF_INIT;

    assert_int_equal(merge_commits(p->repo, one, two, "Merge\n", &merged, &merge, NULL), 0);
    assert_true(merged.is_clean);
    assert_int_equal(git_diff_text(p->repo, p->head, merge, &diff, NULL), 0);
    assert_non_null(strstr(diff.data, "+1"));
    assert_non_null(strstr(diff.data, "+2"));
    merge_result_finish(&merged);
    buf_free(&diff);
    free(one);
    free(two);
    free(merge);
}

static void conflict_gives_both_sides(void **state)
{
    struct place *p = *state;
    char *one = commit_by(p, "one", "sed -i s/b/B1/ f", NULL);
    char *two = commit_by(p, "two", "sed -i s/b/B2/ f", NULL);
    struct merge_result merged = {0};
    char *merge = NULL;

    assert_int_equal(merge_commits(p->repo, one, two, "Merge\n", &merged, &merge, NULL), 0);
    assert_false(merged.is_clean);
    assert_null(merge);
    assert_int_equal(merged.conflict_count, 1);
    assert_string_equal(merged.conflicts[0].path, "f");
    assert_non_null(strstr(merged.conflicts[0].ours, "B1"));
    assert_non_null(strstr(merged.conflicts[0].theirs, "B2"));
    merge_result_finish(&merged);
    free(one);
    free(two);
}

static void no_change_is_no_commit(void **state)
{
    struct place *p = *state;

    assert_null(commit_by(p, "none", "true", NULL));
}

static void hostile_content_is_refused(void **state)
{
    struct place *p = *state;
    static const char *const commands[] = {
        "ln -s /etc/passwd link",
        "ln -s ../../outside link",
        "mkdir sub && cd sub && git init -q && git -c user.name=a -c user.email=b commit -q --allow-empty -m x",
    };

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct error err = {0};
        char name[16];

        (void)snprintf(name, sizeof name, "bad%zu", i);
        assert_null(commit_by(p, name, commands[i], &err));
        assert_int_equal(err.code, ERROR_DENIED);
    }
}

static void repository_programs_never_run(void **state)
{
    struct place *p = *state;
    char *proof = path_join(p->dir, "proof");
    char *command = xasprintf("mkdir -p .git/hooks && printf '#!/bin/sh\\ntouch %s\\n' > .git/hooks/post-checkout && "
                              "chmod +x .git/hooks/post-checkout && cp .git/hooks/post-checkout .git/hooks/pre-commit && "
                              "git config filter.evil.clean 'touch %s; cat' && git config filter.evil.smudge 'touch %s; cat' && "
                              "git config core.fsmonitor 'touch %s' && git config diff.evil.textconv 'touch %s; cat' && "
                              "git config merge.evil.driver 'touch %s'",
                              proof, proof, proof, proof, proof, proof);
    char *one;
    char *two;
    struct merge_result merged = {0};
    char *merge = NULL;
    struct buf diff = BUF_INIT;

    shell(p->repo_dir, command);
    git_repo_close(p->repo);
    p->repo = git_repo_open(p->loop, p->repo_dir, NULL);
    one = commit_by(p, "one", "echo '* filter=evil diff=evil merge=evil' > .gitattributes; echo 1 >> f", NULL);
    two = commit_by(p, "two", "echo '* filter=evil diff=evil merge=evil' > .gitattributes; echo 2 >> f", NULL);
    assert_int_equal(merge_commits(p->repo, one, two, "m\n", &merged, &merge, NULL), 0);
    assert_int_equal(git_diff_text(p->repo, p->head, one, &diff, NULL), 0);
    assert_int_equal(git_branch_set(p->repo, "other", one, NULL, NULL), 0);
    assert_false(file_exists(proof));
    merge_result_finish(&merged);
    buf_free(&diff);
    free(one);
    free(two);
    free(merge);
    free(proof);
    free(command);
}

static void merge_back_moves_a_clean_checkout_only(void **state)
{
    struct place *p = *state;
    char *one = commit_by(p, "one", "echo 1 >> f", NULL);
    struct merge_back_options o = {.branch = "main", .commit = one, .base = p->head, .strategy = MERGE_BACK_FF};
    char *file = path_join(p->repo_dir, "f");
    struct buf text = BUF_INIT;
    struct error err = {0};

    shell(p->repo_dir, "echo mine >> g");
    assert_int_equal(merge_back(p->repo, &o, &err), -1);
    assert_int_equal(err.code, ERROR_REPOSITORY);
    assert_non_null(strstr(err.text, "uncommitted"));
    shell(p->repo_dir, "test \"$(tail -n 1 g)\" = mine && git checkout -q g");
    assert_int_equal(merge_back(p->repo, &o, NULL), 0);
    assert_int_equal(merge_back(p->repo, &o, NULL), 0); /* again: done already */
    assert_int_equal(file_read(file, &text, 1000, NULL), 0);
    assert_string_equal(text.data, "a\nb\nc\n1\n");
    shell(p->repo_dir, "test -z \"$(git status --porcelain)\"");
    buf_free(&text);
    free(file);
    free(one);
}

static void untracked_files_in_the_way_are_kept(void **state)
{
    struct place *p = *state;
    char *one = commit_by(p, "one", "echo theirs > new.txt", NULL);
    struct merge_back_options o = {
        .branch = "main", .commit = one, .base = p->head, .strategy = MERGE_BACK_SQUASH, .message = "s\n"};

    shell(p->repo_dir, "echo mine > new.txt");
    assert_int_equal(merge_back(p->repo, &o, NULL), -1);
    shell(p->repo_dir, "test \"$(cat new.txt)\" = mine && test \"$(git log --oneline | wc -l)\" = 1");
    shell(p->repo_dir, "rm new.txt");
    assert_int_equal(merge_back(p->repo, &o, NULL), 0);
    shell(p->repo_dir, "test \"$(cat new.txt)\" = theirs && test \"$(git log --oneline | wc -l)\" = 2");
    free(one);
}

static void a_moved_branch_is_not_overwritten(void **state)
{
    struct place *p = *state;
    char *one = commit_by(p, "one", "echo 1 >> f", NULL);
    struct merge_back_options o = {.branch = "main", .commit = one, .base = p->head, .strategy = MERGE_BACK_FF};
    struct error err = {0};

    shell(p->repo_dir, "echo z > z && git add z && git commit -qm z");
    assert_int_equal(merge_back(p->repo, &o, &err), -1);
    assert_non_null(strstr(err.text, "moved"));
    free(one);
}

static void a_folder_that_is_no_worktree_is_not_removed(void **state)
{
    struct place *p = *state;
    char *mine = path_join(p->dir, "mine");

    assert_int_equal(file_make_directories(mine, 0755, NULL), 0);
    assert_int_equal(worktree_remove(p->repo, mine, NULL), -1);
    assert_int_equal(worktree_remove(p->repo, p->repo_dir, NULL), -1);
    assert_true(file_exists(mine));
    free(mine);
}

static void opening_says_what_is_wrong(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    char *empty = path_join(p->dir, "empty");
    char *bare = path_join(p->dir, "bare");

    assert_null(git_repo_open(p->loop, p->dir, &err));
    assert_non_null(strstr(err.text, "not a git repository"));
    assert_int_equal(file_make_directories(empty, 0755, NULL), 0);
    assert_int_equal(file_make_directories(bare, 0755, NULL), 0);
    shell(empty, "git init -q");
    shell(bare, "git init -q --bare");
    assert_null(git_repo_open(p->loop, empty, &err));
    assert_non_null(strstr(err.text, "no commit"));
    assert_null(git_repo_open(p->loop, bare, &err));
    assert_non_null(strstr(err.text, "bare"));
    assert_int_equal(error_exit_code(&err), EXIT_REPOSITORY);
    free(empty);
    free(bare);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(disjoint_changes_merge_without_a_checkout), T(conflict_gives_both_sides),
        T(no_change_is_no_commit),                    T(hostile_content_is_refused),
        T(repository_programs_never_run),             T(merge_back_moves_a_clean_checkout_only),
        T(untracked_files_in_the_way_are_kept),       T(a_moved_branch_is_not_overwritten),
        T(a_folder_that_is_no_worktree_is_not_removed), T(opening_says_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
