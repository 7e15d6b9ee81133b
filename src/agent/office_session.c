/* agent/office_session.c: the sessions of agent/runner.h. A session prepares a role's thread: instructions, tools, sandbox,
 * environment, context; the thread itself is agent/thread.c, or another program (office_carried.c). */
#include "agent/office_internal.h"

#include "agent/carried_thread.h"
#include "agent/slots.h"
#include "agent/thread.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/random.h"
#include "base/vec.h"
#include "config/agents_md.h"
#include "config/config.h"
#include "config/mcp_config.h"
#include "config/role.h"
#include "config/shell_environment.h"
#include "config/skills.h"
#include "io/fiber.h"
#include "mcp/mcp_pool.h"
#include "model/price.h"
#include "sandbox/permissions.h"
#include "sandbox/policy.h"
#include "tool/mcp_tool.h"
#include "tool/registry.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMPACT_PROMPT_MAX_BYTES ((size_t)64 << 10)

static const char *session_id(const struct agent_session *s)
{
    return s->carried != NULL ? carried_thread_id(s->carried) : thread_id(s->thread);
}

void session_report_event(struct agent_session *s, const char *thread, const json_t *event)
{
    json_t *copy;

    if (s->office->options.on_event == NULL)
        return;
    copy = json_copy((json_t *)event);
    json_object_set_new(copy, "thread", json_string(thread));
    json_object_set_new(copy, "role", json_string(s->role));
    if (s->task != NULL)
        json_object_set_new(copy, "task", json_string(s->task));
    json_object_set_new(copy, "attempt", json_integer(s->attempt));
    s->office->options.on_event(s->office->options.data, copy);
    json_decref(copy);
}

static void on_thread_event(void *data, struct thread *thread, const json_t *event)
{
    session_report_event(data, thread == NULL ? NULL : thread_id(thread), event);
}

static void on_text_delta(void *data, struct thread *thread, const char *text, size_t n)
{
    struct agent_session *s = data;

    (void)thread;
    s->on_text_delta(s->delta_data, text, n);
}

static void collect_input(void *data, struct thread *thread, struct str_list *messages)
{
    struct agent_session *s = data;

    (void)thread;
    s->collect_input(s->input_data, messages);
}

static void on_turn_end(void *data, struct thread *thread, const struct error *err)
{
    struct agent_session *s = data;

    (void)thread;
    s->turn_over = true;
    s->turn_failed = err != NULL;
    if (err != NULL)
        s->turn_err = *err;
    if (s->waiter != NULL)
        fiber_wake(s->waiter);
}

/* --- Preparing a thread -------------------------------------------------------------------------------------- */

static int make_policy(struct agent_session *s, const struct role *role, const struct agent_spec *spec,
                       struct error *err)
{
    const struct config *c = s->office->options.config;
    const char *mode_name = config_string(c, "sandbox_mode");
    enum sandbox_mode mode = SANDBOX_WORKSPACE_WRITE;
    enum sandbox_mode role_mode;

    if (role->sandbox_mode != NULL && sandbox_mode_parse(role->sandbox_mode, &role_mode, err) < 0)
        return error_wrap(err, "role %s", role->name);
    if (permissions_are_set(c)) {
        if (permissions_make_policy(c, spec->cwd, &s->policy, err) < 0)
            return -1;
        /* A role's mode, even one that the user's own layer forces, only makes a profile tighter. */
        if (role->sandbox_mode != NULL)
            sandbox_policy_tightest(&s->policy, role_mode);
        if (spec->parent_policy != NULL)
            sandbox_policy_tightest(&s->policy, spec->parent_policy->mode);
        if (spec->read_only)
            sandbox_policy_tightest(&s->policy, SANDBOX_READ_ONLY);
        agent_hidden_paths(s->office->state_dir, &s->policy.hidden_paths);
        return 0;
    }
    if (mode_name != NULL && sandbox_mode_parse(mode_name, &mode, err) < 0)
        return -1;
    if (spec->parent_policy != NULL)
        mode = spec->parent_policy->mode;
    /* The tightest of parent and role holds, unless the user's own layer says more. A parent's box bounds its child's; a
     * configuration that sets no mode leaves the choice to the role. */
    if (role->sandbox_mode != NULL)
        mode = role->is_sandbox_forced || (spec->parent_policy == NULL && !config_is_set(c, "sandbox_mode"))
                   ? role_mode
                   : sandbox_mode_tightest(mode, role_mode);
    if (spec->read_only)
        mode = SANDBOX_READ_ONLY;
    sandbox_policy_init(&s->policy, mode, spec->cwd);
    sandbox_policy_configure(&s->policy, c);
    agent_hidden_paths(s->office->state_dir, &s->policy.hidden_paths);
    return 0;
}

