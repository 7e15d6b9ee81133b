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

/* Has the kernel put pages behind the whole pages of N bytes at P at once: one by one, as they are first written to, costs
 * up to 25 us each in a virtual machine. A kernel before 5.14 does not know this, which costs nothing. */
void alloc_populate(void *p, size_t n);

/* The same for the next N bytes of small allocations, for a command that is known to need so much. */
void alloc_warm(size_t n);

/* Frees *P and sets it to NULL. */
#define FREE_NULL(p)                                                                                         \
    do {                                                                                                     \
        free(p);                                                                                             \
        (p) = NULL;                                                                                          \
    } while (0)

#endif
