/* ci/sha256.h: SHA-256 (FIPS 180-4), for hashFiles() and cache keys. */
#ifndef CADRE_CI_SHA256_H
#define CADRE_CI_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES      32
#define SHA256_TEXT_BYTES 65

struct sha256 {
    uint32_t state[8];
    uint64_t length;
    unsigned char block[64];
    size_t used;
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *bytes, size_t n);
void sha256_finish(struct sha256 *s, unsigned char digest[SHA256_BYTES]);
void sha256_finish_text(struct sha256 *s, char text[SHA256_TEXT_BYTES]);
void sha256_once(const void *bytes, size_t n, unsigned char digest[SHA256_BYTES]);

/* Adds a text with its NUL, so that "a" "bc" and "ab" "c" differ. NULL is an empty text. */
void sha256_update_text(struct sha256 *s, const char *text);

#endif
