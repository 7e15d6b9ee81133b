/* config/toml.h: TOML 1.0 documents as a plain C tree.
 *
 * Parsing is done by the compiled tomlplusplus library behind toml_reader.cc, the only C++ file of the
 * program; no exception leaves it. Every value knows where it stands in its file. Tables keep the order of
 * the document. The caller owns the tree it gets and frees it with toml_free(). */
#ifndef CADRE_CONFIG_TOML_H
#define CADRE_CONFIG_TOML_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct str_list;

/* A configuration or role file is never longer than this. */
#define TOML_MAX_BYTES ((size_t)1 << 20)
/* Tables and arrays within each other. */
#define TOML_MAX_DEPTH 48

enum toml_type {
    TOML_TABLE,
    TOML_ARRAY,
    TOML_STRING,
    TOML_INTEGER,
    TOML_FLOAT,
    TOML_BOOLEAN,
    TOML_OFFSET_DATETIME, /* `string` holds its text for these four */
    TOML_LOCAL_DATETIME,
    TOML_LOCAL_DATE,
    TOML_LOCAL_TIME,
};

struct toml_member;

struct toml_value {
    enum toml_type type;
    int line, column; /* of the key for a member of a table, else of the value; 1-based, 0 unknown */
    int source;       /* free for the owner of the tree: config/config.c keeps the layer here */
    union {
        struct {
            struct toml_member *members; /* in document order */
            size_t len, cap;
        } table;
        struct {
            struct toml_value **items;
            size_t len, cap;
        } array;
        struct {
            char *bytes; /* NUL-terminated; may hold NUL bytes before its end */
            size_t len;
        } string;
        int64_t integer;
        double number;
        bool boolean;
    } as;
};

struct toml_member {
    char *key; /* NUL-terminated; a quoted key may hold NUL bytes before its end */
    size_t key_len;
    struct toml_value *value;
};

/* Parses N bytes. FILE names the input in errors ("file:line:column: what"). NULL with ERR (ERROR_CONFIG)
 * set on failure, ERROR_LIMIT above TOML_MAX_BYTES. The result is always a table. */
struct toml_value *toml_parse(const char *text, size_t n, const char *file, struct error *err);

/* Reads and parses PATH. A missing file is ERROR_NOT_FOUND. */
struct toml_value *toml_read_file(const char *path, struct error *err);

void toml_free(struct toml_value *value); /* NULL is fine */
struct toml_value *toml_copy(const struct toml_value *value);

/* Fresh values, for code that builds or merges trees. */
struct toml_value *toml_new(enum toml_type type);
struct toml_value *toml_new_string(const char *s);
struct toml_value *toml_new_string_n(const char *s, size_t n);

/* The member KEY (one segment, not a dotted path), or NULL; TABLE may be NULL or of another type. */
struct toml_value *toml_get(const struct toml_value *table, const char *key);

/* Sets or replaces; takes VALUE. */
void toml_set(struct toml_value *table, const char *key, struct toml_value *value);
bool toml_remove(struct toml_value *table, const char *key);
void toml_append(struct toml_value *array, struct toml_value *value); /* takes VALUE */

/* Follows a dotted path with quoted parts (`a."b.c".d`); NULL when a part is missing or PATH is malformed. */
struct toml_value *toml_find(const struct toml_value *table, const char *path);

/* Splits such a path into PARTS. 0, or -1 when it is malformed (empty part, open quote). */
int toml_split_path(const char *path, struct str_list *parts);

/* Appends PART to a dotted path in B, quoted when it must be. */
void toml_append_path(struct buf *b, const char *part);

/* Members of TABLE by type, or the fallback. Strings are borrowed from the tree. */
const char *toml_string(const struct toml_value *table, const char *key, const char *fallback);
int64_t toml_integer(const struct toml_value *table, const char *key, int64_t fallback);
double toml_number(const struct toml_value *table, const char *key, double fallback); /* integers too */
bool toml_boolean(const struct toml_value *table, const char *key, bool fallback);
/* Appends the strings of an array (others are skipped) to LIST. */
void toml_strings(const struct toml_value *table, const char *key, struct str_list *list);

/* "table", "array", "string", ... */
const char *toml_type_name(enum toml_type type);

/* Appends VALUE as TOML on one line (tables as inline tables). */
void toml_append_inline(struct buf *b, const struct toml_value *value);

/* Appends S as a basic TOML string with its quotes. */
void toml_append_quoted(struct buf *b, const char *s, size_t n);

/* Appends VALUE as JSON. TAGGED writes toml-test's {"type": ..., "value": ...} for each leaf. */
void toml_append_json(struct buf *b, const struct toml_value *value, bool tagged);

#endif
