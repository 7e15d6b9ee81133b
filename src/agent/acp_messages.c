/* agent/acp_messages.c: see acp_messages.h. */
#include "agent/acp_messages.h"

#include "base/buf.h"
#include "base/json.h"

#include <signal.h>
#include <string.h>

static void begin(struct json_writer *w, struct buf *b)
{
    *w = (struct json_writer){.out = b};
    jw_object_begin(w);
}

static char *end(struct json_writer *w, struct buf *b)
{
    jw_object_end(w);
    return buf_take(b);
}

static char *strings(const char *const *pairs, size_t count)
{
    struct buf b = BUF_INIT;
    struct json_writer w;

    begin(&w, &b);
    for (size_t i = 0; i < count; i += 2)
        jw_pair_string(&w, pairs[i], pairs[i + 1]);
    return end(&w, &b);
}

char *acp_initialize_params(bool can_write)
{
    struct buf b = BUF_INIT;
    struct json_writer w;

    begin(&w, &b);
    jw_pair_int(&w, "protocolVersion", ACP_PROTOCOL_VERSION);
    jw_key(&w, "clientCapabilities");
    jw_object_begin(&w);
    jw_key(&w, "fs");
    jw_object_begin(&w);
    jw_pair_bool(&w, "readTextFile", true);
    jw_pair_bool(&w, "writeTextFile", can_write);
    jw_object_end(&w);
    jw_pair_bool(&w, "terminal", true);
    jw_object_end(&w);
    jw_key(&w, "clientInfo");
    jw_object_begin(&w);
    jw_pair_string(&w, "name", "cadre");
    jw_pair_string(&w, "version", CADRE_VERSION);
    jw_object_end(&w);
    return end(&w, &b);
}

char *acp_authenticate_params(const char *method_id)
{
    const char *const pairs[] = {"methodId", method_id};

    return strings(pairs, 2);
}

char *acp_new_session_params(const char *cwd, const json_t *mcp_servers)
{
    struct buf b = BUF_INIT;
    struct json_writer w;

    begin(&w, &b);
    jw_pair_string(&w, "cwd", cwd);
    jw_key(&w, "mcpServers");
    if (json_is_array(mcp_servers)) {
        jw_value(&w, mcp_servers);
    } else {
        jw_array_begin(&w);
        jw_array_end(&w);
    }
    return end(&w, &b);
}

char *acp_prompt_params(const char *session, const char *text)
{
    struct buf b = BUF_INIT;
    struct json_writer w;

    begin(&w, &b);
    jw_pair_string(&w, "sessionId", session);
    jw_key(&w, "prompt");
    jw_array_begin(&w);
    jw_object_begin(&w);
    jw_pair_string(&w, "type", "text");
    jw_pair_string(&w, "text", text);
    jw_object_end(&w);
    jw_array_end(&w);
    return end(&w, &b);
}

char *acp_cancel_params(const char *session)
{
    const char *const pairs[] = {"sessionId", session};

    return strings(pairs, 2);
}

char *acp_set_mode_params(const char *session, const char *mode)
{
    const char *const pairs[] = {"sessionId", session, "modeId", mode};

    return strings(pairs, 4);
}

char *acp_set_option_params(const char *session, const char *option, const char *value)
{
    const char *const pairs[] = {"sessionId", session, "configId", option, "value", value};

    return strings(pairs, 6);
}

char *acp_permission_result(const char *option_id)
{
    struct buf b = BUF_INIT;
    struct json_writer w;

    begin(&w, &b);
    jw_key(&w, "outcome");
    jw_object_begin(&w);
    jw_pair_string(&w, "outcome", option_id == NULL ? "cancelled" : "selected");
    if (option_id != NULL)
        jw_pair_string(&w, "optionId", option_id);
    jw_object_end(&w);
    return end(&w, &b);
}

char *acp_read_result(const char *text, size_t n)
{
    struct buf b = BUF_INIT;
    struct json_writer w;

    begin(&w, &b);
    jw_key(&w, "content");
    jw_string_n(&w, text, n);
    return end(&w, &b);
}

char *acp_terminal_created_result(const char *terminal)
{
    const char *const pairs[] = {"terminalId", terminal};

    return strings(pairs, 2);
}

static void put_exit(struct json_writer *w, int exit_code, int signal)
{
    jw_key(w, "exitCode");
    if (signal != 0)
        jw_null(w);
    else
        jw_int(w, exit_code);
    jw_key(w, "signal");
    if (signal != 0)
        jw_string(w, sigabbrev_np(signal) == NULL ? "unknown" : sigabbrev_np(signal));
    else
        jw_null(w);
}

char *acp_terminal_output_result(const char *text, size_t n, bool truncated, bool has_ended, int exit_code,
                                 int signal)
{
    struct buf b = BUF_INIT;
    struct json_writer w;

    begin(&w, &b);
    jw_key(&w, "output");
    jw_string_n(&w, text, n);
    jw_pair_bool(&w, "truncated", truncated);
    if (has_ended) {
        jw_key(&w, "exitStatus");
        jw_object_begin(&w);
        put_exit(&w, exit_code, signal);
        jw_object_end(&w);
    }
    return end(&w, &b);
}

char *acp_terminal_exit_result(int exit_code, int signal)
{
    struct buf b = BUF_INIT;
    struct json_writer w;

    begin(&w, &b);
    put_exit(&w, exit_code, signal);
    return end(&w, &b);
}

const char *acp_pick_option(const json_t *options, bool allow)
{
    const char *const kinds[] = {allow ? "allow_once" : "reject_once",
                                 allow ? "allow_always" : "reject_always"};
    size_t i;
    json_t *option;

    for (size_t k = 0; k < 2; k++)
        json_array_foreach (options, i, option)
            if (strcmp(json_get_string(option, "kind", ""), kinds[k]) == 0)
                return json_get_string(option, "optionId", NULL);
    return NULL;
}
