/* base/json_schema.c: see json_schema.h. Keywords are a table: what form each one's value has to have, and how it is
 * checked. Meanings are those of JSON Schema 2020-12, validation vocabulary. */
#include "base/json_schema.h"

#include "base/alloc.h"
#include "base/str.h"
#include "base/utf8.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_UNIQUE_ITEMS 1000 /* each is compared with each */

enum form {
    FORM_ANY,
    FORM_TYPE,    /* a type's name, or several */
    FORM_ARRAY,   /* not empty */
    FORM_STRINGS, /* array of strings */
    FORM_NUMBER,
    FORM_COUNT, /* integer from 0 */
    FORM_BOOL,
    FORM_SCHEMA,
    FORM_SCHEMAS,       /* array of schemas */
    FORM_NAMED_SCHEMAS, /* object of schemas */
};

struct place { /* where we are, for messages; linked through the stack */
    const struct place *above;
    const char *key; /* NULL: INDEX */
    size_t index;
    int depth;
};

struct keyword {
    const char *name;
    enum form form;
    /* NULL: only describes, or checked by another keyword's function. */
    int (*check)(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at, struct error *err);
};

static int validate(const json_t *schema, const json_t *value, const struct place *at, struct error *err);

/* "/files/0/name"; the caller frees. */
static char *place_text(const struct place *at)
{
    char *above;
    char *text;

    if (at->above == NULL)
        return xstrdup("");
    above = place_text(at->above);
    text = at->key != NULL ? xasprintf("%s/%.60s", above, at->key) : xasprintf("%s/%zu", above, at->index);
    free(above);
    return text;
}

static int wrong(struct error *err, const struct place *at, const char *what, const char *more)
{
    char *text = place_text(at);

    error_set(err, ERROR_PARSE, "%.300s: %s%.120s", text[0] == '\0' ? "the value" : text, what, more);
    free(text);
    return -1;
}

/* --- Types ------------------------------------------------------------------------------------------------------- */

static const char *const type_names[] = {"object", "array", "string", "number", "integer", "boolean", "null", NULL};

static bool is_type_name(const json_t *name)
{
    for (size_t i = 0; json_is_string(name) && type_names[i] != NULL; i++)
        if (strcmp(type_names[i], json_string_value(name)) == 0)
            return true;
    return false;
}

static bool is_of_type(const json_t *value, const char *name)
{
    double whole;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return strcmp(name, "object") == 0;
    case JSON_ARRAY:
        return strcmp(name, "array") == 0;
    case JSON_STRING:
        return strcmp(name, "string") == 0;
    case JSON_INTEGER:
        return strcmp(name, "integer") == 0 || strcmp(name, "number") == 0;
    case JSON_REAL:
        return strcmp(name, "number") == 0 ||
               (strcmp(name, "integer") == 0 && modf(json_real_value(value), &whole) == 0.0);
    case JSON_TRUE:
    case JSON_FALSE:
        return strcmp(name, "boolean") == 0;
    case JSON_NULL:
        return strcmp(name, "null") == 0;
    }
    return false;
}

static int check_type(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                      struct error *err)
{
    struct str_list names = {0};
    char *expected;
    size_t i;
    json_t *name;

    (void)schema;
    if (json_is_string(rule))
        return is_of_type(value, json_string_value(rule)) ? 0 : wrong(err, at, "expected is ", json_string_value(rule));
    json_array_foreach(rule, i, name)
        if (is_of_type(value, json_string_value(name)))
            return 0;
    json_array_foreach(rule, i, name)
        str_list_add(&names, json_string_value(name));
    expected = str_list_join(&names, " or ");
    wrong(err, at, "expected is ", expected);
    free(expected);
    str_list_finish(&names);
    return -1;
}

/* 1 and 1.0 are the same number. */
static bool is_same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b) != 0;
}

static int check_enum(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                      struct error *err)
{
    size_t i;
    json_t *choice;
    char *choices;

    (void)schema;
    json_array_foreach(rule, i, choice)
        if (is_same(choice, value))
            return 0;
    choices = json_dumps(rule, JSON_COMPACT | JSON_ENCODE_ANY);
    wrong(err, at, "expected is one of ", choices == NULL ? "" : choices);
    free(choices);
    return -1;
}

