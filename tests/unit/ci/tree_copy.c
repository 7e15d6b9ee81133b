/* Copies of a tree for jobs, made by the helper process. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "ci/tree_copy.h"
#include "io/loop.h"

#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char *dir;
    struct loop *loop;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error err = {0};

    f->dir = file_make_temporary_directory("cadre-tree", &err);
    f->loop = loop_create();
    *state = f;
    return f->dir == NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};

    loop_destroy(f->loop);
    file_remove_tree(f->dir, &err);
    free(f->dir);
    free(f);
    return 0;
}

/* In the fixture's folder. */
static void shell(struct fixture *f, const char *script)
{
    char *all = xasprintf("cd '%s' && set -e\n"
                          "git() { command git -c user.name=T -c user.email=t@t -c init.defaultBranch=main \"$@\"; }\n%s",
                          f->dir, script);

    assert_int_equal(system(all), 0);
    free(all);
}

static int copy(struct fixture *f, const char *from, const char *to, struct error *err)
{
    char *source_dir = path_join(f->dir, from), *target = path_join(f->dir, to);
    struct tree_source *source = tree_source_create(f->loop, source_dir);
    int rc = tree_source_copy(source, target, err);

    tree_source_destroy(source);
    free(source_dir);
    free(target);
    return rc;
}

static void must_copy(struct fixture *f)
{
    struct error err = {0};

    if (copy(f, "from", "to", &err) < 0)
        fail_msg("%s", err.text);
}

static void it_is_as_a_fresh_checkout(void **state)
{
    struct fixture *f = *state;

    shell(f, "git init -q from; cd from\n"
             "mkdir -p a/b/c; echo 1 >a/b/c/one; echo 2 >a/two; printf 'x\\n' >run.sh; chmod 755 run.sh; ln -s a/two link\n"
             "printf '*.o\\n' >.gitignore; echo gone >gone; echo n >'-n\n new'; head -c 300000 /dev/urandom >large\n"
             "git add -A; git commit -qm one; git tag v1; git tag -a v2 -m two\n"
             "rm gone; echo o >x.o; echo changed >a/two; echo fresh >fresh; mkdir empty");
    must_copy(f);
    shell(f, "cd to; test ! -e gone; test ! -e x.o; test ! -e empty; cmp large ../from/large; test \"$(cat -- '-n\n new')\" = n\n"
             "test \"$(cat a/two a/b/c/one fresh)\" = 'changed\n1\nfresh'; test \"$(readlink link)\" = a/two; test -x run.sh; test ! -x fresh\n"
             "test \"$(git status --porcelain)\" = \"$(git -C ../from status --porcelain)\"\n"
             "test \"$(git rev-parse HEAD v1 v2)\" = \"$(git -C ../from rev-parse HEAD v1 v2)\"; test \"$(git log --oneline | wc -l)\" = 1\n"
             "test ! large -nt ../from/large; test ! large -ot ../from/large");
}

static void a_worktree_is_copied_with_its_own_state(void **state)
{
    struct fixture *f = *state;

    shell(f, "git init -q main; cd main; echo 1 >one; git add -A; git commit -qm one; git worktree add -q ../from -b other\n"
             "cd ../from; echo 2 >two; git add two; git commit -qm two");
    must_copy(f);
    shell(f, "cd to; test \"$(git rev-parse HEAD)\" = \"$(git -C ../main rev-parse other)\"; test -z \"$(git status --porcelain)\"; test -d .git");
}

static void nothing_is_reached_through_a_link(void **state)
{
    struct fixture *f = *state;

    shell(f, "mkdir outside; echo secret >outside/file; git init -q from; cd from; mkdir dir; echo in >dir/file; git add -A; git commit -qm one\n"
             "rm -r dir; ln -s ../outside dir; mkfifo pipe; mkdir -p nested; git init -q nested; echo deep >nested/deep");
    must_copy(f);
    shell(f, "test \"$(cat outside/file)\" = secret; test \"$(ls outside)\" = file; test -L to/dir -o ! -f to/dir/file\n"
             "test ! -e to/pipe; test ! -e to/nested/deep");
}

static void a_conflict_in_the_index_is_one_file(void **state)
{
    struct fixture *f = *state;

    shell(f, "git init -q from; cd from; echo 0 >f; git add f; git commit -qm 0; git checkout -q -b b; echo b >f; git commit -qam b\n"
             "git checkout -q main; echo m >f; git commit -qam m; git merge -q b >/dev/null 2>&1 || true; test -n \"$(git ls-files -u)\"");
    must_copy(f);
    shell(f, "cmp from/f to/f");
}

static void outside_of_git_everything_is_copied(void **state)
{
    struct fixture *f = *state;

    shell(f, "mkdir -p from/a; echo 1 >from/a/.hidden; echo 2 >from/two.o");
    must_copy(f);
    shell(f, "test \"$(cat to/a/.hidden to/two.o)\" = '1\n2'; test ! -e to/from");
}

static void a_folder_of_a_repository_is_copied_alone(void **state)
{
    struct fixture *f = *state;

    shell(f, "git init -q .; mkdir from; echo 1 >from/one; git add -A; git commit -qm one");
    must_copy(f);
    shell(f, "test \"$(cat to/one)\" = 1; test ! -e to/.git");
}

static void what_cannot_be_written_is_named(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};

    shell(f, "git init -q from; cd from; echo 1 >one; git add -A; git commit -qm one; echo >../to");
    assert_int_equal(copy(f, "from", "to", &err), -1);
    assert_non_null(strstr(err.text, "/to: Not a directory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_as_a_fresh_checkout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worktree_is_copied_with_its_own_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_reached_through_a_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_conflict_in_the_index_is_one_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outside_of_git_everything_is_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_of_a_repository_is_copied_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_named, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
