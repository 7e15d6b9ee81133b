/* Tests of the plain structs made from the configuration: providers, MCP servers, shell environment, AGENTS.md,
 * skills, edits of TOML text. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "config/agents_md.h"
#include "config/config.h"
#include "config/mcp_config.h"
#include "config/provider_config.h"
#include "config/role.h"
#include "config/shell_environment.h"
#include "config/skills.h"
#include "config/toml_edit.h"
#include "config/trust.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char *root, *home, *project, *sub;
};

static void write_file(const char *folder, const char *name, const char *text)
{
    struct error err = {0};
    char *path = path_join(folder, name), *parent = path_dirname(path);

    assert_int_equal(file_make_directories(parent, 0755, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    free(parent);
    free(path);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error err = {0};
    char *made = file_make_temporary_directory("cadre-parts", &err);

    f->root = realpath(made, NULL);
    free(made);
    f->home = path_join(f->root, "home/.codex");
    f->project = path_join(f->root, "project");
    f->sub = path_join(f->project, "src");
    write_file(f->project, ".git/HEAD", "x");
    write_file(f->sub, "keep", "x");
    write_file(f->home, "keep", "x");
    made = path_dirname(f->home);
    setenv("HOME", made, 1);
    free(made);
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
    free(f);
    return 0;
}

static struct config *load(const struct fixture *f)
{
    struct config_options options = {.cwd = f->sub, .codex_home = f->home};
    struct error err = {0};
    struct config *c = config_load(&options, &err);

    if (c == NULL)
        print_message("# %s\n", err.text);
    assert_non_null(c);
    return c;
}

static void provider_is_read_whole(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct config *c;
    struct provider_config *p;

    write_file(f->home, "config.toml",
               "model_provider = \"p\"\n[model_providers.p]\nname = \"P\"\nbase_url = \"http://h/v1/\"\n"
               "env_key = \"P_KEY\"\nrequest_max_retries = 2\nquery_params = { a = \"b\" }\n"
               "http_headers = { X-A = \"1\", X-B = \"2\" }\nenv_http_headers = { X-C = \"VAR\" }\n"
               "[model_providers.p.auth]\ncommand = \"token\"\nargs = "
               "[\"-x\"]\n[model_providers.empty]\nname = \"E\"\n");
    write_file(f->home, "cadre.toml", "[model_providers.q]\nbase_url = \"http://q\"\nwire_api = \"chat\"\n");
    c = load(f);
    p = provider_config_get(c, NULL, &err);
    assert_non_null(p);
    assert_string_equal(p->base_url, "http://h/v1");
    assert_string_equal(p->env_key, "P_KEY");
    assert_int_equal(p->request_max_retries, 2);
    assert_int_equal(p->stream_max_retries, 5);
    assert_int_equal(p->http_header_count, 2);
    assert_string_equal(p->env_http_headers[0].value, "VAR");
    assert_string_equal(p->auth_command, "token");
    assert_string_equal(p->auth_args.items[0], "-x");
    provider_config_destroy(p);
    p = provider_config_get(c, "q", &err);
    assert_int_equal(p->wire, PROVIDER_WIRE_CHAT);
    provider_config_destroy(p);
    p = provider_config_get(c, "openai", &err);
    assert_string_equal(p->base_url, "https://api.openai.com/v1");
    assert_string_equal(p->env_key, "OPENAI_API_KEY");
    provider_config_destroy(p);
    assert_null(provider_config_get(c, "opnai", &err));
    assert_non_null(strstr(err.text, "did you mean \"openai\""));
    assert_null(provider_config_get(c, "empty", &err));
    assert_non_null(strstr(err.text, "config.toml:13:"));
    config_destroy(c);
}

/* The configuration of the fixture as --oss sees it; NULL with ERR set. */
static struct config *load_local(const struct fixture *f, const char *provider, const char *model,
                                 const struct str_list *overrides, struct error *err)
{
    struct config_options options = {.cwd = f->sub,
                                     .codex_home = f->home,
                                     .model = model,
                                     .overrides = overrides,
                                     .oss = true,
                                     .local_provider = provider};

    *err = (struct error){0};
    return config_load(&options, err);
}

