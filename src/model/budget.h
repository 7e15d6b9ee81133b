/* model/budget.h: what a run, and each part of it, may spend: tokens, money, requests.
 *
 * Budgets form a tree: a reservation is made in a budget and in all above it, so that the children of a run
 * share what the run has. Each request reserves its worst case before it is sent and is settled exactly
 * afterwards; so the sum of what is spent never passes a limit. */
#ifndef CADRE_MODEL_BUDGET_H
#define CADRE_MODEL_BUDGET_H

#include "base/error.h"
#include "model/usage.h"

#include <stdbool.h>
#include <stdint.h>

struct budget;

struct budget_limits {  /* 0: no limit */
    int64_t max_tokens; /* input and output together */
    int64_t max_cost_microusd;
    int64_t max_requests;
};

/* NAME is what an error calls it ("the run", "task T1"). PARENT may be NULL; it must outlive the child. */
struct budget *budget_create(const char *name, struct budget *parent, const struct budget_limits *limits);
void budget_destroy(struct budget *budget); /* NULL is fine; its spending stays counted above */

/* Other limits from now on (`cadre resume --max-cost`). */
void budget_set_limits(struct budget *budget, const struct budget_limits *limits);
/* What was spent before (a resumed run): added here, not above. */
void budget_restore(struct budget *budget, const struct usage *spent);

struct usage budget_spent(const struct budget *budget);
struct budget_limits budget_limits(const struct budget *budget);
/* Is so much spent that no request fits any more? */
bool budget_is_exhausted(const struct budget *budget);
/* Called after each settlement, for the event budget.updated. */
void budget_on_change(struct budget *budget, void (*cb)(void *data, const struct budget *budget), void *data);

struct budget_reservation { /* zeroed: none */
    struct budget *budget;
    int64_t tokens;
    int64_t cost_microusd;
};

enum budget_answer {
    BUDGET_GRANTED,
    BUDGET_LATER,  /* fits once requests that are under way have been settled: ask again */
    BUDGET_REFUSED /* ERR says which limit; model_error_is_budget() */
};

/* Reserves one request of TOKENS and COST. BUDGET NULL grants. */
enum budget_answer budget_reserve(struct budget *budget, int64_t tokens, int64_t cost_microusd,
                                  struct budget_reservation *reservation, struct error *err);
/* Replaces the reservation by what was really used (requests counts as in USAGE). */
void budget_settle(struct budget_reservation *reservation, const struct usage *usage);
/* Tokens that could be reserved now; INT64_MAX without a limit. */
int64_t budget_tokens_left(const struct budget *budget);
/* Does a limit on money hold here or above? */
bool budget_limits_cost(const struct budget *budget);

#endif
