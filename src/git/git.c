/* git/git.c: see git.h. */
#include "git/git.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/kill_point.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/vec.h"
#include "git/safe_git.h"
#include "io/fiber.h"
#include "io/process.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_GIT_OUTPUT_BYTES ((size_t)256 << 20)
#define GIT_TIMEOUT_MS       600000

struct git_repo {
    struct loop *loop;
    char *toplevel;
    char *common_dir;
    char *identity_name;
    char *identity_email;
    struct str_list overrides; /* "-c", "key=value", ... */
    struct stat config_seen;   /* the configuration file that the overrides answer */
    bool is_reading_config;
    int64_t date_s;            /* of commits; 0: now */
    struct vec writers;        /* fibers that wait for their turn; the first one has it */
};

/* --- One writer ---------------------------------------------------------------------------------------- */

static int writer_enter(struct git_repo *repo, struct error *err)
{
    struct fiber *self = fiber_current();

    if (self == NULL)
        return 0;
    vec_push(&repo->writers, self);
    while (repo->writers.items[0] != self) {
        if (fiber_wait(err) < 0) {
            bool had_turn = repo->writers.items[0] == self;

            (void)vec_remove_item(&repo->writers, self);
            if (had_turn && repo->writers.len > 0)
                fiber_wake(repo->writers.items[0]); /* the turn came together with the cancellation */
            return -1;
        }
    }
    return 0;
}

static void writer_leave(struct git_repo *repo)
{
    if (fiber_current() == NULL)
        return;
    (void)vec_remove(&repo->writers, 0);
    if (repo->writers.len > 0)
        fiber_wake(repo->writers.items[0]);
}

/* --- Calls ----------------------------------------------------------------------------------------------- */

static void build_env(const struct git_repo *repo, const char *const *extra, struct str_list *env)
{
    long long now = repo->date_s > 0 ? repo->date_s : clock_wall_ms() / 1000;

    git_safe_env(repo->toplevel, env);
    if (extra == NULL || *extra == NULL || !str_starts_with(*extra, "GIT_LITERAL_PATHSPECS="))
        str_list_add(env, "GIT_LITERAL_PATHSPECS=1");
    if (repo->identity_name != NULL) {
        str_list_take(env, xasprintf("GIT_AUTHOR_NAME=%s", repo->identity_name));
        str_list_take(env, xasprintf("GIT_COMMITTER_NAME=%s", repo->identity_name));
        str_list_take(env, xasprintf("GIT_AUTHOR_EMAIL=%s", repo->identity_email));
        str_list_take(env, xasprintf("GIT_COMMITTER_EMAIL=%s", repo->identity_email));
    }
    str_list_take(env, xasprintf("GIT_AUTHOR_DATE=@%lld +0000", now));
    str_list_take(env, xasprintf("GIT_COMMITTER_DATE=@%lld +0000", now));
    for (; extra != NULL && *extra != NULL; extra++)
        str_list_add(env, *extra);
}

static int refresh_overrides(struct git_repo *repo, struct error *err);

/* A lock in the way: what it is, how old, and what to do. False when SAID speaks of none. */
static bool explain_lock(const char *command, const char *said, struct error *err)
{
    static const char start[] = "Unable to create '";
    const char *at = strstr(said, start);
    const char *end = at == NULL ? NULL : strstr(at, ".lock': File exists");
    struct stat st;
    char *path;
    bool is_there;

    if (end == NULL)
        return false;
    at += strlen(start);
    path = xstrndup(at, (size_t)(end - at) + strlen(".lock"));
    is_there = stat(path, &st) == 0;
    if (is_there) {
        long long age_s = clock_wall_ms() / 1000 - (long long)st.st_mtim.tv_sec;

        error_set(err, ERROR_REPOSITORY, "git %s: %s is in the way: a lock of git's, made %lld %s ago", command, path,
                  age_s < 120 ? age_s : age_s / 60, age_s < 120 ? "seconds" : "minutes");
        error_hint(err, "when no git works in the repository (an editor of `git commit` may be open), it was left by one that was "
                        "killed: rm '%s'", path);
    }
    free(path);
    return is_there;
}

static int call_unlocked(struct git_repo *repo, const struct git_call *call, struct buf *out, int *exit_code,
                         struct error *err)
{
    struct str_list argv = {0};
    struct str_list env = {0};
    struct process_result result = {0};
    struct process_run_options options = {
        .cwd = call->dir != NULL ? call->dir : repo->toplevel,
        .input = call->input,
        .input_len = call->input_len,
        .timeout_ms = GIT_TIMEOUT_MS,
        .max_output_bytes = MAX_GIT_OUTPUT_BYTES,
    };
    int rc = -1;

