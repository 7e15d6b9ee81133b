/* tool/registry.c: see registry.h. */
#include "tool/registry.h"

#include "base/alloc.h"
#include "base/fence.h"
#include "base/json.h"
#include "base/redact.h"
#include "io/loop.h"
#include "model/tool_schema.h"
#include "tool/tool_internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGUMENT_BYTES ((size_t)8 << 20)

static const struct tool *const all_tools[] = {
    &tool_exec_command, &tool_write_stdin,   &tool_shell,         &tool_apply_patch,
    &tool_update_plan,  &tool_view_image,    &tool_submit_result, &tool_submit_review,
};
#define TOOL_COUNT (sizeof all_tools / sizeof all_tools[0])

struct set_entry {
    const struct tool *tool;
    char *parameters; /* in place of the tool's own, or NULL */
    bool is_hidden;
};

struct tool_set {
    struct set_entry *entries;
    size_t count;
    bool is_read_only;
};

void tool_set_add(struct tool_set *set, const struct tool *tool, char *parameters, bool is_hidden)
{
    if ((tool->flags & TOOL_WRITES) != 0 && set->is_read_only) {
        free(parameters);
        return;
    }
    set->entries = xrealloc(set->entries, (set->count + 1) * sizeof *set->entries);
    set->entries[set->count++] =
        (struct set_entry){tool, parameters, is_hidden || (tool->flags & TOOL_HIDDEN) != 0};
}

struct tool_set *tool_set_create(const char *owes, bool read_only)
{
    struct tool_set *set = xcalloc(1, sizeof *set);

    set->is_read_only = read_only;
    for (size_t i = 0; i < TOOL_COUNT; i++)
        if ((all_tools[i]->flags & TOOL_SUBMIT) == 0 || str_eq(all_tools[i]->name, owes))
            tool_set_add(set, all_tools[i], NULL, false);
    return set;
}

void tool_set_destroy(struct tool_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++)
        free(set->entries[i].parameters);
    free(set->entries);
    free(set);
}

const char *tool_plain_name(const char *name)
{
    static const char *const prefixes[] = {"functions.", "multi_agent_v1.", "multi_agent_v1__", "multi_agent_v2.",
                                           "multi_agent_v2__"};

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (str_starts_with(name, prefixes[i]))
            return name + strlen(prefixes[i]);
    return name;
}

static const struct tool *find(const struct tool_set *set, const char *name)
{
    name = tool_plain_name(name);
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->entries[i].tool->name, name) == 0)
            return set->entries[i].tool;
    return NULL;
}

bool tool_set_has(const struct tool_set *set, const char *name)
{
    return find(set, name) != NULL;
}

char *tool_set_wire_json(const struct tool_set *set, enum wire_api wire)
{
    struct tool_schema *schemas = xcalloc(set->count + 1, sizeof *schemas);
    size_t n = 0;
    char *json;

    for (size_t i = 0; i < set->count; i++) {
        const struct set_entry *e = &set->entries[i];
        bool free_form = (e->tool->flags & TOOL_FREE_FORM) != 0;

        if (e->is_hidden)
            continue;
        schemas[n++] = (struct tool_schema){
            .kind = free_form ? TOOL_SCHEMA_CUSTOM : TOOL_SCHEMA_FUNCTION,
            .name = e->tool->name,
            .description = e->tool->description,
            .parameters = e->parameters != NULL ? e->parameters : e->tool->parameters,
            .grammar_syntax = free_form ? "lark" : NULL,
            .grammar = e->tool->grammar,
        };
    }
    json = tool_schema_write(wire, schemas, n);
    free(schemas);
    return json == NULL ? xstrdup("[]") : json;
}

bool tool_set_is_parallel_safe(const struct tool_set *set, const char *name)
{
    const struct tool *tool = find(set, name);

    return tool == NULL || (tool->flags & TOOL_PARALLEL) != 0;
}

void tool_append_for_model(struct buf *out, const struct tool_set *set, const char *name, const char *output, size_t n)
{
    static const char mark[] = "\nOutput:\n";
    const struct tool *tool = find(set, name);
    const char *body;

    if (tool == NULL || (tool->flags & TOOL_OWN_WORDS) != 0) {
        buf_append(out, output, n);
    } else if (tool == &tool_exec_command || tool == &tool_write_stdin || tool == &tool_shell) {
        /* The first such line is ours; without one it is a message of ours (a patch applied, a refusal). */
        body = n > 10 && memcmp(output, "Chunk ID: ", 10) == 0 ? memmem(output, n, mark, sizeof mark - 1) : NULL;
        body = body == NULL ? output + n : body + sizeof mark - 1;
        buf_append(out, output, (size_t)(body - output));
        if (body < output + n)
            fence_append(out, tool->name, body, n - (size_t)(body - output));
    } else {
        fence_append(out, tool->name, output, n);
    }
}

