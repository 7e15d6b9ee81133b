/* agent/bounded_json.c: see bounded_json.h. */
#include "agent/bounded_json.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <string.h>

#define MAX_TEXT_BYTES ((size_t)16384)
#define MAX_MEMBERS    256
#define MAX_DEPTH      8
#define MAX_KEY_BYTES  200

json_t *bounded_text(const char *text, size_t n)
{
    struct buf b = BUF_INIT;
    json_t *value;

    if (n > MAX_TEXT_BYTES) {
        utf8_append_repaired(&b, text, utf8_floor(text, n, MAX_TEXT_BYTES / 2));
        buf_puts(&b, "\n[...]\n");
        utf8_append_repaired(&b, text + n - MAX_TEXT_BYTES / 2, MAX_TEXT_BYTES / 2);
    } else {
        utf8_append_repaired(&b, text, n);
    }
    value = json_stringn(buf_cstr(&b), b.len);
    buf_free(&b);
    return value;
}

static json_t *copy(const json_t *value, unsigned depth)
{
    json_t *made;
    json_t *member;
    const char *key;
    size_t i;

    if (json_is_string(value))
        return bounded_text(json_string_value(value), json_string_length(value));
    if (!json_is_object(value) && !json_is_array(value))
        return value == NULL ? json_null() : json_copy((json_t *)value);
    if (depth >= MAX_DEPTH)
        return json_null();
    if (json_is_array(value)) {
        made = json_array();
        json_array_foreach (value, i, member) {
            if (i >= MAX_MEMBERS)
                break;
            json_array_append_new(made, copy(member, depth + 1));
        }
        return made;
    }
    made = json_object();
    json_object_foreach ((json_t *)value, key, member) {
        if (json_object_size(made) >= MAX_MEMBERS)
            break;
        if (strlen(key) <= MAX_KEY_BYTES)
            json_object_set_new(made, key, copy(member, depth + 1));
    }
    return made;
}

json_t *bounded_copy(const json_t *value)
{
    return copy(value, 0);
}
