/* Tests of config/config: layers, origins, trust, overrides, profiles, unknown keys, old names. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "config/config.h"
#include "config/run_settings.h"
#include "config/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char *root, *home, *project, *sub;
    struct str_list overrides;
};

static char *put(const char *folder, const char *name, const char *text)
{
    struct error err = {0};
    char *path = path_join(folder, name), *parent = path_dirname(path);

    assert_int_equal(file_make_directories(parent, 0755, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    free(parent);
    return path;
}

static void write_file(const char *folder, const char *name, const char *text)
{
    free(put(folder, name, text));
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error err = {0};
    char *made = file_make_temporary_directory("cadre-config", &err), *git;

    f->root = realpath(made, NULL);
    free(made);
    f->home = path_join(f->root, "home");
    f->project = path_join(f->root, "project");
    f->sub = path_join(f->project, "sub/deep");
    git = path_join(f->project, ".git");
    assert_int_equal(file_make_directories(f->sub, 0755, &err), 0);
    assert_int_equal(file_make_directories(git, 0755, &err), 0);
    assert_int_equal(file_make_directories(f->home, 0755, &err), 0);
    setenv("XDG_STATE_HOME", f->root, 1);
    free(git);
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
    free(f->project);
    free(f->sub);
    str_list_finish(&f->overrides);
    free(f);
    return 0;
}

static struct config *load_with(struct fixture *f, const char *profile, bool strict, struct error *err)
{
    struct config_options options = {.cwd = f->sub,
                                     .codex_home = f->home,
                                     .overrides = &f->overrides,
                                     .strict = strict,
                                     .profile = profile};

    return config_load(&options, err);
}

static struct config *load(struct fixture *f)
{
    struct error err = {0};
    struct config *c = load_with(f, NULL, false, &err);

    if (c == NULL)
        print_message("# %s\n", err.text);
    assert_non_null(c);
    return c;
}

static void trust_project(struct fixture *f)
{
    struct error err = {0};
    bool changed = false;

    assert_int_equal(trust_add(f->home, f->project, &changed, &err), 0);
    assert_true(changed);
}

static bool has_note(const struct config *c, enum config_note_kind kind, const char *part)
{
    for (size_t i = 0; i < config_note_count(c); i++)
        if (config_note_at(c, i)->kind == kind && strstr(config_note_at(c, i)->text, part) != NULL)
            return true;
    return false;
}

static void config_has_defaults_without_any_file(void **state)
{
    struct config *c = load(*state);
    struct config_origin origin;

    assert_string_equal(config_string(c, "sandbox_mode"), "workspace-write");
    assert_int_equal(config_int(c, "agents.max_threads"), 6);
    assert_int_equal(config_int(c, "loop.batch_size"), 3);
    assert_true(config_bool(c, "gates.review"));
    assert_false(config_is_set(c, "model"));
    assert_true(config_origin(c, "model", &origin));
    assert_string_equal(origin.layer, "built-in");
    assert_null(config_value(c, "no.such.key"));
    config_destroy(c);
}

static void later_layers_win_and_origins_are_known(void **state)
{
    struct fixture *f = *state;
    struct config *c;
    struct config_origin origin;
    struct buf text = BUF_INIT;

    write_file(f->home, "config.toml",
               "model = \"user\"\nmodel_verbosity = \"low\"\n[history]\nmax_bytes = 5\n");
    write_file(f->home, "cadre.toml", "[loop]\nbatch_size = 2\n");
    write_file(f->home, "fast.config.toml", "model_verbosity = \"high\"\n[history]\nmax_bytes = 6\n");
    write_file(f->project, ".codex/config.toml", "model = \"root\"\nmodel_verbosity = \"medium\"\n");
    write_file(f->sub, ".codex/cadre.toml", "[loop]\nbatch_size = 4\n");
    trust_project(f);
    str_list_add(&f->overrides, "loop.max_attempts=7");
    c = load_with(f, "fast", false, NULL);
    assert_non_null(c);
    assert_string_equal(config_string(c, "model"), "root");
    assert_string_equal(config_string(c, "model_verbosity"), "medium"); /* the project beats the profile, */
    assert_int_equal(config_int(c, "history.max_bytes"), 6);            /* which beats the user's file */
    assert_int_equal(config_int(c, "loop.batch_size"), 4);
    assert_int_equal(config_int(c, "loop.max_attempts"), 7);
    assert_true(config_origin(c, "loop.batch_size", &origin));
    assert_string_equal(origin.layer, "project");
    assert_true(str_ends_with(origin.file, "sub/deep/.codex/cadre.toml"));
    assert_int_equal(origin.line, 2);
    assert_true(config_origin(c, "loop.max_attempts", &origin));
    assert_string_equal(origin.layer, "command line");
    config_explain(c, "model", &text);
    assert_non_null(strstr(buf_cstr(&text), "built-in"));
    assert_non_null(strstr(buf_cstr(&text), "config.toml:1  \"user\""));
    assert_int_equal(config_folders(c)->len, 3);
    buf_free(&text);
    config_destroy(c);
}

