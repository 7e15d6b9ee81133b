/* model/usage.h: what a request cost, as the provider counts it. */
#ifndef CADRE_MODEL_USAGE_H
#define CADRE_MODEL_USAGE_H

#include <stdint.h>

struct usage {
    int64_t input_tokens; /* all of the prompt, cached or not */
    int64_t cached_input_tokens;
    int64_t cache_write_input_tokens;
    int64_t output_tokens; /* all of the answer, reasoning included */
    int64_t reasoning_output_tokens;
    int64_t requests;
    int64_t cost_microusd; /* 0 when no price is known */
};

void usage_add(struct usage *to, const struct usage *more);

#endif
