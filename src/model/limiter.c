/* model/limiter.c: window and rate of one provider, its queue, and what is kept for the next process. */
#include "model/limiter.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/path.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/loop.h"
#include "model/retry.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_START           32.0
#define WINDOW_MIN             1.0
#define WINDOW_MAX             4096.0
#define RATE_MIN               0.02 /* one request in 50 s */
#define RATE_MAX               10000.0
#define RATE_GROWTH_PER_S      0.02 /* in the first second after a step back, more with each further one */
#define RATE_GROWTH_MAX_PER_S  0.25
#define RATE_FAST_GROWTH_PER_S 0.5 /* until the second 429 shows the bound from above */
#define RATE_STEP_BACK         0.93
#define RATE_STEP_LEAST        0.985
#define RATE_STEP_MOST         0.85
#define RATE_MARGIN            0.98
#define LATE_MAX_US            50000 /* lateness of timers that the next requests make up for */
#define ACCEPTED_KEPT          64
#define MEASURE_SPAN_US        10000000
#define PAUSE_BASE_MS          500
#define PAUSE_CAP_MS           30000
#define HEADER_PAUSE_MAX_MS    60000
#define KEEP_LEARNT_MS         (24LL * 60 * 60 * 1000)
#define STATE_MAX_BYTES        (1 << 20)

/* What is known of one thread. Kept to the limiter's end: it is small, and the order of service needs it. */
struct turn_taker {
    uint64_t last_admission; /* its number; 0: none yet */
};

struct limiter_slot {
    struct limiter *limiter;
    enum call_priority priority;
    struct turn_taker *thread; /* NULL: a thread of its own */
    uint64_t arrival;
    bool is_admitted;
    bool is_accepted;
    int64_t admitted_us;
    void (*cb)(void *data);
    void *data;
};

struct limiter {
    struct loop *loop;
    char *name;
    char *state_path;
    double window;
    bool is_growing_fast; /* no congestion yet: one more a success */
    double shown_window;  /* at the last change that was reported */
    double rate;          /* a second; 0: no bound */
    bool rate_grows_fast;
    bool rate_was_short; /* a request waited for the rate since it last grew */
    int64_t rate_grown_us;
    int64_t next_send_us;
    int64_t pause_until_us;
    int64_t reduced_us; /* what was sent before that says nothing new */
    unsigned consecutive;
    int64_t congestions;
    int64_t accepted_us[ACCEPTED_KEPT]; /* ring of times */
    uint64_t accepted_count;
    double duration_us; /* of a request, smoothed */
    unsigned in_flight;
    struct vec waiting; /* struct limiter_slot * */
    bool is_held;
    struct map threads; /* id -> struct turn_taker *, owned */
    uint64_t sequence;
    struct timer *timer;
    int64_t timer_due_us;
    void (*on_change)(void *data, const struct limiter_state *state, const char *reason);
    void *change_data;
};

static void pump(struct limiter *l);

struct limiter *limiter_create(struct loop *loop, const char *name)
{
    struct limiter *l = xcalloc(1, sizeof *l);

    l->loop = loop;
    l->name = xstrdup(name);
    l->window = l->shown_window = WINDOW_START;
    l->is_growing_fast = true;
    l->threads.free_value = free;
    return l;
}

/* --- What is kept ------------------------------------------------------------------------------------- */

static json_t *read_state(const char *path)
{
    struct buf text = BUF_INIT;
    json_t *root = NULL;

    if (file_read(path, &text, STATE_MAX_BYTES, NULL) == 0)
        root = json_parse(buf_cstr(&text), text.len, path, NULL);
    buf_free(&text);
    if (!json_is_object(root)) {
        json_decref(root);
        root = json_object();
    }
    return root;
}

void limiter_persist(struct limiter *l, const char *path)
{
    json_t *root = read_state(path);
    const json_t *mine = json_object_get(root, l->name);
    int64_t age_ms = clock_wall_ms() - json_get_int(mine, "saved_ms", 0);
    double window = json_get_number(mine, "window", 0),
           rate = json_get_number(mine, "requests_per_second", 0);

    free(l->state_path);
    l->state_path = xstrdup(path);
    if (age_ms >= 0 && age_ms < KEEP_LEARNT_MS && window >= WINDOW_MIN && window <= WINDOW_MAX) {
        l->window = l->shown_window = window;
        l->is_growing_fast = false;
        if (rate >= RATE_MIN && rate <= RATE_MAX)
            l->rate = rate;
    }
    json_decref(root);
}

