/* agent/office_carried.c: sessions whose role another program carries: what agent/carried_thread.h needs of the office. */
#include "agent/office_internal.h"

#include "agent/acp_mcp.h"
#include "agent/carried_thread.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/random.h"
#include "config/config.h"
#include "config/role.h"
#include "config/shell_environment.h"
#include "sandbox/exec_helper.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_carried_event(void *data, const json_t *event)
{
    struct agent_session *s = data;

    session_report_event(
        s, s->carried == NULL ? json_get_string(event, "thread_id", NULL) : carried_thread_id(s->carried),
        event);
}

static void on_carried_delta(void *data, const char *text, size_t n)
{
    struct agent_session *s = data;

    s->on_text_delta(s->delta_data, text, n);
}

/* The same context as a native thread has; asked for with the first turn, when the worktree is there. */
static char *make_carried_context(void *data)
{
    struct agent_session *s = data;
    struct buf b = BUF_INIT;

    buf_puts(&b, s->skills == NULL ? "" : s->skills);
    office_add_docs(s->office, s->policy.cwd, &s->docs_for, &b);
    return buf_take(&b);
}

/* "<run>/runners/<id>": what a killed process left there goes first. */
static char *private_folder(struct office *office, const char *id, struct error *err)
{
    char *folder;
    char *base;

    if (office->state_dir == NULL) {
        base = file_make_temporary_directory("cadre-runner", err);
        if (base == NULL)
            return NULL;
        return base;
    }
    base = path_join(office->state_dir, "runners");
    if (!office->has_runner_folder && file_remove_tree(base, err) < 0) {
        free(base);
        return NULL;
    }
    office->has_runner_folder = true;
    folder = path_join(base, id);
    free(base);
    return folder;
}

static bool is_paused(void *data)
{
    return ((struct agent_session *)data)->office->is_paused;
}

/* Namespaces of this machine, asked once. */
static bool can_nest(struct office *office)
{
    if (office->can_nest < 0)
        office->can_nest = sandbox_can_nest();
    return office->can_nest > 0;
}

int office_make_carried(struct agent_session *s, const struct role *role, const struct agent_spec *spec,
                        struct error *err)
{
    struct office *office = s->office;
    const struct config *c = office->options.config;
    char new_id[RANDOM_UUID_BYTES];
    const char *id = spec->thread_id != NULL ? spec->thread_id : new_id;
    char *dir;
    struct carried_options options = {
        .loop = office->options.loop,
        .runner = &s->runner,
        .id = id,
        .role = s->role,
        .task = s->task,
        .attempt = spec->attempt,
        .reasoning_effort = role->reasoning_effort,
        .instructions = s->instructions,
        .owes = spec->owes,
        .output_schema = spec->output_schema,
        .policy = &s->policy,
        .extra_env = spec->extra_env,
        .budget = spec->budget != NULL ? spec->budget : office->options.budget,
        .prices = office->prices,
        .turn_timeout_ms = office_turn_timeout(office, spec),
        .watch_deltas = spec->on_text_delta != NULL,
        .can_nest = can_nest(office),
        .make_context = make_carried_context,
        .is_paused = is_paused,
        .desk = &s->desk,
        .on_event = on_carried_event,
        .on_text_delta = on_carried_delta,
        .data = s,
    };

    random_uuid(new_id);
    if (runner_config_init(&s->runner, c, role->runner, err) < 0)
        return error_wrap(err, "role %s", role->name);
    dir = private_folder(office, id, err);
    if (dir == NULL)
        return -1;
    options.dir = dir;
    options.model = s->runner.model != NULL ? s->runner.model : role->model;
    options.price_model = options.model != NULL ? options.model : config_string(c, "model");
    shell_environment_build(c, environ, &s->env);
    if (spec->extra_env != NULL)
        str_list_copy(&s->env, spec->extra_env);
    options.command_env = (const char *const *)s->env.items;
    if (spec->docs_for != NULL)
        str_list_copy(&s->docs_for, spec->docs_for);
    s->skills = office_skills(office, role);
    if (s->runner.protocol == RUNNER_ACP && acp_mcp_servers(&options.mcp_servers, c, role, err) < 0) {
        (void)file_remove_tree(dir, NULL);
        free(dir);
        return -1;
    }
    options.rollout = office_open_rollout(office, id);
    s->carried = carried_thread_create(&options);
    free(dir);
    return 0;
}

void office_finish_carried(struct agent_session *s)
{
    carried_thread_destroy(s->carried);
    runner_config_finish(&s->runner);
    str_list_finish(&s->docs_for);
    free(s->skills);
}
