/* tool/mcp_tool.c: see mcp_tool.h. */
#include "tool/mcp_tool.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/redact.h"
#include "base/vec.h"
#include "config/known_secrets.h"
#include "config/mcp_config.h"
#include "io/fiber.h"
#include "mcp/mcp_client.h"
#include "mcp/mcp_pool.h"
#include "tool/tool_internal.h"
#include "tool/truncate.h"

#include <stdlib.h>
#include <string.h>

#define MAX_RESULT_TOKENS 10000

enum entry_kind {
    KIND_TOOL,
    KIND_LIST_RESOURCES,
    KIND_LIST_TEMPLATES,
    KIND_READ_RESOURCE,
    KIND_LIST_PROMPTS,
    KIND_GET_PROMPT
};

struct box_server {
    struct mcp_toolbox *box;
    struct mcp_config config;
    struct mcp_lease *lease;
    struct fiber *fiber; /* while it is waited for */
    struct fiber_group *group;
    struct error err;
    bool is_ready;
};

struct entry { /* one tool */
    struct tool tool;
    struct mcp_toolbox *box;
    struct box_server *server; /* NULL: the call names it */
    enum entry_kind kind;
    char *remote;
    char *name, *description, *parameters;
};

struct mcp_toolbox {
    struct loop *loop;
    struct vec servers; /* of struct box_server *, by id */
    struct vec entries; /* of struct entry *, in the order of the list */
    bool read_only;
};

struct running {
    struct tool_call *call;
    const struct entry *entry;
    struct mcp_call *mcp;
};

/* --- Calls --- */

static void render(struct tool_call *call, enum entry_kind kind, const json_t *result)
{
    struct buf text = BUF_INIT;
    struct mcp_image image = {0};
    bool is_error = false;

    switch (kind) {
    case KIND_TOOL:
        mcp_render_call(&text, result, &image, &is_error);
        break;
    case KIND_LIST_RESOURCES:
        mcp_render_list(&text, result, "resources");
        break;
    case KIND_LIST_TEMPLATES:
        mcp_render_list(&text, result, "resourceTemplates");
        break;
    case KIND_READ_RESOURCE:
        mcp_render_resource(&text, result);
        break;
    case KIND_LIST_PROMPTS:
        mcp_render_list(&text, result, "prompts");
        break;
    case KIND_GET_PROMPT:
        mcp_render_prompt(&text, result);
        break;
    }
    if (text.len == 0)
        buf_puts(&text, "(an empty answer)");
    redact_buf(&text, 0, REDACT_KNOWN); /* before the cut, which could leave half of a secret */
    truncate_middle(&call->output, text.data, text.len, MAX_RESULT_TOKENS);
    buf_free(&text);
    call->result.is_error = is_error;
    /* The type is one of a few that we know: see mcp_result.c. */
    if (image.base64 != NULL) {
        static const char *const types[] = {"image/png", "image/jpeg", "image/gif", "image/webp"};

        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
            if (strcmp(types[i], image.mime) == 0)
                call->result.image_mime = types[i];
        call->image_base64 = image.base64;
    }
    free(image.mime);
    tool_call_finish(call);
}

static void on_done(void *data, const json_t *result, const struct error *err)
{
    struct running *r = data;
    struct tool_call *call = r->call;
    enum entry_kind kind = r->entry->kind;

    free(r);
    call->state = NULL;
    if (err != NULL)
        tool_call_fail(call, "%s", err->text);
    else
        render(call, kind, result);
}

static void cancel(struct tool_call *call)
{
    struct running *r = call->state;

    mcp_call_cancel(r->mcp);
    free(r);
}

