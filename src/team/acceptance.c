/* team/acceptance.c: the acceptance commands of tasks, run by the engine itself.
 *
 * An `accept` that is one code span (`make check-words`), or begins with "run `command`", is a command: exit code 0 means
 * accepted. Anything else is for the reviewer to judge. The commands of merged tasks stay in force for all later ones. */
#include "team/run_internal.h"

#include "agent/runner.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "ci/ci.h"
#include "config/shell_environment.h"
#include "io/process.h"
#include "sandbox/exec_helper.h"
#include "sandbox/permissions.h"
#include "sandbox/policy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define OUTPUT_MAX_BYTES ((size_t)1 << 20)
#define JOB_PREFIX       "accept "

char *acceptance_command(const char *accept)
{
    const char *p = accept;
    const char *end;
    size_t n;

    if (p == NULL)
        return NULL;
    p += strspn(p, " ");
    if (strncasecmp(p, "run ", 4) == 0)
        p += 4 + strspn(p + 4, " ");
    else if (p[0] == '`' && strchr(p + 1, '`') != NULL && strchr(p + 1, '`')[1 + strspn(strchr(p + 1, '`') + 1, " .")] != '\0')
        return NULL; /* words after it: not a command alone */
    if (*p != '`')
        return NULL;
    end = strchr(p + 1, '`');
    n = end == NULL ? 0 : (size_t)(end - p) - 1;
    return n == 0 ? NULL : xstrndup(p + 1, n);
}

char *acceptance_job_name(const char *task_id)
{
    return xasprintf(JOB_PREFIX "%s", task_id);
}

bool acceptance_is_job(const char *job)
{
    return str_starts_with(job, JOB_PREFIX);
}

/* The end of the output, from a line's start. */
static void append_tail(struct buf *b, const struct buf *output)
{
    size_t room = CI_EXCERPT_MAX - 400;
    size_t from = output->len > room ? output->len - room : 0;

    if (from > 0) {
        const char *line = memchr(output->data + from, '\n', output->len - from);

        if (line != NULL)
            from = (size_t)(line - output->data) + 1;
    }
    if (output->len > from)
        utf8_append_repaired(b, output->data + from, output->len - from);
}

int acceptance_run(struct run *run, const char *dir, const char *command, bool *passed, struct buf *excerpt,
                   struct error *err)
{
    const char *const shell[] = {"/bin/bash", "-c", command, NULL};
    struct sandbox_policy policy;
    struct str_list argv = {0};
    struct str_list env = {0};
    struct process_result result = {0};
    struct process_run_options options = {.cwd = dir,
                                          .merge_stderr = true,
                                          .max_output_bytes = OUTPUT_MAX_BYTES,
                                          .timeout_ms = (uint64_t)run->settings.ci_timeout_seconds * 1000};
    int rc = -1;

    sandbox_policy_init(&policy, SANDBOX_WORKSPACE_WRITE, dir);
    policy.network_access = run->settings.ci_network;
    policy.loopback = true; /* as for CI's steps */
    sandbox_policy_configure_common(&policy, run->options.config);
    agent_hidden_paths(run->dir, &policy.hidden_paths);
    if (permissions_add_denials(run->options.config, dir, &policy, err) < 0)
        goto out;
    if (sandbox_wrap(&policy, shell, &argv, err) < 0)
        goto out;
    shell_environment_build(run->options.config, environ, &env);
    str_list_add(&env, "CI=true");
    options.argv = (const char *const *)argv.items;
    options.env = (const char *const *)env.items;
    if (process_run(run->loop, &options, &result, err) < 0)
        goto out;
    *passed = result.exit.exit_code == 0;
    if (!*passed) {
        if (result.exit.timed_out)
            buf_printf(excerpt, "took longer than %lld s\n", (long long)run->settings.ci_timeout_seconds);
        else if (result.exit.signal != 0)
            buf_printf(excerpt, "ended by signal %d\n", result.exit.signal);
        else
            buf_printf(excerpt, "exit code %d\n", result.exit.exit_code);
        buf_printf(excerpt, "repeat with: %.300s\n\n", command);
        append_tail(excerpt, &result.out);
    }
    rc = 0;
out:
    process_result_finish(&result);
    sandbox_policy_finish(&policy);
    str_list_finish(&argv);
    str_list_finish(&env);
    return rc;
}

static bool is_in_force(const struct task *task, const struct vec *candidate)
{
    return (task->state == TASK_MERGED && task->is_planned) || (candidate != NULL && vec_has(candidate, task));
}

/* Is COMMAND one that CI has just run, word for word? */
static bool is_ci_command(const struct run *run, const char *command)
{
    return str_list_has(&run->settings.ci_commands, command);
}

/* Did a CI job just run COMMAND, and nothing else, in a fresh copy of the tree? */
static bool has_passed_in_ci(const struct ci_summary *ci, const char *command)
{
    for (size_t i = 0; i < ci->count; i++)
        if (str_eq(ci->jobs[i].command, command))
            return true;
    return false;
}

int acceptance_run_all(struct run *run, const struct acceptance_check *check, struct error *err)
{
    for (size_t i = 0; i < run->tasks.len; i++) {
        const struct task *task = run->tasks.items[i];
        char *command = is_in_force(task, check->tasks) ? acceptance_command(task->accept) : NULL;
        char *job = acceptance_job_name(task->id);
        bool is_wanted = command != NULL && !is_ci_command(run, command) && (check->jobs == NULL || str_list_has(check->jobs, job));
        bool is_known = is_wanted && has_passed_in_ci(check->ci, command);
        struct buf excerpt = BUF_INIT;
        bool passed = is_known;
        int rc = 0;

        for (int n = 0; is_wanted && rc == 0 && !passed && n <= run->settings.ci_retries; n++) {
            buf_clear(&excerpt);
            rc = acceptance_run(run, check->dir, command, &passed, &excerpt, err);
            if (rc == 0 && passed && n > 0)
                run_emit(run, json_pack("{s:s, s:s, s:i, s:i}", "type", "ci.flaky", "job", job, "passed", 1, "failed", n));
        }
        if (is_wanted && rc == 0)
            check->on_result(check->data, job, passed, is_known, buf_cstr(&excerpt));
        buf_free(&excerpt);
        free(command);
        free(job);
        if (rc < 0)
            return -1;
    }
    return 0;
}
