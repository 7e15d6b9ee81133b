#include "check.h"
#include "textkit.h"

#include <string.h>

int main(void)
{
    char out[32];

    check("roman_14", roman_write(14, out, sizeof out) == 0 && strcmp(out, "XIV") == 0);
    check("roman_1999", roman_write(1999, out, sizeof out) == 0 && strcmp(out, "MCMXCIX") == 0);
    check("roman_refuses_0", roman_write(0, out, sizeof out) == -1);
    return failures != 0;
}
