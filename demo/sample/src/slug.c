#include "textkit.h"

#include <ctype.h>

void slug_make(const char *text, char *out, size_t size)
{
    size_t n = 0;

    for (; *text != '\0' && n + 1 < size; text++) {
        unsigned char c = (unsigned char)*text;

        out[n++] = isalnum(c) ? (char)c : '-';
    }
    out[n] = '\0';
}
