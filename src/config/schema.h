/* config/schema.h: the one table of all configuration keys.
 *
 * The reader, `cadre config`, `cadre doctor` and docs/config.md all read this table, so they cannot differ.
 * A pattern is a dotted path where `*` stands for one name the user chooses and a last `**` for anything. */
#ifndef CADRE_CONFIG_SCHEMA_H
#define CADRE_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct str_list;

/* Bits of schema_key.types */
#define SCHEMA_STRING  0x01U
#define SCHEMA_INTEGER 0x02U
#define SCHEMA_FLOAT   0x04U /* takes an integer too */
#define SCHEMA_BOOLEAN 0x08U
#define SCHEMA_LIST    0x10U
#define SCHEMA_TABLE   0x20U
#define SCHEMA_ANY     0x3fU

/* Bits of schema_key.flags */
#define SCHEMA_CADRE     0x01U /* stands in cadre.toml: Codex does not know it */
#define SCHEMA_UNUSED    0x02U /* a key of Codex that changes nothing here */
#define SCHEMA_USER_ONLY 0x04U /* a project's file may not set it */
#define SCHEMA_PATH      0x08U /* relative to the folder of the file that says it */
#define SCHEMA_RENAMED   0x10U /* `instead` is the name of today */
#define SCHEMA_ROLE_ONLY 0x20U /* only in a role file */
#define SCHEMA_BOTH      0x40U /* may stand in either file */

struct schema_key {
    const char *path;
    unsigned types;
    unsigned flags;
    const char *fallback; /* the default as TOML text, or NULL when there is none */
    const char *choices;  /* "a|b|c" for a string, or NULL */
    const char *doc;      /* one line */
    const char *instead;  /* for SCHEMA_RENAMED */
};

/* All keys, in the order of the documentation. */
size_t schema_count(void);
const struct schema_key *schema_at(size_t index);

/* The row for a path given in N parts; an exact name beats `*`, which beats `**`. A path below
 * `profiles.<name>` is looked up as if it stood at the top. NULL when unknown. */
const struct schema_key *schema_find(char *const *parts, size_t n);

/* The same for dotted text with quoted parts. */
const struct schema_key *schema_find_path(const char *path);

/* Can there be known keys below this path? */
bool schema_is_prefix(char *const *parts, size_t n);

/* The known name nearest to the last part among its siblings, as a whole dotted path; NULL when none is
 * near. Caller frees. */
char *schema_nearest(char *const *parts, size_t n);

/* "string or table" for messages. */
void schema_append_types(struct buf *b, unsigned types);

/* docs/config.md as text. */
void schema_append_markdown(struct buf *b);

/* One JSON object {path: {type, default, choices, file, used, doc}} for `cadre config schema`. */
void schema_append_json(struct buf *b);

/* The pieces of the table: schema_keys.c, schema_cadre.c, schema_codex.c. */
struct schema_part {
    const struct schema_key *keys;
    size_t len;
};
extern const struct schema_part schema_keys_used;
extern const struct schema_part schema_keys_cadre;
extern const struct schema_part schema_keys_codex;

#endif
