/* ui/narrate.h: what agents do, a line each, for people who read along (`cadre exec`, the REPL). */
#ifndef CADRE_UI_NARRATE_H
#define CADRE_UI_NARRATE_H

#include <jansson.h>
#include <stdio.h>

struct agent_tree;

/* Prints TEXT after PREFIX, with nothing in it that could drive the terminal. */
void narrate_text(FILE *stream, const char *prefix, const char *text);

/* Says EVENT of a thread; one of another thread than the main one carries its name. TREE may be NULL. */
void narrate_event(FILE *stream, const struct agent_tree *tree, const json_t *event);

#endif
