/* Tests of config/pack, config/pack_install, config/claude_import: the embedded packs and their installation. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "config/claude_import.h"
#include "config/config.h"
#include "config/pack.h"
#include "config/pack_install.h"
#include "config/role.h"
#include "config/toml.h"

#include <stdlib.h>
#include <string.h>

static const char *const roles[] = {"orchestrator", "explorer",         "implementer",    "ci_runner",
                                    "reviewer",     "security_auditor", "qa_test_author", "release_manager"};

struct fixture {
    char *root, *home;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error err = {0};

    f->root = file_make_temporary_directory("cadre-pack", &err);
    f->home = path_join(f->root, "home");
    setenv("XDG_STATE_HOME", f->root, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};

    file_remove_tree(f->root, &err);
    free(f->root);
    free(f->home);
    free(f);
    return 0;
}

static char *slurp(const char *folder, const char *name)
{
    char *path = path_join(folder, name);
    struct buf b = BUF_INIT;
    struct error err = {0};
    int rc = file_exists(path) ? file_read(path, &b, TOML_MAX_BYTES, &err) : -1;

    free(path);
    return rc == 0 ? buf_take(&b) : NULL;
}

static void put(const char *folder, const char *name, const char *text)
{
    char *path = path_join(folder, name), *parent = path_dirname(path);
    struct error err = {0};

    assert_int_equal(file_make_directories(parent, 0755, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    free(path);
    free(parent);
}

static void install(const char *target, const char *pack, const char *models, size_t conflicts)
{
    struct pack_install *plan = pack_install_create(target);
    struct error err = {0};
    int rc = pack_install_add_pack(plan, pack, models, &err);

    if (rc < 0)
        print_message("# %s\n", err.text);
    assert_int_equal(rc, 0);
    assert_int_equal(pack_install_conflict_count(plan), conflicts);
    assert_int_equal(pack_install_apply(plan, &err), 0);
    pack_install_destroy(plan);
}

static void packs_follow_the_table_and_the_builtin_prompts(void **state)
{
    const struct pack_file *table = pack_find("", "models.toml");
    struct str_list packs = {0};
    struct toml_value *models;

    (void)state;
    assert_non_null(table);
    models = toml_parse(table->bytes, table->len, "models.toml", NULL);
    pack_list(&packs);
    assert_int_equal(packs.len, 3);
    for (size_t p = 0; p < packs.len; p++) {
        const struct toml_value *rows = toml_get(models, packs.items[p]);
        const char *column = toml_string(rows, "default", NULL);

        assert_non_null(pack_find(packs.items[p], "first-run-prompt.md"));
        for (size_t r = 0; r < 8; r++) {
            char *name = xasprintf("agents/%s.toml", roles[r]);
            const struct pack_file *file = pack_find(packs.items[p], name);
            struct toml_value *role;

            assert_non_null(file);
            role = toml_parse(file->bytes, file->len, name, NULL);
            assert_string_equal(toml_string(role, "model", ""),
                                toml_string(toml_get(rows, roles[r]), column, "none"));
            assert_string_equal(toml_string(role, "developer_instructions", ""),
                                builtin_role_find(roles[r])->developer_instructions);
            assert_string_equal(toml_string(role, "sandbox_mode", ""),
                                builtin_role_find(roles[r])->sandbox_mode);
            toml_free(role);
            free(name);
        }
    }
    toml_free(models);
    str_list_finish(&packs);
}

static void pro_maps_the_roles_as_promised(void **state)
{
    static const struct {
        const char *role, *seed, *current;
    } rows[] = {{"explorer", "gpt-5.3-codex-spark", "gpt-6-luna"},
                {"implementer", "gpt-5.3-codex-spark", "gpt-6-luna"},
                {"orchestrator", "gpt-5.3-codex", "gpt-6-sol"},
                {"reviewer", "gpt-5.3-codex", "gpt-6-sol"},
                {"security_auditor", "gpt-5.3-codex", "gpt-6-sol"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *name = xasprintf("agents/%s.toml", rows[i].role);

        for (int current = 0; current < 2; current++) {
            struct buf text = BUF_INIT;
            struct error err = {0};
            struct toml_value *role;

            assert_int_equal(pack_read("pro", name, current ? "gpt-6" : NULL, &text, &err), 0);
            role = toml_parse(buf_cstr(&text), text.len, name, &err);
            assert_string_equal(toml_string(role, "model", ""), current ? rows[i].current : rows[i].seed);
            toml_free(role);
            buf_free(&text);
        }
        free(name);
    }
    for (size_t i = 0; i < pack_file_count; i++)
        if (str_starts_with(pack_files[i].path, "plus/"))
            assert_null(strstr(pack_files[i].bytes, "codex-spark"));
}

/* What Codex of today refuses is in no pack, and cadre takes each in strict mode without a word. */
static void packs_load_strictly_without_a_note(void **state)
{
    static const char *const packs[] = {"pro", "plus", "local"};
    struct fixture *f = *state;

    for (size_t p = 0; p < 3; p++) {
        char *home = path_join(f->root, packs[p]);
        struct config_options options = {.cwd = f->root, .codex_home = home, .strict = true};
        struct str_list problems = {0};
        struct error err = {0};
        struct role_registry *r;
        struct config *c;

        install(home, packs[p], NULL, 0);
        c = config_load(&options, &err);
        if (c == NULL)
            print_message("# %s\n", err.text);
        assert_non_null(c);
        for (size_t i = 0; i < config_note_count(c); i++)
            assert_int_equal(config_note_at(c, i)->kind, CONFIG_NOTE_RENAMED); /* max_threads, said once */
        r = role_registry_create(c);
        assert_int_equal(role_registry_check(r, &problems), 0);
        assert_int_equal(role_registry_warnings(r)->len, 0);
        for (size_t i = 0; i < 8; i++)
            assert_non_null(role_registry_get(r, roles[i], &err)->file);
        assert_int_equal(config_int(c, "agents.max_threads"), p == 0 ? 12 : p == 1 ? 4 : 2);
        role_registry_destroy(r);
        config_destroy(c);
        free(home);
    }
}

