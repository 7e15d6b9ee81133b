/* agent/agent_tree.h: a main thread and the agents that models spawn below it.
 *
 *             spawn                  slot                     turn over, children final, no mail left
 *   (nothing) -----> pending_init -----------> running ------------------------------------> completed | errored
 *                          ^                     |  ^                                             |
 *                          +-- input ------------+--+------------- input, or a child's result ----+
 *                                                 interrupt -> interrupted;  close, from any state -> shutdown
 *
 * An agent's life is a fiber: it waits for a slot of agents.max_threads (first come, first served, never an error),
 * runs its turns, and waits for its own children. A slot is held only while a turn runs; an agent that waits for others
 * gives its slot back, so that a chain of waits cannot block itself. The main thread holds none.
 *
 * What a child has to say is mail for its parent: it goes with the parent's next request, or is the answer to its
 * wait_agent. A parent whose turn is over is woken when all its children are final and there is mail. So a tree is done
 * only when every agent in it is final. docs/agents.md describes the tools. */
#ifndef CADRE_AGENT_AGENT_TREE_H
#define CADRE_AGENT_AGENT_TREE_H

#include "agent/runner.h"

#include <stdbool.h>
#include <stddef.h>

struct agent_tree;
struct agent_session;

struct agent_tree_options {
    struct office *office;
    struct agent_spec main;  /* of the main thread; tools and mail are filled in */
    const char *session_dir; /* its agents' record and worktrees; NULL: nothing is kept, no worktrees */
    bool resumes;            /* SESSION_DIR holds an earlier life of this tree */
    /* An agent's status changed. May be NULL. */
    void (*on_change)(void *data);
    void *data;
};

/* Opens the main thread. Waits. NULL with ERR set. */
struct agent_tree *agent_tree_open(const struct agent_tree_options *options, struct error *err);
/* Closes every agent; what an agent with a worktree left unmerged stays under a ref, and is said. Waits, also when the
 * fiber is cancelled. NULL is fine. */
void agent_tree_close(struct agent_tree *tree);

/* One turn of the main thread with TEXT (NULL: with the mail that has come). Waits. With WAITS_FOR_ALL it returns when
 * every agent is final and the main thread has heard of it. */
int agent_tree_ask(struct agent_tree *tree, const char *text, bool waits_for_all, struct agent_answer *answer,
                   struct error *err);

struct agent_session *agent_tree_main(struct agent_tree *tree);
/* Agents that are not final, without the main thread. */
size_t agent_tree_live_count(const struct agent_tree *tree);
/* All children are final and something waits to be told to the main thread. */
bool agent_tree_wants_turn(const struct agent_tree *tree);
/* Stops the turns of all agents but the main one. */
void agent_tree_interrupt_all(struct agent_tree *tree);

struct agent_view { /* borrowed until the tree changes */
    const char *id;
    const char *path;
    const char *nickname;
    const char *role;
    const char *status;
    const char *message; /* its last, or what went wrong; "" */
    int depth;
};
size_t agent_tree_count(const struct agent_tree *tree); /* with the main thread, which is the first */
struct agent_view agent_tree_at(const struct agent_tree *tree, size_t index);
/* By thread id; NULL when unknown. */
const char *agent_tree_nickname(const struct agent_tree *tree, const char *thread_id);

#endif
