/* agent/program_box.h: where a program that carries a role runs: a private folder, an environment of what the user gave, and
 * a sandbox around the whole process with network to its API.
 *
 * Three boxes:
 *   both   ours is made of mounts, so that the program can nest its own in it: its commands have no network, and nothing
 *          it does itself writes outside of the worktree and its folder. The tightest; needs user namespaces.
 *   cadre  ours alone, with Landlock; the program's own is switched off, for nothing can mount below Landlock. Its
 *          commands have the network that the program needs.
 *   own    the program's own alone: what it runs is shut in, the program is not. */
#ifndef CADRE_AGENT_PROGRAM_BOX_H
#define CADRE_AGENT_PROGRAM_BOX_H

#include "base/error.h"
#include "base/str.h"
#include "config/runner_config.h"
#include "sandbox/policy.h"

struct program_box {
    enum runner_box kind; /* never RUNNER_BOX_AUTO */
    char *dir;            /* the private folder, with home/ and tmp/ in it */
    char *home;           /* $HOME of the program */
    struct str_list env;
    struct sandbox_policy policy;
};

/* The box of RC on this machine, and in one line why. CAN_NEST: sandbox_can_nest(). */
enum runner_box program_box_choose(const struct runner_config *rc, bool can_nest, const char **why);

/* Makes DIR (which must not exist) and what is in it. WORK is the policy of the role's commands: its cwd is the worktree,
 * writable unless its mode is read-only. EXTRA_ENV ("K=V", may be NULL) beats the runner's own. */
int program_box_init(struct program_box *box, const struct runner_config *rc, enum runner_box kind,
                     const char *dir, const struct sandbox_policy *work, const struct str_list *extra_env,
                     struct error *err);
void program_box_set_env(struct program_box *box, const char *name, const char *value);
void program_box_allow_write(struct program_box *box, const char *path);

/* Brings FROM to home-relative or absolute TO, making the folders above: a file is copied (a program that saves its
 * settings writes the copy), a folder is linked, and so is a file with LINK. What is not there is skipped. */
int program_box_bring(struct program_box *box, const char *from, const char *to, bool link,
                      struct error *err);

/* Appends the argv that runs ARGV in the box. */
int program_box_wrap(const struct program_box *box, const struct str_list *argv, struct str_list *out,
                     struct error *err);

/* Removes the folder. */
void program_box_finish(struct program_box *box);

#endif