static void save(const struct limiter *l)
{
    struct error err = {0};
    struct buf text = BUF_INIT;
    json_t *root;
    char *folder;

    if (l->state_path == NULL || l->congestions == 0)
        return; /* nothing was learnt */
    folder = path_dirname(l->state_path);
    (void)file_make_directories(folder, 0700, NULL); /* the write below says what is wrong */
    free(folder);
    root = read_state(l->state_path);
    json_object_set_new(root, l->name,
                        json_pack("{s:f, s:f, s:I}", "window", l->window, "requests_per_second", l->rate,
                                  "saved_ms", (json_int_t)clock_wall_ms()));
    json_append_value(&text, root);
    buf_putc(&text, '\n');
    if (file_write_atomic(l->state_path, text.data, text.len, 0600, &err) < 0)
        log_debug("limiter: %s", err.text);
    buf_free(&text);
    json_decref(root);
}

void limiter_destroy(struct limiter *l)
{
    if (l == NULL)
        return;
    assert(l->waiting.len == 0 && l->in_flight == 0);
    save(l);
    timer_cancel(l->timer);
    vec_finish(&l->waiting);
    map_finish(&l->threads);
    free(l->state_path);
    free(l->name);
    free(l);
}

/* --- The queue ---------------------------------------------------------------------------------------- */

static void on_timer(void *data)
{
    struct limiter *l = data;

    l->timer = NULL;
    pump(l);
}

static void pump_at(struct limiter *l, int64_t due_us)
{
    int64_t now = clock_monotonic_us();

    if (l->timer != NULL && l->timer_due_us <= due_us)
        return;
    timer_cancel(l->timer);
    l->timer_due_us = due_us;
    l->timer = timer_start(l->loop, due_us <= now ? 0 : (uint64_t)(due_us - now + 999) / 1000, on_timer, l);
}

static uint64_t last_served(const struct limiter_slot *slot)
{
    return slot->thread != NULL ? slot->thread->last_admission : 0;
}

static struct turn_taker *find_thread(struct limiter *l, const char *id)
{
    struct turn_taker *thread;

    if (id == NULL)
        return NULL;
    thread = map_get(&l->threads, id);
    if (thread == NULL) {
        thread = xcalloc(1, sizeof *thread);
        map_set(&l->threads, id, thread);
    }
    return thread;
}

/* Priority first; then the thread that was served longest ago; then the order of arrival. */
static size_t pick(const struct limiter *l)
{
    size_t best = 0;

    for (size_t i = 1; i < l->waiting.len; i++) {
        const struct limiter_slot *a = l->waiting.items[i], *b = l->waiting.items[best];
        uint64_t served_a, served_b;

        if (a->priority != b->priority) {
            if (a->priority < b->priority)
                best = i;
            continue;
        }
        served_a = last_served(a);
        served_b = last_served(b);
        if (served_a < served_b || (served_a == served_b && a->arrival < b->arrival))
            best = i;
    }
    return best;
}

static void grow_rate(struct limiter *l, int64_t now)
{
    double seconds = (double)(now - l->rate_grown_us) / 1e6, growth;

    if (l->rate <= 0 || seconds < 0.1)
        return;
    if (l->rate_was_short) {
        if (seconds > 1)
            seconds = 1;
        growth = RATE_GROWTH_PER_S * (1 + (double)(now - l->reduced_us) / 1e6);
        if (growth > RATE_GROWTH_MAX_PER_S)
            growth = RATE_GROWTH_MAX_PER_S;
        l->rate *= 1 + seconds * (l->rate_grows_fast ? RATE_FAST_GROWTH_PER_S : growth);
        if (l->rate > RATE_MAX)
            l->rate = RATE_MAX;
    }
    l->rate_grown_us = now;
    l->rate_was_short = false;
}

/* When the next request may go at the earliest, by pause and rate. */
static int64_t earliest(struct limiter *l)
{
    if (l->rate > 0 && l->next_send_us > l->pause_until_us)
        return l->next_send_us;
    return l->pause_until_us;
}

