/* base/arena.h: memory that lives as long as a thread, a turn or a request; freed all at once. */
#ifndef CADRE_BASE_ARENA_H
#define CADRE_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena { /* zeroed memory is an empty arena */
    struct arena_block *head;
    size_t total_bytes;
};

void *arena_alloc(struct arena *a, size_t size_bytes); /* zeroed, aligned for any type */
char *arena_strdup(struct arena *a, const char *s);    /* NULL gives NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Where there is no room for SIZE_BYTES more, takes PIECE_BYTES that are there at once: the kernel's way of handing memory
 * out page by page can cost more than what is written into it. */
void arena_reserve(struct arena *a, size_t size_bytes, size_t piece_bytes);
void arena_finish(struct arena *a);

#endif