static int check_const(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                       struct error *err)
{
    char *text;

    (void)schema;
    if (is_same(rule, value))
        return 0;
    text = json_dumps(rule, JSON_COMPACT | JSON_ENCODE_ANY);
    wrong(err, at, "expected is ", text == NULL ? "" : text);
    free(text);
    return -1;
}

/* --- Objects and arrays ------------------------------------------------------------------------------------------ */

static int check_properties(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                            struct error *err)
{
    const char *name;
    json_t *part;

    (void)schema;
    json_object_foreach((json_t *)rule, name, part) {
        const json_t *member = json_object_get(value, name);
        struct place below = {at, name, 0, at->depth + 1};

        if (member != NULL && validate(part, member, &below, err) < 0)
            return -1;
    }
    return 0;
}

static int check_required(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                          struct error *err)
{
    size_t i;
    json_t *name;

    (void)schema;
    json_array_foreach(rule, i, name)
        if (json_is_object(value) && json_object_get(value, json_string_value(name)) == NULL)
            return wrong(err, at, "it lacks the member ", json_string_value(name));
    return 0;
}

static int check_additional(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                            struct error *err)
{
    const json_t *known = json_object_get(schema, "properties");
    const char *name;
    json_t *member;

    json_object_foreach((json_t *)value, name, member) {
        struct place below = {at, name, 0, at->depth + 1};

        if (json_object_get(known, name) != NULL)
            continue;
        if (json_is_false(rule))
            return wrong(err, at, "there may be no member ", name);
        if (validate(rule, member, &below, err) < 0)
            return -1;
    }
    return 0;
}

static int check_items(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                       struct error *err)
{
    size_t i;
    json_t *item;

    (void)schema;
    json_array_foreach(value, i, item) {
        struct place below = {at, NULL, i, at->depth + 1};

        if (validate(rule, item, &below, err) < 0)
            return -1;
    }
    return 0;
}

static int check_unique(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                        struct error *err)
{
    (void)schema;
    if (json_is_true(rule) && json_array_size(value) > MAX_UNIQUE_ITEMS)
        return wrong(err, at, "it has too many items to compare them all (uniqueItems)", "");
    for (size_t i = 0; json_is_true(rule) && i < json_array_size(value); i++)
        for (size_t k = 0; k < i; k++)
            if (is_same(json_array_get(value, i), json_array_get(value, k)))
                return wrong(err, at, "its items have to differ", "");
    return 0;
}

/* --- Bounds ------------------------------------------------------------------------------------------------------ */

static size_t count_characters(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t n = json_string_length(value);
    size_t count = 0;

    for (size_t i = 0; i < n; count++) {
        size_t length = utf8_decode(text + i, n - i, NULL);

        i += length == 0 ? 1 : length;
    }
    return count;
}

/* All keywords with a number: the first letters say of what, "min" or "max" which way. */
static int check_bound(const json_t *rule, const char *name, double value, bool is_low, bool is_strict,
                       const struct place *at, struct error *err)
{
    double bound = json_number_value(rule);
    bool is_fine = is_low ? (is_strict ? value > bound : value >= bound) : (is_strict ? value < bound : value <= bound);
    char *text;

    if (is_fine)
        return 0;
    text = xasprintf("%s is %g", name, bound);
    wrong(err, at, text, "");
    free(text);
    return -1;
}

#define BOUND(function, keyword, applies, measure, is_low, is_strict)                                                      \
    static int function(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,             \
                        struct error *err)                                                                                 \
    {                                                                                                                      \
        (void)schema;                                                                                                      \
        return applies(value) ? check_bound(rule, keyword, (double)measure(value), is_low, is_strict, at, err) : 0;        \
    }
BOUND(check_minimum, "minimum", json_is_number, json_number_value, true, false)
BOUND(check_maximum, "maximum", json_is_number, json_number_value, false, false)
BOUND(check_above, "exclusiveMinimum", json_is_number, json_number_value, true, true)
BOUND(check_below, "exclusiveMaximum", json_is_number, json_number_value, false, true)
BOUND(check_min_length, "minLength", json_is_string, count_characters, true, false)
BOUND(check_max_length, "maxLength", json_is_string, count_characters, false, false)
BOUND(check_min_items, "minItems", json_is_array, json_array_size, true, false)
BOUND(check_max_items, "maxItems", json_is_array, json_array_size, false, false)
BOUND(check_min_members, "minProperties", json_is_object, json_object_size, true, false)
BOUND(check_max_members, "maxProperties", json_is_object, json_object_size, false, false)

