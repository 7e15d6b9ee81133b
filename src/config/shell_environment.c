/* config/shell_environment.c: see shell_environment.h. */
#include "config/shell_environment.h"

#include "base/alloc.h"
#include "base/glob.h"
#include "config/config.h"
#include "config/known_secrets.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* `inherit = "core"` keeps these alone (as Codex does). */
static const char *const core_names[] = {"HOME",   "LOGNAME", "PATH", "SHELL", "USER",   "USERNAME",
                                         "TMPDIR", "TEMP",    "TMP",  "LANG",  "LC_ALL", NULL};

static char *lowered(const char *s)
{
    char *out = xstrdup(s);

    for (char *p = out; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return out;
}

/* Globs over names, case ignored. A name has no '/', so that `*` spans all of it. */
static bool matches_any(const struct str_list *patterns, const char *name)
{
    char *low = lowered(name);
    bool found = false;

    for (size_t i = 0; i < patterns->len && !found; i++) {
        char *pattern = lowered(patterns->items[i]);

        found = glob_match(pattern, low);
        free(pattern);
    }
    free(low);
    return found;
}

static char *name_of(const char *entry)
{
    return xstrndup(entry, strcspn(entry, "="));
}

static bool is_core(const char *name)
{
    for (size_t i = 0; core_names[i] != NULL; i++)
        if (strcasecmp(core_names[i], name) == 0)
            return true;
    return false;
}

static void take_filters(const struct config *c, struct str_list *exclude, struct str_list *include)
{
    const struct toml_value *filters = config_table(c, "shell_environment_policy.filters");

    for (size_t i = 0; filters != NULL && i < filters->as.table.len; i++) {
        const struct toml_member *m = &filters->as.table.members[i];

        if (m->value->type == TOML_STRING)
            str_list_add(strcmp(m->value->as.string.bytes, "include") == 0 ? include : exclude, m->key);
    }
}

void shell_environment_build(const struct config *c, char *const *environment, struct str_list *out)
{
    const char *inherit = config_string(c, "shell_environment_policy.inherit");
    const struct toml_value *set = config_table(c, "shell_environment_policy.set");
    struct str_list exclude = {0}, include = {0}, kept = {0}, own = {0};

    if (!config_bool(c, "shell_environment_policy.ignore_default_excludes")) {
        str_list_add(&exclude, "*KEY*");
        str_list_add(&exclude, "*SECRET*");
        str_list_add(&exclude, "*TOKEN*");
    }
    known_secret_variables(c, &own);
    config_list(c, "shell_environment_policy.exclude", &exclude);
    config_list(c, "shell_environment_policy.include_only", &include);
    take_filters(c, &exclude, &include);
    for (size_t i = 0; environment[i] != NULL && !str_eq(inherit, "none"); i++) {
        char *name = name_of(environment[i]);

        if ((!str_eq(inherit, "core") || is_core(name)) && !matches_any(&exclude, name) && toml_get(set, name) == NULL &&
            (!str_list_has(&own, name) || str_list_has(&include, name)))
            str_list_add(&kept, environment[i]);
        free(name);
    }
    for (size_t i = 0; set != NULL && i < set->as.table.len; i++) {
        const struct toml_member *m = &set->as.table.members[i];

        if (m->value->type == TOML_STRING)
            str_list_take(&kept, xasprintf("%s=%s", m->key, m->value->as.string.bytes));
    }
    for (size_t i = 0; i < kept.len; i++) {
        char *name = name_of(kept.items[i]);

        if (include.len == 0 || matches_any(&include, name))
            str_list_add(out, kept.items[i]);
        free(name);
    }
    str_list_finish(&exclude);
    str_list_finish(&own);
    str_list_finish(&include);
    str_list_finish(&kept);
}
