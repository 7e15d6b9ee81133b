/* config/config_layers.c: finds the files of all layers and reads them in order; see config.h. */
#include "config/config_state.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "config/provider_config.h"
#include "config/schema.h"
#include "config/trust.h"

#include <stdlib.h>
#include <string.h>

/* The defaults of the table as one document: one parse, and each default has the form a user would write. */
static int load_builtin(struct config *c, struct error *err)
{
    struct buf text = BUF_INIT;
    struct toml_value *tree;

    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);

        if (key->fallback != NULL && strchr(key->path, '*') == NULL)
            buf_printf(&text, "%s = %s\n", key->path, key->fallback);
    }
    tree = toml_parse(buf_cstr(&text), text.len, "built-in", err);
    buf_free(&text);
    if (tree == NULL)
        return -1;
    config_layer_add(c, "built-in", NULL, tree);
    return 0;
}

/* Reads one file if it is there. */
static int load_file(struct config *c, const char *name, const char *folder, const char *base,
                     enum config_file_kind kind, struct error *err)
{
    char *path = path_join(folder, base);
    struct config_check check = {
        .c = c,
        .file = path,
        .folder = folder,
        .kind = kind,
        .is_project = strcmp(name, "project") == 0,
        .is_strict = c->is_strict,
    };
    struct toml_value *tree = NULL;
    int rc = 0;

    if (!file_exists(path))
        goto out;
    tree = toml_read_file(path, err);
    if (tree == NULL || config_check_tree(&check, tree, err) < 0) {
        rc = -1;
        goto out;
    }
    config_layer_add(c, name, path, tree);
    tree = NULL;
out:
    toml_free(tree);
    free(path);
    return rc;
}

static int load_pair(struct config *c, const char *name, const char *folder, const char *prefix,
                     struct error *err)
{
    char *config = xasprintf("%sconfig.toml", prefix), *cadre = xasprintf("%scadre.toml", prefix);
    int rc = load_file(c, name, folder, config, CONFIG_FILE_CONFIG, err);

    if (rc == 0)
        rc = load_file(c, name, folder, cadre, CONFIG_FILE_CADRE, err);
    free(config);
    free(cadre);
    return rc;
}

/* "a.b=VALUE" into TREE. A VALUE that is no TOML is taken as a plain string, as Codex does. */
static int add_override(struct toml_value *tree, const char *text, struct error *err)
{
    const char *equals = strchr(text, '=');
    struct str_list parts = {0};
    struct buf document = BUF_INIT;
    struct toml_value *parsed = NULL, *value = NULL, *at = tree;
    char *path = NULL;
    int rc = -1;

    if (equals != NULL)
        path = xstrndup(text, (size_t)(equals - text));
    if (path == NULL || toml_split_path(path, &parts) < 0) {
        error_set(err, ERROR_USAGE, "-c %s: expected key=value with a dotted key", text);
        goto out;
    }
    buf_printf(&document, "v = %s\n", equals + 1);
    parsed = toml_parse(buf_cstr(&document), document.len, "-c", NULL);
    if (parsed != NULL && parsed->as.table.len == 1)
        value = toml_copy(toml_get(parsed, "v"));
    else
        value = toml_new_string(equals + 1);
    value->line = value->column = 0;
    for (size_t i = 0; i + 1 < parts.len; i++) {
        struct toml_value *next = toml_get(at, parts.items[i]);

        if (next == NULL || next->type != TOML_TABLE) {
            next = toml_new(TOML_TABLE);
            toml_set(at, parts.items[i], next);
        }
        at = next;
    }
    toml_set(at, parts.items[parts.len - 1], value);
    rc = 0;
out:
    toml_free(parsed);
    str_list_finish(&parts);
    buf_free(&document);
    free(path);
    return rc;
}

static struct toml_value *command_line_tree(struct config *c, const struct config_options *options,
                                            struct error *err)
{
    struct config_check check = {
        .c = c, .file = "-c", .folder = c->cwd, .kind = CONFIG_FILE_COMMAND_LINE, .is_strict = c->is_strict};
    struct toml_value *tree = toml_new(TOML_TABLE);

    for (size_t i = 0; options->overrides != NULL && i < options->overrides->len; i++)
        if (add_override(tree, options->overrides->items[i], err) < 0)
            goto fail;
    if (options->model != NULL)
        toml_set(tree, "model", toml_new_string(options->model));
    if (config_check_tree(&check, tree, err) == 0)
        return tree;
fail:
    toml_free(tree);
    return NULL;
}

/* The first folder from the working directory upwards that holds one of the markers. */
static char *find_project_root(const struct config *c, const struct toml_value *user)
{
    struct str_list markers = {0};
    char *folder = xstrdup(c->cwd), *found = NULL;

    toml_strings(user, "project_root_markers", &markers);
    while (markers.len > 0 && found == NULL) {
        char *parent;

        for (size_t i = 0; i < markers.len && found == NULL; i++) {
            char *path = path_join(folder, markers.items[i]);

            if (file_exists(path))
                found = xstrdup(folder);
            free(path);
        }
        parent = path_dirname(folder);
        if (strcmp(parent, folder) == 0) {
            free(parent);
            break;
        }
        free(folder);
        folder = parent;
    }
    free(folder);
    str_list_finish(&markers);
    return found != NULL ? found : xstrdup(c->cwd);
}

static bool has_project_files(const char *folder)
{
    char *config = path_join(folder, "config.toml"), *cadre = path_join(folder, "cadre.toml");
    char *agents = path_join(folder, "agents");
    bool found = file_exists(config) || file_exists(cadre) || file_exists(agents);

    free(config);
    free(cadre);
    free(agents);
    return found;
}

