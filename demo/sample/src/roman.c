#include "textkit.h"

int roman_write(unsigned n, char *out, size_t size)
{
    static const struct {
        unsigned value;
        char letter;
    } letters[] = {{1000, 'M'}, {500, 'D'}, {100, 'C'}, {50, 'L'}, {10, 'X'}, {5, 'V'}, {1, 'I'}};
    size_t used = 0;

    if (n == 0 || n > 3999)
        return -1;
    for (size_t i = 0; i < 7; i++) {
        for (; n >= letters[i].value; n -= letters[i].value) {
            if (used + 1 >= size)
                return -1;
            out[used++] = letters[i].letter;
        }
    }
    out[used] = '\0';
    return 0;
}
