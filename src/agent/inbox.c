/* agent/inbox.c: see inbox.h. */
#include "agent/inbox.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/vec.h"
#include "io/loop.h"
#include "sandbox/command_rules.h"

#include <stdlib.h>
#include <string.h>

struct approval_wait {
    struct inbox *inbox;
    char *id;
    json_t *record; /* as it is listed and kept */
    struct str_list prefix;
    struct command_rules *rules; /* where an answer for the run is noted, or NULL */
    struct timer *deadline;
    struct timer *later; /* an answer that is known already */
    bool known_answer;
    char *known_by;
    char *known_why;
    void (*on_answer)(void *data, bool is_allowed, const char *why);
    void *answer_data;
};

struct inbox {
    struct inbox_options options;
    struct vec waiting;  /* of struct approval_wait * */
    json_t *kept;        /* id -> record of earlier requests */
    unsigned last_id;
};

struct inbox *inbox_create(const struct inbox_options *options)
{
    struct inbox *inbox = xcalloc(1, sizeof *inbox);

    inbox->options = *options;
    inbox->kept = json_object();
    return inbox;
}

static void wait_free(struct approval_wait *w)
{
    timer_cancel(w->deadline);
    timer_cancel(w->later);
    json_decref(w->record);
    str_list_finish(&w->prefix);
    free(w->id);
    free(w->known_by);
    free(w->known_why);
    free(w);
}

void inbox_destroy(struct inbox *inbox)
{
    if (inbox == NULL)
        return;
    for (size_t i = 0; i < inbox->waiting.len; i++)
        wait_free(inbox->waiting.items[i]);
    vec_finish(&inbox->waiting);
    json_decref(inbox->kept);
    free(inbox);
}

static void save(struct inbox *inbox, const char *id, json_t *record)
{
    json_object_set(inbox->kept, id, record);
    if (inbox->options.on_save != NULL)
        inbox->options.on_save(inbox->options.data, id, record);
}

static void tell(struct inbox *inbox, json_t *event)
{
    if (inbox->options.on_event != NULL)
        inbox->options.on_event(inbox->options.data, event);
    json_decref(event);
}

/* The request is over. The caller of ask() may free much in its callback, so nothing is touched after it. */
static void resolve(struct approval_wait *w, bool is_allowed, const char *by, const char *why)
{
    struct inbox *inbox = w->inbox;
    void (*on_answer)(void *, bool, const char *) = w->on_answer;
    void *answer_data = w->answer_data;
    char *words = xstrdup(why);

    json_object_set_new(w->record, "state", json_string(is_allowed ? "allowed" : "denied"));
    json_object_set_new(w->record, "by", json_string(by));
    json_object_set_new(w->record, "is_used", json_true());
    save(inbox, w->id, w->record);
    tell(inbox, json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*}", "type", "approval.resolved", "approval", w->id, "decision",
                          is_allowed ? "allow" : "deny", "by", by, "thread",
                          json_get_string(w->record, "thread", NULL), "task", json_get_string(w->record, "task", NULL)));
    (void)vec_remove_item(&inbox->waiting, w);
    wait_free(w);
    on_answer(answer_data, is_allowed, words);
    free(words);
}

static void on_deadline(void *data)
{
    struct approval_wait *w = data;
    bool allows = w->inbox->options.default_allows;

    w->deadline = NULL;
    resolve(w, allows, w->inbox->options.deadline_ms > 0 ? "deadline" : "policy",
            allows ? NULL
            : w->inbox->options.deadline_ms > 0
                ? "nobody answered in time, and the default answer is no"
                : "nobody is there to be asked, and the default answer is no");
}

static void on_known(void *data)
{
    struct approval_wait *w = data;
    char *by = w->known_by;
    char *why = w->known_why;

    w->later = NULL;
    w->known_by = NULL;
    w->known_why = NULL;
    resolve(w, w->known_answer, by, why);
    free(by);
    free(why);
}

static bool same(const json_t *record, const char *key, const char *value)
{
    return str_eq(json_get_string(record, key, ""), value == NULL ? "" : value);
}

/* The id of an earlier request for the same thing that was not used up, or NULL. */
static const char *find_kept(const struct inbox *inbox, const struct approval_request *request)
{
    const char *id;
    json_t *record;

    json_object_foreach(inbox->kept, id, record)
        if (!json_get_bool(record, "is_used", false) && same(record, "role", request->role) &&
            same(record, "task", request->task) && same(record, "command", request->command) &&
            same(record, "cwd", request->cwd) && json_get_bool(record, "outside", false) == request->outside)
            return id;
    return NULL;
}

static struct approval_wait *find_waiting(const struct inbox *inbox, const char *id)
{
    for (size_t i = 0; i < inbox->waiting.len; i++)
        if (strcmp(((struct approval_wait *)inbox->waiting.items[i])->id, id) == 0)
            return inbox->waiting.items[i];
    return NULL;
}

