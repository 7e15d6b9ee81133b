/* base/map.c: see map.h. Open addressing over an insertion-ordered entry array. */
#include "base/map.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static struct map_entry *find(const struct map *m, const char *key, uint64_t hash)
{
    if (m->slot_count == 0)
        return NULL;
    for (size_t i = hash & (m->slot_count - 1);; i = (i + 1) & (m->slot_count - 1)) {
        struct map_entry *e;

        if (m->slots[i] == 0)
            return NULL;
        e = &m->entries[m->slots[i] - 1];
        if (e->key != NULL && e->hash == hash && strcmp(e->key, key) == 0)
            return e;
    }
}

static void place(struct map *m, size_t index)
{
    size_t i = m->entries[index].hash & (m->slot_count - 1);

    while (m->slots[i] != 0)
        i = (i + 1) & (m->slot_count - 1);
    m->slots[i] = (uint32_t)index + 1;
}

/* Drops the holes and rebuilds the slots with room for more. */
static void rebuild(struct map *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->used; i++)
        if (m->entries[i].key != NULL)
            m->entries[kept++] = m->entries[i];
    m->used = kept;
    m->cap = kept < 4 ? 8 : kept * 2;
    m->entries = xrealloc(m->entries, m->cap * sizeof *m->entries);
    free(m->slots);
    m->slot_count = 16;
    while (m->slot_count < m->cap * 2)
        m->slot_count *= 2;
    m->slots = xcalloc(m->slot_count, sizeof *m->slots);
    for (size_t i = 0; i < m->used; i++)
        place(m, i);
}

void *map_get(const struct map *m, const char *key)
{
    struct map_entry *e = find(m, key, str_hash(key, strlen(key)));

    return e == NULL ? NULL : e->value;
}

bool map_has(const struct map *m, const char *key)
{
    return find(m, key, str_hash(key, strlen(key))) != NULL;
}

void map_set(struct map *m, const char *key, void *value)
{
    uint64_t hash = str_hash(key, strlen(key));
    struct map_entry *e = find(m, key, hash);

    if (e != NULL) {
        if (m->free_value != NULL && e->value != value)
            m->free_value(e->value);
        e->value = value;
        return;
    }
    if (m->used == m->cap)
        rebuild(m);
    m->entries[m->used] = (struct map_entry){.key = xstrdup(key), .value = value, .hash = hash};
    m->used++;
    m->len++;
    place(m, m->used - 1);
}

bool map_remove(struct map *m, const char *key)
{
    struct map_entry *e = find(m, key, str_hash(key, strlen(key)));

    if (e == NULL)
        return false;
    if (m->free_value != NULL)
        m->free_value(e->value);
    free(e->key);
    e->key = NULL;
    e->value = NULL;
    m->len--;
    return true;
}

void map_finish(struct map *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->used; i++) {
        if (m->entries[i].key == NULL)
            continue;
        if (m->free_value != NULL)
            m->free_value(m->entries[i].value);
        free(m->entries[i].key);
    }
    free(m->entries);
    free(m->slots);
    *m = (struct map){.free_value = m->free_value};
}

struct map_entry *map_next(const struct map *m, size_t *cursor)
{
    while (*cursor < m->used) {
        struct map_entry *e = &m->entries[(*cursor)++];

        if (e->key != NULL)
            return e;
    }
    return NULL;
}