/* The /tmp that the thread's commands share; without a state folder each has its own. */
static void give_tmp(struct agent_session *s)
{
    struct error err = {0};
    char *folder;

    if (!s->policy.private_tmp || s->office->state_dir == NULL || s->thread == NULL)
        return;
    folder = path_join(s->office->state_dir, "tmp");
    if (file_make_directories(folder, 0700, &err) == 0)
        s->policy.tmp_dir = path_join(folder, session_id(s));
    else
        log_warning("commands of thread %s do not share a /tmp: %s", session_id(s), err.text);
    free(folder);
}

static void take_tmp(struct agent_session *s)
{
    struct error err = {0};

    if (s->policy.tmp_dir != NULL && file_remove_tree(s->policy.tmp_dir, &err) < 0)
        log_warning("%s", err.text);
}

/* High priority unblocks merges: who plans, and who judges. */
static enum call_priority priority_of(const char *role)
{
    static const char *const high[] = {"orchestrator", "reviewer", "security_auditor", "ci_runner"};

    for (size_t i = 0; i < sizeof high / sizeof high[0]; i++)
        if (strcmp(high[i], role) == 0)
            return CALL_PRIORITY_HIGH;
    return CALL_PRIORITY_NORMAL;
}

/* The instructions of ROLE as every thread of it gets them; caller frees. */
static char *instructions_of(const struct role *role)
{
    const char *own = role->developer_instructions == NULL ? "" : role->developer_instructions;

    return xasprintf("%s%s\n%s", own, str_is_empty(own) || str_ends_with(own, "\n") ? "" : "\n", FENCE_RULE);
}

/* Context that stands between the fixed prompt and the work: skills, AGENTS.md, environment. It comes with the first
 * question: a task's session is opened before its worktree is there. */
static void add_context(struct agent_session *s)
{
    struct buf b = BUF_INIT;

    if (!str_is_empty(s->skills))
        thread_add_message(s->thread, MESSAGE_DEVELOPER, s->skills);
    if (s->has_project_docs && config_is_project_trusted(s->office->options.config))
        agents_md_load(s->office->options.config, &b, NULL);
    else
        office_add_docs(s->office, s->policy.cwd, &s->docs_for, &b);
    if (b.len > 0)
        thread_add_message(s->thread, MESSAGE_USER, b.data);
    buf_clear(&b);
    buf_printf(&b,
               "<environment_context>\n<cwd>%s</cwd>\n<sandbox_mode>%s</sandbox_mode>\n<network_access>%s"
               "</network_access>\n<shell>bash</shell>\n%s</environment_context>",
               s->policy.cwd, sandbox_mode_name(s->policy.mode), s->policy.network_access ? "enabled" : "restricted",
               s->policy.private_tmp ? "<tmp>/tmp is your own: it is not the machine's</tmp>\n" : "");
    thread_add_message(s->thread, MESSAGE_USER, b.data);
    buf_free(&b);
}

/* [models.<name>] of cadre.toml, then model_context_window, then the defaults. */
static int64_t context_window_of(const struct office *office, const char *model)
{
    int64_t configured = config_int(office->options.config, "model_context_window");
    struct model_price price = {0};

    if (model != NULL && price_lookup(office->prices, model, &price) && price.context_window > 0 &&
        (configured <= 0 || price_is_override(office->prices, model)))
        return price.context_window;
    return configured;
}

static char *compact_prompt_of(const struct config *c)
{
    const char *path = config_string(c, "experimental_compact_prompt_file");
    struct buf text = BUF_INIT;
    struct error err = {0};

    if (path == NULL)
        return xstrdup(config_string(c, "compact_prompt"));
    if (file_read(path, &text, COMPACT_PROMPT_MAX_BYTES, &err) < 0) {
        log_warning("experimental_compact_prompt_file: %s", err.text);
        buf_free(&text);
        return NULL;
    }
    return buf_take(&text);
}

static void on_mcp_problem(void *data, const char *text)
{
    struct agent_session *s = data;
    json_t *event = json_pack("{s:s, s:s}", "type", "error", "message", text);

    log_warning("%s", text);
    session_report_event(s, NULL, event);
    json_decref(event);
}

/* The MCP servers of ROLE, started if no other thread has them; none for a role without. */
static int open_toolbox(struct agent_session *s, const struct role *role, struct error *err)
{
    struct mcp_config_list servers = {0};
    int rc = 0;
    struct mcp_toolbox_options options = {
        .loop = s->office->options.loop,
        .pool = s->office->mcp,
        .servers = &servers,
        .cwd = s->policy.cwd,
        .read_only = s->policy.mode == SANDBOX_READ_ONLY,
        .on_problem = on_mcp_problem,
        .data = s,
    };

    if (mcp_config_for_role(&servers, s->office->options.config, role, err) < 0)
        return -1;
    if (servers.len > 0) {
        s->toolbox = mcp_toolbox_open(&options, err);
        rc = s->toolbox != NULL ? 0 : -1;
    }
    if (s->toolbox != NULL)
        mcp_toolbox_add_to(s->toolbox, s->tools);
    mcp_config_list_finish(&servers);
    return rc;
}

