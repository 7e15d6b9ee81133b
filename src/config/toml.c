/* config/toml.c: the tree of toml.h: making, finding, copying and printing values. */
#include "config/toml.h"
#include "config/toml_reader.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

/* Moves *AT from an opening quote past the closing one. */
static void skip_string(const char *text, size_t n, size_t *at, int *line)
{
    char quote = text[*at];
    size_t i = *at, width = 1;

    if (i + 2 < n && text[i + 1] == quote && text[i + 2] == quote)
        width = 3;
    for (i += width; i < n; i++) {
        if (text[i] == '\n') {
            if (width == 1)
                break;
            ++*line;
        } else if (text[i] == '\\' && quote == '"') {
            i++;
        } else if (text[i] == quote &&
                   (width == 1 || (i + 2 < n && text[i + 1] == quote && text[i + 2] == quote))) {
            i += width - 1;
            break;
        }
    }
    *at = i;
}

/* The library recurses over dotted keys without a limit of its own (also when it frees them), so a document
 * of a megabyte of "a.a.a" would overrun the stack. This looks at the text alone, before it is parsed. */
static int check_nesting(const char *text, size_t n, const char *file, struct error *err)
{
    int dots = 0, open = 0, line = 1;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (c == '"' || c == '\'') {
            skip_string(text, n, &i, &line);
        } else if (c == '#') {
            while (i + 1 < n && text[i + 1] != '\n')
                i++;
        } else if (c == '.') {
            dots++;
        } else if (c == '[' || c == '{') {
            open++;
            dots = 0;
        } else if (c == ']' || c == '}') {
            open -= open > 0;
        } else if (c == '\n' || c == '=' || c == ',') {
            dots = 0;
            line += c == '\n';
        }
        if (dots > TOML_MAX_DEPTH || open > TOML_MAX_DEPTH)
            return error_set_at(err, ERROR_CONFIG, file, line, 0, "nested deeper than %d levels",
                                TOML_MAX_DEPTH);
    }
    return 0;
}

struct toml_value *toml_parse(const char *text, size_t n, const char *file, struct error *err)
{
    if (n > TOML_MAX_BYTES) {
        error_set_at(err, ERROR_LIMIT, file, 0, 0, "longer than %zu bytes", TOML_MAX_BYTES);
        return NULL;
    }
    if (text != NULL && check_nesting(text, n, file, err) < 0)
        return NULL;
    return toml_reader_parse(text != NULL ? text : "", n, file, err);
}

struct toml_value *toml_read_file(const char *path, struct error *err)
{
    struct buf text = BUF_INIT;
    struct toml_value *out = NULL;

    if (file_read(path, &text, TOML_MAX_BYTES, err) == 0)
        out = toml_parse(buf_cstr(&text), text.len, path, err);
    buf_free(&text);
    return out;
}

struct toml_value *toml_new(enum toml_type type)
{
    struct toml_value *v = xcalloc(1, sizeof *v);

    v->type = type;
    return v;
}

struct toml_value *toml_new_string_n(const char *s, size_t n)
{
    struct toml_value *v = toml_new(TOML_STRING);

    v->as.string.bytes = xmalloc(n + 1);
    memcpy(v->as.string.bytes, s, n);
    v->as.string.bytes[n] = '\0';
    v->as.string.len = n;
    return v;
}

struct toml_value *toml_new_string(const char *s)
{
    return toml_new_string_n(s, strlen(s));
}

static bool has_text(enum toml_type type)
{
    return type == TOML_STRING || type >= TOML_OFFSET_DATETIME;
}

void toml_free(struct toml_value *value)
{
    if (value == NULL)
        return;
    if (value->type == TOML_TABLE) {
        for (size_t i = 0; i < value->as.table.len; i++) {
            free(value->as.table.members[i].key);
            toml_free(value->as.table.members[i].value);
        }
        free(value->as.table.members);
    } else if (value->type == TOML_ARRAY) {
        for (size_t i = 0; i < value->as.array.len; i++)
            toml_free(value->as.array.items[i]);
        free(value->as.array.items);
    } else if (has_text(value->type)) {
        free(value->as.string.bytes);
    }
    free(value);
}

struct toml_value *toml_copy(const struct toml_value *value)
{
    struct toml_value *out;

    if (value == NULL)
        return NULL;
    if (has_text(value->type)) {
        out = toml_new_string_n(value->as.string.bytes, value->as.string.len);
        out->type = value->type;
    } else {
        out = toml_new(value->type);
    }
    out->line = value->line;
    out->column = value->column;
    out->source = value->source;
    if (value->type == TOML_TABLE) {
        for (size_t i = 0; i < value->as.table.len; i++) {
            const struct toml_member *m = &value->as.table.members[i];

            toml_reader_add(out, m->key, m->key_len, toml_copy(m->value));
        }
    } else if (value->type == TOML_ARRAY) {
        for (size_t i = 0; i < value->as.array.len; i++)
            toml_append(out, toml_copy(value->as.array.items[i]));
    } else if (!has_text(value->type)) {
        out->as = value->as;
    }
    return out;
}

void toml_reader_add(struct toml_value *table, const char *key, size_t n, struct toml_value *value)
{
    struct toml_member *m;

    if (table->as.table.len == table->as.table.cap) {
        table->as.table.cap = table->as.table.cap != 0 ? table->as.table.cap * 2 : 4;
        table->as.table.members =
            xrealloc(table->as.table.members, table->as.table.cap * sizeof *table->as.table.members);
    }
    m = &table->as.table.members[table->as.table.len++];
    m->key = xmalloc(n + 1);
    memcpy(m->key, key, n);
    m->key[n] = '\0';
    m->key_len = n;
    m->value = value;
}

