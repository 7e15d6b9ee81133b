/* tests/unit/mcp/message.c: names, lists, headers and results of the protocol. */
#include "test.h"

#include "base/alloc.h"
#include "base/json.h"
#include "mcp/mcp_message.h"

#include <stdlib.h>
#include <string.h>

static json_t *parse(const char *text)
{
    json_t *value = json_parse(text, strlen(text), "test", NULL);

    assert_non_null(value);
    return value;
}

static void check_name(const char *server, const char *tool, bool is_taken, const char *expected)
{
    char *name = mcp_tool_name(server, tool, is_taken);

    assert_string_equal(name, expected);
    assert_true(strlen(name) <= 64);
    free(name);
}

static void tool_names_suit_every_model_api(void **state)
{
    char *one;
    char *two;

    (void)state;
    check_name("docs", "search", false, "mcp__docs__search");
    check_name("my docs", "päge/read", false, "mcp__my_docs__p__ge_read");
    check_name("s", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false,
               "mcp__s__aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    one = mcp_tool_name("s", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", false);
    two = mcp_tool_name("s", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2", false);
    assert_int_equal(strlen(one), 64);
    assert_string_not_equal(one, two);
    free(one);
    free(two);
    one = mcp_tool_name("s", "a/b", true);
    two = mcp_tool_name("s", "a b", true);
    assert_string_not_equal(one, two);
    free(one);
    free(two);
}

static void bad_tools_are_left_out_and_said(void **state)
{
    json_t *result =
        parse("{\"tools\":[{\"name\":\"good\",\"inputSchema\":{\"type\":\"object\"}},{\"name\":\"\"},7,{},"
              "{\"name\":\"bad\",\"inputSchema\":{\"properties\":{\"a\":{\"type\":\"number\",\"x-mcp-"
              "header\":\"A\"}}}},"
              "{\"name\":\"alike\",\"inputSchema\":{\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-"
              "header\":\"A\"},"
              "\"b\":{\"type\":\"string\",\"x-mcp-header\":\"a\"}}}},"
              "{\"name\":\"good\",\"description\":\"twice\"},{\"name\":\"able\"}]}");
    struct mcp_tool_list list = {0};
    struct str_list problems = {0};
    struct error err = {0};
    json_t *none = parse("{\"tools\":{}}");

    (void)state;
    assert_int_equal(mcp_tool_list_add(&list, result, &problems, &err), 0);
    mcp_tool_list_sort(&list);
    assert_int_equal(list.len, 2);
    assert_string_equal(list.items[0].name, "able");
    assert_string_equal(list.items[0].schema, "{\"type\":\"object\",\"properties\":{}}");
    assert_string_equal(list.items[1].name, "good");
    assert_int_equal(problems.len, 5);
    assert_string_equal(problems.items[3], "tool \"bad\" is left out: an x-mcp-header of it is not allowed");
    assert_int_equal(mcp_tool_list_add(&list, none, &problems, &err), -1);
    json_decref(none);
    json_decref(result);
    mcp_tool_list_finish(&list);
    str_list_finish(&problems);
}

static void arguments_become_headers(void **state)
{
    json_t *result = parse(
        "{\"tools\":[{\"name\":\"t\",\"inputSchema\":{\"properties\":{"
        "\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"},"
        "\"deep\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"x-mcp-header\":\"N\"}}},"
        "\"absent\":{\"type\":\"boolean\",\"x-mcp-header\":\"Absent\"}}}}]}");
    json_t *arguments = parse("{\"region\":\"Hello, \\u4e16\\u754c\",\"deep\":{\"n\":42}}");
    struct mcp_tool_list list = {0};
    struct str_list problems = {0};
    struct str_list headers = {0};

    (void)state;
    assert_int_equal(mcp_tool_list_add(&list, result, &problems, NULL), 0);
    mcp_tool_headers(&list.items[0], arguments, &headers);
    assert_int_equal(headers.len, 2);
    /* The examples of the specification, "Value Encoding". */
    assert_string_equal(headers.items[0], "Mcp-Param-Region: =?base64?SGVsbG8sIOS4lueVjA==?=");
    assert_string_equal(headers.items[1], "Mcp-Param-N: 42");
    str_list_finish(&headers);
    mcp_tool_list_finish(&list);
    json_decref(arguments);
    json_decref(result);
}

