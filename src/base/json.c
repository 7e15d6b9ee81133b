/* base/json.c: see json.h. */
#include "base/json.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The four hex digits after "\u" at P, or -1. */
static int hex4(const char *p, size_t n)
{
    int v = 0;

    if (n < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];

        v <<= 4;
        if (c >= '0' && c <= '9')
            v |= c - '0';
        else if (c >= 'a' && c <= 'f')
            v |= c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            v |= c - 'A' + 10;
        else
            return -1;
    }
    return v;
}

/* Depth and lone surrogates in one pass. Returns false when too deep; *NEEDS_REPAIR when a lone surrogate
 * or invalid UTF-8 is inside. */
static bool scan(const char *text, size_t n, bool *needs_repair)
{
    int depth = 0;
    bool in_string = false;

    *needs_repair = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if ((unsigned char)c >= 0x80) {
            size_t len = utf8_decode(text + i, n - i, NULL);

            if (len == 0)
                *needs_repair = true;
            else
                i += len - 1;
        } else if (!in_string) {
            if (c == '"')
                in_string = true;
            else if ((c == '{' || c == '[') && ++depth > JSON_MAX_DEPTH)
                return false;
            else if (c == '}' || c == ']')
                depth--;
        } else if (c == '"') {
            in_string = false;
        } else if (c == '\\' && i + 1 < n) {
            i++;
            if (text[i] == 'u') {
                int v = hex4(text + i + 1, n - i - 1);

                if (v >= 0xd800 && v <= 0xdfff)
                    *needs_repair = true; /* perhaps a good pair: repair() looks closer */
            }
        }
    }
    return true;
}

static void repair(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len;

        if (text[i] == '\\' && i + 1 < n && text[i + 1] == 'u') {
            int v = hex4(text + i + 2, n - i - 2);

            if (v >= 0xd800 && v <= 0xdbff && i + 7 < n && text[i + 6] == '\\' && text[i + 7] == 'u') {
                int low = hex4(text + i + 8, n - i - 8);

                if (low >= 0xdc00 && low <= 0xdfff) {
                    buf_append(out, text + i, 12);
                    i += 12;
                    continue;
                }
            }
            if (v >= 0xd800 && v <= 0xdfff) {
                buf_puts(out, "\\ufffd");
                i += 6;
                continue;
            }
        }
        if (text[i] == '\\' && i + 1 < n) {
            buf_append(out, text + i, 2);
            i += 2;
            continue;
        }
        len = utf8_decode(text + i, n - i, NULL);
        if (len == 0) {
            buf_puts(out, "\xef\xbf\xbd");
            i++;
        } else {
            buf_append(out, text + i, len);
            i += len;
        }
    }
}

json_t *json_parse(const char *text, size_t n, const char *where, struct error *err)
{
    struct buf repaired = BUF_INIT;
    json_error_t jerr;
    bool needs_repair;
    json_t *value;

    if (!scan(text, n, &needs_repair)) {
        error_set(err, ERROR_LIMIT, "%s: JSON is nested deeper than %d levels", where, JSON_MAX_DEPTH);
        return NULL;
    }
    if (needs_repair) {
        repair(&repaired, text, n);
        text = repaired.data;
        n = repaired.len;
    }
    value = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &jerr);
    if (value == NULL)
        error_set_at(err, ERROR_PARSE, where, jerr.line, jerr.column, "not valid JSON: %s", jerr.text);
    buf_free(&repaired);
    return value;
}

const char *json_get_string(const json_t *object, const char *key, const char *fallback)
{
    const json_t *v = json_object_get(object, key);

    return json_is_string(v) ? json_string_value(v) : fallback;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(object, key);

    if (json_is_integer(v))
        return json_integer_value(v);
    if (json_is_real(v) && json_real_value(v) > -9e15 && json_real_value(v) < 9e15)
        return (int64_t)json_real_value(v);
    return fallback;
}

double json_get_number(const json_t *object, const char *key, double fallback)
{
    const json_t *v = json_object_get(object, key);

    return json_is_number(v) ? json_number_value(v) : fallback;
}

bool json_get_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *v = json_object_get(object, key);

    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

