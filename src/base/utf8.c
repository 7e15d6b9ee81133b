/* base/utf8.c: see utf8.h. */
#include "base/utf8.h"

#include "base/buf.h"

#define REPLACEMENT 0xfffdU

size_t utf8_decode(const char *p, size_t n, uint32_t *codepoint)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t len;
    uint32_t cp;
    uint32_t min;

    if (n == 0)
        return 0;
    if (s[0] < 0x80) {
        len = 1;
        cp = s[0];
        min = 0;
    } else if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        len = 2;
        cp = s[0] & 0x1fU;
        min = 0x80;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        len = 3;
        cp = s[0] & 0x0fU;
        min = 0x800;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        len = 4;
        cp = s[0] & 0x07U;
        min = 0x10000;
    } else {
        return 0;
    }
    if (n < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        cp = (cp << 6) | (s[i] & 0x3fU);
    }
    if (cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return 0;
    if (codepoint != NULL)
        *codepoint = cp;
    return len;
}

void utf8_encode(struct buf *b, uint32_t cp)
{
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        cp = REPLACEMENT;
    if (cp < 0x80) {
        buf_putc(b, (char)cp);
    } else if (cp < 0x800) {
        buf_putc(b, (char)(0xc0 | (cp >> 6)));
        buf_putc(b, (char)(0x80 | (cp & 0x3f)));
    } else if (cp < 0x10000) {
        buf_putc(b, (char)(0xe0 | (cp >> 12)));
        buf_putc(b, (char)(0x80 | ((cp >> 6) & 0x3f)));
        buf_putc(b, (char)(0x80 | (cp & 0x3f)));
    } else {
        buf_putc(b, (char)(0xf0 | (cp >> 18)));
        buf_putc(b, (char)(0x80 | ((cp >> 12) & 0x3f)));
        buf_putc(b, (char)(0x80 | ((cp >> 6) & 0x3f)));
        buf_putc(b, (char)(0x80 | (cp & 0x3f)));
    }
}

bool utf8_is_valid(const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = utf8_decode(p + i, n - i, NULL);

        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

void utf8_append_repaired(struct buf *b, const char *p, size_t n)
{
    size_t start = 0;

    for (size_t i = 0; i < n;) {
        size_t len = utf8_decode(p + i, n - i, NULL);

        if (len > 0 && p[i] != '\0') {
            i += len;
            continue;
        }
        buf_append(b, p + start, i - start);
        utf8_encode(b, REPLACEMENT);
        i++;
        start = i;
    }
    buf_append(b, p + start, n - start);
}

size_t utf8_floor(const char *p, size_t n, size_t wanted)
{
    size_t i = wanted < n ? wanted : n;

    if (i == n)
        return n;
    for (size_t back = 0; back < 4 && back <= i; back++)
        if (((unsigned char)p[i - back] & 0xc0) != 0x80)
            return i - back;
    return i;
}

void utf8_append_printable(struct buf *b, const char *p, size_t n, bool keep_lines)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        size_t start = i, len;

        while (i < n && ((p[i] >= 0x20 && p[i] < 0x7f) || (keep_lines && (p[i] == '\n' || p[i] == '\t'))))
            i++;
        if (i > start) {
            buf_append(b, p + start, i - start);
            continue;
        }
        len = utf8_decode(p + i, n - i, &cp);

        if (len == 0) {
            utf8_encode(b, REPLACEMENT);
            i++;
            continue;
        }
        if (cp < 0x20)
            utf8_encode(b, 0x2400 + cp); /* the control pictures */
        else if (cp == 0x7f)
            utf8_encode(b, 0x2421);
        else if (cp >= 0x80 && cp < 0xa0)
            utf8_encode(b, REPLACEMENT);
        else if ((cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069))
            buf_printf(b, "<U+%04X>", cp); /* bidi controls reorder what a person reads */
        else
            buf_append(b, p + i, len);
        i += len;
    }
}