static void untrusted_project_is_ignored_and_said(void **state)
{
    struct fixture *f = *state;
    struct config *c;

    write_file(f->project, ".codex/config.toml", "this is not TOML and must not be read");
    c = load(f);
    assert_false(config_is_project_trusted(c));
    assert_true(has_note(c, CONFIG_NOTE_IGNORED, "cadre trust"));
    config_destroy(c);
}

static void project_may_not_set_what_is_the_users(void **state)
{
    struct fixture *f = *state;
    struct config *c;

    write_file(
        f->project, ".codex/config.toml",
        "model = \"m\"\nmodel_provider = \"evil\"\nnotify = [\"rm\"]\nprofile = \"x\"\n"
        "[model_providers.evil]\nbase_url = \"http://evil\"\n[projects.\"/\"]\ntrust_level = \"trusted\"\n");
    write_file(f->project, ".codex/cadre.toml",
               "[runner.x]\ncommand = \"evil\"\n[hooks]\nafter_run = \"evil\"\n");
    trust_project(f);
    c = load(f);
    assert_string_equal(config_string(c, "model"), "m");
    assert_string_equal(config_string(c, "model_provider"), "openai");
    assert_null(config_value(c, "notify"));
    assert_null(config_value(c, "model_providers.evil.base_url"));
    assert_null(config_value(c, "projects./"));
    assert_null(config_value(c, "runner.x.command"));
    assert_null(config_value(c, "hooks.after_run"));
    assert_true(has_note(c, CONFIG_NOTE_IGNORED, "config.toml:2:1: model_provider is ignored"));
    config_destroy(c);
}

static void unknown_key_names_place_and_nearest(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct config *c;

    write_file(f->home, "config.toml",
               "modle = \"x\"\n[sandbox_workspace_write]\nnetwork_acces = true\n"
               "[agents.reader]\ndescripton = \"x\"\n");
    c = load(f);
    assert_true(has_note(c, CONFIG_NOTE_UNKNOWN, "config.toml:1:1: unknown key modle; did you mean model?"));
    assert_true(has_note(c, CONFIG_NOTE_UNKNOWN,
                         "config.toml:3:1: unknown key sandbox_workspace_write.network_acces; did you mean "
                         "sandbox_workspace_write.network_access?"));
    assert_true(has_note(c, CONFIG_NOTE_UNKNOWN, "agents.reader.description?"));
    config_destroy(c);
    assert_null(load_with(f, NULL, true, &err));
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "config.toml:1:1: unknown key modle"));
}

static void wrong_types_and_choices_are_errors_with_place(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"\nmodel = 5\n", "config.toml:2:1: model: expected string, found integer"},
        {"sandbox_mode = \"read-olny\"\n", "config.toml:1:1: sandbox_mode: \"read-olny\" is none of"},
        {"history = 3\n", "config.toml:1:1: history: expected table, found integer"},
        {"model = \"unclosed\n", "config.toml:1:"},
        {"[agents]\nmax_depth = \"2\"\n", "config.toml:2:1: agents.max_depth: expected integer"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};

        write_file(f->home, "config.toml", cases[i].text);
        assert_null(load_with(f, NULL, false, &err));
        assert_int_equal(err.code, ERROR_CONFIG);
        if (strstr(err.text, cases[i].want) == NULL)
            print_message("# %s\n", err.text);
        assert_non_null(strstr(err.text, cases[i].want));
    }
}

