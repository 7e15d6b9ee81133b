/* The limiter alone, and many threads against a mock that allows R requests a second. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "base/str.h"
#include "io/http_client.h"
#include "io/loop.h"
#include "model/client.h"
#include "model/limiter.h"
#include "model/mock_script.h"
#include "model/mock_server.h"
#include "model/provider.h"

#include <stdlib.h>
#include <string.h>

/* --- Order -------------------------------------------------------------------------------------------- */

struct waiter {
    struct limiter_slot *slot;
    const char *name;
    struct buf *order;
};

static void admitted(void *data)
{
    struct waiter *w = data;

    buf_puts(w->order, w->name);
}

static void priorities_and_threads_take_turns(void **state)
{
    struct loop *loop = loop_create();
    struct limiter *l = limiter_create(loop, "p");
    struct buf order = BUF_INIT;
    struct waiter w[] = {{NULL, "A", &order}, {NULL, "A", &order}, {NULL, "A", &order},
                         {NULL, "B", &order}, {NULL, "B", &order}, {NULL, "H", &order}};
    struct limiter_slot *first[64];
    struct waiter filler = {NULL, "", &order};
    unsigned window = limiter_state(l).window;

    (void)state;
    for (unsigned i = 0; i < window; i++)
        first[i] = limiter_acquire(l, CALL_PRIORITY_NORMAL, NULL, admitted, &filler);
    while (limiter_state(l).in_flight < window)
        loop_run_once(loop, true);
    for (int i = 0; i < 6; i++)
        w[i].slot = limiter_acquire(l, i == 5 ? CALL_PRIORITY_HIGH : CALL_PRIORITY_NORMAL, w[i].name,
                                    admitted, &w[i]);
    for (unsigned i = 0; i < 6; i++) {
        limiter_release(first[i], LIMITER_DONE, -1);
        while (order.len < i + 1)
            loop_run_once(loop, true);
    }
    /* The high one first; then A and B in turn although A came first with all of its own. */
    assert_string_equal(order.data, "HABABA");
    for (unsigned i = 6; i < window; i++)
        limiter_release(first[i], LIMITER_DONE, -1);
    for (int i = 0; i < 6; i++)
        limiter_release(w[i].slot, LIMITER_DONE, -1);
    limiter_destroy(l);
    loop_destroy(loop);
    buf_free(&order);
}

static struct limiter_slot *admit(struct loop *loop, struct limiter *l, struct buf *order)
{
    static struct waiter w;
    unsigned before = limiter_state(l).in_flight;
    struct limiter_slot *slot;

    w = (struct waiter){NULL, "x", order};
    slot = limiter_acquire(l, CALL_PRIORITY_NORMAL, NULL, admitted, &w);
    while (limiter_state(l).in_flight == before)
        loop_run_once(loop, true);
    return slot;
}

static void congestion_halves_once_for_all_that_was_under_way(void **state)
{
    struct loop *loop = loop_create();
    struct limiter *l = limiter_create(loop, "p");
    struct buf order = BUF_INIT;
    struct limiter_slot *slots[20];
    unsigned window;

    (void)state;
    for (int i = 0; i < 20; i++)
        slots[i] = admit(loop, l, &order);
    window = limiter_state(l).window;
    for (int i = 0; i < 10; i++)
        limiter_release(slots[i], LIMITER_OVERLOADED, 0);
    assert_int_equal(limiter_state(l).window, window / 2);
    assert_int_equal(limiter_state(l).congestions, 10);
    assert_true(limiter_state(l).requests_per_second <= 0); /* overload is no rate limit */
    for (int i = 10; i < 20; i++)
        limiter_release(slots[i], LIMITER_DONE, -1);
    limiter_destroy(l);
    loop_destroy(loop);
    buf_free(&order);
}

static const char *fake_header(const void *data, const char *name)
{
    const char *const *pairs = data;

    for (; *pairs != NULL; pairs += 2)
        if (strcmp(pairs[0], name) == 0)
            return pairs[1];
    return NULL;
}

static void exhausted_headers_pause_until_the_reset(void **state)
{
    static const char *const openai[] = {"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests",
                                         "2s", NULL};
    static const char *const anthropic[] = {"anthropic-ratelimit-tokens-remaining", "0",
                                            "anthropic-ratelimit-tokens-reset", "2199-01-01T00:00:00Z", NULL};
    static const char *const fine[] = {"x-ratelimit-remaining-requests", "5", "x-ratelimit-reset-requests",
                                       "9s", NULL};
    struct loop *loop = loop_create();
    struct limiter *l = limiter_create(loop, "p");

    (void)state;
    limiter_note_headers(l, fake_header, fine);
    assert_int_equal(limiter_state(l).paused_ms, 0);
    limiter_note_headers(l, fake_header, openai);
    assert_in_range(limiter_state(l).paused_ms, 1500, 2000);
    limiter_note_headers(l, fake_header, anthropic);
    assert_in_range(limiter_state(l).paused_ms, 55000, 60000); /* never trusted for longer than a minute */
    limiter_destroy(l);
    loop_destroy(loop);
}

