/* ci/yaml_tree.c: libyaml's events to nodes. */
#include "ci/yaml_tree.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    struct yaml_node *node;
    size_t nodes; /* nodes below it, expanded */
};

struct reader {
    struct arena *arena;
    const char *file;
    yaml_parser_t parser;
    struct map anchors; /* name -> struct anchor */
    size_t nodes;       /* seen so far, aliases counted by what they stand for */
    bool merge_keys;
    struct error *err;
};

static int next_event(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return 0;
    return error_set_at(r->err, ERROR_PARSE, r->file, (int)r->parser.problem_mark.line + 1,
                        (int)r->parser.problem_mark.column + 1, "%s%s%s",
                        r->parser.problem != NULL ? r->parser.problem : "not YAML",
                        r->parser.context != NULL ? ", " : "",
                        r->parser.context != NULL ? r->parser.context : "");
}

static struct yaml_node *node_at(struct reader *r, enum yaml_kind kind, const yaml_event_t *event)
{
    struct yaml_node *node = arena_alloc(r->arena, sizeof *node);

    node->kind = kind;
    node->line = (int)event->start_mark.line + 1;
    node->column = (int)event->start_mark.column + 1;
    node->file = r->file;
    return node;
}

static void set_items(struct reader *r, struct yaml_node *node, const struct vec *items)
{
    node->len = items->len;
    node->items = arena_alloc(r->arena, (items->len + 1) * sizeof *node->items);
    if (items->len > 0)
        memcpy(node->items, items->items, items->len * sizeof *node->items);
}

static int count_nodes(struct reader *r, size_t n, const struct yaml_node *node)
{
    r->nodes += n;
    if (r->nodes > YAML_MAX_NODES)
        return error_set_at(r->err, ERROR_LIMIT, r->file, node->line, node->column,
                            "more than %d values (aliases expanded)", YAML_MAX_NODES);
    return 0;
}

static int read_node(struct reader *r, yaml_event_t *event, unsigned depth, struct yaml_node **out);

static bool has_key(const struct vec *items, const char *key)
{
    for (size_t i = 0; i + 1 < items->len; i += 2) {
        const struct yaml_node *k = items->items[i];
        if (strcmp(k->text, key) == 0)
            return true;
    }
    return false;
}

static void replace_value(struct vec *items, const char *key, struct yaml_node *value)
{
    for (size_t i = 0; i + 1 < items->len; i += 2) {
        const struct yaml_node *k = items->items[i];
        if (strcmp(k->text, key) == 0)
            items->items[i + 1] = value;
    }
}

/* "<<: *base" and "<<: [*a, *b]": keys that are not there yet. */
static void merge(struct vec *items, const struct yaml_node *from)
{
    if (from->kind == YAML_SEQUENCE) {
        for (size_t i = 0; i < from->len; i++)
            merge(items, from->items[i]);
        return;
    }
    if (from->kind != YAML_MAPPING)
        return;
    for (size_t i = 0; i + 1 < from->len; i += 2) {
        if (!has_key(items, from->items[i]->text)) {
            vec_push(items, from->items[i]);
            vec_push(items, from->items[i + 1]);
        }
    }
}

static int read_mapping(struct reader *r, struct yaml_node *node, unsigned depth)
{
    struct vec items = {0};
    struct vec merged = {0};
    struct map seen = {0};
    int rc = -1;

    for (;;) {
        yaml_event_t event;
        struct yaml_node *key, *value;

        if (next_event(r, &event) < 0)
            goto out;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        if (read_node(r, &event, depth, &key) < 0)
            goto out;
        if (key->kind != YAML_SCALAR) {
            error_set_at(r->err, ERROR_PARSE, r->file, key->line, key->column,
                         "A %s was not expected as a key", key->kind == YAML_MAPPING ? "mapping" : "sequence");
            goto out;
        }
        if (next_event(r, &event) < 0 || read_node(r, &event, depth, &value) < 0)
            goto out;
        if (r->merge_keys && key->is_plain && strcmp(key->text, "<<") == 0) {
            vec_push(&merged, value);
            continue;
        }
        if (r->merge_keys && map_has(&seen, key->text)) {
            replace_value(&items, key->text, value);
            continue;
        }
        if (map_has(&seen, key->text)) {
            error_set_at(r->err, ERROR_PARSE, r->file, key->line, key->column, "'%s' is already defined",
                         key->text);
            goto out;
        }
        map_set(&seen, key->text, key);
        vec_push(&items, key);
        vec_push(&items, value);
    }
    for (size_t i = 0; i < merged.len; i++)
        merge(&items, merged.items[i]);
    set_items(r, node, &items);
    rc = 0;
out:
    map_finish(&seen);
    vec_finish(&items);
    vec_finish(&merged);
    return rc;
}