/* The server that ARGS names; the only one that has WHAT needs no name. NULL when the call has failed. */
static struct box_server *server_for(struct tool_call *call, const struct entry *e, const json_t *args,
                                     const char *what)
{
    const char *wanted = json_get_string(args, "server", NULL);
    struct box_server *found = NULL;
    struct buf names = BUF_INIT;
    size_t count = 0;

    for (size_t i = 0; i < e->box->servers.len; i++) {
        struct box_server *s = e->box->servers.items[i];

        if (!s->is_ready || (mcp_client_is_connected(mcp_lease_client(s->lease)) &&
                             !mcp_client_offers(mcp_lease_client(s->lease), what)))
            continue;
        buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", s->config.id);
        if (wanted == NULL || strcmp(wanted, s->config.id) == 0) {
            found = s;
            count++;
        }
    }
    if (count != 1) {
        found = NULL;
        tool_call_fail(call, "%s: name one `server` of: %s", e->name,
                       names.len > 0 ? buf_cstr(&names) : "(none)");
    }
    buf_free(&names);
    return found;
}

static void copy_member(json_t *params, const json_t *args, const char *name)
{
    json_t *value = json_object_get(args, name);

    if (value != NULL && !json_is_null(value))
        json_object_set(params, name, value);
}

static void start_call(struct tool_call *call, const struct entry *e, struct box_server *s,
                       const char *method, const json_t *params, const char *name)
{
    struct mcp_client *client = mcp_lease_client(s->lease);
    const struct mcp_tool_list *tools = mcp_client_tools(client);
    struct running *r = xcalloc(1, sizeof *r);
    struct str_list headers = {0};
    const struct mcp_call_options options = {
        .method = method,
        .params = params,
        .name = name,
        .headers = &headers,
        .timeout_ms = (uint64_t)s->config.tool_timeout_ms,
        .on_done = on_done,
        .data = r,
    };

    for (size_t i = 0; i < tools->len && e->kind == KIND_TOOL; i++)
        if (strcmp(tools->items[i].name, name) == 0)
            mcp_tool_headers(&tools->items[i], json_object_get(params, "arguments"), &headers);
    r->call = call;
    r->entry = e;
    call->state = r;
    call->cancel = cancel;
    r->mcp = mcp_client_call(client, &options);
    str_list_finish(&headers);
}

static void start(struct tool_call *call, const json_t *args)
{
    const struct entry *e = (const struct entry *)call->tool;
    struct box_server *s = e->server;
    json_t *params = json_object();
    const char *name = NULL;
    const char *method = "";

    switch (e->kind) {
    case KIND_TOOL:
        method = "tools/call";
        name = e->remote;
        json_object_set_new(params, "name", json_string(name));
        json_object_set(params, "arguments", (json_t *)(uintptr_t)args);
        break;
    case KIND_LIST_RESOURCES:
    case KIND_LIST_TEMPLATES:
        method = e->kind == KIND_LIST_RESOURCES ? "resources/list" : "resources/templates/list";
        copy_member(params, args, "cursor");
        s = server_for(call, e, args, "resources");
        break;
    case KIND_READ_RESOURCE:
        method = "resources/read";
        copy_member(params, args, "uri");
        if (tool_need_string(call, args, "uri", &name))
            s = server_for(call, e, args, "resources");
        break;
    case KIND_LIST_PROMPTS:
        method = "prompts/list";
        copy_member(params, args, "cursor");
        s = server_for(call, e, args, "prompts");
        break;
    case KIND_GET_PROMPT:
        method = "prompts/get";
        copy_member(params, args, "name");
        copy_member(params, args, "arguments");
        if (tool_need_string(call, args, "name", &name))
            s = server_for(call, e, args, "prompts");
        break;
    }
    if (s != NULL)
        start_call(call, e, s, method, params, name);
    json_decref(params);
}

/* --- The list --- */

