/* ci/tree_codec.h: a tree of yaml_tree.h as bytes, and back: for files that were read before.
 *
 * The bytes are of this machine and this program alone. Decoding checks every length and depth, so that a damaged file
 * is refused and never read beyond its end. */
#ifndef CADRE_CI_TREE_CODEC_H
#define CADRE_CI_TREE_CODEC_H

#include "ci/yaml_tree.h"

struct arena;
struct buf;

/* Appends the tree to OUT; aliases are written out as what they stand for. */
void tree_encode(struct buf *out, const struct yaml_node *root);

/* The tree in ARENA, its nodes saying FILE (borrowed) for their file. Texts point into BYTES, which must outlive the
 * tree. NULL when these are not the bytes of a whole tree. */
struct yaml_node *tree_decode(struct arena *arena, const char *bytes, size_t n, const char *file);

#endif
