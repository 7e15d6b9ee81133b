/* model/price.h: what models cost and how much they take: a table of defaults that `[models.<name>]` of
 * cadre.toml overrides. Money is counted in millionths of a US dollar. */
#ifndef CADRE_MODEL_PRICE_H
#define CADRE_MODEL_PRICE_H

#include "model/usage.h"

#include <stdbool.h>
#include <stdint.h>

struct model_price { /* a million tokens, in micro-dollars; also limits, 0: not known */
    int64_t input_microusd;
    int64_t cached_input_microusd;
    int64_t cache_write_microusd;
    int64_t output_microusd;
    int64_t context_window;
    int64_t max_output_tokens;
};

struct config;
struct price_table;
struct price_table *price_table_create(void);
/* With the overrides of [models.<name>] in CONFIG. */
struct price_table *price_table_load(const struct config *config);
void price_table_destroy(struct price_table *table);
/* Overrides MODEL. Copied. Negative members are taken from the default of that model, if there is one. */
void price_table_set(struct price_table *table, const char *model, const struct model_price *price);

/* The price of MODEL: an override, else the default of the same name without its date; false when there is
 * none. TABLE NULL: defaults alone. */
bool price_lookup(const struct price_table *table, const char *model, struct model_price *out);
/* Is MODEL overridden in TABLE? */
bool price_is_override(const struct price_table *table, const char *model);

int64_t price_cost_microusd(const struct model_price *price, const struct usage *usage);

#endif
