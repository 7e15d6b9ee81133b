/* agent/program_box.c: see program_box.h. */
#include "agent/program_box.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "sandbox/exec_helper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What every program needs to find its way; everything else is the user's to name. */
static const char *const passed_on[] = {
    "PATH",    "LANG",  "LANGUAGE",      "LC_ALL",       "LC_CTYPE",           "TZ", "TERM", "USER",
    "LOGNAME", "SHELL", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"};

enum runner_box program_box_choose(const struct runner_config *rc, bool can_nest, const char **why)
{
    switch (rc->box) {
    case RUNNER_BOX_BOTH:
    case RUNNER_BOX_CADRE:
    case RUNNER_BOX_OWN:
        *why = "as configured";
        return rc->box;
    case RUNNER_BOX_AUTO:
        break;
    }
    if (rc->protocol == RUNNER_ACP) {
        *why = "ours: the program is not known to bring one (box = \"both\" where it does)";
        return RUNNER_BOX_CADRE;
    }
    if (can_nest) {
        *why = "its own nested in ours: the tightest";
        return RUNNER_BOX_BOTH;
    }
    *why = "ours: its own cannot be nested here (user namespaces and Landlock ABI 6 are needed), so its "
           "commands "
           "have network";
    return RUNNER_BOX_CADRE;
}

void program_box_set_env(struct program_box *box, const char *name, const char *value)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < box->env.len; i++) {
        if (strncmp(box->env.items[i], name, n) == 0 && box->env.items[i][n] == '=') {
            str_list_remove(&box->env, i);
            break;
        }
    }
    str_list_take(&box->env, xasprintf("%s=%s", name, value));
}

static void set_pairs(struct program_box *box, const struct str_list *pairs)
{
    for (size_t i = 0; pairs != NULL && i < pairs->len; i++) {
        const char *equals = strchr(pairs->items[i], '=');
        char *name;

        if (equals == NULL)
            continue;
        name = xstrndup(pairs->items[i], (size_t)(equals - pairs->items[i]));
        program_box_set_env(box, name, equals + 1);
        free(name);
    }
}

static void build_env(struct program_box *box, const struct runner_config *rc, const struct str_list *extra)
{
    char *tmp = path_join(box->dir, "tmp");

    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
        if (getenv(passed_on[i]) != NULL)
            program_box_set_env(box, passed_on[i], getenv(passed_on[i]));
    program_box_set_env(box, "HOME", box->home);
    program_box_set_env(box, "TMPDIR", tmp);
    program_box_set_env(box, "NO_COLOR", "1");
    set_pairs(box, &rc->env);
    for (size_t i = 0; i < rc->env_vars.len; i++)
        if (getenv(rc->env_vars.items[i]) != NULL)
            program_box_set_env(box, rc->env_vars.items[i], getenv(rc->env_vars.items[i]));
    set_pairs(box, extra);
    free(tmp);
}

static void make_policy(struct program_box *box, const struct runner_config *rc,
                        const struct sandbox_policy *work)
{
    bool full = work->mode == SANDBOX_DANGER_FULL_ACCESS || box->kind == RUNNER_BOX_OWN;

    sandbox_policy_init(&box->policy, full ? SANDBOX_DANGER_FULL_ACCESS : SANDBOX_WORKSPACE_WRITE, box->dir);
    if (work->mode == SANDBOX_WORKSPACE_WRITE) {
        str_list_add(&box->policy.writable_roots, work->cwd);
        for (size_t i = 0; i < work->writable_roots.len; i++)
            str_list_take(&box->policy.writable_roots, path_join(work->cwd, work->writable_roots.items[i]));
    }
    str_list_copy(&box->policy.writable_roots, &rc->writable_roots);
    str_list_copy(&box->policy.hidden_paths, &work->hidden_paths);
    box->policy.network_access = true; /* to its API */
    box->policy.exclude_slash_tmp = true;
    box->policy.exclude_tmpdir_env_var = true; /* it is in the private folder */
    box->policy.nestable = box->kind == RUNNER_BOX_BOTH && !full;
}

/* What the user gives the program is not hidden from it. */
static void unhide(struct program_box *box, const char *path)
{
    struct str_list *hidden = &box->policy.hidden_paths;
    char *real = realpath(path, NULL);

    for (size_t i = hidden->len; i > 0; i--) {
        char *real_hidden = realpath(hidden->items[i - 1], NULL);

        if (path_is_below(path, hidden->items[i - 1]) ||
            (real != NULL && real_hidden != NULL && path_is_below(real, real_hidden)))
            str_list_remove(hidden, i - 1);
        free(real_hidden);
    }
    free(real);
}

int program_box_bring(struct program_box *box, const char *from, const char *to, bool link, struct error *err)
{
    char *target = path_join(box->home, to);
    char *folder = path_dirname(target);
    int rc = 0;

    if (file_exists(from)) {
        unhide(box, from);
        rc = file_make_directories(folder, 0700, err);
        if (rc == 0 && !link && file_is_regular(from))
            rc = file_copy(from, target, err);
        else if (rc == 0 && symlink(from, target) < 0 && errno != EEXIST)
            rc = error_set_errno(err, "%s", target);
    }
    free(folder);
    free(target);
    return rc;
}

static int bring_home_files(struct program_box *box, const struct runner_config *rc, struct error *err)
{
    int result = 0;

    for (size_t i = 0; i < rc->home_files.len && result == 0; i++) {
        char *path = xasprintf("~/%s", rc->home_files.items[i]);
        char *from = path_expand_home(path);

        result = program_box_bring(box, from, rc->home_files.items[i],
                                   str_list_has(&rc->writable_roots, from), err);
        free(from);
        free(path);
    }
    return result;
}

int program_box_init(struct program_box *box, const struct runner_config *rc, enum runner_box kind,
                     const char *dir, const struct sandbox_policy *work, const struct str_list *extra_env,
                     struct error *err)
{
    char *tmp = path_join(dir, "tmp");
    int result = -1;

    *box = (struct program_box){.kind = kind, .dir = xstrdup(dir), .home = path_join(dir, "home")};
    build_env(box, rc, extra_env);
    make_policy(box, rc, work);
    if (file_make_directories(box->home, 0700, err) < 0 || file_make_directories(tmp, 0700, err) < 0 ||
        bring_home_files(box, rc, err) < 0)
        error_wrap(err, "the folder of runner %s", rc->name);
    else
        result = 0;
    free(tmp);
    if (result < 0)
        program_box_finish(box);
    return result;
}

void program_box_allow_write(struct program_box *box, const char *path)
{
    str_list_add(&box->policy.writable_roots, path);
}

int program_box_wrap(const struct program_box *box, const struct str_list *argv, struct str_list *out,
                     struct error *err)
{
    return sandbox_wrap(&box->policy, (const char *const *)argv->items, out, err);
}

void program_box_finish(struct program_box *box)
{
    struct error err = {0};

    if (box->dir != NULL && file_remove_tree(box->dir, &err) < 0)
        log_warning("%s", err.text);
    free(box->dir);
    free(box->home);
    str_list_finish(&box->env);
    sandbox_policy_finish(&box->policy);
    *box = (struct program_box){0};
}
