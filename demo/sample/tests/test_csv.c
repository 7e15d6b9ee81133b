#include "check.h"
#include "textkit.h"

#include <string.h>

int main(void)
{
    char out[32];

    csv_quote("plain", out, sizeof out);
    check("csv_plain", strcmp(out, "\"plain\"") == 0);
    csv_quote("a\"b", out, sizeof out);
    check("csv_doubles_quotes", strcmp(out, "\"a\"\"b\"") == 0);
    return failures != 0;
}
