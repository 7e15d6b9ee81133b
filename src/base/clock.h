/* base/clock.h: time, from an injectable source, so that the same script gives the same run.
 *
 * CADRE_FIXED_TIME=<unix seconds> in the environment starts the wall clock there and lets every call of
 * clock_wall_ms() advance it by one millisecond (tests and replays). */
#ifndef CADRE_BASE_CLOCK_H
#define CADRE_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since the epoch. */
int64_t clock_wall_ms(void);

/* Milliseconds of a clock that never jumps; for durations and deadlines only. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

/* Replaces the wall clock (NULL restores the real one). */
void clock_set_source(int64_t (*now_ms)(void *data), void *data);

/* "2026-11-23T16:02:03.123Z"; TEXT must hold 25 bytes. */
#define CLOCK_TEXT_BYTES 25
void clock_format_utc(int64_t wall_ms, char text[CLOCK_TEXT_BYTES]);

#endif
