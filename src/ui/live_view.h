/* ui/live_view.h: what a run does, as it does it: milestones as lines that stay, and below them one line a thread that
 * changes in place (on a terminal). Its state is built from the events of docs/events.md alone. */
#ifndef CADRE_UI_LIVE_VIEW_H
#define CADRE_UI_LIVE_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct live_view;
struct loop;

/* IN_PLACE: OUT is a terminal that may be drawn on; else plain lines. Log lines go above the threads meanwhile. */
struct live_view *live_view_create(struct loop *loop, FILE *out, bool in_place, bool color);
void live_view_event(struct live_view *view, const json_t *event);
/* Takes the thread lines away, gives the terminal back, frees. NULL is fine. */
void live_view_finish(struct live_view *view);

#endif
