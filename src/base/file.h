/* base/file.h: whole files and folders. Blocking; for small local files only. */
#ifndef CADRE_BASE_FILE_H
#define CADRE_BASE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf;
struct str_list;

/* Appends the file's bytes to B. A file over MAX_BYTES, a folder, a device or a FIFO is an error. */
int file_read(const char *path, struct buf *b, size_t max_bytes, struct error *err);

/* Writes a new file beside PATH, syncs it and renames it into place: readers see old or new, never half. */
int file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode, struct error *err);

/* Truncates or makes PATH; not atomic (for files that nobody else reads). */
int file_write(const char *path, const void *bytes, size_t n, mode_t mode, struct error *err);

int file_append(const char *path, const void *bytes, size_t n, mode_t mode, struct error *err);

bool file_exists(const char *path);    /* follows links */
bool file_is_directory(const char *path);
bool file_is_regular(const char *path);

/* mkdir -p */
int file_make_directories(const char *path, mode_t mode, struct error *err);

/* Names (not paths) in the folder without "." and "..", sorted bytewise, appended to NAMES. */
int file_list_directory(const char *path, struct str_list *names, struct error *err);

/* Removes PATH and everything below it without following links. Nothing there is no error.
 * Call it only for what this program made. */
int file_remove_tree(const char *path, struct error *err);

/* Copies a regular file with its permission bits. */
int file_copy(const char *from, const char *to, struct error *err);

/* A fresh folder "$TMPDIR/PREFIX-XXXXXX"; caller frees the path. NULL with ERR set on failure. */
char *file_make_temporary_directory(const char *prefix, struct error *err);

/* write(2) until all is written. 0, or -1 with errno. */
int file_write_all(int fd, const void *bytes, size_t n);

#endif
