/* config/run_settings.c: see run_settings.h. Numbers outside their range are brought to its end. */
#include "config/run_settings.h"

#include "base/alloc.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

static int64_t bounded(const struct config *c, const char *path, int64_t low, int64_t high)
{
    int64_t v = config_int(c, path);

    return v < low ? low : v > high ? high : v;
}

static int small(const struct config *c, const char *path, int low, int high)
{
    return (int)bounded(c, path, low, high);
}

static char *text(const struct config *c, const char *path)
{
    const char *s = config_string(c, path);

    return s != NULL && s[0] != '\0' ? xstrdup(s) : NULL;
}

static void take_allowances(struct run_settings *s, const struct config *c)
{
    const struct toml_value *list = config_value(c, "gates.allow");

    if (list == NULL || list->type != TOML_ARRAY)
        return;
    s->allowances = xcalloc(list->as.array.len + 1, sizeof *s->allowances);
    for (size_t i = 0; i < list->as.array.len; i++) {
        const struct toml_value *item = list->as.array.items[i];
        const char *check = toml_string(item, "check", NULL), *reason = toml_string(item, "reason", NULL);
        struct gate_allowance *a = &s->allowances[s->allowance_count];

        if (check == NULL || reason == NULL || reason[0] == '\0')
            continue; /* nothing is allowed without a reason */
        a->check = xstrdup(check);
        a->reason = xstrdup(reason);
        toml_strings(item, "paths", &a->paths);
        s->allowance_count++;
    }
}

static void take_actions(struct run_settings *s, const struct toml_value *table)
{
    if (table == NULL || table->type != TOML_TABLE)
        return;
    s->ci_actions = xcalloc(table->as.table.len + 1, sizeof *s->ci_actions);
    for (size_t i = 0; i < table->as.table.len; i++) {
        const struct toml_member *member = &table->as.table.members[i];
        struct action_setting *a = &s->ci_actions[s->ci_action_count++];

        a->action = xstrdup(member->key);
        a->run = xstrdup(toml_string(member->value, "run", NULL));
        a->uses = xstrdup(toml_string(member->value, "uses", NULL));
        a->satisfied = xstrdup(toml_string(member->value, "satisfied", NULL));
        a->skip = xstrdup(toml_string(member->value, "skip", NULL));
    }
}

/* The strings of a table as "NAME=value". */
static void take_pairs(struct str_list *list, const struct toml_value *table)
{
    for (size_t i = 0; table != NULL && table->type == TOML_TABLE && i < table->as.table.len; i++) {
        const struct toml_member *member = &table->as.table.members[i];

        if (member->value->type == TOML_STRING)
            str_list_take(list, xasprintf("%s=%s", member->key, member->value->as.string.bytes));
    }
}

static void take_agents(struct agent_settings *a, const struct config *c)
{
    a->max_threads = small(c, "agents.max_threads", 1, 100000);
    a->max_depth = small(c, "agents.max_depth", 0, 100);
    a->job_max_runtime_seconds = bounded(c, "agents.job_max_runtime_seconds", 0, INT32_MAX);
    a->is_enabled = config_bool(c, "agents.enabled");
    a->sends_interrupt_message = config_bool(c, "agents.interrupt_message");
    a->default_model = text(c, "agents.default_subagent_model");
    a->default_reasoning_effort = text(c, "agents.default_subagent_reasoning_effort");
}

