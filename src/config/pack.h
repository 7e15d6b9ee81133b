/* config/pack.h: the packs that are embedded in the program (packs/ in the source tree). */
#ifndef CADRE_CONFIG_PACK_H
#define CADRE_CONFIG_PACK_H

#include "base/error.h"

#include <stddef.h>

struct buf;
struct str_list;

struct pack_file {
    const char *path;  /* "pro/config.toml" */
    const char *bytes; /* NUL-terminated */
    size_t len;
};

/* Made at build time by scripts/embed. */
extern const struct pack_file pack_files[];
extern const size_t pack_file_count;

/* One file of a pack ("config.toml", "agents/reviewer.toml"), or NULL. */
const struct pack_file *pack_find(const char *pack, const char *name);

/* The names of the packs; of the columns of PACK in models.toml. */
void pack_list(struct str_list *names);
void pack_list_models(const char *pack, struct str_list *generations);

/* Appends the file's text with the models of column GENERATION (NULL: as it is). */
int pack_read(const char *pack, const char *name, const char *generation, struct buf *out, struct error *err);

/* For a model that the provider does not offer: another column's model in a row where MODEL stands, that is
 * among OFFERED. Caller frees; NULL when there is none. */
char *pack_suggest_model(const char *model, const struct str_list *offered);

#endif
