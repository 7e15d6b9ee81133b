/* config/pack_install.h: puts a pack (or any set of files) into a configuration folder without losing
 * anything that is there, and takes it back.
 *
 *   plan = pack_install_create(target); pack_install_add_pack(...); show; pack_install_apply(plan)
 *
 * A file that is missing is made. A config.toml or cadre.toml that is there gets the keys it lacks, comments
 * and all its own keys kept. Where a value or a role file differs, the user's stays, the difference is shown,
 * and the pack's version is kept aside as NAME.from-pack. What was written is remembered in the state folder
 * for pack_install_undo(). */
#ifndef CADRE_CONFIG_PACK_INSTALL_H
#define CADRE_CONFIG_PACK_INSTALL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct str_list;
struct pack_install;

/* TARGET is the folder that holds (or will hold) config.toml. */
struct pack_install *pack_install_create(const char *target);
void pack_install_destroy(struct pack_install *plan);

/* Plans all files of PACK with the models of GENERATION (NULL: as they are). */
int pack_install_add_pack(struct pack_install *plan, const char *pack, const char *generation,
                          struct error *err);

/* Plans one file NAME (relative to the target) with TEXT. */
int pack_install_add_file(struct pack_install *plan, const char *name, const char *text, struct error *err);

/* Appends what will be done: one line a file, then the conflicts as diffs. */
void pack_install_describe(const struct pack_install *plan, struct buf *out);

bool pack_install_is_empty(const struct pack_install *plan);
size_t pack_install_conflict_count(const struct pack_install *plan);

/* Writes. Copies of what is changed go to the state folder first. */
int pack_install_apply(struct pack_install *plan, struct error *err);

/* Takes the latest installation into TARGET back. A file that was changed since is left and named in LINES;
 * LINES gets one line a file. ERROR_NOT_FOUND when there is none. */
int pack_install_undo(const char *target, struct str_list *lines, struct error *err);

#endif
