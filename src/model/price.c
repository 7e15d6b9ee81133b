/* model/price.c: the table of prices. */
#include "model/price.h"

#include "base/alloc.h"
#include "base/map.h"
#include "config/config.h"
#include "config/toml.h"

#include <stdlib.h>
#include <string.h>

#define USD(x) ((int64_t)((x)*1000000 + 0.5))

/* List prices of a million tokens: input, cached input, cache write, output; window; longest answer. */
static const struct {
    const char *model;
    struct model_price price;
} defaults[] = {
    {"gpt-5", {USD(1.25), USD(0.125), USD(1.25), USD(10), 400000, 128000}},
    {"gpt-5-codex", {USD(1.25), USD(0.125), USD(1.25), USD(10), 400000, 128000}},
    {"gpt-5-mini", {USD(0.25), USD(0.025), USD(0.25), USD(2), 400000, 128000}},
    {"gpt-5-nano", {USD(0.05), USD(0.005), USD(0.05), USD(0.4), 400000, 128000}},
    {"gpt-5.1", {USD(1.25), USD(0.125), USD(1.25), USD(10), 400000, 128000}},
    {"gpt-5.1-codex", {USD(1.25), USD(0.125), USD(1.25), USD(10), 400000, 128000}},
    {"gpt-5.1-codex-mini", {USD(0.25), USD(0.025), USD(0.25), USD(2), 400000, 128000}},
    {"gpt-5.2", {USD(1.75), USD(0.175), USD(1.75), USD(14), 400000, 128000}},
    {"gpt-5.2-codex", {USD(1.75), USD(0.175), USD(1.75), USD(14), 400000, 128000}},
    {"gpt-4.1", {USD(2), USD(0.5), USD(2), USD(8), 1047576, 32768}},
    {"gpt-4.1-mini", {USD(0.4), USD(0.1), USD(0.4), USD(1.6), 1047576, 32768}},
    {"claude-opus-4-6", {USD(5), USD(0.5), USD(6.25), USD(25), 200000, 128000}},
    {"claude-opus-4-5", {USD(5), USD(0.5), USD(6.25), USD(25), 200000, 64000}},
    {"claude-opus-4-1", {USD(15), USD(1.5), USD(18.75), USD(75), 200000, 32000}},
    {"claude-opus-4", {USD(15), USD(1.5), USD(18.75), USD(75), 200000, 32000}},
    {"claude-sonnet-4-6", {USD(3), USD(0.3), USD(3.75), USD(15), 200000, 64000}},
    {"claude-sonnet-4-5", {USD(3), USD(0.3), USD(3.75), USD(15), 200000, 64000}},
    {"claude-sonnet-4", {USD(3), USD(0.3), USD(3.75), USD(15), 200000, 64000}},
    {"claude-haiku-4-5", {USD(1), USD(0.1), USD(1.25), USD(5), 200000, 64000}},
};

struct price_table {
    struct map overrides; /* model -> struct model_price * */
};

/* "gpt-5" is "gpt-5-2025-08-07" too, but neither "gpt-5.5" nor "gpt-5-mini": the rest must be a date. */
static bool is_model(const char *name, const char *model)
{
    size_t n = strlen(name);

    if (strncmp(model, name, n) != 0)
        return false;
    if (model[n] == '\0' || strcmp(model + n, "-latest") == 0)
        return true;
    if (model[n] != '-' && model[n] != '@')
        return false;
    model += n + 1;
    return strlen(model) >= 8 && strspn(model, "0123456789-") == strlen(model);
}

static const struct model_price *find_default(const char *model)
{
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        if (is_model(defaults[i].model, model))
            return &defaults[i].price;
    return NULL;
}

struct price_table *price_table_create(void)
{
    struct price_table *table = xcalloc(1, sizeof *table);

    table->overrides.free_value = free;
    return table;
}

static int64_t micro_usd(const struct toml_value *entry, const char *key)
{
    double usd = toml_number(entry, key, -1);

    return usd < 0 || usd > 1e6 ? -1 : USD(usd);
}

struct price_table *price_table_load(const struct config *config)
{
    struct price_table *table = price_table_create();
    const struct toml_value *models = config_table(config, "models");

    for (size_t i = 0; models != NULL && i < models->as.table.len; i++) {
        const struct toml_value *entry = models->as.table.members[i].value;
        struct model_price price;

        if (entry->type != TOML_TABLE)
            continue;
        price = (struct model_price){
            .input_microusd = micro_usd(entry, "input_usd_per_million"),
            .cached_input_microusd = micro_usd(entry, "cached_input_usd_per_million"),
            .cache_write_microusd = micro_usd(entry, "cache_write_usd_per_million"),
            .output_microusd = micro_usd(entry, "output_usd_per_million"),
            .context_window = toml_integer(entry, "context_window", -1),
            .max_output_tokens = toml_integer(entry, "max_output_tokens", -1),
        };
        /* What a provider does not discount costs as any input. */
        if (price.cached_input_microusd < 0 && find_default(models->as.table.members[i].key) == NULL)
            price.cached_input_microusd = price.input_microusd;
        if (price.cache_write_microusd < 0 && find_default(models->as.table.members[i].key) == NULL)
            price.cache_write_microusd = price.input_microusd;
        price_table_set(table, models->as.table.members[i].key, &price);
    }
    return table;
}

void price_table_destroy(struct price_table *table)
{
    if (table == NULL)
        return;
    map_finish(&table->overrides);
    free(table);
}

void price_table_set(struct price_table *table, const char *model, const struct model_price *price)
{
    const struct model_price *base = find_default(model);
    struct model_price *own = xmalloc(sizeof *own);
    int64_t *to = &own->input_microusd;
    const int64_t *fallback = base != NULL ? &base->input_microusd : NULL;

    *own = *price;
    for (size_t i = 0; i < sizeof *own / sizeof *to; i++)
        if (to[i] < 0)
            to[i] = fallback != NULL ? fallback[i] : 0;
    map_set(&table->overrides, model, own);
}

bool price_is_override(const struct price_table *table, const char *model)
{
    return table != NULL && map_has(&table->overrides, model);
}

bool price_lookup(const struct price_table *table, const char *model, struct model_price *out)
{
    const struct model_price *found =
        price_is_override(table, model) ? map_get(&table->overrides, model) : find_default(model);

    if (found == NULL)
        return false;
    *out = *found;
    return true;
}

int64_t price_cost_microusd(const struct model_price *price, const struct usage *usage)
{
    int64_t fresh = usage->input_tokens - usage->cached_input_tokens - usage->cache_write_input_tokens;
    double cost = (double)(fresh > 0 ? fresh : 0) * (double)price->input_microusd +
                  (double)usage->cached_input_tokens * (double)price->cached_input_microusd +
                  (double)usage->cache_write_input_tokens * (double)price->cache_write_microusd +
                  (double)usage->output_tokens * (double)price->output_microusd;

    return (int64_t)(cost / 1e6 + 0.5);
}
