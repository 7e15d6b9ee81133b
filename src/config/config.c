/* config/config.c: the merged configuration and the questions it answers; see config.h. */
#include "config/config.h"
#include "config/config_state.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "config/schema.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void mark_source(struct toml_value *v, int source)
{
    v->source = source;
    if (v->type == TOML_TABLE) {
        for (size_t i = 0; i < v->as.table.len; i++)
            mark_source(v->as.table.members[i].value, source);
    } else if (v->type == TOML_ARRAY) {
        for (size_t i = 0; i < v->as.array.len; i++)
            mark_source(v->as.array.items[i], source);
    }
}

void config_layer_add(struct config *c, const char *name, const char *file, struct toml_value *tree)
{
    c->layers = xrealloc(c->layers, (c->layer_count + 1) * sizeof *c->layers);
    mark_source(tree, (int)c->layer_count);
    c->layers[c->layer_count].name = name;
    c->layers[c->layer_count].file = xstrdup(file);
    c->layers[c->layer_count].tree = tree;
    c->layer_count++;
}

void config_merge(struct toml_value *base, const struct toml_value *over)
{
    for (size_t i = 0; i < over->as.table.len; i++) {
        const struct toml_member *m = &over->as.table.members[i];
        struct toml_value *old = toml_get(base, m->key);

        if (old != NULL && old->type == TOML_TABLE && m->value->type == TOML_TABLE) {
            config_merge(old, m->value);
            old->source = m->value->source;
            old->line = m->value->line;
            old->column = m->value->column;
        } else {
            toml_set(base, m->key, toml_copy(m->value));
        }
    }
}

void config_note_add(struct config *c, enum config_note_kind kind, const char *key, const char *file,
                     int line, int column, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;

    buf_puts(&text, file);
    if (line > 0)
        buf_printf(&text, ":%d:%d", line, column);
    buf_puts(&text, ": ");
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    c->notes = xrealloc(c->notes, (c->note_count + 1) * sizeof *c->notes);
    c->notes[c->note_count].kind = kind;
    c->notes[c->note_count].text = buf_take(&text);
    c->notes[c->note_count].key = xstrdup(key);
    c->note_count++;
}

/* Absolute and without links where it exists, so that paths compare as text. */
static char *settled_folder(const char *given, char *fallback)
{
    char *cwd = path_current_directory();
    char *joined = path_join(cwd, given != NULL ? given : fallback);
    char *real = realpath(joined, NULL);
    char *out = real != NULL ? real : path_normalize(joined);

    free(cwd);
    free(joined);
    free(fallback);
    return out;
}

struct config *config_load(const struct config_options *options, struct error *err)
{
    struct config *c = xcalloc(1, sizeof *c);

    c->is_strict = options->strict;
    c->cwd = settled_folder(options->cwd, path_current_directory());
    c->codex_home = settled_folder(options->codex_home, path_codex_home());
    if (config_layers_load(c, options, err) < 0) {
        config_destroy(c);
        return NULL;
    }
    c->merged = toml_new(TOML_TABLE);
    for (size_t i = 0; i < c->layer_count; i++)
        config_merge(c->merged, c->layers[i].tree);
    return c;
}

void config_destroy(struct config *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->layer_count; i++) {
        free(c->layers[i].file);
        toml_free(c->layers[i].tree);
    }
    free(c->layers);
    for (size_t i = 0; i < c->note_count; i++) {
        free(c->notes[i].text);
        free(c->notes[i].key);
    }
    free(c->notes);
    toml_free(c->merged);
    str_list_finish(&c->folders);
    free(c->cwd);
    free(c->codex_home);
    free(c->project_root);
    free(c);
}

/* The name under which the program holds what PATH asks for. */
static const char *settled_name(const char *path)
{
    const struct schema_key *row;

    if (str_eq(path, "agents.max_concurrent_threads_per_session"))
        return "agents.max_threads";
    if (str_starts_with(path, "features.")) {
        row = schema_find_path(path);
        if (row != NULL && row->instead != NULL)
            return row->instead;
    }
    return path;
}

const struct toml_value *config_value(const struct config *c, const char *path)
{
    return toml_find(c->merged, settled_name(path));
}

const char *config_string(const struct config *c, const char *path)
{
    const struct toml_value *v = config_value(c, path);

    return v != NULL && v->type == TOML_STRING ? v->as.string.bytes : NULL;
}

int64_t config_int(const struct config *c, const char *path)
{
    const struct toml_value *v = config_value(c, path);

    return v != NULL && v->type == TOML_INTEGER ? v->as.integer : 0;
}

double config_number(const struct config *c, const char *path)
{
    const struct toml_value *v = config_value(c, path);

    if (v != NULL && v->type == TOML_INTEGER)
        return (double)v->as.integer;
    return v != NULL && v->type == TOML_FLOAT ? v->as.number : 0.0;
}

bool config_bool(const struct config *c, const char *path)
{
    const struct toml_value *v = config_value(c, path);

    return v != NULL && v->type == TOML_BOOLEAN && v->as.boolean;
}

void config_list(const struct config *c, const char *path, struct str_list *list)
{
    const struct toml_value *v = config_value(c, path);

    if (v == NULL || v->type != TOML_ARRAY)
        return;
    for (size_t i = 0; i < v->as.array.len; i++)
        if (v->as.array.items[i]->type == TOML_STRING)
            str_list_add(list, v->as.array.items[i]->as.string.bytes);
}

