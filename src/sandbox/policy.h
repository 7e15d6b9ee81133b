/* sandbox/policy.h: what a command may do: the three modes of Codex, with roots, network and limits. */
#ifndef CADRE_SANDBOX_POLICY_H
#define CADRE_SANDBOX_POLICY_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* From tight to wide; comparable. */
enum sandbox_mode { SANDBOX_READ_ONLY, SANDBOX_WORKSPACE_WRITE, SANDBOX_DANGER_FULL_ACCESS };

#define SANDBOX_DEFAULT_PROCESSES  2000
#define SANDBOX_DEFAULT_FILE_BYTES ((int64_t)8 << 30)
#define SANDBOX_DEFAULT_FREE_BYTES ((int64_t)512 << 20)

struct config;

struct sandbox_policy {
    enum sandbox_mode mode;
    char *cwd;                      /* a writable root in workspace-write */
    struct str_list writable_roots; /* further ones; absolute, or relative to cwd */
    struct str_list hidden_paths;   /* can be neither read nor listed; without namespaces their names can */
    struct str_list read_only_paths; /* parts of writable roots that are not writable */
    struct str_list readable_roots; /* when there are any: what is neither here, a root, nor part of the system (/usr, /etc
                                     * and the like) cannot be read */
    bool network_access;
    bool loopback;                  /* without network: a private loopback (tests that serve on localhost) */
    bool exclude_tmpdir_env_var;    /* $TMPDIR is not writable */
    bool exclude_slash_tmp;         /* /tmp is not writable */
    bool private_tmp;               /* where namespaces are allowed, /tmp is tmp_dir, or without one an empty folder in
                                     * memory that goes with the command */
    char *tmp_dir;                  /* absolute; made when missing (its parent has to be there) */
    bool nestable;                  /* for a program that brings a box of its own: shut in by mounts in place of
                                     * Landlock's file rules, so that it can still make namespaces and mounts.
                                     * Needs user namespaces; TMPDIR and /tmp are read-only unless they are roots */
    int64_t max_processes;          /* 0: no limit of ours, as for the next three */
    int64_t max_memory_bytes;       /* of all together where we may make a control group, else of each process */
    bool has_memory_group;          /* a control group is tried for max_memory_bytes; else use is watched from outside */
    int64_t max_file_bytes;
    int64_t max_cpu_seconds;
    int64_t min_free_disk_bytes;    /* the command is ended when its writing leaves less */
};

void sandbox_policy_init(struct sandbox_policy *policy, enum sandbox_mode mode, const char *cwd);

/* Takes over what the configuration says: roots, network and tmp rules of [sandbox_workspace_write] for that mode, the limits,
 * private /tmp and hidden paths of [sandbox]; hides the user's secrets. */
void sandbox_policy_configure(struct sandbox_policy *policy, const struct config *c);
/* The part of it that holds in every mode. */
void sandbox_policy_configure_common(struct sandbox_policy *policy, const struct config *c);
/* The limits alone. */
void sandbox_policy_configure_limits(struct sandbox_policy *policy, const struct config *c);

/* Hides what the user's other programs keep their keys in (~/.ssh and the like), and Codex's sign-in. Paths that hold the
 * working directory or a writable root are left out: the user works there. */
void sandbox_policy_hide_secrets(struct sandbox_policy *policy);
void sandbox_policy_copy(struct sandbox_policy *to, const struct sandbox_policy *from); /* TO is made */
void sandbox_policy_finish(struct sandbox_policy *policy);

/* Lowers POLICY to MODE where that is tighter; what the tighter mode does not give (roots, network, a private loopback) goes.
 * Hidden paths stay. */
void sandbox_policy_tightest(struct sandbox_policy *policy, enum sandbox_mode mode);

/* "read-only", "workspace-write", "danger-full-access". */
int sandbox_mode_parse(const char *name, enum sandbox_mode *mode, struct error *err);
const char *sandbox_mode_name(enum sandbox_mode mode);

#endif
