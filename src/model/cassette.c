/* model/cassette.c: writes exchanges as rules of the mock, and reads them again. */
#include "model/cassette.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/redact.h"
#include "base/str.h"
#include "model/mock_script.h"
#include "model/wire.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CASSETTE_MAX_BYTES ((size_t)512 << 20)
#define SECRET_MIN_BYTES   16
#define CHUNK_ID           "Chunk ID: "

struct cassette_recorder {
    char *path;
    char *(*redact)(const char *text);
    struct error failure; /* the first write that failed */
};

/* How well-known credentials begin. */
static const char *const secret_prefixes[] = {"sk-",    "sk_live_", "ghp_",  "gho_", "ghs_", "github_pat_",
                                              "glpat-", "xoxb-",    "xoxp-", "AKIA", "AIza", "eyJ"};

static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

static size_t secret_length(const char *text)
{
    for (size_t i = 0; i < sizeof secret_prefixes / sizeof secret_prefixes[0]; i++)
        if (str_starts_with(text, secret_prefixes[i])) {
            size_t n = 0;

            while (is_token_char(text[n]))
                n++;
            return n >= SECRET_MIN_BYTES ? n : 0;
        }
    return 0;
}

/* Credentials out, CWD to {{cwd}}. */
static char *clean(const char *text, const char *cwd, char *(*redact)(const char *text))
{
    struct buf out = BUF_INIT;
    char *redacted = redact != NULL ? redact(text) : redact_line(text);
    const char *from = redacted != NULL ? redacted : text;
    size_t cwd_len = cwd != NULL ? strlen(cwd) : 0;
    bool in_word = false;

    while (*from != '\0') {
        size_t n = in_word ? 0 : secret_length(from);

        if (n > 0) {
            buf_puts(&out, "[redacted]");
            from += n;
        } else if (cwd_len > 1 && strncmp(from, cwd, cwd_len) == 0) {
            buf_puts(&out, "{{cwd}}");
            from += cwd_len;
        } else {
            buf_putc(&out, *from++);
        }
        in_word = from[-1] == '-' || isalnum((unsigned char)from[-1]);
    }
    free(redacted);
    return buf_take(&out);
}

/* The length of an absolute path's folders, the last slash included; 0 when it has none but the root. */
static size_t folders_length(const char *path)
{
    size_t n = 0;

    for (size_t i = 1; is_token_char(path[i]) || path[i] == '/' || path[i] == '+' || path[i] == '@'; i++)
        if (path[i] == '/')
            n = i + 1;
    return n;
}

char *cassette_normalize(const char *text, const char *cwd)
{
    struct buf out = BUF_INIT;
    char *cleaned = clean(text, cwd, NULL);

    for (const char *p = cleaned; *p != '\0';) {
        bool begins_word = p == cleaned || (!is_token_char(p[-1]) && p[-1] != '}');
        size_t folders = *p == '/' && begins_word ? folders_length(p) : 0;
        size_t hex = strspn(p, "0123456789abcdef"), digits = strspn(p, "0123456789");
        bool has_digit = strcspn(p, "0123456789") < hex;

        if (str_starts_with(p, CHUNK_ID)) { /* of a command's output, drawn anew each time */
            p += sizeof CHUNK_ID - 1;
            p += strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789");
        } else if (folders > 0) { /* another machine, another scratch folder */
            buf_puts(&out, "/~/");
            p += folders;
        } else if (hex >= 7 && has_digit) { /* a hash, an id */
            buf_putc(&out, '#');
            p += hex;
        } else if (digits > 0) {
            buf_putc(&out, '#');
            p += digits;
        } else {
            buf_putc(&out, *p++);
        }
    }
    free(cleaned);
    return buf_take(&out);
}

/* --- Recording ---------------------------------------------------------------------------------------- */

void cassette_head_finish(struct cassette_head *head)
{
    free(head->run);
    free(head->base);
    free(head->goal);
    *head = (struct cassette_head){0};
}

static struct cassette_recorder *make_recorder(const char *path, char *(*redact)(const char *text))
{
    struct cassette_recorder *recorder = xcalloc(1, sizeof *recorder);

    recorder->path = xstrdup(path);
    recorder->redact = redact;
    return recorder;
}