static bool is_same_folder(const char *a, const char *b)
{
    char *x = realpath(a, NULL), *y = realpath(b, NULL);
    bool same = x != NULL && y != NULL && strcmp(x, y) == 0;

    free(x);
    free(y);
    return same;
}

/* .codex of each folder from the root down to the working directory. */
static int load_project(struct config *c, struct error *err)
{
    size_t root_len = strlen(c->project_root), end = root_len;

    for (;;) {
        char *level = xstrndup(c->cwd, end);
        char *folder = path_join(level, ".codex");
        int rc = 0;

        if (has_project_files(folder) && !is_same_folder(folder, c->codex_home)) {
            if (c->is_trusted) {
                str_list_add(&c->folders, folder);
                rc = load_pair(c, "project", folder, "", err);
            } else {
                config_note_add(c, CONFIG_NOTE_IGNORED, "", folder, 0, 0,
                                "ignored: the project is not trusted (`cadre trust %s` trusts it)",
                                c->project_root);
            }
        }
        free(level);
        free(folder);
        if (rc < 0)
            return -1;
        if (c->cwd[end] == '\0')
            return 0;
        end++;
        end += strcspn(c->cwd + end, "/");
    }
}

static bool is_plain_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

    return n > 0 && name[n] == '\0' && name[0] != '.';
}

/* $CODEX_HOME/NAME.config.toml, or the old form, a [profiles.NAME] table of the user's file. */
static int load_profile(struct config *c, const char *profile, const struct toml_value *user,
                        struct error *err)
{
    char *prefix, *base, *path;
    struct toml_value *table;
    int rc;

    if (!is_plain_name(profile))
        return error_set(err, ERROR_USAGE, "profile \"%s\": a name has letters, digits, '-', '_' and '.'",
                         profile);
    prefix = xasprintf("%s.", profile);
    base = xasprintf("%s.config.toml", profile);
    path = path_join(c->codex_home, base);
    table = toml_get(toml_get(user, "profiles"), profile);
    if (file_exists(path)) {
        rc = load_pair(c, "profile", c->codex_home, prefix, err);
    } else if (table != NULL && table->type == TOML_TABLE) {
        config_note_add(c, CONFIG_NOTE_RENAMED, "profiles", c->layers[table->source].file, table->line,
                        table->column, "[profiles.%s] is now the file %s", profile, path);
        config_layer_add(c, "profile", c->layers[table->source].file, toml_copy(table));
        rc = 0;
    } else {
        rc = error_set(err, ERROR_CONFIG, "profile \"%s\": there is no %s", profile, path);
    }
    free(prefix);
    free(base);
    free(path);
    return rc;
}

/* --oss, the last word on the command line: LINE gets the local provider, and its usual model unless the command
 * line names one or the user's files (merged with LINE in USER) name one for that very provider. A project has no say. */
static int choose_local(struct config *c, const struct config_options *options, const struct toml_value *user,
                        struct toml_value *line, struct error *err)
{
    const char *id = options->local_provider != NULL ? options->local_provider : toml_string(user, "oss_provider", NULL);
    const char *model = id == NULL ? NULL : provider_config_local_model(id);

    if (!options->oss) {
        if (options->local_provider == NULL)
            return 0;
        error_set(err, ERROR_USAGE, "--local-provider belongs to --oss");
        return error_hint(err, "cadre exec --oss --local-provider %s PROMPT", options->local_provider);
    }
    if (id == NULL) {
        error_set(err, ERROR_USAGE, "--oss: no local provider is chosen");
        return error_hint(err, "add --local-provider ollama or --local-provider lmstudio, or set oss_provider in "
                               "%s/config.toml",
                          c->codex_home);
    }
    if (model == NULL)
        return error_set(err, ERROR_USAGE, "%s \"%s\": expected ollama or lmstudio",
                         options->local_provider != NULL ? "--local-provider" : "oss_provider", id);
    c->is_oss = true;
    if (toml_get(line, "model") == NULL && !str_eq(toml_string(user, "model_provider", NULL), id))
        toml_set(line, "model", toml_new_string(model));
    toml_set(line, "model_provider", toml_new_string(id));
    return 0;
}

int config_layers_load(struct config *c, const struct config_options *options, struct error *err)
{
    struct toml_value *line = NULL, *user = toml_new(TOML_TABLE);
    const char *profile = options->profile;
    size_t own;
    int rc = -1;

    if (load_builtin(c, err) < 0 || load_pair(c, "user", c->codex_home, "", err) < 0)
        goto out;
    str_list_add(&c->folders, c->codex_home);
    line = command_line_tree(c, options, err);
    if (line == NULL)
        goto out;
    own = c->layer_count;
    for (size_t i = 0; i < own; i++)
        config_merge(user, c->layers[i].tree);
    config_merge(user, line);
    if (profile == NULL)
        profile = toml_string(user, "profile", NULL);
    if (profile != NULL && load_profile(c, profile, user, err) < 0)
        goto out;
    /* Trust and the root's markers are the user's word alone: what stands in the layers so far. */
    for (size_t i = own; i < c->layer_count; i++)
        config_merge(user, c->layers[i].tree);
    config_merge(user, line);
    c->project_root = find_project_root(c, user);
    c->is_trusted = trust_is_trusted(user, c->cwd, c->project_root);
    if (load_project(c, err) < 0 || choose_local(c, options, user, line, err) < 0)
        goto out;
    config_layer_add(c, "command line", NULL, line);
    line = NULL;
    rc = 0;
out:
    toml_free(line);
    toml_free(user);
    return rc;
}
