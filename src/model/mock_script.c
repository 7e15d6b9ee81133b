/* model/mock_script.c: reads and matches the mock's rules. Unknown keys are errors: a rule that silently
 * never matches costs its author an hour. */
#include "model/mock_script.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "model/cassette.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPT_MAX_BYTES ((size_t)64 << 20)
#define RULES_MAX        100000

/* Where in the script we are, for errors. */
struct place {
    const char *file;
    size_t rule;
    const char *part; /* ".match", ... */
};

static int bad(const struct place *at, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int bad(const struct place *at, struct error *err, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    error_set(err, ERROR_CONFIG, "%s: rules[%zu]%s: %s", at->file, at->rule, at->part, buf_cstr(&text));
    buf_free(&text);
    return -1;
}

/* Every key of OBJECT is one of KEYS, or an error. */
static int check_keys(const json_t *object, const char *const *keys, const struct place *at,
                      struct error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return bad(at, err, "must be an object");
    json_object_foreach((json_t *)object, key, value)
    {
        const char *nearest;
        bool known = false;

        for (size_t i = 0; keys[i] != NULL && !known; i++)
            known = strcmp(keys[i], key) == 0;
        if (known || strcmp(key, "comment") == 0)
            continue;
        nearest = str_nearest(key, keys);
        return bad(at, err, "unknown key '%s'%s%s%s", key, nearest != NULL ? "; is '" : "",
                   nearest != NULL ? nearest : "", nearest != NULL ? "' meant?" : "");
    }
    return 0;
}

static char *copy_string(const json_t *object, const char *key)
{
    return xstrdup(json_string_value(json_object_get(object, key)));
}

static char *copy_json(const json_t *value)
{
    struct buf text = BUF_INIT;

    json_append_value(&text, value);
    return buf_take(&text);
}

static int read_match(struct mock_rule *rule, const json_t *match, struct place *at, struct error *err)
{
    static const char *const keys[] = {"role",           "task",          "attempt", "turn",  "turn_below",
                                       "input_contains", "last_contains", "model",   "times", NULL};

    at->part = ".match";
    if (check_keys(match, keys, at, err) < 0)
        return -1;
    rule->role = copy_string(match, "role");
    rule->task = copy_string(match, "task");
    rule->model = copy_string(match, "model");
    rule->input_contains = copy_string(match, "input_contains");
    rule->last_contains = copy_string(match, "last_contains");
    rule->attempt = json_get_int(match, "attempt", -1);
    rule->turn = json_get_int(match, "turn", -1);
    rule->turn_below = json_get_int(match, "turn_below", -1);
    rule->times = json_get_int(match, "times", -1);
    return 0;
}

static int read_calls(struct mock_reply *reply, const json_t *calls, struct place *at, struct error *err)
{
    static const char *const keys[] = {"name", "arguments", "input", NULL};
    const json_t *value;
    size_t i;

    at->part = ".reply.tool_calls";
    if (!json_is_array(calls))
        return bad(at, err, "must be an array");
    reply->calls = xcalloc(json_array_size(calls) + 1, sizeof *reply->calls);
    json_array_foreach(calls, i, value)
    {
        struct mock_call *call = &reply->calls[reply->call_count++];
        const json_t *arguments = json_object_get(value, "arguments");

        if (check_keys(value, keys, at, err) < 0)
            return -1;
        call->name = copy_string(value, "name");
        call->input = copy_string(value, "input");
        if (call->name == NULL)
            return bad(at, err, "[%zu] has no name", i);
        if (json_is_string(arguments)) /* as it is: also for arguments that are no JSON */
            call->arguments = xstrdup(json_string_value(arguments));
        else if (arguments != NULL)
            call->arguments = copy_json(arguments);
        else if (call->input == NULL)
            call->arguments = xstrdup("{}");
    }
    return 0;
}

static int read_reply(struct mock_rule *rule, const json_t *object, struct place *at, struct error *err)
{
    static const char *const keys[] = {"message",    "tool_calls",   "reasoning", "usage",
                                       "incomplete", "after_finals", NULL};
    static const char *const usage_keys[] = {"input_tokens", "cached_input_tokens", "output_tokens",
                                             "reasoning_output_tokens", NULL};
    struct mock_reply *reply = &rule->reply;
    const json_t *usage = json_object_get(object, "usage");
    const json_t *calls = json_object_get(object, "tool_calls");
    const json_t *message = json_object_get(object, "message");

    at->part = ".reply";
    if (check_keys(object, keys, at, err) < 0)
        return -1;
    rule->has_reply = true;
    /* A message may be given as JSON, for structured output. */
    if (json_is_string(message))
        reply->message = xstrdup(json_string_value(message));
    else if (message != NULL && !json_is_null(message))
        reply->message = copy_json(message);
    reply->reasoning = copy_string(object, "reasoning");
    reply->incomplete = copy_string(object, "incomplete");
    reply->after_finals = json_get_int(object, "after_finals", 0);
    if (usage != NULL) {
        at->part = ".reply.usage";
        if (check_keys(usage, usage_keys, at, err) < 0)
            return -1;
        reply->has_usage = true;
        reply->usage.input_tokens = json_get_int(usage, "input_tokens", 0);
        reply->usage.cached_input_tokens = json_get_int(usage, "cached_input_tokens", 0);
        reply->usage.output_tokens = json_get_int(usage, "output_tokens", 0);
        reply->usage.reasoning_output_tokens = json_get_int(usage, "reasoning_output_tokens", 0);
    }
    return calls != NULL ? read_calls(reply, calls, at, err) : 0;
}

static int read_fault(struct mock_rule *rule, const json_t *object, struct place *at, struct error *err)
{
    static const char *const keys[] = {"status",
                                       "retry_after",
                                       "body",
                                       "cut_after_bytes",
                                       "cut_after_events",
                                       "hang_after_events",
                                       "delay_ms",
                                       "dribble",
                                       "malformed_event",
                                       "close",
                                       "overloaded",
                                       "times",
                                       "once",
                                       NULL};
    struct mock_fault *f = &rule->fault;
    const json_t *body = json_object_get(object, "body");
    bool only_slow;

    at->part = ".fault";
    if (check_keys(object, keys, at, err) < 0)
        return -1;
    rule->has_fault = true;
    f->status = (int)json_get_int(object, "status", 0);
    if (f->status != 0 && (f->status < 100 || f->status > 599))
        return bad(at, err, "status %d is none of HTTP's", f->status);
    f->retry_after_s = json_get_number(object, "retry_after", -1);
    f->body = body != NULL ? copy_json(body) : NULL;
    f->cut_after_bytes = json_get_int(object, "cut_after_bytes", -1);
    f->cut_after_events = json_get_int(object, "cut_after_events", -1);
    f->hang_after_events = json_get_int(object, "hang_after_events", -1);
    f->delay_ms = json_get_int(object, "delay_ms", 0);
    f->dribble = json_get_bool(object, "dribble", false);
    f->malformed_event = json_get_bool(object, "malformed_event", false);
    f->close = json_get_bool(object, "close", false);
    f->overloaded = json_get_bool(object, "overloaded", false);
    /* What spoils an answer happens once unless said; what only slows it down, always. */
    only_slow = f->status == 0 && f->cut_after_bytes < 0 && f->cut_after_events < 0 &&
                f->hang_after_events < 0 && !f->close && !f->overloaded;
    f->times = json_get_int(object, "times", only_slow ? -1 : 1);
    if (json_get_bool(object, "once", false))
        f->times = 1;
    return 0;
}

static int read_rule(struct mock_rule *rule, const json_t *object, struct place *at, struct error *err)
{
    static const char *const keys[] = {"match", "reply", "fault", "input", NULL};
    const json_t *match = json_object_get(object, "match");
    const json_t *reply = json_object_get(object, "reply");
    const json_t *fault = json_object_get(object, "fault");

    rule->attempt = rule->turn = rule->turn_below = rule->times = -1;
    at->part = "";
    if (check_keys(object, keys, at, err) < 0)
        return -1;
    rule->input = copy_string(object, "input");
    if (match != NULL && read_match(rule, match, at, err) < 0)
        return -1;
    if (reply != NULL && read_reply(rule, reply, at, err) < 0)
        return -1;
    if (fault != NULL && read_fault(rule, fault, at, err) < 0)
        return -1;
    at->part = "";
    if (!rule->has_reply && !rule->has_fault)
        return bad(at, err, "needs a reply or a fault");
    return 0;
}

struct mock_script *mock_script_parse(const char *text, size_t n, const char *where, struct error *err)
{
    struct mock_script *script = xcalloc(1, sizeof *script);
    json_t *root = json_parse(text, n, where, err);
    const json_t *rules, *limits, *value;
    size_t i;

    if (root == NULL)
        goto fail;
    rules = json_object_get(root, "rules");
    limits = json_object_get(root, "limits");
    if (!json_is_array(rules) || json_array_size(rules) > RULES_MAX) {
        error_set(err, ERROR_CONFIG, "%s: needs an array \"rules\"", where);
        goto fail;
    }
    script->latency_ms = json_get_int(root, "latency_ms", 0);
    script->requests_per_second = json_get_number(limits, "requests_per_second", 0);
    script->burst = json_get_number(limits, "burst", 1);
    script->rules = xcalloc(json_array_size(rules) + 1, sizeof *script->rules);
    json_array_foreach(rules, i, value)
    {
        struct place at = {where, i, ""};
        struct mock_rule *rule = &script->rules[script->rule_count++];

        if (read_rule(rule, value, &at, err) < 0)
            goto fail;
        if (rule->input_contains != NULL || rule->last_contains != NULL)
            script->needs_text = true;
    }
    if (memmem(text, n, "{{cwd}}", 7) != NULL)
        script->needs_text = true;
    json_decref(root);
    return script;
fail:
    json_decref(root);
    mock_script_destroy(script);
    return NULL;
}

struct mock_script *mock_script_load(const char *path, struct error *err)
{
    struct buf text = BUF_INIT;
    struct mock_script *script = NULL;

    if (file_read(path, &text, SCRIPT_MAX_BYTES, err) == 0)
        script = mock_script_parse(buf_cstr(&text), text.len, path, err);
    buf_free(&text);
    return script;
}

void mock_script_destroy(struct mock_script *script)
{
    if (script == NULL)
        return;
    for (size_t i = 0; i < script->rule_count; i++) {
        struct mock_rule *rule = &script->rules[i];

        free(rule->role);
        free(rule->task);
        free(rule->model);
        free(rule->input_contains);
        free(rule->last_contains);
        free(rule->input);
        free(rule->fault.body);
        free(rule->reply.message);
        free(rule->reply.reasoning);
        free(rule->reply.incomplete);
        for (size_t j = 0; j < rule->reply.call_count; j++) {
            free(rule->reply.calls[j].name);
            free(rule->reply.calls[j].arguments);
            free(rule->reply.calls[j].input);
        }
        free(rule->reply.calls);
    }
    free(script->rules);
    free(script);
}

/* --- Requests ----------------------------------------------------------------------------------------- */

/* All strings under "text", "content", "output" of VALUE, one a line. Depth is bounded by the parser. */
static void collect_text(struct buf *out, const json_t *value)
{
    static const char *const keys[] = {"text", "content", "output"};
    const json_t *part;
    size_t i;

    if (json_is_string(value)) {
        buf_append(out, json_string_value(value), json_string_length(value));
        buf_putc(out, '\n');
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, part) collect_text(out, part);
    } else if (json_is_object(value)) {
        for (i = 0; i < sizeof keys / sizeof keys[0]; i++)
            if (json_object_get(value, keys[i]) != NULL)
                collect_text(out, json_object_get(value, keys[i]));
    }
}

