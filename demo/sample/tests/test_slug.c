#include "check.h"
#include "textkit.h"

#include <string.h>

int main(void)
{
    char out[32];

    slug_make("Hello, World", out, sizeof out);
    check("slug_is_lower_case_with_single_dashes", strcmp(out, "hello-world") == 0);
    slug_make("abcdef", out, 4);
    check("slug_is_cut", strcmp(out, "abc") == 0);
    return failures != 0;
}
