/* model/client.h: one request to a model: stream, items, usage, retries.
 *
 * model_call_start() sends the conversation and reports through `struct model_call_events`. It retries by
 * itself what may be retried (connection, 408, 409, 429, 5xx, 529, a cut stream) with full jitter and
 * Retry-After, goes through the provider's limiter, and adds the model's items to the conversation only when
 * the answer is complete, so a retry never leaves half an answer behind.
 *
 * The conversation must outlive the call and must not be added to while the call is under way (asserted).
 * The provider's wire API must be the conversation's. */
#ifndef CADRE_MODEL_CLIENT_H
#define CADRE_MODEL_CLIENT_H

#include "base/error.h"
#include "model/conversation.h"
#include "model/usage.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct http_client;
struct provider; /* model/provider.h: base_url, headers, key, wire, retry limits, limiter */
struct budget;   /* model/budget.h */
struct model_call;

enum item_kind { ITEM_MESSAGE, ITEM_REASONING, ITEM_TOOL_CALL, ITEM_OTHER };

/* One complete item of the model's answer. Strings are borrowed for the time of the callback. */
struct model_item {
    enum item_kind kind;
    const char *text;      /* message or reasoning summary */
    const char *call_id;   /* tool call */
    const char *name;      /* tool call; a namespace tool as "namespace.name" */
    const char *arguments; /* tool call: JSON text, or the free-form input when custom */
    bool custom;           /* free-form call */
    bool is_final_answer;  /* message: the API says this is the answer, not a comment on the way */
};

enum call_priority { CALL_PRIORITY_HIGH, CALL_PRIORITY_NORMAL }; /* high: orchestrator, gates, CI repair */

struct model_call_options {
    const char *model;
    const char *reasoning_effort; /* NULL: not sent */
    const char *output_schema;    /* JSON schema text for structured output, or NULL */
    int64_t max_output_tokens;    /* 0: the default */
    enum call_priority priority;
    struct budget *budget; /* NULL: unbounded; else reserved before each request */
    bool watch_deltas;     /* on_text_delta is wanted; else deltas are not parsed */
    const char *thread_id; /* headers session-id / thread-id, cache key, fairness */
    const char *role;      /* for mock scripts and logs: header x-cadre-role */
    const char *task;      /* x-cadre-task, may be NULL */
    int attempt;           /* x-cadre-attempt */
};

struct model_call_events {
    void (*on_text_delta)(void *data, const char *text, size_t n);
    /* Each complete item, in order, once the whole answer has come (so a retry repeats none). Tool results
     * may be added to the conversation from here on; the call may be cancelled. */
    void (*on_item)(void *data, const struct model_item *item);
    /* A retry is about to happen in DELAY_MS (for the live view and the event stream). */
    void (*on_retry)(void *data, int attempt, uint64_t delay_ms, const struct error *reason);
    /* The end, exactly once unless cancelled. ERR is NULL on success. INCOMPLETE_REASON is set when the API
     * cut the answer ("max_output_tokens", "content_filter"). The call is freed after it returns. */
    void (*on_done)(void *data, const struct usage *usage, const char *incomplete_reason,
                    const struct error *err);
};

struct model_call *model_call_start(struct loop *loop, struct http_client *http, struct provider *provider,
                                    struct conversation *conversation,
                                    const struct model_call_options *options,
                                    const struct model_call_events *events, void *data);
void model_call_cancel(struct model_call *call); /* no callback any more; frees; NULL is fine */

/* What an error of on_done means for the caller: compact the conversation and try again; or the budget is
 * used up (stop, resumable). */
bool model_error_is_context_length(const struct error *err);
bool model_error_is_budget(const struct error *err);

#endif
