/* model/mock_reply.h: a scripted reply as the stream of events that a real service would send. */
#ifndef CADRE_MODEL_MOCK_REPLY_H
#define CADRE_MODEL_MOCK_REPLY_H

#include "base/buf.h"
#include "model/mock_script.h"

#include <stddef.h>

struct mock_stream {
    struct buf bytes;
    size_t *ends; /* offset behind each event */
    size_t count;
    size_t cap;
};

/* The whole answer to REQUEST. */
void mock_reply_write(struct mock_stream *stream, const struct mock_reply *reply,
                      const struct mock_request *request);
/* A stream that says "overloaded" in the way of its wire API. */
void mock_reply_write_overloaded(struct mock_stream *stream, const struct mock_request *request);
/* Lines that a reader must skip, put in after the first event. */
void mock_stream_spoil(struct mock_stream *stream);
void mock_stream_finish(struct mock_stream *stream);

#endif
