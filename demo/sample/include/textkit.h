/* textkit: small functions on text. */
#ifndef TEXTKIT_H
#define TEXTKIT_H

#include <stddef.h>

/* Number of words: runs of characters that are no white space. */
size_t words_count(const char *text);

/* Number of lines; a last line without a newline counts. */
size_t lines_count(const char *text);

/* Lower-case letters and digits with single dashes between; never more than SIZE bytes with the NUL. */
void slug_make(const char *text, char *out, size_t size);

/* TEXT as a quoted CSV field, quotes doubled; never more than SIZE bytes with the NUL. */
void csv_quote(const char *text, char *out, size_t size);

/* Roman numeral of N (1 to 3999). 0, or -1 when N or SIZE does not allow it. */
int roman_write(unsigned n, char *out, size_t size);

#endif
