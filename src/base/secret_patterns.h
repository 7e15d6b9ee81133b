/* base/secret_patterns.h: credentials recognised by their form, in text of any kind.
 *
 * A form is a fixed beginning with the alphabet and length of what follows, or a context (the password of a URL, the
 * token of an Authorization header, a private key's block, a long random value that is assigned to a name such as
 * API_KEY). Placeholders ("xxxx", "example", one character repeated) do not count. Used where text leaves the program
 * (base/redact) and where it would enter a repository (team/builtin_checks). */
#ifndef CADRE_BASE_SECRET_PATTERNS_H
#define CADRE_BASE_SECRET_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

struct secret_match {
    const char *kind;  /* "AWS access key", ...; static */
    size_t start, end; /* the secret itself */
};

/* The kind of the first credential in TEXT, or NULL. Static. */
const char *secret_find(const char *text, size_t n);

/* Does a credential's form begin at AT (the fixed beginning, not always the secret)? LOOSE ignores what stands before
 * AT, for text with escapes whose real neighbours are not known. */
bool secret_match_at(const char *text, size_t n, size_t at, bool loose, struct secret_match *match);

/* Could the text from AT to its end become a credential if more came? For text that comes in pieces. */
bool secret_is_open(const char *text, size_t n, size_t at);

/* The fixed beginnings, at least three bytes each, by index; NULL after the last. */
const char *secret_beginning(size_t index);

/* How many kinds are told apart. */
size_t secret_kind_count(void);

#endif
