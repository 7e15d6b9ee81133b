/* fuzz/fuzz_app_server.c: whatever an app-server calls an item, a plan or a usage. */
#include "agent/app_server_items.h"
#include "base/json.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *input = json_parse((const char *)data, size, "input", NULL);
    json_t *item = app_server_item(input);
    json_t *plan = app_server_todo_list(json_object_get(input, "plan"));
    struct usage usage = app_server_usage(input);

    if (item != NULL && json_get_string(item, "type", NULL) == NULL)
        abort();
    if (!json_is_array(json_object_get(plan, "items")) || usage.input_tokens < 0)
        abort();
    json_decref(item);
    json_decref(plan);
    json_decref(input);
    return 0;
}