static int read_sequence(struct reader *r, struct yaml_node *node, unsigned depth)
{
    struct vec items = {0};
    int rc = -1;

    for (;;) {
        yaml_event_t event;
        struct yaml_node *item;

        if (next_event(r, &event) < 0)
            goto out;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        if (read_node(r, &event, depth, &item) < 0)
            goto out;
        vec_push(&items, item);
    }
    set_items(r, node, &items);
    rc = 0;
out:
    vec_finish(&items);
    return rc;
}

static void keep_anchor(struct reader *r, const yaml_char_t *name, struct yaml_node *node, size_t nodes)
{
    struct anchor *anchor = arena_alloc(r->arena, sizeof *anchor);

    anchor->node = node;
    anchor->nodes = nodes;
    map_set(&r->anchors, (const char *)name, anchor);
}

/* Takes EVENT: it is deleted here. */
static int read_node(struct reader *r, yaml_event_t *event, unsigned depth, struct yaml_node **out)
{
    struct yaml_node *node = NULL;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    const struct anchor *known;
    size_t nodes_before = r->nodes;
    int rc = -1;

    if (depth > YAML_MAX_DEPTH) {
        error_set_at(r->err, ERROR_LIMIT, r->file, (int)event->start_mark.line + 1,
                     (int)event->start_mark.column + 1, "nested deeper than %d", YAML_MAX_DEPTH);
        goto out;
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        node = node_at(r, YAML_SCALAR, event);
        node->text = arena_strndup(r->arena, (const char *)event->data.scalar.value, event->data.scalar.length);
        node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        rc = count_nodes(r, 1, node);
        break;
    case YAML_SEQUENCE_START_EVENT:
        node = node_at(r, YAML_SEQUENCE, event);
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        rc = count_nodes(r, 1, node) < 0 ? -1 : read_sequence(r, node, depth + 1);
        break;
    case YAML_MAPPING_START_EVENT:
        node = node_at(r, YAML_MAPPING, event);
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        rc = count_nodes(r, 1, node) < 0 ? -1 : read_mapping(r, node, depth + 1);
        break;
    case YAML_ALIAS_EVENT:
        known = map_get(&r->anchors, (const char *)event->data.alias.anchor);
        if (known == NULL) {
            error_set_at(r->err, ERROR_PARSE, r->file, (int)event->start_mark.line + 1,
                         (int)event->start_mark.column + 1, "unknown alias '%s'",
                         (const char *)event->data.alias.anchor);
            goto out;
        }
        *out = known->node;
        rc = count_nodes(r, known->nodes, known->node);
        goto out;
    default:
        error_set_at(r->err, ERROR_PARSE, r->file, (int)event->start_mark.line + 1,
                     (int)event->start_mark.column + 1, "a value was expected");
        goto out;
    }
    if (rc == 0 && tag != NULL)
        node->tag = arena_strdup(r->arena, (const char *)tag);
    if (rc == 0 && anchor != NULL)
        keep_anchor(r, anchor, node, r->nodes - nodes_before);
    *out = node;
out:
    yaml_event_delete(event);
    return rc;
}

int yaml_tree_read(struct arena *arena, const char *text, size_t n, const char *file, bool merge_keys,
                   struct yaml_node **root, struct error *err)
{
    struct reader r = {.arena = arena, .file = arena_strdup(arena, file), .merge_keys = merge_keys, .err = err};
    yaml_event_t event;
    int rc = -1;

    *root = NULL;
    if (n > YAML_MAX_BYTES)
        return error_set_at(err, ERROR_LIMIT, file, 0, 0, "larger than %d bytes", YAML_MAX_BYTES);
    if (memchr(text != NULL ? text : "", '\0', n) != NULL)
        return error_set_at(err, ERROR_PARSE, file, 0, 0, "a NUL byte is not text");
    if (!yaml_parser_initialize(&r.parser))
        return error_set(err, ERROR_INTERNAL, "the YAML reader does not start");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text != NULL ? text : ""), n);

    for (;;) {
        yaml_event_type_t type;

        if (next_event(&r, &event) < 0)
            goto out;
        type = event.type;
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT ||
            type == YAML_DOCUMENT_END_EVENT) {
            if (type == YAML_DOCUMENT_START_EVENT && *root != NULL) {
                error_set_at(err, ERROR_PARSE, file, (int)event.start_mark.line + 1,
                             (int)event.start_mark.column + 1, "a second document was not expected");
                yaml_event_delete(&event);
                goto out;
            }
            yaml_event_delete(&event);
        } else if (type == YAML_STREAM_END_EVENT) {
            yaml_event_delete(&event);
            break;
        } else if (read_node(&r, &event, 0, root) < 0) {
            goto out;
        }
    }
    rc = 0;
out:
    map_finish(&r.anchors);
    yaml_parser_delete(&r.parser);
    return rc;
}

struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
    if (mapping == NULL || mapping->kind != YAML_MAPPING)
        return NULL;
    for (size_t i = 0; i + 1 < mapping->len; i += 2) {
        if (strcmp(mapping->items[i]->text, key) == 0)
            return mapping->items[i + 1];
    }
    return NULL;
}

const char *yaml_text(const struct yaml_node *node)
{
    return node != NULL && node->kind == YAML_SCALAR ? node->text : NULL;
}

