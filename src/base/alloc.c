/* base/alloc.c: see alloc.h. */
#include "base/alloc.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define LARGE_BYTES (128 * 1024) /* as glibc has it */

static void out_of_memory(size_t size_bytes)
{
    fprintf(stderr, "cadre: out of memory (%zu bytes wanted); a run can be resumed with `cadre resume`\n",
            size_bytes);
    abort();
}

void *xmalloc(size_t size_bytes)
{
    void *p = malloc(size_bytes > 0 ? size_bytes : 1);

    if (p == NULL)
        out_of_memory(size_bytes);
    return p;
}

void *xcalloc(size_t count, size_t size_bytes)
{
    void *p = calloc(count > 0 ? count : 1, size_bytes > 0 ? size_bytes : 1);

    if (p == NULL)
        out_of_memory(size_bytes);
    return p;
}

void *xrealloc(void *old, size_t size_bytes)
{
    void *p = realloc(old, size_bytes > 0 ? size_bytes : 1);

    if (p == NULL)
        out_of_memory(size_bytes);
    return p;
}

char *xstrdup(const char *s)
{
    return s == NULL ? NULL : xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
    size_t len;
    char *copy;

    if (s == NULL)
        return NULL;
    len = strnlen(s, n);
    copy = xmalloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *xasprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        out_of_memory(0);
    va_end(ap);
    return text;
}

void alloc_populate(void *p, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)p + page - 1) / page * page, to = ((uintptr_t)p + n) / page * page;

    if (to > from)
        (void)madvise((void *)from, to - from, MADV_POPULATE_WRITE);
}

void alloc_warm(size_t n)
{
    void *p;

    /* What is freed here has to stay with the allocator and not go back to the kernel; large pieces are to have pages of
     * their own as before. */
    mallopt(M_MMAP_THRESHOLD, (int)(2 * n));
    mallopt(M_TRIM_THRESHOLD, (int)(4 * n));
    p = xmalloc(n);
    alloc_populate(p, n);
    free(p);
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
}
