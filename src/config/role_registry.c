/* config/role_registry.c: which roles there are, and which file belongs to which name; see role.h.
 *
 * Listing opens no role file: it walks the folders and reads the [agents] tables that are in memory. */
#include "config/role.h"
#include "config/role_file.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/path.h"
#include "config/config_state.h"
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FOLDER_DEPTH  8
#define MAX_DISCOVERED    1000
#define RANK_COMMAND_LINE 1000

struct entry {
    char *name;
    char *description; /* of the table, or of the file once it is read */
    char *file;
    const struct toml_value *nicknames;
    enum role_source source;
    int rank; /* a later layer's role replaces an earlier one's */
    struct role *role;
    struct stat seen; /* the file as it was when it was read */
};

struct role_registry {
    const struct config *c;
    struct entry *entries;
    size_t len;
    struct str_list warnings;
};

static struct entry *find(const struct role_registry *r, const char *name)
{
    for (size_t i = 0; i < r->len; i++)
        if (strcmp(r->entries[i].name, name) == 0)
            return &r->entries[i];
    return NULL;
}

static void entry_finish(struct entry *e)
{
    free(e->name);
    free(e->description);
    free(e->file);
    role_destroy(e->role);
}

/* Adds or replaces by rank; takes nothing. */
static void add(struct role_registry *r, const char *name, const char *description, const char *file,
                const struct toml_value *nicknames, enum role_source source, int rank)
{
    struct entry *e = find(r, name);

    if (e != NULL && e->rank > rank)
        return;
    if (e != NULL && e->rank == rank && e->file != NULL && file != NULL) {
        if (strcmp(e->file, file) != 0) {
            char *text = xasprintf("%s: a second role \"%s\" beside %s; it is left out", file, name, e->file);

            str_list_take(&r->warnings, text);
        }
        return;
    }
    if (e == NULL) {
        r->entries = xrealloc(r->entries, (r->len + 1) * sizeof *r->entries);
        e = &r->entries[r->len++];
    } else {
        entry_finish(e);
    }
    memset(e, 0, sizeof *e);
    e->name = xstrdup(name);
    e->description = xstrdup(description);
    e->file = xstrdup(file);
    e->nicknames = nicknames;
    e->source = source;
    e->rank = rank;
}

/* 0 built-in, 1 user and profile, 2... the project's levels, then the command line. */
static int rank_of(const struct config *c, const struct toml_value *v)
{
    const struct config_layer *layer = &c->layers[v->source];
    char *folder;
    int rank = RANK_COMMAND_LINE;

    if (layer->file == NULL)
        return rank;
    folder = path_dirname(layer->file);
    for (size_t i = 0; i < c->folders.len; i++)
        if (strcmp(c->folders.items[i], folder) == 0)
            rank = (int)i + 1;
    free(folder);
    return rank;
}

static void add_declared(struct role_registry *r)
{
    const struct toml_value *agents = toml_get(r->c->merged, "agents");

    for (size_t i = 0; agents != NULL && i < agents->as.table.len; i++) {
        const struct toml_member *m = &agents->as.table.members[i];
        char *parts[] = {(char *)"agents", m->key};
        const struct toml_value *file = toml_get(m->value, "config_file");

        if (m->value->type != TOML_TABLE || schema_find(parts, 2) != NULL)
            continue; /* a setting of [agents] itself */
        add(r, m->key, toml_string(m->value, "description", NULL),
            file != NULL && file->type == TOML_STRING ? file->as.string.bytes : NULL,
            toml_get(m->value, "nickname_candidates"), ROLE_DECLARED,
            rank_of(r->c, file != NULL ? file : m->value));
    }
}

/* Is FILE the config_file of some table? Then it is that role and no other. */
static bool is_declared_file(const struct role_registry *r, const char *file)
{
    for (size_t i = 0; i < r->len; i++)
        if (r->entries[i].source == ROLE_DECLARED && str_eq(r->entries[i].file, file))
            return true;
    return false;
}

static void discover(struct role_registry *r, const char *folder, int rank, int depth)
{
    struct str_list names = {0};
    struct error err = {0};

    if (depth > MAX_FOLDER_DEPTH || !file_is_directory(folder) ||
        file_list_directory(folder, &names, &err) < 0)
        return;
    for (size_t i = 0; i < names.len && r->len < MAX_DISCOVERED; i++) {
        char *path = path_join(folder, names.items[i]);
        struct stat st;

        /* Links are not followed into folders: a loop would never end. */
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            discover(r, path, rank, depth + 1);
        } else if (str_ends_with(names.items[i], ".toml") && names.items[i][0] != '.' &&
                   !is_declared_file(r, path)) {
            char *stem = xstrndup(names.items[i], strlen(names.items[i]) - strlen(".toml"));

            add(r, stem, NULL, path, NULL, ROLE_DISCOVERED, rank);
            free(stem);
        }
        free(path);
    }
    str_list_finish(&names);
}