void run_settings_init(struct run_settings *s, const struct config *c)
{
    const char *strategy = config_string(c, "merge.strategy");
    double cost = config_number(c, "loop.max_cost_usd");

    memset(s, 0, sizeof *s);
    take_agents(&s->agents, c);
    s->batch_size = small(c, "loop.batch_size", 1, 1000);
    s->max_batches = small(c, "loop.max_batches", 1, 100000);
    s->max_attempts = small(c, "loop.max_attempts", 1, 100);
    s->max_diff_lines = small(c, "loop.max_diff_lines", 1, 10000000);
    s->max_task_files = small(c, "loop.max_task_files", 1, 100000);
    s->max_review_rounds = small(c, "loop.max_review_rounds", 1, 100);
    s->max_plan_attempts = small(c, "loop.max_plan_attempts", 1, 100);
    s->max_minutes = bounded(c, "loop.max_minutes", 0, INT32_MAX);
    s->max_tokens = bounded(c, "loop.max_tokens", 0, INT64_MAX);
    s->max_cost_microusd = cost > 0 && cost < 1e12 ? (int64_t)(cost * 1e6) : 0;
    s->max_requests = bounded(c, "loop.max_requests", 0, INT64_MAX);
    s->task_minutes = bounded(c, "loop.task_minutes", 0, INT32_MAX);
    s->max_turn_steps = small(c, "loop.max_turn_steps", 1, 1000000);
    s->has_explore = config_bool(c, "loop.explore");
    s->has_tuning = config_bool(c, "loop.tuning");

    s->gate_review = config_bool(c, "gates.review");
    s->gate_security = config_bool(c, "gates.security");
    s->gate_qa = config_bool(c, "gates.qa");
    take_allowances(s, c);

    config_list(c, "ci.commands", &s->ci_commands);
    config_list(c, "ci.workflows", &s->ci_workflows);
    take_actions(s, config_value(c, "ci.actions"));
    take_pairs(&s->ci_secrets, config_value(c, "ci.secrets"));
    take_pairs(&s->ci_vars, config_value(c, "ci.vars"));
    s->ci_container_engine = text(c, "ci.container_engine");
    s->ci_event = text(c, "ci.event");
    s->ci_timeout_seconds = bounded(c, "ci.timeout_seconds", 1, INT32_MAX);
    s->ci_retries = small(c, "ci.retries", 0, 100);
    s->ci_network = config_bool(c, "ci.network");
    s->ci_jobs = small(c, "ci.jobs", 0, 1024);

    s->merge_strategy = strcmp(strategy != NULL ? strategy : "ff", "merge") == 0    ? MERGE_STRATEGY_MERGE
                        : strcmp(strategy != NULL ? strategy : "ff", "squash") == 0 ? MERGE_STRATEGY_SQUASH
                                                                                    : MERGE_STRATEGY_FF;
    s->merge_target = text(c, "merge.target");
    config_list(c, "merge.shared_files", &s->shared_files);

    s->setup_command = text(c, "worktree.setup");
    s->setup_timeout_seconds = bounded(c, "worktree.setup_timeout_seconds", 1, INT32_MAX);
    s->port_base = small(c, "worktree.port_base", 1, 65000);
    s->port_step = small(c, "worktree.port_step", 1, 1000);

    s->hook_after_worktree = text(c, "hooks.after_worktree");
    s->hook_before_task = text(c, "hooks.before_task");
    s->hook_after_task = text(c, "hooks.after_task");
    s->hook_before_merge = text(c, "hooks.before_merge");
    s->hook_after_run = text(c, "hooks.after_run");
    s->hook_timeout_seconds = bounded(c, "hooks.timeout_seconds", 1, INT32_MAX);

    s->remote_enabled = config_bool(c, "remote.enabled");
    s->remote_max_rounds = small(c, "remote.max_rounds", 0, 100);
    s->remote_tool = text(c, "remote.tool");
    s->remote_name = text(c, "remote.name");
    s->remote_poll_seconds = small(c, "remote.poll_seconds", 1, 3600);
    s->remote_timeout_minutes = bounded(c, "remote.timeout_minutes", 1, 100000);
}

void run_settings_finish(struct run_settings *s)
{
    for (size_t i = 0; i < s->allowance_count; i++) {
        free(s->allowances[i].check);
        free(s->allowances[i].reason);
        str_list_finish(&s->allowances[i].paths);
    }
    free(s->allowances);
    free(s->agents.default_model);
    free(s->agents.default_reasoning_effort);
    str_list_finish(&s->ci_commands);
    str_list_finish(&s->ci_workflows);
    for (size_t i = 0; i < s->ci_action_count; i++) {
        free(s->ci_actions[i].action);
        free(s->ci_actions[i].run);
        free(s->ci_actions[i].uses);
        free(s->ci_actions[i].satisfied);
        free(s->ci_actions[i].skip);
    }
    free(s->ci_actions);
    str_list_finish(&s->ci_secrets);
    str_list_finish(&s->ci_vars);
    free(s->ci_container_engine);
    free(s->ci_event);
    free(s->merge_target);
    str_list_finish(&s->shared_files);
    free(s->setup_command);
    free(s->remote_tool);
    free(s->remote_name);
    free(s->hook_after_worktree);
    free(s->hook_before_task);
    free(s->hook_after_task);
    free(s->hook_before_merge);
    free(s->hook_after_run);
    memset(s, 0, sizeof *s);
}
