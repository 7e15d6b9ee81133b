/* team/hooks.c: the user's own commands around a run: the setup of a worktree and [hooks]. They run as the user, outside
 * of the sandbox, with the environment that commands get, and never longer than they may. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "config/shell_environment.h"
#include "io/process.h"

#include <stdlib.h>
#include <unistd.h>

int run_user_command(struct run *run, const char *what, const char *command, const char *cwd,
                     const struct str_list *extra, int64_t timeout_seconds, struct error *err)
{
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    struct str_list env = {0};
    struct process_run_options options = {.argv = argv,
                                          .cwd = cwd,
                                          .merge_stderr = true,
                                          .max_output_bytes = 65536,
                                          .timeout_ms = (uint64_t)timeout_seconds * 1000};
    struct process_result result = {0};
    int rc = 0;

    shell_environment_build(run->options.config, environ, &env);
    if (extra != NULL)
        str_list_copy(&env, extra);
    options.env = (const char *const *)env.items;
    if (process_run(run->loop, &options, &result, err) < 0)
        rc = error_wrap(err, "%s", what);
    else if (result.exit.timed_out)
        rc = error_set(err, ERROR_CONFIG, "%s took longer than %lld s in %s: %.400s", what, (long long)timeout_seconds,
                       cwd, buf_cstr(&result.out));
    else if (result.exit.exit_code != 0)
        rc = error_set(err, ERROR_CONFIG, "%s fails in %s (exit code %d): %.400s", what, cwd, result.exit.exit_code,
                       buf_cstr(&result.out));
    process_result_finish(&result);
    str_list_finish(&env);
    return rc;
}

int run_hook(struct run *run, const char *name, const char *command, const char *cwd, const struct task *task,
             struct error *err)
{
    struct str_list extra = {0};
    int64_t began = clock_monotonic_ms();
    char *what;
    int rc;

    if (str_is_empty(command))
        return 0;
    str_list_take(&extra, xasprintf("CADRE_HOOK=%s", name));
    str_list_take(&extra, xasprintf("CADRE_RUN=%s", run->id));
    str_list_take(&extra, xasprintf("CADRE_REPO=%s", git_repo_toplevel(run->repo)));
    str_list_take(&extra, xasprintf("CADRE_COMMIT=%s", run->verified));
    if (run->ending != NULL)
        str_list_take(&extra, xasprintf("CADRE_RESULT=%s", run->ending));
    if (task != NULL) {
        str_list_take(&extra, xasprintf("CADRE_TASK=%s", task->id));
        str_list_take(&extra, xasprintf("CADRE_ATTEMPT=%d", task->attempt));
        str_list_take(&extra, xasprintf("CADRE_STATE=%s", task_state_name(task->state)));
    }
    what = xasprintf("the hook %s", name);
    rc = run_user_command(run, what, command, cwd, &extra, run->settings.hook_timeout_seconds, err);
    run_emit(run, json_pack("{s:s, s:s, s:b, s:I, s:s*}", "type", "hook.completed", "hook", name, "ok", rc == 0,
                            "duration_ms", (json_int_t)(clock_monotonic_ms() - began), "task",
                            task == NULL ? NULL : task->id));
    free(what);
    str_list_finish(&extra);
    return rc;
}