struct role_registry *role_registry_create(const struct config *c)
{
    struct role_registry *r = xcalloc(1, sizeof *r);
    const struct builtin_role *b;

    r->c = c;
    for (size_t i = 0; (b = builtin_role_at(i)) != NULL; i++)
        add(r, b->name, b->description, NULL, NULL, ROLE_BUILTIN, 0);
    add_declared(r);
    for (size_t i = 0; i < c->folders.len; i++) {
        char *folder = path_join(c->folders.items[i], "agents");

        discover(r, folder, (int)i + 1, 0);
        free(folder);
    }
    return r;
}

void role_registry_destroy(struct role_registry *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->len; i++)
        entry_finish(&r->entries[i]);
    free(r->entries);
    str_list_finish(&r->warnings);
    free(r);
}

size_t role_registry_count(const struct role_registry *r)
{
    return r->len;
}

struct role_summary role_registry_at(const struct role_registry *r, size_t index)
{
    const struct entry *e = &r->entries[index];
    struct role_summary s = {
        .name = e->name,
        .description = e->role != NULL          ? e->role->description
                       : e->description != NULL ? e->description
                                                : "",
        .file = e->file,
        .source = e->source,
        .is_loaded = e->role != NULL,
    };

    return s;
}

bool role_registry_has(const struct role_registry *r, const char *name)
{
    return find(r, name) != NULL;
}

static bool has_changed(const struct entry *e)
{
    struct stat now;

    if (e->file == NULL)
        return false;
    return stat(e->file, &now) < 0 || now.st_ino != e->seen.st_ino || now.st_size != e->seen.st_size ||
           now.st_mtim.tv_sec != e->seen.st_mtim.tv_sec || now.st_mtim.tv_nsec != e->seen.st_mtim.tv_nsec;
}

/* Reads the entry's file if it was not read or has changed. */
static int load(struct role_registry *r, struct entry *e, struct error *err)
{
    struct role_declaration d = {
        .name = e->name,
        .description = e->source == ROLE_DECLARED ? e->description : NULL,
        .file = e->file,
        .nicknames = e->nicknames,
        .is_standalone = e->source == ROLE_DISCOVERED,
    };
    struct role *role;

    if (e->role != NULL && !has_changed(e))
        return 0;
    if (e->file != NULL && stat(e->file, &e->seen) < 0)
        memset(&e->seen, 0, sizeof e->seen);
    role = role_load(r->c, &d, err);
    if (role == NULL)
        return error_wrap(err, "role \"%s\"", e->name);
    role_destroy(e->role);
    e->role = role;
    return 0;
}

/* Reads every discovered file to see whether one carries NAME; its entry gets the name of the file. */
static struct entry *find_by_reading(struct role_registry *r, const char *name)
{
    for (size_t i = 0; i < r->len; i++) {
        struct entry *e = &r->entries[i];
        struct error err = {0};

        if (e->source != ROLE_DISCOVERED)
            continue;
        if (load(r, e, &err) < 0) {
            if (!str_list_has(&r->warnings, err.text))
                str_list_add(&r->warnings, err.text);
        } else if (strcmp(e->role->name, name) == 0) {
            free(e->name);
            e->name = xstrdup(name);
            return e;
        }
    }
    return NULL;
}

static void unknown_role(const struct role_registry *r, const char *name, struct error *err)
{
    const char **names = xcalloc(r->len + 1, sizeof *names);
    const char *near;

    for (size_t i = 0; i < r->len; i++)
        names[i] = r->entries[i].name;
    near = str_nearest(name, names);
    error_set(err, ERROR_NOT_FOUND, "there is no role \"%s\"", name);
    if (near != NULL)
        error_hint(err, "did you mean \"%s\"?", near);
    else
        error_hint(err, "`cadre doctor` lists the roles; declare one with [agents.%s] in config.toml", name);
    free(names);
}

const struct role *role_registry_get(struct role_registry *r, const char *name, struct error *err)
{
    struct entry *e = find(r, name);

    if (e == NULL)
        e = find_by_reading(r, name);
    if (e == NULL) {
        unknown_role(r, name, err);
        return NULL;
    }
    if (load(r, e, err) < 0)
        return NULL;
    if (e->source == ROLE_DISCOVERED && strcmp(e->role->name, name) != 0) {
        error_set(err, ERROR_NOT_FOUND, "there is no role \"%s\": %s holds the role \"%s\"", name, e->file,
                  e->role->name);
        return NULL;
    }
    return e->role;
}

size_t role_registry_check(struct role_registry *r, struct str_list *problems)
{
    size_t bad = 0;

    for (size_t i = 0; i < r->len; i++) {
        struct error err = {0};

        if (load(r, &r->entries[i], &err) < 0) {
            str_list_add(problems, err.text);
            bad++;
        }
    }
    return bad;
}

const struct str_list *role_registry_warnings(const struct role_registry *r)
{
    return &r->warnings;
}