static int check_multiple(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                          struct error *err)
{
    double step = json_number_value(rule);
    double quotient;

    (void)schema;
    if (!json_is_number(value) || step <= 0.0)
        return 0;
    quotient = json_number_value(value) / step;
    return fabs(quotient - nearbyint(quotient)) < 1e-9 ? 0 : wrong(err, at, "it is no multiple of multipleOf", "");
}

/* --- Combinations ------------------------------------------------------------------------------------------------- */

static size_t count_matches(const json_t *rule, const json_t *value, const struct place *at)
{
    struct place below = {at->above, at->key, at->index, at->depth + 1};
    size_t matches = 0;
    size_t i;
    json_t *part;

    json_array_foreach(rule, i, part) {
        struct error ignored = {0};

        matches += validate(part, value, &below, &ignored) == 0;
    }
    return matches;
}

static int check_any(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                     struct error *err)
{
    (void)schema;
    return count_matches(rule, value, at) > 0 ? 0 : wrong(err, at, "it follows none of the schemas of anyOf", "");
}

static int check_one(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                     struct error *err)
{
    (void)schema;
    return count_matches(rule, value, at) == 1 ? 0 : wrong(err, at, "it has to follow exactly one schema of oneOf", "");
}

static int check_all(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                     struct error *err)
{
    struct place below = {at->above, at->key, at->index, at->depth + 1};
    size_t i;
    json_t *part;

    (void)schema;
    json_array_foreach(rule, i, part)
        if (validate(part, value, &below, err) < 0)
            return -1;
    return 0;
}

static int check_not(const json_t *schema, const json_t *rule, const json_t *value, const struct place *at,
                     struct error *err)
{
    struct place below = {at->above, at->key, at->index, at->depth + 1};
    struct error ignored = {0};

    (void)schema;
    return validate(rule, value, &below, &ignored) < 0 ? 0 : wrong(err, at, "it follows the schema of not", "");
}

static const struct keyword keywords[] = {
    {"type", FORM_TYPE, check_type},
    {"enum", FORM_ARRAY, check_enum},
    {"const", FORM_ANY, check_const},
    {"properties", FORM_NAMED_SCHEMAS, check_properties},
    {"required", FORM_STRINGS, check_required},
    {"additionalProperties", FORM_SCHEMA, check_additional},
    {"minProperties", FORM_COUNT, check_min_members},
    {"maxProperties", FORM_COUNT, check_max_members},
    {"items", FORM_SCHEMA, check_items},
    {"minItems", FORM_COUNT, check_min_items},
    {"maxItems", FORM_COUNT, check_max_items},
    {"uniqueItems", FORM_BOOL, check_unique},
    {"minLength", FORM_COUNT, check_min_length},
    {"maxLength", FORM_COUNT, check_max_length},
    {"minimum", FORM_NUMBER, check_minimum},
    {"maximum", FORM_NUMBER, check_maximum},
    {"exclusiveMinimum", FORM_NUMBER, check_above},
    {"exclusiveMaximum", FORM_NUMBER, check_below},
    {"multipleOf", FORM_NUMBER, check_multiple},
    {"anyOf", FORM_SCHEMAS, check_any},
    {"oneOf", FORM_SCHEMAS, check_one},
    {"allOf", FORM_SCHEMAS, check_all},
    {"not", FORM_SCHEMA, check_not},
    {"title", FORM_ANY, NULL},
    {"description", FORM_ANY, NULL},
    {"default", FORM_ANY, NULL},
    {"examples", FORM_ANY, NULL},
    {"format", FORM_ANY, NULL},
    {"$schema", FORM_ANY, NULL},
    {"$id", FORM_ANY, NULL},
    {"$comment", FORM_ANY, NULL},
    {"deprecated", FORM_ANY, NULL},
    {"readOnly", FORM_ANY, NULL},
    {"writeOnly", FORM_ANY, NULL},
};
#define KEYWORD_COUNT (sizeof keywords / sizeof keywords[0])