static void pump(struct limiter *l)
{
    struct vec admitted = {0};
    int64_t now = clock_monotonic_us();

    grow_rate(l, now);
    while (!l->is_held && l->waiting.len > 0 && l->in_flight < (unsigned)l->window) {
        int64_t due = earliest(l);
        struct limiter_slot *slot;

        /* A timer is exact to the millisecond: what is due within half of one goes now. */
        if (due > now + 500) {
            l->rate_was_short = l->rate_was_short || due > l->pause_until_us;
            pump_at(l, due);
            break;
        }
        slot = vec_remove(&l->waiting, pick(l));
        slot->is_admitted = true;
        slot->admitted_us = now;
        l->in_flight++;
        l->sequence++;
        if (slot->thread != NULL)
            slot->thread->last_admission = l->sequence;
        if (l->rate > 0) {
            int64_t step_us = (int64_t)(1e6 / l->rate);
            int64_t late_us = step_us < LATE_MAX_US ? step_us : LATE_MAX_US;

            l->next_send_us = (l->next_send_us > now - late_us ? l->next_send_us : now) + step_us;
        }
        vec_push(&admitted, slot);
    }
    /* A callback may release slots, its own or others. */
    for (size_t i = 0; i < admitted.len; i++) {
        struct limiter_slot *slot = admitted.items[i];

        slot->cb(slot->data);
        /* Those that come later are cancelled at most by their owners, which we cannot see: so callbacks
         * only start requests (client.c), they never end other calls. */
    }
    vec_finish(&admitted);
}

void limiter_hold(struct limiter *l, bool is_held)
{
    l->is_held = is_held;
    if (!is_held)
        pump_at(l, clock_monotonic_us());
}

struct limiter_slot *limiter_acquire(struct limiter *l, enum call_priority priority, const char *thread_id,
                                     void (*cb)(void *data), void *data)
{
    struct limiter_slot *slot = xcalloc(1, sizeof *slot);

    slot->limiter = l;
    slot->priority = priority;
    slot->thread = find_thread(l, thread_id);
    slot->arrival = ++l->sequence;
    slot->cb = cb;
    slot->data = data;
    vec_push(&l->waiting, slot);
    pump_at(l, clock_monotonic_us());
    return slot;
}

/* --- Learning ----------------------------------------------------------------------------------------- */

struct limiter_state limiter_state(const struct limiter *l)
{
    int64_t now = clock_monotonic_us();

    return (struct limiter_state){
        .name = l->name,
        .window = (unsigned)l->window,
        .in_flight = l->in_flight,
        .waiting = (unsigned)l->waiting.len,
        .requests_per_second = l->rate,
        .paused_ms = l->pause_until_us > now ? (l->pause_until_us - now) / 1000 : 0,
        .congestions = l->congestions,
    };
}

void limiter_on_change(struct limiter *l,
                       void (*cb)(void *data, const struct limiter_state *state, const char *reason),
                       void *data)
{
    l->on_change = cb;
    l->change_data = data;
}

static void report(struct limiter *l, const char *reason)
{
    struct limiter_state state = limiter_state(l);

    l->shown_window = l->window;
    log_debug("limiter %s: %s; window %u, %.2f requests/s", l->name, reason, state.window,
              state.requests_per_second);
    if (l->on_change != NULL)
        l->on_change(l->change_data, &state, reason);
}

/* Requests a second that the service let through of late; 0 when too few were seen. */
static double measured_rate(const struct limiter *l, int64_t now)
{
    uint64_t n = l->accepted_count < ACCEPTED_KEPT ? l->accepted_count : ACCEPTED_KEPT;
    int64_t oldest = now;
    uint64_t count = 0;

    for (uint64_t i = 1; i <= n; i++) {
        int64_t at = l->accepted_us[(l->accepted_count - i) % ACCEPTED_KEPT];

        if (now - at > MEASURE_SPAN_US)
            break;
        oldest = at;
        count++;
    }
    if (count < 4 || now - oldest < 200000)
        return 0;
    return (double)count * 1e6 / (double)(now - oldest);
}

void limiter_note_accepted(struct limiter_slot *slot)
{
    struct limiter *l = slot->limiter;

    if (slot->is_accepted)
        return;
    slot->is_accepted = true;
    l->accepted_us[l->accepted_count++ % ACCEPTED_KEPT] = clock_monotonic_us();
    l->consecutive = 0;
}

static void pause_for(struct limiter *l, int64_t ms)
{
    int64_t until = clock_monotonic_us() + ms * 1000;

    if (until > l->pause_until_us)
        l->pause_until_us = until;
}

/* One pair of "remaining" and "reset": nothing left means to wait for the reset. */
static void note_pair(struct limiter *l, const char *(*get)(const void *data, const char *name),
                      const void *data, const char *remaining_name, const char *reset_name)
{
    const char *text = get(data, remaining_name);
    int64_t remaining, reset_ms;

    if (text == NULL || !str_to_int64(text, INT64_MIN, INT64_MAX, &remaining) || remaining > 0)
        return;
    reset_ms = retry_parse_duration(get(data, reset_name), clock_wall_ms());
    if (reset_ms > 0)
        pause_for(l, reset_ms < HEADER_PAUSE_MAX_MS ? reset_ms : HEADER_PAUSE_MAX_MS);
}

