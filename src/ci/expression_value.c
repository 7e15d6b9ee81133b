/* ci/expression_value.c: values of expressions: coercion, comparison, printing. */
#include "ci/expression.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

void expr_value_finish(struct expr_value *value)
{
    free(value->string);
    json_decref(value->json);
    memset(value, 0, sizeof *value);
}

struct expr_value expr_value_copy(const struct expr_value *value)
{
    struct expr_value copy = *value;

    copy.string = xstrdup(value->string);
    copy.json = json_incref(value->json);
    return copy;
}

struct expr_value expr_null(void)
{
    return (struct expr_value){.kind = EXPR_NULL};
}

struct expr_value expr_boolean(bool b)
{
    return (struct expr_value){.kind = EXPR_BOOLEAN, .boolean = b};
}

struct expr_value expr_number(double number)
{
    return (struct expr_value){.kind = EXPR_NUMBER, .number = number};
}

struct expr_value expr_string(const char *text)
{
    return (struct expr_value){.kind = EXPR_STRING, .string = xstrdup(text)};
}

struct expr_value expr_string_taken(char *text)
{
    return (struct expr_value){.kind = EXPR_STRING, .string = text};
}

struct expr_value expr_from_json(const json_t *json)
{
    switch (json == NULL ? JSON_NULL : json_typeof(json)) {
    case JSON_TRUE:
    case JSON_FALSE:
        return expr_boolean(json_is_true(json));
    case JSON_INTEGER:
    case JSON_REAL:
        return expr_number(json_number_value(json));
    case JSON_STRING:
        return expr_string(json_string_value(json));
    case JSON_ARRAY:
        return (struct expr_value){.kind = EXPR_ARRAY, .json = json_incref((json_t *)(uintptr_t)json)};
    case JSON_OBJECT:
        return (struct expr_value){.kind = EXPR_OBJECT, .json = json_incref((json_t *)(uintptr_t)json)};
    case JSON_NULL:
    default:
        return expr_null();
    }
}

json_t *expr_to_json(const struct expr_value *value)
{
    switch (value->kind) {
    case EXPR_BOOLEAN:
        return json_boolean(value->boolean);
    case EXPR_NUMBER:
        if (isfinite(value->number) && value->number == floor(value->number) && fabs(value->number) < 1e15)
            return json_integer((json_int_t)value->number);
        if (isfinite(value->number))
            return json_real(value->number);
        return json_string(isnan(value->number) ? "NaN" : value->number > 0 ? "Infinity" : "-Infinity");
    case EXPR_STRING: {
        json_t *s = json_string(value->string);
        return s != NULL ? s : json_string("");
    }
    case EXPR_ARRAY:
    case EXPR_OBJECT:
        return json_incref(value->json);
    case EXPR_NULL:
    default:
        return json_null();
    }
}

bool expr_is_truthy(const struct expr_value *value)
{
    switch (value->kind) {
    case EXPR_NULL:
        return false;
    case EXPR_BOOLEAN:
        return value->boolean;
    case EXPR_NUMBER:
        return !isnan(value->number) && fpclassify(value->number) != FP_ZERO;
    case EXPR_STRING:
        return value->string[0] != '\0';
    case EXPR_ARRAY:
    case EXPR_OBJECT:
    default:
        return true;
    }
}

/* Digits of BASE after a prefix, as a 32-bit pattern; NaN when there are others or too many. */
static double parse_radix(const char *digits, unsigned base)
{
    uint64_t value = 0;

    if (*digits == '\0')
        return NAN;
    for (; *digits != '\0'; digits++) {
        unsigned digit = isdigit((unsigned char)*digits)    ? (unsigned)(*digits - '0')
                         : isxdigit((unsigned char)*digits) ? (unsigned)(tolower(*digits) - 'a') + 10
                                                            : 99;
        if (digit >= base)
            return NAN;
        value = value * base + digit;
        if (value > UINT32_MAX)
            return NAN;
    }
    return (double)(int32_t)(uint32_t)value;
}

