/* config/toml_edit.h: changes one key in the text of a TOML document and leaves every other byte alone. */
#ifndef CADRE_CONFIG_TOML_EDIT_H
#define CADRE_CONFIG_TOML_EDIT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct toml_value;

/* Sets the key at PARTS (N names) in the document TEXT to VALUE (TOML text of one line). A key that is there
 * is replaced in place; else it goes to the end of its table, or a new table goes to the end of the
 * document. The result is parsed and compared with what was wanted: -1 with ERR set and TEXT unchanged when the document is
 * written in a way that cannot be edited so (an inline table, say). FILE names it in errors. */
int toml_edit_set(struct buf *text, const char *file, char *const *parts, size_t n, const char *value,
                  struct error *err);

/* Writes TEXT to PATH in one step, keeping the permission bits of a file that is there (else 0600) and
 * following a link to the file behind it. Makes the folder. */
int toml_edit_write(const char *path, const struct buf *text, struct error *err);

/* Equal in names, types and values, whatever the order of the members? */
bool toml_is_equal(const struct toml_value *a, const struct toml_value *b);

#endif
