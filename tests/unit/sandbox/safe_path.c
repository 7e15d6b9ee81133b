/* Paths that a model gives: whatever stands in the tree, nothing outside of it is read or changed, and nothing blocks. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "sandbox/safe_path.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
    char *dir;     /* holds both */
    char *inside;  /* the working directory */
    char *outside; /* with the file "secret" */
    struct safe_root *root;
};

static char *at(const char *dir, const char *name)
{
    return path_join(dir, name);
}

static void put(const char *dir, const char *name, const char *text)
{
    char *path = at(dir, name);
    struct error err = {0};

    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    free(path);
}

static void expect_content(const char *dir, const char *name, const char *text)
{
    char *path = at(dir, name);
    struct buf b = BUF_INIT;
    struct error err = {0};

    assert_int_equal(file_read(path, &b, 4096, &err), 0);
    assert_string_equal(buf_cstr(&b), text);
    buf_free(&b);
    free(path);
}

static int set_up(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);
    struct error err = {0};

    p->dir = file_make_temporary_directory("cadre-safe", &err);
    p->inside = at(p->dir, "inside");
    p->outside = at(p->dir, "outside");
    assert_int_equal(file_make_directories(p->inside, 0755, &err), 0);
    assert_int_equal(file_make_directories(p->outside, 0755, &err), 0);
    put(p->outside, "secret", "kept");
    p->root = safe_root_open(p->inside, &err);
    *state = p;
    return p->root == NULL;
}

static int tear_down(void **state)
{
    struct place *p = *state;

    safe_root_close(p->root);
    (void)file_remove_tree(p->dir, NULL);
    free(p->dir);
    free(p->inside);
    free(p->outside);
    free(p);
    return 0;
}

/* Neither read, nor written, nor removed, nor given folders, for the sandbox's reason when IS_OURS. */
static void expect_refused(struct place *p, const char *path, bool is_ours)
{
    struct buf b = BUF_INIT;
    struct error errors[4] = {0};

    if (safe_root_read_file(p->root, path, &b, 4096, &errors[0]) == 0)
        fail_msg("%s was read: %s", path, buf_cstr(&b));
    if (safe_root_write_file(p->root, path, "bad", 3, &errors[1]) == 0)
        fail_msg("%s was written", path);
    for (int i = 0; is_ours && i < 2; i++)
        if (errors[i].code != ERROR_SANDBOX || strstr(errors[i].text, path) == NULL)
            fail_msg("%s: %s", path, errors[i].text);
    buf_free(&b);
    expect_content(p->outside, "secret", "kept");
}

static void what_leads_out_is_refused(void **state)
{
    struct place *p = *state;
    char *absolute = at(p->outside, "secret");
    static const char *const paths[] = {"../outside/secret", "a/../../outside/secret", "..", ".", "a//../../outside/secret", "/etc/passwd",
                                        "/proc/self/root/etc/passwd", "a/./../../outside/secret"};

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        expect_refused(*state, paths[i], true);
    expect_refused(p, absolute, true);
    expect_refused(p, "", true);
    free(absolute);
}

static void symlinks_are_not_followed(void **state)
{
    struct place *p = *state;
    char *link_file = at(p->inside, "file"), *link_folder = at(p->inside, "folder"), *magic = at(p->inside, "magic"), *loop = at(p->inside, "loop"),
         *secret = at(p->outside, "secret"), *inner = at(p->inside, "inner");
    struct stat st;
    struct error err = {0};

    assert_int_equal(symlink(secret, link_file), 0);
    assert_int_equal(symlink("../outside", link_folder), 0);
    assert_int_equal(symlink("/proc/self/cwd", magic), 0);
    assert_int_equal(symlink("loop", loop), 0);
    put(p->inside, "real", "here");
    assert_int_equal(symlink("real", inner), 0);
    expect_refused(p, "file", true);
    expect_refused(p, "folder/secret", true);
    expect_refused(p, "folder/new", true);
    expect_refused(p, "magic/x", true);
    expect_refused(p, "loop", true);
    expect_refused(p, "inner", true); /* also one that stays inside: it could change between two looks */
    assert_int_equal(safe_root_make_parents(p->root, "folder/made/x", &err), -1);
    assert_int_equal(safe_root_remove(p->root, "folder/secret", &err), -1);
    expect_content(p->outside, "secret", "kept");
    assert_int_equal(safe_root_remove(p->root, "file", &err), 0); /* the link itself */
    assert_int_equal(lstat(link_file, &st), -1);
    expect_content(p->outside, "secret", "kept");
    free(link_file);
    free(link_folder);
    free(magic);
    free(loop);
    free(secret);
    free(inner);
}

static void a_hard_link_is_replaced_not_written_through(void **state)
{
    struct place *p = *state;
    char *secret = at(p->outside, "secret"), *linked = at(p->inside, "linked");
    struct error err = {0};

    assert_int_equal(link(secret, linked), 0);
    assert_int_equal(safe_root_write_file(p->root, "linked", "new", 3, &err), 0);
    expect_content(p->inside, "linked", "new");
    expect_content(p->outside, "secret", "kept");
    free(secret);
    free(linked);
}

