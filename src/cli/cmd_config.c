/* cli/cmd_config.c: `cadre config get|explain|schema|roles|role`: what holds, where it comes from, what there
 * is. */
#include "cli/command.h"
#include "cli/settings.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/redact.h"
#include "config/config.h"
#include "config/role.h"
#include "config/schema.h"
#include "config/toml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is KEY known to the table, or the name of a table that holds known keys? */
static int check_key(const char *key, struct error *err)
{
    struct str_list parts = {0};
    char *near = NULL;
    int rc = 0;

    if (toml_split_path(key, &parts) < 0) {
        rc = error_set(err, ERROR_USAGE, "\"%s\" is no dotted key", key);
    } else if (schema_find(parts.items, parts.len) == NULL && !schema_is_prefix(parts.items, parts.len)) {
        rc = error_set(err, ERROR_USAGE, "unknown key %s", key);
        near = schema_nearest(parts.items, parts.len);
        if (near != NULL)
            error_hint(err, "did you mean %s?", near);
        else
            error_hint(err, "`cadre config schema` lists all keys");
    }
    free(near);
    str_list_finish(&parts);
    return rc;
}

static void get(const struct config *c, const char *key, bool json)
{
    struct toml_value *value = config_printable_value(c, key);
    struct buf text = BUF_INIT;

    if (value == NULL) {
        (void)fprintf(stderr, "%s is not set\n", key);
        return;
    }
    if (json)
        toml_append_json(&text, value, false);
    else if (value->type == TOML_STRING)
        buf_append(&text, value->as.string.bytes, value->as.string.len);
    else
        toml_append_inline(&text, value);
    redact_buf(&text, 0, REDACT_ALL); /* a password within an address, say */
    puts(buf_cstr(&text));
    buf_free(&text);
    toml_free(value);
}

static void print_origin(const struct config_origin *origin)
{
    if (origin->file != NULL)
        printf("  from: %s, %s:%d:%d\n", origin->layer, origin->file, origin->line, origin->column);
    else
        printf("  from: %s\n", origin->layer);
}

static void explain(const struct config *c, const char *key)
{
    const struct schema_key *row = schema_find_path(key);
    struct toml_value *value = config_printable_value(c, key);
    struct config_origin origin;
    struct buf text = BUF_INIT;

    if (value != NULL)
        toml_append_inline(&text, value);
    redact_buf(&text, 0, REDACT_ALL);
    printf("%s%s%s\n", key, value != NULL ? " = " : " is not set", buf_cstr(&text));
    if (config_origin(c, key, &origin))
        print_origin(&origin);
    if (row != NULL) {
        printf("  means: %s\n", row->doc);
        if (row->instead != NULL)
            printf("  new name: %s\n", row->instead);
        if ((row->flags & SCHEMA_UNUSED) != 0)
            printf("  not used by cadre\n");
    }
    buf_clear(&text);
    config_explain(c, key, &text);
    if (text.len > 0) {
        struct str_list lines = {0};

        printf("  layers, weakest first:\n");
        str_split(&lines, buf_cstr(&text), '\n');
        for (size_t i = 0; i < lines.len; i++)
            if (lines.items[i][0] != '\0')
                printf("    %s\n", lines.items[i]);
        str_list_finish(&lines);
    }
    buf_free(&text);
    toml_free(value);
}

static void print_schema(const struct cli_args *args)
{
    struct buf text = BUF_INIT;

    if (cli_flag(args, "markdown")) {
        schema_append_markdown(&text);
    } else if (cli_flag(args, "json")) {
        schema_append_json(&text);
        buf_putc(&text, '\n');
    } else {
        for (size_t i = 0; i < schema_count(); i++) {
            const struct schema_key *key = schema_at(i);

            buf_printf(&text, "%-52s ", key->path);
            schema_append_types(&text, key->types);
            if (key->fallback != NULL)
                buf_printf(&text, " = %s", key->fallback);
            buf_putc(&text, '\n');
        }
    }
    (void)fwrite(buf_cstr(&text), 1, text.len, stdout);
    buf_free(&text);
}