/* Did the model say this item? Roles decide in Chat and Messages, types in Responses. */
static bool is_from_model(const json_t *item)
{
    const char *role = json_get_string(item, "role", "");
    const char *type = json_get_string(item, "type", "message");

    if (strcmp(role, "assistant") == 0)
        return true;
    return *role == '\0' && strcmp(type, "message") != 0 && !str_ends_with(type, "_output");
}

void mock_request_read(struct mock_request *request, enum wire_api wire, const json_t *body, bool wants_text)
{
    const json_t *input = json_object_get(body, wire == WIRE_RESPONSES ? "input" : "messages"), *item;
    bool was_model = false;
    const char *start, *end;
    size_t i;

    request->wire = wire;
    request->model = json_get_string(body, "model", "");
    request->tools = json_object_get(body, "tools");
    if (json_is_string(input) && wants_text)
        collect_text(&request->text, input);
    json_array_foreach(input, i, item)
    {
        bool is_model = is_from_model(item);

        if (is_model && !was_model)
            request->turn++;
        if (wants_text)
            collect_text(&request->text, item);
        if (is_model)
            request->last_offset = request->text.len;
        was_model = is_model;
    }
    start = strstr(buf_cstr(&request->text), "<cwd>");
    end = start != NULL ? strstr(start, "</cwd>") : NULL;
    if (end != NULL)
        request->cwd = xstrndup(start + 5, (size_t)(end - start - 5));
}

