/* tool/truncate.c: see truncate.h. */
#include "tool/truncate.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <string.h>

#define BYTES_PER_TOKEN 4

void truncate_middle(struct buf *out, const char *text, size_t n, int64_t max_tokens)
{
    size_t max_bytes = (size_t)(max_tokens < 1 ? 1 : max_tokens) * BYTES_PER_TOKEN;
    size_t head;
    size_t tail;

    if (n <= max_bytes) {
        utf8_append_repaired(out, text, n);
        return;
    }
    head = utf8_floor(text, n, max_bytes / 2);
    for (size_t back = 0; back < 200 && back < head; back++) {
        if (text[head - back - 1] == '\n') {
            head -= back;
            break;
        }
    }
    tail = n - max_bytes / 2;
    for (size_t ahead = 0; ahead < 200 && tail + ahead < n; ahead++) {
        if (text[tail + ahead - 1] == '\n') {
            tail += ahead;
            break;
        }
    }
    while (tail < n && ((unsigned char)text[tail] & 0xc0) == 0x80)
        tail++;
    utf8_append_repaired(out, text, head);
    buf_printf(out, "\n[... %zu tokens left out ...]\n", (tail - head) / BYTES_PER_TOKEN);
    utf8_append_repaired(out, text + tail, n - tail);
}
