/* team/remote.c: the project's real CI has the last word where `[remote] enabled` says so: the integration branch is pushed,
 * a pull request carries the release notes, its checks are waited for, and what fails there goes back into the loop.
 *
 *     push -> pull request -> checks: passed -> done
 *                                     failed -> why, with the failing part of the log -> more tasks -> push again
 *
 * Spoken through the user's own `gh` or `glab`, which are signed in; cadre holds no token. They and `git push` run as
 * the user, outside of the sandbox. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/utf8.h"
#include "ci/ci.h"
#include "ci/excerpt.h"
#include "io/fiber.h"
#include "io/process.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_TIMEOUT_MS 120000
#define NO_CHECKS_GRACE_MS 60000 /* checks may take a while to appear */
#define MAX_FAILED_JOBS    4     /* whose logs go back */

enum remote_state { REMOTE_PENDING, REMOTE_PASSED, REMOTE_FAILED, REMOTE_NONE };

struct remote_check {
    char *name;
    char *job; /* id to ask for its log, or NULL */
};

struct remote {
    struct run *run;
    bool is_gitlab;
    const char *name; /* of the git remote */
    struct remote_check failed[MAX_FAILED_JOBS];
    size_t failed_count;
    size_t passed;
    size_t pending;
};

static void forget_checks(struct remote *r)
{
    for (size_t i = 0; i < r->failed_count; i++) {
        free(r->failed[i].name);
        free(r->failed[i].job);
    }
    r->failed_count = 0;
    r->passed = 0;
    r->pending = 0;
}

/* Runs a command in the repository; OUT gets its standard output, WORDS (may be NULL) what it said on standard error. */
static int call(struct remote *r, const char *const *argv, struct buf *out, struct buf *words, int *exit_code,
                struct error *err)
{
    struct process_run_options options = {.argv = argv, .cwd = git_repo_toplevel(r->run->repo),
                                          .timeout_ms = COMMAND_TIMEOUT_MS};
    struct process_result result = {0};
    int rc = process_run(r->run->loop, &options, &result, err);

    if (rc == 0) {
        *exit_code = result.exit.timed_out ? -1 : result.exit.exit_code;
        utf8_append_repaired(out, buf_cstr(&result.out), result.out.len);
        (void)buf_cstr(out);
        if (words != NULL) {
            utf8_append_repaired(words, buf_cstr(&result.err), result.err.len);
            (void)buf_cstr(words);
        }
    }
    process_result_finish(&result);
    return rc;
}

/* The same where anything but exit code 0 is an error. */
static int must(struct remote *r, const char *const *argv, struct buf *out, struct error *err)
{
    struct buf words = BUF_INIT;
    struct buf unwanted = BUF_INIT;
    int code = 0;
    int rc = call(r, argv, out != NULL ? out : &unwanted, &words, &code, err);

    if (rc == 0 && code != 0)
        rc = error_set(err, ERROR_REPOSITORY, "%s %s %s fails (exit code %d): %.400s", argv[0], argv[1],
                       argv[2] == NULL ? "" : argv[2], code, str_trim(words.data));
    buf_free(&words);
    buf_free(&unwanted);
    return rc;
}

static bool is_installed(const char *program)
{
    const char *path = getenv("PATH");
    struct str_list folders = {0};
    bool found = false;

    str_split(&folders, path != NULL ? path : "", ':');
    for (size_t i = 0; i < folders.len && !found; i++) {
        char *file = path_join(folders.items[i], program);

        found = access(file, X_OK) == 0;
        free(file);
    }
    str_list_finish(&folders);
    return found;
}