static void expect_local(const struct fixture *f, const char *provider, const char *model,
                         const struct str_list *overrides, const char *expected_provider, const char *expected_model)
{
    struct error err;
    struct config *c = load_local(f, provider, model, overrides, &err);

    assert_non_null(c);
    assert_true(config_is_oss(c));
    assert_string_equal(config_string(c, "model_provider"), expected_provider);
    assert_string_equal(config_string(c, "model"), expected_model);
    config_destroy(c);
}

static void oss_chooses_a_provider_on_this_machine(void **state)
{
    struct fixture *f = *state;
    struct config_options alone = {.cwd = f->sub, .codex_home = f->home, .local_provider = "ollama"};
    struct str_list overrides = {0};
    struct error err;

    assert_null(load_local(f, NULL, NULL, NULL, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.text, "--local-provider ollama"));
    assert_null(load_local(f, "openai", NULL, NULL, &err));
    assert_non_null(strstr(err.text, "--local-provider \"openai\": expected ollama or lmstudio"));
    assert_null(config_load(&alone, &err));
    assert_non_null(strstr(err.text, "belongs to --oss"));
    write_file(f->home, "config.toml", "model = \"gpt-5\"\nmodel_provider = \"openai\"\noss_provider = \"lmstudio\"\n");
    expect_local(f, NULL, NULL, NULL, "lmstudio", "openai/gpt-oss-20b");
    expect_local(f, "ollama", NULL, NULL, "ollama", "gpt-oss:20b");
    expect_local(f, "ollama", "qwen3:8b", NULL, "ollama", "qwen3:8b");
    str_list_add(&overrides, "model=\"phi4\"");
    str_list_add(&overrides, "oss_provider=\"ollama\"");
    expect_local(f, NULL, NULL, &overrides, "ollama", "phi4");
    str_list_finish(&overrides);
    /* A model that the user gave to this very provider stays. */
    write_file(f->home, "config.toml", "model = \"qwen3:8b\"\nmodel_provider = \"ollama\"\n");
    expect_local(f, "ollama", NULL, NULL, "ollama", "qwen3:8b");
    expect_local(f, "lmstudio", NULL, NULL, "lmstudio", "openai/gpt-oss-20b");
}

static void oss_beats_the_models_of_roles(void **state)
{
    struct fixture *f = *state;
    struct error err;
    struct config *c;
    struct role_registry *roles;
    const struct role *role;

    write_file(f->home, "agents/far.toml",
               "name = \"far\"\ndescription = \"d\"\ndeveloper_instructions = \"i\"\nmodel = \"gpt-5\"\n"
               "model_provider = \"openai\"\nmodel_reasoning_effort = \"low\"\n");
    write_file(f->home, "cadre.toml", "[roles.explorer]\nmodel = \"gpt-5-mini\"\n");
    c = load_local(f, "ollama", NULL, NULL, &err);
    assert_non_null(c);
    roles = role_registry_create(c);
    role = role_registry_get(roles, "far", &err);
    assert_non_null(role);
    assert_null(role->model);
    assert_null(toml_string(role->settings, "model_provider", NULL));
    assert_string_equal(role->reasoning_effort, "low");
    role = role_registry_get(roles, "explorer", &err);
    assert_non_null(role);
    assert_null(role->model);
    role_registry_destroy(roles);
    config_destroy(c);
}

