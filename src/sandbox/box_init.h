/* sandbox/box_init.h: the first process of a box (pid 1 of its process namespace): shuts itself in, starts the command, reaps,
 * and ends with it. */
#ifndef CADRE_SANDBOX_BOX_INIT_H
#define CADRE_SANDBOX_BOX_INIT_H

#include "sandbox/box.h"

#include <stdbool.h>

/* Signals that end a process and are meant for the command: from now on the caller outlives them; with FORWARDS it passes on
 * those that were sent to it alone (not by a terminal, which sends them to the whole group; but when it hangs up, to the
 * session's leader). */
void box_hold_signals(bool forwards);
/* Whom they are passed on to; 0: nobody. */
void box_forward_signals_to(pid_t pid);
/* In the child that becomes the command: as they were before box_hold_signals(). */
void box_release_signals(void);

/* Blocks those signals: what comes before the command is there waits, and then goes to it (the first process of a namespace
 * would lose it). */
void box_block_signals(void);

/* Dies with its parent from now on. ENDS_WITH: a process descriptor of it, to see that it still lives (-1: not looked at). */
void box_die_with(int ends_with);

/* What the first process tells the helper while the command runs, and what it hears from it. */
struct box_ties {
    bool forwards;                      /* signals from outside are passed on to the command */
    void (*stopped)(const struct box_ties *); /* the command has stopped; NULL: that is nobody's concern */
    int fd;                             /* for it */
};

/* Shuts the calling process in, runs the command and waits for its end. 0 with its wait status in *STATUS, or an exit code
 * after a message. */
int box_init_run(struct box *box, const struct box_ties *ties, int *status);

#endif
