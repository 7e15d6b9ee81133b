/* Budgets as a tree, prices, and calls that meet a limit. */
#include "test.h"

#include "base/alloc.h"
#include "io/http_client.h"
#include "io/loop.h"
#include "model/budget.h"
#include "model/client.h"
#include "model/mock_script.h"
#include "model/mock_server.h"
#include "model/price.h"
#include "model/provider.h"

#include <stdlib.h>
#include <string.h>

static void reservations_hold_in_all_budgets_above(void **state)
{
    struct budget *run = budget_create("the run", NULL, &(struct budget_limits){.max_tokens = 1000});
    struct budget *task = budget_create("task T1", run, &(struct budget_limits){.max_tokens = 900});
    struct budget *other = budget_create("task T2", run, NULL);
    struct budget_reservation a, b, c;
    struct error err = {0};

    (void)state;
    assert_int_equal(budget_reserve(task, 600, 0, &a, &err), BUDGET_GRANTED);
    /* It would fit once the first is settled for less. */
    assert_int_equal(budget_reserve(other, 500, 0, &b, &err), BUDGET_LATER);
    assert_int_equal(budget_tokens_left(other), 400);
    budget_settle(&a, &(struct usage){.input_tokens = 300, .output_tokens = 100, .requests = 1});
    assert_int_equal(budget_reserve(other, 500, 0, &b, &err), BUDGET_GRANTED);
    assert_int_equal(budget_reserve(task, 601, 0, &c, &err), BUDGET_REFUSED);
    assert_true(model_error_is_budget(&err));
    assert_non_null(strstr(err.text, "token budget"));
    budget_settle(&b, &(struct usage){.input_tokens = 500, .requests = 1});
    assert_int_equal(budget_spent(run).input_tokens, 800);
    assert_int_equal(budget_spent(run).requests, 2);
    assert_int_equal(budget_spent(task).input_tokens, 300);
    assert_false(budget_is_exhausted(run));
    /* A resumed run with a higher limit goes on. */
    assert_int_equal(budget_reserve(run, 200, 0, &c, &err), BUDGET_REFUSED);
    budget_set_limits(run, &(struct budget_limits){.max_tokens = 2000});
    assert_int_equal(budget_reserve(run, 200, 0, &c, &err), BUDGET_GRANTED);
    budget_settle(&c, &(struct usage){0});
    budget_destroy(other);
    budget_destroy(task);
    budget_destroy(run);
}

static void prices_are_exact_and_never_guessed(void **state)
{
    struct price_table *table = price_table_create();
    struct model_price price;
    struct usage usage = {.input_tokens = 1000000, .cached_input_tokens = 400000, .output_tokens = 100000};

    (void)state;
    assert_true(price_lookup(NULL, "gpt-5", &price));
    /* 0.6 M fresh at 1.25 $, 0.4 M cached at 0.125 $, 0.1 M out at 10 $ */
    assert_int_equal(price_cost_microusd(&price, &usage), 750000 + 50000 + 1000000);
    assert_true(price_lookup(NULL, "gpt-5-2025-08-07", &price));
    assert_false(price_lookup(NULL, "gpt-5.9", &price));
    assert_false(price_lookup(NULL, "gpt-5-unheard-of", &price));
    assert_true(price_lookup(NULL, "claude-sonnet-4-5-20250929", &price));
    price_table_set(table, "gpt-5", &(struct model_price){-1, -1, -1, 7000000, -1, -1});
    assert_true(price_lookup(table, "gpt-5", &price));
    assert_int_equal(price.input_microusd, 1250000);
    assert_int_equal(price.output_microusd, 7000000);
    price_table_destroy(table);
}

struct scene {
    struct loop *loop;
    struct http_client *http;
    struct mock_server *server;
    struct provider *provider;
    struct price_table *prices;
    struct budget *budget;
    int done, refused;
    struct usage usage;
    struct error err;
};

