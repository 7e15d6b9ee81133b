/* mcp/mcp_message.c: revisions, metadata, policy, tool lists; see mcp_message.h. Results are rendered in mcp_result.c. */
#include "mcp/mcp_message.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define META_PREFIX       "io.modelcontextprotocol/"
#define MAX_HEADERS       32
#define MAX_ROUND_ANSWERS 16

bool mcp_version_has_sessions(const char *version)
{
    static const char *const versions[] = {MCP_VERSION_SESSION, "2025-06-18", "2025-03-26", "2024-11-05"};

    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        if (str_eq(version, versions[i]))
            return true;
    return false;
}

bool mcp_error_is_stateless(const json_t *rpc_error)
{
    int64_t code = json_get_int(rpc_error, "code", 0);

    return code == MCP_HEADER_MISMATCH || code == MCP_MISSING_CAPABILITY || code == MCP_UNSUPPORTED_VERSION;
}

json_t *mcp_client_info(void)
{
    return json_pack("{s:s, s:s}", "name", "cadre", "version", CADRE_VERSION);
}

json_t *mcp_client_capabilities(bool has_roots)
{
    json_t *capabilities = json_pack("{s:{}}", "elicitation");

    if (has_roots)
        json_object_set_new(capabilities, "roots", json_pack("{s:b}", "listChanged", 1));
    return capabilities;
}

char *mcp_params(const json_t *params, bool is_stateless, bool has_roots, int64_t progress_token)
{
    json_t *all = params != NULL ? json_copy((json_t *)(uintptr_t)params) : json_object();
    json_t *meta = json_object();
    struct buf text = BUF_INIT;

    if (progress_token >= 0)
        json_object_set_new(meta, "progressToken", json_integer(progress_token));
    if (is_stateless) {
        json_object_set_new(meta, META_PREFIX "protocolVersion", json_string(MCP_VERSION_STATELESS));
        json_object_set_new(meta, META_PREFIX "clientInfo", mcp_client_info());
        json_object_set_new(meta, META_PREFIX "clientCapabilities", mcp_client_capabilities(has_roots));
    }
    if (json_object_size(meta) > 0)
        json_object_set(all, "_meta", meta);
    json_decref(meta);
    json_append_value(&text, all);
    json_decref(all);
    return buf_take(&text);
}

/* --- Requests of the server --- */

/* A file URI: what is neither letter, digit nor one of "-._~/" is escaped (RFC 3986). */
static char *file_uri(const char *path)
{
    struct buf out = BUF_INIT;

    buf_puts(&out, "file://");
    for (const char *p = path; *p != '\0'; p++) {
        bool is_plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                        strchr("-._~/", *p) != NULL;

        if (is_plain)
            buf_putc(&out, *p);
        else
            buf_printf(&out, "%%%02X", (unsigned)(unsigned char)*p);
    }
    return buf_take(&out);
}

static json_t *list_roots(const struct str_list *roots)
{
    json_t *list = json_array();

    for (size_t i = 0; i < roots->len; i++) {
        char *uri = file_uri(roots->items[i]);
        const char *slash = strrchr(roots->items[i], '/');
        json_t *root =
            json_pack("{s:s, s:s*}", "uri", uri, "name",
                      slash != NULL && utf8_is_valid(slash + 1, strlen(slash + 1)) ? slash + 1 : NULL);

        json_array_append_new(list, root);
        free(uri);
    }
    return json_pack("{s:o}", "roots", list);
}

json_t *mcp_policy_answer(const char *method, const struct str_list *roots)
{
    if (strcmp(method, "ping") == 0)
        return json_object();
    if (strcmp(method, "roots/list") == 0)
        return list_roots(roots);
    if (strcmp(method, "elicitation/create") == 0)
        return json_pack("{s:s}", "action", "decline");
    return NULL;
}

json_t *mcp_policy_answers(const json_t *input_requests, const struct str_list *roots)
{
    json_t *answers = json_object();
    const char *key;
    json_t *request;

    if (json_object_size(input_requests) > MAX_ROUND_ANSWERS) {
        json_decref(answers);
        return NULL;
    }
    json_object_foreach((json_t *)(uintptr_t)input_requests, key, request)
    {
        json_t *answer = mcp_policy_answer(json_get_string(request, "method", ""), roots);

        if (answer == NULL) {
            json_decref(answers);
            return NULL;
        }
        json_object_set_new(answers, key, answer);
    }
    return answers;
}