    if (refresh_overrides(repo, err) < 0)
        return -1;
    git_safe_words(&argv);
    str_list_copy(&argv, &repo->overrides);
    for (const char *const *a = call->args; *a != NULL; a++)
        str_list_add(&argv, *a);
    build_env(repo, call->env, &env);
    options.argv = (const char *const *)argv.items;
    options.env = (const char *const *)env.items;
    kill_point_pass(KILL_POINT_GIT_BEFORE);
    if (process_run(repo->loop, &options, &result, err) < 0) {
        if (err != NULL && err->code == ERROR_NOT_FOUND) {
            error_set(err, ERROR_REPOSITORY, "git is not installed");
            error_hint(err, "apt-get install git");
        }
        goto out;
    }
    kill_point_pass(KILL_POINT_GIT_AFTER);
    if (result.exit.signal != 0 || result.exit.timed_out) { /* no answer at all: not even one that may be "no" */
        error_set(err, ERROR_REPOSITORY, "git %s was ended%s%s", call->args[0],
                  result.exit.timed_out ? ": it took too long" : " by a signal: ",
                  result.exit.timed_out ? "" : strsignal(result.exit.signal));
        goto out;
    }
    if (result.truncated) {
        error_set(err, ERROR_LIMIT, "git %s: output over %zu bytes", call->args[0], MAX_GIT_OUTPUT_BYTES);
        goto out;
    }
    if (exit_code != NULL)
        *exit_code = result.exit.exit_code;
    if (result.exit.exit_code != 0 && (call->flags & GIT_MAY_FAIL) == 0 && explain_lock(call->args[0], buf_cstr(&result.err), err))
        goto out;
    if (result.exit.exit_code != 0 && (call->flags & GIT_MAY_FAIL) == 0) {
        error_set(err, ERROR_REPOSITORY, "git %s: %.800s", call->args[0],
                  result.err.len > 0 ? str_trim(result.err.data) : "failed");
        goto out;
    }
    if (out != NULL)
        buf_append(out, buf_cstr(&result.out), result.out.len);
    rc = 0;
out:
    process_result_finish(&result);
    str_list_finish(&argv);
    str_list_finish(&env);
    return rc;
}

int git_call(struct git_repo *repo, const struct git_call *call, struct buf *out, int *exit_code,
             struct error *err)
{
    int rc;

    if ((call->flags & GIT_WRITES) == 0)
        return call_unlocked(repo, call, out, exit_code, err);
    if (writer_enter(repo, err) < 0)
        return -1;
    rc = call_unlocked(repo, call, out, exit_code, err);
    writer_leave(repo);
    return rc;
}

int git_run(struct git_repo *repo, int flags, const char *dir, struct buf *out, struct error *err, ...)
{
    const char *args[32];
    size_t n = 0;
    va_list ap;
    struct git_call call = {.dir = dir, .args = args, .flags = flags};

    va_start(ap, err);
    do
        args[n] = va_arg(ap, const char *);
    while (args[n] != NULL && ++n < 31);
    va_end(ap);
    args[n] = NULL;
    return git_call(repo, &call, out, NULL, err);
}

/* --- Opening ----------------------------------------------------------------------------------------------- */

static char *one_line(struct buf *b)
{
    while (b->len > 0 && (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == '\r'))
        buf_truncate(b, b->len - 1);
    return buf_take(b);
}

/* Any filter that the configuration names would run its program at checkout and add: each is made empty. */
static int neutralize_filters(struct git_repo *repo, struct error *err)
{
    static const char *const args[] = {"config", "--name-only", "-z", "--get-regexp",
                                       "^(filter\\..*\\.(clean|smudge|process|required)|diff\\..*\\.(textconv|command)"
                                       "|merge\\..*\\.driver)$",
                                       NULL};
    struct git_call call = {.args = args, .flags = GIT_MAY_FAIL};
    struct buf out = BUF_INIT;
    int code = 0;
    int rc = call_unlocked(repo, &call, &out, &code, err);

    for (size_t i = 0; rc == 0 && i < out.len;) {
        const char *name = out.data + i;
        const char *value = str_ends_with(name, ".required") ? "false" : "";

        if (str_ends_with(name, ".driver"))
            value = "false";
        str_list_add(&repo->overrides, "-c");
        str_list_take(&repo->overrides, xasprintf("%s=%s", name, value));
        i += strlen(name) + 1;
    }
    buf_free(&out);
    return rc;
}

