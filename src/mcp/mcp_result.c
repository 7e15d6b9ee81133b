/* mcp/mcp_result.c: what a server answered, as text for a model. The text is not trusted: who shows it marks it. */
#include "mcp/mcp_message.h"

#include "base/alloc.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#define MAX_IMAGE_BYTES ((size_t)8 << 20)

static void new_block(struct buf *out)
{
    if (out->len > 0 && out->data[out->len - 1] != '\n')
        buf_putc(out, '\n');
}

static void put_blob(struct buf *out, const char *what, const char *mime, size_t base64_length)
{
    buf_printf(out, "[%s, %.100s, about %zu bytes]", what, mime, base64_length / 4 * 3);
}

static void put_contents(struct buf *out, const json_t *contents)
{
    const char *uri = json_get_string(contents, "uri", "");
    const char *text = json_get_string(contents, "text", NULL);
    const char *blob = json_get_string(contents, "blob", NULL);

    buf_printf(out, "[resource %s]\n", uri);
    if (text != NULL)
        buf_puts(out, text);
    else if (blob != NULL)
        put_blob(out, "binary data", json_get_string(contents, "mimeType", "type unknown"), strlen(blob));
}

static bool is_image(const char *mime)
{
    static const char *const known[] = {"image/png", "image/jpeg", "image/gif", "image/webp"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(mime, known[i]) == 0)
            return true;
    return false;
}

static bool is_base64(const char *text)
{
    size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

    return n > 0 && text[n + strspn(text + n, "=")] == '\0';
}

static void put_block(struct buf *out, const json_t *block, struct mcp_image *image)
{
    const char *type = json_get_string(block, "type", "");
    const char *mime = json_get_string(block, "mimeType", "type unknown");
    const char *data = json_get_string(block, "data", "");

    new_block(out);
    if (strcmp(type, "text") == 0) {
        buf_puts(out, json_get_string(block, "text", ""));
    } else if (strcmp(type, "image") == 0) {
        put_blob(out, "image", mime, strlen(data));
        if (image != NULL && image->base64 == NULL && is_image(mime) && strlen(data) <= MAX_IMAGE_BYTES &&
            is_base64(data)) {
            image->mime = xstrdup(mime);
            image->base64 = xstrdup(data);
        }
    } else if (strcmp(type, "audio") == 0) {
        put_blob(out, "audio", mime, strlen(data));
    } else if (strcmp(type, "resource") == 0) {
        put_contents(out, json_object_get(block, "resource"));
    } else if (strcmp(type, "resource_link") == 0) {
        buf_printf(out, "[link to resource %s: %s]", json_get_string(block, "uri", ""),
                   json_get_string(block, "description", json_get_string(block, "name", "")));
    } else {
        buf_printf(out, "[content of a type that is not known: \"%.40s\"]", type);
    }
}

void mcp_render_call(struct buf *out, const json_t *result, struct mcp_image *image, bool *is_error)
{
    const json_t *content = json_object_get(result, "content");
    const json_t *structured = json_object_get(result, "structuredContent");

    *is_error = json_get_bool(result, "isError", false);
    for (size_t i = 0; i < json_array_size(content); i++)
        put_block(out, json_array_get(content, i), image);
    if (json_array_size(content) == 0 && structured != NULL)
        json_append_value(out, structured);
}

void mcp_render_resource(struct buf *out, const json_t *result)
{
    const json_t *contents = json_object_get(result, "contents");

    for (size_t i = 0; i < json_array_size(contents); i++) {
        new_block(out);
        put_contents(out, json_array_get(contents, i));
    }
}

void mcp_render_prompt(struct buf *out, const json_t *result)
{
    const json_t *messages = json_object_get(result, "messages");

    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i);

        new_block(out);
        buf_printf(out, "%s: ", json_get_string(message, "role", "?"));
        put_block(out, json_object_get(message, "content"), NULL);
    }
}

void mcp_render_list(struct buf *out, const json_t *result, const char *member)
{
    const json_t *items = json_object_get(result, member);
    const char *cursor = json_get_string(result, "nextCursor", NULL);

    json_append_value(out, json_is_array(items) ? items : NULL);
    if (cursor != NULL && cursor[0] != '\0')
        buf_printf(out, "\n[there is more: ask again with the cursor %s]", cursor);
}
