/* tool/submit.c: submit_result and submit_review: how a role ends its work. Strict: what the engine acts on is checked
 * here, and a wrong form goes back to the model with the reason. */
#include "tool/tool_internal.h"

#include "base/json.h"

#include <string.h>

static void take(struct tool_call *call)
{
    buf_puts(&call->output, "taken");
    call->result.is_submission = true;
    tool_call_finish(call);
}

static void start_result(struct tool_call *call, const json_t *args)
{
    const char *status;
    const char *summary;

    if (!tool_need_string(call, args, "status", &status) || !tool_need_string(call, args, "summary", &summary))
        return;
    if (strcmp(status, "done") != 0 && strcmp(status, "blocked") != 0) {
        tool_call_fail(call, "submit_result: `status` is \"done\" or \"blocked\", not \"%.50s\"", status);
        return;
    }
    take(call);
}

const struct tool tool_submit_result = {
    .name = "submit_result",
    .description = "Ends your work. `done`: the working directory holds the result. `blocked`: it cannot be done as asked; "
                   "say why in `summary`.",
    .parameters = "{\"type\":\"object\",\"properties\":{\"status\":{\"type\":\"string\",\"enum\":[\"done\",\"blocked\"]},"
                  "\"summary\":{\"type\":\"string\"},\"notes\":{\"type\":\"string\"}},\"required\":[\"status\",\"summary\"]}",
    .flags = TOOL_SUBMIT,
    .start = start_result,
};

static bool check_finding(struct tool_call *call, const json_t *finding, size_t index)
{
    static const char *const severities[] = {"blocker", "major", "minor", "nit"};
    const char *severity = json_get_string(finding, "severity", "");
    bool known = false;

    for (size_t i = 0; i < 4; i++)
        known = known || strcmp(severities[i], severity) == 0;
    if (!json_is_object(finding) || !known) {
        tool_call_fail(call, "submit_review: findings[%zu].severity is blocker, major, minor or nit", index);
        return false;
    }
    if (json_get_string(finding, "title", NULL) == NULL) {
        tool_call_fail(call, "submit_review: findings[%zu].title is missing", index);
        return false;
    }
    return true;
}

static void start_review(struct tool_call *call, const json_t *args)
{
    const json_t *findings = json_object_get(args, "findings");
    const char *verdict;
    const char *summary;
    size_t i;
    json_t *finding;

    if (!tool_need_string(call, args, "verdict", &verdict) || !tool_need_string(call, args, "summary", &summary))
        return;
    if (strcmp(verdict, "approve") != 0 && strcmp(verdict, "request_changes") != 0) {
        tool_call_fail(call, "submit_review: `verdict` is \"approve\" or \"request_changes\", not \"%.50s\"", verdict);
        return;
    }
    if (findings != NULL && !json_is_array(findings)) {
        tool_call_fail(call, "submit_review: `findings` is an array");
        return;
    }
    json_array_foreach(findings, i, finding)
        if (!check_finding(call, finding, i))
            return;
    if (strcmp(verdict, "request_changes") == 0 && json_array_size(findings) == 0) {
        tool_call_fail(call, "submit_review: request_changes needs at least one finding");
        return;
    }
    take(call);
}

const struct tool tool_submit_review = {
    .name = "submit_review",
    .description = "Gives your verdict on the commit and ends your work. Only blocker and major findings send work back.",
    .parameters =
        "{\"type\":\"object\",\"properties\":{\"verdict\":{\"type\":\"string\",\"enum\":[\"approve\",\"request_changes\"]},"
        "\"summary\":{\"type\":\"string\"},\"findings\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
        "\"severity\":{\"type\":\"string\",\"enum\":[\"blocker\",\"major\",\"minor\",\"nit\"]},\"file\":{\"type\":\"string\"},"
        "\"line\":{\"type\":\"integer\"},\"title\":{\"type\":\"string\"},\"detail\":{\"type\":\"string\"},"
        "\"fix\":{\"type\":\"string\"}},\"required\":[\"severity\",\"title\"]}}},\"required\":[\"verdict\",\"summary\","
        "\"findings\"]}",
    .flags = TOOL_SUBMIT,
    .start = start_review,
};
