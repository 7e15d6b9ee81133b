/* base/str.c: see str.h. */
#include "base/str.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool str_eq(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return strcmp(a, b) == 0;
}

bool str_starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s);
    size_t m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_is_empty(const char *s)
{
    return s == NULL || s[0] == '\0';
}

char *str_trim(char *s)
{
    size_t n;

    while (isspace((unsigned char)*s))
        s++;
    n = strlen(s);
    while (n > 0 && isspace((unsigned char)s[n - 1]))
        n--;
    s[n] = '\0';
    return s;
}

bool str_to_int64(const char *s, int64_t min, int64_t max, int64_t *out)
{
    char *end = NULL;
    long long v;

    if (str_is_empty(s) || isspace((unsigned char)s[0]))
        return false;
    errno = 0;
    v = strtoll(s, &end, 10);
    if (errno != 0 || *end != '\0' || v < min || v > max)
        return false;
    *out = v;
    return true;
}

bool str_to_double(const char *s, double *out)
{
    char *end = NULL;
    double v;

    if (str_is_empty(s) || isspace((unsigned char)s[0]))
        return false;
    errno = 0;
    v = strtod(s, &end);
    if (errno != 0 || *end != '\0')
        return false;
    *out = v;
    return true;
}

unsigned str_distance(const char *a, const char *b)
{
    unsigned row[66];
    size_t n = strlen(a);
    size_t m = strlen(b);

    if (n > 64 || m > 64)
        return 1000;
    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

const char *str_nearest(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(word) / 3 + 1;

    for (size_t i = 0; candidates[i] != NULL; i++) {
        unsigned d = str_distance(word, candidates[i]);

        if (d <= best_distance && (best == NULL || d < best_distance)) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}

void str_list_take(struct str_list *list, char *s)
{
    if (list->len + 2 > list->cap) {
        list->cap = list->cap == 0 ? 8 : list->cap * 2;
        list->items = xrealloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->len++] = s;
    list->items[list->len] = NULL;
}

void str_list_add(struct str_list *list, const char *s)
{
    str_list_take(list, xstrdup(s));
}

bool str_list_has(const struct str_list *list, const char *s)
{
    for (size_t i = 0; i < list->len; i++)
        if (strcmp(list->items[i], s) == 0)
            return true;
    return false;
}

void str_list_remove(struct str_list *list, size_t index)
{
    if (index >= list->len)
        return;
    free(list->items[index]);
    memmove(list->items + index, list->items + index + 1, (list->len - index) * sizeof *list->items);
    list->len--;
}

void str_list_copy(struct str_list *to, const struct str_list *from)
{
    for (size_t i = 0; i < from->len; i++)
        str_list_add(to, from->items[i]);
}

void str_list_finish(struct str_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->len; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct str_list){0};
}

void str_split(struct str_list *list, const char *s, char separator)
{
    for (;;) {
        const char *end = strchr(s, separator);

        if (end == NULL) {
            str_list_add(list, s);
            return;
        }
        str_list_take(list, xstrndup(s, (size_t)(end - s)));
        s = end + 1;
    }
}

char *str_list_join(const struct str_list *list, const char *separator)
{
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < list->len; i++) {
        if (i > 0)
            buf_puts(&b, separator);
        buf_puts(&b, list->items[i]);
    }
    return buf_take(&b);
}

uint64_t str_hash(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t h = 1469598103934665603ULL;

    for (size_t i = 0; i < n; i++) {
        h ^= p[i];
        h *= 1099511628211ULL;
    }
    return h;
}