static void overrides_take_toml_values_and_dotted_paths(void **state)
{
    struct fixture *f = *state;
    struct config *c;
    struct str_list list = {0};
    struct error err = {0};

    str_list_add(&f->overrides, "model=gpt-plain");
    str_list_add(&f->overrides, "ci.commands=[\"make\", \"make check\"]");
    str_list_add(&f->overrides, "mcp_servers.\"a.b\".command=\"x\"");
    str_list_add(&f->overrides, "sandbox_workspace_write={network_access = true}");
    str_list_add(&f->overrides, "loop.max_cost_usd=2.5");
    c = load(f);
    assert_string_equal(config_string(c, "model"), "gpt-plain");
    config_list(c, "ci.commands", &list);
    assert_int_equal(list.len, 2);
    assert_string_equal(config_string(c, "mcp_servers.\"a.b\".command"), "x");
    assert_true(config_bool(c, "sandbox_workspace_write.network_access"));
    assert_true(config_number(c, "loop.max_cost_usd") > 2.4);
    config_destroy(c);
    str_list_finish(&list);
    str_list_add(&f->overrides, "no value");
    assert_null(load_with(f, NULL, false, &err));
    assert_int_equal(err.code, ERROR_USAGE);
}

static void profiles_work_in_both_forms(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct config *c;

    write_file(f->home, "config.toml",
               "profile = \"old\"\nmodel = \"base\"\n[profiles.old]\nmodel = \"p\"\n");
    c = load(f);
    assert_string_equal(config_string(c, "model"), "p");
    assert_true(has_note(c, CONFIG_NOTE_REFUSED, "profile"));
    assert_true(has_note(c, CONFIG_NOTE_RENAMED, "old.config.toml"));
    config_destroy(c);
    write_file(f->home, "old.config.toml", "model = \"file\"\n");
    c = load(f);
    assert_string_equal(config_string(c, "model"), "file");
    config_destroy(c);
    assert_null(load_with(f, "missing", false, &err));
    assert_non_null(strstr(err.text, "missing.config.toml"));
    assert_null(load_with(f, "../x", false, &err));
    assert_int_equal(err.code, ERROR_USAGE);
}

static void old_names_keep_working_and_are_said_once(void **state)
{
    struct fixture *f = *state;
    struct str_list first = {0}, second = {0};
    struct run_settings s;
    struct config *c;

    write_file(f->home, "config.toml",
               "approval_policy = \"on-failure\"\n[agents]\nmax_threads = 12\n"
               "[features]\ncollab = false\n");
    c = load(f);
    assert_string_equal(config_string(c, "approval_policy"), "on-request");
    assert_int_equal(config_int(c, "agents.max_concurrent_threads_per_session"), 12);
    run_settings_init(&s, c);
    assert_int_equal(s.agents.max_threads, 12);
    assert_false(s.agents.is_enabled);
    run_settings_finish(&s);
    config_warnings(c, &first);
    config_warnings(c, &second);
    assert_int_equal(first.len, 3);
    assert_int_equal(second.len, 0);
    config_destroy(c);
    str_list_finish(&first);
    write_file(f->home, "config.toml", "[agents]\nmax_threads = 2\nmax_concurrent_threads_per_session = 9\n");
    c = load(f);
    assert_int_equal(config_int(c, "agents.max_threads"), 9);
    assert_true(has_note(c, CONFIG_NOTE_REFUSED, "both"));
    config_destroy(c);
    write_file(f->home, "config.toml", "[features.multi_agent_v2]\nmax_concurrent_threads_per_session = 5\n");
    c = load(f);
    assert_int_equal(config_int(c, "agents.max_threads"), 4); /* that one counts the root */
    config_destroy(c);
}

