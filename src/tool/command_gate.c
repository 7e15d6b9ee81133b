/* tool/command_gate.c: see command_gate.h. */
#include "tool/command_gate.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/path.h"
#include "sandbox/approval.h"
#include "sandbox/command_rules.h"

#include <stdlib.h>
#include <string.h>

struct gate {
    struct tool_call *call;
    json_t *args;
    struct str_list argv;
    struct approval_wait *wait;
    bool wants_out;
    void (*start)(struct tool_call *call, const json_t *args, const char *const *argv, bool outside);
};

static void gate_free(struct gate *gate)
{
    json_decref(gate->args);
    str_list_finish(&gate->argv);
    free(gate);
}

static void refuse(struct tool_call *call, const char *why)
{
    tool_call_fail(call, "The command was not run: %s.", str_is_empty(why) ? "it was refused" : why);
}

static void on_answer(void *data, bool is_allowed, const char *why)
{
    struct gate *gate = data;
    struct tool_call *call = gate->call;

    gate->wait = NULL;
    call->cancel = NULL;
    call->state = NULL;
    if (is_allowed)
        gate->start(call, gate->args, (const char *const *)gate->argv.items, gate->wants_out);
    else
        refuse(call, why);
    gate_free(gate);
}

static void on_cancel(struct tool_call *call)
{
    struct gate *gate = call->state;

    call->ctx.desk->cancel(call->ctx.desk->data, gate->wait);
    gate_free(gate);
}

/* The rule that the model proposes; nothing when it is none that a person could mean. */
static void read_prefix(const json_t *args, const char *const *argv, struct str_list *prefix)
{
    size_t i;
    json_t *word;

    json_array_foreach(json_object_get(args, "prefix_rule"), i, word)
        if (json_is_string(word) && i < 16)
            str_list_add(prefix, json_string_value(word));
    if (!command_rules_is_prefix(prefix, argv))
        str_list_finish(prefix);
}

static void ask(struct tool_call *call, const json_t *args, const char *const *argv, const char *shown, bool wants_out,
                const char *reason,
                void (*start)(struct tool_call *call, const json_t *args, const char *const *argv, bool outside))
{
    const struct approval_desk *desk = call->ctx.desk;
    const char *workdir = json_get_string(args, "workdir", NULL);
    const char *justification = json_get_string(args, "justification", NULL);
    char *cwd = workdir == NULL ? xstrdup(call->ctx.cwd) : path_join(call->ctx.cwd, workdir);
    struct gate *gate = xcalloc(1, sizeof *gate);
    struct str_list prefix = {0};
    struct approval_request request = {
        .thread = call->ctx.thread_id,
        .role = call->ctx.role,
        .task = call->ctx.task,
        .command = shown,
        .cwd = cwd,
        .reason = !str_is_empty(justification) ? justification : reason,
        .outside = wants_out,
        .prefix = &prefix,
        .rules = desk->rules,
    };

    read_prefix(args, argv, &prefix);
    gate->call = call;
    gate->args = json_deep_copy(args);
    for (size_t i = 0; argv[i] != NULL; i++)
        str_list_add(&gate->argv, argv[i]);
    gate->wants_out = wants_out;
    gate->start = start;
    call->state = gate;
    call->cancel = on_cancel;
    gate->wait = desk->ask(desk->data, &request, on_answer, gate);
    str_list_finish(&prefix);
    free(cwd);
}

void command_gate_pass(struct tool_call *call, const json_t *args, const char *const *argv, const char *shown,
                       void (*start)(struct tool_call *call, const json_t *args, const char *const *argv, bool outside))
{
    const struct approval_desk *desk = call->ctx.desk;
    struct approval_question question = {
        .argv = argv,
        .wants_out = strcmp(json_get_string(args, "sandbox_permissions", "use_default"), "require_escalated") == 0,
        .mode = call->ctx.policy->mode,
    };
    char *reason = NULL;

    if (desk == NULL) {
        start(call, args, argv, false);
        return;
    }
    switch (approval_decide(&desk->policy, desk->rules, &question, &reason)) {
    case APPROVAL_RUN:
        start(call, args, argv, false);
        break;
    case APPROVAL_RUN_OUTSIDE:
        start(call, args, argv, true);
        break;
    case APPROVAL_ASK:
        ask(call, args, argv, shown, question.wants_out, reason, start);
        break;
    case APPROVAL_REFUSE:
        refuse(call, reason);
        break;
    }
    free(reason);
}