/* The first that says something. */
static const char *first_of(const char *a, const char *b, const char *c, const char *d)
{
    return a != NULL ? a : b != NULL ? b : c != NULL ? c : d;
}

/* The submit tool that ends the thread's work, and the tools for other agents. */
static void add_tools(struct agent_session *s, const struct role *role, const struct agent_spec *spec)
{
    const struct agent_tools *tools = spec->tools;
    const char *owes = spec->owes;

    /* A spawned role whose instructions speak of a submit tool has it, and owes nothing. */
    if (owes == NULL && spec->parent_policy != NULL && role->developer_instructions != NULL)
        owes = strstr(role->developer_instructions, "submit_review") != NULL   ? "submit_review"
               : strstr(role->developer_instructions, "submit_result") != NULL ? "submit_result"
                                                                                : NULL;
    if (tools != NULL && tools->reports)
        owes = NULL;
    s->tools = tool_set_create(owes, s->policy.mode == SANDBOX_READ_ONLY);
    if (tools != NULL)
        tool_set_add_agents(s->tools, tools->form, tools->role_choices, tools->may_spawn, tools->with_merge);
    if (tools != NULL && tools->reports)
        tool_set_add_report(s->tools, tools->report_schema);
}

static int make_thread(struct agent_session *s, const struct role *role, const struct agent_spec *spec,
                       struct error *err)
{
    struct office *office = s->office;
    const struct config *c = office->options.config;
    char new_id[RANDOM_UUID_BYTES];
    const char *id = spec->thread_id != NULL ? spec->thread_id : new_id;
    char *compact_prompt;
    struct thread_options options = {
        .loop = office->options.loop,
        .http = office->http,
        .budget = spec->budget != NULL ? spec->budget : office->options.budget,
        .id = id,
        .role = s->role,
        .task = s->task,
        .attempt = spec->attempt,
        .model = first_of(spec->model, role->model, spec->default_model, config_string(c, "model")),
        .reasoning_effort = first_of(spec->reasoning_effort, role->reasoning_effort, spec->default_reasoning_effort,
                                     config_string(c, "model_reasoning_effort")),
        .instructions = s->instructions,
        .cwd = spec->cwd,
        .policy = &s->policy,
        .desk = &s->desk,
        .owes = spec->tools != NULL && spec->tools->reports ? AGENT_REPORT_TOOL : spec->owes,
        .agents = spec->tools == NULL ? NULL : spec->tools->host,
        .keeps_history = office->options.keeps_history,
        .collect_input = spec->collect_input == NULL ? NULL : collect_input,
        .output_schema = spec->output_schema,
        .watch_deltas = spec->on_text_delta != NULL,
        .on_text_delta = on_text_delta,
        .priority = priority_of(s->role),
        .max_steps = office->max_turn_steps,
        .turn_timeout_ms = office_turn_timeout(office, spec),
        .on_event = on_thread_event,
        .on_turn_end = on_turn_end,
        .data = s,
    };

    random_uuid(new_id);
    options.context_window = context_window_of(office, options.model);
    options.compact_limit = config_int(c, "model_auto_compact_token_limit");
    compact_prompt = compact_prompt_of(c);
    options.compact_prompt = compact_prompt;
    options.provider = office_find_provider(office, role, err);
    if (options.provider == NULL) {
        free(compact_prompt);
        return -1;
    }
    shell_environment_build(c, environ, &s->env);
    if (spec->extra_env != NULL)
        str_list_copy(&s->env, spec->extra_env);
    options.env = (const char *const *)s->env.items;
    add_tools(s, role, spec);
    if (open_toolbox(s, role, err) < 0) {
        free(compact_prompt);
        return -1;
    }
    options.tools = s->tools;
    options.rollout = office_open_rollout(office, id);
    s->thread = thread_create(&options);
    free(compact_prompt);
    if (spec->docs_for != NULL)
        str_list_copy(&s->docs_for, spec->docs_for);
    s->has_project_docs = spec->has_project_docs;
    s->skills = office_skills(office, role);
    if (spec->history == NULL)
        return 0;
    s->has_context = true; /* it is in the history */
    return thread_take_history(s->thread, spec->history, err);
}

/* --- Sessions ------------------------------------------------------------------------------------------------ */

