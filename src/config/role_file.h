/* config/role_file.h: between role.c and role_registry.c; nobody else includes it. */
#ifndef CADRE_CONFIG_ROLE_FILE_H
#define CADRE_CONFIG_ROLE_FILE_H

#include "config/role.h"

/* What the registry knows before it opens a file; strings are borrowed. */
struct role_declaration {
    const char *name;
    const char *description;            /* of the table, or NULL */
    const char *file;                   /* or NULL */
    const struct toml_value *nicknames; /* of the table, or NULL */
    bool is_standalone;                 /* a discovered file: it must hold name, description, instructions */
};

struct role *role_load(const struct config *c, const struct role_declaration *d, struct error *err);
void role_destroy(struct role *role);

#endif
