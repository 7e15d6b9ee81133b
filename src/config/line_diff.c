/* config/line_diff.c: see line_diff.h. The longest common subsequence by the plain quadratic table: the inputs
 * are configuration files. */
#include "config/line_diff.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINES 3000
#define CONTEXT   2

struct edit {
    char sign; /* ' ', '-', '+' */
    const char *line;
};

/* TABLE[i][j]: the length of the longest common part of a[i..] and b[j..]. */
static uint16_t *common_lengths(const struct str_list *a, const struct str_list *b)
{
    size_t width = b->len + 1;
    uint16_t *table = xcalloc((a->len + 1) * width, sizeof *table);

    for (size_t i = a->len; i-- > 0;)
        for (size_t j = b->len; j-- > 0;) {
            uint16_t down = table[(i + 1) * width + j], right = table[i * width + j + 1];

            if (strcmp(a->items[i], b->items[j]) == 0)
                table[i * width + j] = (uint16_t)(table[(i + 1) * width + j + 1] + 1);
            else
                table[i * width + j] = down > right ? down : right;
        }
    return table;
}

static size_t make_edits(struct edit *edits, const struct str_list *a, const struct str_list *b)
{
    uint16_t *table = common_lengths(a, b);
    size_t width = b->len + 1, i = 0, j = 0, n = 0;

    while (i < a->len || j < b->len) {
        if (i < a->len && j < b->len && strcmp(a->items[i], b->items[j]) == 0) {
            edits[n++] = (struct edit){' ', a->items[i]};
            i++;
            j++;
        } else if (j == b->len || (i < a->len && table[(i + 1) * width + j] >= table[i * width + j + 1])) {
            edits[n++] = (struct edit){'-', a->items[i++]};
        } else {
            edits[n++] = (struct edit){'+', b->items[j++]};
        }
    }
    free(table);
    return n;
}

static bool is_near_change(const struct edit *edits, size_t n, size_t at)
{
    size_t from = at > CONTEXT ? at - CONTEXT : 0, to = at + CONTEXT < n ? at + CONTEXT : n - 1;

    for (size_t i = from; i <= to; i++)
        if (edits[i].sign != ' ')
            return true;
    return false;
}

void line_diff_append(struct buf *out, const char *before_name, const char *before, const char *after_name,
                      const char *after)
{
    struct str_list a = {0}, b = {0};
    struct edit *edits = NULL;
    size_t n, line = 1;
    bool was_near = false;

    str_split(&a, before, '\n');
    str_split(&b, after, '\n');
    buf_printf(out, "--- %s\n+++ %s\n", before_name, after_name);
    if (a.len > MAX_LINES || b.len > MAX_LINES) {
        buf_puts(out, "(too long to show)\n");
        goto out;
    }
    edits = xcalloc(a.len + b.len + 1, sizeof *edits);
    n = make_edits(edits, &a, &b);
    for (size_t i = 0; i < n; i++) {
        bool is_near = is_near_change(edits, n, i);

        if (is_near && !was_near)
            buf_printf(out, "@@ line %zu @@\n", line);
        if (is_near)
            buf_printf(out, "%c%s\n", edits[i].sign, edits[i].line);
        line += edits[i].sign != '+';
        was_near = is_near;
    }
out:
    free(edits);
    str_list_finish(&a);
    str_list_finish(&b);
}
