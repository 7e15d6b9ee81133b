/* config/config_state.h: the inside of `struct config`, shared by config.c, config_layers.c, config_check.c
 * and role.c; nobody else includes it. */
#ifndef CADRE_CONFIG_CONFIG_STATE_H
#define CADRE_CONFIG_CONFIG_STATE_H

#include "config/config.h"

/* One file (or the built-in values, or the command line); toml_value.source is its index. */
struct config_layer {
    const char *name;        /* static: "user", "project", ... */
    char *file;              /* NULL for built-in and command line */
    struct toml_value *tree; /* as checked; never NULL */
};

struct config {
    char *cwd;
    char *codex_home;
    char *project_root;
    bool is_trusted;
    bool is_strict;
    bool is_oss;
    struct config_layer *layers;
    size_t layer_count;
    struct toml_value *merged;
    struct config_note *notes;
    size_t note_count;
    struct str_list folders;
};

/* What kind of file a tree comes from, for the check. */
enum config_file_kind { CONFIG_FILE_CONFIG, CONFIG_FILE_CADRE, CONFIG_FILE_ROLE, CONFIG_FILE_COMMAND_LINE };

struct config_check {
    struct config *c;   /* notes go there */
    const char *file;   /* for messages */
    const char *folder; /* relative paths stand on it */
    enum config_file_kind kind;
    bool is_project; /* what a project may not set is taken out */
    bool is_strict;
};

/* Checks names, types and choices, resolves paths, brings old names to their new form. */
int config_check_tree(const struct config_check *check, struct toml_value *tree, struct error *err);

void config_note_add(struct config *c, enum config_note_kind kind, const char *key, const char *file,
                     int line, int column, const char *fmt, ...) __attribute__((format(printf, 7, 8)));

/* Adds a layer and takes TREE, marking every value with the layer's index. */
void config_layer_add(struct config *c, const char *name, const char *file, struct toml_value *tree);

/* Finds and reads all layers of OPTIONS into C (config_layers.c). */
int config_layers_load(struct config *c, const struct config_options *options, struct error *err);

/* Lays OVER on BASE: tables are merged, everything else is replaced. */
void config_merge(struct toml_value *base, const struct toml_value *over);

#endif
