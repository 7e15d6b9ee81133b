#include <stdio.h>
int main(void)
{
    puts("cadre");
    return 0;
}