const struct toml_value *config_table(const struct config *c, const char *path)
{
    const struct toml_value *v = config_value(c, path);

    return v != NULL && v->type == TOML_TABLE ? v : NULL;
}

bool config_is_set(const struct config *c, const char *path)
{
    const struct toml_value *v = config_value(c, path);

    return v != NULL && v->source > 0;
}

struct config_origin config_value_origin(const struct config *c, const struct toml_value *value)
{
    const struct config_layer *layer = &c->layers[value->source];
    struct config_origin origin = {layer->name, layer->file, value->line, value->column};

    if (layer->file == NULL)
        origin.line = origin.column = 0;
    return origin;
}

bool config_origin(const struct config *c, const char *path, struct config_origin *origin)
{
    const struct toml_value *v = config_value(c, path);

    if (v == NULL)
        return false;
    *origin = config_value_origin(c, v);
    return true;
}

/* Secrets are never printed: tokens, headers, and the variables set for MCP servers and runners. */
static bool is_secret(const struct str_list *path)
{
    size_t n = path->len;

    if (n == 0)
        return false;
    if (strcmp(path->items[n - 1], "experimental_bearer_token") == 0)
        return true;
    return n >= 4 &&
           (strcmp(path->items[n - 2], "http_headers") == 0 || strcmp(path->items[n - 2], "env") == 0 ||
            strcmp(path->items[n - 2], "query_params") == 0);
}

static struct toml_value *printable(const struct toml_value *v, struct str_list *path)
{
    struct toml_value *out;

    if (v->type != TOML_TABLE)
        return is_secret(path) ? toml_new_string("(hidden)") : toml_copy(v);
    out = toml_new(TOML_TABLE);
    for (size_t i = 0; i < v->as.table.len; i++) {
        str_list_add(path, v->as.table.members[i].key);
        toml_set(out, v->as.table.members[i].key, printable(v->as.table.members[i].value, path));
        str_list_remove(path, path->len - 1);
    }
    return out;
}

static struct toml_value *printable_at(const struct toml_value *tree, const char *path)
{
    const struct toml_value *v = toml_find(tree, path);
    struct str_list parts = {0};
    struct toml_value *out = NULL;

    if (v != NULL && toml_split_path(path, &parts) == 0)
        out = printable(v, &parts);
    str_list_finish(&parts);
    return out;
}

struct toml_value *config_printable_value(const struct config *c, const char *path)
{
    return printable_at(c->merged, settled_name(path));
}

void config_explain(const struct config *c, const char *path, struct buf *out)
{
    for (size_t i = 0; i < c->layer_count; i++) {
        const struct config_layer *layer = &c->layers[i];
        const struct toml_value *place = toml_find(layer->tree, settled_name(path));
        struct toml_value *v = printable_at(layer->tree, settled_name(path));

        if (v == NULL)
            continue;
        buf_puts(out, layer->name);
        if (layer->file != NULL)
            buf_printf(out, "  %s:%d", layer->file, place->line);
        buf_puts(out, "  ");
        toml_append_inline(out, v);
        buf_putc(out, '\n');
        toml_free(v);
    }
}

size_t config_note_count(const struct config *c)
{
    return c->note_count;
}

const struct config_note *config_note_at(const struct config *c, size_t index)
{
    return index < c->note_count ? &c->notes[index] : NULL;
}

/* Old names are said once on a machine: the state folder remembers which. A folder that cannot be written
 * means that they are said again. */
static void add_renamed(const struct config *c, struct str_list *lines)
{
    char *state = path_state_home(), *file = path_join(state, "said");
    struct buf said = BUF_INIT;
    struct str_list before = {0};
    struct error err = {0};

    if (file_exists(file) && file_read(file, &said, 1 << 16, &err) == 0)
        str_split(&before, buf_cstr(&said), '\n');
    for (size_t i = 0; i < c->note_count; i++) {
        const struct config_note *note = &c->notes[i];
        char *line;

        if (note->kind != CONFIG_NOTE_RENAMED || str_list_has(&before, note->key))
            continue;
        str_list_add(lines, note->text);
        str_list_add(&before, note->key);
        line = xasprintf("%s\n", note->key);
        if (file_make_directories(state, 0700, &err) == 0)
            (void)file_append(file, line, strlen(line), 0600, &err);
        free(line);
    }
    str_list_finish(&before);
    buf_free(&said);
    free(state);
    free(file);
}

void config_warnings(const struct config *c, struct str_list *lines)
{
    bool has_renamed = false;

    for (size_t i = 0; i < c->note_count; i++) {
        switch (c->notes[i].kind) {
        case CONFIG_NOTE_UNKNOWN:
        case CONFIG_NOTE_IGNORED:
        case CONFIG_NOTE_MISPLACED:
            str_list_add(lines, c->notes[i].text);
            break;
        case CONFIG_NOTE_RENAMED:
            has_renamed = true;
            break;
        default:
            break;
        }
    }
    if (has_renamed)
        add_renamed(c, lines);
}

const char *config_cwd(const struct config *c)
{
    return c->cwd;
}

const char *config_codex_home(const struct config *c)
{
    return c->codex_home;
}

const char *config_project_root(const struct config *c)
{
    return c->project_root;
}

bool config_is_project_trusted(const struct config *c)
{
    return c->is_trusted;
}

bool config_is_strict(const struct config *c)
{
    return c->is_strict;
}

bool config_is_oss(const struct config *c)
{
    return c->is_oss;
}

const struct str_list *config_folders(const struct config *c)
{
    return &c->folders;
}
