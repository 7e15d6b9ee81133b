/* team/check_unicode.c: text that reads differently from what it is (CVE-2021-42574 and -42694). */
#include "team/check_internal.h"

#include "base/utf8.h"

#include <ctype.h>
#include <stdint.h>

static bool is_invisible(uint32_t cp)
{
    return (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0x061c || /* direction */
           cp == 0x200b || cp == 0x200e || cp == 0x200f || (cp >= 0x2060 && cp <= 0x2064) || cp == 0x180e ||
           cp == 0x3164 || cp == 0xffa0 || cp == 0x115f || cp == 0x1160 ||     /* letters without a shape */
           (cp >= 0xfff9 && cp <= 0xfffb) || (cp >= 0xe0000 && cp <= 0xe007f); /* tags */
}

bool check_is_deceptive(const char *text, size_t n)
{
    unsigned selectors = 0;

    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        size_t len = utf8_decode(text + i, n - i, &cp);
        size_t next = i + (len == 0 ? 1 : len);

        if (len > 1) {
            if (is_invisible(cp) || (cp == 0xfeff && i > 0))
                return true;
            /* Joiners belong into emoji and some scripts, not between Latin letters. */
            if ((cp == 0x200c || cp == 0x200d) && i > 0 && next < n && isalnum((unsigned char)text[i - 1]) &&
                isalnum((unsigned char)text[next]))
                return true;
            /* A row of variation selectors carries data. */
            selectors =
                (cp >= 0xe0100 && cp <= 0xe01ef) || (cp >= 0xfe00 && cp <= 0xfe0f) ? selectors + 1 : 0;
            if (selectors > 2)
                return true;
        } else {
            selectors = 0;
        }
        i = next;
    }
    return false;
}

/* Letters of other scripts that cannot be told from a Latin one in most fonts. */
static bool is_look_alike(uint32_t cp)
{
    static const uint16_t alike[] = {
        0x0391, 0x0392, 0x0395, 0x0396, 0x0397, 0x0399, 0x039a, 0x039c, 0x039d, 0x039f, 0x03a1, 0x03a4,
        0x03a5, 0x03a7, 0x03bd, 0x03bf, 0x03f2, 0x03f3, /* Greek */
        0x0405, 0x0406, 0x0408, 0x0410, 0x0412, 0x0415, 0x041a, 0x041c, 0x041d, 0x041e, 0x0420, 0x0421,
        0x0422, 0x0425, 0x0430, 0x0435, 0x043e, 0x0440, 0x0441, 0x0443, 0x0445, 0x0455, 0x0456, 0x0458,
        0x04bb, 0x0501, 0x051b, 0x051d,
        /* Cyrillic */
        0x0570, 0x0578, 0x057d, 0x0585, 0x0581, /* Armenian */
        0x13a0, 0x13a1, 0x13a2, 0x13a5, 0x13aa, 0x13ab, 0x13ac, 0x13b3, 0x13b7, 0x13bb, 0x13c0, 0x13c2,
        0x13c3, 0x13da, 0x13de, 0x13df, 0x13e2, 0x13e6, /* Cherokee */
    };

    if ((cp >= 0xff21 && cp <= 0xff3a) || (cp >= 0xff41 && cp <= 0xff5a) || (cp >= 0x1d400 && cp <= 0x1d7cb))
        return true;
    for (size_t i = 0; i < sizeof alike / sizeof alike[0]; i++)
        if (alike[i] == cp)
            return true;
    return false;
}

bool check_has_homoglyph(const char *text, size_t n)
{
    bool latin = false, alike = false, other = false;

    for (size_t i = 0; i <= n;) {
        uint32_t cp = 0;
        size_t len = i < n ? utf8_decode(text + i, n - i, &cp) : 0;
        bool is_ascii = len <= 1 && i < n;

        if (is_ascii && isalpha((unsigned char)text[i])) {
            latin = true;
        } else if (len > 1 && is_look_alike(cp)) {
            alike = true;
        } else if (len > 1 && cp >= 0x370 && cp < 0x2000) {
            other =
                true; /* a letter that shows which script it is: a word of that script with a Latin ending, say */
        } else if (!is_ascii || (!isdigit((unsigned char)text[i]) && text[i] != '_')) {
            if (latin && alike && !other)
                return true;
            latin = alike = other = false;
        }
        if (i == n)
            break;
        i += len == 0 ? 1 : len;
    }
    return false;
}
