/* base/random.c: see random.h. The generator is SplitMix64 (Steele, Lea, Flood 2014). */
#include "base/random.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t state;
static bool seeded;

void random_seed(uint64_t seed)
{
    state = seed;
    seeded = true;
}

uint64_t random_u64(void)
{
    uint64_t z;

    if (!seeded) {
        int64_t seed;

        if (str_to_int64(getenv("CADRE_SEED"), 0, INT64_MAX, &seed))
            state = (uint64_t)seed;
        else if (getrandom(&state, sizeof state, 0) != (ssize_t)sizeof state)
            state = (uint64_t)clock_monotonic_us();
        seeded = true;
    }
    state += 0x9e3779b97f4a7c15ULL;
    z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void random_key(void *out, size_t n)
{
    unsigned char *bytes = out;
    int64_t seed;

    if (!str_to_int64(getenv("CADRE_SEED"), 0, INT64_MAX, &seed) && getrandom(out, n, 0) == (ssize_t)n)
        return;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(random_u64() >> 24);
}

uint64_t random_below(uint64_t bound)
{
    uint64_t limit;
    uint64_t v;

    if (bound == 0)
        return 0;
    limit = UINT64_MAX - UINT64_MAX % bound;
    do
        v = random_u64();
    while (v >= limit);
    return v % bound;
}

void random_id(char *text, size_t n)
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789";

    for (size_t i = 0; i < n; i++)
        text[i] = letters[random_below(sizeof letters - 1)];
    text[n] = '\0';
}

void random_uuid(char text[RANDOM_UUID_BYTES])
{
    uint64_t ms = (uint64_t)clock_wall_ms() & 0xffffffffffffULL;
    uint64_t a = random_u64();
    uint64_t b = random_u64();

    (void)snprintf(text, RANDOM_UUID_BYTES, "%08x-%04x-7%03x-%04x-%012llx", (unsigned)(ms >> 16),
                   (unsigned)(ms & 0xffff), (unsigned)(a & 0xfff), (unsigned)(((a >> 12) & 0x3fff) | 0x8000),
                   (unsigned long long)(b & 0xffffffffffffULL));
}