static struct approval_wait *ask(void *data, const struct approval_request *request,
                                 void (*on_answer)(void *answer_data, bool is_allowed, const char *why), void *answer_data)
{
    struct inbox *inbox = data;
    struct approval_wait *w = xcalloc(1, sizeof *w);
    const char *kept = find_kept(inbox, request);
    json_t *old = kept == NULL ? NULL : json_object_get(inbox->kept, kept);
    const char *state = json_get_string(old, "state", "pending");
    char deadline[CLOCK_TEXT_BYTES] = "";

    w->inbox = inbox;
    w->on_answer = on_answer;
    w->answer_data = answer_data;
    w->id = kept != NULL && find_waiting(inbox, kept) == NULL ? xstrdup(kept) : xasprintf("a%u", ++inbox->last_id);
    if (request->prefix != NULL)
        str_list_copy(&w->prefix, request->prefix);
    if (inbox->options.deadline_ms > 0)
        clock_format_utc(clock_wall_ms() + inbox->options.deadline_ms, deadline);
    w->rules = w->prefix.len > 0 ? request->rules : NULL;
    w->known_answer = strcmp(state, "allowed") == 0;
    w->known_by = xstrdup(json_get_string(old, "by", "somebody"));
    w->known_why = xstrdup(json_get_string(old, "why", NULL));
    w->record = json_pack("{s:s, s:s, s:s, s:s*, s:s, s:s, s:s, s:b, s:s, s:s, s:s}", "approval", w->id, "thread",
                          request->thread, "role", request->role, "task", request->task, "command", request->command,
                          "cwd", request->cwd, "reason", request->reason, "outside", request->outside, "deadline", deadline,
                          "default", inbox->options.default_allows ? "allow" : "deny", "state", "pending");
    if (w->record == NULL) { /* no UTF-8: nobody can be shown what it is */
        w->record = json_pack("{s:s, s:s, s:s}", "approval", w->id, "command", "(no text)", "state", "pending");
        state = "denied";
        w->known_answer = false;
        free(w->known_by);
        free(w->known_why);
        w->known_by = xstrdup("policy");
        w->known_why = xstrdup("the command or its folder is no UTF-8 text: nobody can be shown it");
    } else if (w->rules != NULL) {
        char *words = str_list_join(&w->prefix, " ");

        json_object_set_new(w->record, "prefix", json_string(words));
        free(words);
    }
    vec_push(&inbox->waiting, w);
    if (strcmp(state, "pending") != 0) {
        w->later = timer_start(inbox->options.loop, 0, on_known, w);
        return w;
    }
    save(inbox, w->id, w->record);
    {
        json_t *event = json_copy(w->record);

        json_object_set_new(event, "type", json_string("approval.requested"));
        json_object_del(event, "state");
        tell(inbox, event);
    }
    w->deadline = timer_start(inbox->options.loop, (uint64_t)inbox->options.deadline_ms, on_deadline, w);
    return w;
}

static void cancel(void *data, struct approval_wait *w)
{
    struct inbox *inbox = data;

    /* Its thread is gone: what is kept stays pending, for the thread that asks for the same again. */
    (void)vec_remove_item(&inbox->waiting, w);
    wait_free(w);
}

struct approval_desk inbox_desk(struct inbox *inbox)
{
    return (struct approval_desk){.ask = ask, .cancel = cancel, .data = inbox};
}

void inbox_restore(struct inbox *inbox, const char *id, const json_t *record)
{
    int64_t number;

    json_object_set_new(inbox->kept, id, json_deep_copy(record));
    if (id[0] == 'a' && str_to_int64(id + 1, 0, 1 << 30, &number) && (unsigned)number > inbox->last_id)
        inbox->last_id = (unsigned)number;
}

json_t *inbox_list(const struct inbox *inbox)
{
    json_t *list = json_array();

    for (size_t i = 0; i < inbox->waiting.len; i++)
        json_array_append(list, ((struct approval_wait *)inbox->waiting.items[i])->record);
    return list;
}

int inbox_answer(struct inbox *inbox, const char *id, bool is_allowed, bool for_run, const char *by, const char *why,
                 struct error *err)
{
    struct approval_wait *w = find_waiting(inbox, id);

    if (w == NULL) {
        struct buf ids = BUF_INIT;

        for (size_t i = 0; i < inbox->waiting.len; i++)
            buf_printf(&ids, "%s%s", i > 0 ? ", " : "", ((struct approval_wait *)inbox->waiting.items[i])->id);
        error_set(err, ERROR_NOT_FOUND, "no approval '%s' is waited for; waiting: %s", id,
                  ids.len > 0 ? buf_cstr(&ids) : "none");
        buf_free(&ids);
        return -1;
    }
    if (is_allowed && for_run && w->rules == NULL)
        return error_set(err, ERROR_USAGE, "approval %s names no beginning of the command that could be allowed for the run: answer "
                                           "for this command alone", id);
    if (is_allowed && for_run)
        command_rules_allow(w->rules, &w->prefix, json_get_bool(w->record, "outside", false));
    resolve(w, is_allowed, by, is_allowed ? NULL : str_is_empty(why) ? "a person said no" : why);
    return 0;
}

int inbox_record_answer(json_t *record, bool is_allowed, const char *by, const char *why, struct error *err)
{
    if (json_get_bool(record, "is_used", false) || strcmp(json_get_string(record, "state", ""), "pending") != 0)
        return error_set(err, ERROR_USAGE, "approval %s has been answered already (%s by %s)",
                         json_get_string(record, "approval", "?"), json_get_string(record, "state", "?"),
                         json_get_string(record, "by", "?"));
    json_object_set_new(record, "state", json_string(is_allowed ? "allowed" : "denied"));
    json_object_set_new(record, "by", json_string(by));
    if (!str_is_empty(why))
        json_object_set_new(record, "why", json_string(why));
    return 0;
}
