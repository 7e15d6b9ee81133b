/* base/redact.c: see redact.h. Registered values and the beginnings of credential forms share one table of three-byte
 * hashes: a byte at which nothing can begin costs one look-up. */
#include "base/redact.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/secret_patterns.h"
#include "base/str.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_VALUES     4096 /* forms of registered values */
#define MAX_VALUE      16384
#define LINE_MIN_BYTES 16 /* of a value with several lines */
#define OPEN_TAIL_MAX  16384

struct value {
    char *text;
    size_t len;
    int next; /* with the same hash byte; -1: none */
};

static struct {
    struct value *values;
    size_t count, cap;
    int heads[256];
    uint64_t known[1024]; /* a bit for each hash that a value begins with */
    uint64_t any[1024];   /* the same with the beginnings of credential forms */
    size_t longest;
    bool is_ready;
} table;

static unsigned hash_of(const char *p)
{
    uint32_t gram = (uint32_t)(unsigned char)p[0] | (uint32_t)(unsigned char)p[1] << 8 |
                    (uint32_t)(unsigned char)p[2] << 16;

    return gram * 2654435761U >> 16;
}

static bool has_bit(const uint64_t *bits, unsigned h)
{
    return (bits[h / 64] >> h % 64 & 1) != 0;
}

static void prepare(void)
{
    const char *text;

    if (table.is_ready)
        return;
    for (size_t i = 0; i < 256; i++)
        table.heads[i] = -1;
    for (size_t i = 0; (text = secret_beginning(i)) != NULL; i++)
        table.any[hash_of(text) / 64] |= 1ULL << hash_of(text) % 64;
    table.is_ready = true;
}

void redact_clear(void)
{
    for (size_t i = 0; i < table.count; i++)
        free(table.values[i].text);
    free(table.values);
    memset(&table, 0, sizeof table);
}

/* --- Registering ------------------------------------------------------------------------------------------------------ */

static void add_form(const char *text, size_t len)
{
    unsigned h;

    if (len < REDACT_MIN_BYTES || len > MAX_VALUE || table.count >= MAX_VALUES)
        return;
    h = hash_of(text);
    for (int i = table.heads[h & 0xff]; i >= 0; i = table.values[i].next)
        if (table.values[i].len == len && memcmp(table.values[i].text, text, len) == 0)
            return;
    if (table.count == table.cap) {
        table.cap = table.cap == 0 ? 32 : table.cap * 2;
        table.values = xrealloc(table.values, table.cap * sizeof *table.values);
    }
    table.values[table.count] = (struct value){xstrndup(text, len), len, table.heads[h & 0xff]};
    table.heads[h & 0xff] = (int)table.count++;
    table.known[h / 64] |= 1ULL << h % 64;
    table.any[h / 64] |= 1ULL << h % 64;
    if (len > table.longest)
        table.longest = len;
}

static void add_json_form(const char *text, size_t n)
{
    struct buf b = BUF_INIT;

    json_append_escaped(&b, text, n);
    add_form(b.data, b.len);
    buf_free(&b);
}

static void add_url_form(const char *text, size_t n)
{
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < n; i++)
        if (isalnum((unsigned char)text[i]) || strchr("-._~", text[i]) != NULL)
            buf_putc(&b, text[i]);
        else
            buf_printf(&b, "%%%02X", (unsigned char)text[i]);
    add_form(b.data, b.len);
    buf_free(&b);
}

/* What is the same in base64 whatever stands around the value, for each of the three places it can begin at. */
static void add_base64_forms(const char *text, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (n < 12)
        return;
    for (size_t skip = 0; skip < 3; skip++) {
        struct buf b = BUF_INIT;

        for (size_t i = skip; i + 3 <= n; i += 3) {
            uint32_t v = (uint32_t)(unsigned char)text[i] << 16 | (uint32_t)(unsigned char)text[i + 1] << 8 |
                         (uint32_t)(unsigned char)text[i + 2];

            buf_putc(&b, digits[v >> 18 & 63]);
            buf_putc(&b, digits[v >> 12 & 63]);
            buf_putc(&b, digits[v >> 6 & 63]);
            buf_putc(&b, digits[v & 63]);
        }
        if (b.len >= 12)
            add_form(b.data, b.len);
        buf_free(&b);
    }
}

