/* config/pack.c: see pack.h. */
#include "config/pack.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "base/str.h"
#include "config/toml.h"
#include "config/toml_edit.h"

#include <stdlib.h>
#include <string.h>

const struct pack_file *pack_find(const char *pack, const char *name)
{
    char *path = path_join(pack, name);
    const struct pack_file *found = NULL;

    for (size_t i = 0; i < pack_file_count && found == NULL; i++)
        if (strcmp(pack_files[i].path, path) == 0)
            found = &pack_files[i];
    free(path);
    return found;
}

void pack_list(struct str_list *names)
{
    for (size_t i = 0; i < pack_file_count; i++)
        if (str_ends_with(pack_files[i].path, "/config.toml"))
            str_list_take(names, path_dirname(pack_files[i].path));
}

static struct toml_value *read_models(void)
{
    const struct pack_file *file = pack_find("", "models.toml");

    return file != NULL ? toml_parse(file->bytes, file->len, "packs/models.toml", NULL) : NULL;
}

void pack_list_models(const char *pack, struct str_list *generations)
{
    struct toml_value *models = read_models();
    const struct toml_value *row = toml_get(toml_get(models, pack), "main");

    for (size_t i = 0; row != NULL && i < row->as.table.len; i++)
        str_list_add(generations, row->as.table.members[i].key);
    toml_free(models);
}

/* "agents/reviewer.toml" is the row reviewer, config.toml the row main, others have none. */
static char *row_of(const char *name)
{
    const char *base = path_basename(name);

    if (strcmp(name, "config.toml") == 0)
        return xstrdup("main");
    if (!str_starts_with(name, "agents/") || !str_ends_with(base, ".toml"))
        return NULL;
    return xstrndup(base, strlen(base) - strlen(".toml"));
}

int pack_read(const char *pack, const char *name, const char *generation, struct buf *out, struct error *err)
{
    const struct pack_file *file = pack_find(pack, name);
    struct toml_value *models = NULL;
    struct buf value = BUF_INIT;
    char *row = row_of(name), *parts[] = {(char *)"model"};
    const char *model;
    int rc = -1;

    if (file == NULL) {
        error_set(err, ERROR_NOT_FOUND, "pack \"%s\" has no %s", pack, name);
        goto out;
    }
    buf_append(out, file->bytes, file->len);
    if (generation == NULL || row == NULL) {
        rc = 0;
        goto out;
    }
    models = read_models();
    model = toml_string(toml_get(toml_get(models, pack), row), generation, NULL);
    if (model == NULL) {
        struct str_list all = {0};
        char *text;

        pack_list_models(pack, &all);
        text = str_list_join(&all, ", ");
        error_set(err, ERROR_USAGE, "pack \"%s\" has no models \"%s\"; it has %s", pack, generation,
                  text != NULL ? text : "none");
        free(text);
        str_list_finish(&all);
        goto out;
    }
    toml_append_quoted(&value, model, strlen(model));
    rc = toml_edit_set(out, name, parts, 1, buf_cstr(&value), err);
out:
    toml_free(models);
    buf_free(&value);
    free(row);
    return rc;
}

static char *suggest_in_row(const struct toml_value *row, const char *model, const struct str_list *offered)
{
    bool is_here = false;

    if (row->type != TOML_TABLE)
        return NULL;
    for (size_t i = 0; i < row->as.table.len; i++)
        is_here = is_here || strcmp(row->as.table.members[i].value->as.string.bytes, model) == 0;
    for (size_t i = 0; is_here && i < row->as.table.len; i++) {
        const char *other = row->as.table.members[i].value->as.string.bytes;

        if (strcmp(other, model) != 0 && str_list_has(offered, other))
            return xstrdup(other);
    }
    return NULL;
}

char *pack_suggest_model(const char *model, const struct str_list *offered)
{
    struct toml_value *models = read_models();
    char *found = NULL;

    for (size_t p = 0; models != NULL && p < models->as.table.len; p++) {
        const struct toml_value *pack = models->as.table.members[p].value;

        for (size_t r = 0; found == NULL && r < pack->as.table.len; r++)
            found = suggest_in_row(pack->as.table.members[r].value, model, offered);
    }
    toml_free(models);
    return found;
}
