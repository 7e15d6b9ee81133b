/* sandbox/policy.h: what a command may do: the three modes of Codex, with roots, network and limits. */
#ifndef CADRE_SANDBOX_POLICY_H
#define CADRE_SANDBOX_POLICY_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* From tight to wide; comparable. */
enum sandbox_mode { SANDBOX_READ_ONLY, SANDBOX_WORKSPACE_WRITE, SANDBOX_DANGER_FULL_ACCESS };

struct sandbox_policy {
    enum sandbox_mode mode;
    char *cwd;                      /* a writable root in workspace-write */
    struct str_list writable_roots; /* further ones; absolute, or relative to cwd */
    struct str_list hidden_paths;   /* can be neither read nor listed, where namespaces are allowed */
    bool network_access;
    bool loopback;                  /* without network: a private loopback (tests that serve on localhost) */
    bool exclude_tmpdir_env_var;    /* $TMPDIR is not writable */
    bool exclude_slash_tmp;         /* /tmp is not writable */
    bool nestable;                  /* for a program that brings a box of its own: shut in by mounts in place of
                                     * Landlock's file rules, so that it can still make namespaces and mounts.
                                     * Needs user namespaces; TMPDIR and /tmp are read-only unless they are roots */
    int64_t max_processes;          /* 0: no limit of ours, as for the next three */
    int64_t max_memory_bytes;       /* address space of each process */
    int64_t max_file_bytes;
    int64_t max_cpu_seconds;
};

void sandbox_policy_init(struct sandbox_policy *policy, enum sandbox_mode mode, const char *cwd);
void sandbox_policy_copy(struct sandbox_policy *to, const struct sandbox_policy *from); /* TO is made */
void sandbox_policy_finish(struct sandbox_policy *policy);

/* Lowers POLICY to MODE where that is tighter; what the tighter mode does not give (roots, network, a private loopback) goes.
 * Hidden paths stay. */
void sandbox_policy_tightest(struct sandbox_policy *policy, enum sandbox_mode mode);

/* "read-only", "workspace-write", "danger-full-access". */
int sandbox_mode_parse(const char *name, enum sandbox_mode *mode, struct error *err);
const char *sandbox_mode_name(enum sandbox_mode mode);

#endif