static void mcp_servers_go_to_the_roles_that_name_them(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct mcp_config_list list;
    struct role_registry *r;
    struct config *c;

    write_file(
        f->home, "config.toml",
        "[mcp_servers.a]\ncommand = \"a\"\nenv_vars = [\"ONE\", { name = \"TWO\", source = \"local\" }]\n"
        "startup_timeout_ms = 1500\n[mcp_servers.b]\nurl = \"http://b\"\ntool_timeout_sec = 2.5\n"
        "[mcp_servers.off]\ncommand = \"c\"\nenabled = false\n[agents.one]\nconfig_file = \"one.toml\"\n");
    write_file(f->home, "cadre.toml",
               "[roles.explorer]\nmcp_servers = []\n[roles.reviewer]\nmcp_servers = [\"b\"]\n");
    write_file(f->home, "one.toml",
               "[mcp_servers.a]\nenabled_tools = [\"t\"]\n[mcp_servers.own]\ncommand = \"o\"\n");
    c = load(f);
    r = role_registry_create(c);
    assert_int_equal(mcp_config_for_role(&list, c, NULL, &err), 0);
    assert_int_equal(list.len, 2);
    assert_string_equal(list.items[0].env_vars.items[1], "TWO");
    assert_int_equal(list.items[0].startup_timeout_ms, 1500);
    assert_int_equal(list.items[1].tool_timeout_ms, 2500);
    mcp_config_list_finish(&list);
    assert_int_equal(mcp_config_for_role(&list, c, role_registry_get(r, "explorer", &err), &err), 0);
    assert_int_equal(list.len, 0);
    mcp_config_list_finish(&list);
    assert_int_equal(mcp_config_for_role(&list, c, role_registry_get(r, "reviewer", &err), &err), 0);
    assert_int_equal(list.len, 1);
    assert_string_equal(list.items[0].url, "http://b");
    mcp_config_list_finish(&list);
    assert_int_equal(mcp_config_for_role(&list, c, role_registry_get(r, "one", &err), &err), 0);
    assert_int_equal(list.len, 2);
    assert_string_equal(list.items[0].command, "a"); /* merged over the configuration's */
    assert_true(list.items[0].has_enabled_tools);
    assert_string_equal(list.items[1].id, "own");
    mcp_config_list_finish(&list);
    role_registry_destroy(r);
    config_destroy(c);
    write_file(f->home, "config.toml", "[mcp_servers.a]\nargs = [\"x\"]\n");
    c = load(f);
    assert_int_equal(mcp_config_for_role(&list, c, NULL, &err), -1);
    assert_non_null(strstr(err.text, "config.toml:1:"));
    config_destroy(c);
}

static void expect_environment(const struct fixture *f, const char *policy, const char *want)
{
    static char *const environment[] = {(char *)"PATH=/bin", (char *)"OPENAI_API_KEY=s", (char *)"my_token=t",
                                        (char *)"LANG=C",    (char *)"EDITOR=vi=x",      NULL};
    struct str_list out = {0};
    struct config *c;
    char *text;

    write_file(f->home, "config.toml", policy);
    c = load(f);
    shell_environment_build(c, environment, &out);
    text = str_list_join(&out, " ");
    assert_string_equal(text, want);
    free(text);
    str_list_finish(&out);
    config_destroy(c);
}

static void shell_environment_follows_the_policy(void **state)
{
    const struct fixture *f = *state;

    expect_environment(f, "", "PATH=/bin LANG=C EDITOR=vi=x");
    expect_environment(f, "[shell_environment_policy]\nignore_default_excludes = true\n",
                       "PATH=/bin my_token=t LANG=C EDITOR=vi=x"); /* our own key goes to nobody unasked */
    expect_environment(f,
                       "[shell_environment_policy]\nignore_default_excludes = true\n"
                       "include_only = [\"OPENAI_API_KEY\"]\n",
                       "OPENAI_API_KEY=s");
    expect_environment(f, "[shell_environment_policy]\ninherit = \"core\"\nset = { A = \"1\" }\n",
                       "PATH=/bin LANG=C A=1");
    expect_environment(f, "[shell_environment_policy]\ninherit = \"none\"\nset = { API_KEY = \"given\" }\n",
                       "API_KEY=given");
    expect_environment(
        f, "[shell_environment_policy]\nexclude = [\"ED*\"]\ninclude_only = [\"p?th\", \"EDITOR\"]\n",
        "PATH=/bin");
    expect_environment(f, "[shell_environment_policy.filters]\n\"LANG\" = \"exclude\"\n",
                       "PATH=/bin EDITOR=vi=x");
    expect_environment(f, "[shell_environment_policy]\nset = { LANG = \"de\" }\n",
                       "PATH=/bin EDITOR=vi=x LANG=de");
}

