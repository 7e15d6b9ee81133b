#include "check.h"
#include "textkit.h"

int main(void)
{
    check("words_of_a_sentence", words_count("to be or not") == 4);
    check("words_with_several_blanks", words_count("  a   b ") == 2);
    check("words_of_nothing", words_count("") == 0);
    return failures != 0;
}
