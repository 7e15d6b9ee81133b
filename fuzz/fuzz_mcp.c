/* fuzz/fuzz_mcp.c: whatever an MCP server answers: tool lists, results, requests for input, header values, names. */
#include "base/buf.h"
#include "base/json.h"
#include "mcp/mcp_message.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *server, const char *tool)
{
    for (int taken = 0; taken < 2; taken++) {
        char *name = mcp_tool_name(server, tool, taken);

        if (strlen(name) > 64 ||
            name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] != '\0')
            abort();
        free(name);
    }
}

static void check_tools(const json_t *message)
{
    struct mcp_tool_list list = {0};
    struct str_list problems = {0};
    struct str_list headers = {0};

    (void)mcp_tool_list_add(&list, message, &problems, NULL);
    mcp_tool_list_sort(&list);
    for (size_t i = 0; i < list.len; i++) {
        if (i > 0 && strcmp(list.items[i - 1].name, list.items[i].name) >= 0)
            abort();
        check_name("s", list.items[i].name);
        mcp_tool_headers(&list.items[i], json_object_get(message, "arguments"), &headers);
    }
    /* Nothing may break out of a header. */
    for (size_t i = 0; i < headers.len; i++)
        for (const char *p = headers.items[i]; *p != '\0'; p++)
            if (*p < 0x20 || *p > 0x7e)
                abort();
    str_list_finish(&headers);
    str_list_finish(&problems);
    mcp_tool_list_finish(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *message = json_parse((const char *)data, size, "message", NULL);
    struct str_list roots = {0};
    struct mcp_image image = {0};
    struct buf out = BUF_INIT;
    bool is_error;

    if (message == NULL)
        return 0;
    str_list_add(&roots, "/tmp/a b");
    check_tools(message);
    mcp_render_call(&out, message, &image, &is_error);
    mcp_render_resource(&out, message);
    mcp_render_prompt(&out, message);
    mcp_render_list(&out, message, "resources");
    json_decref(mcp_policy_answers(json_object_get(message, "inputRequests"), &roots));
    (void)mcp_error_is_stateless(message);
    free(mcp_params(message, true, true, 1));
    free(image.mime);
    free(image.base64);
    buf_free(&out);
    str_list_finish(&roots);
    json_decref(message);
    return 0;
}
