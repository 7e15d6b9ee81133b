/* ui/approval_prompt.c: see approval_prompt.h. */
#include "ui/approval_prompt.h"

#include "agent/inbox.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/utf8.h"
#include "io/line_reader.h"
#include "io/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

struct approval_prompt {
    struct loop *loop;
    struct inbox *inbox;
    struct watch *input; /* while something waits */
    struct line_reader reader;
};

/* The id that a line without one means: the only one that waits. */
static char *only_id(const struct approval_prompt *p)
{
    json_t *list = inbox_list(p->inbox);
    char *id = json_array_size(list) == 1 ? xstrdup(json_get_string(json_array_get(list, 0), "approval", "")) : NULL;

    json_decref(list);
    return id;
}

static bool on_line(void *user, const char *line, size_t n)
{
    struct approval_prompt *p = user;
    struct str_list words = {0};
    struct error err = {0};
    char *id = NULL;
    const char *answer;

    (void)n;
    str_split(&words, line, ' ');
    for (size_t i = words.len; i-- > 0;)
        if (words.items[i][0] == '\0')
            str_list_remove(&words, i);
    answer = words.len > 0 ? words.items[words.len - 1] : "";
    id = words.len > 1 ? xstrdup(words.items[0]) : only_id(p);
    if (words.len == 0) {
        /* An empty line says nothing. */
    } else if (id == NULL) {
        log_warning("several approvals wait: answer with the id in front, for example `a1 y`");
    } else if (strcmp(answer, "y") != 0 && strcmp(answer, "n") != 0 && strcmp(answer, "a") != 0) {
        log_warning("answer y (yes), n (no) or a (yes, and in this run whatever begins with what was shown)");
    } else if (inbox_answer(p->inbox, id, answer[0] != 'n', answer[0] == 'a', "terminal", NULL, &err) < 0) {
        log_warning("%s", err.text);
    }
    str_list_finish(&words);
    free(id);
    return true;
}

static void stop_reading(struct approval_prompt *p)
{
    watch_stop(p->input);
    p->input = NULL;
}

static void on_readable(void *data, int events)
{
    struct approval_prompt *p = data;
    char bytes[1024];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);

    (void)events;
    if (n > 0)
        (void)line_reader_feed(&p->reader, bytes, (size_t)n, NULL);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        stop_reading(p);
}

struct approval_prompt *approval_prompt_create(struct loop *loop, struct inbox *inbox)
{
    struct approval_prompt *p = xcalloc(1, sizeof *p);

    p->loop = loop;
    p->inbox = inbox;
    line_reader_init(&p->reader, LINE_MAX_BYTES, on_line, p);
    return p;
}

static void append_field(struct buf *b, const json_t *event, const char *key, const char *before)
{
    const char *text = json_get_string(event, key, NULL);

    if (str_is_empty(text))
        return;
    buf_puts(b, before);
    utf8_append_printable(b, text, strlen(text), false);
}

void approval_prompt_event(struct approval_prompt *p, const json_t *event)
{
    const char *type = json_get_string(event, "type", "");
    struct buf b = BUF_INIT;

    if (p == NULL)
        return;
    if (strcmp(type, "approval.requested") == 0) {
        buf_printf(&b, "approval %s: ", json_get_string(event, "approval", ""));
        append_field(&b, event, "role", "");
        append_field(&b, event, "task", " ");
        buf_puts(&b, json_get_bool(event, "outside", false) ? " wants to run OUTSIDE THE SANDBOX:" : " wants to run:");
        append_field(&b, event, "command", "\n    ");
        append_field(&b, event, "reason", "\n  because: ");
        append_field(&b, event, "deadline", "\n  until ");
        buf_printf(&b, "%s the answer is %s. ", str_is_empty(json_get_string(event, "deadline", NULL)) ? "\n  by itself" : ", then",
                   json_get_string(event, "default", "no"));
        if (json_get_string(event, "prefix", NULL) == NULL) {
            buf_puts(&b, "y or n?");
        } else {
            append_field(&b, event, "prefix", "y, n or a (from now on all that begins with `");
            buf_puts(&b, "`)?");
        }
        log_warning("%s", b.data);
        if (p->input == NULL)
            p->input = watch_start(p->loop, STDIN_FILENO, WATCH_READ, on_readable, p);
    } else if (strcmp(type, "approval.resolved") == 0) {
        json_t *list = inbox_list(p->inbox);

        if (json_array_size(list) <= 1 && p->input != NULL) /* the one that is being resolved is still in it */
            stop_reading(p);
        json_decref(list);
    }
    buf_free(&b);
}

void approval_prompt_destroy(struct approval_prompt *p)
{
    if (p == NULL)
        return;
    if (p->input != NULL)
        stop_reading(p);
    line_reader_finish(&p->reader);
    free(p);
}
