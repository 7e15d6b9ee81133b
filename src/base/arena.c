/* base/arena.c: see arena.h. */
#include "base/arena.h"

#include "base/alloc.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_BYTES 4000

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t cap;
    alignas(max_align_t) unsigned char data[];
};

void *arena_alloc(struct arena *a, size_t size_bytes)
{
    size_t align = alignof(max_align_t);
    size_t need = (size_bytes + align - 1) / align * align;
    struct arena_block *block = a->head;
    void *p;

    if (block == NULL || block->cap - block->used < need) {
        size_t cap = need > ARENA_BLOCK_BYTES / 4 ? need : ARENA_BLOCK_BYTES;

        block = xmalloc(sizeof *block + cap);
        block->used = 0;
        block->cap = cap;
        if (a->head != NULL && need > ARENA_BLOCK_BYTES / 4) { /* keep filling the current block */
            block->next = a->head->next;
            a->head->next = block;
        } else {
            block->next = a->head;
            a->head = block;
        }
        a->total_bytes += sizeof *block + cap;
    }
    p = block->data + block->used;
    block->used += need;
    memset(p, 0, size_bytes);
    return p;
}

void arena_reserve(struct arena *a, size_t size_bytes, size_t piece_bytes)
{
    size_t cap = size_bytes > piece_bytes ? size_bytes : piece_bytes;
    struct arena_block *block;

    if (a->head != NULL && a->head->cap - a->head->used >= size_bytes)
        return;
    block = xmalloc(sizeof *block + cap);
    block->used = 0;
    block->cap = cap;
    block->next = a->head;
    a->head = block;
    a->total_bytes += sizeof *block + cap;
    alloc_populate(block->data, cap);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    size_t len;
    char *copy;

    if (s == NULL)
        return NULL;
    len = strnlen(s, n);
    copy = arena_alloc(a, len + 1);
    memcpy(copy, s, len);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s == NULL ? NULL : arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    int n;
    char *text;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    text = arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
    va_start(ap, fmt);
    if (n > 0)
        (void)vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return text;
}

void arena_finish(struct arena *a)
{
    struct arena_block *block;

    if (a == NULL)
        return;
    block = a->head;
    while (block != NULL) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
    *a = (struct arena){0};
}