double expr_parse_number(const char *text)
{
    const char *p = text, *end = text + strlen(text), *q;
    bool has_digit = false;
    char copy[400];
    size_t n;

    while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
        p++;
    while (end > p && (end[-1] == ' ' || (end[-1] >= '\t' && end[-1] <= '\r')))
        end--;
    n = (size_t)(end - p);
    if (n == 0)
        return 0;
    if (n >= sizeof copy)
        return NAN;
    memcpy(copy, p, n);
    copy[n] = '\0';
    if (copy[0] == '0' && copy[1] == 'x')
        return parse_radix(copy + 2, 16);
    if (copy[0] == '0' && copy[1] == 'o')
        return parse_radix(copy + 2, 8);

    q = copy + (copy[0] == '-' || copy[0] == '+');
    if (strcasecmp(q, "infinity") == 0)
        return copy[0] == '-' ? -INFINITY : INFINITY;
    /* [sign] digits [. digits] [e [sign] digits]; strtod would also take hex and "inf". */
    for (; isdigit((unsigned char)*q); q++)
        has_digit = true;
    if (*q == '.') {
        for (q++; isdigit((unsigned char)*q); q++)
            has_digit = true;
    }
    if (!has_digit)
        return NAN;
    if (*q == 'e' || *q == 'E') {
        q++;
        if (*q == '-' || *q == '+')
            q++;
        if (!isdigit((unsigned char)*q))
            return NAN;
        while (isdigit((unsigned char)*q))
            q++;
    }
    return *q == '\0' ? strtod(copy, NULL) : NAN;
}

double expr_to_number(const struct expr_value *value)
{
    switch (value->kind) {
    case EXPR_NULL:
        return 0;
    case EXPR_BOOLEAN:
        return value->boolean ? 1 : 0;
    case EXPR_NUMBER:
        return value->number;
    case EXPR_STRING:
        return expr_parse_number(value->string);
    case EXPR_ARRAY:
    case EXPR_OBJECT:
    default:
        return NAN;
    }
}

void expr_print_number(struct buf *out, double number)
{
    if (isnan(number))
        buf_puts(out, "NaN");
    else if (isinf(number))
        buf_puts(out, number > 0 ? "Infinity" : "-Infinity");
    else if (fpclassify(number) == FP_ZERO)
        buf_puts(out, "0");
    else
        buf_printf(out, "%.15G", number);
}

char *expr_to_string(const struct expr_value *value)
{
    struct buf b = BUF_INIT;

    switch (value->kind) {
    case EXPR_NULL:
        return xstrdup("");
    case EXPR_BOOLEAN:
        return xstrdup(value->boolean ? "true" : "false");
    case EXPR_NUMBER:
        expr_print_number(&b, value->number);
        return buf_take(&b);
    case EXPR_STRING:
        return xstrdup(value->string);
    case EXPR_ARRAY:
        return xstrdup("Array");
    case EXPR_OBJECT:
    default:
        return xstrdup("Object");
    }
}

/* Simple upper case of the invariant culture: dotless i and long s stay. Invalid bytes stand for themselves
 * above all characters. */
static uint32_t next_upper(const char **p)
{
    uint32_t c;
    size_t n;

    if ((unsigned char)**p < 0x80)
        return (uint32_t)toupper((unsigned char)*(*p)++);
    n = utf8_decode(*p, strnlen(*p, 4), &c);
    if (n == 0)
        return 0x110000u + (unsigned char)*(*p)++;
    *p += n;
    if (c == 0x131 || c == 0x17f)
        return c;
    return (uint32_t)utf8proc_toupper((utf8proc_int32_t)c);
}

int expr_text_compare(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        uint32_t x = next_upper(&a), y = next_upper(&b);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return *a != '\0' ? 1 : *b != '\0' ? -1 : 0;
}

bool expr_text_starts_with(const char *text, const char *start)
{
    while (*start != '\0') {
        if (*text == '\0' || next_upper(&text) != next_upper(&start))
            return false;
    }
    return true;
}

bool expr_text_contains(const char *text, const char *part)
{
    for (;;) {
        if (expr_text_starts_with(text, part))
            return true;
        if (*text == '\0')
            return false;
        next_upper(&text);
    }
}

bool expr_text_ends_with(const char *text, const char *end)
{
    for (;;) {
        if (expr_text_compare(text, end) == 0)
            return true;
        if (*text == '\0')
            return false;
        next_upper(&text);
    }
}