/* A filter that is configured while a run goes on must not slip through. */
static int refresh_overrides(struct git_repo *repo, struct error *err)
{
    char *file;
    struct stat now;
    int rc = 0;

    if (repo->common_dir == NULL || repo->is_reading_config)
        return 0;
    file = path_join(repo->common_dir, "config");
    if (stat(file, &now) < 0)
        memset(&now, 0, sizeof now);
    if (now.st_ino != repo->config_seen.st_ino || now.st_size != repo->config_seen.st_size ||
        now.st_mtim.tv_sec != repo->config_seen.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != repo->config_seen.st_mtim.tv_nsec) {
        repo->config_seen = now;
        repo->is_reading_config = true;
        str_list_finish(&repo->overrides);
        rc = neutralize_filters(repo, err);
        repo->is_reading_config = false;
    }
    free(file);
    return rc;
}

/* NULL with ERR when git did not answer. */
static char *config_or(struct git_repo *repo, const char *key, const char *fallback, struct error *err)
{
    const char *args[] = {"config", "--get", key, NULL};
    struct git_call call = {.args = args, .flags = GIT_MAY_FAIL};
    struct buf out = BUF_INIT;
    char *value;

    if (call_unlocked(repo, &call, &out, NULL, err) < 0) {
        buf_free(&out);
        return NULL;
    }
    value = one_line(&out);
    if (value[0] == '\0') {
        free(value);
        value = xstrdup(fallback);
    }
    return value;
}

struct git_repo *git_repo_open(struct loop *loop, const char *directory, struct error *err)
{
    static const char *const args[] = {"rev-parse", "--path-format=absolute", "--is-bare-repository",
                                       "--git-common-dir", "--show-toplevel", NULL};
    static const char *const head_args[] = {"rev-parse", "--verify", "--quiet", "HEAD^{commit}", NULL};
    struct git_repo *repo = xcalloc(1, sizeof *repo);
    struct git_call call = {.dir = directory, .args = args, .flags = GIT_MAY_FAIL};
    struct git_call head_call = {.dir = directory, .args = head_args, .flags = GIT_MAY_FAIL};
    struct str_list lines = {0};
    struct buf out = BUF_INIT;
    char *here = str_eq(directory, ".") ? path_current_directory() : xstrdup(directory);
    int code = 0;
    bool ok = false;

    repo->loop = loop;
    repo->toplevel = xstrdup(here);
    if (call_unlocked(repo, &call, &out, &code, err) < 0)
        goto out;
    str_split(&lines, buf_cstr(&out), '\n');
    if (code != 0 && lines.len > 0 && strcmp(lines.items[0], "true") == 0) {
        error_set(err, ERROR_REPOSITORY, "%s is a bare repository", here);
        error_hint(err, "run cadre in a checkout of it");
        goto out;
    }
    if (code != 0 || lines.len < 3) {
        error_set(err, ERROR_REPOSITORY, "%s is not a git repository", here);
        error_hint(err, "change into one, use -C DIR, or make one with `git init` and a first commit");
        goto out;
    }
    repo->common_dir = xstrdup(lines.items[1]);
    free(repo->toplevel);
    repo->toplevel = xstrdup(lines.items[2]);
    head_call.dir = repo->toplevel;
    if (call_unlocked(repo, &head_call, NULL, &code, err) < 0)
        goto out;
    if (code != 0) {
        error_set(err, ERROR_REPOSITORY, "%s has no commit yet", repo->toplevel);
        error_hint(err, "make a first commit, then try again");
        goto out;
    }
    repo->identity_name = config_or(repo, "user.name", "cadre", err);
    if (repo->identity_name != NULL)
        repo->identity_email = config_or(repo, "user.email", "cadre@localhost", err);
    ok = repo->identity_email != NULL;
out:
    free(here);
    buf_free(&out);
    str_list_finish(&lines);
    if (!ok) {
        git_repo_close(repo);
        return NULL;
    }
    return repo;
}

void git_repo_set_date(struct git_repo *repo, int64_t seconds)
{
    repo->date_s = seconds;
}

void git_repo_close(struct git_repo *repo)
{
    if (repo == NULL)
        return;
    free(repo->toplevel);
    free(repo->common_dir);
    free(repo->identity_name);
    free(repo->identity_email);
    str_list_finish(&repo->overrides);
    vec_finish(&repo->writers);
    free(repo);
}

const char *git_repo_toplevel(const struct git_repo *repo)
{
    return repo->toplevel;
}

const char *git_repo_common_dir(const struct git_repo *repo)
{
    return repo->common_dir;
}

