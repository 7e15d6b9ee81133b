/* ci/yaml_tree.h: a YAML document as a tree in which every node knows its place in the file.
 *
 * The library (libyaml) reads; here its events become nodes, bounded in size, depth and expansion of
 * aliases. Duplicate keys are an error, as on GitHub. Scalars keep their text; what plain ones mean (YAML
 * 1.2 core schema) is asked with yaml_scalar_json(). */
#ifndef CADRE_CI_YAML_TREE_H
#define CADRE_CI_YAML_TREE_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct arena;

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    const char *text; /* of scalars */
    const char *tag;  /* "!reference" and such; NULL when there is none */
    bool is_plain;    /* neither quoted nor a block */
    int line, column; /* 1-based */
    const char *file; /* as given to the reader, in its arena; NULL for nodes that were built */
    struct yaml_node **items; /* of a sequence; of a mapping key, value, key, value ... */
    size_t len;               /* number of items: of a mapping twice the number of keys */
};

#define YAML_MAX_BYTES (1024 * 1024)
#define YAML_MAX_DEPTH 64
#define YAML_MAX_NODES 100000

/* Reads one document into ARENA. FILE names it in errors. ROOT is NULL for an empty document. With
 * MERGE_KEYS "<<" merges mappings and the last of two equal keys holds (GitLab); else "<<" is a key like any
 * other and a second one of a name is an error (GitHub). */
int yaml_tree_read(struct arena *arena, const char *text, size_t n, const char *file, bool merge_keys,
                   struct yaml_node **root, struct error *err);

/* NULL for what is not there or not a mapping. Keys are compared exactly. */
struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key);
/* The scalar's text, or NULL. */
const char *yaml_text(const struct yaml_node *node);
const char *yaml_get_text(const struct yaml_node *mapping, const char *key);

/* Null by the core schema: plain and empty, "~" or "null". A NULL node is null. */
bool yaml_is_null(const struct yaml_node *node);

/* What the scalar means: null, boolean, number or string. New reference. */
json_t *yaml_scalar_json(const struct yaml_node *node);
/* The whole tree so. New reference. */
json_t *yaml_to_json(const struct yaml_node *node);
/* A mapping of scalars as an object of their texts, whatever they would mean. New reference. */
json_t *yaml_to_json_texts(const struct yaml_node *mapping);

/* Nodes for models that are built without a file. Texts are copied into ARENA. */
struct yaml_node *yaml_new_scalar(struct arena *arena, const char *text);
struct yaml_node *yaml_new_mapping(struct arena *arena);
struct yaml_node *yaml_new_sequence(struct arena *arena, struct yaml_node *const *items, size_t n);
void yaml_mapping_add(struct arena *arena, struct yaml_node *mapping, const char *key,
                      struct yaml_node *value);

#endif