json_t *expr_member(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    const char *key;

    if (value != NULL || !json_is_object(object))
        return value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        if (expr_text_compare(key, name) == 0)
            return value;
    }
    return NULL;
}

/* Brings both to one kind as far as the rules go: text beside a number, and booleans and null beside
 * anything, become numbers. A and B are shallow copies; strings and trees stay borrowed. */
static void coerce(struct expr_value *a, struct expr_value *b)
{
    if (a->kind == b->kind)
        return;
    if (a->kind == EXPR_NUMBER && b->kind == EXPR_STRING) {
        *b = expr_number(expr_to_number(b));
    } else if (a->kind == EXPR_STRING && b->kind == EXPR_NUMBER) {
        *a = expr_number(expr_to_number(a));
    } else if (a->kind == EXPR_BOOLEAN || a->kind == EXPR_NULL) {
        *a = expr_number(expr_to_number(a));
        coerce(a, b);
    } else if (b->kind == EXPR_BOOLEAN || b->kind == EXPR_NULL) {
        *b = expr_number(expr_to_number(b));
        coerce(a, b);
    }
}

bool expr_equal(const struct expr_value *left, const struct expr_value *right)
{
    struct expr_value a = *left, b = *right;

    coerce(&a, &b);
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case EXPR_NULL:
        return true;
    case EXPR_BOOLEAN:
        return a.boolean == b.boolean;
    case EXPR_NUMBER:
        return !(a.number < b.number) && !(a.number > b.number) && !isnan(a.number) && !isnan(b.number);
    case EXPR_STRING:
        return expr_text_compare(a.string, b.string) == 0;
    case EXPR_ARRAY:
    case EXPR_OBJECT:
    default:
        return a.json == b.json;
    }
}

static bool is_ordered(const struct expr_value *left, const struct expr_value *right, int sign)
{
    struct expr_value a = *left, b = *right;

    coerce(&a, &b);
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case EXPR_BOOLEAN:
        return sign > 0 ? a.boolean && !b.boolean : !a.boolean && b.boolean;
    case EXPR_NUMBER:
        return sign > 0 ? a.number > b.number : a.number < b.number;
    case EXPR_STRING:
        return expr_text_compare(a.string, b.string) * sign > 0;
    case EXPR_NULL:
    case EXPR_ARRAY:
    case EXPR_OBJECT:
    default:
        return false;
    }
}

bool expr_greater(const struct expr_value *a, const struct expr_value *b)
{
    return is_ordered(a, b, 1);
}

bool expr_less(const struct expr_value *a, const struct expr_value *b)
{
    return is_ordered(a, b, -1);
}

static void print_json(struct buf *out, const json_t *value, int depth)
{
    const char *key;
    json_t *item;
    size_t i;
    bool is_first = true;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        buf_putc(out, '{');
        json_object_foreach((json_t *)(uintptr_t)value, key, item) {
            buf_printf(out, "%s\n%*s", is_first ? "" : ",", 2 * (depth + 1), "");
            json_append_string(out, key);
            buf_puts(out, ": ");
            print_json(out, item, depth + 1);
            is_first = false;
        }
        if (!is_first)
            buf_printf(out, "\n%*s", 2 * depth, "");
        buf_putc(out, '}');
        break;
    case JSON_ARRAY:
        buf_putc(out, '[');
        json_array_foreach(value, i, item) {
            buf_printf(out, "%s\n%*s", i == 0 ? "" : ",", 2 * (depth + 1), "");
            print_json(out, item, depth + 1);
        }
        if (json_array_size(value) > 0)
            buf_printf(out, "\n%*s", 2 * depth, "");
        buf_putc(out, ']');
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        expr_print_number(out, json_number_value(value));
        break;
    case JSON_STRING:
        json_append_string(out, json_string_value(value));
        break;
    case JSON_TRUE:
        buf_puts(out, "true");
        break;
    case JSON_FALSE:
        buf_puts(out, "false");
        break;
    case JSON_NULL:
    default:
        buf_puts(out, "null");
        break;
    }
}

void expr_print_json(struct buf *out, const json_t *value)
{
    print_json(out, value, 0);
}