static const struct {
    enum entry_kind kind;
    const char *name, *description, *parameters, *needs;
} generic[] = {
    {KIND_LIST_RESOURCES, "list_mcp_resources",
     "Lists the resources (documents, data) that an MCP server offers.",
     "{\"type\":\"object\",\"properties\":{\"server\":{\"type\":\"string\"},\"cursor\":{\"type\":\"string\"}}"
     "}",
     "resources"},
    {KIND_LIST_TEMPLATES, "list_mcp_resource_templates",
     "Lists the resource templates that an MCP server offers.",
     "{\"type\":\"object\",\"properties\":{\"server\":{\"type\":\"string\"},\"cursor\":{\"type\":\"string\"}}"
     "}",
     "resources"},
    {KIND_READ_RESOURCE, "read_mcp_resource", "Reads a resource of an MCP server by its URI.",
     "{\"type\":\"object\",\"properties\":{\"server\":{\"type\":\"string\"},\"uri\":{\"type\":\"string\"}},"
     "\"required\":[\"uri\"]}",
     "resources"},
    {KIND_LIST_PROMPTS, "list_mcp_prompts",
     "Lists the prompts that an MCP server offers, with their arguments.",
     "{\"type\":\"object\",\"properties\":{\"server\":{\"type\":\"string\"},\"cursor\":{\"type\":\"string\"}}"
     "}",
     "prompts"},
    {KIND_GET_PROMPT, "get_mcp_prompt", "Gets a prompt of an MCP server, filled in with arguments.",
     "{\"type\":\"object\",\"properties\":{\"server\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},"
     "\"arguments\":"
     "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}},\"required\":[\"name\"]}",
     "prompts"},
};

static bool is_wanted(const struct box_server *s, const struct mcp_tool *tool)
{
    if (s->config.has_enabled_tools && !str_list_has(&s->config.enabled_tools, tool->name))
        return false;
    if (str_list_has(&s->config.disabled_tools, tool->name))
        return false;
    return !(s->box->read_only && tool->read_only == 0);
}

static bool has_name(const struct mcp_toolbox *box, const char *name)
{
    for (size_t i = 0; i < box->entries.len; i++)
        if (strcmp(((struct entry *)box->entries.items[i])->name, name) == 0)
            return true;
    return false;
}

static struct entry *add_entry(struct mcp_toolbox *box, enum entry_kind kind, char *name,
                               const char *description, const char *parameters)
{
    struct entry *e = xcalloc(1, sizeof *e);

    e->box = box;
    e->kind = kind;
    e->name = name;
    e->description = xstrdup(description);
    e->parameters = xstrdup(parameters);
    e->tool = (struct tool){.name = e->name,
                            .description = e->description,
                            .parameters = e->parameters,
                            .flags = TOOL_PARALLEL,
                            .start = start};
    vec_push(&box->entries, e);
    return e;
}

static void add_tools_of(struct box_server *s)
{
    const struct mcp_tool_list *tools = mcp_client_tools(mcp_lease_client(s->lease));

    for (size_t i = 0; i < tools->len; i++) {
        const struct mcp_tool *tool = &tools->items[i];
        struct entry *e;
        char *name;

        if (!is_wanted(s, tool))
            continue;
        name = mcp_tool_name(s->config.id, tool->name, false);
        if (has_name(s->box, name)) {
            free(name);
            name = mcp_tool_name(s->config.id, tool->name, true);
            if (has_name(s->box, name)) {
                free(name);
                continue;
            }
        }
        e = add_entry(s->box, KIND_TOOL, name, tool->description, tool->schema);
        e->server = s;
        e->remote = xstrdup(tool->name);
        if (!s->config.has_parallel_calls)
            e->tool.flags = 0;
    }
}

static void add_generic_tools(struct mcp_toolbox *box)
{
    for (size_t i = 0; i < sizeof generic / sizeof generic[0]; i++) {
        bool is_needed = false;

        for (size_t k = 0; k < box->servers.len; k++) {
            struct box_server *s = box->servers.items[k];

            is_needed =
                is_needed || (s->is_ready && mcp_client_offers(mcp_lease_client(s->lease), generic[i].needs));
        }
        if (is_needed)
            add_entry(box, generic[i].kind, xstrdup(generic[i].name), generic[i].description,
                      generic[i].parameters);
    }
}

