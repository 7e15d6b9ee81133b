/* cli/ci_view.c: a line a running job, redrawn five times a second. */
#include "cli/ci_view.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "io/loop.h"
#include "ui/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_MS 200

struct line {
    char *id;
    int64_t started_ms;
};

struct ci_view {
    struct loop *loop;
    struct timer *timer;
    struct vec lines; /* struct line *, owned */
    size_t drawn;     /* lines on the screen */
    unsigned frame;
};

static void on_timer(void *data)
{
    struct ci_view *view = data;

    view->timer = NULL;
    view->frame++;
    ci_view_hide(view);
    ci_view_show(view);
    if (view->lines.len > 0)
        view->timer = timer_start(view->loop, REDRAW_MS, on_timer, view);
}

struct ci_view *ci_view_create(struct loop *loop)
{
    const char *term = getenv("TERM");
    struct ci_view *view;

    if (!isatty(STDERR_FILENO) || term == NULL || strcmp(term, "dumb") == 0)
        return NULL;
    view = xcalloc(1, sizeof *view);
    view->loop = loop;
    return view;
}

void ci_view_hide(struct ci_view *view)
{
    if (view == NULL || view->drawn == 0)
        return;
    fprintf(stderr, "\r\x1b[%zuA\x1b[J", view->drawn);
    fflush(stderr);
    view->drawn = 0;
}

void ci_view_show(struct ci_view *view)
{
    static const char *const frames[] = {"|", "/", "-", "\\"};
    struct winsize size = {0};
    size_t rows, columns, shown;
    struct buf b = BUF_INIT;

    if (view == NULL || view->lines.len == 0)
        return;
    (void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    rows = size.ws_row > 3 ? (size_t)size.ws_row - 2 : 20;
    columns = size.ws_col > 10 ? (size_t)size.ws_col - 1 : 79;
    shown = view->lines.len > rows ? rows - 1 : view->lines.len;
    for (size_t i = 0; i < shown; i++) {
        const struct line *line = view->lines.items[i];
        struct buf text = BUF_INIT;
        buf_printf(&text, "%s running   %4lld s  ", frames[view->frame % 4],
                   (long long)((clock_monotonic_ms() - line->started_ms) / 1000));
        utf8_append_printable(&text, line->id, strlen(line->id), false);
        text_append_fitted(&b, buf_cstr(&text), (int)columns);
        buf_putc(&b, '\n');
        buf_free(&text);
    }
    view->drawn = shown;
    if (shown < view->lines.len) {
        buf_printf(&b, "  and %zu more\n", view->lines.len - shown);
        view->drawn++;
    }
    fputs(buf_cstr(&b), stderr);
    fflush(stderr);
    buf_free(&b);
}

void ci_view_started(struct ci_view *view, const char *job_id)
{
    struct line *line;

    if (view == NULL)
        return;
    line = xcalloc(1, sizeof *line);
    *line = (struct line){.id = xstrdup(job_id), .started_ms = clock_monotonic_ms()};
    ci_view_hide(view);
    vec_push(&view->lines, line);
    ci_view_show(view);
    if (view->timer == NULL)
        view->timer = timer_start(view->loop, REDRAW_MS, on_timer, view);
}

static void remove_line(struct ci_view *view, size_t index)
{
    struct line *line = vec_remove(&view->lines, index);

    free(line->id);
    free(line);
}

void ci_view_finished(struct ci_view *view, const char *job_id)
{
    if (view == NULL)
        return;
    ci_view_hide(view);
    for (size_t i = 0; i < view->lines.len; i++) {
        const struct line *line = view->lines.items[i];
        if (strcmp(line->id, job_id) == 0) {
            remove_line(view, i);
            break;
        }
    }
}

void ci_view_destroy(struct ci_view *view)
{
    if (view == NULL)
        return;
    ci_view_hide(view);
    timer_cancel(view->timer);
    while (view->lines.len > 0)
        remove_line(view, view->lines.len - 1);
    vec_finish(&view->lines);
    free(view);
}