struct loop *git_repo_loop(const struct git_repo *repo)
{
    return repo->loop;
}

/* --- Names ------------------------------------------------------------------------------------------------- */

int git_resolve(struct git_repo *repo, const char *rev, char **commit, struct error *err)
{
    char *spec = xasprintf("%s^{commit}", rev);
    const char *args[] = {"rev-parse", "--verify", "--quiet", "--end-of-options", spec, NULL};
    struct git_call call = {.args = args, .flags = GIT_MAY_FAIL};
    struct buf out = BUF_INIT;
    int code = 0;
    int rc = git_call(repo, &call, &out, &code, err);

    if (rc == 0 && code != 0)
        rc = error_set(err, ERROR_NOT_FOUND, "%s names no commit", rev);
    *commit = rc == 0 ? one_line(&out) : NULL;
    buf_free(&out);
    free(spec);
    return rc;
}

int git_tree_of(struct git_repo *repo, const char *commit, char **tree, struct error *err)
{
    char *spec = xasprintf("%s^{tree}", commit);
    struct buf out = BUF_INIT;
    int rc = git_run(repo, 0, NULL, &out, err, "rev-parse", "--verify", spec, NULL);

    *tree = rc == 0 ? one_line(&out) : NULL;
    buf_free(&out);
    free(spec);
    return rc;
}

int git_head(struct git_repo *repo, char **commit, char **branch, struct error *err)
{
    static const char *const args[] = {"symbolic-ref", "--quiet", "--short", "HEAD", NULL};
    struct git_call call = {.args = args, .flags = GIT_MAY_FAIL};
    struct buf out = BUF_INIT;
    int code = 0;

    *branch = NULL;
    if (git_resolve(repo, "HEAD", commit, err) < 0 || git_call(repo, &call, &out, &code, err) < 0) {
        buf_free(&out);
        return -1;
    }
    if (code == 0)
        *branch = one_line(&out);
    buf_free(&out);
    return 0;
}

int git_is_ancestor(struct git_repo *repo, const char *ancestor, const char *commit, bool *answer,
                    struct error *err)
{
    const char *args[] = {"merge-base", "--is-ancestor", ancestor, commit, NULL};
    struct git_call call = {.args = args, .flags = GIT_MAY_FAIL};
    int code = 0;

    if (git_call(repo, &call, NULL, &code, err) < 0)
        return -1;
    *answer = code == 0;
    return 0;
}

/* --- Refs --------------------------------------------------------------------------------------------------- */

int git_ref_set(struct git_repo *repo, const char *ref, const char *commit, struct error *err)
{
    return git_run(repo, GIT_WRITES, NULL, NULL, err, "update-ref", ref, commit, NULL);
}

int git_branch_set(struct git_repo *repo, const char *name, const char *commit, const char *expected,
                   struct error *err)
{
    char *ref = xasprintf("refs/heads/%s", name);
    int rc = git_run(repo, GIT_WRITES, NULL, NULL, err, "update-ref", ref, commit, expected, NULL);

    free(ref);
    return rc;
}

int git_branch_delete(struct git_repo *repo, const char *name, const char *commit, struct error *err)
{
    char *ref = xasprintf("refs/heads/%s", name);
    int rc = git_run(repo, GIT_WRITES, NULL, NULL, err, "update-ref", "-d", ref, commit, NULL);

    free(ref);
    return rc;
}

int git_refs_delete(struct git_repo *repo, const char *prefix, const char *name, struct error *err)
{
    char *pattern = xasprintf("%s%s/", prefix, name);
    struct buf out = BUF_INIT;
    struct buf commands = BUF_INIT;
    static const char *const args[] = {"update-ref", "-z", "--stdin", NULL};
    struct git_call call = {.args = args, .flags = GIT_WRITES};
    struct str_list refs = {0};
    int rc = git_run(repo, 0, NULL, &out, err, "for-each-ref", "--format=%(refname)", pattern, NULL);

    if (rc == 0 && out.len > 0) {
        str_split(&refs, out.data, '\n');
        for (size_t i = 0; i < refs.len; i++) {
            if (refs.items[i][0] == '\0')
                continue;
            buf_printf(&commands, "delete %s", refs.items[i]);
            buf_append(&commands, "\0\0", 2);
        }
        call.input = commands.data;
        call.input_len = commands.len;
        rc = git_call(repo, &call, NULL, NULL, err);
    }
    str_list_finish(&refs);
    buf_free(&commands);
    buf_free(&out);
    free(pattern);
    return rc;
}
