/* fuzz/fuzz_redact.c: text, whole and in pieces, as JSON and not: a registered value is never in what comes out. */
#include "base/redact.h"
#include "base/secret_patterns.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const values[] = {"known-value", "-----BEGIN known", "key: \"12345678",
                                     "value-known-value"};

static void check(const char *text, size_t n)
{
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (n > 0 && memmem(text, n, values[i], strlen(values[i])) != NULL)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1;
    struct redact_stream stream;
    struct buf out = BUF_INIT;
    size_t step, n;
    char *clean;

    if (size < 2)
        return 0;
    n = size - 1;
    step = (size_t)(data[0] % 9) + 1;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        redact_add(values[i]);
    for (int scope = REDACT_KNOWN; scope <= REDACT_ALL; scope++) {
        clean = redact_text(text, n, (enum redact_scope)scope, NULL);
        if (clean != NULL)
            check(clean, strlen(clean));
        else
            check(text, n);
        free(clean);
        redact_stream_init(&stream, (enum redact_scope)scope);
        for (size_t at = 0; at < n; at += step)
            redact_stream_feed(&stream, text + at, n - at < step ? n - at : step, &out);
        redact_stream_end(&stream, &out);
        check(buf_cstr(&out), out.len);
        buf_clear(&out);
    }
    redact_append_json(&out, text, n);
    check(buf_cstr(&out), out.len);
    buf_free(&out);
    redact_clear();
    return 0;
}
