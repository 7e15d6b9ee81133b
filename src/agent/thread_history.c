/* agent/thread_history.c: see thread_history.h. */
#include "agent/thread_history.h"

#include "agent/context.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "model/conversation.h"
#include "store/rollout.h"

#include <stdlib.h>
#include <string.h>

#define LINE_TYPE "conversation"

void thread_history_destroy(struct thread_history *history)
{
    if (history == NULL)
        return;
    conversation_destroy(history->items);
    context_destroy(history->context);
    free(history);
}

size_t thread_history_write(struct rollout *rollout, const struct conversation *conversation, struct context *context,
                            size_t written)
{
    struct buf b = BUF_INIT;
    struct json_writer w = {.out = &b};
    struct error err = {0};
    size_t n;
    const char *bytes = conversation_bytes(conversation, &n);

    if (n == written)
        return n;
    jw_object_begin(&w);
    jw_pair_int(&w, "wire", (int64_t)conversation_wire(conversation));
    jw_pair_bool(&w, "is_whole", written == 0);
    jw_pair_int(&w, "count", conversation_item_count(conversation));
    jw_pair_string(&w, "open_role", conversation_open_role(conversation));
    jw_key(&w, "items");
    jw_string_n(&w, bytes + written, n - written);
    context_write(context, &w, written > 0);
    jw_object_end(&w);
    rollout_add(rollout, LINE_TYPE, b.data, b.len);
    if (rollout_flush(rollout, &err) < 0)
        log_warning("the thread cannot be resumed from here: %s", err.text);
    buf_free(&b);
    return n;
}

struct reader {
    struct buf items;
    struct context *context;
    int64_t wire;
    unsigned count;
    char open_role[16];
    bool is_broken;
};

static bool on_line(void *data, const char *timestamp, const char *type, const json_t *payload)
{
    struct reader *r = data;
    const json_t *items = json_object_get(payload, "items");
    const char *role = json_get_string(payload, "open_role", "");

    (void)timestamp;
    if (strcmp(type, LINE_TYPE) != 0)
        return true;
    if (!json_is_string(items) || strlen(role) >= sizeof r->open_role) {
        r->is_broken = true;
        return false;
    }
    if (json_get_bool(payload, "is_whole", false)) {
        buf_clear(&r->items);
        context_destroy(r->context);
        r->context = context_create(0, 0);
    }
    if (!context_read(r->context, payload)) {
        r->is_broken = true;
        return false;
    }
    buf_append(&r->items, json_string_value(items), json_string_length(items));
    r->wire = json_get_int(payload, "wire", 0);
    r->count = (unsigned)json_get_int(payload, "count", 0);
    memcpy(r->open_role, role, strlen(role) + 1);
    return true;
}

struct thread_history *thread_history_read(const char *path, struct error *err)
{
    struct reader r = {.context = context_create(0, 0), .wire = -1};
    struct thread_history *history = NULL;

    if (rollout_read(path, on_line, &r, err) == 0) {
        if (r.is_broken || r.wire < WIRE_RESPONSES || r.wire > WIRE_MESSAGES) {
            error_set(err, ERROR_NOT_FOUND, "%s holds no conversation to go on with", path);
        } else {
            history = xcalloc(1, sizeof *history);
            history->items = conversation_create((enum wire_api)r.wire, NULL, NULL, NULL);
            conversation_restore(history->items, buf_cstr(&r.items), r.items.len, r.open_role, r.count);
            history->context = r.context;
            r.context = NULL;
        }
    }
    context_destroy(r.context);
    buf_free(&r.items);
    return history;
}
