/* base/vec.c: see vec.h. */
#include "base/vec.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void vec_insert(struct vec *v, size_t index, void *item)
{
    assert(index <= v->len);
    if (v->len == v->cap) {
        v->cap = v->cap == 0 ? 8 : v->cap * 2;
        v->items = xrealloc(v->items, v->cap * sizeof *v->items);
    }
    memmove(v->items + index + 1, v->items + index, (v->len - index) * sizeof *v->items);
    v->items[index] = item;
    v->len++;
}

void vec_push(struct vec *v, void *item)
{
    vec_insert(v, v->len, item);
}

void *vec_remove(struct vec *v, size_t index)
{
    void *item;

    assert(index < v->len);
    item = v->items[index];
    memmove(v->items + index, v->items + index + 1, (v->len - index - 1) * sizeof *v->items);
    v->len--;
    return item;
}

void *vec_pop(struct vec *v)
{
    return v->len == 0 ? NULL : v->items[--v->len];
}

bool vec_remove_item(struct vec *v, const void *item)
{
    for (size_t i = 0; i < v->len; i++) {
        if (v->items[i] == item) {
            (void)vec_remove(v, i);
            return true;
        }
    }
    return false;
}

bool vec_has(const struct vec *v, const void *item)
{
    for (size_t i = 0; i < v->len; i++)
        if (v->items[i] == item)
            return true;
    return false;
}

void vec_finish(struct vec *v)
{
    if (v == NULL)
        return;
    free(v->items);
    *v = (struct vec){0};
}