void mock_request_finish(struct mock_request *request)
{
    buf_free(&request->text);
    FREE_NULL(request->cwd);
}

static bool rule_matches(const struct mock_rule *rule, const struct mock_request *request)
{
    const char *text = buf_cstr(&request->text);

    return (rule->role == NULL || strcmp(rule->role, request->role) == 0) &&
           (rule->task == NULL || strcmp(rule->task, request->task) == 0) &&
           (rule->model == NULL || strcmp(rule->model, request->model) == 0) &&
           (rule->attempt < 0 || rule->attempt == request->attempt) &&
           (rule->turn < 0 || rule->turn == request->turn) &&
           (rule->turn_below < 0 || request->turn < rule->turn_below) &&
           (rule->times < 0 || rule->used < rule->times) &&
           (rule->input_contains == NULL || strstr(text, rule->input_contains) != NULL) &&
           (rule->last_contains == NULL || strstr(text + request->last_offset, rule->last_contains) != NULL);
}

char *mock_rule_divergence(const struct mock_rule *rule, const struct mock_request *request)
{
    char *recorded, *here, *text = NULL;
    size_t at = 0, from;

    if (rule->input == NULL)
        return NULL;
    recorded = cassette_normalize(rule->input, NULL);
    here = cassette_normalize(buf_cstr(&request->text) + request->last_offset, request->cwd);
    while (recorded[at] != '\0' && recorded[at] == here[at])
        at++;
    if (recorded[at] != here[at]) {
        from = at > 30 ? at - 30 : 0;
        text = xasprintf(
            "role '%s', task '%s', attempt %lld, turn %lld: the request differs from the recorded one "
            "at byte %zu: recorded \"%.80s\", here \"%.80s\"",
            request->role, request->task, (long long)request->attempt, (long long)request->turn, at,
            recorded + from, here + from);
    }
    free(recorded);
    free(here);
    return text;
}