static void agents_md_joins_from_global_to_working_directory(void **state)
{
    struct fixture *f = *state;
    struct config *c;
    struct buf text = BUF_INIT;
    struct str_list sources = {0}, paths = {0};

    write_file(f->home, "AGENTS.md", "global");
    write_file(f->project, "AGENTS.md", "plain root");
    write_file(f->project, "AGENTS.override.md", "root override");
    write_file(f->sub, "GUIDE.md", "fallback of src");
    write_file(f->sub, "deep/AGENTS.md", "deep");
    write_file(f->project, "other/AGENTS.md", "other");
    write_file(f->home, "config.toml", "project_doc_fallback_filenames = [\"GUIDE.md\", \"../x\"]\n");
    c = load(f);
    agents_md_load(c, &text, &sources);
    assert_int_equal(sources.len, 3);
    assert_non_null(strstr(buf_cstr(&text), "global\n"));
    assert_non_null(strstr(buf_cstr(&text), "root override\n"));
    assert_null(strstr(buf_cstr(&text), "plain root"));
    assert_true(str_ends_with(buf_cstr(&text), "fallback of src\n"));
    str_list_finish(&sources);
    buf_clear(&text);
    str_list_add(&paths, "src/deep/a.c");
    str_list_add(&paths, "src/**/x");
    str_list_add(&paths, "../outside/y");
    agents_md_load_for_paths(c, f->project, &paths, &text, &text, &sources);
    assert_int_equal(sources.len, 4);
    assert_true(str_ends_with(sources.items[3], "src/deep/AGENTS.md"));
    assert_null(strstr(buf_cstr(&text), "other"));
    config_destroy(c);
    write_file(f->home, "config.toml", "project_doc_max_bytes = 10\n");
    c = load(f);
    buf_clear(&text);
    agents_md_load(c, &text, NULL);
    assert_non_null(strstr(buf_cstr(&text), "global"));
    assert_non_null(strstr(buf_cstr(&text), "root\n(cut"));
    config_destroy(c);
    str_list_finish(&sources);
    str_list_finish(&paths);
    buf_free(&text);
}

static void agents_md_does_not_follow_links_out_of_the_project(void **state)
{
    struct fixture *f = *state;
    struct config *c;
    struct buf text = BUF_INIT;
    char *outside = path_join(f->root, "secret"), *link = path_join(f->sub, "AGENTS.md");
    char *inside = path_join(f->project, "AGENTS.md");

    write_file(f->root, "secret", "a key");
    write_file(f->project, "CLAUDE.md", "shared rules");
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(symlink("CLAUDE.md", inside), 0);
    c = load(f);
    agents_md_load(c, &text, NULL);
    assert_null(strstr(buf_cstr(&text), "a key"));
    assert_non_null(strstr(buf_cstr(&text), "shared rules"));
    config_destroy(c);
    buf_free(&text);
    free(outside);
    free(link);
    free(inside);
}

