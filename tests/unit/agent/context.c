/* What a compaction keeps, and what it may forget. */
#include "test.h"

#include "agent/context.h"
#include "agent/thread_history.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "model/conversation.h"
#include "store/rollout.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT 1000 /* tokens, of about four bytes */

static struct context *make(void)
{
    return context_create(LIMIT * 10, LIMIT);
}

static void keep(struct context *c, enum kept_kind kind, const char *text)
{
    char *shortened;

    (void)context_keep(c, MESSAGE_USER, text, kind, &shortened);
    free(shortened);
}

/* "NAME NAME NAME ...", of N bytes. */
static char *long_text(const char *name, size_t n)
{
    struct buf b = BUF_INIT;

    while (b.len < n)
        buf_printf(&b, "%s ", name);
    return buf_take(&b);
}

static void keep_long(struct context *c, enum kept_kind kind, const char *name, size_t n)
{
    char *text = long_text(name, n);

    keep(c, kind, text);
    free(text);
}

/* The wire form of what stands after a compaction; the caller frees it. */
static char *compacted(struct context *c, const char *summary)
{
    struct conversation *old = conversation_create(WIRE_RESPONSES, "fixed prompt", NULL, NULL);
    struct conversation *fresh = context_rebuild(c, old, summary);
    size_t n;
    const char *bytes = conversation_bytes(fresh, &n);
    char *text = xstrndup(bytes, n);

    conversation_destroy(old);
    conversation_destroy(fresh);
    return text;
}

static void expect(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        print_message("# not in: %s\n# it is: %.2000s\n", part, text);
    assert_non_null(strstr(text, part));
}

static void findings_outlive_every_compaction(void **state)
{
    struct context *c = make();

    (void)state;
    keep(c, KEPT_CONTEXT, "AGENTS: be brief");
    keep(c, KEPT_TASK, "TASK: mend the parser");
    keep(c, KEPT_TASK, "FINDING: src/a.c is outside the task");
    context_note_step(c, "update_plan", "{\"plan\":[\"STEP-ONE\"]}", "", false);
    for (int i = 0; i < 5; i++) {
        char *text;

        /* What comes last does not fit at all: it must not push anything else out. */
        keep_long(c, KEPT_WORD, "chatter", (size_t)LIMIT * 4);
        text = compacted(c, "the summary");
        expect(text, "AGENTS: be brief");
        expect(text, "TASK: mend the parser");
        expect(text, "FINDING: src/a.c is outside the task");
        expect(text, "STEP-ONE");
        expect(text, "the summary");
        assert_null(strstr(text, "chatter"));
        assert_true(strstr(text, "TASK") < strstr(text, "FINDING"));
        free(text);
    }
    context_destroy(c);
}

static void the_newest_words_stay_as_far_as_they_fit(void **state)
{
    struct context *c = make();
    char *text;

    (void)state;
    keep(c, KEPT_TASK, "TASK");
    keep_long(c, KEPT_WORD, "oldest", 1500);
    keep_long(c, KEPT_WORD, "middle", 1500);
    keep(c, KEPT_WORD, "newest");
    text = compacted(c, "s");
    assert_null(strstr(text, "oldest"));
    expect(text, "middle");
    expect(text, "newest");
    free(text);
    context_destroy(c);
}

static void tasks_that_fill_the_window_lose_their_middle(void **state)
{
    struct context *c = make();
    char *text;

    (void)state;
    keep(c, KEPT_TASK, "TASK: short, so it is whole. THE-END");
    keep_long(c, KEPT_TASK, "log", (size_t)LIMIT * 8);
    text = compacted(c, "s");
    expect(text, "TASK: short, so it is whole. THE-END");
    expect(text, "log log");
    expect(text, "bytes left out");
    assert_true(strlen(text) < (size_t)LIMIT * 4);
    free(text);
    context_destroy(c);
}

/* A thread that asks, compacts and asks again writes its rollout so; a later process reads it. */
static void what_is_kept_comes_back_with_the_history(void **state)
{
    struct error err = {0};
    char *folder = file_make_temporary_directory("cadre-context", &err);
    char *path = xasprintf("%s/t.jsonl", folder);
    struct rollout *rollout = rollout_open(path, &err);
    struct conversation *conversation = conversation_create(WIRE_RESPONSES, NULL, NULL, NULL);
    struct context *c = make();
    struct thread_history *history;
    size_t written;
    char *text;

    (void)state;
    assert_non_null(rollout);
    keep(c, KEPT_CONTEXT, "AGENTS: be brief");
    keep(c, KEPT_TASK, "TASK: mend");
    conversation_add_message(conversation, MESSAGE_USER, "TASK: mend");
    written = thread_history_write(rollout, conversation, c, 0);
    keep(c, KEPT_TASK, "FINDING: one");
    context_note_step(c, "update_plan", "{\"plan\":[\"OLD-PLAN\"]}", "", false);
    conversation_add_message(conversation, MESSAGE_USER, "FINDING: one");
    written = thread_history_write(rollout, conversation, c, written);
    context_note_step(c, "update_plan", "{\"plan\":[\"NEW-PLAN\"]}", "", false);
    keep_long(c, KEPT_WORD, "forgotten", (size_t)LIMIT * 4);
    free(compacted(c, "s"));
    (void)thread_history_write(rollout, conversation, c, 0);
    rollout_close(rollout);
    context_destroy(c);

    history = thread_history_read(path, &err);
    assert_non_null(history);
    assert_int_equal(conversation_item_count(history->items), 2);
    c = make();
    context_copy(c, history->context);
    for (int i = 0; i < 2; i++) {
        text = compacted(c, "s");
        expect(text, "AGENTS: be brief");
        expect(text, "TASK: mend");
        expect(text, "FINDING: one");
        expect(text, "NEW-PLAN");
        assert_null(strstr(text, "OLD-PLAN"));
        assert_null(strstr(text, "forgotten"));
        assert_null(strstr(strstr(text, "FINDING: one") + 1, "FINDING: one")); /* once */
        free(text);
    }
    thread_history_destroy(history);
    context_destroy(c);
    conversation_destroy(conversation);
    assert_int_equal(file_remove_tree(folder, &err), 0);
    free(path);
    free(folder);
}

static void a_damaged_history_is_refused(void **state)
{
    static const char *const bad[] = {"{\"kept\":[{\"role\":9,\"kind\":0,\"text\":\"x\"}]}",
                                      "{\"kept\":[{\"role\":1,\"kind\":7,\"text\":\"x\"}]}", "{\"kept\":[{\"role\":1,\"kind\":0}]}",
                                      "{\"kept\":[1]}"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct context *c = make();
        json_t *object = json_parse(bad[i], strlen(bad[i]), "test", NULL);

        assert_false(context_read(c, object));
        json_decref(object);
        context_destroy(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(findings_outlive_every_compaction),
        cmocka_unit_test(the_newest_words_stay_as_far_as_they_fit),
        cmocka_unit_test(tasks_that_fill_the_window_lose_their_middle),
        cmocka_unit_test(what_is_kept_comes_back_with_the_history),
        cmocka_unit_test(a_damaged_history_is_refused),
    };

    return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