/* --- Headers --- */

static void append_base64(struct buf *out, const char *text, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        unsigned bits = (unsigned)(unsigned char)text[i] << 16;

        if (i + 1 < n)
            bits |= (unsigned)(unsigned char)text[i + 1] << 8;
        if (i + 2 < n)
            bits |= (unsigned char)text[i + 2];
        buf_putc(out, digits[bits >> 18]);
        buf_putc(out, digits[bits >> 12 & 63]);
        buf_putc(out, i + 1 < n ? digits[bits >> 6 & 63] : '=');
        buf_putc(out, i + 2 < n ? digits[bits & 63] : '=');
    }
}

void mcp_header_value(struct buf *out, const char *value)
{
    size_t n = strlen(value);
    bool is_plain = n > 0 && value[0] != ' ' && value[n - 1] != ' ' &&
                    !(str_starts_with(value, "=?base64?") && str_ends_with(value, "?="));

    for (size_t i = 0; i < n && is_plain; i++)
        is_plain = value[i] >= 0x20 && value[i] < 0x7f;
    if (is_plain) {
        buf_append(out, value, n);
        return;
    }
    buf_puts(out, "=?base64?");
    append_base64(out, value, n);
    buf_puts(out, "?=");
}

void mcp_tool_headers(const struct mcp_tool *tool, const json_t *arguments, struct str_list *headers)
{
    for (size_t i = 0; i < tool->header_count; i++) {
        const struct mcp_param_header *h = &tool->headers[i];
        const json_t *value = arguments;
        struct buf line = BUF_INIT;
        char number[32];

        for (size_t k = 0; k < h->path.len; k++)
            value = json_object_get(value, h->path.items[k]);
        buf_printf(&line, "%s: ", h->name);
        if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value)) {
            mcp_header_value(&line, json_string_value(value));
        } else if (json_is_integer(value)) {
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
            buf_puts(&line, number);
        } else if (json_is_boolean(value)) {
            buf_puts(&line, json_is_true(value) ? "true" : "false");
        } else {
            buf_free(&line);
            continue;
        }
        str_list_take(headers, buf_take(&line));
    }
}

/* --- Tool lists --- */

static void tool_finish(struct mcp_tool *tool)
{
    free(tool->name);
    free(tool->description);
    free(tool->schema);
    for (size_t i = 0; i < tool->header_count; i++) {
        free(tool->headers[i].name);
        str_list_finish(&tool->headers[i].path);
    }
    free(tool->headers);
}

void mcp_tool_list_finish(struct mcp_tool_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        tool_finish(&list->items[i]);
    free(list->items);
    *list = (struct mcp_tool_list){0};
}

/* RFC 9110, 5.6.2. */
static bool is_token(const char *s)
{
    return s[0] != '\0' && strlen(s) <= 64 &&
           s[strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] ==
               '\0';
}

/* Collects x-mcp-header of the properties of SCHEMA and of objects in them. False when one is not allowed. */
static bool take_headers(struct mcp_tool *tool, const json_t *schema, struct str_list *path)
{
    const char *key;
    json_t *property;

    if (path->len > 8)
        return true;
    json_object_foreach(json_object_get(schema, "properties"), key, property)
    {
        const char *name = json_string_value(json_object_get(property, "x-mcp-header"));
        const char *type = json_get_string(property, "type", "");
        bool is_fine;

        str_list_add(path, key);
        if (json_object_get(property, "x-mcp-header") != NULL) {
            if (name == NULL || !is_token(name) || tool->header_count >= MAX_HEADERS ||
                (strcmp(type, "string") != 0 && strcmp(type, "integer") != 0 && strcmp(type, "boolean") != 0))
                return false;
            for (size_t i = 0; i < tool->header_count; i++)
                if (strcasecmp(tool->headers[i].name + strlen("Mcp-Param-"), name) == 0)
                    return false;
            tool->headers = xrealloc(tool->headers, (tool->header_count + 1) * sizeof *tool->headers);
            tool->headers[tool->header_count] =
                (struct mcp_param_header){.name = xasprintf("Mcp-Param-%s", name)};
            str_list_copy(&tool->headers[tool->header_count++].path, path);
        }
        is_fine = take_headers(tool, property, path);
        str_list_remove(path, path->len - 1);
        if (!is_fine)
            return false;
    }
    return true;
}