static void skills_give_names_first_and_bodies_on_use(void **state)
{
    struct fixture *f = *state;
    struct config *c;
    struct skill_list list;
    struct str_list warnings = {0};
    struct buf text = BUF_INIT;
    struct error err = {0};
    bool changed;

    write_file(f->project, ".agents/skills/a/SKILL.md",
               "---\nname: a\ndescription: \"from the project\"\n---\nBody A\n");
    write_file(f->home, "skills/a/SKILL.md", "---\nname: a\ndescription: home\n---\n");
    write_file(f->home, "skills/b/SKILL.md", "---\nname: b\ndescription: >\n  two\n  lines\n---\nBody B\n");
    write_file(f->home, "skills/off/SKILL.md", "---\nname: off\ndescription: x\n---\n");
    write_file(f->home, "skills/bad/SKILL.md", "no front matter\n");
    write_file(f->home, "config.toml", "[[skills.config]]\nname = \"off\"\nenabled = false\n");
    c = load(f);
    skills_find(&list, c, NULL, &warnings);
    assert_int_equal(list.len, 2);
    assert_string_equal(list.items[0].description, "home"); /* the project is not trusted */
    assert_string_equal(list.items[1].description, "two lines");
    assert_int_equal(warnings.len, 1);
    assert_int_equal(skill_read_body(&list.items[1], &text, &err), 0);
    assert_string_equal(buf_cstr(&text), "Body B\n");
    buf_clear(&text);
    skills_append_context(&text, &list);
    assert_null(strstr(buf_cstr(&text), "Body"));
    skill_list_finish(&list);
    config_destroy(c);
    assert_int_equal(trust_add(f->home, f->project, &changed, &err), 0);
    c = load(f);
    skills_find(&list, c, NULL, NULL);
    assert_string_equal(list.items[0].description, "from the project");
    skill_list_finish(&list);
    config_destroy(c);
    str_list_finish(&warnings);
    buf_free(&text);
}

static void expect_edit(const char *before, const char *path, const char *value, const char *after)
{
    struct buf text = BUF_INIT;
    struct str_list parts = {0};
    struct error err = {0};

    buf_puts(&text, before);
    assert_int_equal(toml_split_path(path, &parts), 0);
    if (after == NULL) {
        assert_int_equal(toml_edit_set(&text, "f", parts.items, parts.len, value, &err), -1);
        assert_string_equal(buf_cstr(&text), before);
    } else {
        assert_int_equal(toml_edit_set(&text, "f", parts.items, parts.len, value, &err), 0);
        assert_string_equal(buf_cstr(&text), after);
    }
    buf_free(&text);
    str_list_finish(&parts);
}

static void edits_change_one_key_and_nothing_else(void **state)
{
    (void)state;
    expect_edit("", "a", "1", "a = 1\n");
    expect_edit("", "t.a", "1", "[t]\na = 1\n");
    expect_edit("# head\nx = 1\n\n[t]\n# c\nb = 2 # d\n\n# about u\n[u]\n", "t.a", "\"z\"",
                "# head\nx = 1\n\n[t]\n# c\nb = 2 # d\na = \"z\"\n\n# about u\n[u]\n");
    expect_edit("x = 1 # keep\n[t]\n", "x", "2", "x = 2 # keep\n[t]\n");
    expect_edit("x = \"a#b\"  # keep", "x", "2", "x = 2  # keep");
    expect_edit("# head\n\n[t]\na = 1\n", "b", "2", "# head\n\nb = 2\n[t]\na = 1\n");
    expect_edit("[a.\"b c\"]\nx = 1", "a.\"b c\".y", "2", "[a.\"b c\"]\nx = 1\ny = 2\n");
    expect_edit("t = { a = 1 }\n", "t.b", "2", NULL);
    expect_edit("s = '''\n[t]\n'''\n", "t.a", "1", NULL);
    expect_edit("m = [\n 1,\n]\n", "m", "2", NULL);
    expect_edit("not toml", "m", "2", NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(provider_is_read_whole),
        CASE(oss_chooses_a_provider_on_this_machine),
        CASE(oss_beats_the_models_of_roles),
        CASE(mcp_servers_go_to_the_roles_that_name_them),
        CASE(shell_environment_follows_the_policy),
        CASE(agents_md_joins_from_global_to_working_directory),
        CASE(agents_md_does_not_follow_links_out_of_the_project),
        CASE(skills_give_names_first_and_bodies_on_use),
        cmocka_unit_test(edits_change_one_key_and_nothing_else),
    };

    return cmocka_run_group_tests_name("parts", tests, NULL, NULL);
}