bool tool_set_waits(const struct tool_set *set, const char *name)
{
    const struct tool *tool = find(set, name);

    return tool != NULL && (tool->flags & TOOL_WAITS) != 0;
}

/* --- One call ----------------------------------------------------------------------------------------------- */

static void call_free(struct tool_call *call)
{
    timer_cancel(call->deferred);
    for (size_t i = 0; i < call->result.change_count; i++)
        free(call->changes[i].path);
    free(call->changes);
    free(call->image_base64);
    json_decref((json_t *)call->result.agents);
    buf_free(&call->output);
    free(call);
}

static void deliver(void *data)
{
    struct tool_call *call = data;

    call->deferred = NULL;
    redact_buf(&call->output, 0, REDACT_KNOWN);
    call->result.output = buf_cstr(&call->output);
    call->result.output_len = call->output.len;
    call->result.image_base64 = call->image_base64;
    call->result.changes = call->changes;
    call->on_done(call->data, &call->result);
    call_free(call);
}

void tool_call_finish(struct tool_call *call)
{
    call->cancel = NULL;
    call->deferred = timer_start(call->ctx.loop, 0, deliver, call);
}

void tool_call_fail(struct tool_call *call, const char *fmt, ...)
{
    va_list ap;

    buf_clear(&call->output);
    va_start(ap, fmt);
    buf_vprintf(&call->output, fmt, ap);
    va_end(ap);
    call->result.is_error = true;
    tool_call_finish(call);
}

void tool_call_add_change(struct tool_call *call, const char *path, const char *kind)
{
    call->changes = xrealloc(call->changes, (call->result.change_count + 1) * sizeof *call->changes);
    call->changes[call->result.change_count++] = (struct tool_change){xstrdup(path), kind};
}

static json_t *parse_arguments(struct tool_call *call, const char *arguments, bool custom)
{
    struct error err = {0};
    json_t *args;

    if (strlen(arguments) > MAX_ARGUMENT_BYTES) {
        tool_call_fail(call, "%s: the arguments are larger than %zu bytes", call->tool->name, MAX_ARGUMENT_BYTES);
        return NULL;
    }
    if (custom) {
        args = json_pack("{s:s}", "input", arguments);
        if (args == NULL)
            tool_call_fail(call, "%s: the input is no UTF-8 text", call->tool->name);
        return args;
    }
    args = json_parse(arguments[0] == '\0' ? "{}" : arguments, arguments[0] == '\0' ? 2 : strlen(arguments),
                      "arguments", &err);
    if (args == NULL) {
        tool_call_fail(call, "%s: %s", call->tool->name, err.text);
    } else if (!json_is_object(args)) {
        json_decref(args);
        args = NULL;
        tool_call_fail(call, "%s: the arguments have to be a JSON object", call->tool->name);
    }
    return args;
}

static const struct tool unknown_tool = {.name = "unknown"};

struct tool_call *tool_call_start(const struct tool_set *set, const struct tool_call_context *ctx, const char *name,
                                  const char *arguments, bool custom,
                                  void (*on_done)(void *data, const struct tool_result *result), void *data)
{
    struct tool_call *call = xcalloc(1, sizeof *call);
    json_t *args;

    call->tool = find(set, name);
    call->ctx = *ctx;
    call->on_done = on_done;
    call->data = data;
    call->result.exit_code = -1;
    if (call->tool == NULL) {
        struct buf names = BUF_INIT;

        call->tool = &unknown_tool;
        for (size_t i = 0; i < set->count; i++)
            if (!set->entries[i].is_hidden)
                buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", set->entries[i].tool->name);
        tool_call_fail(call, "there is no tool `%.100s`; the tools are: %s", name, buf_cstr(&names));
        buf_free(&names);
        return call;
    }
    args = parse_arguments(call, arguments, custom);
    if (args != NULL)
        call->tool->start(call, args);
    json_decref(args);
    return call;
}

void tool_call_cancel(struct tool_call *call)
{
    if (call == NULL)
        return;
    if (call->cancel != NULL)
        call->cancel(call);
    call_free(call);
}

uint64_t tool_output_fingerprint(const char *output, size_t n)
{
    const char *mark = n > 0 ? strstr(output, "\nOutput:\n") : NULL;

    /* The head of a command's answer holds its id and its wall clock. */
    if (mark != NULL && str_starts_with(output, "Chunk ID: ")) {
        n -= (size_t)(mark - output);
        output = mark;
    }
    return str_hash(output, n);
}
