/* model/conversation.h: a thread's items in one provider's wire form, serialised once.
 *
 * A conversation only grows (compaction starts a new one). Each item is written in the wire form of its
 * provider when it is added; a request sends the accumulated bytes as they are. So the cost of a turn is
 * linear in what is new in it. Items that a model produced are kept as the API gave them (reasoning with
 * its encrypted content or signature, ids, phases), so that they can be sent back as the API demands. */
#ifndef CADRE_MODEL_CONVERSATION_H
#define CADRE_MODEL_CONVERSATION_H

#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum wire_api { WIRE_RESPONSES, WIRE_CHAT, WIRE_MESSAGES };

enum message_role { MESSAGE_DEVELOPER, MESSAGE_USER, MESSAGE_ASSISTANT };

struct conversation;

/* INSTRUCTIONS is the fixed prompt of the role (system/developer prompt); TOOLS_JSON the serialised tool
 * list in this wire form (see model/tool_schema.h), or NULL. Both copied. CACHE_KEY is the thread's id. */
struct conversation *conversation_create(enum wire_api wire, const char *instructions, const char *tools_json,
                                         const char *cache_key);
void conversation_destroy(struct conversation *c);
enum wire_api conversation_wire(const struct conversation *c);

/* Text from the user or the engine. */
void conversation_add_message(struct conversation *c, enum message_role role, const char *text);

/* A user message that carries an image (base64 of N bytes of MIME type). */
void conversation_add_image(struct conversation *c, const char *text, const char *mime, const char *base64);

/* The answer to tool call CALL_ID; CUSTOM for a free-form (custom) call. IS_ERROR where the API has it. */
void conversation_add_tool_result(struct conversation *c, const char *call_id, const char *output,
                                  bool custom, bool is_error);

/* An answer of the model in wire form (struct wire_answer.history), as its items are to be sent back. */
void conversation_add_answer(struct conversation *c, const char *bytes, size_t n);

/* A second conversation with the same items (and neither prompt nor tools), to be taken over elsewhere. */
struct conversation *conversation_copy_items(const struct conversation *c);

/* Replaces C's items by those of FROM, which has the same wire form (asserted). Prompt, tools and key stay. */
void conversation_take_items(struct conversation *c, const struct conversation *from);

/* A conversation's items as they were written down: N bytes of conversation_bytes() and the open role then. */
void conversation_restore(struct conversation *c, const char *bytes, size_t n, const char *open_role,
                          unsigned item_count);

/* While a call sends the conversation's bytes nothing may be added (asserted); calls lock and unlock. */
void conversation_lock(struct conversation *c);
void conversation_unlock(struct conversation *c);

/* For the writers of requests. The bytes are valid until the next addition. */
const char *conversation_bytes(const struct conversation *c, size_t *n);
const char *conversation_instructions(const struct conversation *c); /* or NULL */
const char *conversation_tools(const struct conversation *c);        /* JSON array, or NULL */
const char *conversation_cache_key(const struct conversation *c);    /* or NULL */
/* Messages API: the last message's role whose content list is still open; "" when there is none. */
const char *conversation_open_role(const struct conversation *c);

/* The provider counted INPUT_TOKENS for what the conversation held at the last request: corrects the
 * estimate. */
void conversation_note_usage(struct conversation *c, int64_t input_tokens);

/* Bytes of everything added so far, in wire form, without the enclosing array. */
size_t conversation_size_bytes(const struct conversation *c);
unsigned conversation_item_count(const struct conversation *c);

/* Local estimate of the tokens that the next request sends (corrected by reported usage). */
int64_t conversation_estimate_tokens(const struct conversation *c);

#endif
