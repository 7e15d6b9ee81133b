/* base/map.h: string keys to pointers, in order of first insertion. Zeroed memory is an empty map.
 * Keys are copied; values are owned only when `free_value` is set. */
#ifndef CADRE_BASE_MAP_H
#define CADRE_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
    char *key; /* NULL in a removed entry */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_entry *entries; /* in insertion order, with holes */
    size_t used;               /* entries in use or removed */
    size_t len;                /* live keys */
    size_t cap;
    uint32_t *slots; /* index + 1 into entries; 0 is free */
    size_t slot_count;
    void (*free_value)(void *value);
};

/* The value, or NULL (a key may hold NULL: ask map_has). */
void *map_get(const struct map *m, const char *key);
bool map_has(const struct map *m, const char *key);

/* Sets; an old value is freed when the map owns values. */
void map_set(struct map *m, const char *key, void *value);
bool map_remove(struct map *m, const char *key);
void map_finish(struct map *m);

/* Iterates live entries: `for (size_t i = 0; (e = map_next(m, &i)) != NULL;)`. */
struct map_entry *map_next(const struct map *m, size_t *cursor);

#endif