/* The roles by name; no role file is opened for it. */
static void print_roles(const struct role_registry *roles)
{
    for (size_t i = 0; i < role_registry_count(roles); i++) {
        struct role_summary s = role_registry_at(roles, i);

        printf("%-18s %s%s%s\n", s.name, s.description, s.file != NULL ? "  " : "",
               s.file != NULL ? s.file : "");
    }
}

static void print_setting(const char *name, const char *value)
{
    printf("%-16s %s\n", name, value != NULL ? value : "(as its parent)");
}

static void print_role(const struct role *role)
{
    char *servers = str_list_join(&role->mcp_server_names, ", ");

    print_setting("name", role->name);
    print_setting("description", role->description);
    print_setting("file", role->file != NULL ? role->file : "(built-in)");
    print_setting("model", role->model);
    print_setting("effort", role->reasoning_effort);
    print_setting("sandbox_mode", role->sandbox_mode);
    print_setting("approval_policy", role->approval_policy);
    print_setting("mcp_servers", !role->has_mcp_servers  ? "(all)"
                                 : str_is_empty(servers) ? "(none)"
                                                         : servers);
    print_setting("runner", role->runner);
    print_setting("isolation", role->isolation);
    printf("%-16s %zu bytes\n", "instructions",
           role->developer_instructions != NULL ? strlen(role->developer_instructions) : 0);
    free(servers);
}

static int show_roles(const struct config *c, const char *name, struct error *err)
{
    struct role_registry *roles = role_registry_create(c);
    const struct role *role = NULL;
    int rc = 0;

    if (name == NULL)
        print_roles(roles);
    else if ((role = role_registry_get(roles, name, err)) != NULL)
        print_role(role);
    else
        rc = -1;
    for (size_t i = 0; i < role_registry_warnings(roles)->len; i++)
        log_warning("%s", role_registry_warnings(roles)->items[i]);
    role_registry_destroy(roles);
    return rc;
}

static int run(struct cli_context *ctx, const struct cli_args *args)
{
    const char *verb = args->positionals.items[0];
    const char *key = args->positionals.len > 1 ? args->positionals.items[1] : NULL;
    bool is_get = strcmp(verb, "get") == 0, is_explain = strcmp(verb, "explain") == 0;
    struct error err = {0};
    struct config *c;

    if (strcmp(verb, "schema") == 0 && key == NULL) {
        print_schema(args);
        return EXIT_DONE;
    }
    if ((strcmp(verb, "roles") == 0 && key == NULL) || (strcmp(verb, "role") == 0 && key != NULL)) {
        int rc;

        if ((c = cli_load_config(ctx, &err)) == NULL)
            return cli_fail(&err);
        rc = show_roles(c, key, &err);
        config_destroy(c);
        return rc == 0 ? EXIT_DONE : cli_fail(&err);
    }
    if (!is_get && !is_explain) {
        error_set(&err, ERROR_USAGE,
                  "expected get KEY, explain KEY, schema, roles or role NAME, found \"%s\"", verb);
        return cli_fail(&err);
    }
    if (key == NULL) {
        error_set(&err, ERROR_USAGE, "`cadre config %s` needs a KEY, such as model or agents.max_threads",
                  verb);
        return cli_fail(&err);
    }
    if (check_key(key, &err) < 0 || (c = cli_load_config(ctx, &err)) == NULL)
        return cli_fail(&err);
    if (is_get)
        get(c, key, cli_flag(args, "json"));
    else
        explain(c, key);
    config_destroy(c);
    return EXIT_DONE;
}

static const struct option_spec options[] = {
    {"json", 0, NULL, "print JSON", false},
    {"markdown", 0, NULL, "schema: print docs/config.md", false},
    {0},
};

const struct command command_config = {
    .name = "config",
    .summary = "show settings, where they come from, and all keys there are",
    .usage = "get KEY | explain KEY | schema | roles | role NAME",
    .details = "KEY is a dotted path; quote a part that holds a dot: projects.\"/src/x\".trust_level.\n"
               "explain names every layer that sets the key; role shows what one role's file gives it. "
               "Secrets are not\n"
               "printed.",
    .example =
        "cadre config explain agents.max_threads\ncadre -c loop.batch_size=4 config get loop.batch_size",
    .options = options,
    .min_positionals = 1,
    .max_positionals = 2,
    .run = run,
};