static int append_chunk(const char *bytes, size_t n, void *data)
{
    buf_append(data, bytes, n);
    return 0;
}

void json_append_value(struct buf *b, const json_t *value)
{
    if (value == NULL) {
        buf_puts(b, "null");
        return;
    }
    (void)json_dump_callback(value, append_chunk, b, JSON_COMPACT | JSON_ENCODE_ANY);
}

void json_append_escaped(struct buf *b, const char *s, size_t n)
{
    size_t start = 0;

    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        size_t len = 1;

        if (c >= 0x80)
            len = utf8_decode(s + i, n - i, NULL);
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && len > 0) {
            i += len;
            continue;
        }
        buf_append(b, s + start, i - start);
        if (len == 0)
            buf_puts(b, "\xef\xbf\xbd");
        else if (c == '"')
            buf_puts(b, "\\\"");
        else if (c == '\\')
            buf_puts(b, "\\\\");
        else if (c == '\n')
            buf_puts(b, "\\n");
        else if (c == '\t')
            buf_puts(b, "\\t");
        else if (c == '\r')
            buf_puts(b, "\\r");
        else
            buf_printf(b, "\\u%04x", c);
        i++;
        start = i;
    }
    buf_append(b, s + start, n - start);
}

void json_append_string_n(struct buf *b, const char *s, size_t n)
{
    buf_putc(b, '"');
    json_append_escaped(b, s, n);
    buf_putc(b, '"');
}

void json_append_string(struct buf *b, const char *s)
{
    if (s == NULL)
        buf_puts(b, "null");
    else
        json_append_string_n(b, s, strlen(s));
}

/* Writes the comma that the place needs. */
static void before_value(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if ((w->has_item >> w->depth) & 1U)
        buf_putc(w->out, ',');
    w->has_item |= (uint64_t)1 << w->depth;
}

static void begin(struct json_writer *w, char c)
{
    before_value(w);
    buf_putc(w->out, c);
    w->depth++;
    assert(w->depth < 63);
    w->has_item &= ~((uint64_t)1 << w->depth);
}

static void end(struct json_writer *w, char c)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    buf_putc(w->out, c);
}

void jw_object_begin(struct json_writer *w)
{
    begin(w, '{');
}

void jw_object_end(struct json_writer *w)
{
    end(w, '}');
}

void jw_array_begin(struct json_writer *w)
{
    begin(w, '[');
}

void jw_array_end(struct json_writer *w)
{
    end(w, ']');
}

void jw_key(struct json_writer *w, const char *key)
{
    jw_key_n(w, key, strlen(key));
}

void jw_key_n(struct json_writer *w, const char *key, size_t n)
{
    assert(!w->after_key);
    before_value(w);
    json_append_string_n(w->out, key, n);
    buf_putc(w->out, ':');
    w->after_key = true;
}

void jw_string(struct json_writer *w, const char *s)
{
    before_value(w);
    json_append_string(w->out, s);
}

void jw_string_n(struct json_writer *w, const char *s, size_t n)
{
    before_value(w);
    json_append_string_n(w->out, s, n);
}

void jw_int(struct json_writer *w, int64_t v)
{
    before_value(w);
    buf_printf(w->out, "%lld", (long long)v);
}

void jw_double(struct json_writer *w, double v)
{
    before_value(w);
    if (!isfinite(v))
        buf_puts(w->out, "null");
    else
        buf_printf(w->out, "%.15g", v);
}

void jw_bool(struct json_writer *w, bool v)
{
    before_value(w);
    buf_puts(w->out, v ? "true" : "false");
}

void jw_null(struct json_writer *w)
{
    before_value(w);
    buf_puts(w->out, "null");
}

void jw_value(struct json_writer *w, const json_t *value)
{
    before_value(w);
    json_append_value(w->out, value);
}

void jw_raw(struct json_writer *w, const char *text, size_t n)
{
    before_value(w);
    buf_append(w->out, text, n);
}

void jw_pair_string(struct json_writer *w, const char *key, const char *s)
{
    jw_key(w, key);
    jw_string(w, s);
}

void jw_pair_int(struct json_writer *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_int(w, v);
}

void jw_pair_bool(struct json_writer *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}