struct cassette_recorder *cassette_recorder_create(const char *path, const struct cassette_head *head,
                                                   char *(*redact)(const char *text), struct error *err)
{
    struct buf line = BUF_INIT;
    struct json_writer w = {.out = &line};
    char *goal = head != NULL && head->goal != NULL ? clean(head->goal, NULL, redact) : NULL;
    int rc;

    jw_object_begin(&w);
    jw_pair_int(&w, "cadre_cassette", 1);
    if (head != NULL) {
        jw_pair_string(&w, "run", head->run);
        jw_pair_string(&w, "base", head->base);
        jw_pair_string(&w, "goal", goal);
        jw_pair_int(&w, "started_s", head->started_s);
    }
    jw_object_end(&w);
    buf_putc(&line, '\n');
    rc = file_write(path, line.data, line.len, 0600, err);
    buf_free(&line);
    free(goal);
    return rc < 0 ? NULL : make_recorder(path, redact);
}

struct cassette_recorder *cassette_recorder_append(const char *path, const char *run,
                                                   char *(*redact)(const char *text), struct error *err)
{
    struct cassette_head head = {0};
    bool is_same;

    if (cassette_read_head(path, &head, err) < 0)
        return NULL;
    is_same = head.run != NULL && strcmp(head.run, run) == 0;
    if (!is_same)
        error_set_at(err, ERROR_CONFIG, path, 1, 0, "is the cassette of another run (%s), not of %s",
                     head.run != NULL ? head.run : "unnamed", run);
    cassette_head_finish(&head);
    return is_same ? make_recorder(path, redact) : NULL;
}

int cassette_recorder_destroy(struct cassette_recorder *recorder, struct error *err)
{
    int rc = 0;

    if (recorder == NULL)
        return 0;
    if (error_is_set(&recorder->failure)) {
        if (err != NULL)
            *err = recorder->failure;
        rc = -1;
    }
    free(recorder->path);
    free(recorder);
    return rc;
}

static void pair_clean(struct json_writer *w, const char *key, const char *text, const char *cwd,
                       const struct cassette_recorder *recorder)
{
    char *cleaned = clean(text, cwd, recorder->redact);

    jw_pair_string(w, key, cleaned);
    free(cleaned);
}

/* The texts of all items of KIND, a line between them. */
static void pair_texts(struct json_writer *w, const char *key, const struct wire_answer *answer,
                       enum item_kind kind, const char *cwd, const struct cassette_recorder *recorder)
{
    struct buf text = BUF_INIT;

    for (size_t i = 0; i < answer->items.len; i++) {
        const struct wire_item *item = answer->items.items[i];

        if (item->kind != kind || item->text == NULL)
            continue;
        if (text.len > 0)
            buf_putc(&text, '\n');
        buf_puts(&text, item->text);
    }
    if (text.len > 0)
        pair_clean(w, key, text.data, cwd, recorder);
    buf_free(&text);
}

static void write_reply(struct json_writer *w, const struct wire_answer *answer, const char *cwd,
                        const struct cassette_recorder *recorder)
{
    jw_key(w, "reply");
    jw_object_begin(w);
    pair_texts(w, "reasoning", answer, ITEM_REASONING, cwd, recorder);
    pair_texts(w, "message", answer, ITEM_MESSAGE, cwd, recorder);
    jw_key(w, "tool_calls");
    jw_array_begin(w);
    for (size_t i = 0; i < answer->items.len; i++) {
        const struct wire_item *item = answer->items.items[i];

        if (item->kind != ITEM_TOOL_CALL)
            continue;
        jw_object_begin(w);
        jw_pair_string(w, "name", item->name);
        pair_clean(w, item->custom ? "input" : "arguments", item->arguments, cwd, recorder);
        jw_object_end(w);
    }
    jw_array_end(w);
    if (answer->incomplete_reason != NULL)
        jw_pair_string(w, "incomplete", answer->incomplete_reason);
    jw_key(w, "usage");
    jw_object_begin(w);
    jw_pair_int(w, "input_tokens", answer->usage.input_tokens);
    jw_pair_int(w, "cached_input_tokens", answer->usage.cached_input_tokens);
    jw_pair_int(w, "output_tokens", answer->usage.output_tokens);
    jw_pair_int(w, "reasoning_output_tokens", answer->usage.reasoning_output_tokens);
    jw_object_end(w);
    jw_object_end(w);
}

/* A call that failed for good fails again when it is played. */
static void write_fault(struct json_writer *w, const struct error *error,
                        const struct cassette_recorder *recorder)
{
    jw_key(w, "fault");
    jw_object_begin(w);
    jw_pair_int(w, "status", 400);
    jw_pair_int(w, "times", -1);
    jw_key(w, "body");
    jw_object_begin(w);
    jw_key(w, "error");
    jw_object_begin(w);
    jw_pair_string(w, "code", model_error_is_context_length(error) ? "context_length_exceeded" : "recorded");
    pair_clean(w, "message", error->text, NULL, recorder);
    jw_object_end(w);
    jw_object_end(w);
    jw_object_end(w);
}

