/* ci/tree_store.h: the workflows of a repository as they were read the last time.
 *
 * Most of what a plan costs is reading and checking files that have not changed. Here is, for each of them, its whole text
 * and the tree that came of it. A tree is used only where the text is byte for byte the same and this is the
 * very program that read and checked it; what was refused is not kept, so that its error is found anew each time.
 *
 * One file a repository, "definitions/HASH" in the cache folder; what is damaged or of another program counts as not there.
 * Few and small workflows are not kept: reading them takes no longer than this. */
#ifndef CADRE_CI_TREE_STORE_H
#define CADRE_CI_TREE_STORE_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct tree_store;
struct yaml_node;

#define TREE_STORE_MIN_BYTES (16 * 1024)   /* of all texts together: less is not kept */
#define TREE_STORE_MAX_BYTES (8 << 20)     /* of the file: more is not kept */
#define TREE_STORE_FOLDER    "definitions" /* in the cache folder */

/* That of the repository at ROOT, in the cache folder DIR. Never fails: what cannot be read is empty. */
struct tree_store *tree_store_open(const char *dir, const char *root);

/* The tree of FILE in ARENA when N bytes of TEXT are what it was read from, else NULL. Its texts are the store's: it must
 * not outlive the store. */
struct yaml_node *tree_store_find(struct tree_store *store, struct arena *arena, const char *file,
                                  const char *text, size_t n);

/* TEXT of FILE was read to ROOT without an error. */
void tree_store_keep(struct tree_store *store, const char *file, const char *text, size_t n,
                     const struct yaml_node *root);

/* Writes what was kept, where there is something new. A store that cannot be written costs time, nothing else. */
void tree_store_save(struct tree_store *store);
void tree_store_close(struct tree_store *store); /* NULL is fine */

/* Files of repositories that were not planned for so long go. */
void tree_store_trim(const char *dir, int64_t max_age_s);

#endif
