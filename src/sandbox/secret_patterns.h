/* sandbox/secret_patterns.h: credentials recognised by their form. */
#ifndef CADRE_SANDBOX_SECRET_PATTERNS_H
#define CADRE_SANDBOX_SECRET_PATTERNS_H

#include <stddef.h>

/* The kind of the first credential in the line TEXT ("AWS access key", ...), or NULL. Static. */
const char *secret_find(const char *text, size_t n);

#endif