/* A cassette's exchanges are used once each, the one with the same input first. One that was used answers
 * again when nothing else is left: a repeated request gets the same answer. */
static struct mock_rule *match_cassette(const struct mock_script *script, const struct mock_request *request)
{
    struct mock_rule *unused = NULL, *used = NULL;

    for (size_t i = 0; i < script->rule_count; i++) {
        struct mock_rule *rule = &script->rules[i];
        char *divergence;

        if (!rule_matches(rule, request))
            continue;
        if (rule->used > 0) {
            used = rule;
            continue;
        }
        divergence = mock_rule_divergence(rule, request);
        if (divergence == NULL)
            return rule;
        free(divergence);
        if (unused == NULL)
            unused = rule;
    }
    return unused != NULL ? unused : used;
}

struct mock_rule *mock_script_match(const struct mock_script *script, const struct mock_request *request)
{
    if (script->is_cassette)
        return match_cassette(script, request);
    for (size_t i = 0; i < script->rule_count; i++)
        if (rule_matches(&script->rules[i], request))
            return &script->rules[i];
    return NULL;
}

char *mock_fill_template(const char *text, const struct mock_request *request, bool as_json)
{
    char attempt[24], turn[24];
    const struct {
        const char *mark, *value;
    } marks[] = {
        {"{{cwd}}", request->cwd != NULL ? request->cwd : "."},
        {"{{role}}", request->role},
        {"{{task}}", request->task},
        {"{{attempt}}", attempt},
        {"{{turn}}", turn},
        {"{{model}}", request->model},
    };
    struct buf out = BUF_INIT;

    snprintf(attempt, sizeof attempt, "%lld", (long long)request->attempt);
    snprintf(turn, sizeof turn, "%lld", (long long)request->turn);
    while (*text != '\0') {
        const char *next = strstr(text, "{{");
        bool found = false;

        if (next == NULL)
            break;
        buf_append(&out, text, (size_t)(next - text));
        for (size_t i = 0; i < sizeof marks / sizeof marks[0] && !found; i++)
            if (str_starts_with(next, marks[i].mark)) {
                if (as_json)
                    json_append_escaped(&out, marks[i].value, strlen(marks[i].value));
                else
                    buf_puts(&out, marks[i].value);
                next += strlen(marks[i].mark);
                found = true;
            }
        if (!found)
            buf_putc(&out, *next++); /* also GitHub's ${{ }} stays as it is */
        text = next;
    }
    buf_puts(&out, text);
    return buf_take(&out);
}