static void relative_paths_stand_on_their_file(void **state)
{
    struct fixture *f = *state;
    struct config *c;
    struct str_list roots = {0};
    char *want = path_join(f->home, "roles/a.toml");

    write_file(f->home, "config.toml",
               "[sandbox_workspace_write]\nwritable_roots = [\"/abs\", \"rel\"]\n"
               "[agents.a]\nconfig_file = \"./roles/a.toml\"\n");
    c = load(f);
    assert_string_equal(config_string(c, "agents.a.config_file"), want);
    config_list(c, "sandbox_workspace_write.writable_roots", &roots);
    assert_string_equal(roots.items[0], "/abs");
    assert_true(str_ends_with(roots.items[1], "/home/rel"));
    str_list_finish(&roots);
    free(want);
    config_destroy(c);
}

static void keys_of_cadre_in_config_toml_are_misplaced(void **state)
{
    struct fixture *f = *state;
    struct config *c;

    write_file(f->home, "config.toml", "[loop]\nbatch_size = 4\n");
    c = load(f);
    assert_int_equal(config_int(c, "loop.batch_size"), 4);
    assert_true(has_note(c, CONFIG_NOTE_MISPLACED, "cadre.toml"));
    config_destroy(c);
}

static void trust_edits_the_file_and_keeps_every_comment(void **state)
{
    static const char before[] = "# my settings\nmodel = \"m\" # keep me\n\n[projects.\"/other\"]\n"
                                 "trust_level = \"untrusted\" # why\n";
    struct fixture *f = *state;
    struct error err = {0};
    struct buf text = BUF_INIT;
    bool changed;
    char *path = put(f->home, "config.toml", before);

    assert_int_equal(trust_add(f->home, f->project, &changed, &err), 0);
    assert_true(changed);
    assert_int_equal(file_read(path, &text, 4096, &err), 0);
    assert_true(str_starts_with(buf_cstr(&text), before));
    assert_int_equal(trust_add(f->home, f->project, &changed, &err), 0);
    assert_false(changed);
    assert_int_equal(trust_add(f->home, "/other", &changed, &err), 0);
    buf_clear(&text);
    assert_int_equal(file_read(path, &text, 4096, &err), 0);
    assert_non_null(strstr(buf_cstr(&text), "[projects.\"/other\"]\ntrust_level = \"trusted\" # why\n"));
    buf_clear(&text);
    write_file(f->home, "config.toml", "projects = { \"/x\" = { trust_level = \"trusted\" } }\n");
    assert_int_equal(trust_add(f->home, f->project, &changed, &err), -1);
    assert_non_null(strstr(err.text, "by hand"));
    buf_free(&text);
    free(path);
}

static void linked_worktree_is_trusted_only_when_git_points_back(void **state)
{
    struct fixture *f = *state;
    struct config *c;
    char *tree = path_join(f->root, "tree"), *git_dir = path_join(f->project, ".git/worktrees/tree");
    char *pointer = xasprintf("gitdir: %s\n", git_dir), *back = xasprintf("%s/.git\n", tree);
    struct config_options options = {.cwd = tree, .codex_home = f->home};

    trust_project(f);
    write_file(tree, ".git", pointer);
    write_file(tree, ".codex/config.toml", "model = \"m\"\n");
    c = config_load(&options, NULL);
    assert_false(config_is_project_trusted(c));
    config_destroy(c);
    write_file(git_dir, "gitdir", back);
    c = config_load(&options, NULL);
    assert_true(config_is_project_trusted(c));
    assert_string_equal(config_string(c, "model"), "m");
    config_destroy(c);
    free(tree);
    free(git_dir);
    free(pointer);
    free(back);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(config_has_defaults_without_any_file),
        CASE(later_layers_win_and_origins_are_known),
        CASE(untrusted_project_is_ignored_and_said),
        CASE(project_may_not_set_what_is_the_users),
        CASE(unknown_key_names_place_and_nearest),
        CASE(wrong_types_and_choices_are_errors_with_place),
        CASE(overrides_take_toml_values_and_dotted_paths),
        CASE(profiles_work_in_both_forms),
        CASE(old_names_keep_working_and_are_said_once),
        CASE(relative_paths_stand_on_their_file),
        CASE(keys_of_cadre_in_config_toml_are_misplaced),
        CASE(trust_edits_the_file_and_keeps_every_comment),
        CASE(linked_worktree_is_trusted_only_when_git_points_back),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
