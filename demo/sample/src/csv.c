#include "textkit.h"

void csv_quote(const char *text, char *out, size_t size)
{
    size_t n = 0;

    if (size < 3) {
        if (size > 0)
            out[0] = '\0';
        return;
    }
    out[n++] = '"';
    for (; *text != '\0' && n + 2 < size; text++)
        out[n++] = *text;
    out[n++] = '"';
    out[n] = '\0';
}
