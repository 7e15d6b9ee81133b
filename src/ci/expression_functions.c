/* ci/expression_functions.c: the functions that every expression has. `case` is evaluated lazily and
 * therefore has no function here. */
#include "ci/expression_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_primitive(const struct expr_value *v)
{
    return v->kind != EXPR_ARRAY && v->kind != EXPR_OBJECT;
}

static int call_contains(struct evaluation *ev, const struct expr_value *args, size_t n,
                         struct expr_value *out, struct error *err)
{
    bool found = false;

    (void)ev, (void)n, (void)err;
    if (is_primitive(&args[0]) && is_primitive(&args[1])) {
        char *text = expr_to_string(&args[0]), *part = expr_to_string(&args[1]);
        found = expr_text_contains(text, part);
        free(text);
        free(part);
    } else if (args[0].kind == EXPR_ARRAY) {
        json_t *item;
        size_t i;
        json_array_foreach(args[0].json, i, item) {
            struct expr_value value = expr_from_json(item);
            found = found || expr_equal(&value, &args[1]);
            expr_value_finish(&value);
        }
    }
    *out = expr_boolean(found);
    return 0;
}

static int test_end(const struct expr_value *args, bool (*test)(const char *, const char *),
                    struct expr_value *out)
{
    bool found = false;

    if (is_primitive(&args[0]) && is_primitive(&args[1])) {
        char *text = expr_to_string(&args[0]), *part = expr_to_string(&args[1]);
        found = test(text, part);
        free(text);
        free(part);
    }
    *out = expr_boolean(found);
    return 0;
}

static int call_starts_with(struct evaluation *ev, const struct expr_value *args, size_t n,
                            struct expr_value *out, struct error *err)
{
    (void)ev, (void)n, (void)err;
    return test_end(args, expr_text_starts_with, out);
}

static int call_ends_with(struct evaluation *ev, const struct expr_value *args, size_t n,
                          struct expr_value *out, struct error *err)
{
    (void)ev, (void)n, (void)err;
    return test_end(args, expr_text_ends_with, out);
}

static int call_format(struct evaluation *ev, const struct expr_value *args, size_t n, struct expr_value *out,
                       struct error *err)
{
    char *format = expr_to_string(&args[0]);
    struct buf b = BUF_INIT;
    int rc = -1;

    for (const char *p = format; *p != '\0'; p++) {
        if (p[0] == '{' && p[1] == '{') {
            buf_putc(&b, *p++);
        } else if (p[0] == '}' && p[1] == '}') {
            buf_putc(&b, *p++);
        } else if (*p == '{') {
            size_t index = 0, digits = 0;
            char *text;

            for (p++; *p >= '0' && *p <= '9' && digits < 4; p++, digits++)
                index = index * 10 + (size_t)(*p - '0');
            if (digits == 0 || *p != '}') {
                error_set(err, ERROR_PARSE, "The following format string is invalid: %s", format);
                goto out;
            }
            if (index + 1 >= n) {
                error_set(err, ERROR_PARSE,
                          "The following format string references more arguments than were supplied: %s",
                          format);
                goto out;
            }
            text = expr_to_string(&args[index + 1]);
            buf_puts(&b, text);
            free(text);
            if (b.len > ev->max_memory) {
                error_set(err, ERROR_LIMIT, "The maximum allowed memory size was exceeded");
                goto out;
            }
        } else if (*p == '}') {
            error_set(err, ERROR_PARSE, "The following format string is invalid: %s", format);
            goto out;
        } else {
            buf_putc(&b, *p);
        }
    }
    *out = expr_string_taken(buf_take(&b));
    rc = 0;
out:
    buf_free(&b);
    free(format);
    return rc;
}

static int call_join(struct evaluation *ev, const struct expr_value *args, size_t n, struct expr_value *out,
                     struct error *err)
{
    struct buf b = BUF_INIT;
    char *separator;
    json_t *item;
    size_t i;

    (void)ev, (void)err;
    if (is_primitive(&args[0])) {
        *out = expr_string_taken(expr_to_string(&args[0]));
        return 0;
    }
    separator = n > 1 && is_primitive(&args[1]) ? expr_to_string(&args[1]) : xstrdup(",");
    if (args[0].kind == EXPR_ARRAY) {
        json_array_foreach(args[0].json, i, item) {
            struct expr_value value = expr_from_json(item);
            char *text = expr_to_string(&value);
            if (i > 0)
                buf_puts(&b, separator);
            buf_puts(&b, text);
            free(text);
            expr_value_finish(&value);
        }
    }
    free(separator);
    *out = expr_string_taken(buf_take(&b));
    return 0;
}

static int call_to_json(struct evaluation *ev, const struct expr_value *args, size_t n,
                        struct expr_value *out, struct error *err)
{
    struct buf b = BUF_INIT;

    (void)ev, (void)n, (void)err;
    if (args[0].kind == EXPR_NUMBER) {
        expr_print_number(&b, args[0].number);
    } else {
        json_t *json = expr_to_json(&args[0]);
        expr_print_json(&b, json);
        json_decref(json);
    }
    *out = expr_string_taken(buf_take(&b));
    return 0;
}

static int call_from_json(struct evaluation *ev, const struct expr_value *args, size_t n,
                          struct expr_value *out, struct error *err)
{
    char *text = expr_to_string(&args[0]);
    json_t *json;

    (void)ev, (void)n;
    /* Results of toJSON() that JSON itself cannot say. */
    if (strcmp(text, "NaN") == 0 || strcmp(text, "Infinity") == 0 || strcmp(text, "-Infinity") == 0) {
        *out = expr_number(expr_parse_number(text));
        if (text[0] == 'N')
            *out = expr_number((double)__builtin_nanf(""));
        free(text);
        return 0;
    }
    json = json_parse(text, strlen(text), "fromJSON", err);
    free(text);
    if (json == NULL)
        return -1;
    *out = expr_from_json(json);
    json_decref(json);
    return 0;
}

static const struct builtin builtins[] = {
    {"contains", 2, 2, call_contains},   {"startsWith", 2, 2, call_starts_with},
    {"endsWith", 2, 2, call_ends_with},  {"format", 1, 255, call_format},
    {"join", 1, 2, call_join},           {"toJSON", 1, 1, call_to_json},
    {"fromJSON", 1, 1, call_from_json},  {"case", 3, 255, NULL},
};

const struct builtin *builtin_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++) {
        if (strlen(builtins[i].name) == len && strncasecmp(builtins[i].name, name, len) == 0)
            return &builtins[i];
    }
    return NULL;
}
