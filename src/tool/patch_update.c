/* tool/patch_update.c: finds where the chunks of a hunk stand in a file and makes its new text; see patch.h. */
#include "tool/patch.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

/* A file as lines, each with its own end ("\n", "\r\n", "\r" or, for the last, ""). */
struct line {
    char *text;
    const char *end;
};

struct file_lines {
    struct line *items;
    size_t len;
};

struct replacement {
    size_t start;
    size_t old_count;
    const struct patch_chunk *chunk;
    size_t new_count;
};

static void split_lines(struct file_lines *lines, const struct buf *text)
{
    const char *p = buf_cstr(text);
    const char *stop = p + text->len;

    while (p < stop) {
        const char *end = p;
        const char *mark = "";

        while (end < stop && *end != '\n' && *end != '\r')
            end++;
        if (end < stop)
            mark = *end == '\n' ? "\n" : end + 1 < stop && end[1] == '\n' ? "\r\n" : "\r";
        lines->items = xrealloc(lines->items, (lines->len + 1) * sizeof *lines->items);
        lines->items[lines->len++] = (struct line){xstrndup(p, (size_t)(end - p)), mark};
        p = end + strlen(mark);
    }
}

/* The text folded as the search level wants it; caller frees. Level 3 maps Unicode dashes, quotes and spaces. */
static char *fold(const char *text, int level)
{
    struct buf b = BUF_INIT;
    char *copy = xstrdup(text);
    char *start = copy;
    size_t n;

    if (level >= 2) {
        start = str_trim(copy);
    } else if (level == 1) {
        n = strlen(copy);
        while (n > 0 && strchr(" \t\r\n\v\f", copy[n - 1]) != NULL)
            copy[--n] = '\0';
    }
    if (level < 3) {
        buf_puts(&b, start);
        free(copy);
        return buf_take(&b);
    }
    for (n = strlen(start); n > 0;) {
        uint32_t cp = 0;
        size_t len = utf8_decode(start, n, &cp);

        if (len == 0)
            len = 1;
        if ((cp >= 0x2010 && cp <= 0x2015) || cp == 0x2212)
            buf_putc(&b, '-');
        else if (cp >= 0x2018 && cp <= 0x201b)
            buf_putc(&b, '\'');
        else if (cp >= 0x201c && cp <= 0x201f)
            buf_putc(&b, '"');
        else if (cp == 0xa0 || (cp >= 0x2002 && cp <= 0x200a) || cp == 0x202f || cp == 0x205f || cp == 0x3000)
            buf_putc(&b, ' ');
        else
            buf_append(&b, start, len);
        start += len;
        n -= len;
    }
    free(copy);
    return buf_take(&b);
}

static bool same_line(const char *a, const char *b, int level)
{
    char *fa;
    char *fb;
    bool same;

    if (level == 0)
        return strcmp(a, b) == 0;
    fa = fold(a, level);
    fb = fold(b, level);
    same = strcmp(fa, fb) == 0;
    free(fa);
    free(fb);
    return same;
}

static bool matches_at(const struct file_lines *lines, size_t at, char *const *wanted, size_t n, int level)
{
    for (size_t i = 0; i < n; i++)
        if (!same_line(lines->items[at + i].text, wanted[i], level))
            return false;
    return true;
}

/* First place at or after START where the N lines stand; (size_t)-1 when nowhere. AT_END: the last that fits first. */
static size_t seek(const struct file_lines *lines, char *const *wanted, size_t n, size_t start, bool at_end)
{
    if (n == 0)
        return start;
    if (n > lines->len)
        return (size_t)-1;
    if (at_end)
        start = lines->len - n;
    for (int level = 0; level <= 3; level++)
        for (size_t at = start; at + n <= lines->len; at++)
            if (matches_at(lines, at, wanted, n, level))
                return at;
    return (size_t)-1;
}

static int find_chunk(const struct patch_chunk *chunk, const struct file_lines *lines, const char *path, size_t *cursor,
                      struct replacement *out, struct error *err)
{
    size_t old_count = chunk->old_lines.len;
    size_t new_count = chunk->new_lines.len;
    size_t at;