void cassette_record(struct cassette_recorder *recorder, const struct cassette_exchange *exchange)
{
    json_t *body = json_parse(exchange->body, exchange->body_len, "request", NULL);
    struct mock_request request = {.role = exchange->role != NULL ? exchange->role : "",
                                   .task = exchange->task != NULL ? exchange->task : ""};
    struct buf line = BUF_INIT;
    struct json_writer w = {.out = &line};

    mock_request_read(&request, exchange->wire, body, true);
    jw_object_begin(&w);
    jw_key(&w, "match");
    jw_object_begin(&w);
    jw_pair_string(&w, "role", request.role);
    jw_pair_string(&w, "task", request.task);
    jw_pair_int(&w, "attempt", exchange->attempt);
    jw_pair_int(&w, "turn", request.turn);
    jw_object_end(&w);
    pair_clean(&w, "input", buf_cstr(&request.text) + request.last_offset, request.cwd, recorder);
    if (exchange->answer != NULL)
        write_reply(&w, exchange->answer, request.cwd, recorder);
    else
        write_fault(&w, exchange->error, recorder);
    jw_object_end(&w);
    buf_putc(&line, '\n');
    if (!error_is_set(&recorder->failure))
        (void)file_append(recorder->path, line.data, line.len, 0600, &recorder->failure);
    buf_free(&line);
    mock_request_finish(&request);
    json_decref(body);
}

/* --- Playing ------------------------------------------------------------------------------------------ */

/* The first line of a cassette: its head as JSON, or NULL with ERR set. */
static json_t *parse_head(const char *line, size_t n, const char *path, struct error *err)
{
    json_t *head = json_parse(line, n, path, NULL);

    if (json_get_int(head, "cadre_cassette", 0) == 1)
        return head;
    json_decref(head);
    error_set_at(err, ERROR_CONFIG, path, 1, 0, "is no cassette of version 1");
    return NULL;
}

static char *take_string(const json_t *object, const char *key)
{
    const char *text = json_get_string(object, key, NULL);

    return str_is_empty(text) ? NULL : xstrdup(text);
}

int cassette_read_head(const char *path, struct cassette_head *head, struct error *err)
{
    struct buf text = BUF_INIT;
    json_t *json = NULL;
    int rc = -1;

    if (file_read(path, &text, CASSETTE_MAX_BYTES, err) < 0)
        goto out;
    json = parse_head(buf_cstr(&text), strcspn(buf_cstr(&text), "\n"), path, err);
    if (json == NULL)
        goto out;
    head->run = take_string(json, "run");
    head->base = take_string(json, "base");
    head->goal = take_string(json, "goal");
    head->started_s = json_get_int(json, "started_s", 0);
    rc = 0;
out:
    json_decref(json);
    buf_free(&text);
    return rc;
}

struct mock_script *cassette_load(const char *path, bool strict, struct error *err)
{
    struct buf text = BUF_INIT, rules = BUF_INIT;
    struct mock_script *script = NULL;
    struct str_list lines = {0};
    json_t *head = NULL;

    if (file_read(path, &text, CASSETTE_MAX_BYTES, err) < 0)
        goto out;
    str_split(&lines, buf_cstr(&text), '\n');
    head = parse_head(lines.items[0], strlen(lines.items[0]), path, err);
    if (head == NULL)
        goto out;
    buf_puts(&rules, "{\"rules\":[");
    for (size_t i = 1; i < lines.len; i++) {
        json_t *line = json_parse(lines.items[i], strlen(lines.items[i]), path, NULL);

        if (!json_is_object(line)) {
            json_decref(line);
            /* A recording that was killed may end in half a line. */
            if (i + 1 >= lines.len)
                break;
            error_set_at(err, ERROR_CONFIG, path, (int)i + 1, 0, "is no JSON object");
            goto out;
        }
        json_decref(line);
        if (rules.data[rules.len - 1] != '[')
            buf_putc(&rules, ',');
        buf_puts(&rules, lines.items[i]);
    }
    buf_puts(&rules, "]}");
    script = mock_script_parse(rules.data, rules.len, path, err);
    if (script != NULL) {
        script->is_cassette = true;
        script->is_strict = strict;
        script->needs_text = true;
    }
out:
    json_decref(head);
    str_list_finish(&lines);
    buf_free(&text);
    buf_free(&rules);
    return script;
}
