/* tool/agents.c: see agents.h. One function reads the arguments of all these tools; what each may have stands in its
 * schema. */
#include "tool/agents.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "tool/tool_internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE_BYTES ((size_t)1 << 20)
#define MAX_TARGETS       1000
#define MAX_NAME_BYTES    64
#define MIN_WAIT_MS       10000
#define MAX_WAIT_MS       3600000

void agent_call_answer(struct tool_call *call, json_t *answer, json_t *event)
{
    json_append_value(&call->output, answer);
    call->result.agents = event;
    json_decref(answer);
    tool_call_finish(call);
}

void agent_call_refuse(struct tool_call *call, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_printf(&call->output, "%s: ", call->tool->name);
    buf_vprintf(&call->output, fmt, ap);
    va_end(ap);
    call->result.is_error = true;
    tool_call_finish(call);
}

static void on_cancel(struct tool_call *call)
{
    call->ctx.agents->cancel(call->ctx.agents->data, call);
}

void agent_call_hand_over(struct tool_call *call, const struct agent_request *request)
{
    if (call->ctx.agents == NULL) {
        agent_call_refuse(call, "this thread cannot work with other agents");
        return;
    }
    call->cancel = on_cancel;
    call->ctx.agents->start(call->ctx.agents->data, request, call);
}

/* --- Arguments ------------------------------------------------------------------------------------------------- */

/* `message`, or the texts of `items` joined into *JOINED. */
static bool need_message(struct tool_call *call, const json_t *args, const char **out, struct buf *joined)
{
    const json_t *items = json_object_get(args, "items");
    size_t i;
    json_t *item;

    if (!tool_take_string(call, args, "message", out))
        return false;
    if (*out != NULL && json_array_size(items) > 0) {
        agent_call_refuse(call, "give `message` or `items`, not both");
        return false;
    }
    json_array_foreach(items, i, item) {
        const char *text = json_get_string(item, "text", NULL);

        if (text != NULL)
            buf_printf(joined, "%s%s", joined->len > 0 ? "\n" : "", text);
    }
    if (*out == NULL)
        *out = joined->len > 0 ? joined->data : NULL;
    if (*out == NULL || (*out)[strspn(*out, " \t\r\n")] == '\0') {
        agent_call_refuse(call, "`message` is missing or empty: say what the agent is to do");
        return false;
    }
    if (strlen(*out) > MAX_MESSAGE_BYTES) {
        agent_call_refuse(call, "`message` is larger than %zu bytes: put it into a file and name that", MAX_MESSAGE_BYTES);
        return false;
    }
    return true;
}

static bool need_target(struct tool_call *call, const json_t *args, const char *name, const char **out)
{
    if (!tool_take_string(call, args, name, out))
        return false;
    if (*out != NULL)
        return true;
    agent_call_refuse(call, "`%s` is missing: name an agent", name);
    return false;
}

static bool read_targets(struct tool_call *call, const json_t *args, struct agent_request *request)
{
    const json_t *targets = json_object_get(args, "targets");
    size_t i;
    json_t *target;

    if (targets == NULL)
        targets = json_object_get(args, "ids"); /* the older name */
    if (json_array_size(targets) == 0 || json_array_size(targets) > MAX_TARGETS) {
        agent_call_refuse(call, "`targets` has to be a list of 1 to %d agent ids", MAX_TARGETS);
        return false;
    }
    json_array_foreach(targets, i, target) {
        if (!json_is_string(target)) {
            agent_call_refuse(call, "targets[%zu] is no string", i);
            return false;
        }
    }
    request->targets = targets;
    return true;
}

static bool read_timeout(struct tool_call *call, const json_t *args, struct agent_request *request)
{
    const json_t *value = json_object_get(args, "timeout_ms");
    double ms;

    request->timeout_ms = -1;
    if (value == NULL || json_is_null(value))
        return true;
    if (!json_is_number(value) || json_number_value(value) <= 0) {
        agent_call_refuse(call, "`timeout_ms` has to be a number of milliseconds above 0");
        return false;
    }
    ms = json_number_value(value);
    request->timeout_ms = ms < MIN_WAIT_MS ? MIN_WAIT_MS : ms > MAX_WAIT_MS ? MAX_WAIT_MS : (int64_t)ms;
    return true;
}

