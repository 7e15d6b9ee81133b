/* model/tokens.h: how many tokens some bytes are, guessed locally and corrected by what providers report.
 *
 * No tokenizer is shipped: models differ and change. The guess starts at 4 bytes a token and follows the
 * ratio seen in the thread's own requests, so it is good to a few percent from the second turn on. */
#ifndef CADRE_MODEL_TOKENS_H
#define CADRE_MODEL_TOKENS_H

#include <stddef.h>
#include <stdint.h>

struct token_estimator {  /* zeroed memory is a fresh one */
    int64_t known_tokens; /* reported for the first known_bytes; 0: nothing reported yet */
    size_t known_bytes;
    double bytes_per_token;
};

/* Tokens of BYTES bytes in all, of which the first known_bytes have been counted by the provider. */
int64_t token_estimate(const struct token_estimator *e, size_t bytes);

/* The provider counted TOKENS for BYTES. Values that cannot be true are ignored. */
void token_estimate_correct(struct token_estimator *e, size_t bytes, int64_t tokens);

/* A text on its own, without history. */
int64_t token_estimate_text(size_t bytes);

#endif
