/* model/provider.h: a model endpoint: where it is, which wire API it speaks, how one authenticates, and how
 * often one may try again. One object serves all threads.
 *
 * It is made from the plain values of config/provider_config.h (copied), or by provider_create_simple().
 * Keys are read from the environment when a request is made; they are in headers only and never in an error
 * or a log. Destroy it after its calls have ended. */
#ifndef CADRE_MODEL_PROVIDER_H
#define CADRE_MODEL_PROVIDER_H

#include "base/error.h"
#include "base/str.h"
#include "model/conversation.h"

#include <stdbool.h>
#include <stdint.h>

struct cassette_recorder;
struct http_client;
struct limiter;
struct loop;
struct price_table;
struct provider;
struct provider_config; /* config/provider_config.h */

struct provider *provider_create(struct loop *loop, const struct provider_config *config);

/* By hand: tests, `cadre mock` on one's own machine. ENV_KEY may be NULL (no key is sent). */
struct provider *provider_create_simple(struct loop *loop, const char *id, const char *base_url,
                                        enum wire_api wire, const char *env_key);

void provider_destroy(struct provider *provider); /* NULL is fine */

const char *provider_id(const struct provider *provider);
const char *provider_base_url(const struct provider *provider);
/* The same without user and password, for messages. */
const char *provider_shown_url(const struct provider *provider);
enum wire_api provider_wire(const struct provider *provider);
int provider_request_max_retries(const struct provider *provider);
int provider_stream_max_retries(const struct provider *provider);
uint64_t provider_stream_idle_timeout_ms(const struct provider *provider);
void provider_set_limits(struct provider *provider, int request_max_retries, int stream_max_retries,
                         uint64_t stream_idle_timeout_ms);
bool provider_is_loopback(const struct provider *provider); /* plain http to this machine */

/* The limiter of all threads that use this provider (model/limiter.h). */
struct limiter *provider_limiter(struct provider *provider);

/* Prices for what its models use; borrowed, NULL (the start): the defaults. At a loopback address only what
 * TABLE itself says has a price. */
void provider_set_prices(struct provider *provider, const struct price_table *table);
const struct price_table *provider_prices(const struct provider *provider);

/* Every exchange is recorded there (model/cassette.h); borrowed, NULL (the start): none. */
void provider_set_recorder(struct provider *provider, struct cassette_recorder *recorder);
struct cassette_recorder *provider_recorder(const struct provider *provider);

/* base_url + PATH ("/responses") + the configured query; caller frees. */
char *provider_url(const struct provider *provider, const char *path);

/* Is a key (or token, or auth command) at hand? -1 with ERROR_AUTH that names the variable and the next
 * step. For doctor and for an early refusal. */
int provider_check_auth(const struct provider *provider, struct error *err);

/* Appends "Name: value" lines: authorization, configured headers. TOKEN is what provider_token_get() gave
 * (NULL: read the environment). -1 with ERROR_AUTH when the key is missing. */
int provider_headers(const struct provider *provider, const char *token, struct str_list *headers,
                     struct error *err);

/* Replaces the key, wherever a service repeats it in ERR, by "[key]". TOKEN as above. */
void provider_scrub(const struct provider *provider, const char *token, struct error *err);

/* What a person does when the key is refused. Static or owned by the provider. */
const char *provider_auth_hint(const struct provider *provider);

/* With an auth command: its token, from the cache or by running it. CB is called once, never within this
 * call; TOKEN is NULL with ERR set on failure. The returned wait can be cancelled until then. Without an
 * auth command TOKEN is NULL without ERR. */
struct provider_wait;
struct provider_wait *provider_token_get(struct provider *provider,
                                         void (*cb)(void *data, const char *token, const struct error *err),
                                         void *data);
void provider_wait_cancel(struct provider_wait *wait); /* NULL is fine */
/* The token was refused: the next call runs the command again. True when that is worth a retry. */
bool provider_token_expire(struct provider *provider);

#endif
