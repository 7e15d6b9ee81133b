/* ui/live_view.c: see live_view.h. */
#include "ui/live_view.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "io/loop.h"
#include "ui/text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_MS 100

struct thread_line {
    char *role;
    char *task; /* or NULL */
    int attempt;
    char *model;
    char *doing;
    int64_t tokens;
    int64_t since_ms;
};

struct live_view {
    struct loop *loop;
    FILE *out;
    bool in_place;
    bool color;
    struct map threads; /* id -> struct thread_line *, owned */
    size_t drawn;       /* lines on the screen now */
    struct timer *redraw;
    struct signal_watch *resize;
    int columns;
    int64_t started_ms;
};

static void free_line(void *value)
{
    struct thread_line *line = value;

    free(line->role);
    free(line->task);
    free(line->model);
    free(line->doing);
    free(line);
}

/* --- Drawing ---------------------------------------------------------------------------------------------------- */

static void measure(struct live_view *v)
{
    struct winsize size;

    v->columns = 80;
    if (ioctl(fileno(v->out), TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        v->columns = size.ws_col;
}

static void erase(struct live_view *v)
{
    for (; v->drawn > 0; v->drawn--)
        fputs("\x1b[1A\x1b[2K", v->out);
    fputs("\r", v->out);
}

static void draw_line(struct live_view *v, const struct thread_line *line)
{
    struct buf b = BUF_INIT;
    struct buf fitted = BUF_INIT;
    char who[64];

    if (line->task != NULL && line->attempt > 1)
        (void)snprintf(who, sizeof who, "%.30s#%d", line->task, line->attempt);
    else
        (void)snprintf(who, sizeof who, "%.40s", line->task == NULL ? "" : line->task);
    text_append_cell(&b, line->role, 16);
    text_append_cell(&b, who, 10);
    buf_printf(&b, "%4llds %7lldt  ", (long long)((clock_monotonic_ms() - line->since_ms) / 1000),
               (long long)line->tokens);
    text_append_harmless(&b, line->doing == NULL ? "" : line->doing);
    text_append_fitted(&fitted, buf_cstr(&b), v->columns - 1);
    fprintf(v->out, "%s%s%s\x1b[K\n", v->color ? "\x1b[2m" : "", buf_cstr(&fitted), v->color ? "\x1b[0m" : "");
    v->drawn++;
    buf_free(&b);
    buf_free(&fitted);
}

static void draw(struct live_view *v)
{
    size_t cursor = 0;
    struct map_entry *e;

    erase(v);
    while ((e = map_next(&v->threads, &cursor)) != NULL)
        draw_line(v, e->value);
    (void)fflush(v->out);
}

static void on_redraw(void *data)
{
    struct live_view *v = data;

    v->redraw = NULL;
    draw(v);
    if (v->threads.len > 0) /* ages go on */
        v->redraw = timer_start(v->loop, 1000, on_redraw, v);
}

static void schedule(struct live_view *v)
{
    if (!v->in_place)
        return;
    timer_cancel(v->redraw);
    v->redraw = timer_start(v->loop, REDRAW_MS, on_redraw, v);
}

/* A line that stays. MARK is one character of meaning: '+' good, '!' bad, ' ' neither. */
static void say(struct live_view *v, char mark, const char *text)
{
    const char *on = !v->color ? "" : mark == '+' ? "\x1b[32m" : mark == '!' ? "\x1b[31m" : "";
    struct buf b = BUF_INIT;

    if (v->in_place)
        erase(v);
    text_append_harmless(&b, text);
    fprintf(v->out, "%s%5.1f %c %s%s\n", on, (double)(clock_monotonic_ms() - v->started_ms) / 1000.0, mark, buf_cstr(&b),
            on[0] != '\0' ? "\x1b[0m" : "");
    buf_free(&b);
    if (v->in_place)
        draw(v);
    else
        (void)fflush(v->out);
}

static void sayf(struct live_view *v, char mark, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void sayf(struct live_view *v, char mark, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    b.data[strcspn(b.data, "\n")] = '\0'; /* details of several lines are in `cadre logs` */
    say(v, mark, b.data);
    buf_free(&b);
}

static void on_log(enum log_level level, const char *line, void *data)
{
    say(data, level <= LOG_WARNING ? '!' : ' ', line);
}

/* --- Milestones --------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *event, const char *key)
{
    return json_get_string(event, key, "");
}

static char *joined(const json_t *event, const char *key)
{
    struct buf b = BUF_INIT;
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(event, key), i, item)
        buf_printf(&b, "%s%s", i > 0 ? ", " : "",
                   json_is_string(item) ? json_string_value(item) : json_get_string(item, "id", "?"));
    return buf_take(&b);
}

static void say_gate(struct live_view *v, const json_t *event)
{
    bool good = strcmp(text_of(event, "verdict"), "approve") == 0;
    size_t i;
    json_t *finding;

    sayf(v, good ? '+' : '!', "%s: %s%s%s", text_of(event, "gate"), good ? "approved" : "changes requested",
         text_of(event, "summary")[0] != '\0' ? ": " : "", text_of(event, "summary"));
    json_array_foreach(json_object_get(event, "findings"), i, finding)
        sayf(v, ' ', "  %s %s:%lld %s", text_of(finding, "severity"), text_of(finding, "file"),
             (long long)json_get_int(finding, "line", 0), text_of(finding, "title"));
}

static void say_milestone(struct live_view *v, const char *type, const json_t *event)
{
    char *list;

    if (strcmp(type, "run.started") == 0)
        sayf(v, ' ', "run %s: %s", text_of(event, "run"), text_of(event, "goal"));
    else if (strcmp(type, "run.resumed") == 0)
        sayf(v, ' ', "run %s goes on: %s", text_of(event, "run"), text_of(event, "state"));
    else if (strcmp(type, "run.completed") == 0)
        sayf(v, '+', "green%s%s", json_get_bool(event, "merged", false) ? ", merged into " : "",
             json_get_bool(event, "merged", false) ? text_of(event, "target") : "");
    else if (strcmp(type, "run.failed") == 0)
        sayf(v, '!', "not green (%s)", text_of(event, "code"));
    else if (strcmp(type, "run.interrupted") == 0)
        sayf(v, '!', "interrupted");
    else if (strcmp(type, "plan.accepted") == 0 || strcmp(type, "batch.started") == 0) {
        list = joined(event, "tasks");
        if (type[0] == 'p')
            sayf(v, '+', "plan accepted: %zu tasks (%s)", json_array_size(json_object_get(event, "tasks")), list);
        else
            sayf(v, ' ', "batch %lld: %s", (long long)json_get_int(event, "batch", 0), list);
        free(list);
    } else if (strcmp(type, "plan.rejected") == 0) {
        list = joined(event, "problems");
        sayf(v, '!', "plan rejected: %s", list);
        free(list);
    } else if (strcmp(type, "task.started") == 0)
        sayf(v, ' ', "%s attempt %lld started (%s)", text_of(event, "task"), (long long)json_get_int(event, "attempt", 0),
             text_of(event, "role"));
    else if (strcmp(type, "task.queued") == 0)
        sayf(v, ' ', "%s waits for a thread", text_of(event, json_object_get(event, "task") ? "task" : "role"));
    else if (strcmp(type, "task.committed") == 0)
        sayf(v, ' ', "%s committed %.9s (+%lld -%lld)", text_of(event, "task"), text_of(event, "commit"),
             (long long)json_get_int(event, "insertions", 0), (long long)json_get_int(event, "deletions", 0));
    else if (strcmp(type, "task.returned") == 0)
        sayf(v, '!', "%s returned (%s): %s", text_of(event, "task"), text_of(event, "reason"), text_of(event, "detail"));
    else if (strcmp(type, "task.merged") == 0)
        sayf(v, '+', "%s merged", text_of(event, "task"));
    else if (strcmp(type, "task.blocked") == 0)
        sayf(v, '!', "%s blocked: %s", text_of(event, "task"), text_of(event, "reason"));
    else if (strcmp(type, "merge.conflict") == 0) {
        list = joined(event, "files");
        sayf(v, '!', "%s conflicts in %s", text_of(event, "task"), list);
        free(list);
    } else if (strcmp(type, "ci.completed") == 0)
        sayf(v, json_get_bool(event, "green", false) ? '+' : '!', "CI: %lld passed, %lld failed, %lld skipped",
             (long long)json_get_int(event, "passed", 0), (long long)json_get_int(event, "failed", 0),
             (long long)json_get_int(event, "skipped", 0));
    else if (strcmp(type, "ci.blame") == 0) {
        list = joined(event, "tasks");
        sayf(v, '!', "CI job %s: to blame is %s", text_of(event, "job"), list);
        free(list);
    } else if (strcmp(type, "ci.flaky") == 0)
        sayf(v, '!', "CI job %s is flaky", text_of(event, "job"));
    else if (strcmp(type, "gate.completed") == 0)
        say_gate(v, event);
    else if (strcmp(type, "error") == 0)
        sayf(v, '!', "%s: %s", text_of(event, "role"), text_of(event, "message"));
    else if (strcmp(type, "approval.requested") == 0)
        sayf(v, '!', "%s asks: %s (`cadre approve %s`)", text_of(event, "role"), text_of(event, "command"),
             text_of(event, "approval"));
}

/* --- Threads --------------------------------------------------------------------------------------------------------- */

static void set_doing(struct thread_line *line, const char *text)
{
    free(line->doing);
    line->doing = xstrdup(text);
    line->doing[strcspn(line->doing, "\n")] = '\0';
}

static void update_thread(struct live_view *v, const char *type, const json_t *event)
{
    const char *id = json_get_string(event, "thread", NULL);
    const json_t *item = json_object_get(event, "item");
    const char *kind = json_get_string(item, "type", "");
    struct thread_line *line;

    if (id == NULL)
        return;
    if (strcmp(type, "thread.closed") == 0) {
        (void)map_remove(&v->threads, id);
        schedule(v);
        return;
    }
    line = map_get(&v->threads, id);
    if (line == NULL) {
        line = xcalloc(1, sizeof *line);
        line->role = xstrdup(text_of(event, "role"));
        line->task = xstrdup(json_get_string(event, "task", NULL));
        line->attempt = (int)json_get_int(event, "attempt", 1);
        line->since_ms = clock_monotonic_ms();
        map_set(&v->threads, id, line);
    }
    if (strcmp(type, "turn.started") == 0)
        set_doing(line, "thinking");
    else if (strcmp(type, "turn.completed") == 0) {
        const json_t *usage = json_object_get(event, "usage");

        line->tokens = json_get_int(usage, "input_tokens", 0) + json_get_int(usage, "output_tokens", 0);
        set_doing(line, "done");
    } else if (strcmp(type, "item.started") == 0)
        set_doing(line, strcmp(kind, "command_execution") == 0 ? text_of(item, "command")
                        : strcmp(kind, "file_change") == 0     ? "edits files"
                                                               : text_of(item, "tool"));
    else if (strcmp(type, "item.completed") == 0)
        set_doing(line, strcmp(kind, "agent_message") == 0 || strcmp(kind, "reasoning") == 0 ? text_of(item, "text")
                                                                                               : "thinking");
    else if (strcmp(type, "error") == 0)
        set_doing(line, text_of(event, "message"));
    schedule(v);
}

void live_view_event(struct live_view *v, const json_t *event)
{
    const char *type = json_get_string(event, "type", "");

    update_thread(v, type, event);
    say_milestone(v, type, event);
}

static void on_resize(void *data, int signum)
{
    (void)signum;
    measure(data);
}

struct live_view *live_view_create(struct loop *loop, FILE *out, bool in_place, bool color)
{
    struct live_view *v = xcalloc(1, sizeof *v);

    v->loop = loop;
    v->out = out;
    v->in_place = in_place;
    v->color = color && in_place;
    v->threads.free_value = free_line;
    v->started_ms = clock_monotonic_ms();
    measure(v);
    if (in_place)
        v->resize = signal_watch_start(loop, SIGWINCH, on_resize, v);
    log_set_sink(on_log, v);
    return v;
}

void live_view_finish(struct live_view *v)
{
    if (v == NULL)
        return;
    log_set_sink(NULL, NULL);
    timer_cancel(v->redraw);
    if (v->resize != NULL)
        signal_watch_stop(v->resize);
    if (v->in_place)
        erase(v);
    (void)fflush(v->out);
    map_finish(&v->threads);
    free(v);
}
