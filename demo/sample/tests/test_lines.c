#include "check.h"
#include "textkit.h"

int main(void)
{
    check("lines_with_newline", lines_count("a\nb\n") == 2);
    check("lines_without_last_newline", lines_count("a\nb") == 2);
    return failures != 0;
}