static void what_was_learnt_is_kept(void **state)
{
    struct error err = {0};
    char *folder = file_make_temporary_directory("cadre-limiter", &err);
    char *path = xasprintf("%s/limiter.json", folder);
    struct loop *loop = loop_create();
    struct limiter *l = limiter_create(loop, "p");
    struct buf order = BUF_INIT;
    struct limiter_state learnt;

    (void)state;
    limiter_persist(l, path);
    limiter_release(admit(loop, l, &order), LIMITER_RATE, 100);
    learnt = limiter_state(l);
    assert_true(learnt.requests_per_second > 9 && learnt.requests_per_second < 11);
    assert_int_not_equal(limiter_propose_max_threads(l), 0);
    limiter_destroy(l);
    l = limiter_create(loop, "p");
    assert_int_equal(limiter_propose_max_threads(l), 0);
    limiter_persist(l, path);
    assert_int_equal(limiter_state(l).window, learnt.window);
    assert_true(limiter_state(l).requests_per_second > 9);
    limiter_destroy(l);
    l = limiter_create(loop, "other");
    limiter_persist(l, path);
    assert_true(limiter_state(l).requests_per_second <= 0);
    limiter_destroy(l);
    loop_destroy(loop);
    file_remove_tree(folder, NULL);
    free(path);
    free(folder);
    buf_free(&order);
}

/* --- A rate limit under load -------------------------------------------------------------------------- */

#define THREADS       8
#define REQUESTS_EACH 20
#define RATE          25
#define BURST         3

struct crowd;
struct member {
    struct crowd *crowd;
    struct conversation *conversation;
    char name[16];
    int done;
};

struct crowd {
    struct loop *loop;
    struct http_client *http;
    struct provider *provider;
    struct mock_server *server;
    struct member members[THREADS];
    int done, lost;
    int64_t settled_total, settled_refused; /* counts at the middle of the work */
};

static void start_next(struct member *m);

static void on_done(void *data, const struct usage *usage, const char *reason, const struct error *err)
{
    struct member *m = data;
    struct crowd *c = m->crowd;

    (void)usage;
    (void)reason;
    c->done++;
    c->lost += err != NULL;
    if (err != NULL)
        print_message("lost: %s\n", err->text);
    if (c->done == THREADS * REQUESTS_EACH / 4) {
        c->settled_total = mock_server_answered(c->server, 0);
        c->settled_refused = mock_server_answered(c->server, 429);
    }
    if (++m->done < REQUESTS_EACH)
        start_next(m);
}

static void start_next(struct member *m)
{
    const struct model_call_options options = {.model = "m", .thread_id = m->name};
    const struct model_call_events events = {.on_done = on_done};
    struct crowd *c = m->crowd;

    conversation_add_message(m->conversation, MESSAGE_USER, "next");
    model_call_start(c->loop, c->http, c->provider, m->conversation, &options, &events, m);
}

static void a_rate_limit_is_found_and_kept(void **state)
{
    char *script = xasprintf(
        "{\"limits\":{\"requests_per_second\":%d,\"burst\":%d},\"rules\":[{\"reply\":{\"message\":\"x\"}}]}",
        RATE, BURST);
    struct crowd c = {0};
    struct error err = {0};
    int64_t start, elapsed, refused, total;
    double ideal_ms = (THREADS * REQUESTS_EACH - 1) * 1000.0 / RATE, share;

    (void)state;
    random_seed(3);
    c.loop = loop_create();
    c.http = http_client_create(c.loop);
    c.server = mock_server_start(c.loop, mock_script_parse(script, strlen(script), "s", &err), 0, &err);
    assert_non_null(c.server);
    c.provider = provider_create_simple(c.loop, "mock", mock_server_base_url(c.server), WIRE_RESPONSES, NULL);
    start = clock_monotonic_ms();
    for (int i = 0; i < THREADS; i++) {
        struct member *m = &c.members[i];

        m->crowd = &c;
        snprintf(m->name, sizeof m->name, "t%d", i);
        m->conversation = conversation_create(WIRE_RESPONSES, NULL, NULL, m->name);
        start_next(m);
    }
    while (c.done < THREADS * REQUESTS_EACH && loop_run_once(c.loop, true))
        ;
    elapsed = clock_monotonic_ms() - start;
    refused = mock_server_answered(c.server, 429) - c.settled_refused;
    total = mock_server_answered(c.server, 0) - c.settled_total;
    share = (double)refused / (double)total;
    print_message(
        "%d requests at %d/s: %.2f of the ideal %.0f ms; answered 429: %lld in all, %.1f %% after settling; "
        "window %u, %.1f requests/s, proposes %u threads\n",
        THREADS * REQUESTS_EACH, RATE, (double)elapsed / ideal_ms, ideal_ms,
        (long long)mock_server_answered(c.server, 429), share * 100,
        limiter_state(provider_limiter(c.provider)).window,
        limiter_state(provider_limiter(c.provider)).requests_per_second,
        limiter_propose_max_threads(provider_limiter(c.provider)));
    assert_int_equal(c.done, THREADS * REQUESTS_EACH);
    assert_int_equal(c.lost, 0);
    assert_true((double)elapsed <= ideal_ms * 1.3);
    assert_true(share <= 0.05);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(c.members[i].done, REQUESTS_EACH);
        conversation_destroy(c.members[i].conversation);
    }
    provider_destroy(c.provider);
    http_client_destroy(c.http);
    mock_server_destroy(c.server);
    loop_destroy(c.loop);
    free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priorities_and_threads_take_turns),
        cmocka_unit_test(congestion_halves_once_for_all_that_was_under_way),
        cmocka_unit_test(exhausted_headers_pause_until_the_reset),
        cmocka_unit_test(what_was_learnt_is_kept),
        cmocka_unit_test(a_rate_limit_is_found_and_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
