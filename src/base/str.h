/* base/str.h: small string questions and a list of owned strings. */
#ifndef CADRE_BASE_STR_H
#define CADRE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL equals only NULL. */
bool str_eq(const char *a, const char *b);
bool str_starts_with(const char *s, const char *prefix);
bool str_ends_with(const char *s, const char *suffix);
bool str_is_empty(const char *s); /* NULL or "" */

/* Cuts white space off both ends in place; returns the new start within S. */
char *str_trim(char *s);

/* Whole-string decimal number within [min, max]; false leaves *OUT alone. */
bool str_to_int64(const char *s, int64_t min, int64_t max, int64_t *out);
bool str_to_double(const char *s, double *out);

/* Levenshtein distance, for "did you mean"; strings over 64 bytes count as far. */
unsigned str_distance(const char *a, const char *b);

/* The nearest of the NULL-terminated CANDIDATES within a third of the word's length, or NULL. */
const char *str_nearest(const char *word, const char *const *candidates);

/* An ordered list of owned strings. Zeroed memory is an empty list. `items` is NULL-terminated once
 * anything was added. */
struct str_list {
    char **items;
    size_t len;
    size_t cap;
};

void str_list_add(struct str_list *list, const char *s);          /* copies */
void str_list_take(struct str_list *list, char *s);               /* takes ownership */
bool str_list_has(const struct str_list *list, const char *s);
void str_list_remove(struct str_list *list, size_t index);
void str_list_copy(struct str_list *to, const struct str_list *from); /* appends copies */
void str_list_finish(struct str_list *list);

/* Splits at each SEPARATOR character; empty parts are kept. Appends to LIST. */
void str_split(struct str_list *list, const char *s, char separator);

/* Joins with SEPARATOR; caller frees. */
char *str_list_join(const struct str_list *list, const char *separator);

/* 64-bit FNV-1a, for hash tables and fingerprints (not for security). */
uint64_t str_hash(const void *bytes, size_t n);

#endif