    if (chunk->context != NULL) {
        at = seek(lines, &chunk->context, 1, *cursor, false);
        if (at == (size_t)-1)
            return error_set(err, ERROR_PARSE, "Failed to find context '%.300s' in %s", chunk->context, path);
        *cursor = at + 1;
    }
    if (old_count == 0) {
        /* Nothing to find: at the end, before an empty last line. */
        at = lines->len;
        if (at > 0 && lines->items[at - 1].text[0] == '\0' && lines->items[at - 1].end[0] == '\0')
            at--;
        *out = (struct replacement){at, 0, chunk, new_count};
        return 0;
    }
    at = seek(lines, chunk->old_lines.items, old_count, *cursor, chunk->at_end);
    if (at == (size_t)-1 && chunk->old_lines.items[old_count - 1][0] == '\0') {
        old_count--;
        if (new_count > 0 && chunk->new_lines.items[new_count - 1][0] == '\0')
            new_count--;
        at = seek(lines, chunk->old_lines.items, old_count, *cursor, chunk->at_end);
    }
    if (at == (size_t)-1) {
        char *joined = str_list_join(&chunk->old_lines, "\n");

        error_set(err, ERROR_PARSE, "Failed to find expected lines in %s:\n%.1200s", path, joined);
        free(joined);
        return -1;
    }
    *cursor = at + old_count;
    *out = (struct replacement){at, old_count, chunk, new_count};
    return 0;
}

static int by_start(const void *a, const void *b)
{
    const struct replacement *x = a;
    const struct replacement *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

/* The chunk's new lines; those of its context keep the ends they have in the file. */
static void write_chunk(const struct file_lines *lines, const struct replacement *rep, const char *style,
                        struct buf *out)
{
    size_t old = rep->start;
    size_t new = 0;

    for (size_t i = 0; i < rep->chunk->kinds.len && new < rep->new_count; i++) {
        char kind = rep->chunk->kinds.data[i];
        const char *end = style;

        if (kind == ' ' && old < lines->len && lines->items[old].end[0] != '\0')
            end = lines->items[old].end;
        if (kind != '+')
            old++;
        if (kind == '-')
            continue;
        buf_puts(out, rep->chunk->new_lines.items[new++]);
        buf_puts(out, end);
    }
}

static void write_out(const struct file_lines *lines, const struct replacement *reps, size_t count, struct buf *out)
{
    /* New lines, and a last line that had no end, get the end of the file's first line. */
    const char *style = lines->len > 0 && lines->items[0].end[0] != '\0' ? lines->items[0].end : "\n";
    size_t at = 0;

    for (size_t r = 0; r <= count; r++) {
        size_t until = r < count ? reps[r].start : lines->len;

        for (; at < until; at++) {
            buf_puts(out, lines->items[at].text);
            buf_puts(out, lines->items[at].end[0] != '\0' ? lines->items[at].end : style);
        }
        if (r == count)
            break;
        write_chunk(lines, &reps[r], style, out);
        if (at < reps[r].start + reps[r].old_count)
            at = reps[r].start + reps[r].old_count;
    }
}

int patch_update_text(const struct patch_hunk *hunk, const char *path, const struct buf *old, struct buf *out,
                      struct error *err)
{
    struct file_lines lines = {0};
    struct replacement *reps = xcalloc(hunk->chunk_count, sizeof *reps);
    size_t cursor = 0;
    int rc = -1;

    split_lines(&lines, old);
    for (size_t i = 0; i < hunk->chunk_count; i++)
        if (find_chunk(&hunk->chunks[i], &lines, path, &cursor, &reps[i], err) < 0)
            goto out;
    qsort(reps, hunk->chunk_count, sizeof *reps, by_start);
    write_out(&lines, reps, hunk->chunk_count, out);
    rc = 0;
out:
    for (size_t i = 0; i < lines.len; i++)
        free(lines.items[i].text);
    free(lines.items);
    free(reps);
    return rc;
}