static void what_is_no_file_is_refused_and_does_not_block(void **state)
{
    struct place *p = *state;
    char *fifo = at(p->inside, "fifo"), *device = at(p->inside, "device"), *folder = at(p->inside, "folder"), *socket_path = at(p->inside, "socket");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct stat st;

    alarm(20); /* opening a FIFO that nobody writes would wait for ever */
    assert_int_equal(mkfifo(fifo, 0666), 0);
    expect_refused(p, "fifo", true);
    assert_int_equal(stat(fifo, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(mkdir(folder, 0755), 0);
    expect_refused(p, "folder", true);
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", socket_path);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0)
        expect_refused(p, "socket", false);
    if (mknod(device, S_IFCHR | 0666, makedev(1, 5)) == 0) /* /dev/zero: where we may */
        expect_refused(p, "device", false);
    alarm(0);
    (void)close(fd);
    free(fifo);
    free(device);
    free(folder);
    free(socket_path);
}

static void the_engines_part_of_the_tree_is_refused(void **state)
{
    static const char *const paths[] = {".git", ".git/config", ".GIT/hooks/pre-commit", "a/.git", "git~1/config", ".codex/config.toml", "x/.Agents/y"};

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        expect_refused(*state, paths[i], true);
}

static void odd_names_are_names(void **state)
{
    struct place *p = *state;
    struct buf b = BUF_INIT;
    struct error err = {0};
    char longest[256], too_long[300];

    memset(longest, 'a', 255);
    longest[255] = '\0';
    memset(too_long, 'a', 299);
    too_long[299] = '\0';
    assert_int_equal(safe_root_write_file(p->root, "a\nb c\t\"$(x)", "odd", 3, &err), 0);
    assert_int_equal(safe_root_read_file(p->root, "a\nb c\t\"$(x)", &b, 4096, &err), 0);
    assert_string_equal(buf_cstr(&b), "odd");
    assert_int_equal(safe_root_write_file(p->root, "...", "dots", 4, &err), 0);
    assert_int_equal(safe_root_write_file(p->root, longest, "long", 4, &err), 0);
    assert_int_equal(safe_root_write_file(p->root, too_long, "long", 4, &err), -1);
    buf_free(&b);
}

/* --- Somebody renames while we write ----------------------------------------------------------------------------- */

struct swapper {
    char *folder, *aside, *lure; /* "inside/d", where it waits, and a symlink to the outside */
    atomic_bool stops;
    atomic_long swaps;
};

static void *swap(void *arg)
{
    struct swapper *s = arg;

    while (!atomic_load(&s->stops)) {
        if (rename(s->folder, s->aside) == 0 && rename(s->lure, s->folder) == 0) {
            (void)rename(s->folder, s->lure);
            (void)rename(s->aside, s->folder);
            atomic_fetch_add(&s->swaps, 1);
        }
    }
    return NULL;
}

static void a_race_of_renames_does_not_lead_out(void **state)
{
    struct place *p = *state;
    struct swapper s = {.folder = at(p->inside, "d"), .aside = at(p->inside, "aside"), .lure = at(p->inside, "lure")};
    char *leaked = at(p->outside, "target"), *made = at(p->outside, "deep");
    pthread_t thread;
    struct stat st;
    size_t written = 0;

    assert_int_equal(mkdir(s.folder, 0755), 0);
    assert_int_equal(symlink("../outside", s.lure), 0);
    assert_int_equal(pthread_create(&thread, NULL, swap, &s), 0);
    for (int i = 0; i < 3000 || (atomic_load(&s.swaps) < 200 && i < 200000); i++) {
        struct buf b = BUF_INIT;
        struct error err = {0};

        written += safe_root_write_file(p->root, "d/target", "bad", 3, &err) == 0;
        (void)safe_root_make_parents(p->root, "d/deep/er/x", &err);
        if (safe_root_read_file(p->root, "d/secret", &b, 4096, &err) == 0)
            fail_msg("read from outside: %s", buf_cstr(&b));
        (void)safe_root_remove(p->root, "d/secret", &err);
        buf_free(&b);
    }
    atomic_store(&s.stops, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(written > 0);
    assert_true(atomic_load(&s.swaps) > 0);
    assert_int_equal(lstat(leaked, &st), -1);
    assert_int_equal(lstat(made, &st), -1);
    expect_content(p->outside, "secret", "kept");
    free(s.folder);
    free(s.aside);
    free(s.lure);
    free(leaked);
    free(made);
}

int main(void)
{
#define WITH_PLACE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_PLACE(what_leads_out_is_refused),
        WITH_PLACE(symlinks_are_not_followed),
        WITH_PLACE(a_hard_link_is_replaced_not_written_through),
        WITH_PLACE(what_is_no_file_is_refused_and_does_not_block),
        WITH_PLACE(the_engines_part_of_the_tree_is_refused),
        WITH_PLACE(odd_names_are_names),
        WITH_PLACE(a_race_of_renames_does_not_lead_out),
    };

    return cmocka_run_group_tests_name("sandbox/safe_path", tests, NULL, NULL);
}
