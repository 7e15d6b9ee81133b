/* ui/key_reader.c: see key_reader.h. Sequences: ECMA-48 (CSI) and xterm's control sequences. */
#include "ui/key_reader.h"

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

#define ESCAPE             '\x1b'
#define SEQUENCE_MAX_BYTES 32
#define PASTE_END          "\x1b[201~"

void key_reader_init(struct key_reader *r, void (*on_key)(void *data, const struct key *key), void *data)
{
    *r = (struct key_reader){.on_key = on_key, .data = data};
}

void key_reader_finish(struct key_reader *r)
{
    buf_free(&r->pending);
}

static void emit(struct key_reader *r, enum key_code code)
{
    struct key key = {.code = code};

    r->on_key(r->data, &key);
}

/* --- Sequences ---------------------------------------------------------------------------------------------------- */

struct sequence_key {
    const char *text; /* behind "ESC [" or "ESC O" */
    enum key_code code;
};

static const struct sequence_key sequence_keys[] = {
    {"A", KEY_UP},          {"B", KEY_DOWN},         {"C", KEY_RIGHT},        {"D", KEY_LEFT},        {"H", KEY_HOME},
    {"F", KEY_END},         {"1~", KEY_HOME},        {"7~", KEY_HOME},        {"4~", KEY_END},        {"8~", KEY_END},
    {"3~", KEY_DELETE},     {"1;5C", KEY_WORD_RIGHT}, {"1;5D", KEY_WORD_LEFT}, {"1;3C", KEY_WORD_RIGHT}, {"1;3D", KEY_WORD_LEFT},
    {"5C", KEY_WORD_RIGHT}, {"5D", KEY_WORD_LEFT},   {"3;5~", KEY_KILL_NEXT_WORD}, {"13;2u", KEY_NEWLINE}, {"27;2;13~", KEY_NEWLINE},
};

static const struct {
    char byte;
    enum key_code code;
} control_keys[] = {
    {0x01, KEY_HOME},        {0x02, KEY_LEFT},          {0x03, KEY_INTERRUPT}, {0x04, KEY_END_OF_INPUT}, {0x05, KEY_END},
    {0x06, KEY_RIGHT},       {0x08, KEY_BACKSPACE},     {0x09, KEY_TAB},       {0x0a, KEY_NEWLINE},      {0x0b, KEY_KILL_TO_END},
    {0x0c, KEY_CLEAR_SCREEN}, {0x0d, KEY_ENTER},        {0x0e, KEY_DOWN},      {0x10, KEY_UP},           {0x15, KEY_KILL_TO_START},
    {0x17, KEY_KILL_WORD},   {0x19, KEY_YANK},          {0x1a, KEY_SUSPEND},   {0x7f, KEY_BACKSPACE},
};

static const struct {
    char byte;
    enum key_code code;
} alt_keys[] = {
    {'\r', KEY_NEWLINE}, {'\n', KEY_NEWLINE}, {'b', KEY_WORD_LEFT}, {'f', KEY_WORD_RIGHT}, {'d', KEY_KILL_NEXT_WORD}, {0x7f, KEY_KILL_WORD},
};

/* A sequence behind "ESC [" with its final byte. */
static void emit_sequence(struct key_reader *r, const char *text, size_t n)
{
    if (n == 4 && memcmp(text, "200~", 4) == 0) {
        r->in_paste = true;
        return;
    }
    for (size_t i = 0; i < sizeof sequence_keys / sizeof sequence_keys[0]; i++)
        if (strlen(sequence_keys[i].text) == n && memcmp(sequence_keys[i].text, text, n) == 0)
            emit(r, sequence_keys[i].code);
}

/* What P[0] == ESCAPE begins: the bytes that it takes, or 0 to wait for more. */
static size_t take_escape(struct key_reader *r, const char *p, size_t n)
{
    if (n == 1)
        return 0;
    if (p[1] == 'O') {
        if (n == 2)
            return 0;
        emit_sequence(r, p + 2, 1);
        return 3;
    }
    if (p[1] == '[') {
        for (size_t i = 2; i < n && i < SEQUENCE_MAX_BYTES; i++) {
            if ((unsigned char)p[i] < 0x20 || (unsigned char)p[i] > 0x7e)
                return i; /* no sequence: it is dropped, this byte is read anew */
            if ((unsigned char)p[i] >= 0x40) {
                emit_sequence(r, p + 2, i - 1);
                return i + 1;
            }
        }
        return n < SEQUENCE_MAX_BYTES ? 0 : SEQUENCE_MAX_BYTES;
    }
    if (p[1] == ESCAPE) {
        emit(r, KEY_ESCAPE);
        return 1;
    }
    for (size_t i = 0; i < sizeof alt_keys / sizeof alt_keys[0]; i++)
        if (alt_keys[i].byte == p[1])
            emit(r, alt_keys[i].code);
    return 2;
}