static void add_value(const char *text, size_t n)
{
    add_form(text, n);
    add_json_form(text, n);
    add_url_form(text, n);
    add_base64_forms(text, n);
}

void redact_add(const char *value)
{
    char *copy, *text;
    struct str_list lines = {0};

    if (value == NULL)
        return;
    prepare();
    copy = xstrdup(value);
    text = str_trim(copy);
    if (strlen(text) >= REDACT_MIN_BYTES && strlen(text) <= MAX_VALUE) {
        add_value(text, strlen(text));
        if (strchr(text, '\n') != NULL) {
            str_split(&lines, text, '\n');
            for (size_t i = 0; i < lines.len; i++) {
                char *line = str_trim(lines.items[i]);

                if (strlen(line) >= LINE_MIN_BYTES)
                    add_value(line, strlen(line));
            }
            str_list_finish(&lines);
        }
    }
    free(copy);
}

bool redact_is_secret_name(const char *name, size_t n)
{
    static const char *const words[] = {"key",    "secret",     "token",      "password",
                                        "passwd", "passphrase", "credential", "apikey",
                                        "_pat",   "_auth",      "cookie",     "authorization"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t len = strlen(words[i]);

        /* "_pat" and "_auth" count at the end alone: LD_LIBRARY_PATH and SSH_AUTH_SOCK are none */
        for (size_t k = words[i][0] == '_' && n >= len ? n - len : 0; k + len <= n; k++)
            if (strncasecmp(name + k, words[i], len) == 0)
                return true;
    }
    return false;
}

/* --- Searching -------------------------------------------------------------------------------------------------------- */

/* The longest value that stands at AT; 0: none. */
static size_t known_at(const char *text, size_t n, size_t at, unsigned h)
{
    size_t longest = 0;

    for (int i = table.heads[h & 0xff]; i >= 0; i = table.values[i].next) {
        const struct value *v = &table.values[i];

        if (v->len > longest && v->len <= n - at && memcmp(v->text, text + at, v->len) == 0)
            longest = v->len;
    }
    return longest;
}

/* The first secret at or after FROM. */
static bool next_secret(const char *text, size_t n, size_t from, enum redact_scope scope, bool loose,
                        size_t *start, size_t *end)
{
    const uint64_t *bits = scope == REDACT_KNOWN ? table.known : table.any;
    struct secret_match m;

    for (size_t at = from; at + 3 <= n; at++) {
        unsigned h = hash_of(text + at);
        size_t len;

        if (!has_bit(bits, h))
            continue;
        len = known_at(text, n, at, h);
        if (len > 0) {
            *start = at;
            *end = at + len;
            return true;
        }
        if (scope == REDACT_ALL && secret_match_at(text, n, at, loose, &m)) {
            *start = m.start;
            *end = m.end;
            return true;
        }
    }
    return false;
}

bool redact_append(struct buf *out, const char *text, size_t n, size_t from, enum redact_scope scope)
{
    size_t start, end, done = from;
    bool found = false;

    prepare();
    while (next_secret(text, n, done, scope, false, &start, &end)) {
        if (start > done)
            buf_append(out, text + done, start - done);
        buf_puts(out, REDACT_MARK);
        done = end;
        found = true;
    }
    buf_append(out, text + done, n - done);
    return found;
}

char *redact_text(const char *text, size_t n, enum redact_scope scope, size_t *length)
{
    struct buf out = BUF_INIT;
    size_t start, end;

    prepare();
    if (!next_secret(text, n, 0, scope, false, &start, &end))
        return NULL;
    (void)redact_append(&out, text, n, 0, scope);
    if (length != NULL)
        *length = out.len;
    return buf_take(&out);
}

