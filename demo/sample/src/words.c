#include "textkit.h"

#include <ctype.h>

size_t words_count(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        if (isspace((unsigned char)*text))
            n++;
    return n;
}
