/* model/wire.c: what the readers of the three wire APIs share: cutting a stream into events, the list of
 * complete items, and the rule that a stream which ends early is a failure. */
#include "model/wire.h"

#include "base/alloc.h"

#include <stdlib.h>

const struct wire_ops *wire_ops_of(enum wire_api api)
{
    switch (api) {
    case WIRE_CHAT:
        return &wire_chat;
    case WIRE_MESSAGES:
        return &wire_messages;
    case WIRE_RESPONSES:
        break;
    }
    return &wire_responses;
}

static bool on_sse_event(void *user, const char *event, const char *data, size_t n)
{
    struct wire_reader *reader = user;

    wire_reader_event(reader, event, data, n);
    return !reader->ended;
}

struct wire_reader *wire_reader_create(const struct wire_ops *ops, const char *provider,
                                       void (*on_text_delta)(void *data, const char *text, size_t n),
                                       void *data)
{
    struct wire_reader *reader = xcalloc(1, sizeof *reader);

    reader->ops = ops;
    reader->provider = provider;
    reader->on_text_delta = on_text_delta;
    reader->data = data;
    reader->answer.failure.retry_after_ms = -1;
    reader->state = xcalloc(1, ops->state_size);
    sse_parser_init(&reader->sse, 0, on_sse_event, reader);
    return reader;
}

void wire_reader_event(struct wire_reader *reader, const char *event, const char *data, size_t n)
{
    if (reader->ended || n == 0)
        return;
    reader->ops->read_event(reader, reader->state, event, data, n);
    reader->ended = reader->answer.is_complete || reader->answer.failure.kind != FAILURE_NONE;
}

bool wire_reader_feed(struct wire_reader *reader, const char *bytes, size_t n)
{
    struct error err = {0};

    if (reader->ended)
        return true;
    if (sse_parser_feed(&reader->sse, bytes, n, &err) < 0 && !reader->ended) {
        reader->answer.failure.kind = FAILURE_STREAM;
        reader->answer.failure.err = err;
        error_wrap(&reader->answer.failure.err, "provider %s: the answer's stream", reader->provider);
        reader->ended = true;
    }
    return reader->ended;
}

void wire_reader_end(struct wire_reader *reader)
{
    struct failure *failure = &reader->answer.failure;

    if (reader->ended)
        return;
    reader->ops->read_end(reader, reader->state);
    reader->ended = true;
    if (!reader->answer.is_complete && failure->kind == FAILURE_NONE) {
        failure->kind = FAILURE_STREAM;
        error_set(&failure->err, ERROR_MODEL, "provider %s: the stream ended before the answer was complete",
                  reader->provider);
    }
}

void wire_reader_destroy(struct wire_reader *reader)
{
    if (reader == NULL)
        return;
    reader->ops->state_finish(reader->state);
    free(reader->state);
    sse_parser_finish(&reader->sse);
    wire_answer_finish(&reader->answer);
    free(reader);
}

struct wire_item *wire_answer_add(struct wire_answer *answer, enum item_kind kind)
{
    struct wire_item *item = xcalloc(1, sizeof *item);

    item->kind = kind;
    vec_push(&answer->items, item);
    return item;
}

static void free_items(struct wire_answer *answer)
{
    for (size_t i = 0; i < answer->items.len; i++) {
        struct wire_item *item = answer->items.items[i];

        free(item->text);
        free(item->call_id);
        free(item->name);
        free(item->arguments);
        free(item);
    }
    answer->items.len = 0;
}

void wire_answer_reset(struct wire_answer *answer)
{
    free_items(answer);
    buf_clear(&answer->history);
    FREE_NULL(answer->incomplete_reason);
}

void wire_answer_finish(struct wire_answer *answer)
{
    free_items(answer);
    vec_finish(&answer->items);
    buf_free(&answer->history);
    FREE_NULL(answer->incomplete_reason);
}