static struct toml_member *find_member(const struct toml_value *table, const char *key)
{
    size_t n = strlen(key);

    if (table == NULL || table->type != TOML_TABLE)
        return NULL;
    for (size_t i = 0; i < table->as.table.len; i++)
        if (table->as.table.members[i].key_len == n && memcmp(table->as.table.members[i].key, key, n) == 0)
            return &table->as.table.members[i];
    return NULL;
}

struct toml_value *toml_get(const struct toml_value *table, const char *key)
{
    struct toml_member *m = find_member(table, key);

    return m != NULL ? m->value : NULL;
}

void toml_set(struct toml_value *table, const char *key, struct toml_value *value)
{
    struct toml_member *m = find_member(table, key);

    if (m == NULL) {
        toml_reader_add(table, key, strlen(key), value);
        return;
    }
    toml_free(m->value);
    m->value = value;
}

bool toml_remove(struct toml_value *table, const char *key)
{
    struct toml_member *m = find_member(table, key);
    size_t index;

    if (m == NULL)
        return false;
    free(m->key);
    toml_free(m->value);
    index = (size_t)(m - table->as.table.members);
    memmove(m, m + 1, (table->as.table.len - index - 1) * sizeof *m);
    table->as.table.len--;
    return true;
}

void toml_append(struct toml_value *array, struct toml_value *value)
{
    if (array->as.array.len == array->as.array.cap) {
        array->as.array.cap = array->as.array.cap != 0 ? array->as.array.cap * 2 : 4;
        array->as.array.items =
            xrealloc(array->as.array.items, array->as.array.cap * sizeof *array->as.array.items);
    }
    array->as.array.items[array->as.array.len++] = value;
}

int toml_split_path(const char *path, struct str_list *parts)
{
    struct buf part = BUF_INIT;
    const char *p = path;
    int rc = -1;

    for (;;) {
        while (*p == ' ' || *p == '\t')
            p++;
        buf_clear(&part);
        if (*p == '"' || *p == '\'') {
            char quote = *p++;

            while (*p != '\0' && *p != quote) {
                if (quote == '"' && *p == '\\' && p[1] != '\0')
                    p++;
                buf_putc(&part, *p++);
            }
            if (*p++ != quote)
                goto out;
        } else {
            while (*p != '\0' && *p != '.' && *p != ' ' && *p != '\t')
                buf_putc(&part, *p++);
            if (part.len == 0)
                goto out;
        }
        str_list_add(parts, buf_cstr(&part));
        while (*p == ' ' || *p == '\t')
            p++;
        if (*p == '\0')
            break;
        if (*p++ != '.')
            goto out;
    }
    rc = 0;
out:
    buf_free(&part);
    return rc;
}

struct toml_value *toml_find(const struct toml_value *table, const char *path)
{
    struct str_list parts = {0};
    const struct toml_value *at = table;

    if (toml_split_path(path, &parts) < 0)
        at = NULL;
    for (size_t i = 0; at != NULL && i < parts.len; i++)
        at = toml_get(at, parts.items[i]);
    str_list_finish(&parts);
    return (struct toml_value *)at;
}

const char *toml_string(const struct toml_value *table, const char *key, const char *fallback)
{
    const struct toml_value *v = toml_get(table, key);

    return v != NULL && v->type == TOML_STRING ? v->as.string.bytes : fallback;
}

int64_t toml_integer(const struct toml_value *table, const char *key, int64_t fallback)
{
    const struct toml_value *v = toml_get(table, key);

    return v != NULL && v->type == TOML_INTEGER ? v->as.integer : fallback;
}

double toml_number(const struct toml_value *table, const char *key, double fallback)
{
    const struct toml_value *v = toml_get(table, key);

    if (v != NULL && v->type == TOML_FLOAT)
        return v->as.number;
    return v != NULL && v->type == TOML_INTEGER ? (double)v->as.integer : fallback;
}

bool toml_boolean(const struct toml_value *table, const char *key, bool fallback)
{
    const struct toml_value *v = toml_get(table, key);

    return v != NULL && v->type == TOML_BOOLEAN ? v->as.boolean : fallback;
}

void toml_strings(const struct toml_value *table, const char *key, struct str_list *list)
{
    const struct toml_value *v = toml_get(table, key);

    if (v == NULL || v->type != TOML_ARRAY)
        return;
    for (size_t i = 0; i < v->as.array.len; i++)
        if (v->as.array.items[i]->type == TOML_STRING)
            str_list_add(list, v->as.array.items[i]->as.string.bytes);
}

const char *toml_type_name(enum toml_type type)
{
    static const char *const names[] = {
        [TOML_TABLE] = "table",
        [TOML_ARRAY] = "array",
        [TOML_STRING] = "string",
        [TOML_INTEGER] = "integer",
        [TOML_FLOAT] = "float",
        [TOML_BOOLEAN] = "boolean",
        [TOML_OFFSET_DATETIME] = "date-time",
        [TOML_LOCAL_DATETIME] = "local date-time",
        [TOML_LOCAL_DATE] = "date",
        [TOML_LOCAL_TIME] = "time",
    };

    return names[type];
}