static void check_header(const char *value, const char *expected)
{
    struct buf out = BUF_INIT;

    mcp_header_value(&out, value);
    assert_string_equal(buf_cstr(&out), expected);
    buf_free(&out);
}

static void header_values_cannot_break_out(void **state)
{
    (void)state;
    check_header("us-west1", "us-west1");
    check_header(" padded ", "=?base64?IHBhZGRlZCA=?=");
    check_header("line1\nline2", "=?base64?bGluZTEKbGluZTI=?=");
    check_header("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=");
    check_header("", "=?base64?"
                     "?=");
}

static void every_kind_of_content_is_shown(void **state)
{
    json_t *result = parse(
        "{\"content\":[{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"image\",\"mimeType\":\"image/png\","
        "\"data\":\"aGk=\"},{\"type\":\"audio\",\"mimeType\":\"audio/wav\",\"data\":\"aGk=\"},"
        "{\"type\":\"resource\",\"resource\":{\"uri\":\"a://b\",\"text\":\"inside\"}},"
        "{\"type\":\"resource_link\",\"uri\":\"a://"
        "c\",\"name\":\"see\"},{\"type\":\"odd\"},5],\"isError\":true}");
    json_t *structured = parse("{\"structuredContent\":{\"sum\":3},\"content\":[]}");
    struct mcp_image image = {0};
    struct buf out = BUF_INIT;
    bool is_error = false;

    (void)state;
    mcp_render_call(&out, result, &image, &is_error);
    assert_string_equal(buf_cstr(&out),
                        "one\n[image, image/png, about 3 bytes]\n[audio, audio/wav, about 3 "
                        "bytes]\n[resource a://b]\ninside\n"
                        "[link to resource a://c: see]\n[content of a type that is not known: \"odd\"]\n"
                        "[content of a type that is not known: \"\"]");
    assert_true(is_error);
    assert_string_equal(image.mime, "image/png");
    assert_string_equal(image.base64, "aGk=");
    buf_clear(&out);
    mcp_render_call(&out, structured, NULL, &is_error);
    assert_string_equal(buf_cstr(&out), "{\"sum\":3}");
    assert_false(is_error);
    buf_free(&out);
    free(image.mime);
    free(image.base64);
    json_decref(result);
    json_decref(structured);
}

static void stateless_requests_carry_who_and_what(void **state)
{
    json_t *params = parse("{\"name\":\"x\"}");
    char *text = mcp_params(params, true, true, 7);
    json_t *sent = parse(text);
    const json_t *meta = json_object_get(sent, "_meta");

    (void)state;
    assert_string_equal(json_get_string(meta, "io.modelcontextprotocol/protocolVersion", ""), "2026-07-28");
    assert_string_equal(
        json_get_string(json_object_get(meta, "io.modelcontextprotocol/clientInfo"), "name", ""), "cadre");
    assert_true(json_is_object(
        json_object_get(json_object_get(meta, "io.modelcontextprotocol/clientCapabilities"), "roots")));
    assert_int_equal(json_get_int(meta, "progressToken", 0), 7);
    assert_string_equal(json_get_string(sent, "name", ""), "x");
    free(text);
    json_decref(sent);
    text = mcp_params(params, false, true, -1);
    assert_string_equal(text, "{\"name\":\"x\"}");
    free(text);
    json_decref(params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tool_names_suit_every_model_api),
        cmocka_unit_test(bad_tools_are_left_out_and_said),
        cmocka_unit_test(arguments_become_headers),
        cmocka_unit_test(header_values_cannot_break_out),
        cmocka_unit_test(every_kind_of_content_is_shown),
        cmocka_unit_test(stateless_requests_carry_who_and_what),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