/* --- Text --------------------------------------------------------------------------------------------------------- */

static bool is_cut(const char *p, size_t n)
{
    unsigned char c = (unsigned char)p[0];
    size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

    if (c < 0xc2 || c > 0xf4 || n >= need)
        return false;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)p[i] & 0xc0) != 0x80)
            return false;
    return true;
}

/* A run of printable characters, or one byte that is none; 0 to wait. */
static size_t take_text(struct key_reader *r, const char *p, size_t n)
{
    struct key key = {.code = KEY_TEXT, .text = p};
    size_t length;
    uint32_t cp;

    while (key.len < n && (length = utf8_decode(p + key.len, n - key.len, &cp)) > 0 && cp >= 0x20 && cp != 0x7f &&
           (cp < 0x80 || cp >= 0xa0))
        key.len += length;
    if (key.len > 0)
        r->on_key(r->data, &key);
    if (key.len > 0 || is_cut(p, n))
        return key.len;
    return utf8_decode(p, n, NULL) > 1 ? utf8_decode(p, n, NULL) : 1;
}

static size_t take_control(struct key_reader *r, char byte)
{
    for (size_t i = 0; i < sizeof control_keys / sizeof control_keys[0]; i++)
        if (control_keys[i].byte == byte)
            emit(r, control_keys[i].code);
    return 1;
}

static void emit_paste(struct key_reader *r, const char *p, size_t n)
{
    struct buf clean = BUF_INIT;
    struct key key = {.code = KEY_PASTE};

    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        size_t length = utf8_decode(p + i, n - i, &cp);

        if (length == 0) {
            i++;
            continue;
        }
        if (cp == '\r' && !(i + 1 < n && p[i + 1] == '\n'))
            buf_putc(&clean, '\n');
        else if (cp == '\n' || cp == '\t' || (cp >= 0x20 && cp != 0x7f && (cp < 0x80 || cp >= 0xa0)))
            buf_append(&clean, p + i, length);
        i += length;
    }
    key.text = buf_cstr(&clean);
    key.len = clean.len;
    if (key.len > 0)
        r->on_key(r->data, &key);
    buf_free(&clean);
}

/* Up to the end of the paste; 0 to wait. */
static size_t take_paste(struct key_reader *r)
{
    char *end = memmem(r->pending.data, r->pending.len, PASTE_END, strlen(PASTE_END));
    size_t n = end == NULL ? r->pending.len : (size_t)(end - r->pending.data);

    if (end == NULL) {
        /* What is beyond the bound is dropped, but not the beginning of the mark of the end. */
        if (n > KEY_PASTE_MAX_BYTES + 64) {
            memmove(r->pending.data + KEY_PASTE_MAX_BYTES, r->pending.data + n - 8, 8);
            buf_truncate(&r->pending, KEY_PASTE_MAX_BYTES + 8);
        }
        return 0;
    }
    r->in_paste = false;
    emit_paste(r, r->pending.data, n < KEY_PASTE_MAX_BYTES ? n : KEY_PASTE_MAX_BYTES);
    return n + strlen(PASTE_END);
}

static size_t take(struct key_reader *r)
{
    char first = r->pending.data[0];

    if (r->in_paste)
        return take_paste(r);
    if (first == ESCAPE)
        return take_escape(r, r->pending.data, r->pending.len);
    if ((unsigned char)first < 0x20 || first == 0x7f)
        return take_control(r, first);
    return take_text(r, r->pending.data, r->pending.len);
}

void key_reader_feed(struct key_reader *r, const char *bytes, size_t n)
{
    size_t taken;

    buf_append(&r->pending, bytes, n);
    while (r->pending.len > 0 && (taken = take(r)) > 0)
        buf_consume(&r->pending, taken);
}

bool key_reader_is_waiting(const struct key_reader *r)
{
    return !r->in_paste && r->pending.len > 0;
}

void key_reader_flush(struct key_reader *r)
{
    bool is_escape = r->pending.len == 1 && r->pending.data[0] == ESCAPE;

    if (!key_reader_is_waiting(r))
        return;
    buf_clear(&r->pending);
    if (is_escape)
        emit(r, KEY_ESCAPE);
}