void limiter_note_headers(struct limiter *l, const char *(*get)(const void *data, const char *name),
                          const void *data)
{
    note_pair(l, get, data, "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests");
    note_pair(l, get, data, "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens");
    note_pair(l, get, data, "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset");
    note_pair(l, get, data, "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset");
    note_pair(l, get, data, "anthropic-ratelimit-input-tokens-remaining",
              "anthropic-ratelimit-input-tokens-reset");
    note_pair(l, get, data, "anthropic-ratelimit-output-tokens-remaining",
              "anthropic-ratelimit-output-tokens-reset");
}

static void step_back_rate(struct limiter *l, int64_t retry_after_ms, int64_t now)
{
    double measured = measured_rate(l, now);

    if (l->rate <= 0) {
        /* The first 429: what got through, or what the service's own delay tells. */
        double told = retry_after_ms > 0 ? 1000.0 / (double)retry_after_ms : 1;

        l->rate = measured > told ? measured : told;
        l->rate_grows_fast = measured <= 0;
    } else {
        /* What got through of late is the bound, seen from below; without it, a fixed step. */
        double back = measured > 0 ? measured * RATE_MARGIN : l->rate * RATE_STEP_BACK;

        if (back > l->rate * RATE_STEP_LEAST)
            back = l->rate * RATE_STEP_LEAST;
        if (!l->rate_grows_fast && back < l->rate * RATE_STEP_MOST)
            back = l->rate * RATE_STEP_MOST;
        l->rate = back;
        l->rate_grows_fast = false;
    }
    if (l->rate < RATE_MIN)
        l->rate = RATE_MIN;
    if (l->rate > RATE_MAX)
        l->rate = RATE_MAX;
    l->rate_grown_us = now;
    l->next_send_us = now + (int64_t)(1e6 / l->rate);
}

static void step_back(struct limiter *l, const struct limiter_slot *slot, enum limiter_outcome outcome,
                      int64_t retry_after_ms)
{
    int64_t now = clock_monotonic_us();
    bool is_new = slot->admitted_us > l->reduced_us;

    l->congestions++;
    if (retry_after_ms >= 0)
        pause_for(l, retry_after_ms);
    else if (is_new)
        pause_for(l, (int64_t)retry_backoff_ms(l->consecutive, PAUSE_BASE_MS, PAUSE_CAP_MS));
    if (!is_new)
        return; /* it was under way already when we last stepped back */
    l->consecutive++;
    l->reduced_us = now;
    l->is_growing_fast = false;
    l->window = l->window / 2 < WINDOW_MIN ? WINDOW_MIN : l->window / 2;
    if (l->window > 2.0 * l->in_flight + 2)
        l->window = 2.0 * l->in_flight + 2; /* a window that was never filled says nothing */
    if (outcome == LIMITER_RATE)
        step_back_rate(l, retry_after_ms, now);
    report(l, outcome == LIMITER_RATE ? "rate limit" : "overloaded");
}

static void grow(struct limiter *l)
{
    /* Only a window that is (nearly) full may grow: else it would rise while nothing tries it. */
    if (l->in_flight + 1 < (unsigned)(l->window / 2))
        return;
    l->window += l->is_growing_fast ? 1 : 1 / l->window;
    if (l->window > WINDOW_MAX)
        l->window = WINDOW_MAX;
    if (l->window > l->shown_window * 1.5 && l->congestions > 0)
        report(l, "recovered");
}

void limiter_release(struct limiter_slot *slot, enum limiter_outcome outcome, int64_t retry_after_ms)
{
    struct limiter *l;

    if (slot == NULL)
        return;
    l = slot->limiter;
    if (!slot->is_admitted) {
        vec_remove_item(&l->waiting, slot);
    } else {
        double took = (double)(clock_monotonic_us() - slot->admitted_us);

        l->in_flight--;
        if (outcome != LIMITER_DONE) {
            step_back(l, slot, outcome, retry_after_ms);
        } else if (slot->is_accepted) {
            l->duration_us = l->duration_us <= 0 ? took : l->duration_us * 0.9 + took * 0.1;
            grow(l);
        }
        if (l->waiting.len > 0)
            pump_at(l, clock_monotonic_us());
    }
    free(slot);
}

unsigned limiter_propose_max_threads(const struct limiter *l)
{
    double threads;

    if (l->congestions == 0)
        return 0;
    threads = l->window;
    if (l->rate > 0 && l->duration_us > 0) {
        double busy = ceil(l->rate * l->duration_us / 1e6);

        threads = busy < threads ? busy : threads;
    }
    return threads < 1 ? 1 : (unsigned)threads;
}
