/* ui/text.c: see text.h. */
#include "ui/text.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

size_t text_grapheme(const char *p, int *columns)
{
    utf8proc_int32_t previous = 0;
    utf8proc_int32_t state = 0;
    size_t n = 0;

    *columns = 0;
    for (;;) {
        utf8proc_int32_t cp = 0;
        utf8proc_ssize_t len = utf8proc_iterate((const utf8proc_uint8_t *)p + n, -1, &cp);

        if (p[n] == '\0' || len <= 0)
            return n > 0 || p[n] == '\0' ? n : 1;
        if (n > 0 && utf8proc_grapheme_break_stateful(previous, cp, &state))
            return n;
        if (utf8proc_charwidth(cp) > *columns)
            *columns = utf8proc_charwidth(cp);
        previous = cp;
        n += (size_t)len;
    }
}

int text_width(const char *text)
{
    int width = 0;

    while (*text != '\0') {
        int columns;

        text += text_grapheme(text, &columns);
        width += columns;
    }
    return width;
}

void text_append_harmless(struct buf *out, const char *text)
{
    utf8_append_printable(out, text, strlen(text), false);
}

void text_append_fitted(struct buf *out, const char *text, int width)
{
    int used = 0;

    if (text_width(text) <= width) {
        buf_puts(out, text);
        return;
    }
    while (*text != '\0') {
        int columns;
        size_t n = text_grapheme(text, &columns);

        if (used + columns > width - 1)
            break;
        buf_append(out, text, n);
        text += n;
        used += columns;
    }
    buf_puts(out, "…");
}

void text_append_cell(struct buf *out, const char *text, int width)
{
    struct buf harmless = BUF_INIT;
    struct buf fitted = BUF_INIT;

    text_append_harmless(&harmless, text);
    text_append_fitted(&fitted, buf_cstr(&harmless), width);
    buf_append(out, buf_cstr(&fitted), fitted.len);
    for (int used = text_width(buf_cstr(&fitted)); used < width; used++)
        buf_putc(out, ' ');
    buf_putc(out, ' ');
    buf_free(&harmless);
    buf_free(&fitted);
}
