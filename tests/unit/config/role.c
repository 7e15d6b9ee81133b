/* Tests of config/role: built-in, declared and discovered roles, opened on demand. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "config/config.h"
#include "config/role.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char *root;
    struct config *c;
    struct role_registry *r;
};

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    struct error err = {0};
    char *path = path_join(f->root, name), *parent = path_dirname(path);

    assert_int_equal(file_make_directories(parent, 0755, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    free(parent);
    free(path);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error err = {0};
    char *made = file_make_temporary_directory("cadre-role", &err);

    f->root = realpath(made, NULL);
    free(made);
    *state = f;
    return 0;
}

static void open_registry(struct fixture *f)
{
    struct config_options options = {.cwd = f->root, .codex_home = f->root};
    struct error err = {0};

    role_registry_destroy(f->r);
    config_destroy(f->c);
    f->c = config_load(&options, &err);
    assert_non_null(f->c);
    f->r = role_registry_create(f->c);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};

    role_registry_destroy(f->r);
    config_destroy(f->c);
    file_remove_tree(f->root, &err);
    free(f->root);
    free(f);
    return 0;
}

static void builtin_roles_are_complete_and_small(void **state)
{
    static const char *const names[] = {
        "orchestrator",     "explorer",       "implementer",     "ci_runner", "reviewer",
        "security_auditor", "qa_test_author", "release_manager", "default",   "worker"};
    struct fixture *f = *state;

    open_registry(f);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct error err = {0};
        const struct role *role = role_registry_get(f->r, names[i], &err);

        assert_non_null(role);
        assert_true(role->is_builtin);
        assert_true(strlen(role->description) > 0);
        assert_true(strlen(role->developer_instructions) < 4096);
        assert_non_null(strstr(role->developer_instructions, "submit_re"));
    }
    assert_string_equal(role_registry_get(f->r, "reviewer", NULL)->sandbox_mode, "read-only");
    assert_string_equal(role_registry_get(f->r, "implementer", NULL)->isolation, "worktree");
    assert_non_null(
        strstr(role_registry_get(f->r, "reviewer", NULL)->developer_instructions, "submit_review"));
    assert_non_null(
        strstr(role_registry_get(f->r, "orchestrator", NULL)->developer_instructions,
               "- [ ] **T1** Accept leap days in `date_parse`\n  - files: `src/date.c`, "
               "`tests/test_date.c`\n  - needs: none\n  - accept: `make check` passes `leap_day`\n"
               "  - role: implementer\n"));
}

static void declared_role_takes_everything_its_file_says(void **state)
{
    struct fixture *f = *state;
    const struct role *role;
    struct error err = {0};

    write_file(f, "config.toml",
               "[agents.reviewer]\ndescription = \"table\"\nconfig_file = \"roles/r.toml\"\n"
               "nickname_candidates = [\"Rex\"]\n");
    write_file(f, "cadre.toml", "[roles.reviewer]\nrunner = \"codex\"\nisolation = \"worktree\"\n");
    write_file(
        f, "roles/r.toml",
        "description = \"file\"\ndeveloper_instructions = \"be strict\"\nmodel = \"m\"\n"
        "model_reasoning_effort = \"high\"\nsandbox_mode = \"read-only\"\napproval_policy = \"never\"\n"
        "web_search = \"live\"\n[mcp_servers.docs]\ncommand = \"docs\"\n"
        "[[skills.config]]\npath = \"s\"\nenabled = false\n");
    open_registry(f);
    role = role_registry_get(f->r, "reviewer", &err);
    assert_non_null(role);
    assert_string_equal(role->name, "reviewer");
    assert_string_equal(role->description, "file");
    assert_string_equal(role->developer_instructions, "be strict");
    assert_string_equal(role->model, "m");
    assert_string_equal(role->reasoning_effort, "high");
    assert_string_equal(role->sandbox_mode, "read-only");
    assert_string_equal(role->approval_policy, "never");
    assert_string_equal(role->mcp_server_names.items[0], "docs");
    assert_string_equal(role->nickname_candidates.items[0], "Rex");
    assert_string_equal(role->runner, "codex");
    assert_string_equal(role->isolation, "worktree");
    assert_non_null(role->skills);
    assert_string_equal(toml_string(role->settings, "web_search", ""), "live");
    assert_false(role->is_builtin);
    assert_false(role->is_sandbox_forced);
}

static void role_file_is_read_again_only_when_it_changed(void **state)
{
    struct fixture *f = *state;
    const struct role *first, *second;

    write_file(f, "agents/scout.toml",
               "name = \"scout\"\ndescription = \"d\"\ndeveloper_instructions = \"one\"\n");
    open_registry(f);
    first = role_registry_get(f->r, "scout", NULL);
    assert_string_equal(first->developer_instructions, "one");
    assert_ptr_equal(role_registry_get(f->r, "scout", NULL), first);
    write_file(f, "agents/scout.toml",
               "name = \"scout\"\ndescription = \"d\"\ndeveloper_instructions = \"two!\"\n");
    second = role_registry_get(f->r, "scout", NULL);
    assert_string_equal(second->developer_instructions, "two!");
}

static void listing_opens_no_role_file(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char *path = path_join(f->root, "agents/bad.toml");

    /* A file that does not even parse, and one that cannot be opened, do not disturb the others. */
    write_file(f, "agents/bad.toml", "not TOML at all");
    write_file(f, "config.toml", "[agents.gone]\ndescription = \"x\"\nconfig_file = \"gone.toml\"\n");
    open_registry(f);
    assert_true(role_registry_has(f->r, "bad"));
    assert_true(role_registry_has(f->r, "gone"));
    assert_non_null(role_registry_get(f->r, "explorer", &err));
    for (size_t i = 0; i < role_registry_count(f->r); i++)
        assert_int_equal(role_registry_at(f->r, i).is_loaded,
                         strcmp(role_registry_at(f->r, i).name, "explorer") == 0);
    assert_null(role_registry_get(f->r, "bad", &err));
    assert_non_null(strstr(err.text, path));
    assert_null(role_registry_get(f->r, "gone", &err));
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "gone.toml: the role file does not exist"));
    free(path);
}