static void installation_merges_keeps_and_can_be_undone(void **state)
{
    static const char mine[] = "# mine\nmodel = \"my-model\" # do not touch\n\n[agents]\n"
                               "max_concurrent_threads_per_session = 3\n\n[agents.reviewer]\n"
                               "description = \"my own\"\nconfig_file = \"own/rev.toml\"\n";
    struct fixture *f = *state;
    struct error err = {0};
    struct str_list lines = {0};
    struct toml_value *v;
    char *text;

    put(f->home, "config.toml", mine);
    put(f->home, "agents/explorer.toml", "name = \"explorer\"\n");
    install(f->home, "pro", NULL, 3);
    text = slurp(f->home, "config.toml");
    assert_non_null(strstr(text, "model = \"my-model\" # do not touch\n"));
    v = toml_parse(text, strlen(text), "config.toml", NULL);
    assert_int_equal(toml_integer(toml_get(v, "agents"), "max_concurrent_threads_per_session", 0), 3);
    assert_null(toml_find(v, "agents.max_threads"));
    assert_string_equal(toml_string(toml_find(v, "agents.reviewer"), "config_file", ""), "own/rev.toml");
    assert_string_equal(toml_string(toml_find(v, "agents.explorer"), "config_file", ""),
                        "agents/explorer.toml");
    toml_free(v);
    free(text);
    text = slurp(f->home, "agents/explorer.toml");
    assert_string_equal(text, "name = \"explorer\"\n");
    free(text);
    assert_null(slurp(f->home, "agents/reviewer.toml"));
    text = slurp(f->home, "agents/explorer.toml.from-pack");
    assert_non_null(strstr(text, "codex-spark"));
    free(text);
    put(f->home, "cadre.toml", "# changed since\n");
    assert_int_equal(pack_install_undo(f->home, &lines, &err), 0);
    text = slurp(f->home, "config.toml");
    assert_string_equal(text, mine);
    free(text);
    text = slurp(f->home, "cadre.toml");
    assert_string_equal(text, "# changed since\n");
    free(text);
    assert_null(slurp(f->home, "agents/implementer.toml"));
    assert_int_equal(pack_install_undo(f->home, &lines, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    str_list_finish(&lines);
}

static void second_installation_has_nothing_to_do(void **state)
{
    struct fixture *f = *state;
    struct pack_install *plan = pack_install_create(f->home);
    struct error err = {0};
    struct buf text = BUF_INIT;

    install(f->home, "plus", "gpt-6", 0);
    assert_int_equal(pack_install_add_pack(plan, "plus", "gpt-6", &err), 0);
    assert_true(pack_install_is_empty(plan));
    pack_install_destroy(plan);
    plan = pack_install_create(f->home);
    assert_int_equal(pack_install_add_pack(plan, "plus", NULL, &err), 0); /* other models: conflicts, shown */
    pack_install_describe(plan, &text);
    assert_non_null(strstr(buf_cstr(&text), "-model = \"gpt-6-sol\"\n+model = \"gpt-5.3-codex\"\n"));
    pack_install_destroy(plan);
    plan = pack_install_create(f->home);
    assert_int_equal(pack_install_add_pack(plan, "max", NULL, &err), -1);
    assert_non_null(strstr(err.text, "pro, plus, local"));
    assert_int_equal(pack_install_add_pack(plan, "plus", "gpt-9", &err), -1);
    assert_non_null(strstr(err.text, "gpt-5.3, gpt-6"));
    pack_install_destroy(plan);
    buf_free(&text);
}

static void a_model_that_is_not_offered_gets_a_suggestion(void **state)
{
    struct str_list offered = {0};
    char *got;

    (void)state;
    str_list_add(&offered, "gpt-6-luna");
    str_list_add(&offered, "gpt-6-sol");
    got = pack_suggest_model("gpt-5.3-codex-spark", &offered);
    assert_string_equal(got, "gpt-6-luna");
    free(got);
    assert_null(pack_suggest_model("my-model", &offered));
    str_list_finish(&offered);
}

static void claude_agents_become_role_files(void **state)
{
    struct buf out = BUF_INIT;
    struct error err = {0};
    char *name;
    struct toml_value *v;

    (void)state;
    assert_int_equal(claude_import_role("---\nname: doc-reader\ndescription: Reads docs\ntools: Read, Grep\n"
                                        "model: sonnet\n---\n\nYou read '''docs'''.\n",
                                        "x.md", &out, &name, &err),
                     0);
    assert_string_equal(name, "doc-reader");
    v = toml_parse(buf_cstr(&out), out.len, "x", &err);
    assert_string_equal(toml_string(v, "developer_instructions", ""), "You read '''docs'''.\n");
    assert_string_equal(toml_string(v, "sandbox_mode", ""), "read-only");
    toml_free(v);
    free(name);
    buf_clear(&out);
    assert_int_equal(claude_import_role("---\nname: w\ndescription: d\ntools: Read, Bash(git:*)\n---\ngo\n",
                                        "x.md", &out, &name, &err),
                     0);
    assert_non_null(strstr(buf_cstr(&out), "workspace-write"));
    free(name);
    assert_int_equal(claude_import_role("no head", "x.md", &out, &name, &err), -1);
    assert_int_equal(
        claude_import_role("---\nname: ../x\ndescription: d\n---\ngo\n", "x.md", &out, &name, &err), -1);
    assert_null(name);
    buf_free(&out);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_follow_the_table_and_the_builtin_prompts),
        cmocka_unit_test(pro_maps_the_roles_as_promised),
        CASE(packs_load_strictly_without_a_note),
        CASE(installation_merges_keeps_and_can_be_undone),
        CASE(second_installation_has_nothing_to_do),
        cmocka_unit_test(a_model_that_is_not_offered_gets_a_suggestion),
        cmocka_unit_test(claude_agents_become_role_files),
    };

    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
