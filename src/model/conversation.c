/* model/conversation.c: owns the serialised items of one thread. Knows of wire forms only how items are
 * joined: a plain list (Responses, Chat), or messages of content blocks that take turns (Messages). */
#include "model/conversation.h"

#include "base/alloc.h"
#include "model/tokens.h"
#include "model/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What vendors count for one picture, about; its base64 text says nothing about that. */
#define IMAGE_TOKENS 1500

struct conversation {
    const struct wire_ops *wire;
    char *instructions;
    char *tools;
    char *cache_key;
    size_t fixed_bytes; /* of instructions and tools */
    struct buf items;
    unsigned item_count;
    const char *open_role; /* Messages: the last message's content list is not closed yet */
    size_t image_bytes;    /* left out of the token estimate */
    int64_t image_count;
    struct token_estimator tokens;
    int lock_count;
};

struct conversation *conversation_create(enum wire_api wire, const char *instructions, const char *tools_json,
                                         const char *cache_key)
{
    struct conversation *c = xcalloc(1, sizeof *c);

    c->wire = wire_ops_of(wire);
    c->instructions = xstrdup(instructions);
    c->tools = xstrdup(tools_json);
    c->cache_key = xstrdup(cache_key);
    c->fixed_bytes =
        (instructions != NULL ? strlen(instructions) : 0) + (tools_json != NULL ? strlen(tools_json) : 0);
    return c;
}

void conversation_destroy(struct conversation *c)
{
    if (c == NULL)
        return;
    free(c->instructions);
    free(c->tools);
    free(c->cache_key);
    buf_free(&c->items);
    free(c);
}

enum wire_api conversation_wire(const struct conversation *c)
{
    return c->wire->api;
}

/* Everything that comes before an item of ROLE: a comma, or the bounds of messages. */
static void open_item(struct conversation *c, const char *role)
{
    assert(c->lock_count == 0);
    if (c->wire->api != WIRE_MESSAGES) {
        if (c->items.len > 0)
            buf_putc(&c->items, ',');
        return;
    }
    if (c->open_role != NULL && strcmp(c->open_role, role) == 0) {
        buf_putc(&c->items, ',');
        return;
    }
    if (c->open_role != NULL)
        buf_puts(&c->items, "]},");
    buf_printf(&c->items, "{\"role\":\"%s\",\"content\":[", role);
    c->open_role = role;
}

void conversation_add_message(struct conversation *c, enum message_role role, const char *text)
{
    open_item(c, role == MESSAGE_ASSISTANT ? "assistant" : "user");
    c->wire->write_message(&c->items, role, text);
    c->item_count++;
}

void conversation_add_image(struct conversation *c, const char *text, const char *mime, const char *base64)
{
    size_t before;

    open_item(c, "user");
    before = c->items.len;
    c->wire->write_image(&c->items, text, mime, base64);
    c->image_bytes += c->items.len - before - (text != NULL ? strlen(text) : 0);
    c->image_count++;
    c->item_count++;
}

void conversation_add_tool_result(struct conversation *c, const char *call_id, const char *output,
                                  bool custom, bool is_error)
{
    open_item(c, "user");
    c->wire->write_tool_result(&c->items, call_id, output != NULL ? output : "", custom, is_error);
    c->item_count++;
}

void conversation_add_answer(struct conversation *c, const char *bytes, size_t n)
{
    if (n == 0)
        return;
    open_item(c, "assistant");
    buf_append(&c->items, bytes, n);
    c->item_count++;
}

struct conversation *conversation_copy_items(const struct conversation *c)
{
    struct conversation *copy = conversation_create(c->wire->api, NULL, NULL, NULL);

    conversation_take_items(copy, c);
    return copy;
}

void conversation_take_items(struct conversation *c, const struct conversation *from)
{
    assert(c->lock_count == 0 && c->wire == from->wire);
    buf_clear(&c->items);
    buf_append(&c->items, buf_cstr(&from->items), from->items.len);
    c->item_count = from->item_count;
    c->open_role = from->open_role;
    c->image_bytes = from->image_bytes;
    c->image_count = from->image_count;
}

void conversation_restore(struct conversation *c, const char *bytes, size_t n, const char *open_role,
                          unsigned item_count)
{
    assert(c->lock_count == 0);
    buf_clear(&c->items);
    buf_append(&c->items, bytes, n);
    c->item_count = item_count;
    c->open_role = strcmp(open_role, "user") == 0 ? "user" : strcmp(open_role, "assistant") == 0 ? "assistant" : NULL;
}

void conversation_lock(struct conversation *c)
{
    c->lock_count++;
}

void conversation_unlock(struct conversation *c)
{
    assert(c->lock_count > 0);
    c->lock_count--;
}

const char *conversation_bytes(const struct conversation *c, size_t *n)
{
    *n = c->items.len;
    return buf_cstr(&c->items);
}

const char *conversation_instructions(const struct conversation *c)
{
    return c->instructions;
}

const char *conversation_tools(const struct conversation *c)
{
    return c->tools;
}

const char *conversation_cache_key(const struct conversation *c)
{
    return c->cache_key;
}

const char *conversation_open_role(const struct conversation *c)
{
    return c->open_role != NULL ? c->open_role : "";
}

size_t conversation_size_bytes(const struct conversation *c)
{
    return c->items.len;
}

unsigned conversation_item_count(const struct conversation *c)
{
    return c->item_count;
}

static size_t counted_bytes(const struct conversation *c)
{
    return c->fixed_bytes + c->items.len - c->image_bytes;
}

void conversation_note_usage(struct conversation *c, int64_t input_tokens)
{
    token_estimate_correct(&c->tokens, counted_bytes(c), input_tokens - c->image_count * IMAGE_TOKENS);
}

int64_t conversation_estimate_tokens(const struct conversation *c)
{
    return token_estimate(&c->tokens, counted_bytes(c)) + c->image_count * IMAGE_TOKENS;
}
