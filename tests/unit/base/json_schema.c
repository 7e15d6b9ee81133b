/* What follows a schema is taken, what does not is refused with its place, and a schema that could not be checked is
 * refused as a whole. */
#include "test.h"

#include "base/json.h"
#include "base/json_schema.h"

#include <string.h>

static json_t *parse(const char *text)
{
    json_t *value = json_parse(text, strlen(text), "test", NULL);

    assert_non_null(value);
    return value;
}

/* WHY is NULL when VALUE follows SCHEMA, else part of the message. */
static void check(const char *schema_text, const char *value_text, const char *why)
{
    json_t *schema = parse(schema_text);
    json_t *value = parse(value_text);
    struct error err = {0};
    int rc;

    if (json_schema_check_form(schema, &err) < 0)
        fail_msg("%s: %s", schema_text, err.text);
    rc = json_schema_validate(schema, value, &err);
    if ((rc < 0) != (why != NULL) || (why != NULL && strstr(err.text, why) == NULL))
        fail_msg("%s against %s: %d \"%s\", expected \"%s\"", value_text, schema_text, rc, err.text, why == NULL ? "" : why);
    json_decref(schema);
    json_decref(value);
}

static void refuse_form(const char *schema_text, const char *why)
{
    json_t *schema = parse(schema_text);
    struct error err = {0};

    assert_int_equal(json_schema_check_form(schema, &err), -1);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", schema_text, err.text, why);
    json_decref(schema);
}

static void types_are_checked(void **state)
{
    (void)state;
    check("{\"type\":\"integer\"}", "5.0", NULL);
    check("{\"type\":\"integer\"}", "5.5", "the value: expected is integer");
    check("{\"type\":[\"string\",\"null\"]}", "null", NULL);
    check("{\"type\":[\"string\",\"null\"]}", "1", "expected is string or null");
    check("{\"enum\":[\"low\",1]}", "1.0", NULL);
    check("{\"enum\":[\"low\",\"high\"]}", "\"mid\"", "expected is one of [\"low\",\"high\"]");
    check("{\"const\":{\"a\":[1]}}", "{\"a\":[1]}", NULL);
    check("{\"const\":3}", "4", "expected is 3");
}

static void objects_and_arrays_are_checked_inside(void **state)
{
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"files\":{\"type\":\"array\",\"minItems\":1,"
                                 "\"uniqueItems\":true,\"items\":{\"type\":\"object\",\"properties\":{\"score\":{\"type\":"
                                 "\"number\",\"minimum\":0,\"maximum\":10}},\"required\":[\"score\"]}}},\"required\":"
                                 "[\"files\"],\"additionalProperties\":false}";

    (void)state;
    check(schema, "{\"files\":[{\"score\":10}]}", NULL);
    check(schema, "{}", "it lacks the member files");
    check(schema, "{\"files\":[{\"score\":1},{\"score\":11}]}", "/files/1/score: maximum is 10");
    check(schema, "{\"files\":[{}]}", "/files/0: it lacks the member score");
    check(schema, "{\"files\":[{\"score\":1},{\"score\":1}]}", "have to differ");
    check(schema, "{\"files\":[]}", "/files: minItems is 1");
    check(schema, "{\"files\":[{\"score\":1}],\"x\":1}", "there may be no member x");
    check("{\"additionalProperties\":{\"type\":\"string\"}}", "{\"a\":1}", "/a: expected is string");
}

static void bounds_and_combinations_are_checked(void **state)
{
    (void)state;
    check("{\"maxLength\":2}", "\"éé\"", NULL);
    check("{\"maxLength\":2}", "\"abc\"", "maxLength is 2");
    check("{\"minLength\":2}", "7", NULL);
    check("{\"exclusiveMinimum\":1}", "1", "exclusiveMinimum is 1");
    check("{\"multipleOf\":0.1}", "0.3", NULL);
    check("{\"multipleOf\":2}", "3", "multipleOf");
    check("{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":5}]}", "4", "none of the schemas of anyOf");
    check("{\"oneOf\":[{\"type\":\"number\"},{\"minimum\":5}]}", "6", "exactly one");
    check("{\"oneOf\":[{\"type\":\"number\"},{\"minimum\":5}]}", "4", NULL);
    check("{\"allOf\":[{\"type\":\"number\"},{\"minimum\":5}]}", "4", "minimum is 5");
    check("{\"not\":{\"type\":\"null\"}}", "null", "follows the schema of not");
    check("{\"properties\":{\"a\":false}}", "{\"a\":1}", "/a: nothing may stand there");
}

static void a_schema_that_is_not_checked_is_refused(void **state)
{
    char deep[4096] = "";

    (void)state;
    refuse_form("{\"properties\":{\"a\":{\"pattern\":\"^x\"}}}", "/properties/a: this keyword is not checked here, leave it "
                                                                  "out: pattern");
    refuse_form("{\"$ref\":\"#/x\"}", "$ref");
    refuse_form("{\"type\":\"text\"}", "/type: expected is object, array");
    refuse_form("{\"required\":\"a\"}", "/required: a list of names");
    refuse_form("{\"minItems\":-1}", "/minItems: a whole number");
    refuse_form("{\"items\":[{}]}", "/items: a schema (an object) is expected");
    refuse_form("{\"anyOf\":[]}", "/anyOf: a list of schemas");
    for (int i = 0; i < 40; i++)
        strcat(deep, "{\"not\":");
    strcat(deep, "true");
    for (int i = 0; i < 40; i++)
        strcat(deep, "}");
    refuse_form(deep, "nested too deep");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(objects_and_arrays_are_checked_inside),
        cmocka_unit_test(bounds_and_combinations_are_checked),
        cmocka_unit_test(a_schema_that_is_not_checked_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