static int make_any_thread(struct agent_session *s, const struct role *role, const struct agent_spec *spec,
                           struct error *err)
{
    if (strcmp(role->runner, "native") == 0)
        return make_thread(s, role, spec, err);
    return office_make_carried(s, role, spec, err);
}

struct agent_session *agent_session_open(struct office *office, const struct agent_spec *spec, struct error *err)
{
    struct agent_session *s;
    const struct role *role;

    if (!spec->holds_no_slot && office_acquire_slot(office, spec->role, spec->task, err) < 0)
        return NULL;
    s = xcalloc(1, sizeof *s);
    s->office = office;
    s->holds_slot = !spec->holds_no_slot;
    s->collect_input = spec->collect_input;
    s->input_data = spec->input_data;
    s->role = xstrdup(spec->role);
    s->task = xstrdup(spec->task);
    s->attempt = spec->attempt;
    s->on_text_delta = spec->on_text_delta;
    s->delta_data = spec->delta_data;
    role = role_registry_get(office->options.roles, spec->role, err);
    s->instructions = role == NULL ? NULL : instructions_of(role);
    if (role == NULL || make_policy(s, role, spec, err) < 0 || session_make_desk(s, role, err) < 0 || make_any_thread(s, role, spec, err) < 0) {
        agent_session_close(s);
        return NULL;
    }
    give_tmp(s);
    vec_push(&office->sessions, s);
    return s;
}

/* Until the turn that was begun is over. */
static int wait_for_turn(struct agent_session *s, struct error *err)
{
    s->waiter = fiber_current();
    while (!s->turn_over) {
        if (fiber_wait(err) < 0) {
            s->waiter = NULL;
            thread_interrupt(s->thread);
            return -1;
        }
    }
    s->waiter = NULL;
    return 0;
}

int agent_session_compact(struct agent_session *s, struct error *err)
{
    if (s->carried != NULL)
        return error_set(err, ERROR_USAGE, "another program carries this thread, and keeps its conversation itself");
    s->turn_over = false;
    s->turn_failed = false;
    if (thread_compact(s->thread, err) < 0 || wait_for_turn(s, err) < 0)
        return -1;
    if (s->turn_failed)
        *err = s->turn_err;
    return s->turn_failed ? -1 : 0;
}

int agent_session_set_model(struct agent_session *s, const char *model, struct error *err)
{
    if (s->carried != NULL)
        return error_set(err, ERROR_USAGE, "another program carries this thread, and chooses its model itself");
    thread_set_model(s->thread, model, context_window_of(s->office, model));
    return 0;
}

int agent_session_ask(struct agent_session *s, const char *text, struct agent_answer *answer, struct error *err)
{
    int rc = 0;

    if (s->carried != NULL)
        return carried_thread_ask(s->carried, text, answer, err);
    s->turn_over = false;
    s->turn_failed = false;
    if (!s->has_context)
        add_context(s);
    s->has_context = true;
    thread_submit(s->thread, text);
    if (wait_for_turn(s, err) < 0)
        return -1;
    answer->message = xstrdup(thread_last_message(s->thread));
    answer->usage = *thread_usage(s->thread);
    if (thread_submission(s->thread) != NULL) {
        answer->submission = json_deep_copy(thread_submission(s->thread));
        answer->submission_tool = xstrdup(thread_submission_tool(s->thread));
    }
    if (s->turn_failed) {
        *err = s->turn_err;
        rc = -1;
    }
    return rc;
}

bool agent_session_add(struct agent_session *s, const char *text)
{
    if (s->thread == NULL || !thread_is_busy(s->thread))
        return false;
    thread_submit(s->thread, text);
    return true;
}

const char *agent_session_model(const struct agent_session *s)
{
    return s->thread == NULL ? NULL : thread_model(s->thread);
}

const struct usage *agent_session_usage(const struct agent_session *s)
{
    static const struct usage none;

    return s->thread == NULL ? &none : thread_usage(s->thread);
}

struct thread_history *agent_session_fork(const struct agent_session *s, const char *note)
{
    return s->thread == NULL ? NULL : thread_fork_history(s->thread, note);
}

const struct sandbox_policy *agent_session_policy(const struct agent_session *s)
{
    return &s->policy;
}

const char *agent_session_thread_id(const struct agent_session *s)
{
    return session_id(s);
}

void agent_session_close(struct agent_session *s)
{
    if (s == NULL)
        return;
    (void)vec_remove_item(&s->office->sessions, s);
    thread_destroy(s->thread);
    office_finish_carried(s);
    if (s->holds_slot)
        slots_release(s->office->slots);
    tool_set_destroy(s->tools);
    mcp_toolbox_close(s->toolbox);
    take_tmp(s);
    sandbox_policy_finish(&s->policy);
    str_list_finish(&s->env);
    free(s->role);
    free(s->instructions);
    free(s->task);
    free(s);
}
