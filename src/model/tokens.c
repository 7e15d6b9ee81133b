/* model/tokens.c: the local estimate of tokens. */
#include "model/tokens.h"

#define DEFAULT_BYTES_PER_TOKEN 4.0
/* Dense text (numbers, other scripts) and very regular text lie between these. */
#define MIN_BYTES_PER_TOKEN 1.0
#define MAX_BYTES_PER_TOKEN 12.0

int64_t token_estimate(const struct token_estimator *e, size_t bytes)
{
    double ratio = e->bytes_per_token > 0 ? e->bytes_per_token : DEFAULT_BYTES_PER_TOKEN;

    if (e->known_tokens > 0 && bytes >= e->known_bytes)
        return e->known_tokens + (int64_t)((double)(bytes - e->known_bytes) / ratio + 0.999);
    return (int64_t)((double)bytes / ratio + 0.999);
}

void token_estimate_correct(struct token_estimator *e, size_t bytes, int64_t tokens)
{
    double ratio;

    if (tokens <= 0 || bytes == 0)
        return;
    ratio = (double)bytes / (double)tokens;
    if (ratio < MIN_BYTES_PER_TOKEN || ratio > MAX_BYTES_PER_TOKEN)
        return;
    e->known_tokens = tokens;
    e->known_bytes = bytes;
    e->bytes_per_token = ratio;
}

int64_t token_estimate_text(size_t bytes)
{
    return (int64_t)((double)bytes / DEFAULT_BYTES_PER_TOKEN + 0.999);
}