char *redact_line(const char *line)
{
    return redact_text(line, strlen(line), REDACT_ALL, NULL);
}

char *redact_copy(const char *text)
{
    char *clean = text == NULL ? NULL : redact_line(text);

    return clean != NULL || text == NULL ? clean : xstrdup(text);
}

void redact_buf(struct buf *b, size_t from, enum redact_scope scope)
{
    size_t n;
    char *clean = b->len <= from ? NULL : redact_text(b->data + from, b->len - from, scope, &n);

    if (clean == NULL)
        return;
    buf_truncate(b, from);
    buf_append(b, clean, n);
    free(clean);
}

bool redact_has_known(const char *text, size_t n)
{
    size_t start, end;

    prepare();
    return next_secret(text, n, 0, REDACT_KNOWN, false, &start, &end);
}

/* --- JSON ------------------------------------------------------------------------------------------------------------- */

static void clean_string(json_t *value)
{
    size_t n;
    char *clean = redact_text(json_string_value(value), json_string_length(value), REDACT_ALL, &n);

    if (clean == NULL)
        return;
    if (json_string_setn(value, clean, n) < 0) /* a cut within a character: none of it is shown */
        (void)json_string_set(value, REDACT_MARK);
    free(clean);
}

static void clean_key(json_t *object, const char *key, json_t *member)
{
    char *clean = redact_line(key);

    if (clean == NULL)
        return;
    json_incref(member);
    (void)json_object_del(object, key);
    (void)json_object_set_new(object, clean, member);
    free(clean);
}

void redact_json(json_t *value)
{
    const char *key;
    json_t *member;
    void *next;
    size_t i;

    if (json_is_string(value)) {
        clean_string(value);
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, member) redact_json(member);
    } else if (json_is_object(value)) {
        json_object_foreach_safe(value, next, key, member)
        {
            redact_json(member);
            clean_key(value, key, member);
        }
    }
}

void redact_append_json(struct buf *out, const char *text, size_t n)
{
    size_t start, end;
    json_t *value;

    prepare();
    /* Escapes hide what stands before a credential: look loosely first, and at the strings only when there is a hit. */
    if (!next_secret(text, n, 0, REDACT_ALL, true, &start, &end)) {
        buf_append(out, text, n);
        return;
    }
    value = json_parse(text, n, "event", NULL);
    if (value == NULL) {
        size_t from = out->len;

        buf_append(out, text, n);
        redact_buf(out, from, REDACT_ALL);
        return;
    }
    redact_json(value);
    json_append_value(out, value);
    json_decref(value);
}

/* --- Streams ---------------------------------------------------------------------------------------------------------- */

/* Could what stands from AT to the end be the beginning of a registered value? */
static bool is_open_value(const char *tail, size_t n)
{
    for (size_t i = 0; i < table.count; i++)
        if (table.values[i].len > n && memcmp(table.values[i].text, tail, n) == 0)
            return true;
    return false;
}

/* The place at or before AT that cuts no secret in two. */
static size_t outside_secrets(const char *text, size_t n, size_t from, size_t at, enum redact_scope scope)
{
    size_t start, end;

    while (next_secret(text, n, from, scope, false, &start, &end) && start < at) {
        if (end > at)
            return start;
        from = end;
    }
    return at;
}

size_t redact_open_tail(const char *text, size_t n, size_t skip, enum redact_scope scope)
{
    size_t limit = scope == REDACT_ALL || table.longest > OPEN_TAIL_MAX ? OPEN_TAIL_MAX : table.longest;
    size_t from = n > limit ? n - limit : 0;

    prepare();
    if (from < skip)
        from = skip;
    for (size_t at = from; at < n; at++) {
        if (n - at >= 3 && !has_bit(scope == REDACT_KNOWN ? table.known : table.any, hash_of(text + at)))
            continue;
        if (!is_open_value(text + at, n - at) && (scope == REDACT_KNOWN || !secret_is_open(text, n, at)))
            continue;
        return n - outside_secrets(text, n, skip, at, scope);
    }
    return 0;
}
