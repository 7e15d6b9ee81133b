/* tool/view_image.c: shows an image file of the working directory to the model. */
#include "tool/tool_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "sandbox/safe_path.h"

#include <stdlib.h>
#include <string.h>

#define MAX_IMAGE_BYTES ((size_t)8 << 20)

static const char *type_of(const struct buf *b)
{
    const char *d = buf_cstr(b);

    if (b->len > 8 && memcmp(d, "\x89PNG\r\n\x1a\n", 8) == 0)
        return "image/png";
    if (b->len > 3 && memcmp(d, "\xff\xd8\xff", 3) == 0)
        return "image/jpeg";
    if (b->len > 6 && (memcmp(d, "GIF87a", 6) == 0 || memcmp(d, "GIF89a", 6) == 0))
        return "image/gif";
    if (b->len > 12 && memcmp(d, "RIFF", 4) == 0 && memcmp(d + 8, "WEBP", 4) == 0)
        return "image/webp";
    return NULL;
}

static char *base64(const struct buf *b)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)b->data;
    struct buf out = BUF_INIT;

    buf_reserve(&out, b->len / 3 * 4 + 4);
    for (size_t i = 0; i < b->len; i += 3) {
        size_t left = b->len - i;
        unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0U);

        buf_putc(&out, letters[v >> 18]);
        buf_putc(&out, letters[(v >> 12) & 63]);
        buf_putc(&out, left > 1 ? letters[(v >> 6) & 63] : '=');
        buf_putc(&out, left > 2 ? letters[v & 63] : '=');
    }
    return buf_take(&out);
}

static void start(struct tool_call *call, const json_t *args)
{
    struct buf bytes = BUF_INIT;
    struct error err = {0};
    struct safe_root *root = NULL;
    const char *path;
    const char *relative;

    if (!tool_need_string(call, args, "path", &path))
        return;
    relative = path;
    if (path[0] == '/' && path_is_below(path, call->ctx.cwd))
        relative = path[strlen(call->ctx.cwd)] == '/' ? path + strlen(call->ctx.cwd) + 1 : "";
    root = safe_root_open(call->ctx.cwd, &err);
    if (root == NULL || safe_root_read_file(root, relative, &bytes, MAX_IMAGE_BYTES, &err) < 0) {
        tool_call_fail(call, "view_image: %s", err.text);
    } else if (type_of(&bytes) == NULL) {
        tool_call_fail(call, "view_image: %s is no PNG, JPEG, GIF or WebP image", path);
    } else {
        call->result.image_mime = type_of(&bytes);
        call->image_base64 = base64(&bytes);
        buf_printf(&call->output, "%s, %zu bytes", call->result.image_mime, bytes.len);
        tool_call_finish(call);
    }
    safe_root_close(root);
    buf_free(&bytes);
}

const struct tool tool_view_image = {
    .name = "view_image",
    .description = "Shows you an image file of the working directory.",
    .parameters = "{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"}},\"required\":[\"path\"]}",
    .flags = TOOL_PARALLEL | TOOL_OWN_WORDS,
    .start = start,
};
