/* [runner.<name>]: defaults, forms of the command, and what is refused. */
#include "test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/path.h"
#include "config/config.h"
#include "config/runner_config.h"

#include <stdlib.h>
#include <string.h>

static struct config *load(const char *cadre_toml)
{
    char *dir = file_make_temporary_directory("cadre-runner-config", NULL);
    char *file = path_join(dir, "cadre.toml");
    struct config_options options = {.cwd = "/", .codex_home = dir};
    struct error err = {0};
    struct config *c;

    assert_int_equal(file_write(file, cadre_toml, strlen(cadre_toml), 0600, NULL), 0);
    c = config_load(&options, &err);
    if (c == NULL)
        fail_msg("%s", err.text);
    assert_int_equal(file_remove_tree(dir, NULL), 0);
    free(file);
    free(dir);
    return c;
}

static void refuses(const char *cadre_toml, const char *name, const char *because)
{
    struct config *c = load(cadre_toml);
    struct runner_config rc;
    struct error err = {0};

    assert_int_equal(runner_config_init(&rc, c, name, &err), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    if (strstr(err.text, because) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", err.text, because);
    config_destroy(c);
}

static void codex_needs_no_table(void **state)
{
    struct config *c = load("");
    struct runner_config rc;

    (void)state;
    assert_int_equal(runner_config_init(&rc, c, "codex", NULL), 0);
    assert_int_equal(rc.protocol, RUNNER_CODEX);
    assert_int_equal(rc.box, RUNNER_BOX_AUTO);
    assert_string_equal(rc.argv.items[0], "codex");
    assert_int_equal(rc.idle_timeout_seconds, 1800);
    runner_config_finish(&rc);
    config_destroy(c);
}

static void a_table_is_read(void **state)
{
    struct config *c = load("[runner.mine]\ncommand = [\"prog\", \"acp\"]\nargs = [\"--x\"]\nenv = {A = \"b\"}\n"
                            "env_vars = [\"KEY\"]\nbox = \"both\"\nmodel = \"m\"\nhome_files = [\".x/auth.json\"]\n"
                            "writable_roots = [\"/var/x/../y\"]\nidle_timeout_seconds = 5\nsession_mode = \"s\"\n"
                            "auth_method = \"k\"\n[runner.server]\nprotocol = \"codex-app-server\"\ncommand = \"/opt/codex\"\n");
    struct runner_config rc;

    (void)state;
    assert_int_equal(runner_config_init(&rc, c, "mine", NULL), 0);
    assert_int_equal(rc.protocol, RUNNER_ACP);
    assert_int_equal(rc.box, RUNNER_BOX_BOTH);
    assert_int_equal(rc.argv.len, 3);
    assert_string_equal(rc.argv.items[2], "--x");
    assert_string_equal(rc.env.items[0], "A=b");
    assert_string_equal(rc.env_vars.items[0], "KEY");
    assert_string_equal(rc.writable_roots.items[0], "/var/y");
    assert_string_equal(rc.session_mode, "s");
    assert_int_equal(rc.idle_timeout_seconds, 5);
    runner_config_finish(&rc);
    assert_int_equal(runner_config_init(&rc, c, "server", NULL), 0);
    assert_int_equal(rc.protocol, RUNNER_CODEX_APP_SERVER);
    assert_string_equal(rc.argv.items[0], "/opt/codex");
    runner_config_finish(&rc);
    config_destroy(c);
}

static void what_cannot_be_run_is_refused(void **state)
{
    (void)state;
    refuses("", "ghost", "[runner.ghost]");
    refuses("[runner.x]\nmodel = \"m\"\n", "x", "no command");
    refuses("[runner.x]\ncommand = []\n", "x", "no command");
    refuses("[runner.x]\nprotocol = \"native\"\ncommand = \"a\"\n", "x", "protocol");
    refuses("[runner.x]\ncommand = \"a\"\nhome_files = [\"../etc/passwd\"]\n", "x", "home_files");
    refuses("[runner.x]\ncommand = \"a\"\nhome_files = [\"/etc/passwd\"]\n", "x", "home_files");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codex_needs_no_table),
        cmocka_unit_test(a_table_is_read),
        cmocka_unit_test(what_cannot_be_run_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
