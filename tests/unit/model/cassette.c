/* Traffic that is recorded, and played back in place of the model. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "io/http_client.h"
#include "io/loop.h"
#include "model/cassette.h"
#include "model/client.h"
#include "model/mock_script.h"
#include "model/mock_server.h"
#include "model/provider.h"

#include <stdlib.h>
#include <string.h>

#define SECRET "sk-proj-abcdefghijklmnopqrstuvwx0123456789"

struct play {
    struct loop *loop;
    struct http_client *http;
    struct mock_server *server;
    struct provider *provider;
    struct conversation *conversation;
    struct buf items;
    int done;
    struct error err;
};

static void on_item(void *data, const struct model_item *item)
{
    struct play *p = data;

    buf_printf(&p->items, "%d %s %s %s\n", item->kind, item->text != NULL ? item->text : "-",
               item->name != NULL ? item->name : "-", item->arguments != NULL ? item->arguments : "-");
    if (item->kind == ITEM_TOOL_CALL)
        conversation_add_tool_result(p->conversation, item->call_id, "took 12 ms, commit 1a2b3c4d5e", false,
                                     false);
}

static void on_done(void *data, const struct usage *usage, const char *reason, const struct error *err)
{
    struct play *p = data;

    (void)reason;
    p->done++;
    if (err != NULL)
        p->err = *err;
    else
        buf_printf(&p->items, "usage %lld %lld\n", (long long)usage->input_tokens,
                   (long long)usage->output_tokens);
}

static void turn(struct play *p, const char *task)
{
    const struct model_call_options options = {
        .model = "m", .role = "implementer", .task = task, .attempt = 1};
    const struct model_call_events events = {.on_item = on_item, .on_done = on_done};

    p->done = 0;
    error_clear(&p->err);
    model_call_start(p->loop, p->http, p->provider, p->conversation, &options, &events, p);
    while (p->done == 0 && loop_run_once(p->loop, true))
        ;
}

static void open_play(struct play *p, struct mock_script *script, const char *cwd, const char *goal)
{
    struct error err = {0};
    char *text = xasprintf("<cwd>%s</cwd> the key is " SECRET "; %s", cwd, goal);

    memset(p, 0, sizeof *p);
    assert_non_null(script);
    p->loop = loop_create();
    p->http = http_client_create(p->loop);
    p->server = mock_server_start(p->loop, script, 0, &err);
    p->provider =
        provider_create_simple(p->loop, "mock", mock_server_base_url(p->server), WIRE_RESPONSES, NULL);
    p->conversation = conversation_create(WIRE_RESPONSES, NULL, NULL, NULL);
    conversation_add_message(p->conversation, MESSAGE_USER, text);
    free(text);
}

static void close_play(struct play *p)
{
    buf_free(&p->items);
    conversation_destroy(p->conversation);
    provider_destroy(p->provider);
    http_client_destroy(p->http);
    mock_server_destroy(p->server);
    loop_destroy(p->loop);
}

static char *folder, *path;

static int record(void **state)
{
    static const char script[] =
        "{\"rules\":[{\"match\":{\"turn\":0},\"fault\":{\"status\":429,\"retry_after\":0},\"reply\":{"
        "\"reasoning\":\"r\","
        "\"tool_calls\":[{\"name\":\"exec_command\",\"arguments\":{\"cmd\":\"cat {{cwd}}/a\"}}],"
        "\"usage\":{\"input_tokens\":70,\"output_tokens\":7}}},"
        "{\"match\":{\"turn\":1},\"reply\":{\"message\":\"done with " SECRET "\"}}]}";
    struct error err = {0};
    struct cassette_recorder *recorder;
    struct play p;

    (void)state;
    folder = file_make_temporary_directory("cadre-cassette", &err);
    path = xasprintf("%s/c.jsonl", folder);
    recorder = cassette_recorder_create(path, NULL, NULL, &err);
    assert_non_null(recorder);
    open_play(&p, mock_script_parse(script, strlen(script), "s", &err), "/tmp/first/place", "do it");
    provider_set_recorder(p.provider, recorder);
    turn(&p, "T1");
    turn(&p, "T1");
    assert_string_equal(p.err.text, "");
    close_play(&p);
    assert_int_equal(cassette_recorder_destroy(recorder, &err), 0);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    file_remove_tree(folder, NULL);
    free(folder);
    free(path);
    return 0;
}

static void a_cassette_holds_no_secret_and_no_place(void **state)
{
    struct buf text = BUF_INIT;

    (void)state;
    assert_int_equal(file_read(path, &text, 1 << 20, NULL), 0);
    assert_null(strstr(text.data, SECRET));
    assert_null(strstr(text.data, "/tmp/first/place"));
    assert_non_null(strstr(text.data, "[redacted]"));
    assert_non_null(strstr(text.data, "cat {{cwd}}/a"));
    buf_free(&text);
}

static void a_replay_gives_the_same_items_elsewhere(void **state)
{
    struct error err = {0};
    struct play p;

    (void)state;
    open_play(&p, cassette_load(path, true, &err), "/var/other", "do it");
    turn(&p, "T1");
    assert_string_equal(p.err.text, "");
    assert_string_equal(p.items.data,
                        "1 r - -\n2 - exec_command {\"cmd\":\"cat /var/other/a\"}\nusage 70 7\n");
    turn(&p, "T1");
    assert_string_equal(p.err.text, "");
    assert_non_null(strstr(p.items.data, "0 done with [redacted] - -\n"));
    assert_int_equal(mock_server_divergences(p.server), 0);
    close_play(&p);
}

static char *last_warning;

static void keep_warning(enum log_level level, const char *line, void *data)
{
    (void)level;
    (void)data;
    free(last_warning);
    last_warning = xstrdup(line);
}

static void a_divergence_is_named(void **state)
{
    struct error err = {0};
    struct play p;

    (void)state;
    log_set_sink(keep_warning, NULL);
    open_play(&p, cassette_load(path, false, &err), "/var/other", "do something else");
    turn(&p, "T1");
    assert_string_equal(p.err.text, "");
    assert_int_equal(mock_server_divergences(p.server), 1);
    assert_non_null(strstr(last_warning, "role 'implementer', task 'T1', attempt 1, turn 0"));
    assert_non_null(strstr(last_warning, "do something else"));
    close_play(&p);
    open_play(&p, cassette_load(path, true, &err), "/var/other", "do something else");
    turn(&p, "T1");
    assert_int_equal(p.err.code, ERROR_MODEL);
    assert_non_null(strstr(p.err.text, "differs from the recorded one"));
    turn(&p, "T2");
    assert_non_null(strstr(p.err.text, "no rule matches role 'implementer', task 'T2'"));
    close_play(&p);
    log_set_sink(NULL, NULL);
    free(last_warning);
}

static void what_is_no_cassette_is_refused(void **state)
{
    struct error err = {0};
    char *other = xasprintf("%s/x", folder);

    (void)state;
    assert_int_equal(file_write(other, "{\"rules\":[]}\n", 13, 0600, &err), 0);
    assert_null(cassette_load(other, false, &err));
    assert_non_null(strstr(err.text, "is no cassette"));
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cassette_holds_no_secret_and_no_place),
        cmocka_unit_test(a_replay_gives_the_same_items_elsewhere),
        cmocka_unit_test(a_divergence_is_named),
        cmocka_unit_test(what_is_no_cassette_is_refused),
    };

    return cmocka_run_group_tests(tests, record, clean_up);
}