/* gh or glab, by [remote] tool, else by the remote's address. */
static int choose_tool(struct remote *r, struct error *err)
{
    const char *const ask[] = {"git", "remote", "get-url", r->name, NULL};
    const char *tool = r->run->settings.remote_tool;
    struct buf url = BUF_INIT;

    if (must(r, ask, &url, err) < 0) {
        buf_free(&url);
        return error_hint(err, "`[remote] name` says where to push to; `git remote -v` lists what there is");
    }
    if (strcmp(tool, "auto") == 0)
        r->is_gitlab = strstr(url.data, "gitlab") != NULL || (!is_installed("gh") && is_installed("glab"));
    else
        r->is_gitlab = strcmp(tool, "glab") == 0;
    buf_free(&url);
    if (is_installed(r->is_gitlab ? "glab" : "gh"))
        return 0;
    error_set(err, ERROR_CONFIG, "%s is not installed, and `[remote] enabled` needs it", r->is_gitlab ? "glab" : "gh");
    return error_hint(err, "install it and sign in (`%s auth login`), or set `[remote] enabled = false`",
                      r->is_gitlab ? "glab" : "gh");
}

static int push(struct remote *r, struct error *err)
{
    char *refspec = xasprintf("%s:refs/heads/%s", r->run->verified, r->run->branch);
    const char *const argv[] = {"git",  "-c",      "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never",
                                "push", "--quiet", r->name,                   refspec, NULL};
    int rc = must(r, argv, NULL, err);

    free(refspec);
    return rc < 0 ? error_wrap(err, "pushing %s", r->run->branch) : 0;
}

/* --- The pull request ----------------------------------------------------------------------------------------- */

static char *first_url(const struct buf *text)
{
    const char *p = strstr(buf_cstr(text), "https://");

    if (p == NULL)
        p = strstr(buf_cstr(text), "http://");
    return p == NULL ? NULL : xstrndup(p, strcspn(p, " \t\r\n\"',)"));
}

/* The one line that a pull request is called. */
static char *title_of(const struct run *run)
{
    size_t n = strcspn(run->goal, "\n");

    return xstrndup(run->goal, utf8_floor(run->goal, n, 120));
}

static int open_github(struct remote *r, const char *title, const char *notes, struct error *err)
{
    struct run *run = r->run;
    const char *const view[] = {"gh", "pr", "view", run->branch, "--json", "url", NULL};
    const char *const create[] = {"gh",   "pr",    "create",  "--head",      run->branch, "--base",
                                  run->target, "--title", title, "--body-file", notes,       NULL};
    const char *const edit[] = {"gh", "pr", "edit", run->branch, "--body-file", notes, NULL};
    struct buf out = BUF_INIT;
    int code = 0;
    int rc = call(r, view, &out, NULL, &code, err);

    if (rc == 0 && code == 0) {
        rc = must(r, edit, NULL, err);
    } else if (rc == 0) {
        buf_clear(&out);
        rc = must(r, create, &out, err);
    }
    if (rc == 0 && run->pull_request == NULL)
        run->pull_request = first_url(&out);
    buf_free(&out);
    return rc;
}

static int open_gitlab(struct remote *r, const char *title, const char *notes, struct error *err)
{
    struct run *run = r->run;
    struct buf text = BUF_INIT;
    struct buf out = BUF_INIT;
    const char *const view[] = {"glab", "mr", "view", run->branch, "--output", "json", NULL};
    int code = 0;
    int rc = call(r, view, &out, NULL, &code, err);

    if (rc == 0 && code != 0) {
        buf_clear(&out);
        rc = file_read(notes, &text, (size_t)1 << 20, err);
        if (rc == 0) {
            const char *const create[] = {"glab",          "mr",        "create", "--source-branch", run->branch,
                                          "--target-branch", run->target, "--title", title,           "--description",
                                          buf_cstr(&text), "--yes",     NULL};

            rc = must(r, create, &out, err);
        }
    }
    if (rc == 0 && run->pull_request == NULL)
        run->pull_request = first_url(&out);
    buf_free(&text);
    buf_free(&out);
    return rc;
}

