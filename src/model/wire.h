/* model/wire.h: what differs between the three wire APIs, as one table of functions each.
 *
 * A wire API writes items, tools and requests, and reads streams. A reader turns a stream, in any cuts, into
 * complete items; it never sees the network. Unparsable data is skipped; what was complete before a cut is
 * kept. The reader also prepares `history`: the bytes that go into the conversation when the answer is
 * complete, as the API wants to see its own words again. */
#ifndef CADRE_MODEL_WIRE_H
#define CADRE_MODEL_WIRE_H

#include "base/buf.h"
#include "base/vec.h"
#include "io/sse.h"
#include "model/client.h"
#include "model/conversation.h"
#include "model/retry.h"
#include "model/tool_schema.h"
#include "model/usage.h"

#include <stdbool.h>
#include <stddef.h>

/* A complete item of an answer; all strings owned, absent ones NULL. */
struct wire_item {
    enum item_kind kind;
    char *text, *call_id, *name, *arguments;
    bool custom;
    bool is_final_answer;
};

/* What a stream has given so far. */
struct wire_answer {
    struct vec items;        /* struct wire_item * */
    struct buf history;      /* wire form for the conversation; see conversation_add_answer() */
    struct usage usage;      /* requests stays 0 */
    char *incomplete_reason; /* "max_output_tokens", "content_filter", ... */
    struct failure failure;  /* kind FAILURE_NONE unless the stream said that it failed */
    bool is_complete;        /* the API said that this is all */
};

struct wire_reader;

struct wire_ops {
    enum wire_api api;
    const char *name; /* as in wire_api = "responses" */
    const char *path; /* below base_url */

    /* Items, in the form of the conversation's buffer. Comma and message bounds are the conversation's. */
    void (*write_message)(struct buf *out, enum message_role role, const char *text);
    void (*write_image)(struct buf *out, const char *text, const char *mime, const char *base64);
    void (*write_tool_result)(struct buf *out, const char *call_id, const char *output, bool custom,
                              bool is_error);

    void (*write_tools)(struct buf *out, const struct tool_schema *tools, size_t count);

    /* A request body is HEAD, the conversation's bytes without the last N, TAIL. Returns N (Messages: the
     * end of the last block, so that the tail can add a cache mark to it). */
    size_t (*write_request)(struct buf *head, struct buf *tail, const struct conversation *conversation,
                            const struct model_call_options *options);

    size_t state_size; /* of the reader's private part, zeroed at the start */
    /* One event of the stream; EVENT is its name or "". Sets answer.is_complete or .failure when it is over. */
    void (*read_event)(struct wire_reader *reader, void *state, const char *event, const char *data,
                       size_t n);
    /* The connection ended: what may still be made of what came (a final flush). */
    void (*read_end)(struct wire_reader *reader, void *state);
    void (*state_finish)(void *state);
};

extern const struct wire_ops wire_responses;
extern const struct wire_ops wire_chat;
extern const struct wire_ops wire_messages;
const struct wire_ops *wire_ops_of(enum wire_api api);

struct wire_reader {
    const struct wire_ops *ops;
    struct wire_answer answer;
    const char *provider; /* borrowed; named in errors */
    /* NULL: deltas are not wanted and are not parsed. */
    void (*on_text_delta)(void *data, const char *text, size_t n);
    void *data;
    struct sse_parser sse;
    void *state;
    bool ended; /* complete or failed: further input is ignored */
};

struct wire_reader *wire_reader_create(const struct wire_ops *ops, const char *provider,
                                       void (*on_text_delta)(void *data, const char *text, size_t n),
                                       void *data);
/* Bytes of the stream. Returns true when the answer is over (nothing more need be read). */
bool wire_reader_feed(struct wire_reader *reader, const char *bytes, size_t n);
/* One event that is cut out already. */
void wire_reader_event(struct wire_reader *reader, const char *event, const char *data, size_t n);
/* The stream ended. Afterwards the answer is complete or has a failure. */
void wire_reader_end(struct wire_reader *reader);
void wire_reader_destroy(struct wire_reader *reader);

/* For the readers. */
struct wire_item *wire_answer_add(struct wire_answer *answer, enum item_kind kind);
/* Drops what came so far (a proxy started the answer again). */
void wire_answer_reset(struct wire_answer *answer);
void wire_answer_finish(struct wire_answer *answer);

#endif