const char *yaml_get_text(const struct yaml_node *mapping, const char *key)
{
    return yaml_text(yaml_get(mapping, key));
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

bool yaml_is_null(const struct yaml_node *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};

    return node == NULL || (node->kind == YAML_SCALAR && node->is_plain && is_one_of(node->text, words));
}

/* [-+]? digits [. digits] [e [-+] digits] */
static bool is_decimal(const char *p)
{
    bool has_digit = false;

    if (*p == '-' || *p == '+')
        p++;
    for (; isdigit((unsigned char)*p); p++)
        has_digit = true;
    if (*p == '.') {
        for (p++; isdigit((unsigned char)*p); p++)
            has_digit = true;
    }
    if (has_digit && (*p == 'e' || *p == 'E')) {
        p++;
        if (*p == '-' || *p == '+')
            p++;
        if (!isdigit((unsigned char)*p))
            return false;
        while (isdigit((unsigned char)*p))
            p++;
    }
    return has_digit && *p == '\0';
}

json_t *yaml_scalar_json(const struct yaml_node *node)
{
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    json_t *text;

    if (yaml_is_null(node))
        return json_null();
    if (node->is_plain) {
        if (is_one_of(node->text, yes))
            return json_true();
        if (is_one_of(node->text, no))
            return json_false();
        if (is_decimal(node->text) && strlen(node->text) < 300) {
            double number = strtod(node->text, NULL);
            if (isfinite(number) && floor(number) == number && fabs(number) < 1e15)
                return json_integer((json_int_t)number);
            if (isfinite(number))
                return json_real(number);
        }
        if (strncmp(node->text, "0x", 2) == 0 && node->text[2] != '\0' && strlen(node->text) < 14 &&
            node->text[2 + strspn(node->text + 2, "0123456789abcdefABCDEF")] == '\0')
            return json_integer(strtoll(node->text + 2, NULL, 16));
        if (strncmp(node->text, "0o", 2) == 0 && node->text[2] != '\0' && strlen(node->text) < 18 &&
            node->text[2 + strspn(node->text + 2, "01234567")] == '\0')
            return json_integer(strtoll(node->text + 2, NULL, 8));
    }
    text = json_string(node->text);
    return text != NULL ? text : json_string("");
}

json_t *yaml_to_json(const struct yaml_node *node)
{
    json_t *json;

    if (node == NULL || node->kind == YAML_SCALAR)
        return yaml_scalar_json(node);
    if (node->kind == YAML_SEQUENCE) {
        json = json_array();
        for (size_t i = 0; i < node->len; i++)
            json_array_append_new(json, yaml_to_json(node->items[i]));
        return json;
    }
    json = json_object();
    for (size_t i = 0; i + 1 < node->len; i += 2)
        json_object_set_new(json, node->items[i]->text, yaml_to_json(node->items[i + 1]));
    return json;
}

json_t *yaml_to_json_texts(const struct yaml_node *mapping)
{
    json_t *json = json_object();

    for (size_t i = 0; mapping != NULL && mapping->kind == YAML_MAPPING && i + 1 < mapping->len; i += 2) {
        const char *text = yaml_text(mapping->items[i + 1]);
        json_t *value = json_string(text != NULL ? text : "");
        json_object_set_new(json, mapping->items[i]->text, value != NULL ? value : json_string(""));
    }
    return json;
}

struct yaml_node *yaml_new_scalar(struct arena *arena, const char *text)
{
    struct yaml_node *node = arena_alloc(arena, sizeof *node);

    node->kind = YAML_SCALAR;
    node->text = arena_strdup(arena, text);
    return node;
}

struct yaml_node *yaml_new_mapping(struct arena *arena)
{
    struct yaml_node *node = arena_alloc(arena, sizeof *node);

    node->kind = YAML_MAPPING;
    return node;
}

struct yaml_node *yaml_new_sequence(struct arena *arena, struct yaml_node *const *items, size_t n)
{
    struct yaml_node *node = arena_alloc(arena, sizeof *node);

    node->kind = YAML_SEQUENCE;
    node->items = arena_alloc(arena, (n + 1) * sizeof *node->items);
    if (n > 0)
        memcpy(node->items, items, n * sizeof *node->items);
    node->len = n;
    return node;
}

void yaml_mapping_add(struct arena *arena, struct yaml_node *mapping, const char *key, struct yaml_node *value)
{
    struct yaml_node **items;

    for (size_t i = 0; i + 1 < mapping->len; i += 2) {
        if (strcmp(mapping->items[i]->text, key) == 0) {
            mapping->items[i + 1] = value;
            return;
        }
    }
    items = arena_alloc(arena, (mapping->len + 3) * sizeof *items);
    if (mapping->len > 0)
        memcpy(items, mapping->items, mapping->len * sizeof *items);
    items[mapping->len] = yaml_new_scalar(arena, key);
    items[mapping->len + 1] = value;
    mapping->items = items;
    mapping->len += 2;
}
