/* base/clock.c: see clock.h. */
#include "base/clock.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t (*source)(void *data);
static void *source_data;

static int64_t read_clock_us(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t fixed_now_ms(void *data)
{
    int64_t *now = data;

    return (*now)++;
}

/* CADRE_TEST_CLOCK_JUMP=SECONDS:CALLS: after so many looks the wall clock stands so much further on (or back). */
static int64_t jump_ms(void)
{
#ifdef CADRE_TEST_HOOKS
    static int64_t seconds, calls, looked;

    if (looked++ == 0) {
        const char *text = getenv("CADRE_TEST_CLOCK_JUMP"), *colon = text == NULL ? NULL : strchr(text, ':');
        char *first = colon == NULL ? NULL : xstrndup(text, (size_t)(colon - text));

        if (first == NULL || !str_to_int64(first, -(1LL << 40), 1LL << 40, &seconds) || !str_to_int64(colon + 1, 0, 1LL << 40, &calls))
            seconds = 0;
        free(first);
    }
    return looked > calls ? seconds * 1000 : 0;
#else
    return 0;
#endif
}

int64_t clock_wall_ms(void)
{
    static int64_t fixed_ms;
    static bool asked;

    if (source == NULL && !asked) {
        int64_t seconds;

        asked = true;
        if (str_to_int64(getenv("CADRE_FIXED_TIME"), 0, 1LL << 40, &seconds)) {
            fixed_ms = seconds * 1000;
            clock_set_source(fixed_now_ms, &fixed_ms);
        }
    }
    return source != NULL ? source(source_data) : read_clock_us(CLOCK_REALTIME) / 1000 + jump_ms();
}

int64_t clock_monotonic_ms(void)
{
    return read_clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void)
{
    return read_clock_us(CLOCK_MONOTONIC);
}

void clock_set_source(int64_t (*now_ms)(void *data), void *data)
{
    source = now_ms;
    source_data = data;
}

void clock_format_utc(int64_t wall_ms, char text[CLOCK_TEXT_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    int ms = (int)(wall_ms % 1000);
    struct tm tm;
    size_t n;

    if (gmtime_r(&seconds, &tm) == NULL || ms < 0) {
        text[0] = '\0';
        return;
    }
    n = strftime(text, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + n, CLOCK_TEXT_BYTES - n, ".%03dZ", ms % 1000);
}
