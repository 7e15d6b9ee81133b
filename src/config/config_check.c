/* config/config_check.c: holds a tree of one file against the table of keys.
 *
 * A value of a wrong type is an error with its place; an unknown name is a note (an error when strict). What a
 * project may not set is taken out. Old names are brought to their new form, so that the rest of the program
 * knows one name for each thing. */
#include "config/config_state.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

static unsigned type_bit(enum toml_type type)
{
    switch (type) {
    case TOML_TABLE:
        return SCHEMA_TABLE;
    case TOML_ARRAY:
        return SCHEMA_LIST;
    case TOML_INTEGER:
        return SCHEMA_INTEGER | SCHEMA_FLOAT;
    case TOML_FLOAT:
        return SCHEMA_FLOAT;
    case TOML_BOOLEAN:
        return SCHEMA_BOOLEAN;
    default:
        return SCHEMA_STRING;
    }
}

static char *dotted(const struct str_list *parts)
{
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < parts->len; i++)
        toml_append_path(&b, parts->items[i]);
    return buf_take(&b);
}

static int unknown_key(const struct config_check *k, const struct str_list *parts, const struct toml_value *v,
                       struct error *err)
{
    char *key = dotted(parts), *near = schema_nearest(parts->items, parts->len);
    int rc = 0;

    if (k->is_strict) {
        rc = error_set_at(err, ERROR_CONFIG, k->file, v->line, v->column, "unknown key %s", key);
        if (near != NULL)
            error_hint(err, "did you mean %s?", near);
        else
            error_hint(err, "`cadre config schema` lists all keys");
    } else if (near != NULL) {
        config_note_add(k->c, CONFIG_NOTE_UNKNOWN, key, k->file, v->line, v->column,
                        "unknown key %s; did you mean %s?", key, near);
    } else {
        config_note_add(k->c, CONFIG_NOTE_UNKNOWN, key, k->file, v->line, v->column, "unknown key %s", key);
    }
    free(key);
    free(near);
    return rc;
}

static int wrong_type(const struct config_check *k, const char *key, unsigned types,
                      const struct toml_value *v, struct error *err)
{
    struct buf want = BUF_INIT;

    schema_append_types(&want, types);
    error_set_at(err, ERROR_CONFIG, k->file, v->line, v->column, "%s: expected %s, found %s", key,
                 buf_cstr(&want), toml_type_name(v->type));
    buf_free(&want);
    return -1;
}

static int check_choice(const struct config_check *k, const struct schema_key *row, const char *key,
                        const struct toml_value *v, struct error *err)
{
    struct str_list choices = {0};
    const char *text = v->as.string.bytes, *near;
    int rc = 0;

    str_split(&choices, row->choices, '|');
    if (!str_list_has(&choices, text)) {
        char *all = str_list_join(&choices, ", ");

        rc = error_set_at(err, ERROR_CONFIG, k->file, v->line, v->column, "%s: \"%s\" is none of %s", key,
                          text, all);
        near = str_nearest(text, (const char *const *)choices.items);
        if (near != NULL)
            error_hint(err, "did you mean \"%s\"?", near);
        free(all);
    }
    str_list_finish(&choices);
    return rc;
}

static void resolve_string(const struct config_check *k, struct toml_value *v)
{
    char *home = path_expand_home(v->as.string.bytes);
    char *joined = path_join(k->folder, home);
    char *whole = path_normalize(joined);

    free(home);
    free(joined);
    free(v->as.string.bytes);
    v->as.string.bytes = whole;
    v->as.string.len = strlen(whole);
}

static void resolve_paths(const struct config_check *k, struct toml_value *v)
{
    if (v->type == TOML_STRING) {
        resolve_string(k, v);
    } else if (v->type == TOML_ARRAY) {
        for (size_t i = 0; i < v->as.array.len; i++)
            if (v->as.array.items[i]->type == TOML_STRING)
                resolve_string(k, v->as.array.items[i]);
    }
}

