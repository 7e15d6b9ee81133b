/* base/redact.h: secrets are taken out of text where it leaves the program: logs, events, rollouts, the journal,
 * cassettes, reports, CI logs, errors.
 *
 * A secret is a value that was registered (keys and tokens of the configuration, config/known_secrets.h), in its own
 * form and as it looks in JSON, in a URL and in base64; or what has a credential's form (base/secret_patterns.h).
 * It is replaced by REDACT_MARK. The values are the one thing all borders of the process share; they are kept in memory
 * only and are forgotten at exit.
 *
 * It is cheap where there is nothing to find: one table look-up a byte. It lives in `base` because the
 * layers that write files (store, model) stand below `sandbox`. */
#ifndef CADRE_BASE_REDACT_H
#define CADRE_BASE_REDACT_H

#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define REDACT_MARK      "[redacted]"
#define REDACT_MIN_BYTES 8 /* a shorter value is a word; taking it out would spoil everything else */

enum redact_scope {
    REDACT_KNOWN, /* registered values: what even a model is not shown */
    REDACT_ALL,   /* and what has a credential's form: for whatever is written down */
};

/* Registers VALUE (white space around it is cut; lines of a longer one count each). NULL, short and known ones are fine. */
void redact_add(const char *value);
/* Forgets all values (tests). */
void redact_clear(void);

/* TEXT without secrets in a fresh string (*LENGTH bytes when not NULL), or NULL for "unchanged". */
char *redact_text(const char *text, size_t n, enum redact_scope scope, size_t *length);
/* For a log filter: REDACT_ALL of a C string. */
char *redact_line(const char *line);
/* The same, always a fresh string; NULL gives NULL. */
char *redact_copy(const char *text);
/* Cleans B from byte FROM on, in place. */
void redact_buf(struct buf *b, size_t from, enum redact_scope scope);

/* Cleans all strings of VALUE, and keys of objects, in place. The value itself must not be a string. */
void redact_json(json_t *value);
/* JSON text of one value: appends it to OUT without secrets. Text that is no JSON is cleaned as plain text. */
void redact_append_json(struct buf *out, const char *text, size_t n);

/* Is a registered value in TEXT? */
bool redact_has_known(const char *text, size_t n);

/* Does the name of an environment variable or header say that its value is secret (KEY, SECRET, TOKEN, PASSWORD, ...)? */
bool redact_is_secret_name(const char *name, size_t n);

/* Text that comes in pieces. What may be the beginning of a secret is held back until it is known to be none. */
struct redact_stream {
    struct buf held;
    size_t sent; /* bytes of it that are out already: context for what follows */
    enum redact_scope scope;
};
void redact_stream_init(struct redact_stream *stream, enum redact_scope scope);
/* Appends to OUT what of the text so far can be let go. */
void redact_stream_feed(struct redact_stream *stream, const char *bytes, size_t n, struct buf *out);
/* The rest. The stream can be used again. */
void redact_stream_end(struct redact_stream *stream, struct buf *out);

/* For redact_stream: appends TEXT from FROM on without secrets; what stands before FROM is context. True when one was there. */
bool redact_append(struct buf *out, const char *text, size_t n, size_t from, enum redact_scope scope);
/* For redact_stream: how many bytes at the end of TEXT (after SKIP) may be the beginning of a secret. */
size_t redact_open_tail(const char *text, size_t n, size_t skip, enum redact_scope scope);

#endif
