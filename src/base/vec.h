/* base/vec.h: a growing list of pointers. It does not own what they point to. Zeroed memory is empty. */
#ifndef CADRE_BASE_VEC_H
#define CADRE_BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>

struct vec {
    void **items;
    size_t len;
    size_t cap;
};

void vec_push(struct vec *v, void *item);
void *vec_pop(struct vec *v);                       /* NULL when empty */
void vec_insert(struct vec *v, size_t index, void *item);
void *vec_remove(struct vec *v, size_t index);      /* keeps the order */
bool vec_remove_item(struct vec *v, const void *item); /* the first such pointer */
bool vec_has(const struct vec *v, const void *item);
void vec_finish(struct vec *v);                     /* frees the list, not the items */

#endif
