/* ci/matrix.c: cross product, minus `exclude`, plus `include`.
 * (docs.github.com/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations) */
#include "ci/matrix.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "ci/expression.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_MAX_BYTES 120

static bool values_equal(const json_t *a, const json_t *b)
{
    struct expr_value x, y;
    bool same;

    if (json_is_object(a) || json_is_array(a) || json_is_object(b) || json_is_array(b))
        return json_equal(a, b);
    x = expr_from_json(a);
    y = expr_from_json(b);
    same = expr_equal(&x, &y);
    expr_value_finish(&x);
    expr_value_finish(&y);
    return same;
}

static json_t *mutable_json(const json_t *json)
{
    return (json_t *)(uintptr_t)json;
}

/* Does the leg have every value of FILTER? Objects match by the members that are named. */
static bool leg_has(const json_t *leg, const json_t *filter)
{
    const char *key;
    json_t *value;

    json_object_foreach(mutable_json(filter), key, value) {
        const json_t *own = json_object_get(leg, key);
        if (own == NULL)
            return false;
        if (json_is_object(value) && json_is_object(own)) {
            if (!leg_has(own, value))
                return false;
        } else if (!values_equal(own, value)) {
            return false;
        }
    }
    return true;
}

static int multiply(json_t **legs, const char *key, const json_t *values, struct error *err)
{
    json_t *product = json_array();
    json_t *leg, *value;
    size_t i, k;

    if (json_array_size(*legs) * json_array_size(values) > MATRIX_MAX_LEGS) {
        json_decref(product);
        return error_set(err, ERROR_LIMIT, "Strategy expansion exceeded %d results", MATRIX_MAX_LEGS);
    }
    json_array_foreach(*legs, i, leg) {
        json_array_foreach(values, k, value) {
            json_t *copy = json_copy(leg);
            json_object_set(copy, key, value);
            json_array_append_new(product, copy);
        }
    }
    json_decref(*legs);
    *legs = product;
    return 0;
}

static int exclude(json_t *legs, const json_t *filters, const json_t *matrix, struct error *err)
{
    json_t *filter, *value;
    const char *key;
    size_t i;

    json_array_foreach(filters, i, filter) {
        if (!json_is_object(filter))
            return error_set(err, ERROR_PARSE, "An entry of the matrix' exclude is not a mapping");
        json_object_foreach(filter, key, value) {
            if (json_object_get(matrix, key) == NULL)
                return error_set(err, ERROR_PARSE,
                                 "Matrix exclude key '%s' does not match any key within the matrix", key);
        }
        for (size_t k = json_array_size(legs); k-- > 0;) {
            if (leg_has(json_array_get(legs, k), filter))
                json_array_remove(legs, k);
        }
    }
    return 0;
}

/* Adds to every original leg whose original values stay; else it is a leg of its own. */
static int include(json_t *legs, const json_t *extras, const json_t *matrix, struct error *err)
{
    size_t original_count = json_array_size(legs);
    json_t *extra, *value;
    const char *key;
    size_t i;

    json_array_foreach(extras, i, extra) {
        bool was_added = false;

        if (!json_is_object(extra))
            return error_set(err, ERROR_PARSE, "An entry of the matrix' include is not a mapping");
        for (size_t k = 0; k < original_count; k++) {
            json_t *leg = json_array_get(legs, k);
            bool fits = true;
            json_object_foreach(extra, key, value) {
                if (json_object_get(matrix, key) != NULL && !values_equal(json_object_get(leg, key), value))
                    fits = false;
            }
            if (fits) {
                json_object_update(leg, extra);
                was_added = true;
            }
        }
        if (!was_added)
            json_array_append_new(legs, json_copy(extra));
    }
    if (json_array_size(legs) > MATRIX_MAX_LEGS)
        return error_set(err, ERROR_LIMIT, "Strategy expansion exceeded %d results", MATRIX_MAX_LEGS);
    return 0;
}

json_t *matrix_expand(const json_t *matrix, struct error *err)
{
    json_t *legs, *value;
    const char *key;
    bool has_vector = false;

    if (!json_is_object(matrix)) {
        error_set(err, ERROR_PARSE, "The matrix is not a mapping");
        return NULL;
    }
    legs = json_array();
    json_array_append_new(legs, json_object());
    json_object_foreach(mutable_json(matrix), key, value) {
        if (strcmp(key, "include") == 0 || strcmp(key, "exclude") == 0) {
            if (!json_is_array(value) && !json_is_null(value)) {
                error_set(err, ERROR_PARSE, "The matrix' %s is not a sequence", key);
                goto fail;
            }
            continue;
        }
        if (!json_is_array(value)) {
            error_set(err, ERROR_PARSE, "The matrix' '%s' is not a sequence", key);
            goto fail;
        }
        if (json_array_size(value) == 0) {
            error_set(err, ERROR_PARSE, "Matrix vector '%s' does not contain any values", key);
            goto fail;
        }
        has_vector = true;
        if (multiply(&legs, key, value, err) < 0)
            goto fail;
    }
    if (!has_vector)
        json_array_clear(legs);
    if (json_is_array(json_object_get(matrix, "exclude")) &&
        exclude(legs, json_object_get(matrix, "exclude"), matrix, err) < 0)
        goto fail;
    if (json_is_array(json_object_get(matrix, "include")) &&
        include(legs, json_object_get(matrix, "include"), matrix, err) < 0)
        goto fail;
    return legs;
fail:
    json_decref(legs);
    return NULL;
}

static void label_text(struct buf *b, const char *text)
{
    size_t n = 0;

    if (*text == '\0' || b->len > LABEL_MAX_BYTES)
        return;
    if (b->len > 0)
        buf_puts(b, ", ");
    while (text[n] >= ' ' && text[n] <= '~')
        n++;
    buf_append(b, text, n);
    if (text[n] != '\0')
        utf8_append_printable(b, text + n, strlen(text + n), false);
}

static void label_value(struct buf *b, const json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_object(value)) {
        json_object_foreach(mutable_json(value), key, item)
            label_value(b, item);
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item)
            label_value(b, item);
    } else if (json_is_string(value)) {
        label_text(b, json_string_value(value));
    } else {
        struct expr_value v = expr_from_json(value);
        char *text = expr_to_string(&v);
        label_text(b, text);
        free(text);
        expr_value_finish(&v);
    }
}

char *matrix_leg_label(const json_t *leg)
{
    struct buf b = BUF_INIT;

    label_value(&b, leg);
    if (b.len > LABEL_MAX_BYTES) {
        buf_truncate(&b, utf8_floor(b.data, b.len, LABEL_MAX_BYTES - 3));
        buf_puts(&b, "...");
    }
    return buf_take(&b);
}