static void on_done(void *data, const struct usage *usage, const char *reason, const struct error *err)
{
    struct scene *s = data;

    (void)reason;
    s->done++;
    usage_add(&s->usage, usage);
    if (err != NULL) {
        s->refused++;
        s->err = *err;
    }
}

static void open_scene(struct scene *s, const struct budget_limits *limits)
{
    static const char script[] = "{\"rules\":[{\"reply\":{\"message\":\"x\",\"usage\":{\"input_tokens\":1000,"
                                 "\"output_tokens\":500}}}]}";
    struct error err = {0};

    memset(s, 0, sizeof *s);
    s->loop = loop_create();
    s->http = http_client_create(s->loop);
    s->server = mock_server_start(s->loop, mock_script_parse(script, strlen(script), "s", &err), 0, &err);
    s->provider =
        provider_create_simple(s->loop, "mock", mock_server_base_url(s->server), WIRE_RESPONSES, NULL);
    s->prices = price_table_create();
    price_table_set(s->prices, "priced", &(struct model_price){2000000, 0, 0, 8000000, 0, 0});
    provider_set_prices(s->provider, s->prices);
    s->budget = budget_create("the run", NULL, limits);
}

static void close_scene(struct scene *s)
{
    provider_destroy(s->provider);
    price_table_destroy(s->prices);
    http_client_destroy(s->http);
    mock_server_destroy(s->server);
    budget_destroy(s->budget);
    loop_destroy(s->loop);
}

/* COUNT calls at once, each with a conversation of its own. */
static void run_calls(struct scene *s, int count, const char *model, int64_t max_output_tokens)
{
    const struct model_call_options options = {
        .model = model, .budget = s->budget, .max_output_tokens = max_output_tokens};
    const struct model_call_events events = {.on_done = on_done};
    struct conversation *conversations[16];

    for (int i = 0; i < count; i++) {
        conversations[i] = conversation_create(WIRE_RESPONSES, NULL, NULL, NULL);
        conversation_add_message(conversations[i], MESSAGE_USER, "go");
        model_call_start(s->loop, s->http, s->provider, conversations[i], &options, &events, s);
    }
    while (s->done < count && loop_run_once(s->loop, true))
        ;
    for (int i = 0; i < count; i++)
        conversation_destroy(conversations[i]);
}

static void the_sum_never_passes_the_limit(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, &(struct budget_limits){.max_tokens = 8000});
    run_calls(&s, 10, "m", 2500);
    /* 1,500 tokens each; the worst case of one is some 2,520: five fit, one after the other. */
    assert_int_equal(s.done, 10);
    assert_true(budget_spent(s.budget).input_tokens + budget_spent(s.budget).output_tokens <= 8000);
    assert_true(s.refused > 0 && s.refused <= 6);
    assert_true(model_error_is_budget(&s.err));
    assert_int_equal(budget_spent(s.budget).requests, 10 - s.refused);
    assert_int_equal(mock_server_answered(s.server, 200), 10 - s.refused);
    close_scene(&s);
}

static void money_is_counted_and_limited(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, &(struct budget_limits){.max_cost_microusd = 30000});
    run_calls(&s, 8, "priced", 1000);
    /* 1,000 in at 2 $ and 500 out at 8 $ a million: 6,000 micro-dollars a request. */
    assert_int_equal(s.usage.cost_microusd, 6000 * (8 - s.refused));
    assert_true(budget_spent(s.budget).cost_microusd <= 30000);
    assert_true(s.refused >= 3 && s.refused <= 5);
    assert_non_null(strstr(s.err.text, "money budget"));
    close_scene(&s);
}

static void requests_are_limited(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s, &(struct budget_limits){.max_requests = 3});
    run_calls(&s, 5, "m", 0);
    assert_int_equal(s.refused, 2);
    assert_int_equal(mock_server_answered(s.server, 0), 3);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reservations_hold_in_all_budgets_above),
        cmocka_unit_test(prices_are_exact_and_never_guessed),
        cmocka_unit_test(the_sum_never_passes_the_limit),
        cmocka_unit_test(money_is_counted_and_limited),
        cmocka_unit_test(requests_are_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
