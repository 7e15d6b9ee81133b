/* config/toml_print.c: TOML values as text: inline TOML for messages and edits, JSON for programs. */
#include "config/toml.h"

#include "base/buf.h"
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void toml_append_quoted(struct buf *b, const char *s, size_t n)
{
    buf_putc(b, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_puts(b, "\\n");
        else if (c == '\t')
            buf_puts(b, "\\t");
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\u%04X", c);
        else
            buf_putc(b, (char)c);
    }
    buf_putc(b, '"');
}

static void append_key(struct buf *b, const char *part, size_t n)
{
    size_t plain = strspn(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    if (plain > 0 && plain == n)
        buf_puts(b, part);
    else
        toml_append_quoted(b, part, n);
}

void toml_append_path(struct buf *b, const char *part)
{
    if (b->len > 0)
        buf_putc(b, '.');
    append_key(b, part, strlen(part));
}

/* The shortest text that reads back as the same number, always recognisable as a float. */
static void append_float(struct buf *b, double v)
{
    char text[40];

    if (isnan(v)) {
        buf_puts(b, "nan");
        return;
    }
    if (isinf(v)) {
        buf_puts(b, v < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_puts(b, text);
    if (strpbrk(text, ".e") == NULL)
        buf_puts(b, ".0");
}

void toml_append_inline(struct buf *b, const struct toml_value *value)
{
    switch (value->type) {
    case TOML_TABLE:
        buf_puts(b, value->as.table.len > 0 ? "{ " : "{");
        for (size_t i = 0; i < value->as.table.len; i++) {
            if (i > 0)
                buf_puts(b, ", ");
            append_key(b, value->as.table.members[i].key, value->as.table.members[i].key_len);
            buf_puts(b, " = ");
            toml_append_inline(b, value->as.table.members[i].value);
        }
        buf_puts(b, value->as.table.len > 0 ? " }" : "}");
        break;
    case TOML_ARRAY:
        buf_putc(b, '[');
        for (size_t i = 0; i < value->as.array.len; i++) {
            if (i > 0)
                buf_puts(b, ", ");
            toml_append_inline(b, value->as.array.items[i]);
        }
        buf_putc(b, ']');
        break;
    case TOML_STRING:
        toml_append_quoted(b, value->as.string.bytes, value->as.string.len);
        break;
    case TOML_INTEGER:
        buf_printf(b, "%" PRId64, value->as.integer);
        break;
    case TOML_FLOAT:
        append_float(b, value->as.number);
        break;
    case TOML_BOOLEAN:
        buf_puts(b, value->as.boolean ? "true" : "false");
        break;
    default:
        buf_append(b, value->as.string.bytes, value->as.string.len);
    }
}

static const char *tag_of(enum toml_type type)
{
    switch (type) {
    case TOML_INTEGER:
        return "integer";
    case TOML_FLOAT:
        return "float";
    case TOML_BOOLEAN:
        return "bool";
    case TOML_OFFSET_DATETIME:
        return "datetime";
    case TOML_LOCAL_DATETIME:
        return "datetime-local";
    case TOML_LOCAL_DATE:
        return "date-local";
    case TOML_LOCAL_TIME:
        return "time-local";
    default:
        return "string";
    }
}

static void write_json(struct json_writer *w, const struct toml_value *value, bool tagged)
{
    struct buf text = BUF_INIT;

    if (value->type == TOML_TABLE) {
        jw_object_begin(w);
        for (size_t i = 0; i < value->as.table.len; i++) {
            jw_key_n(w, value->as.table.members[i].key, value->as.table.members[i].key_len);
            write_json(w, value->as.table.members[i].value, tagged);
        }
        jw_object_end(w);
        return;
    }
    if (value->type == TOML_ARRAY) {
        jw_array_begin(w);
        for (size_t i = 0; i < value->as.array.len; i++)
            write_json(w, value->as.array.items[i], tagged);
        jw_array_end(w);
        return;
    }
    if (value->type == TOML_STRING)
        buf_append(&text, value->as.string.bytes, value->as.string.len);
    else
        toml_append_inline(&text, value);
    if (tagged) {
        jw_object_begin(w);
        jw_pair_string(w, "type", tag_of(value->type));
        jw_key(w, "value");
        jw_string_n(w, buf_cstr(&text), text.len);
        jw_object_end(w);
    } else if (value->type == TOML_INTEGER || value->type == TOML_BOOLEAN ||
               (value->type == TOML_FLOAT && isfinite(value->as.number))) {
        jw_raw(w, buf_cstr(&text), text.len);
    } else {
        jw_string_n(w, buf_cstr(&text), text.len);
    }
    buf_free(&text);
}

void toml_append_json(struct buf *b, const struct toml_value *value, bool tagged)
{
    struct json_writer w = {.out = b};

    write_json(&w, value, tagged);
}
