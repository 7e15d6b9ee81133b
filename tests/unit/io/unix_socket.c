/* tests/unit/io/unix_socket.c: listening, connecting, and who may. */
#include "test.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/path.h"
#include "io/loop.h"
#include "io/unix_socket.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_connection(void *data, int fd)
{
    *(int *)data = fd;
}

static void unix_socket_carries_bytes(void **state)
{
    struct loop *loop = loop_create();
    char *folder = file_make_temporary_directory("cadre-test", NULL);
    char *path = path_join(folder, "private/control.sock");
    struct error err = {0};
    struct unix_listener *listener;
    int accepted = -1;
    char got[8] = "";
    int fd;

    (void)state;
    assert_int_equal(unix_socket_connect(path, &err), -1);
    listener = unix_listener_create(loop, path, on_connection, &accepted, &err);
    if (listener == NULL)
        fail_msg("%s", err.text);
    assert_null(unix_listener_create(loop, path, on_connection, &accepted, &err));
    assert_non_null(strstr(err.text, "somebody listens there already"));
    /* That probe was a connection, too. */
    while (accepted < 0)
        loop_run_once(loop, true);
    close(accepted);
    accepted = -1;

    fd = unix_socket_connect(path, &err);
    assert_true(fd >= 0);
    while (accepted < 0)
        loop_run_once(loop, true);
    assert_int_equal(write(fd, "hi", 2), 2);
    assert_int_equal(read(accepted, got, sizeof(got)), 2);
    assert_string_equal(got, "hi");
    close(fd);
    close(accepted);
    unix_listener_destroy(listener);
    assert_false(file_exists(path));
    loop_destroy(loop);
    assert_int_equal(file_remove_tree(folder, NULL), 0);
    free(path);
    free(folder);
}

static void unix_listener_refuses_a_folder_that_others_may_enter(void **state)
{
    struct loop *loop = loop_create();
    char *folder = file_make_temporary_directory("cadre-test", NULL);
    char *path = path_join(folder, "s");
    struct error err = {0};

    (void)state;
    assert_int_equal(chmod(folder, 0755), 0);
    assert_null(unix_listener_create(loop, path, on_connection, NULL, &err));
    assert_int_equal(err.code, ERROR_DENIED);
    loop_destroy(loop);
    assert_int_equal(file_remove_tree(folder, NULL), 0);
    free(path);
    free(folder);
}

static void unix_listener_replaces_a_stale_socket_but_no_other_file(void **state)
{
    struct loop *loop = loop_create();
    char *folder = file_make_temporary_directory("cadre-test", NULL);
    char *path = path_join(folder, "s");
    char *stale = path_join(folder, "stale");
    char *plain = path_join(folder, "plain");
    struct error err = {0};
    struct unix_listener *listener;

    (void)state;
    assert_int_equal(file_write(plain, "x", 1, 0600, NULL), 0);
    assert_null(unix_listener_create(loop, plain, on_connection, NULL, &err));
    assert_non_null(strstr(err.text, "is no socket"));

    /* A listener that died leaves its file. */
    listener = unix_listener_create(loop, path, on_connection, NULL, &err);
    assert_int_equal(link(path, stale), 0);
    unix_listener_destroy(listener);
    listener = unix_listener_create(loop, stale, on_connection, NULL, &err);
    if (listener == NULL)
        fail_msg("%s", err.text);
    unix_listener_destroy(listener);
    loop_destroy(loop);
    assert_int_equal(file_remove_tree(folder, NULL), 0);
    free(plain);
    free(stale);
    free(path);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unix_socket_carries_bytes),
        cmocka_unit_test(unix_listener_refuses_a_folder_that_others_may_enter),
        cmocka_unit_test(unix_listener_replaces_a_stale_socket_but_no_other_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
