/* cli/ci_view.h: the jobs of `cadre ci run` as they run: on a terminal one line a running job that changes in place,
 * below the results, which stay. */
#ifndef CADRE_CLI_CI_VIEW_H
#define CADRE_CLI_CI_VIEW_H

struct ci_view;
struct loop;

/* Draws on standard error; NULL when that is no terminal that can be drawn on: all calls take NULL. */
struct ci_view *ci_view_create(struct loop *loop);
void ci_view_started(struct ci_view *view, const char *job_id);
void ci_view_finished(struct ci_view *view, const char *job_id);
/* Takes the lines away so that other text can be written; the next call puts them back. */
void ci_view_hide(struct ci_view *view);
void ci_view_show(struct ci_view *view);
void ci_view_destroy(struct ci_view *view);

#endif
