/* fuzz/fuzz_sse.c: a stream of events, cut where the first byte says; both cuts must give the same events. */
#include "io/sse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_event(void *user, const char *event, const char *data, size_t data_len)
{
    buf_append(user, event, strlen(event));
    buf_putc(user, '|');
    buf_append(user, data, data_len);
    buf_putc(user, '\n');
    return true;
}

static int parse(const char *bytes, size_t n, size_t step, struct buf *out)
{
    struct sse_parser p;
    int rc = 0;

    sse_parser_init(&p, 4096, on_event, out);
    for (size_t at = 0; at < n && rc == 0; at += step)
        rc = sse_parser_feed(&p, bytes + at, n - at < step ? n - at : step, NULL);
    sse_parser_finish(&p);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = BUF_INIT;
    struct buf cut = BUF_INIT;
    int rc;

    if (size < 2)
        return 0;
    rc = parse((const char *)data + 1, size - 1, size, &whole);
    if (parse((const char *)data + 1, size - 1, (size_t)(data[0] % 7) + 1, &cut) == 0 && rc == 0 &&
        (whole.len != cut.len || (whole.len > 0 && memcmp(whole.data, cut.data, whole.len) != 0)))
        abort();
    buf_free(&whole);
    buf_free(&cut);
    return 0;
}
