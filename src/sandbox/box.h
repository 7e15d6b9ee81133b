/* sandbox/box.h: the inside of the exec helper: what it was asked for, the layers that shut a process in, and the processes
 * that surround the command. exec_helper.c is the only caller.
 *
 *     helper ----clone(user, mount, pid, ipc, network)----> init (pid 1) ----vfork----> command
 *
 * The helper stays outside and hands the command's end on as its own. Init makes the layers, gives up what it can, reaps,
 * and ends with the command: then the kernel kills whatever is left in the namespace. Each dies with its parent, so that
 * nothing survives the program that asked. Where user namespaces are not allowed the command is the helper's child, and
 * the helper, as subreaper, kills what is left of its descendants. */
#ifndef CADRE_SANDBOX_BOX_H
#define CADRE_SANDBOX_BOX_H

#include "base/str.h"
#include "sandbox/limits.h"
#include "sandbox/policy.h"

#include <stdbool.h>
#include <sys/types.h>

struct box {
    enum sandbox_mode mode;
    struct str_list roots; /* the first one is the working directory of the policy */
    struct str_list hidden;
    struct str_list read_only; /* parts of roots */
    struct str_list readable;  /* when there are any: nothing else outside of the system is read */
    struct str_list sockets;   /* where somebody outside listens; see box_outlets.h */
    const char *tmp_dir;       /* becomes /tmp with private_tmp */
    bool network;
    bool loopback;
    bool no_tmpdir;
    bool no_slash_tmp;
    bool private_tmp;
    bool nestable;
    bool has_namespaces;
    char terminal[32]; /* a path to the command's own terminal, kept open; or empty */
    bool has_own_proc; /* /proc shows the box's processes and no others */
    bool is_served; /* made by the server, which has the signals blocked that box_block_signals() names */
    pid_t parent; /* dies with this process when that is the parent; 0: with nobody */
    struct box_limits limits;
    struct box_group group;
    char **argv;
};

/* Reads what sandbox_wrap() wrote (argv[0] and argv[1] are the helper's). Strings are borrowed but for the lists'. */
bool box_parse(struct box *box, int argc, char **argv);
void box_finish(struct box *box);

/* Prints "cadre: sandbox: WHAT: errno; HINT" and gives SANDBOX_EXIT_CODE. */
int box_stop(const char *what, const char *hint);

/* In the process that is to be shut in: all layers. 0, or an exit code after a message. */
int box_shut_in(struct box *box);

/* Becomes the command; on failure prints why and gives its exit code. */
int box_become_command(const struct box *box);

/* Runs the command in a box and gives the exit code for the helper; when a signal ended the command, the helper ends by the
 * same one. */
int box_run(struct box *box);

#endif
