/* base/fence.c: see fence.h. The keyed hash is SipHash-2-4 (Aumasson, Bernstein 2012). */
#include "base/fence.h"

#include "base/buf.h"
#include "base/random.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SOURCE_MAX_BYTES 120

static uint64_t key[2];
static bool has_key;

void fence_reset(void)
{
    has_key = false;
}

static uint64_t rotated(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[0] = rotated(v[0], 32);
    v[2] += v[3];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[2] = rotated(v[2], 32);
}

static uint64_t keyed_hash(const char *text, size_t n)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL,
                     key[0] ^ 0x6c7967656e657261ULL, key[1] ^ 0x7465646279746573ULL};
    uint64_t word;
    size_t at;

    for (at = 0; at + 8 <= n; at += 8) {
        memcpy(&word, text + at, 8);
        v[3] ^= word;
        mix(v);
        mix(v);
        v[0] ^= word;
    }
    word = (uint64_t)n << 56;
    for (size_t i = 0; at + i < n; i++)
        word |= (uint64_t)(unsigned char)text[at + i] << 8 * i;
    v[3] ^= word;
    mix(v);
    mix(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void append_source(struct buf *out, const char *source)
{
    size_t n = utf8_floor(source, strlen(source), SOURCE_MAX_BYTES);

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)source[i];

        buf_putc(out, c < 0x20 || c == 0x7f || c == '"' || c == '<' || c == '>' ? ' ' : source[i]);
    }
}

void fence_append(struct buf *out, const char *source, const char *text, size_t n)
{
    struct buf clean = BUF_INIT;
    uint64_t mark;

    if (!has_key) {
        random_key(key, sizeof key);
        has_key = true;
    }
    append_source(&clean, source);
    buf_puts(out, "<data source=\"");
    buf_append(out, clean.data, clean.len);
    buf_putc(&clean, '\n');
    utf8_append_repaired(&clean, text, n);
    mark = keyed_hash(clean.data, clean.len) % 1000000000000ULL;
    buf_printf(out, "\" mark=\"%012" PRIu64 "\">", mark);
    buf_append(out, strchr(clean.data, '\n'), clean.len - (size_t)(strchr(clean.data, '\n') - clean.data));
    if (out->data[out->len - 1] != '\n')
        buf_putc(out, '\n');
    buf_printf(out, "</data mark=\"%012" PRIu64 "\">\n", mark);
    buf_free(&clean);
}