void mcp_toolbox_add_to(struct mcp_toolbox *box, struct tool_set *set)
{
    for (size_t i = 0; i < box->entries.len; i++) {
        struct entry *e = box->entries.items[i];

        if (!tool_set_has(set, e->name))
            tool_set_add(set, &e->tool, NULL, false);
    }
}

size_t mcp_toolbox_tool_count(const struct mcp_toolbox *box)
{
    return box->entries.len;
}

/* --- Opening --- */

static void connect_one(void *arg)
{
    struct box_server *s = arg;

    s->is_ready = mcp_client_connect(mcp_lease_client(s->lease), &s->err) == 0;
    s->fiber = NULL;
    if (s->group != NULL)
        fiber_group_done(s->group);
}

static int connect_all(struct mcp_toolbox *box, struct error *err)
{
    struct fiber_group group = {0};
    int rc;

    for (size_t i = 0; i < box->servers.len; i++) {
        struct box_server *s = box->servers.items[i];

        if (s->lease == NULL)
            continue;
        if (fiber_current() == NULL) {
            connect_one(s);
            continue;
        }
        s->group = &group;
        fiber_group_add(&group);
        s->fiber = fiber_start(box->loop, connect_one, s);
    }
    if (fiber_current() == NULL)
        return 0;
    rc = fiber_group_wait(&group, err);
    if (rc < 0) {
        for (size_t i = 0; i < box->servers.len; i++)
            if (((struct box_server *)box->servers.items[i])->fiber != NULL)
                fiber_cancel(((struct box_server *)box->servers.items[i])->fiber);
        fiber_shield(true);
        (void)fiber_group_wait(&group, NULL);
        fiber_shield(false);
    }
    return rc;
}

static int compare_servers(const void *a, const void *b)
{
    return strcmp((*(struct box_server *const *)a)->config.id, (*(struct box_server *const *)b)->config.id);
}

struct mcp_toolbox *mcp_toolbox_open(const struct mcp_toolbox_options *o, struct error *err)
{
    struct mcp_toolbox *box = xcalloc(1, sizeof *box);

    box->loop = o->loop;
    box->read_only = o->read_only;
    for (size_t i = 0; i < o->servers->len; i++) {
        struct box_server *s = xcalloc(1, sizeof *s);

        s->box = box;
        mcp_config_copy(&s->config, &o->servers->items[i]);
        known_secrets_register_server(&s->config);
        vec_push(&box->servers, s);
        s->lease = mcp_pool_acquire(o->pool, &s->config, o->cwd, &s->err);
    }
    if (box->servers.len > 0)
        qsort(box->servers.items, box->servers.len, sizeof *box->servers.items, compare_servers);
    if (connect_all(box, err) < 0) {
        mcp_toolbox_close(box);
        return NULL;
    }
    for (size_t i = 0; i < box->servers.len; i++) {
        struct box_server *s = box->servers.items[i];
        char *text;

        if (s->is_ready) {
            add_tools_of(s);
            continue;
        }
        error_wrap(&s->err, "MCP server %s", s->config.id);
        if (s->config.is_required) {
            *err = s->err;
            error_hint(err, "mend mcp_servers.%s, or set required = false to go on without it", s->config.id);
            mcp_toolbox_close(box);
            return NULL;
        }
        text = xasprintf("%s; its tools are not offered", s->err.text);
        if (o->on_problem != NULL)
            o->on_problem(o->data, text);
        free(text);
    }
    add_generic_tools(box);
    return box;
}

void mcp_toolbox_close(struct mcp_toolbox *box)
{
    if (box == NULL)
        return;
    for (size_t i = 0; i < box->entries.len; i++) {
        struct entry *e = box->entries.items[i];

        free(e->remote);
        free(e->name);
        free(e->description);
        free(e->parameters);
        free(e);
    }
    for (size_t i = 0; i < box->servers.len; i++) {
        struct box_server *s = box->servers.items[i];

        mcp_lease_release(s->lease);
        mcp_config_finish(&s->config);
        free(s);
    }
    vec_finish(&box->entries);
    vec_finish(&box->servers);
    free(box);
}
