/* tool/update_plan.c: the model's own list of steps; shown as a todo_list, not interpreted. */
#include "tool/tool_internal.h"

#include "base/json.h"

#include <string.h>

static void start(struct tool_call *call, const json_t *args)
{
    const json_t *plan = json_object_get(args, "plan");
    unsigned in_progress = 0;
    size_t i;
    json_t *step;

    if (!json_is_array(plan)) {
        tool_call_fail(call, "update_plan: the argument `plan` (an array) is missing");
        return;
    }
    json_array_foreach(plan, i, step) {
        const char *status = json_get_string(step, "status", "");

        if (json_get_string(step, "step", NULL) == NULL ||
            (strcmp(status, "pending") != 0 && strcmp(status, "in_progress") != 0 && strcmp(status, "completed") != 0)) {
            tool_call_fail(call, "update_plan: plan[%zu] needs `step` and `status` (pending, in_progress, completed)", i);
            return;
        }
        in_progress += strcmp(status, "in_progress") == 0;
    }
    if (in_progress > 1) {
        tool_call_fail(call, "update_plan: at most one step is in_progress");
        return;
    }
    buf_puts(&call->output, "Plan updated");
    tool_call_finish(call);
}

const struct tool tool_update_plan = {
    .name = "update_plan",
    .description = "Shows your steps and where you are. At most one step is in_progress.",
    .parameters = "{\"type\":\"object\",\"properties\":{\"explanation\":{\"type\":\"string\"},\"plan\":{\"type\":\"array\","
                  "\"items\":{\"type\":\"object\",\"properties\":{\"step\":{\"type\":\"string\"},\"status\":{\"type\":\"string\","
                  "\"enum\":[\"pending\",\"in_progress\",\"completed\"]}},\"required\":[\"step\",\"status\"]}}},"
                  "\"required\":[\"plan\"]}",
    .flags = TOOL_PARALLEL | TOOL_OWN_WORDS,
    .start = start,
};