static int open_pull_request(struct remote *r, struct error *err)
{
    struct run *run = r->run;
    char *title = title_of(run);
    bool is_new = run->pull_request == NULL;
    const char *notes = run->notes_path;
    int rc;

    if (notes == NULL) {
        free(title);
        return error_set(err, ERROR_INTERNAL, "there are no release notes for the pull request");
    }
    rc = r->is_gitlab ? open_gitlab(r, title, notes, err) : open_github(r, title, notes, err);
    free(title);
    if (rc < 0)
        return error_wrap(err, "opening the pull request");
    if (is_new) {
        run_emit(run, json_pack("{s:s, s:s*, s:s}", "type", "remote.opened", "url", run->pull_request, "branch",
                                run->branch));
        run_log_line(run, "pull request: %s", run->pull_request == NULL ? "opened" : run->pull_request);
    }
    return run_save(run, err);
}

/* --- Its checks ------------------------------------------------------------------------------------------------- */

static void add_failed(struct remote *r, const char *name, char *job)
{
    if (r->failed_count == MAX_FAILED_JOBS) {
        free(job);
        return;
    }
    r->failed[r->failed_count++] = (struct remote_check){xstrdup(name), job};
}

/* "https://github.com/o/r/actions/runs/12/job/34" -> "34"; NULL for other links. */
static char *job_of_link(const char *link)
{
    const char *p = link == NULL ? NULL : strstr(link, "/job/");

    if (p == NULL || strspn(p + 5, "0123456789") == 0)
        return NULL;
    return xstrndup(p + 5, strspn(p + 5, "0123456789"));
}

static int read_github(struct remote *r, struct error *err)
{
    const char *const argv[] = {"gh", "pr", "checks", r->run->branch, "--json", "name,bucket,link", NULL};
    struct buf out = BUF_INIT;
    json_t *checks;
    json_t *check;
    size_t i;
    int code = 0;

    if (call(r, argv, &out, NULL, &code, err) < 0) {
        buf_free(&out);
        return -1;
    }
    checks = json_parse(buf_cstr(&out), out.len, "gh pr checks", NULL);
    buf_free(&out);
    json_array_foreach(checks, i, check) {
        const char *bucket = json_get_string(check, "bucket", "pending");

        if (strcmp(bucket, "pass") == 0)
            r->passed++;
        else if (strcmp(bucket, "fail") == 0 || strcmp(bucket, "cancel") == 0)
            add_failed(r, json_get_string(check, "name", "?"), job_of_link(json_get_string(check, "link", NULL)));
        else if (strcmp(bucket, "skipping") != 0)
            r->pending++;
    }
    json_decref(checks);
    return 0;
}

static int read_gitlab(struct remote *r, struct error *err)
{
    const char *const argv[] = {"glab", "ci", "get", "--branch", r->run->branch, "--output", "json", NULL};
    struct buf out = BUF_INIT;
    json_t *pipeline;
    json_t *job;
    size_t i;
    int code = 0;

    if (call(r, argv, &out, NULL, &code, err) < 0) {
        buf_free(&out);
        return -1;
    }
    pipeline = json_parse(buf_cstr(&out), out.len, "glab ci get", NULL);
    buf_free(&out);
    json_array_foreach(json_object_get(pipeline, "jobs"), i, job) {
        const char *status = json_get_string(job, "status", "pending");

        if (strcmp(status, "success") == 0)
            r->passed++;
        else if (strcmp(status, "failed") == 0 && !json_get_bool(job, "allow_failure", false))
            add_failed(r, json_get_string(job, "name", "?"), xasprintf("%lld", (long long)json_get_int(job, "id", 0)));
        else if (strcmp(status, "skipped") != 0 && strcmp(status, "manual") != 0 && strcmp(status, "failed") != 0)
            r->pending++;
    }
    json_decref(pipeline);
    return 0;
}

static enum remote_state state_of(const struct remote *r, int64_t waited_ms)
{
    if (r->pending > 0)
        return REMOTE_PENDING;
    if (r->failed_count > 0)
        return REMOTE_FAILED;
    if (r->passed > 0)
        return REMOTE_PASSED;
    return waited_ms < NO_CHECKS_GRACE_MS && waited_ms < r->run->settings.remote_poll_seconds * 4000 ? REMOTE_PENDING
                                                                                                     : REMOTE_NONE;
}

