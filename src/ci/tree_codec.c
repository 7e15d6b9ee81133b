/* ci/tree_codec.c: nodes in order of the file, each before those below it.
 *
 *     node     = kind (1 byte, with flags) line (4) column (4) [tag] content
 *     content  = text of a scalar, or the number of items (4) and the items
 *     text     = length (4) bytes NUL */
#include "ci/tree_codec.h"

#include "base/arena.h"
#include "base/buf.h"

#include <stdint.h>
#include <string.h>

#define KIND_MASK 3U
#define IS_PLAIN  4U
#define HAS_TAG   8U

#define NODE_MIN_BYTES 13 /* of the smallest one: a list without items */

static void put_number(struct buf *out, size_t number)
{
    uint32_t n = (uint32_t)number;

    buf_append(out, &n, sizeof n);
}

static void put_text(struct buf *out, const char *text)
{
    size_t n = strlen(text);

    put_number(out, n);
    buf_append(out, text, n + 1);
}

void tree_encode(struct buf *out, const struct yaml_node *node)
{
    unsigned head =
        (unsigned)node->kind | (node->is_plain ? IS_PLAIN : 0) | (node->tag != NULL ? HAS_TAG : 0);

    buf_putc(out, (char)head);
    put_number(out, (size_t)node->line);
    put_number(out, (size_t)node->column);
    if (node->tag != NULL)
        put_text(out, node->tag);
    if (node->kind == YAML_SCALAR) {
        put_text(out, node->text);
        return;
    }
    put_number(out, node->len);
    for (size_t i = 0; i < node->len; i++)
        tree_encode(out, node->items[i]);
}

struct decoder {
    struct arena *arena;
    const char *at, *end;
    const char *file;
    size_t nodes;
};

static bool get_number(struct decoder *d, uint32_t *number)
{
    if ((size_t)(d->end - d->at) < sizeof *number)
        return false;
    memcpy(number, d->at, sizeof *number);
    d->at += sizeof *number;
    return true;
}

static bool get_text(struct decoder *d, const char **text)
{
    uint32_t n;

    if (!get_number(d, &n) || (size_t)(d->end - d->at) <= n || d->at[n] != '\0')
        return false;
    *text = d->at;
    d->at += (size_t)n + 1;
    return true;
}

static struct yaml_node *get_node(struct decoder *d, unsigned depth);

static bool get_items(struct decoder *d, struct yaml_node *node, unsigned depth)
{
    uint32_t count;

    if (!get_number(d, &count) || count > (size_t)(d->end - d->at) / NODE_MIN_BYTES ||
        (node->kind == YAML_MAPPING && count % 2 != 0))
        return false;
    node->len = count;
    node->items = arena_alloc(d->arena, ((size_t)count + 1) * sizeof *node->items);
    for (size_t i = 0; i < count; i++) {
        node->items[i] = get_node(d, depth + 1);
        if (node->items[i] == NULL ||
            (node->kind == YAML_MAPPING && i % 2 == 0 && node->items[i]->kind != YAML_SCALAR))
            return false;
    }
    return true;
}

static struct yaml_node *get_node(struct decoder *d, unsigned depth)
{
    struct yaml_node *node;
    uint32_t line, column;
    unsigned head;

    if (depth > YAML_MAX_DEPTH || d->at == d->end || d->nodes++ > YAML_MAX_NODES)
        return NULL;
    head = (unsigned char)*d->at++;
    if (head > (KIND_MASK | IS_PLAIN | HAS_TAG) || (head & KIND_MASK) > YAML_MAPPING ||
        !get_number(d, &line) || !get_number(d, &column))
        return NULL;
    node = arena_alloc(d->arena, sizeof *node);
    node->kind = (enum yaml_kind)(head & KIND_MASK);
    node->is_plain = (head & IS_PLAIN) != 0;
    node->line = (int)line;
    node->column = (int)column;
    node->file = d->file;
    if ((head & HAS_TAG) && !get_text(d, &node->tag))
        return NULL;
    if (node->kind == YAML_SCALAR ? !get_text(d, &node->text) : !get_items(d, node, depth))
        return NULL;
    return node;
}

struct yaml_node *tree_decode(struct arena *arena, const char *bytes, size_t n, const char *file)
{
    struct decoder d = {.arena = arena, .at = bytes, .end = bytes + n, .file = file};
    struct yaml_node *root = get_node(&d, 0);

    return d.at == d.end ? root : NULL;
}
