/* config/schema.c: looks up keys in the table and prints it; see schema.h. */
#include "config/schema.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "config/toml.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const struct schema_part *const parts_of_table[] = {&schema_keys_used, &schema_keys_cadre,
                                                           &schema_keys_codex};

size_t schema_count(void)
{
    return schema_keys_used.len + schema_keys_cadre.len + schema_keys_codex.len;
}

const struct schema_key *schema_at(size_t index)
{
    for (size_t p = 0; p < sizeof parts_of_table / sizeof parts_of_table[0]; p++) {
        if (index < parts_of_table[p]->len)
            return &parts_of_table[p]->keys[index];
        index -= parts_of_table[p]->len;
    }
    return NULL;
}

/* Takes the next part of PATTERN; false at its end. */
static bool next_part(const char **pattern, const char **part, size_t *len)
{
    if (*pattern == NULL)
        return false;
    *part = *pattern;
    *len = strcspn(*pattern, ".");
    *pattern = (*pattern)[*len] == '.' ? *pattern + *len + 1 : NULL;
    return true;
}

static bool part_is(const char *part, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(part, text, len) == 0;
}

enum match { MATCH_NONE, MATCH_PREFIX, MATCH_WHOLE };

/* Compares; *WILD counts the parts that a wildcard took, `**` as many. */
static enum match match_pattern(const char *pattern, char *const *parts, size_t n, unsigned *wild)
{
    const char *part;
    size_t len, i = 0;

    *wild = 0;
    while (next_part(&pattern, &part, &len)) {
        if (part_is(part, len, "**")) {
            *wild += 1000;
            return i < n ? MATCH_WHOLE : MATCH_PREFIX;
        }
        if (i == n)
            return MATCH_PREFIX;
        if (part_is(part, len, "*"))
            *wild += 1;
        else if (!part_is(part, len, parts[i]))
            return MATCH_NONE;
        i++;
    }
    return i == n ? MATCH_WHOLE : MATCH_NONE;
}

/* A profile of the old form holds the keys of the top. */
static void skip_profile(char *const **parts, size_t *n)
{
    if (*n > 2 && strcmp((*parts)[0], "profiles") == 0) {
        *parts += 2;
        *n -= 2;
    }
}

const struct schema_key *schema_find(char *const *parts, size_t n)
{
    const struct schema_key *best = NULL;
    unsigned best_wild = UINT_MAX;

    skip_profile(&parts, &n);
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);
        unsigned wild;

        if (match_pattern(key->path, parts, n, &wild) == MATCH_WHOLE && wild < best_wild) {
            best = key;
            best_wild = wild;
        }
    }
    return best;
}

const struct schema_key *schema_find_path(const char *path)
{
    struct str_list parts = {0};
    const struct schema_key *key = NULL;

    if (toml_split_path(path, &parts) == 0)
        key = schema_find(parts.items, parts.len);
    str_list_finish(&parts);
    return key;
}

bool schema_is_prefix(char *const *parts, size_t n)
{
    skip_profile(&parts, &n);
    if (n == 2 && strcmp(parts[0], "profiles") == 0)
        return true;
    for (size_t i = 0; i < schema_count(); i++) {
        unsigned wild;

        if (match_pattern(schema_at(i)->path, parts, n, &wild) == MATCH_PREFIX)
            return true;
    }
    return false;
}

char *schema_nearest(char *const *parts, size_t n)
{
    char *best = NULL;
    unsigned best_distance = UINT_MAX;
    struct buf path = BUF_INIT;
    char *const *at = parts;
    size_t left = n;

    skip_profile(&at, &left);
    if (left == 0)
        return NULL;
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);
        const char *pattern = key->path, *part = "";
        char *name;
        size_t len = 0;
        unsigned wild, distance;

        if ((key->flags & SCHEMA_ROLE_ONLY) != 0)
            continue;
        if (left > 1 && match_pattern(pattern, at, left - 1, &wild) != MATCH_PREFIX)
            continue;
        for (size_t k = 0; k < left; k++)
            (void)next_part(&pattern, &part, &len);
        if (part[0] == '*')
            continue;
        name = xstrndup(part, len);
        distance = str_distance(at[left - 1], name);
        if (distance < best_distance && distance <= strlen(at[left - 1]) / 3 + 1) {
            best_distance = distance;
            free(best);
            best = name;
        } else {
            free(name);
        }
    }
    if (best == NULL)
        return NULL;
    for (size_t k = 0; k + 1 < n; k++)
        toml_append_path(&path, parts[k]);
    toml_append_path(&path, best);
    free(best);
    return buf_take(&path);
}

void schema_append_types(struct buf *b, unsigned types)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {
        {SCHEMA_STRING, "string"},   {SCHEMA_INTEGER, "integer"}, {SCHEMA_FLOAT, "number"},
        {SCHEMA_BOOLEAN, "boolean"}, {SCHEMA_LIST, "list"},       {SCHEMA_TABLE, "table"},
    };
    bool first = true;

    if (types == SCHEMA_ANY) {
        buf_puts(b, "anything");
        return;
    }
    if ((types & SCHEMA_FLOAT) != 0)
        types &= ~SCHEMA_INTEGER;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((types & names[i].bit) == 0)
            continue;
        if (!first)
            buf_puts(b, " or ");
        buf_puts(b, names[i].name);
        first = false;
    }
}

