/* tool/submit.c: submit_result and submit_review: how a role ends its work. Strict: what the engine acts on is checked
 * here, and a wrong form goes back to the model with the reason. */
#include "tool/tool_internal.h"

#include "tool/submission.h"

static void start(struct tool_call *call, const json_t *args)
{
    struct error err = {0};

    if (submission_check(call->tool->name, args, &err) < 0) {
        tool_call_fail(call, "%s", err.text);
        return;
    }
    buf_puts(&call->output, "taken");
    call->result.is_submission = true;
    tool_call_finish(call);
}

const struct tool tool_submit_result = {
    .name = "submit_result",
    .description = "Ends your work. `done`: the working directory holds the result. `blocked`: it cannot be done as asked; "
                   "say why in `summary`.",
    .parameters = "{\"type\":\"object\",\"properties\":{\"status\":{\"type\":\"string\",\"enum\":[\"done\",\"blocked\"]},"
                  "\"summary\":{\"type\":\"string\"},\"notes\":{\"type\":\"string\"}},\"required\":[\"status\",\"summary\"]}",
    .flags = TOOL_SUBMIT | TOOL_OWN_WORDS,
    .start = start,
};

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
    .flags = TOOL_SUBMIT | TOOL_OWN_WORDS,
    .start = start,
};