/* What is taken here and refused by the Codex of today, and old values. */
static void check_value(const struct config_check *k, const char *key, struct toml_value *v)
{
    if (v->type != TOML_STRING)
        return;
    if (str_ends_with(key, "approval_policy")) {
        if (strcmp(v->as.string.bytes, "untrusted") == 0) {
            config_note_add(k->c, CONFIG_NOTE_REFUSED, key, k->file, v->line, v->column,
                            "Codex of today refuses %s = \"untrusted\"; use \"on-request\"", key);
        } else if (strcmp(v->as.string.bytes, "on-failure") == 0) {
            config_note_add(k->c, CONFIG_NOTE_RENAMED, key, k->file, v->line, v->column,
                            "%s = \"on-failure\" is an old name of \"on-request\"", key);
            free(v->as.string.bytes);
            v->as.string.bytes = xstrdup("on-request");
            v->as.string.len = strlen(v->as.string.bytes);
        }
    } else if (strcmp(key, "profile") == 0) {
        config_note_add(k->c, CONFIG_NOTE_REFUSED, key, k->file, v->line, v->column,
                        "Codex of today refuses the key `profile`; use --profile %s", v->as.string.bytes);
    } else if (str_ends_with(key, ".wire_api") && strcmp(v->as.string.bytes, "responses") != 0 &&
               k->kind == CONFIG_FILE_CONFIG) {
        config_note_add(k->c, CONFIG_NOTE_REFUSED, key, k->file, v->line, v->column,
                        "Codex knows no %s = \"%s\"; put this provider into cadre.toml", key,
                        v->as.string.bytes);
    }
}

/* `[[gates.allow]]`: a built-in check is switched off by its id, with a reason, for some paths or for all. */
static int check_allowances(const struct config_check *k, const struct toml_value *list, struct error *err)
{
    for (size_t i = 0; i < list->as.array.len; i++) {
        const struct toml_value *item = list->as.array.items[i];
        const char *check = item->type == TOML_TABLE ? toml_string(item, "check", NULL) : NULL;
        const char *reason = item->type == TOML_TABLE ? toml_string(item, "reason", NULL) : NULL;
        const struct toml_value *paths = item->type == TOML_TABLE ? toml_get(item, "paths") : NULL;

        if (str_is_empty(check)) {
            error_set_at(err, ERROR_CONFIG, k->file, item->line, item->column, "gates.allow: an entry without `check`");
            return error_hint(err, "write [[gates.allow]] with check = \"ID\" and reason = \"...\"; docs/checks.md lists the ids");
        }
        if (reason == NULL || strspn(reason, " \t\n") == strlen(reason)) {
            error_set_at(err, ERROR_CONFIG, k->file, item->line, item->column, "gates.allow: \"%s\" is allowed without a reason",
                         check);
            return error_hint(err, "add reason = \"why this repository may have it\"");
        }
        if (paths != NULL && paths->type != TOML_ARRAY)
            return error_set_at(err, ERROR_CONFIG, k->file, paths->line, paths->column,
                                "gates.allow.paths: expected list, found %s", toml_type_name(paths->type));
        for (size_t m = 0; m < item->as.table.len; m++) {
            const char *key = item->as.table.members[m].key;

            if (strcmp(key, "check") != 0 && strcmp(key, "reason") != 0 && strcmp(key, "paths") != 0)
                return error_set_at(err, ERROR_CONFIG, k->file, item->as.table.members[m].value->line,
                                    item->as.table.members[m].value->column,
                                    "gates.allow: unknown key %s; known are check, reason, paths", key);
        }
    }
    return 0;
}

/* Notes about a key that stands where it should not; the key still holds. */
static void check_place(const struct config_check *k, const struct schema_key *row, const char *key,
                        const struct toml_value *v)
{
    if (k->kind == CONFIG_FILE_CONFIG && (row->flags & SCHEMA_CADRE) != 0)
        config_note_add(k->c, CONFIG_NOTE_MISPLACED, key, k->file, v->line, v->column,
                        "%s belongs into cadre.toml beside this file: Codex does not know it", key);
    if ((row->flags & SCHEMA_UNUSED) != 0)
        config_note_add(k->c, CONFIG_NOTE_UNUSED, key, k->file, v->line, v->column, "%s is not used: %s", key,
                        row->doc);
    if ((row->flags & SCHEMA_RENAMED) != 0)
        config_note_add(k->c, CONFIG_NOTE_RENAMED, key, k->file, v->line, v->column, "%s is now %s", key,
                        row->instead);
}

static int check_table(const struct config_check *k, struct toml_value *table, struct str_list *parts,
                       struct error *err);