static bool read_name(struct tool_call *call, const json_t *args, struct agent_request *request)
{
    const char *name;

    if (!tool_take_string(call, args, "task_name", &name))
        return false;
    request->task_name = name;
    for (const char *p = name; p != NULL && *p != '\0'; p++) {
        if ((islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_') && p - name < MAX_NAME_BYTES)
            continue;
        agent_call_refuse(call, "`task_name` is of at most %d small letters, digits and '_'", MAX_NAME_BYTES);
        return false;
    }
    if (name != NULL && strcmp(name, "root") != 0)
        return true;
    agent_call_refuse(call, name == NULL ? "`task_name` is missing: a short name such as `find_callers`"
                                         : "`task_name`: \"root\" is the main thread's name");
    return false;
}

static bool read_fork(struct tool_call *call, const json_t *args, struct agent_request *request)
{
    const char *turns;
    bool has_choice;

    if (request->form == AGENT_FORM_V1) {
        request->is_fork_explicit = json_is_boolean(json_object_get(args, "fork_context"));
        request->wants_fork = json_get_bool(args, "fork_context", false);
        return true;
    }
    if (!tool_take_string(call, args, "fork_turns", &turns))
        return false;
    if (turns != NULL && strcmp(turns, "all") != 0 && strcmp(turns, "none") != 0) {
        agent_call_refuse(call, "`fork_turns` is \"all\" or \"none\"");
        return false;
    }
    has_choice = request->role != NULL || request->model != NULL || request->effort != NULL;
    request->is_fork_explicit = turns != NULL;
    request->wants_fork = turns != NULL ? strcmp(turns, "all") == 0 : !has_choice;
    return true;
}

/* --- The tools --------------------------------------------------------------------------------------------------- */

static void spawn(struct tool_call *call, const json_t *args, enum agent_form form)
{
    struct agent_request request = {.verb = AGENT_VERB_SPAWN, .form = form, .args = args, .timeout_ms = -1};
    struct buf joined = BUF_INIT;

    if (need_message(call, args, &request.message, &joined) &&
        (form == AGENT_FORM_V1 || read_name(call, args, &request)) &&
        tool_take_string(call, args, "agent_type", &request.role) &&
        tool_take_string(call, args, "model", &request.model) &&
        tool_take_string(call, args, "reasoning_effort", &request.effort) && read_fork(call, args, &request))
        agent_call_hand_over(call, &request);
    buf_free(&joined);
}

static void start_spawn_v1(struct tool_call *call, const json_t *args)
{
    spawn(call, args, AGENT_FORM_V1);
}

static void start_spawn_v2(struct tool_call *call, const json_t *args)
{
    spawn(call, args, AGENT_FORM_V2);
}

static void send(struct tool_call *call, const json_t *args, enum agent_form form, bool starts_turn)
{
    struct agent_request request = {.verb = AGENT_VERB_SEND,
                                    .form = form,
                                    .args = args,
                                    .starts_turn = starts_turn,
                                    .interrupts = json_get_bool(args, "interrupt", false)};
    struct buf joined = BUF_INIT;

    if (need_target(call, args, "target", &request.target) && need_message(call, args, &request.message, &joined))
        agent_call_hand_over(call, &request);
    buf_free(&joined);
}

static void start_send_input(struct tool_call *call, const json_t *args)
{
    send(call, args, AGENT_FORM_V1, true);
}

static void start_send_message(struct tool_call *call, const json_t *args)
{
    send(call, args, AGENT_FORM_V2, false);
}

static void start_followup(struct tool_call *call, const json_t *args)
{
    send(call, args, AGENT_FORM_V2, true);
}

static void start_wait_v1(struct tool_call *call, const json_t *args)
{
    struct agent_request request = {.verb = AGENT_VERB_WAIT, .form = AGENT_FORM_V1, .args = args};

    if (read_targets(call, args, &request) && read_timeout(call, args, &request))
        agent_call_hand_over(call, &request);
}

static void start_wait_v2(struct tool_call *call, const json_t *args)
{
    struct agent_request request = {.verb = AGENT_VERB_WAIT, .form = AGENT_FORM_V2, .args = args};

    if (read_timeout(call, args, &request))
        agent_call_hand_over(call, &request);
}

static void with_target(struct tool_call *call, const json_t *args, enum agent_verb verb, const char *name)
{
    struct agent_request request = {.verb = verb, .args = args};

    if (need_target(call, args, name, &request.target))
        agent_call_hand_over(call, &request);
}

static void start_close(struct tool_call *call, const json_t *args)
{
    with_target(call, args, AGENT_VERB_CLOSE, "target");
}

static void start_resume(struct tool_call *call, const json_t *args)
{
    with_target(call, args, AGENT_VERB_RESUME, "id");
}

static void start_interrupt(struct tool_call *call, const json_t *args)
{
    with_target(call, args, AGENT_VERB_INTERRUPT, "target");
}

static void start_merge(struct tool_call *call, const json_t *args)
{
    with_target(call, args, AGENT_VERB_MERGE, "target");
}

static void start_list(struct tool_call *call, const json_t *args)
{
    struct agent_request request = {.verb = AGENT_VERB_LIST, .args = args};

    if (tool_take_string(call, args, "path_prefix", &request.target))
        agent_call_hand_over(call, &request);
}

#define STRING        "{\"type\":\"string\"}"
#define TEXT(s)       "{\"type\":\"string\",\"description\":\"" s "\"}"
#define NUMBER(s)     "{\"type\":\"integer\",\"description\":\"" s "\"}"
#define OBJECT(p, r)  "{\"type\":\"object\",\"properties\":{" p "},\"required\":[" r "],\"additionalProperties\":false}"
#define TARGET        "\"target\":" TEXT("The agent")
/* Stands where the roles are filled in when the tools are written. */
#define ROLES_MARK    "@ROLES@"
#define SPAWN_CHOICES                                                                                                    \
    "\"agent_type\":" TEXT(ROLES_MARK) ",\"model\":" TEXT("Left out: the role's or yours") ",\"reasoning_effort\":" STRING

static const struct tool spawn_v1 = {
    .name = "spawn_agent",
    .description = "Starts an agent on a task that stands for itself, beside you. Gives its id at once; above the limit of "
                   "threads it waits its turn. Its result comes to you when it ends; wait_agent awaits it.",
    .parameters = OBJECT("\"message\":" TEXT("The task, with all that the agent has to know") "," SPAWN_CHOICES
                         ",\"fork_context\":{\"type\":\"boolean\",\"description\":\"Give it this conversation\"}",
                         "\"message\""),
    .flags = TOOL_PARALLEL,
    .start = start_spawn_v1,
};

static const struct tool send_input = {
    .name = "send_input",
    .description = "Sends a message to an agent; one that has ended goes on with it.",
    .parameters = OBJECT(TARGET ",\"message\":" STRING
                                ",\"interrupt\":{\"type\":\"boolean\",\"description\":\"Stop what it does now\"}",
                         "\"target\",\"message\""),
    .flags = TOOL_PARALLEL,
    .start = start_send_input,
};

static const struct tool wait_v1 = {
    .name = "wait_agent",
    .description = "Waits until one of the agents has ended; gives the status and final message of all that have.",
    .parameters = OBJECT("\"targets\":{\"type\":\"array\",\"items\":" STRING
                         "},\"timeout_ms\":" NUMBER("10000 to 3600000; left out: an hour"),
                         "\"targets\""),
    .flags = TOOL_PARALLEL | TOOL_WAITS,
    .start = start_wait_v1,
};

static const struct tool close_agent = {
    .name = "close_agent",
    .description = "Ends an agent and all that it spawned. Gives its status before.",
    .parameters = OBJECT(TARGET, "\"target\""),
    .flags = TOOL_PARALLEL,
    .start = start_close,
};

static const struct tool resume_agent = {
    .name = "resume_agent",
    .description = "Opens a closed agent again, so that send_input reaches it.",
    .parameters = OBJECT("\"id\":" STRING, "\"id\""),
    .flags = TOOL_PARALLEL,
    .start = start_resume,
};

static const struct tool spawn_v2 = {
    .name = "spawn_agent",
    .description = "Starts an agent on a task, beside you, as PATH/task_name below your own path. Above the limit of "
                   "threads it waits its turn. Its result comes to you as a message when it ends.",
    .parameters = OBJECT("\"task_name\":" TEXT("Small letters, digits, _") ",\"message\":" TEXT("The task") "," SPAWN_CHOICES
                         ",\"fork_turns\":" TEXT("all: it starts from this conversation (the default when no type, model or "
                                                 "effort is named); none: from the message alone"),
                         "\"task_name\",\"message\""),
    .flags = TOOL_PARALLEL,
    .start = start_spawn_v2,
};

static const struct tool send_message = {
    .name = "send_message",
    .description = "Leaves a message for an agent (a path, also /root, or a name below yours); starts no turn.",
    .parameters = OBJECT(TARGET ",\"message\":" STRING, "\"target\",\"message\""),
    .flags = TOOL_PARALLEL,
    .start = start_send_message,
};

static const struct tool followup_task = {
    .name = "followup_task",
    .description = "Gives an agent a further task; it starts a turn if it has none.",
    .parameters = OBJECT(TARGET ",\"message\":" STRING, "\"target\",\"message\""),
    .flags = TOOL_PARALLEL,
    .start = start_followup,
};

static const struct tool wait_v2 = {
    .name = "wait_agent",
    .description = "Waits until an agent has sent you something or ended; what it said follows as a message.",
    .parameters = OBJECT("\"timeout_ms\":" NUMBER("10000 to 3600000; left out: an hour"), ""),
    .flags = TOOL_PARALLEL | TOOL_WAITS,
    .start = start_wait_v2,
};

static const struct tool interrupt_agent = {
    .name = "interrupt_agent",
    .description = "Stops an agent's turn; it can be given further tasks. Gives its status before.",
    .parameters = OBJECT(TARGET, "\"target\""),
    .flags = TOOL_PARALLEL,
    .start = start_interrupt,
};

static const struct tool list_agents = {
    .name = "list_agents",
    .description = "Lists the agents with status and last task.",
    .parameters = OBJECT("\"path_prefix\":" STRING, ""),
    .flags = TOOL_PARALLEL | TOOL_WAITS,
    .start = start_list,
};

static const struct tool merge_agent = {
    .name = "merge_agent",
    .description = "Brings the changes of an agent that has its own worktree into your working directory: all, or nothing "
                   "when they conflict.",
    .parameters = OBJECT(TARGET, "\"target\""),
    .flags = TOOL_WRITES,
    .start = start_merge,
};

static const struct tool *const v1_tools[] = {&spawn_v1, &send_input, &wait_v1, &close_agent, &resume_agent};
static const struct tool *const v2_tools[] = {&spawn_v2, &send_message,    &followup_task,
                                              &wait_v2,  &interrupt_agent, &list_agents};

/* PARAMETERS with the roles in place of the mark. */
static char *with_roles(const char *parameters, const char *roles)
{
    const char *mark = strstr(parameters, ROLES_MARK);
    struct buf b = BUF_INIT;

    buf_append(&b, parameters, (size_t)(mark - parameters));
    json_append_escaped(&b, roles, strlen(roles));
    buf_puts(&b, mark + strlen(ROLES_MARK));
    return buf_take(&b);
}

void tool_set_add_agents(struct tool_set *set, enum agent_form form, const char *roles, bool may_spawn, bool with_merge)
{
    const struct tool *const *tools = form == AGENT_FORM_V1 ? v1_tools : v2_tools;
    size_t n = form == AGENT_FORM_V1 ? sizeof v1_tools / sizeof v1_tools[0] : sizeof v2_tools / sizeof v2_tools[0];

    if (form == AGENT_FORM_NONE)
        return;
    for (size_t i = 0; i < n; i++)
        tool_set_add(set, tools[i], tools[i]->name == spawn_v1.name || strcmp(tools[i]->name, "spawn_agent") == 0
                                        ? with_roles(tools[i]->parameters, roles)
                                        : NULL,
                     !may_spawn && !(form == AGENT_FORM_V2 && (tools[i] == &send_message || tools[i] == &list_agents)));
    tool_set_add_jobs(set, may_spawn);
    if (with_merge)
        tool_set_add(set, &merge_agent, NULL, !may_spawn);
}

const char *agent_tool_event_name(const char *name)
{
    if (strcmp(name, "wait_agent") == 0)
        return "wait";
    for (size_t i = 0; i < sizeof v1_tools / sizeof v1_tools[0]; i++)
        if (strcmp(name, v1_tools[i]->name) == 0)
            return v1_tools[i]->name;
    for (size_t i = 0; i < sizeof v2_tools / sizeof v2_tools[0]; i++)
        if (strcmp(name, v2_tools[i]->name) == 0)
            return v2_tools[i]->name;
    if (agent_tool_is_job(name))
        return "spawn_agents_on_csv";
    return strcmp(name, merge_agent.name) == 0 ? merge_agent.name : NULL;
}
