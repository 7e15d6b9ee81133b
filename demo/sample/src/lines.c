#include "textkit.h"

size_t lines_count(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        if (*text == '\n')
            n++;
    return n;
}