static void unknown_role_names_the_nearest(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};

    open_registry(f);
    assert_null(role_registry_get(f->r, "reviwer", &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(err.text, "did you mean \"reviewer\""));
}

static void discovered_file_may_carry_another_name(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};

    write_file(f, "agents/team/file.toml",
               "name = \"poet\"\ndescription = \"d\"\ndeveloper_instructions = \"x\"\n");
    write_file(f, "agents/half.toml", "name = \"half\"\ndescription = \"d\"\n");
    open_registry(f);
    assert_string_equal(role_registry_get(f->r, "poet", &err)->description, "d");
    assert_null(role_registry_get(f->r, "file", &err));
    assert_null(role_registry_get(f->r, "half", &err));
    assert_non_null(strstr(err.text, "developer_instructions"));
}

static void two_roles_of_one_name_in_one_layer_are_said(void **state)
{
    struct fixture *f = *state;

    write_file(f, "config.toml",
               "[agents.twin]\ndescription = \"x\"\nconfig_file = \"agents/a/twin.toml\"\n");
    write_file(f, "agents/a/twin.toml", "description = \"declared\"\ndeveloper_instructions = \"x\"\n");
    write_file(f, "agents/b/twin.toml",
               "name = \"twin\"\ndescription = \"x\"\ndeveloper_instructions = \"x\"\n");
    open_registry(f);
    assert_int_equal(role_registry_warnings(f->r)->len, 1);
    assert_non_null(strstr(role_registry_warnings(f->r)->items[0], "b/twin.toml: a second role"));
    assert_string_equal(role_registry_get(f->r, "twin", NULL)->description, "declared");
}

static void bad_values_in_a_role_file_are_errors_with_place(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"sandbox_mode = \"none\"\n", "x.toml:1:1: sandbox_mode"},
        {"developer_instructions = 5\n", "x.toml:1:1: developer_instructions: expected string"},
        {"nickname_candidates = [\"a\", \"a\"]\n", "x.toml:1:29: nickname_candidates"},
        {"nickname_candidates = [\"\xc3\xa4\"]\n", "nickname_candidates"},
    };
    struct fixture *f = *state;

    write_file(f, "config.toml", "[agents.x]\ndescription = \"x\"\nconfig_file = \"x.toml\"\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};

        write_file(f, "x.toml", cases[i].text);
        open_registry(f);
        assert_null(role_registry_get(f->r, "x", &err));
        if (strstr(err.text, cases[i].want) == NULL)
            print_message("# %s\n", err.text);
        assert_non_null(strstr(err.text, cases[i].want));
    }
}

static void check_reads_all_and_counts_the_bad(void **state)
{
    struct fixture *f = *state;
    struct str_list problems = {0};

    write_file(f, "agents/bad.toml", "x");
    write_file(f, "agents/good.toml",
               "name = \"good\"\ndescription = \"d\"\ndeveloper_instructions = \"x\"\n");
    open_registry(f);
    assert_int_equal(role_registry_check(f->r, &problems), 1);
    assert_int_equal(problems.len, 1);
    assert_non_null(strstr(problems.items[0], "bad.toml"));
    str_list_finish(&problems);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(builtin_roles_are_complete_and_small),
        CASE(declared_role_takes_everything_its_file_says),
        CASE(role_file_is_read_again_only_when_it_changed),
        CASE(listing_opens_no_role_file),
        CASE(unknown_role_names_the_nearest),
        CASE(discovered_file_may_carry_another_name),
        CASE(two_roles_of_one_name_in_one_layer_are_said),
        CASE(bad_values_in_a_role_file_are_errors_with_place),
        CASE(check_reads_all_and_counts_the_bad),
    };

    return cmocka_run_group_tests_name("role", tests, NULL, NULL);
}