/* Model APIs want an object with properties. */
static char *schema_text(const json_t *schema)
{
    json_t *copy = json_is_object(schema) ? json_copy((json_t *)(uintptr_t)schema) : json_object();
    struct buf text = BUF_INIT;

    if (!str_eq(json_string_value(json_object_get(copy, "type")), "object"))
        json_object_set_new(copy, "type", json_string("object"));
    if (!json_is_object(json_object_get(copy, "properties")))
        json_object_set_new(copy, "properties", json_object());
    json_append_value(&text, copy);
    json_decref(copy);
    return buf_take(&text);
}

/* NULL, or what is wrong with it. */
static const char *take_tool(struct mcp_tool *tool, const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *description = json_get_string(item, "description", json_get_string(item, "title", ""));
    const json_t *hint = json_object_get(json_object_get(item, "annotations"), "readOnlyHint");
    struct str_list path = {0};
    bool is_fine;

    if (name == NULL || name[0] == '\0' || strlen(name) > MCP_MAX_NAME_BYTES)
        return "its name is missing or too long";
    tool->name = xstrdup(name);
    tool->description =
        xstrndup(description, utf8_floor(description, strlen(description), MCP_MAX_DESCRIPTION_BYTES));
    tool->read_only = json_is_boolean(hint) ? json_is_true(hint) : -1;
    tool->schema = schema_text(json_object_get(item, "inputSchema"));
    if (strlen(tool->schema) > MCP_MAX_SCHEMA_BYTES)
        return "its input schema is too large";
    is_fine = take_headers(tool, json_object_get(item, "inputSchema"), &path);
    str_list_finish(&path);
    return is_fine ? NULL : "an x-mcp-header of it is not allowed";
}

int mcp_tool_list_add(struct mcp_tool_list *list, const json_t *result, struct str_list *problems,
                      struct error *err)
{
    const json_t *tools = json_object_get(result, "tools");

    if (!json_is_array(tools))
        return error_set(err, ERROR_PARSE, "tools/list: expected {\"tools\": [...]}");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        struct mcp_tool tool = {0};
        const char *wrong = NULL;

        if (list->len >= MCP_MAX_TOOLS) {
            str_list_take(problems,
                          xasprintf("more than %d tools are offered; the rest is left out", MCP_MAX_TOOLS));
            return 0;
        }
        wrong = take_tool(&tool, json_array_get(tools, i));
        if (wrong != NULL) {
            str_list_take(problems,
                          xasprintf("tool \"%.80s\" is left out: %s", tool.name ? tool.name : "?", wrong));
            tool_finish(&tool);
            continue;
        }
        list->items = xrealloc(list->items, (list->len + 1) * sizeof *list->items);
        list->items[list->len++] = tool;
    }
    return 0;
}

static int compare_tools(const void *a, const void *b)
{
    return strcmp(((const struct mcp_tool *)a)->name, ((const struct mcp_tool *)b)->name);
}

void mcp_tool_list_sort(struct mcp_tool_list *list)
{
    size_t n = 0;

    if (list->len > 0)
        qsort(list->items, list->len, sizeof *list->items, compare_tools);
    for (size_t i = 0; i < list->len; i++) {
        if (n > 0 && strcmp(list->items[n - 1].name, list->items[i].name) == 0)
            tool_finish(&list->items[i]);
        else
            list->items[n++] = list->items[i];
    }
    list->len = n;
}

char *mcp_tool_name(const char *server, const char *tool, bool is_taken)
{
    char *raw = xasprintf("mcp__%s__%s", server, tool);
    uint64_t hash = str_hash(raw, strlen(raw));
    char *name;

    for (char *p = raw; *p != '\0'; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_' ||
              *p == '-'))
            *p = '_';
    if (strlen(raw) <= 64 && !is_taken)
        return raw;
    name = xasprintf("%.51s_%012llx", raw, (unsigned long long)(hash & 0xffffffffffffULL));
    free(raw);
    return name;
}