/* Checks one member; *DROP is set when it must be taken out. */
static int check_member(const struct config_check *k, struct toml_value *v, struct str_list *parts,
                        bool *drop, struct error *err)
{
    const struct schema_key *row = schema_find(parts->items, parts->len);
    bool is_prefix = schema_is_prefix(parts->items, parts->len);
    bool had_members = v->type == TOML_TABLE && v->as.table.len > 0;
    char *key;
    int rc = 0;

    if (row != NULL && (row->flags & SCHEMA_ROLE_ONLY) != 0 && k->kind != CONFIG_FILE_ROLE)
        row = NULL;
    if (row == NULL && !is_prefix)
        return unknown_key(k, parts, v, err);
    key = dotted(parts);
    if (k->is_project && row != NULL && (row->flags & SCHEMA_USER_ONLY) != 0) {
        config_note_add(k->c, CONFIG_NOTE_IGNORED, key, k->file, v->line, v->column,
                        "%s is ignored: a project may not set it", key);
        *drop = true;
        goto out;
    }
    if (row == NULL) {
        rc = v->type == TOML_TABLE ? check_table(k, v, parts, err) : wrong_type(k, key, SCHEMA_TABLE, v, err);
        goto out;
    }
    if ((row->types & type_bit(v->type)) == 0) {
        if ((row->flags & SCHEMA_UNUSED) == 0)
            rc = wrong_type(k, key, row->types, v, err);
        goto out;
    }
    if (v->type == TOML_STRING && row->choices != NULL && (row->flags & SCHEMA_UNUSED) == 0 &&
        check_choice(k, row, key, v, err) < 0) {
        rc = -1;
        goto out;
    }
    if (strcmp(key, "gates.allow") == 0 && check_allowances(k, v, err) < 0) {
        rc = -1;
        goto out;
    }
    check_place(k, row, key, v);
    check_value(k, key, v);
    if ((row->flags & SCHEMA_PATH) != 0)
        resolve_paths(k, v);
    if (v->type == TOML_TABLE && is_prefix)
        rc = check_table(k, v, parts, err);
out:
    /* A table that held only what was taken out goes too: an empty provider would still be one. */
    if (rc == 0 && had_members && v->as.table.len == 0)
        *drop = true;
    free(key);
    return rc;
}

static int check_table(const struct config_check *k, struct toml_value *table, struct str_list *parts,
                       struct error *err)
{
    for (size_t i = 0; i < table->as.table.len;) {
        struct toml_member *m = &table->as.table.members[i];
        bool drop = false;
        int rc;

        str_list_add(parts, m->key);
        rc = check_member(k, m->value, parts, &drop, err);
        str_list_remove(parts, parts->len - 1);
        if (rc < 0)
            return -1;
        if (drop)
            (void)toml_remove(table, m->key);
        else
            i++;
    }
    return 0;
}

/* max_threads is the one name inside the program; the other names of the limit are brought to it. */
static void settle_thread_limits(const struct config_check *k, struct toml_value *tree)
{
    struct toml_value *agents = toml_get(tree, "agents"), *old, *new, *v2;

    old = toml_get(agents, "max_threads");
    new = toml_get(agents, "max_concurrent_threads_per_session");
    if (old != NULL && new != NULL)
        config_note_add(k->c, CONFIG_NOTE_REFUSED, "agents.max_threads", k->file, old->line, old->column,
                        "Codex refuses a file with both agents.max_threads and "
                        "agents.max_concurrent_threads_per_session; the second holds");
    else if (old != NULL && k->kind != CONFIG_FILE_COMMAND_LINE)
        config_note_add(k->c, CONFIG_NOTE_RENAMED, "agents.max_threads", k->file, old->line, old->column,
                        "agents.max_threads has the newer name agents.max_concurrent_threads_per_session");
    if (new != NULL)
        toml_set(agents, "max_threads", toml_copy(new));
    v2 = toml_find(tree, "features.multi_agent_v2.max_concurrent_threads_per_session");
    if (v2 == NULL || v2->type != TOML_INTEGER || toml_find(tree, "agents.max_threads") != NULL)
        return;
    if (agents == NULL) {
        agents = toml_new(TOML_TABLE);
        toml_set(tree, "agents", agents);
    }
    v2 = toml_copy(v2);
    if (v2->as.integer > 1)
        v2->as.integer--; /* this one counts the root */
    toml_set(agents, "max_threads", v2);
}

static void settle_features(struct toml_value *tree)
{
    struct toml_value *features = toml_get(tree, "features");
    struct toml_value *collab = toml_get(features, "collab"), *multi, *agents;

    if (collab != NULL && toml_get(features, "multi_agent") == NULL)
        toml_set(features, "multi_agent", toml_copy(collab));
    multi = toml_get(features, "multi_agent");
    if (multi == NULL || multi->type != TOML_BOOLEAN || toml_find(tree, "agents.enabled") != NULL)
        return;
    agents = toml_get(tree, "agents");
    if (agents == NULL) {
        agents = toml_new(TOML_TABLE);
        toml_set(tree, "agents", agents);
    }
    toml_set(agents, "enabled", toml_copy(multi));
}

int config_check_tree(const struct config_check *check, struct toml_value *tree, struct error *err)
{
    struct str_list parts = {0};
    int rc = check_table(check, tree, &parts, err);

    str_list_finish(&parts);
    if (rc == 0) {
        settle_thread_limits(check, tree);
        settle_features(tree);
    }
    return rc;
}
