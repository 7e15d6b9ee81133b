/* fuzz/fuzz_role.c: a role file, a configuration file, or an agent file in Markdown, by the first byte. */
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "config/claude_import.h"
#include "config/config.h"
#include "config/mcp_config.h"
#include "config/role.h"
#include "config/run_settings.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *home, *role_file, *config_file;

static void tear_down(void)
{
    struct error err = {0};

    (void)file_remove_tree(home, &err);
}

static void set_up(void)
{
    struct error err = {0};

    home = file_make_temporary_directory("cadre-fuzz-role", &err);
    if (home == NULL)
        abort();
    (void)atexit(tear_down);
    (void)setenv("CODEX_HOME", home, 1);
    role_file = path_join(home, "role.toml");
    config_file = path_join(home, "config.toml");
}

static struct config *load(void)
{
    struct config_options options = {.cwd = home, .codex_home = home};

    return config_load(&options, NULL);
}

static void use_config(void)
{
    struct config *c = load();
    struct mcp_config_list servers;
    struct run_settings settings;
    struct role_registry *roles;
    struct str_list problems = {0};

    if (c == NULL)
        return;
    roles = role_registry_create(c);
    (void)role_registry_check(roles, &problems);
    run_settings_init(&settings, c);
    run_settings_finish(&settings);
    for (size_t i = 0; i < role_registry_count(roles); i++) {
        const struct role *role = role_registry_get(roles, role_registry_at(roles, i).name, NULL);

        if (role != NULL && mcp_config_for_role(&servers, c, role, NULL) == 0)
            mcp_config_list_finish(&servers);
    }
    str_list_finish(&problems);
    role_registry_destroy(roles);
    config_destroy(c);
}

static void import_agent(const char *text)
{
    struct buf out = BUF_INIT;
    char *name = NULL;

    if (claude_import_role(text, "fuzz.md", &out, &name, NULL) == 0) {
        struct toml_value *role = toml_parse(buf_cstr(&out), out.len, "made", NULL);

        if (role == NULL || strcmp(toml_string(role, "name", ""), name) != 0)
            abort();
        toml_free(role);
    }
    free(name);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char declaration[] = "[agents.x]\nconfig_file = \"role.toml\"\n";
    struct buf text = BUF_INIT;
    struct error err = {0};

    if (home == NULL)
        set_up();
    if (size < 1)
        return 0;
    buf_append(&text, data + 1, size - 1);
    if (data[0] % 4 == 0) {
        import_agent(buf_cstr(&text));
    } else if (data[0] % 4 == 1) {
        (void)file_write(config_file, buf_cstr(&text), text.len, 0600, &err);
        use_config();
    } else {
        (void)file_write(config_file, declaration, strlen(declaration), 0600, &err);
        (void)file_write(role_file, buf_cstr(&text), text.len, 0600, &err);
        use_config();
    }
    buf_free(&text);
    return 0;
}
