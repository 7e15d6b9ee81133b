/* base/redact_stream.c: text that comes in pieces (redact.h). */
#include "base/redact.h"

#define CONTEXT_BYTES 32 /* credential forms look back no further */

void redact_stream_init(struct redact_stream *s, enum redact_scope scope)
{
    *s = (struct redact_stream){.scope = scope};
}

/* Lets the bytes up to END go; the last of them stay as context. */
static void let_go(struct redact_stream *s, size_t end, struct buf *out)
{
    size_t keep = end > CONTEXT_BYTES ? CONTEXT_BYTES : end;

    (void)redact_append(out, s->held.data, end, s->sent, s->scope);
    buf_consume(&s->held, end - keep);
    s->sent = keep;
}

void redact_stream_feed(struct redact_stream *s, const char *bytes, size_t n, struct buf *out)
{
    size_t open;

    buf_append(&s->held, bytes, n);
    if (s->held.len == s->sent)
        return;
    open = redact_open_tail(s->held.data, s->held.len, s->sent, s->scope);
    if (open < s->held.len - s->sent)
        let_go(s, s->held.len - open, out);
}

void redact_stream_end(struct redact_stream *s, struct buf *out)
{
    if (s->held.len > s->sent)
        let_go(s, s->held.len, out);
    buf_free(&s->held);
    s->sent = 0;
}
