/* sandbox/exec_helper.h: runs a command under a policy, by executing this program again as a helper that shuts itself in
 * and then becomes the command.
 *
 * The layers, in this order: closed descriptors; where user namespaces are allowed namespaces of its own (user, mount, process
 * numbers, IPC, network) with read-only carve-outs and hidden paths; resource limits; no_new_privs; Landlock (files, TCP,
 * scopes); seccomp. Landlock and seccomp are the floor: without them nothing runs unless the mode is danger-full-access.
 * box.h shows the processes. The helper and all it started die with the program that called sandbox_wrap(). */
#ifndef CADRE_SANDBOX_EXEC_HELPER_H
#define CADRE_SANDBOX_EXEC_HELPER_H

#include "base/error.h"
#include "base/str.h"
#include "sandbox/namespace.h"

#include <stdbool.h>

struct buf;
struct sandbox_policy;

#define SANDBOX_HELPER_NAME "__exec-helper"
#define SANDBOX_SERVER_NAME "__box-server"
/* Exit code when the box cannot be made; one line on standard error says why. 127: the command does not exist. */
#define SANDBOX_EXIT_CODE 126

/* Path of the program that is the helper: `cadre-exec` beside this program or in ../libexec/cadre, else this program. Caller frees. */
char *exec_helper_program(void);

/* Appends to OUT the argv that runs ARGV under POLICY. */
int sandbox_wrap(const struct sandbox_policy *policy, const char *const *argv, struct str_list *out,
                 struct error *err);

/* Lets io/spawn_server.h start the boxes of this program, for the length of its life. Where that cannot be, each is started by
 * the helper. */
void sandbox_use_server(void);
int sandbox_serve_main(void);

/* The helper's main: argv[1] is SANDBOX_HELPER_NAME. Never returns on success. */
int sandbox_exec_helper_main(int argc, char **argv);

/* What this kernel gives. */
struct sandbox_probe {
    int landlock_abi; /* 0: none */
    bool has_seccomp;
    enum namespace_support namespaces;
    bool has_memory_group; /* a control group can be made */
};
void sandbox_probe(struct sandbox_probe *probe);

/* Can a program's own box be nested in ours (sandbox_policy.nestable)? Tried in a child process. */
bool sandbox_can_nest(void);

/* One line a layer: what it gives here, and what to do where it is missing. */
void sandbox_explain(const struct sandbox_probe *probe, struct buf *out);

#endif
