/* model/usage.c: adding up what requests cost. */
#include "model/usage.h"

void usage_add(struct usage *to, const struct usage *more)
{
    to->input_tokens += more->input_tokens;
    to->cached_input_tokens += more->cached_input_tokens;
    to->cache_write_input_tokens += more->cache_write_input_tokens;
    to->output_tokens += more->output_tokens;
    to->reasoning_output_tokens += more->reasoning_output_tokens;
    to->requests += more->requests;
    to->cost_microusd += more->cost_microusd;
}
