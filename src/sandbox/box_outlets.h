/* sandbox/box_outlets.h: what reaches out of a box by a mere name, past file rights: sockets that others listen on, and the
 * terminals of others. Mounts shut these off; Landlock and seccomp cannot. */
#ifndef CADRE_SANDBOX_BOX_OUTLETS_H
#define CADRE_SANDBOX_BOX_OUTLETS_H

#include <stdbool.h>

struct box;

/* Outside, before the box has a network of its own: notes in BOX where somebody listens. */
void box_note_sockets(struct box *box);

/* Inside, after folders are covered: what was noted and still shows is hidden, but for what is below a writable folder (and for
 * name services where the box has the network). False with errno. */
bool box_hide_sockets(const struct box *box);

/* Inside: /dev/pts shows only the terminals that the box makes; the command's own one, if it has one, is /dev/console. False
 * with errno. */
bool box_make_own_terminals(struct box *box);

#endif
