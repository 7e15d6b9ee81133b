/* tool/truncate.h: output cut in the middle to a token budget, so that head and tail both stay. */
#ifndef CADRE_TOOL_TRUNCATE_H
#define CADRE_TOOL_TRUNCATE_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/* Appends TEXT with at most MAX_TOKENS tokens (four bytes each), cut at line ends where that is near; what is left out is
 * counted in a line of its own. Invalid UTF-8 is repaired. */
void truncate_middle(struct buf *out, const char *text, size_t n, int64_t max_tokens);

#endif
