/* tool/arguments.c: reads the arguments of a tool call. A model gets types wrong now and then: the answer names the
 * argument and what it has to be, and nothing is guessed. */
#include "tool/tool_internal.h"

#include "base/json.h"

#include <math.h>

static bool is_left_out(const json_t *value)
{
    return value == NULL || json_is_null(value);
}

bool tool_need_string(struct tool_call *call, const json_t *args, const char *name, const char **out)
{
    *out = json_get_string(args, name, NULL);
    if (*out != NULL)
        return true;
    tool_call_fail(call, "%s: the argument `%s` (a string) is missing", call->tool->name, name);
    return false;
}

bool tool_take_string(struct tool_call *call, const json_t *args, const char *name, const char **out)
{
    const json_t *value = json_object_get(args, name);

    *out = NULL;
    if (is_left_out(value))
        return true;
    if (!json_is_string(value)) {
        tool_call_fail(call, "%s: `%s` has to be a string", call->tool->name, name);
        return false;
    }
    if (json_string_value(value)[0] != '\0')
        *out = json_string_value(value);
    return true;
}

bool tool_take_bool(struct tool_call *call, const json_t *args, const char *name, bool *out)
{
    const json_t *value = json_object_get(args, name);

    if (is_left_out(value))
        return true;
    if (!json_is_boolean(value)) {
        tool_call_fail(call, "%s: `%s` has to be true or false", call->tool->name, name);
        return false;
    }
    *out = json_is_true(value);
    return true;
}

bool tool_take_int(struct tool_call *call, const json_t *args, const char *name, int64_t min, int64_t *out)
{
    const json_t *value = json_object_get(args, name);
    double number;
    double whole;

    if (is_left_out(value))
        return true;
    number = json_number_value(value);
    if (!json_is_number(value) || modf(number, &whole) != 0.0 || number < (double)min) {
        tool_call_fail(call, "%s: `%s` has to be a whole number from %lld", call->tool->name, name, (long long)min);
        return false;
    }
    *out = number > (double)INT32_MAX ? INT32_MAX : (int64_t)number;
    return true;
}
