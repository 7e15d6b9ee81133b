/* base/alloc.h: allocation that cannot fail: out of memory ends the process with a message.
 * The journal makes that safe. All returned memory is freed with free(). */
#ifndef CADRE_BASE_ALLOC_H
#define CADRE_BASE_ALLOC_H

#include <stddef.h>

void *xmalloc(size_t size_bytes);
void *xcalloc(size_t count, size_t size_bytes);
void *xrealloc(void *old, size_t size_bytes);

/* Copies; a NULL source gives NULL. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);

/* printf into a fresh string. */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Frees *P and sets it to NULL. */
#define FREE_NULL(p)                                                                                         \
    do {                                                                                                     \
        free(p);                                                                                             \
        (p) = NULL;                                                                                          \
    } while (0)

#endif
