/* agent/final_answer.c: see final_answer.h. */
#include "agent/final_answer.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "tool/submission.h"

#include <stdbool.h>
#include <string.h>

#define MAX_MESSAGE_BYTES ((size_t)1 << 20)
#define MAX_OBJECTS       64 /* of an answer in free text: so many starts are tried */

static void append_form(struct buf *b, const char *owes)
{
    const char *schema = submission_schema(owes);

    buf_printf(b, "one JSON object and nothing else, by this JSON schema:\n\n%s\n",
               schema == NULL ? "{}" : schema);
}

void final_answer_describe(struct buf *b, const char *owes)
{
    buf_printf(b,
               "You have no tool `%s`. Where you are told to call it, end your work with a last message in "
               "its place: ",
               owes);
    append_form(b, owes);
}

void final_answer_ask_again(struct buf *b, const char *owes, const char *why)
{
    buf_printf(b, "Your last message could not be taken: %s\n\nAnswer once more, now with ", why);
    append_form(b, owes);
}

/* Strict schemas make what is left out null. */
static void drop_nulls(json_t *value)
{
    const char *key;
    void *next;
    json_t *member;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach (value, i, member)
            drop_nulls(member);
        return;
    }
    json_object_foreach_safe (value, next, key, member) {
        if (json_is_null(member))
            json_object_del(value, key);
        else
            drop_nulls(member);
    }
}

static json_t *parse_object(const char *text, size_t n, struct error *err)
{
    json_t *value = json_parse(text, n, "the last message", err);

    if (value != NULL && !json_is_object(value)) {
        json_decref(value);
        error_set(err, ERROR_PARSE, "the last message: a JSON object is expected");
        return NULL;
    }
    return value;
}

/* What stands in the last ``` block. */
static json_t *parse_fence(const char *text, struct error *err)
{
    const char *end = NULL;
    const char *start = NULL;
    const char *body;

    for (const char *p = text; (p = strstr(p, "```")) != NULL; p += 3) {
        start = end;
        end = p;
    }
    if (start == NULL)
        return NULL;
    body = strchr(start, '\n');
    if (body == NULL || body > end)
        body = start + 3;
    return parse_object(body, (size_t)(end - body), err);
}

/* The end of the object that begins at TEXT, by its braces and strings; NULL when it does not end. */
static const char *object_end(const char *text)
{
    bool in_string = false;
    unsigned depth = 0;

    for (const char *p = text; *p != '\0'; p++) {
        if (in_string) {
            if (*p == '\\' && p[1] != '\0')
                p++;
            else if (*p == '"')
                in_string = false;
        } else if (*p == '"') {
            in_string = true;
        } else if (*p == '{') {
            depth++;
        } else if (*p == '}' && --depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

static json_t *parse_last_object(const char *text)
{
    json_t *found = NULL;
    int tries = 0;

    for (const char *p = strchr(text, '{'); p != NULL && tries < MAX_OBJECTS; tries++) {
        const char *end = object_end(p);
        json_t *value = end == NULL ? NULL : parse_object(p, (size_t)(end - p), NULL);

        if (value != NULL) {
            json_decref(found);
            found = value;
        }
        p = strchr(value == NULL ? p + 1 : end, '{');
    }
    return found;
}

json_t *final_answer_read(const char *owes, const char *message, struct error *err)
{
    struct error first = {0};
    json_t *value;

    if (str_is_empty(message)) {
        error_set(err, ERROR_PARSE, "there was no last message");
        return NULL;
    }
    if (strlen(message) > MAX_MESSAGE_BYTES) {
        error_set(err, ERROR_PARSE, "the last message is larger than %zu bytes", MAX_MESSAGE_BYTES);
        return NULL;
    }
    value = parse_object(message, strlen(message), &first);
    if (value == NULL)
        value = parse_fence(message, &first);
    if (value == NULL)
        value = parse_last_object(message);
    if (value == NULL) {
        if (err != NULL)
            *err = first;
        return NULL;
    }
    drop_nulls(value);
    if (submission_check(owes, value, err) < 0) {
        json_decref(value);
        return NULL;
    }
    return value;
}
