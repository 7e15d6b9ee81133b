/* base/random.h: random numbers for ids and jitter, from an injectable source (not for keys, random_key() apart).
 * CADRE_SEED=<number> in the environment makes the sequence repeatable. */
#ifndef CADRE_BASE_RANDOM_H
#define CADRE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_seed(uint64_t seed);
uint64_t random_u64(void);

/* N bytes for a key: from the system, or repeatable where the sequence is. */
void random_key(void *out, size_t n);

/* Even over [0, bound); 0 for bound 0. */
uint64_t random_below(uint64_t bound);

/* N lower-case letters and digits that are not mistaken for one another; TEXT holds N + 1 bytes. */
void random_id(char *text, size_t n);

/* A version-7 UUID (time-ordered; RFC 9562) in text; TEXT holds 37 bytes. */
#define RANDOM_UUID_BYTES 37
void random_uuid(char text[RANDOM_UUID_BYTES]);

#endif
