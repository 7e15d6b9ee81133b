/* model/budget.c: spent and reserved amounts along a path of budgets. */
#include "model/budget.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdlib.h>

struct budget {
    char *name;
    struct budget *parent;
    struct budget_limits limits;
    struct usage spent;
    int64_t reserved_tokens;
    int64_t reserved_cost_microusd;
    int64_t reserved_requests;
    void (*on_change)(void *data, const struct budget *budget);
    void *change_data;
};

struct budget *budget_create(const char *name, struct budget *parent, const struct budget_limits *limits)
{
    struct budget *b = xcalloc(1, sizeof *b);

    b->name = xstrdup(name);
    b->parent = parent;
    if (limits != NULL)
        b->limits = *limits;
    return b;
}

void budget_destroy(struct budget *b)
{
    if (b == NULL)
        return;
    free(b->name);
    free(b);
}

void budget_set_limits(struct budget *b, const struct budget_limits *limits)
{
    b->limits = *limits;
}

void budget_restore(struct budget *b, const struct usage *spent)
{
    usage_add(&b->spent, spent);
}

struct usage budget_spent(const struct budget *b)
{
    return b->spent;
}

struct budget_limits budget_limits(const struct budget *b)
{
    return b->limits;
}

void budget_on_change(struct budget *b, void (*cb)(void *data, const struct budget *budget), void *data)
{
    b->on_change = cb;
    b->change_data = data;
}

static int64_t spent_tokens(const struct budget *b)
{
    return b->spent.input_tokens + b->spent.output_tokens;
}

bool budget_is_exhausted(const struct budget *b)
{
    for (; b != NULL; b = b->parent)
        if ((b->limits.max_tokens > 0 && spent_tokens(b) >= b->limits.max_tokens) ||
            (b->limits.max_cost_microusd > 0 && b->spent.cost_microusd >= b->limits.max_cost_microusd) ||
            (b->limits.max_requests > 0 && b->spent.requests >= b->limits.max_requests))
            return true;
    return false;
}

int64_t budget_tokens_left(const struct budget *b)
{
    int64_t left = INT64_MAX;

    for (; b != NULL; b = b->parent)
        if (b->limits.max_tokens > 0) {
            int64_t here = b->limits.max_tokens - spent_tokens(b) - b->reserved_tokens;

            left = here < left ? here : left;
        }
    return left < 0 ? 0 : left;
}

bool budget_limits_cost(const struct budget *b)
{
    for (; b != NULL; b = b->parent)
        if (b->limits.max_cost_microusd > 0)
            return true;
    return false;
}

/* One limit: does WANTED fit beside what is spent, and beside what is reserved? */
static enum budget_answer check(int64_t limit, int64_t spent, int64_t reserved, int64_t wanted)
{
    if (limit <= 0 || wanted <= limit - spent - reserved)
        return BUDGET_GRANTED;
    return wanted <= limit - spent && reserved > 0 ? BUDGET_LATER : BUDGET_REFUSED;
}

/* What goes on: twice the limit, or what the request needs when that is more. */
static void hint_next_limit(const struct budget *b, bool by_tokens, int64_t tokens, bool by_cost, int64_t cost_microusd,
                            struct error *err)
{
    const struct budget_limits *l = &b->limits;

    if (b->parent != NULL) {
        error_hint(err, "raise the limit to go on");
    } else if (by_tokens) {
        int64_t need = spent_tokens(b) + tokens;

        error_hint(err, "`cadre resume --max-tokens %lld` goes on",
                   (long long)(need > l->max_tokens * 2 ? need : l->max_tokens * 2));
    } else if (by_cost) {
        int64_t need = b->spent.cost_microusd + cost_microusd + 5000; /* rounded to cents, not below it */

        error_hint(err, "`cadre resume --max-cost %.2f` goes on",
                   (double)(need > l->max_cost_microusd * 2 ? need : l->max_cost_microusd * 2) / 1e6);
    } else {
        error_hint(err, "raise the limit to go on");
    }
}

static enum budget_answer check_budget(const struct budget *b, int64_t tokens, int64_t cost_microusd,
                                       struct error *err)
{
    const struct budget_limits *l = &b->limits;
    enum budget_answer by_tokens = check(l->max_tokens, spent_tokens(b), b->reserved_tokens, tokens);
    enum budget_answer by_cost =
        check(l->max_cost_microusd, b->spent.cost_microusd, b->reserved_cost_microusd, cost_microusd);
    enum budget_answer by_requests = check(l->max_requests, b->spent.requests, b->reserved_requests, 1);
    enum budget_answer worst = by_tokens > by_cost ? by_tokens : by_cost;

    worst = by_requests > worst ? by_requests : worst;
    if (worst != BUDGET_REFUSED)
        return worst;
    if (by_tokens == BUDGET_REFUSED)
        error_set(err, ERROR_LIMIT,
                  "the token budget of %s is used up: %lld of %lld spent, the next request may need %lld",
                  b->name, (long long)spent_tokens(b), (long long)l->max_tokens, (long long)tokens);
    else if (by_cost == BUDGET_REFUSED)
        error_set(err, ERROR_LIMIT,
                  "the money budget of %s is used up: $%.4f of $%.4f spent, the next request may cost $%.4f",
                  b->name, (double)b->spent.cost_microusd / 1e6, (double)l->max_cost_microusd / 1e6,
                  (double)cost_microusd / 1e6);
    else
        error_set(err, ERROR_LIMIT, "the request budget of %s is used up: %lld of %lld sent", b->name,
                  (long long)b->spent.requests, (long long)l->max_requests);
    hint_next_limit(b, by_tokens == BUDGET_REFUSED, tokens, by_cost == BUDGET_REFUSED, cost_microusd, err);
    if (err != NULL)
        err->os_errno = EDQUOT; /* see model_error_is_budget() */
    return worst;
}

enum budget_answer budget_reserve(struct budget *budget, int64_t tokens, int64_t cost_microusd,
                                  struct budget_reservation *reservation, struct error *err)
{
    enum budget_answer answer = BUDGET_GRANTED;

    *reservation = (struct budget_reservation){budget, tokens, cost_microusd};
    for (const struct budget *b = budget; b != NULL; b = b->parent) {
        enum budget_answer here = check_budget(b, tokens, cost_microusd, err);

        if (here == BUDGET_REFUSED)
            return here;
        answer = here > answer ? here : answer;
    }
    if (answer != BUDGET_GRANTED)
        return answer;
    for (struct budget *b = budget; b != NULL; b = b->parent) {
        b->reserved_tokens += tokens;
        b->reserved_cost_microusd += cost_microusd;
        b->reserved_requests++;
    }
    return answer;
}

void budget_settle(struct budget_reservation *reservation, const struct usage *usage)
{
    for (struct budget *b = reservation->budget; b != NULL; b = b->parent) {
        b->reserved_tokens -= reservation->tokens;
        b->reserved_cost_microusd -= reservation->cost_microusd;
        b->reserved_requests--;
        usage_add(&b->spent, usage);
    }
    for (struct budget *b = reservation->budget; b != NULL; b = b->parent)
        if (b->on_change != NULL)
            b->on_change(b->change_data, b);
    *reservation = (struct budget_reservation){0};
}
