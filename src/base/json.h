/* base/json.h: JSON in (jansson, bounded) and out (appended to a buffer, never through a tree). */
#ifndef CADRE_BASE_JSON_H
#define CADRE_BASE_JSON_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

#define JSON_MAX_DEPTH 128

/* Parses one value that fills the whole text. Lone surrogates (\ud800 without its partner) and invalid
 * UTF-8 are replaced by U+FFFD before parsing; nesting is bounded by JSON_MAX_DEPTH. NULL with ERR set on
 * failure; caller json_decref()s. WHERE names the input in errors ("response body"). */
json_t *json_parse(const char *text, size_t n, const char *where, struct error *err);

/* Members with a default when missing or of another type. Strings are borrowed from the object. */
const char *json_get_string(const json_t *object, const char *key, const char *fallback);
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback);
double json_get_number(const json_t *object, const char *key, double fallback);
bool json_get_bool(const json_t *object, const char *key, bool fallback);

/* Appends compact JSON of VALUE (no new line). */
void json_append_value(struct buf *b, const json_t *value);

/* Appends "..." with escapes; invalid UTF-8 becomes U+FFFD. A NULL string is null. */
void json_append_string(struct buf *b, const char *s);
void json_append_string_n(struct buf *b, const char *s, size_t n);
/* The same without the quotes, for strings that are built in pieces. */
void json_append_escaped(struct buf *b, const char *s, size_t n);

/* A small writer: keeps track of commas. `struct json_writer w = {.out = &b};` Keys and values alternate
 * inside objects. Nesting up to 62 levels. (The prefix is jw_, since jansson owns json_object_* and
 * json_string.) */
struct json_writer {
    struct buf *out;
    uint64_t has_item; /* one bit a level: something was written there */
    unsigned depth;
    bool after_key;
};

void jw_object_begin(struct json_writer *w);
void jw_object_end(struct json_writer *w);
void jw_array_begin(struct json_writer *w);
void jw_array_end(struct json_writer *w);
void jw_key(struct json_writer *w, const char *key);
void jw_key_n(struct json_writer *w, const char *key, size_t n); /* may hold NUL bytes */
void jw_string(struct json_writer *w, const char *s); /* NULL is null */
void jw_string_n(struct json_writer *w, const char *s, size_t n);
void jw_int(struct json_writer *w, int64_t v);
void jw_double(struct json_writer *w, double v);
void jw_bool(struct json_writer *w, bool v);
void jw_null(struct json_writer *w);
void jw_value(struct json_writer *w, const json_t *value);
/* N bytes that are one complete JSON value already. */
void jw_raw(struct json_writer *w, const char *text, size_t n);

/* key + value in one call */
void jw_pair_string(struct json_writer *w, const char *key, const char *s);
void jw_pair_int(struct json_writer *w, const char *key, int64_t v);
void jw_pair_bool(struct json_writer *w, const char *key, bool v);

#endif
