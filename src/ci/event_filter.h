/* ci/event_filter.h: does a workflow's `on` let it run for this event? GitHub's rules for branches, tags
 * and paths with their own glob (`*`, `**`, `?`, `+`, `[]`, `!`), in order, the last match wins. */
#ifndef CADRE_CI_EVENT_FILTER_H
#define CADRE_CI_EVENT_FILTER_H

#include "base/str.h"
#include "ci/yaml_tree.h"

struct event {
    const char *name;        /* "push", "pull_request", ... */
    const char *branch;      /* that is pushed, or that a pull request aims at */
    const char *tag;         /* a push of a tag */
    const char *activity;    /* "opened", ...; NULL: the default ones */
    const struct str_list *changed_paths; /* NULL: unknown, path filters hold */
};

bool event_is_known(const char *name);

/* Known events, known filters, no contradicting ones. */
int event_filter_check(const struct yaml_node *on, const char *file, struct error *err);

/* Does it run? Else REASON (static text or the caller's buffer of N bytes) says why not. */
bool event_filter_matches(const struct yaml_node *on, const struct event *event, char *reason, size_t n);

/* What stands below `on.EVENT` when it has `paths` or `paths-ignore`, else NULL. */
const struct yaml_node *event_path_filters(const struct yaml_node *on, const char *event);
/* Does a change of PATH let these filters hold? */
bool event_path_counts(const struct yaml_node *filters, const char *path);

/* One pattern against a whole ref or path. */
bool event_glob_match(const char *pattern, const char *text);

#endif