static void append_row(struct buf *b, const struct schema_key *key)
{
    buf_printf(b, "| `%s` | ", key->path);
    if (key->choices != NULL) {
        struct str_list choices = {0};

        str_split(&choices, key->choices, '|');
        for (size_t i = 0; i < choices.len; i++)
            buf_printf(b, "%s`%s`", i > 0 ? ", " : "", choices.items[i]);
        if ((key->types & SCHEMA_TABLE) != 0)
            buf_puts(b, " or table");
        str_list_finish(&choices);
    } else {
        schema_append_types(b, key->types);
    }
    if (key->fallback != NULL)
        buf_printf(b, " | `%s` | ", key->fallback);
    else
        buf_puts(b, " | | ");
    buf_puts(b, key->doc);
    if (key->instead != NULL)
        buf_printf(b, " Use `%s`.", key->instead);
    if ((key->flags & (SCHEMA_USER_ONLY | SCHEMA_UNUSED)) == SCHEMA_USER_ONLY)
        buf_puts(b, " *Not from a project.*");
    if ((key->flags & SCHEMA_BOTH) != 0)
        buf_puts(b, " *Also in cadre.toml.*");
    buf_puts(b, " |\n");
}

static void append_table(struct buf *b, const struct schema_part *part, unsigned mask, unsigned want)
{
    buf_puts(b, "| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < part->len; i++)
        if ((part->keys[i].flags & mask) == want)
            append_row(b, &part->keys[i]);
}

void schema_append_markdown(struct buf *b)
{
    buf_puts(
        b,
        "# Configuration\n\n"
        "<!-- Written by `cadre config schema --markdown`; `make check` compares it with the program. -->\n\n"
        "Later layers win: built-in defaults, `$CODEX_HOME/config.toml` (default `~/.codex`), the profile "
        "file\n"
        "`$CODEX_HOME/NAME.config.toml` of `--profile NAME`, the project's `.codex/config.toml` from the\n"
        "repository's root down to the working directory (only when the project is trusted, see\n"
        "`cadre trust`), and `-c key=value`. Beside each `config.toml` stands an optional `cadre.toml` of "
        "the\n"
        "same layer for what Codex has no key for, so that Codex in strict mode takes `config.toml` as\n"
        "it is. `cadre config explain KEY` says which layer a value came from.\n\n"
        "A key that is not listed here is a warning with file, line, column and the nearest known name, and\n"
        "an error under `--strict-config`. `*` stands for a name of your choice, `**` for anything.\n\n"
        "## config.toml\n\n");
    append_table(b, &schema_keys_used, SCHEMA_ROLE_ONLY | SCHEMA_UNUSED, 0);
    buf_puts(b,
             "\n## Role files\n\n"
             "A role file holds `name`, `description`, `developer_instructions` and any key of config.toml\n"
             "that a thread has, such as `model` or `sandbox_mode`. It is opened when the role is first\n"
             "spawned and read again when it has changed. Without an `[agents.<role>]` table, a file in `agents/`\n"
                "counts as the role its file name says until it has been read: give the file the name of its role.\n\n");
    append_table(b, &schema_keys_used, SCHEMA_ROLE_ONLY, SCHEMA_ROLE_ONLY);
    buf_puts(b, "\n## cadre.toml\n\n");
    append_table(b, &schema_keys_cadre, 0, 0);
    buf_puts(
        b,
        "\n## Keys of Codex that change nothing here\n\n"
        "They are accepted, so that a file made for Codex loads as it is; `cadre doctor` names those that\n"
        "are set.\n\n"
        "| key | value | why |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);

        if ((key->flags & SCHEMA_UNUSED) == 0)
            continue;
        buf_printf(b, "| `%s` | ", key->path);
        schema_append_types(b, key->types);
        buf_printf(b, " | %s |\n", key->doc);
    }
}

void schema_append_json(struct buf *b)
{
    struct json_writer w = {.out = b};

    jw_object_begin(&w);
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);
        struct buf types = BUF_INIT;

        schema_append_types(&types, key->types);
        jw_key(&w, key->path);
        jw_object_begin(&w);
        jw_pair_string(&w, "type", buf_cstr(&types));
        if (key->fallback != NULL)
            jw_pair_string(&w, "default", key->fallback);
        if (key->choices != NULL)
            jw_pair_string(&w, "choices", key->choices);
        jw_pair_string(&w, "file",
                       (key->flags & SCHEMA_CADRE) != 0       ? "cadre.toml"
                       : (key->flags & SCHEMA_ROLE_ONLY) != 0 ? "role file"
                                                              : "config.toml");
        jw_pair_bool(&w, "used", (key->flags & SCHEMA_UNUSED) == 0);
        jw_pair_string(&w, "doc", key->doc);
        jw_object_end(&w);
        buf_free(&types);
    }
    jw_object_end(&w);
}