static const struct keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < KEYWORD_COUNT; i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

static int validate(const json_t *schema, const json_t *value, const struct place *at, struct error *err)
{
    const char *name;
    json_t *rule;

    if (json_is_true(schema))
        return 0;
    if (json_is_false(schema))
        return wrong(err, at, "nothing may stand there", "");
    json_object_foreach((json_t *)schema, name, rule) {
        const struct keyword *k = find_keyword(name);

        if (k != NULL && k->check != NULL && k->check(schema, rule, value, at, err) < 0)
            return -1;
    }
    return 0;
}

int json_schema_validate(const json_t *schema, const json_t *value, struct error *err)
{
    struct place top = {0};

    return validate(schema, value, &top, err);
}

/* --- The schema's own form ---------------------------------------------------------------------------------------- */

static int check_form(const json_t *schema, const struct place *at, struct error *err);

static bool all_items(const json_t *array, bool (*is_fine)(const json_t *item))
{
    size_t i;
    json_t *item;

    json_array_foreach(array, i, item)
        if (!is_fine(item))
            return false;
    return json_is_array(array);
}

static bool is_string(const json_t *value)
{
    return json_is_string(value);
}

static int check_parts(const json_t *rule, enum form form, const struct place *at, struct error *err)
{
    const char *name;
    size_t i;
    json_t *part;

    if (form == FORM_SCHEMA)
        return check_form(rule, at, err);
    if (form == FORM_NAMED_SCHEMAS) {
        json_object_foreach((json_t *)rule, name, part) {
            struct place below = {at, name, 0, at->depth + 1};

            if (check_form(part, &below, err) < 0)
                return -1;
        }
        return json_is_object(rule) ? 0 : wrong(err, at, "an object of schemas is expected", "");
    }
    json_array_foreach(rule, i, part) {
        struct place below = {at, NULL, i, at->depth + 1};

        if (check_form(part, &below, err) < 0)
            return -1;
    }
    return json_array_size(rule) > 0 ? 0 : wrong(err, at, "a list of schemas is expected", "");
}

static int check_rule(const struct keyword *k, const json_t *rule, const struct place *at, struct error *err)
{
    switch (k->form) {
    case FORM_ANY:
        return 0;
    case FORM_TYPE:
        return is_type_name(rule) || (json_array_size(rule) > 0 && all_items(rule, is_type_name))
                   ? 0
                   : wrong(err, at, "expected is object, array, string, number, integer, boolean or null", "");
    case FORM_ARRAY:
        return json_array_size(rule) > 0 ? 0 : wrong(err, at, "a list is expected", "");
    case FORM_STRINGS:
        return all_items(rule, is_string) ? 0 : wrong(err, at, "a list of names is expected", "");
    case FORM_NUMBER:
        return json_is_number(rule) ? 0 : wrong(err, at, "a number is expected", "");
    case FORM_COUNT:
        return json_is_integer(rule) && json_integer_value(rule) >= 0
                   ? 0
                   : wrong(err, at, "a whole number from 0 is expected", "");
    case FORM_BOOL:
        return json_is_boolean(rule) ? 0 : wrong(err, at, "true or false is expected", "");
    case FORM_SCHEMA:
    case FORM_SCHEMAS:
    case FORM_NAMED_SCHEMAS:
        return check_parts(rule, k->form, at, err);
    }
    return 0;
}

static int check_form(const json_t *schema, const struct place *at, struct error *err)
{
    const char *name;
    json_t *rule;

    if (at->depth > JSON_SCHEMA_MAX_DEPTH)
        return wrong(err, at, "the schema is nested too deep", "");
    if (json_is_boolean(schema))
        return 0;
    if (!json_is_object(schema))
        return wrong(err, at, "a schema (an object) is expected", "");
    json_object_foreach((json_t *)schema, name, rule) {
        const struct keyword *k = find_keyword(name);
        struct place below = {at, name, 0, at->depth + 1};

        if (k == NULL)
            return wrong(err, at, "this keyword is not checked here, leave it out: ", name);
        if (check_rule(k, rule, &below, err) < 0)
            return -1;
    }
    return 0;
}

int json_schema_check_form(const json_t *schema, struct error *err)
{
    struct place top = {0};

    return check_form(schema, &top, err);
}