static int wait_for_checks(struct remote *r, enum remote_state *state, struct error *err)
{
    struct run *run = r->run;
    int64_t began = clock_monotonic_ms();

    for (;;) {
        int64_t waited = clock_monotonic_ms() - began;

        forget_checks(r);
        if ((r->is_gitlab ? read_gitlab(r, err) : read_github(r, err)) < 0)
            return -1;
        *state = state_of(r, waited);
        if (*state != REMOTE_PENDING)
            return 0;
        if (waited > run->settings.remote_timeout_minutes * 60000) {
            error_set(err, ERROR_NOT_CONVERGED, "the checks of %s are not done after %lld minutes ([remote] timeout_minutes)",
                      run->pull_request == NULL ? run->branch : run->pull_request,
                      (long long)run->settings.remote_timeout_minutes);
            return error_hint(err, "`cadre resume %s` looks again", run->id);
        }
        if (run_check_limits(run, err) < 0 || fiber_sleep((uint64_t)run->settings.remote_poll_seconds * 1000, err) < 0)
            return -1;
    }
}

/* The failing parts of the failed jobs' logs, for the orchestrator. */
static int tell_failures(struct remote *r, struct buf *why, struct error *err)
{
    buf_puts(why, "Every task is merged and the local CI is green, but the project's remote CI is red:\n");
    for (size_t i = 0; i < r->failed_count; i++) {
        const struct remote_check *check = &r->failed[i];
        const char *const github[] = {"gh", "run", "view", "--job", check->job, "--log-failed", NULL};
        const char *const gitlab[] = {"glab", "ci", "trace", check->job, NULL};
        struct buf log = BUF_INIT;
        struct excerpt excerpt = {0};
        int code = 0;

        if (check->job != NULL && call(r, r->is_gitlab ? gitlab : github, &log, NULL, &code, err) < 0) {
            buf_free(&log);
            return -1;
        }
        if (log.len > 0) {
            struct excerpt_source source = {.job = check->name, .step = "", .command = "(on the remote)", .exit_code = 1,
                                            .output = log.data, .output_len = log.len, .max_bytes = CI_EXCERPT_MAX};

            excerpt_read(&excerpt, &source);
        }
        buf_printf(why, "Job %s fails:\n%s\n", check->name,
                   excerpt.text != NULL ? excerpt.text : "(its log cannot be read)");
        excerpt_finish(&excerpt);
        buf_free(&log);
    }
    return 0;
}

int run_remote(struct run *run, struct buf *why, struct error *err)
{
    static const char *const names[] = {"pending", "passed", "failed", "none"};
    struct remote r = {.run = run, .name = run->settings.remote_name};
    enum remote_state state = REMOTE_PENDING;
    int rc = -1;

    if (run->target == NULL)
        return error_set(err, ERROR_REPOSITORY, "no branch is checked out that a pull request could aim at");
    if (choose_tool(&r, err) < 0 || push(&r, err) < 0 || open_pull_request(&r, err) < 0 ||
        wait_for_checks(&r, &state, err) < 0)
        goto out;
    run_emit(run, json_pack("{s:s, s:s, s:i, s:i, s:s*}", "type", "remote.checked", "state", names[state], "passed",
                            (int)r.passed, "failed", (int)r.failed_count, "url", run->pull_request));
    run_log_line(run, "remote CI: %s", names[state]);
    if (state == REMOTE_NONE)
        log_warning("the pull request has no checks: the remote CI says nothing about it");
    if (state == REMOTE_FAILED && run->remote_rounds >= run->settings.remote_max_rounds) {
        error_set(err, ERROR_NOT_CONVERGED, "the remote CI is still red after %d rounds ([remote] max_rounds): job %s",
                  run->remote_rounds, r.failed[0].name);
        error_hint(err, "the pull request is %s", run->pull_request == NULL ? run->branch : run->pull_request);
        goto out;
    }
    rc = state == REMOTE_FAILED ? tell_failures(&r, why, err) : 0;
out:
    forget_checks(&r);
    return rc;
}
