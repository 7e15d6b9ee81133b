/* Libraries that are loaded when they are first needed. */
#include "test.h"

#include "io/late_library.h"

#include <string.h>

static struct {
    double (*cos)(double);
    double (*floor)(double);
} math;

/* One that fills `math`, which is empty. */
static struct late_library library_of(const char *file, const char *package, const char *const *names, size_t count)
{
    memset(&math, 0, sizeof(math));
    return (struct late_library){
        .file = file, .package = package, .purpose = "the test", .names = names, .count = count, .table = &math};
}

static void fills_the_table_once(void **state)
{
    static const char *const names[] = {"cos", "floor"};
    struct late_library library = library_of("libm.so.6", "libc6", names, 2);
    struct error err = {0};

    (void)state;
    assert_int_equal(late_library_load(&library, &err), 0);
    assert_true(math.cos(0.0) >= 1.0);
    assert_true(math.floor(2.5) < 2.1 && math.floor(2.5) > 1.9);
    memset(&math, 0, sizeof(math));
    assert_int_equal(late_library_load(&library, &err), 0);
    assert_null(math.cos); /* not looked up again */
}

static void names_the_package_of_a_missing_library(void **state)
{
    static const char *const names[] = {"cos"};
    struct late_library library = library_of("libcadre-nowhere.so.4", "libnowhere4", names, 1);
    struct error err = {0};

    (void)state;
    assert_int_equal(late_library_load(&library, &err), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "the test needs the library libcadre-nowhere.so.4: "));
    assert_non_null(strstr(err.text, "cannot open shared object file"));
    assert_non_null(strstr(err.text, "install it (on Debian: apt install libnowhere4)"));
    assert_int_equal(late_library_load(&library, &err), -1);
}

static void refuses_a_library_without_a_function(void **state)
{
    static const char *const names[] = {"cos", "no_such_function"};
    struct late_library library = library_of("libm.so.6", "libc6", names, 2);
    struct error err = {0};

    (void)state;
    assert_int_equal(late_library_load(&library, &err), -1);
    assert_non_null(strstr(err.text, "it has no no_such_function"));
    assert_null(math.cos);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_the_table_once),
        cmocka_unit_test(names_the_package_of_a_missing_library),
        cmocka_unit_test(refuses_a_library_without_a_function),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
