/* sandbox/safe_path.h: files below a folder, by paths that a model gave.
 *
 * Every path is resolved by the kernel with openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS): no "..",
 * absolute path, symlink or race leads outside. Parts named .git, .codex or .agents (in any case) are refused, devices and FIFOs
 * too. A file is written beside its place and renamed into it, so a hard link to a file elsewhere is replaced, never
 * written through. Refusals have ERROR_SANDBOX. */
#ifndef CADRE_SANDBOX_SAFE_PATH_H
#define CADRE_SANDBOX_SAFE_PATH_H

#include "base/error.h"

#include <stddef.h>

struct buf;
struct safe_root;

/* Holds a descriptor of the folder DIR. */
struct safe_root *safe_root_open(const char *dir, struct error *err);
void safe_root_close(struct safe_root *root); /* NULL is fine */

/* Appends the file's bytes. */
int safe_root_read_file(struct safe_root *root, const char *path, struct buf *out, size_t max_bytes,
                        struct error *err);

/* Makes or replaces the file; an existing file's permission bits are kept. */
int safe_root_write_file(struct safe_root *root, const char *path, const void *bytes, size_t n, struct error *err);

/* Removes a file or a symlink (the link itself), not a folder. */
int safe_root_remove(struct safe_root *root, const char *path, struct error *err);

/* Makes the folders above PATH. */
int safe_root_make_parents(struct safe_root *root, const char *path, struct error *err);

#endif
