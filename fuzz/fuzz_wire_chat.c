/* The stream reader of the "chat" wire API on any bytes. The first byte chooses the cuts. */
#include "model/wire.h"

#include <stddef.h>
#include <stdint.h>

static void on_delta(void *data, const char *text, size_t n)
{
    (void)data;
    (void)text;
    (void)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader *reader;
    size_t step, at;

    if (size == 0)
        return 0;
    step = data[0] % 32 + 1U;
    reader = wire_reader_create(&wire_chat, "p", data[0] & 128 ? on_delta : NULL, NULL);
    for (at = 1; at < size; at += step)
        wire_reader_feed(reader, (const char *)data + at, size - at < step ? size - at : step);
    wire_reader_end(reader);
    wire_reader_destroy(reader);
    return 0;
}
